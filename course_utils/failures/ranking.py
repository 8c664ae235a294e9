"""Does a number tell one kind of mistake from another? The area under the ROC curve, with photographs drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_utils.arguments import whole_number
from course_utils.evidence import Interval

__all__ = ["auc", "auc_interval"]


def auc(values: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the share of pairs, one true and one not, in which the true one has the larger value; ties count half.

    1/2 is chance.

    Raises:
        ValueError: lists of two lengths, a value that is not finite, or no true one, or no other.
    """
    numbers, true = np.asarray(values, dtype=float), np.asarray(truth, dtype=bool)
    if numbers.ndim != 1 or numbers.shape != true.shape:
        raise ValueError(f"there must be one truth for each value, got {numbers.shape} and {true.shape}.")
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite: leave out what has none, and say how many.")
    if true.all() or not true.any():
        raise ValueError(f"of {len(true)} cases {int(true.sum())} are true: it takes both kinds to compare.")
    difference = numbers[true][:, None] - numbers[~true][None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def auc_interval(
    values: Sequence[float], truth: Sequence[bool], photos: Sequence[str], draws: int = 2000, seed: int = 0
) -> Interval:
    """Return the AUC with a 95% bootstrap interval: photographs are drawn anew, each with all of its cases.

    The mean is the AUC of all cases. Drawings in which all cases are of one kind are left out.

    Args:
        values, truth: as for :func:`auc`.
        photos: the photograph of each case.
        draws: how many drawings.
        seed: for the drawings.

    Raises:
        ValueError: as :func:`auc`, fewer than two photographs, or lists of two lengths.
    """
    numbers, true = np.asarray(values, dtype=float), np.asarray(truth, dtype=bool)
    whole = auc(numbers, true)
    names = sorted(set(photos))
    if len(photos) != len(numbers) or len(names) < 2:
        raise ValueError(
            f"{len(numbers)} cases need the name of a photograph each, and two different ones at least; got "
            f"{len(photos)} names, {len(names)} different ones."
        )
    of_photo = [np.flatnonzero(np.asarray(photos) == name) for name in names]
    draw = np.random.default_rng(whole_number(seed, "seed", 0))
    found = []
    for _ in range(whole_number(draws, "draws", 1)):
        rows = np.concatenate([of_photo[n] for n in draw.integers(len(names), size=len(names))])
        if true[rows].any() and not true[rows].all():
            found.append(auc(numbers[rows], true[rows]))
    low, high = np.quantile(found or [whole], [0.025, 0.975])
    return Interval(whole, float(low), float(high), len(names))
