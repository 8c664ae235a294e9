"""Does an attack on one ImageNet network change the answers of another? Photographs, with noise of the same size.

``python -m course_utils measure 10`` writes ``data/measurements/10_transfer.csv``, which notebook 10 reads.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import list_photos, load_photo

from .pixels import pgd, random_noise

__all__ = ["SOURCE", "TRANSFER", "attacked_photos", "measure_transfer"]

SOURCE = "efficientnet_lite0"
"""The network whose weights the attacker has."""
SIZE, STEPS = 224, 10
TRANSFER = {
    "noise 8": (8, "noise"),
    "noise 16": (16, "noise"),
    "PGD 8": (8, "pgd"),
    "PGD 16": (16, "pgd"),
    "momentum 16": (16, "momentum"),
}
"""By name: epsilon in units of 1/255, and what is done. Untargeted, ten steps; noise moves each value by epsilon."""


def attacked_photos(name: str, photos: tuple[str, ...]) -> Tensor:
    """Return photographs (n, 3, 224, 224) after one of ``TRANSFER``, or as they are for "clean"."""
    images = torch.cat([load_photo(photo).tensor(SIZE) for photo in photos])
    if name == "clean":
        return images
    epsilon, how = TRANSFER[name]
    if how == "noise":
        return random_noise(images, epsilon / 255, full_size=True)
    return _attacked(photos, epsilon, 0.9 if how == "momentum" else 0.0)


@functools.lru_cache(maxsize=8)  # the same pictures are shown to each network
def _attacked(photos: tuple[str, ...], epsilon: int, momentum: float) -> Tensor:
    source = load_classifier(SOURCE)
    images = attacked_photos("clean", photos)
    answers = batched_logits(source, images).argmax(1)
    return torch.cat(
        [
            pgd(
                source,
                image[None],
                labels=answer[None],
                epsilon=epsilon / 255,
                steps=STEPS,
                momentum=momentum,
                progress=False,
            )
            for image, answer in zip(images, answers, strict=True)
        ]
    )


def measure_transfer(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Show the pictures to a classifier, and yield for each photograph whether its first answer changes (1 or 0).

    The pictures have 224 pixels a side for every network, so that not a value of the attack is changed.
    """
    photos = tuple(list_photos())
    clean = batched_logits(classifier, attacked_photos("clean", photos)).argmax(1)
    for name in TRANSFER:
        found = batched_logits(classifier, attacked_photos(name, photos)).argmax(1)
        for photo, changed in zip(photos, (found != clean).tolist(), strict=True):
            yield Measurement(classifier.name, photo, "answer changes", name, float(changed))
