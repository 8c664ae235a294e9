"""Maps that know nothing of the class, to be scored beside every map that is said to know it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils.explain import grad_cam

__all__ = ["BLIND", "blind_maps", "centre_blob"]

BLIND = ("class-free sum", "centre blob", "another class", "another picture")
"""What :func:`blind_maps` returns, in its order."""


def centre_blob(height: int, width: int) -> Tensor:
    """Return a map (height, width) that is highest in the middle: a Gaussian, its deviation a quarter of each side.

    People put what they photograph in the middle: whoever always points there is often right.
    """
    # The cells' centers, in deviations from the middle: ((i + 1/2) / n - 1/2) / (1/4).
    y, x = ((2 * torch.arange(n) + 1 - n) / (n / 2) for n in (height, width))
    return torch.exp(-0.5 * (y[:, None] ** 2 + x[None] ** 2))


def blind_maps(
    model: nn.Module, images: Tensor, classes: Tensor | Sequence[int], layer: nn.Module | str | None = None
) -> dict[str, Tensor]:
    """Return four maps for each image that are blind to its class, each (N, h, w) as Grad-CAM's.

    ``"class-free sum"``: sum_k A^k, where the layer is active at all; ``"centre blob"``: :func:`centre_blob`;
    ``"another class"``: Grad-CAM's signed map of this image for the class of the next image with another one;
    ``"another picture"``: the signed map of that next image for its own class.

    Args:
        model, images, layer: as for :func:`course_utils.explain.grad_cam`; two images at least.
        classes: one number each, (N, 1) or (N,): what the images show.

    Raises:
        ValueError: all images have one class, or a bad image or class.
    """
    labels = torch.as_tensor(classes).flatten().tolist()
    n = len(labels)
    following = [
        next((j % n for j in range(i + 1, i + n) if labels[j % n] != labels[i]), None) for i in range(n)
    ]
    if None in following:
        raise ValueError(
            "all images show one class, so that there is no other to compare with: hand over images of two classes."
        )
    own_and_other = torch.tensor([[label, labels[j]] for label, j in zip(labels, following, strict=True)])
    e = grad_cam(model, images, own_and_other, layer)
    return {
        "class-free sum": e.activations.sum(1),
        "centre blob": centre_blob(*e.maps.shape[-2:]).to(e.maps).expand(n, -1, -1),
        "another class": e.maps[:, 1],
        "another picture": e.maps[following, 0],
    }
