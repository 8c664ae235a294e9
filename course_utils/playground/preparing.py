"""What a network makes of pictures that were prepared in another way than those it was tested on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

__all__ = ["PREPARATIONS", "preparation_study", "prepared_logits"]

CROP = 0.875  # of the shorter side, for EfficientNet-Lite as for most networks of ImageNet
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PREPARATIONS: dict[str, dict] = {
    "as tested": {},
    "whole square": {"crop": 1.0},
    "squeezed to a square": {},
    "half the pixels a side": {"size": 0.5},
    "ImageNet's mean and deviation": IMAGENET,
    "no mean and deviation": {"mean": 0.0, "std": 1.0},
    "0 to 255": {"mean": 0.0, "std": 1 / 255},
    "blue for red": {},
}
"""What is done otherwise than "as tested": crop, scale, normalization, order of colors."""


def prepared_logits(classifier: Classifier, way: str, image: Image.Image) -> Tensor:
    """Return the logits (1, n_classes) of a picture that was prepared in one of ``PREPARATIONS``.

    Args:
        classifier: whose mean and deviation are those of its training.
        way: a key of ``PREPARATIONS``.
        image: the whole picture, RGB.
    """
    options = {"mean": classifier.mean.flatten().tolist(), "std": classifier.std.flatten().tolist()}
    options = {**options, "crop": CROP, **PREPARATIONS[way]}
    options["size"] = round(classifier.size * options.get("size", 1))
    if way == "squeezed to a square":
        image = image.resize((classifier.size, classifier.size), Image.Resampling.BICUBIC)
    if way == "blue for red":
        image = Image.merge("RGB", image.convert("RGB").split()[::-1])
    wrong = Classifier(classifier.net, classifier.classes, **options).to(classifier.mean.device)
    return batched_logits(wrong, wrong.preprocess(image))


def preparation_study(classifier: Classifier) -> Iterator[Measurement]:
    """Measure, for each photograph and preparation, whether the label comes first (1 or 0), and its probability."""
    for name in list_photos(labeled=True):
        photo = load_photo(name)
        label = classifier.class_index(photo.labels[0])
        for way in PREPARATIONS:
            logits = prepared_logits(classifier, way, photo.image)[0]
            first = float(int(logits.argmax()) == label)
            yield Measurement(classifier.name, name, "label first, prepared", way, first)
            probability = torch.softmax(logits, 0)[label].item()
            yield Measurement(classifier.name, name, "probability of the label, prepared", way, probability)
