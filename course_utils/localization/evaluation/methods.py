"""The guesses of a classifier for a batch of images, and a map for each: what the evaluation makes boxes of.

Not the table of :mod:`course_utils.methods`: there somebody names one picture's classes, here a pass finds a batch's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.explain import (
    cam,
    enlarged,
    evaluation_mode,
    excitation_backprop,
    explain,
    find_layer,
    saliency,
)
from course_utils.networks import Classifier

__all__ = ["METHODS", "Method"]

Method = Callable[[Classifier, Tensor, "nn.Module | str | None", int], tuple[Tensor, Tensor]]
"""(classifier, images, layer, K) -> (N, K) class numbers, the most probable first; (N, K, H, W) maps, not negative."""


def _grad_cam(
    clf: Classifier, images: Tensor, layer: nn.Module | str | None, top: int
) -> tuple[Tensor, Tensor]:
    """Grad-CAM of the K most probable classes, from one forward pass: which they are, that pass tells."""
    guesses: list[Tensor] = []

    def scores() -> Tensor:
        values, indices = clf(images).topk(top)
        guesses.append(indices)
        return values

    with evaluation_mode(clf):
        explanation = explain(find_layer(clf, images, layer), scores)
    return guesses[0], enlarged(explanation.maps.relu(), images.shape[2:])


def _cam(clf: Classifier, images: Tensor, layer: nn.Module | str | None, top: int) -> tuple[Tensor, Tensor]:
    if layer is not None:
        raise ValueError("CAM reads the last map: it takes no layer.")
    guesses = _guesses(clf, images, top)
    return guesses, enlarged(cam(clf, images, guesses).relu(), images.shape[2:])


def _gradient(
    clf: Classifier, images: Tensor, layer: nn.Module | str | None, top: int
) -> tuple[Tensor, Tensor]:
    """The largest absolute value over the colors of dy^c / dx, as in arXiv 1312.6034."""
    if layer is not None:
        raise ValueError("the gradient is taken with respect to the image: it takes no layer.")
    guesses = _guesses(clf, images, top)
    return guesses, saliency(clf, images, guesses).abs().amax(2)


def _c_mwp(clf: Classifier, images: Tensor, layer: nn.Module | str | None, top: int) -> tuple[Tensor, Tensor]:
    """Contrastive excitation backprop (c-MWP), arXiv 1608.00507."""
    guesses = _guesses(clf, images, top)
    maps = excitation_backprop(clf, images, guesses, layer, contrastive=True)
    return guesses, enlarged(maps.relu(), images.shape[2:])


METHODS: dict[str, Method] = {"grad-cam": _grad_cam, "cam": _cam, "gradient": _gradient, "c-mwp": _c_mwp}


def _guesses(clf: Classifier, images: Tensor, top: int) -> Tensor:
    with evaluation_mode(clf), torch.no_grad():
        return clf(images).topk(top).indices
