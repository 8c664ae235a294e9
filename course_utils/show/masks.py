"""Drawings of masks and seeds: the truth in solid white, what was found in dashed yellow, the unknown left bare."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import Tensor

from .plots import FOUND, PALETTE, TRUTH, as_image, draw_photo

__all__ = ["BACKGROUND_SEED", "OBJECT_SEED", "draw_outline", "draw_seeds", "draw_segmentation"]

OBJECT_SEED, BACKGROUND_SEED = PALETTE[1], PALETTE[0]
"""Orange and blue."""
OTHER_CLASS = PALETTE[3]


def draw_outline(ax: Axes, mask: Tensor | np.ndarray, found: bool = False) -> None:
    """Outline a mask (H, W): solid white for the truth, dashed yellow if found. An empty mask has no outline."""
    inside = np.pad(np.asarray(mask, dtype=float), 1)  # so that an outline closes at the edge of the picture
    if inside.max() == 0:
        return
    places = np.arange(-1, inside.shape[1] - 1), np.arange(-1, inside.shape[0] - 1)
    for color, width in (("black", 3.5), (FOUND if found else TRUTH, 1.8)):
        ax.contour(
            *places, inside, [0.5], colors=[color], linewidths=width, linestyles="--" if found else "-"
        )
    height, width = np.shape(mask)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def draw_seeds(ax: Axes, image: object, seeds: Tensor, title: str = "", blend: float = 0.65) -> None:
    """Tint an image by its seeds (h, w), which may be coarser: objects orange, background blue, unlabeled as it is."""
    photo = as_image(image)
    labels = np.asarray(seeds)
    factor = photo.shape[0] // labels.shape[0]
    labels = labels.repeat(factor, 0).repeat(factor, 1)
    if labels.shape != photo.shape[:2]:
        raise ValueError(
            f"seeds {tuple(np.shape(seeds))} do not divide an image of {photo.shape[:2]} into cells."
        )
    tinted = photo[..., :3].copy()
    for chosen, color in ((labels > 0, OBJECT_SEED), (labels == 0, BACKGROUND_SEED)):
        tinted[chosen] = (1 - blend) * tinted[chosen] + blend * np.array(to_rgb(color))
    draw_photo(ax, tinted, title)


def draw_segmentation(ax: Axes, image: object, found: Tensor, truth: Tensor, title: str = "") -> None:
    """Outline the one object of an image and what was found of its class; tint what was given another class.

    Args:
        ax: where to draw.
        image: (3, H, W) in [0, 1].
        found: (H, W) class numbers, 0 for the background.
        truth: likewise, with one object's class.
        title: say, the IoU.
    """
    own = int(truth.max())
    photo = as_image(image)[..., :3].copy()
    other = np.asarray((found > 0) & (found != own))
    photo[other] = 0.35 * photo[other] + 0.65 * np.array(to_rgb(OTHER_CLASS))
    draw_photo(ax, photo, title)
    draw_outline(ax, np.asarray(truth == own))
    draw_outline(ax, np.asarray(found == own), found=True)
