"""Drawing for the notebook on CAM: a head of global average pooling and one linear layer, with its numbers.

Activations are blue, weights green, gradients orange. Black arrows run forward, orange ones backward.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .figures import without_axes
from .plots import ACTIVATIONS, WEIGHTS

__all__ = ["draw_pooled_head"]

# Okabe and Ito's orange is too light for letters on white; their vermilion is not.
_ORANGE = "#B85C00"
_CELLS, _POOLED, _SCORE = 0.7, 5.4, 9.0  # left edge of the cells, middles of the circles, in inches


def draw_pooled_head(activations: Tensor, weights: Tensor, bias: float) -> Figure:
    """Return a diagram of y = sum_k w_k F_k + b with F_k = mean of A^k, and of the gradients on the way back.

    Args:
        activations: (2, h, w), small enough to write its numbers into cells.
        weights: (2,), of one class.
        bias: of this class.

    Raises:
        ValueError: other shapes.
    """
    if activations.ndim != 3 or len(activations) != 2 or weights.shape != (2,):
        raise ValueError(
            f"the diagram has room for activations (2, h, w) and weights (2,), got {tuple(activations.shape)} and "
            f"{tuple(weights.shape)}."
        )
    pooled = activations.mean((1, 2))
    cells = activations[0].numel()
    figure, ax = plt.subplots(figsize=(10, 4.4), gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1})
    ax.set(xlim=(0, 10), ylim=(0, 4.4), aspect="equal")  # one unit is one inch
    without_axes(ax)
    for k, middle in enumerate((3.3, 1.1)):
        index = "₁₂"[k]
        _cells(ax, activations[k].numpy(), middle, f"A{'¹²'[k]}")
        _circle(ax, (_POOLED, middle), f"F{index}\n{pooled[k]:g}", ACTIVATIONS)
        _arrow(ax, (2.35, middle + 0.15), (_POOLED - 0.5, middle + 0.15), "mean over Z cells")
        back = f"∂y/∂A{'¹²'[k]} = {weights[k]:g} / {cells} in every cell"
        _arrow(ax, (_POOLED - 0.5, middle - 0.15), (2.35, middle - 0.15), back, _ORANGE, below=True)
        toward = 0.35 * (2.2 - middle)
        start, end = (_POOLED + 0.5, middle + toward / 5), (_SCORE - 0.65, 2.2 - toward)
        _arrow(ax, start, end, f"× w{index} = {weights[k]:g}", color=WEIGHTS)
        start, end = ((x, y - 0.3) for x, y in (start, end))
        _arrow(ax, end, start, f"∂y/∂F{index} = {weights[k]:g}", _ORANGE, below=True)
    score = float(weights @ pooled) + bias
    _circle(ax, (_SCORE, 2.2), f"y\n{score:g}", "black", radius=0.5)
    ax.text(_SCORE, 1.55, f"+ b = {bias:g}", ha="center", va="top")
    return figure


def _cells(ax: Axes, values: np.ndarray, middle: float, name: str) -> None:
    side = 1.5 / max(values.shape)
    left, top = _CELLS, middle + side * values.shape[0] / 2
    for (row, column), value in np.ndenumerate(values):
        corner = (left + column * side, top - (row + 1) * side)
        shade = 0.75 * abs(value) / (np.abs(values).max() or 1)
        ax.add_patch(patches.Rectangle(corner, side, side, facecolor=ACTIVATIONS, alpha=shade))
        ax.add_patch(patches.Rectangle(corner, side, side, fill=False, edgecolor="0.5"))
        ax.text(corner[0] + side / 2, corner[1] + side / 2, f"{value:g}", ha="center", va="center")
    ax.text(left - 0.15, middle, name, ha="right", va="center")


def _circle(ax: Axes, place: tuple[float, float], text: str, color: str, radius: float = 0.42) -> None:
    ax.add_patch(patches.Circle(place, radius, facecolor="white", edgecolor=color, linewidth=2))
    ax.text(*place, text, ha="center", va="center")


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str,
    color: str = "black",
    below: bool = False,
) -> None:
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.5}
    ax.annotate("", end, start, arrowprops=style)
    slope = np.degrees(np.arctan2(end[1] - start[1], end[0] - start[0]))
    slope = slope - 180 if slope > 90 else slope + 180 if slope < -90 else slope
    ax.text(
        (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (-0.07 if below else 0.07), text, color=color,
        ha="center", va="top" if below else "bottom", rotation=slope, rotation_mode="anchor",
    )  # fmt: skip
