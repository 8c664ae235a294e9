"""Interventions: cover parts of an image, and see how a class's score moves.

:func:`cover` replaces what a mask marks (module :mod:`course_utils.explain.covering`). Deletion and insertion
curves, and the areas under them, are those of Petsiuk et al. 2018, RISE (arXiv 1806.07421).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .covering import FILLS, cover, fits, in_pixels, ranked, stand_in, top_share_mask
from .hooks import evaluation_mode
from .inputs import Classes, check_logits, class_matrix, prepare, run

__all__ = [
    "FILLS",
    "Curve",
    "batched_logits",
    "cover",
    "deletion_curve",
    "insertion_curve",
    "stand_in",
    "top_share_mask",
]

SCORES = ("probability", "logit")
BATCH = 4  # images at once: larger batches leave the cache of a core and are no faster


@torch.no_grad()
def batched_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits (N, classes) of many images, a few at a time, in evaluation mode and without a graph.

    Raises:
        ValueError, TypeError: bad images, or a model that returns no finite logits.
    """
    model, images = prepare(model, images)
    parts = []
    with evaluation_mode(model):
        for part in images.split(BATCH):
            # With the channels innermost, depthwise convolutions take half the time on a CPU.
            logits = run(model, part.contiguous(memory_format=torch.channels_last))
            parts.append(check_logits(logits, len(part)))
    logits = torch.cat(parts)
    if not logits.isfinite().all():
        raise ValueError("the model's logits are not finite here. Check its weights.")
    return logits


@dataclass(frozen=True)
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
) -> Curve:
    """Cover the cells of a map, the largest value first, and follow the scores (RISE, arXiv 1806.07421).

    After step t the round(t h w / steps) largest cells are covered; t = 0 is the image itself, t = steps is the
    fill alone. If the ranking finds what the score rests on, the curve falls early and its area is small.

    Args:
        model: maps images (N, C, H, W) to logits.
        images: (N, C, H, W), floating point.
        ranking: signed maps, or random numbers; equal values in reading order. (N, h, w), or (h, w) for all
            images, covers for all K classes alike; in (N, K, h, w) each class has its own, as in ``e.maps``.
        classes: the K classes whose scores to follow, as for :func:`course_utils.explain.grad_cam`.
        fill: see :func:`stand_in`.
        steps: how many; at most the number of cells.
        score: "probability" (softmax, as in the paper) or "logit".

    Returns:
        :class:`Curve` with values (N, K, steps + 1).

    Raises:
        ValueError, TypeError: bad images, classes, ranking, fill, steps or score.
    """
    return _curve(model, images, ranking, classes, fill, steps, score, shown=False)


def insertion_curve(
    model: nn.Module,
    images: Tensor,
    ranking: Tensor,
    classes: Classes = None,
    fill: str = "mean",
    steps: int = 7,
    score: str = "probability",
) -> Curve:
    """Start from the fill and show the cells of a map, the largest value first: a good ranking rises early.

    Arguments and result as for :func:`deletion_curve`; None stands for the class predicted for the whole image.
    Where no values are equal, the pictures are those of a deletion by ``-ranking``, in reverse order.
    """
    return _curve(model, images, ranking, classes, fill, steps, score, shown=True)


@torch.no_grad()
def _curve(
    model: nn.Module,
    images: Tensor,
    ranking: Tensor,
    classes: Classes,
    fill: str,
    steps: int,
    score: str,
    shown: bool,
) -> Curve:
    if score not in SCORES:
        raise ValueError(f'score must be "probability" or "logit", got {score!r}.')
    model, images = prepare(model, images)
    filled = stand_in(images, fill)
    order = ranked(ranking)
    fits(ranking, images)
    n, cells = len(images), order.shape[-1]
    if not 1 <= steps <= cells:
        raise ValueError(f"steps must be between 1 and the number of cells, {cells}, got {steps}.")
    whole, nothing = batched_logits(model, images), batched_logits(model, filled)
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
    places = (
        places if places.ndim == 4 else places.expand(n, *places.shape[-2:])[:, None]
    )  # (N, K or 1, h, w)

    counts = [(2 * t * cells + steps) // (2 * steps) for t in range(steps + 1)]  # t cells / steps, halves up
    logits = [nothing[:, None] if shown else whole[:, None]]  # (N, K or 1, classes) for each step
    for count in counts[1:-1]:
        covered = in_pixels(((places < count) ^ shown).flatten(0, 1), images.shape[2:]).unflatten(
            0, places.shape[:2]
        )
        pictures = torch.where(covered[:, :, None], filled[:, None], images[:, None]).flatten(0, 1)
        logits.append(batched_logits(model, pictures).unflatten(0, places.shape[:2]))
    logits.append(whole[:, None] if shown else nothing[:, None])

    scores = torch.stack([step.expand(n, k, -1) for step in logits])  # (S + 1, N, K, classes)
    scores = scores.softmax(-1) if score == "probability" else scores
    values = scores.gather(-1, chosen.expand(steps + 1, n, k)[..., None])[..., 0]
    shares = torch.tensor(counts, dtype=values.dtype, device=values.device) / cells
    return Curve(shares, values.permute(1, 2, 0))
