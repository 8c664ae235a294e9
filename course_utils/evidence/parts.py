"""Maps of many images, a few at a time: gradients and activations of early layers take memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.networks import Classifier

__all__ = ["in_parts"]


def in_parts(
    method: Callable[..., dict],
    classifier: Classifier,
    images: Tensor,
    classes: Tensor,
    part: int,
    *more: object,
) -> dict:
    """Return what ``method(classifier, images, classes, *more)`` would, by key, from ``part`` images at a time.

    Args:
        method: returns tensors (N, ...) by key.
        classifier, images, classes: as the method takes them, images and classes (N, ...).
        part: images at a time.
        more: further arguments of the method.
    """
    pairs = zip(images.split(part), classes.split(part), strict=True)
    parts = [method(classifier, *pair, *more) for pair in pairs]
    return {key: torch.cat([found[key] for found in parts]) for key in parts[0]}
