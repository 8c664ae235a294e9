"""Interventions: cover parts of an image, and see how a class's score moves.

With x an image, m a mask that is 1 where it is covered, and f(x) what is put there instead,

    x' = (1 - m) x + m f(x)

as in Fong & Vedaldi 2017 (arXiv 1704.03296). Deletion and insertion curves, and the areas under them, are those of
Petsiuk et al. 2018, RISE (arXiv 1806.07421).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.arguments import whole_number

from .hooks import evaluation_mode
from .inputs import Classes, check_images, class_matrix, prepare
from .scores import Output, logits_of, probabilities, states_kind

__all__ = [
    "FILLS", "Curve", "batched_logits", "cover", "deletion_curve", "insertion_curve", "occlusion", "stand_in",
    "top_share_mask",
]  # fmt: skip

FILLS = ("mean", "gray", "blur")
FOLLOWED = ("probability", "logit")
BATCH = 4  # images at once: larger batches leave the cache of a core and are no faster

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
        matrix = _blur_matrix(images.shape[dim], sigma, images)
        images = (images.transpose(dim, -1) @ matrix).transpose(dim, -1)
    return images


def _blur_matrix(n: int, sigma: float, like: Tensor) -> Tensor:
    """The matrix (n, n) that blurs rows of n pixels: row @ matrix. Far faster than a convolution on a CPU."""
    radius = min(math.ceil(3 * sigma), n - 1)  # a mirror has no more pixels to offer
    offsets = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    rows = torch.eye(n, dtype=like.dtype, device=like.device)[:, None]
    pixels = F.pad(rows, (radius, radius), mode="reflect")
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
    _fits(masks, images)
    pixels = _in_pixels(masks.to(images.device), images.shape[2:])
    return torch.where(pixels[:, None], stand_in(images, fill), images)


def _fits(cells: Tensor, images: Tensor) -> None:
    """Refuse cells (..., h, w) that are smaller than a pixel of the images (N, C, H, W)."""
    (h, w), (height, width) = cells.shape[-2:], images.shape[2:]
    if not 1 <= h <= height or not 1 <= w <= width:
        raise ValueError(
            f"{h} x {w} cells do not fit an image of {height} x {width} pixels: a cell is one pixel or more."
        )


def _in_pixels(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge masks (N, h, w) of cells to pixels (N, H, W)."""
    rows, columns = (
        torch.arange(new, device=masks.device) * old // new
        for new, old in zip(size, masks.shape[-2:], strict=True)
    )
    return masks[:, rows][:, :, columns]


def _ranked(heatmap: Tensor) -> Tensor:
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
    order = _ranked(heatmap)
    count = math.floor(share * order.shape[-1] + 0.5)
    mask = torch.zeros_like(order, dtype=torch.bool)
    return mask.scatter(-1, order[..., :count], True).view(heatmap.shape)


@torch.no_grad()
def batched_logits(model: nn.Module, images: Tensor, output: Output = None) -> Tensor:
    """Return the logits (N, classes) of many images, a few at a time, in evaluation mode and without a graph.

    ``output`` as for :func:`course_utils.explain.grad_cam`.

    Raises:
        ValueError, TypeError: bad images, or a model that returns no finite logits.
    """
    model, images = prepare(model, images)
    parts = []
    with evaluation_mode(model):
        for part in images.split(BATCH):
            # With the channels innermost, depthwise convolutions take half the time on a CPU.
            parts.append(logits_of(model, part.contiguous(memory_format=torch.channels_last), output))
    logits = torch.cat(parts)
    if not logits.isfinite().all():
        raise ValueError(
            "the model's logits are not finite here. Check its weights, and whether a last "
            "softmax or sigmoid rounds to 0 or 1."
        )
    return logits


def occlusion(
    model: nn.Module,
    images: Tensor,
    classes: Classes = None,
    cells: int = 7,
    fill: str = "mean",
    output: Output = None,
) -> Tensor:
    """Cover one square at a time, and see by how much a class's score falls (Zeiler & Fergus, arXiv 1311.2901).

        o_ij = y^c(x) - y^c(x with square ij covered),   y^c the logit

    Positive where the square speaks for the class. No gradient and no layer takes part: what is measured is the
    network's answer to a change, of which the fill is a part.

    Args:
        model, images, classes, output: as for :func:`course_utils.explain.grad_cam`.
        cells: squares a side, each covered alone: cells^2 + 1 forward passes for an image.
        fill: see :func:`stand_in`.

    Returns:
        (N, K, cells, cells).

    Raises:
        ValueError, TypeError: bad images, classes, cells or fill.
    """
    model, images = prepare(model, images)
    cells = whole_number(cells, "cells", least=1, most=min(images.shape[2:]))
    whole = batched_logits(model, images, output)
    chosen = class_matrix(model, classes, whole)
    falls = torch.empty(*chosen.shape, cells, cells, dtype=whole.dtype, device=whole.device)
    for row in range(cells):  # not all squares at once: many small ones would take much memory
        squares = torch.zeros(cells, cells, cells, dtype=torch.bool)
        squares[:, row] = torch.eye(cells, dtype=torch.bool)
        for image, logits, own, fall in zip(images.split(1), whole, chosen, falls, strict=True):
            covered = batched_logits(model, cover(image, squares, fill), output)  # (cells, classes)
            fall[:, row] = (logits - covered)[:, own].T
    return falls


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores of N images and K classes while more and more of the image is covered, or shown.

    Attributes:
        shares: (S + 1,), the share of the image that is covered (deletion) or shown (insertion), from 0 to 1.
        values: (N, K, S + 1), the scores.
    """

    shares: Tensor
    values: Tensor

    @property
    def area(self) -> Tensor:
        """(N, K), the area under each curve: sum over steps of (s_t+1 - s_t) (v_t + v_t+1) / 2, the trapezoid rule."""
        return torch.trapezoid(self.values, self.shares)


def deletion_curve(
    model: nn.Module,
    images: Tensor,
    ranking: Tensor,
    classes: Classes = None,
    fill: str = "mean",
    steps: int = 7,
    score: str = "probability",
    output: Output = None,
) -> Curve:
    """Cover the cells of a map, the largest value first, and follow the scores (RISE, arXiv 1806.07421).

    After step t the round(t h w / steps) largest cells are covered; t = 0 is the image itself, t = steps is the
    fill alone. If the ranking finds what the score rests on, the curve falls early and its area is small.

    Args:
        model, images, classes, output: as for :func:`course_utils.explain.grad_cam`; the K classes' scores are
            followed.
        ranking: signed maps, or random numbers; equal values in reading order. (N, h, w), or (h, w) for all
            images, covers for all K classes alike; in (N, K, h, w) each class has its own, as in ``e.maps``.
        fill: see :func:`stand_in`.
        steps: how many; at most the number of cells.
        score: "probability" (softmax, as in the paper; a sigmoid where classes do not exclude each other) or "logit".

    Returns:
        :class:`Curve` with values (N, K, steps + 1).

    Raises:
        ValueError, TypeError: bad images, classes, ranking, fill, steps or score.
    """
    return _curve(model, images, ranking, classes, fill, steps, score, output, shown=False)


def insertion_curve(
    model: nn.Module,
    images: Tensor,
    ranking: Tensor,
    classes: Classes = None,
    fill: str = "mean",
    steps: int = 7,
    score: str = "probability",
    output: Output = None,
) -> Curve:
    """Start from the fill and show the cells of a map, the largest value first: a good ranking rises early.

    Arguments and result as for :func:`deletion_curve`; None stands for the class predicted for the whole image.
    Where no values are equal and no step ends on half a cell, the pictures are those of a deletion by ``-ranking``, in
    reverse order.
    """
    return _curve(model, images, ranking, classes, fill, steps, score, output, shown=True)


@torch.no_grad()
def _curve(
    model: nn.Module,
    images: Tensor,
    ranking: Tensor,
    classes: Classes,
    fill: str,
    steps: int,
    score: str,
    output: Output,
    shown: bool,
) -> Curve:
    """Deletion, or insertion where ``shown``: then the first cells show the image, and the others the fill.

    ``places`` is each cell's place in the ranking, ``counts`` how many cells are covered (or shown) after each step:
    those with place < count. The two ends of the curve are the image itself (``whole``) and the fill (``nothing``).
    """
    if score not in FOLLOWED:
        raise ValueError(f'score must be "probability" or "logit", got {score!r}.')
    model, images = prepare(model, images)
    if score == "probability" and not states_kind(model):  # a graph tells whether it ends in a sigmoid
        with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
            logits_of(model, images[:1].clone().requires_grad_(), output)
    filled = stand_in(images, fill)
    order = _ranked(ranking)
    _fits(ranking, images)
    n, cells = len(images), order.shape[-1]
    if not 1 <= steps <= cells:
        raise ValueError(f"steps must be between 1 and the number of cells, {cells}, got {steps}.")
    whole, nothing = (batched_logits(model, pictures, output) for pictures in (images, filled))
    chosen = class_matrix(model, classes, whole)  # (N, K)
    k = chosen.shape[1]
    if (
        ranking.ndim > 4
        or (ranking.ndim > 2 and len(ranking) != n)
        or (ranking.ndim == 4 and ranking.shape[1] != k)
    ):
        raise ValueError(
            f"ranking must have shape ({n}, h, w) for {n} image(s), (h, w) for all, or ({n}, {k}, h, w) with one for "
            f"each of {k} class(es); got {tuple(ranking.shape)}."
        )
    places = order.argsort(-1).view(ranking.shape).to(images.device)  # 0 for the cell that comes first
    if places.ndim < 4:
        places = places.expand(n, *places.shape[-2:])[:, None]  # (N, 1, h, w): one for all K classes
    size, lead = images.shape[2:], places.shape[:2]
    counts = [(2 * t * cells + steps) // (2 * steps) for t in range(steps + 1)]  # t cells / steps, halves up
    logits = [nothing[:, None] if shown else whole[:, None]]  # (N, K or 1, classes) for each step
    for count in counts[1:-1]:
        covered = _in_pixels(((places < count) ^ shown).flatten(0, 1), size).unflatten(0, lead)
        pictures = torch.where(covered[:, :, None], filled[:, None], images[:, None]).flatten(0, 1)
        logits.append(batched_logits(model, pictures, output).unflatten(0, lead))
    logits.append(whole[:, None] if shown else nothing[:, None])

    scores = torch.stack([step.expand(n, k, -1) for step in logits])  # (S + 1, N, K, classes)
    scores = probabilities(model, scores) if score == "probability" else scores
    values = scores.gather(-1, chosen.expand(steps + 1, n, k)[..., None])[..., 0]
    shares = torch.tensor(counts, dtype=values.dtype, device=values.device) / cells
    return Curve(shares, values.permute(1, 2, 0))
