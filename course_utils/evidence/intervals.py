"""Intervals by photograph: the bootstrap, with photographs drawn anew (Efron & Tibshirani 1993)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from course_utils.arguments import whole_number

__all__ = ["Interval", "interval"]

RESAMPLES = 9_999


@dataclass(frozen=True)
class Interval:
    """A mean over photographs, and the range in which it lies when the photographs are drawn anew.

    Attributes:
        mean: over photographs, each counting once.
        low, high: the ends of the interval.
        n: how many photographs.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """The mean with its interval, such as "0.47 (0.29 to 0.66)"."""
        return format(self, ".2f")

    def __format__(self, spec: str) -> str:
        """As :meth:`__str__`, each number in the given format: ``f"{found:+.1f}"``."""
        mean, low, high = (format(number, spec or ".2f") for number in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"


def interval(
    values: Sequence[float], photos: Sequence[str] | None = None, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return the mean by photograph with a bootstrap interval (percentiles of 9,999 drawings of the photographs).

    For a comparison on the same photographs, hand over the differences: the interval is then a paired one, and a
    claim "larger than" stands where it lies above zero.

    >>> print(interval([1.0, 2.0, 3.0, 4.0, 5.0]))
    3.00 (1.80 to 4.20)
    >>> print(interval([1.0, 1.0, 3.0], photos=["cat", "cat", "dog"]).mean)  # the cat counts once
    2.0

    Args:
        values: one number each, finite.
        photos: the photograph that each value was measured on; values of one photograph are averaged first. Default:
            each value has its own.
        confidence: share of the drawings inside the interval.
        seed: for the drawings.

    Raises:
        ValueError: fewer than two photographs, a value that is not finite, or lengths that differ.
    """
    numbers = np.asarray([float(value) for value in values])
    names = list(range(len(numbers)) if photos is None else photos)
    if len(names) != len(numbers):
        raise ValueError(
            f"{len(numbers)} values cannot belong to {len(names)} photographs: one name for each value."
        )
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"value {int(np.flatnonzero(~np.isfinite(numbers))[0])} is {numbers[~np.isfinite(numbers)][0]}: leave out "
            "photographs without a result, and say how many."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}. For 95% write 0.95.")
    means = _by_photo(numbers, names)
    if len(means) < 2:
        raise ValueError(f"an interval takes at least two photographs, got {len(means)}.")
    draw = np.random.default_rng(whole_number(seed, "seed", least=0))
    drawn = means[draw.integers(len(means), size=(RESAMPLES, len(means)))].mean(1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(means.mean()), float(low), float(high), len(means))


def _by_photo(numbers: np.ndarray, names: Iterable[object]) -> np.ndarray:
    groups: dict[object, list[float]] = defaultdict(list)
    for name, number in zip(names, numbers.tolist(), strict=True):
        groups[name].append(number)
    return np.array([np.mean(group) for group in groups.values()])
