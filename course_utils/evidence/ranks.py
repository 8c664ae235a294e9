"""Do two maps put their cells in the same order?"""

from __future__ import annotations

from torch import Tensor

__all__ = ["rank_correlation"]


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two maps of one shape; ties share a rank; NaN where a map is flat.

    Raises:
        ValueError: maps of two shapes.
    """
    if a.shape != b.shape:
        raise ValueError(f"maps of shape {tuple(a.shape)} and {tuple(b.shape)} have no cells in common.")
    if any(each.min() == each.max() for each in (a, b)):
        return float("nan")
    from scipy.stats import spearmanr  # here, since importing it takes nearly a second

    return float(spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic)
