"""Calibration: is a classifier that says 0.8 right in eight cases of ten?

With the answers sorted by confidence p into bins B_1 .. B_M of equal width, and N answers in all,

    acc(B) = share of B that is right,   conf(B) = mean of p in B,   ECE = sum_m |B_m| / N  |acc(B_m) - conf(B_m)|

the expected calibration error of Guo et al. 2017 (arXiv 1706.04599), whose bins are closed above: bin m holds
(m - 1) / M < p <= m / M. Their remedy, **temperature scaling**, divides all logits by one number T,

    p_c = softmax(y / T)_c,   T = argmin -mean_n log(sum of p over the right names of picture n)

which leaves every answer as it is. T has to be found on other pictures than those that it is judged on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from course_utils.arguments import whole_number

__all__ = [
    "Reliability",
    "expected_calibration_error",
    "fit_temperature",
    "reliability",
    "resampled_error",
    "temperatures_of_others",
]

TEMPERATURES = (0.05, 20.0)
"""Between which T is looked for."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram in numbers; empty bins have NaN for accuracy and confidence."""

    edges: np.ndarray
    """(M + 1,), the borders of the bins, from 0 to 1."""
    counts: np.ndarray
    """(M,), how many answers lie in each bin."""
    accuracy: np.ndarray
    """(M,), the share of them that is right."""
    confidence: np.ndarray
    """(M,), their mean confidence."""

    @property
    def error(self) -> float:
        """The expected calibration error, in [0, 1]."""
        full = self.counts > 0
        gaps = np.abs(self.accuracy[full] - self.confidence[full])
        return float((self.counts[full] * gaps).sum() / self.counts.sum())


def reliability(confidence: object, right: object, bins: int = 10) -> Reliability:
    """Sort answers by confidence into bins of equal width.

    Args:
        confidence: (N,), the probability of the answer given, in [0, 1].
        right: (N,), whether the answer was right.
        bins: how many.

    Raises:
        TypeError, ValueError: no answers, two lengths, probabilities outside [0, 1], ``right`` neither True nor False.
    """
    p, hits = _checked(confidence, right)
    bins = whole_number(bins, "bins", 1)
    edges = np.arange(bins + 1) / bins
    places = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)  # p = 0 joins the first bin
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        accuracy, mean = (np.bincount(places, weights, bins) / counts for weights in (hits, p))
    return Reliability(edges, counts, accuracy, mean)


def expected_calibration_error(confidence: object, right: object, bins: int = 10) -> float:
    """Return the ECE: the mean distance of accuracy and confidence, bin by bin, weighted by the bins' counts."""
    return reliability(confidence, right, bins).error


def resampled_error(
    confidence: object, right: object, bins: int = 10, draws: int = 1000, seed: int = 0
) -> np.ndarray:
    """Return the ECE of ``draws`` bootstrap samples: N answers drawn from the N with replacement, each time.

    The samples are on average less well calibrated than the answers they are drawn from, the more so the fewer
    there are in a bin: they tell the spread, not the value.
    """
    p, hits = _checked(confidence, right)
    draws = whole_number(draws, "draws", 1)
    chosen = np.random.default_rng(whole_number(seed, "seed", 0)).integers(len(p), size=(draws, len(p)))
    return np.array([reliability(p[rows], hits[rows] > 0, bins).error for rows in chosen])


def fit_temperature(logits: Tensor, right: Sequence[Sequence[int]]) -> float:
    """Return the temperature at which the right names are most probable, between 0.05 and 20.

    Args:
        logits: (N, K).
        right: for each picture the numbers of the classes that are right for it, one at least.

    Raises:
        ValueError: no pictures, a picture without a right class, or lists of other lengths.
    """
    from scipy.optimize import minimize_scalar  # slow to import

    if logits.ndim != 2 or not len(logits) or len(right) != len(logits):
        raise ValueError(
            f"logits {tuple(logits.shape)} need as many lists of right classes, got {len(right)}."
        )
    if not all(len(classes) for classes in right):
        raise ValueError("a picture without a right class has no probability to raise: leave it out.")
    y = logits.detach().double().cpu()
    only = y.new_full(y.shape, -np.inf)  # added to the logits, it leaves those of the right classes
    for row, classes in enumerate(right):
        only[row, list(classes)] = 0

    def loss(log_t: float) -> float:
        scaled = y / float(np.exp(log_t))
        return float((scaled.logsumexp(1) - (scaled + only).logsumexp(1)).mean())

    found = minimize_scalar(
        loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x))


def temperatures_of_others(
    logits: Tensor, right: Sequence[Sequence[int]], photos: Sequence[str]
) -> dict[str, float]:
    """Return for each photograph the temperature that is fitted on the pictures of all others.

    Args:
        logits, right: as for :func:`fit_temperature`.
        photos: the photograph that each picture shows.

    Raises:
        ValueError: fewer than two photographs, or lists of other lengths.
    """
    if len(photos) != len(logits) or len(set(photos)) < 2:
        raise ValueError(
            f"{len(logits)} pictures need the name of a photograph each, and two different ones at least; got "
            f"{len(photos)} names, {len(set(photos))} different ones."
        )
    found = {}
    for photo in dict.fromkeys(photos):
        rows = [n for n, other in enumerate(photos) if other != photo]
        found[photo] = fit_temperature(logits[rows], [right[n] for n in rows])
    return found


def _checked(confidence: object, right: object) -> tuple[np.ndarray, np.ndarray]:
    p, hits = np.asarray(confidence, dtype=float), np.asarray(right)
    if p.ndim != 1 or p.shape != hits.shape or not len(p):
        raise ValueError(
            f"confidence and right must be lists of one length, not empty, got {p.shape} and {hits.shape}."
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"a confidence lies in [0, 1], got values from {p.min():.3g} to {p.max():.3g}.")
    if not np.isin(hits, (0, 1)).all():
        raise ValueError("right says for each answer whether it was right: True or False.")
    return p, hits.astype(float)
