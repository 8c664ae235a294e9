"""Does storing a picture as a JPEG defend it? Photographs, and an attacker who knows of it; what notebook 10 reads.

``python -m course_utils measure 10`` writes ``data/measurements/10_jpeg.csv``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

from .pixels import pgd, random_noise

__all__ = ["ThroughJPEG", "jpeg", "measure_jpeg"]

QUALITY = 75
TARGET, EPSILON, STEPS, MOMENTUM = "airliner", 8 / 255, 10, 0.9
PART = 7  # photographs at a time


def jpeg(images: Tensor, quality: int = QUALITY) -> Tensor:
    """Return images (N, 3, H, W) in [0, 1] after they were written as JPEG files and read again; no gradients."""
    read = []
    for image in images.detach():
        file = io.BytesIO()
        array = (image.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        Image.fromarray(array).save(file, "jpeg", quality=quality)
        read.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255)
    return torch.stack(read).to(images)


class ThroughJPEG(nn.Module):
    """A classifier behind a JPEG whose gradient is taken for that of the identity.

        forward: y(jpeg(x)),    backward: dy/dx := dy/d jpeg(x)

    Rounding inside the JPEG has a gradient of zero nearly everywhere; the picture and its JPEG are nearly equal, so
    that the identity stands in for it: backward pass differentiable approximation (Athalye et al. 2018,
    arXiv 1802.00420).
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes) of images (N, 3, H, W) in [0, 1]."""
        return self.classifier(images + (jpeg(images) - images).detach())


def measure_jpeg(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Yield for each photograph whether airliner is the first answer (1 or 0) after attacks toward it, at 8/255.

    "attack" and "attack, JPEG": the picture as it is, and stored as a JPEG; "attack through JPEG, JPEG": of an attack
    on :class:`ThroughJPEG`. "first answer changes" is the price: photographs, and photographs with noise, as JPEG.
    """
    target, behind = classifier.class_index(TARGET), ThroughJPEG(classifier)
    names = list_photos()
    for start in range(0, len(names), PART):
        some = names[start : start + PART]
        images = torch.cat([load_photo(name).tensor(classifier.size) for name in some])
        plain, through = (
            pgd(net, images, target, EPSILON, STEPS, momentum=MOMENTUM, progress=progress)
            for net in (classifier, behind)
        )
        noisy = random_noise(images, EPSILON, full_size=True)
        answers = {
            name: batched_logits(classifier, shown).argmax(1)
            for name, shown in {
                "clean": images,
                "clean, JPEG": jpeg(images),
                "noise, JPEG": jpeg(noisy),
                "attack": plain,
                "attack, JPEG": jpeg(plain),
                "attack through JPEG, JPEG": jpeg(through),
            }.items()
        }
        for name, found in answers.items():
            for photo, answer, clean in zip(some, found.tolist(), answers["clean"].tolist(), strict=True):
                yield Measurement(classifier.name, photo, "airliner", name, float(answer == target))
                yield Measurement(
                    classifier.name, photo, "first answer changes", name, float(answer != clean)
                )
