"""Cover parts of images: what stands in for covered pixels, and masks of the largest values of a map.

With x an image, m a mask that is 1 where it is covered, and f(x) what is put there instead,

    x' = (1 - m) x + m f(x)

as in Fong & Vedaldi 2017 (arXiv 1704.03296).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .inputs import check_images

__all__ = ["FILLS", "cover", "fits", "in_pixels", "ranked", "stand_in", "top_share_mask"]

FILLS = ("mean", "gray", "blur")

# Fong & Vedaldi blur images of 224 pixels with a standard deviation of 10.
BLUR_SHARE = 10 / 224


def stand_in(images: Tensor, fill: str = "mean") -> Tensor:
    """Return f(x), what stands in for covered pixels: images (N, C, H, W) -> (N, C, H, W).

    Args:
        images: floating point; "gray" supposes values in [0, 1].
        fill: "mean", each image's own mean color; "gray", 0.5 everywhere; "blur", the image after a Gaussian blur
            with a standard deviation of 10 pixels for each 224 of its shorter side (mirrored at the border).

    Raises:
        ValueError, TypeError: bad images, or another fill.
    """
    check_images(images)
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(map(repr, FILLS))}, got {fill!r}.")
    if fill == "gray":
        return torch.full_like(images, 0.5)
    if fill == "mean":
        return images.mean((2, 3), keepdim=True).expand_as(images)
    return _blurred(images, BLUR_SHARE * min(images.shape[2:]))


def _blurred(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, cut off at three standard deviations: along the rows, then along the columns."""
    for dim in (-1, -2):
        images = (images.transpose(dim, -1) @ _blur_matrix(images.shape[dim], sigma, images)).transpose(
            dim, -1
        )
    return images


def _blur_matrix(n: int, sigma: float, like: Tensor) -> Tensor:
    """The matrix (n, n) that blurs rows of n pixels: row @ matrix. Far faster than a convolution on a CPU."""
    radius = min(math.ceil(3 * sigma), n - 1)  # a mirror has no more pixels to offer
    offsets = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    pixels = F.pad(
        torch.eye(n, dtype=like.dtype, device=like.device)[:, None], (radius, radius), mode="reflect"
    )
    return F.conv1d(pixels, (kernel / kernel.sum())[None, None])[:, 0]


def cover(images: Tensor, masks: Tensor, fill: str = "mean") -> Tensor:
    """Return images whose masked parts are replaced: x' = (1 - m) x + m f(x).

    One image with M masks gives M images, one mask is used for all images; else the n-th mask belongs to the n-th
    image. The images themselves stay as they are.

    Args:
        images: (N, C, H, W), floating point.
        masks: bool, True where to cover: (N, h, w) or (h, w), of pixels or of coarser cells, such as those of
            a Grad-CAM map. Pixel row i belongs to the cells' row floor(i h / H), so that all cells are equal where
            h divides H (and likewise columns).
        fill: see :func:`stand_in`.

    Returns:
        (N, C, H, W), or (M, C, H, W).

    Raises:
        ValueError, TypeError: bad images or masks, numbers that do not fit, or another fill.
    """
    check_images(images)
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool:
        kind = masks.dtype if isinstance(masks, Tensor) else type(masks).__name__
        raise TypeError(
            f"masks must be a tensor of True and False, got {kind}. Compare a map with a threshold, use "
            "top_share_mask, or `torch.as_tensor(array.copy())` for a mask of numpy."
        )
    given = tuple(masks.shape)
    masks = masks[None] if masks.ndim == 2 else masks
    if (
        masks.ndim != 3
        or (len(masks) != len(images) and 1 not in (len(masks), len(images)))
        or not len(masks)
    ):
        raise ValueError(
            f"masks must have shape (h, w), or (N, h, w) with as many masks as images ({len(images)}), got {given}."
        )
    fits(masks, images)
    pixels = in_pixels(masks.to(images.device), images.shape[2:])
    return torch.where(pixels[:, None], stand_in(images, fill), images)


def fits(cells: Tensor, images: Tensor) -> None:
    """Refuse cells (..., h, w) that are smaller than a pixel of the images (N, C, H, W)."""
    (h, w), (height, width) = cells.shape[-2:], images.shape[2:]
    if not 1 <= h <= height or not 1 <= w <= width:
        raise ValueError(
            f"{h} x {w} cells do not fit an image of {height} x {width} pixels: a cell is one pixel or more."
        )


def in_pixels(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge masks (N, h, w) of cells to pixels (N, H, W)."""
    rows, columns = (
        torch.arange(new, device=masks.device) * old // new
        for new, old in zip(size, masks.shape[-2:], strict=True)
    )
    return masks[:, rows][:, :, columns]


def ranked(heatmap: Tensor) -> Tensor:
    """Return the cells' numbers (..., h * w), the largest value first; equal values in reading order."""
    if not isinstance(heatmap, Tensor) or heatmap.ndim < 2 or 0 in heatmap.shape:
        found = tuple(heatmap.shape) if isinstance(heatmap, Tensor) else type(heatmap).__name__
        raise ValueError(f"a map to rank cells by must be a tensor (..., h, w), got {found}.")
    if heatmap.isnan().any():
        raise ValueError("the map to rank cells by contains NaN. Check how it was computed.")
    return heatmap.flatten(-2).argsort(dim=-1, descending=True, stable=True)


def top_share_mask(heatmap: Tensor, share: float) -> Tensor:
    """Return a mask of the largest values: exactly round(share * h * w) cells are True, halves rounded up.

    Cells of equal value are taken in reading order. Hand over the *signed* map (``-e.maps`` for the
    counterfactual): after a ReLU all silent cells are equal, and their place would choose, not their value.

    Args:
        heatmap: (..., h, w), at the resolution of a map's cells or of pixels: the mask has the same.
        share: of the area, from 0 to 1. ``5 / 49`` marks five cells of 7 x 7.

    Returns:
        bool, (..., h, w).

    Raises:
        ValueError: a share outside 0 to 1, NaN, or no map.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie between 0 and 1, got {share}. For 10% write 0.1.")
    order = ranked(heatmap)
    count = math.floor(share * order.shape[-1] + 0.5)
    mask = torch.zeros_like(order, dtype=torch.bool)
    return mask.scatter(-1, order[..., :count], True).view(heatmap.shape)
