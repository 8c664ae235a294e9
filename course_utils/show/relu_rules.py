"""Drawing for the notebook on guided backpropagation: three backward rules at one ReLU, with their numbers.

Forward numbers are blue, gradients orange. A zero says which sign has stopped the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import without_axes
from .plots import ACTIVATIONS, GRADIENTS

__all__ = ["RULES", "draw_relu_rules"]

# From z, the number that went into the ReLU, and g, the gradient that comes from above. The gradient is autograd's
# (arXiv 1312.6034); deconvnet: arXiv 1311.2901; guided: arXiv 1412.6806.
RULES: dict[str, Callable[[float, float], float]] = {
    "gradient": lambda z, g: g if z > 0 else 0.0,
    "deconvnet": lambda z, g: max(g, 0.0),
    "guided": lambda z, g: max(g, 0.0) if z > 0 else 0.0,
}
_LOOKS_AT = {"gradient": "z", "deconvnet": "g", "guided": "zg"}
_FORMULAS = {"gradient": "g · [z > 0]", "deconvnet": "ReLU(g)", "guided": "ReLU(g) · [z > 0]"}
_LEFT, _CELL, _ROW = 4.0, 1.3, 0.5  # in inches
_HEIGHT = 4.1


def draw_relu_rules(inputs: Sequence[float], above: Sequence[float]) -> Figure:
    """Return a diagram: what went into a ReLU, the gradient from above, and what each rule hands down.

    Args:
        inputs: z, at most four numbers.
        above: g, as many.

    Raises:
        ValueError: not one to four numbers, or not as many of both.
    """
    if not 1 <= len(inputs) <= 4 or len(inputs) != len(above):
        raise ValueError(
            f"the diagram has room for one to four numbers z and as many g, got {len(inputs)} and {len(above)}."
        )
    figure, ax = plt.subplots(
        figsize=(10, _HEIGHT), gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1}
    )
    ax.set(xlim=(0, 10), ylim=(_HEIGHT, 0))  # one unit is one inch; rows run down the page
    without_axes(ax)
    forward = [("z, into the ReLU", list(inputs)), ("ReLU(z), out of it", [max(z, 0.0) for z in inputs])]
    for row, (name, values) in enumerate(forward):
        _row(ax, 0.25 + row * _ROW, name, [_short(v) for v in values], values, ACTIVATIONS)
    _row(ax, 1.4, "g, the gradient from above", [_short(g) for g in above], above, GRADIENTS)
    for row, (name, rule) in enumerate(RULES.items()):
        values = [rule(z, g) for z, g in zip(inputs, above, strict=True)]
        words = [_cell(v, _stopped_by(name, z, g)) for v, z, g in zip(values, inputs, above, strict=True)]
        _row(ax, 2.25 + row * _ROW, f"{name}: {_FORMULAS[name]}", words, values, GRADIENTS)
    middle = _LEFT + _CELL * len(inputs) / 2
    arrow = {"arrowstyle": "-|>", "color": GRADIENTS, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (middle, 2.2), (middle, 1.95), arrowprops=arrow)
    ax.text(_LEFT - 0.2, 3.9, "handed down, by rule", ha="right", va="center", style="italic")
    ax.text(_LEFT, 3.9, "in brackets: the sign that stopped the gradient", va="center", style="italic")
    return figure


def _stopped_by(rule: str, z: float, g: float) -> str:
    """Say which of the numbers that a rule looks at has stopped the gradient; empty if none has."""
    reasons = []
    if "z" in _LOOKS_AT[rule] and z <= 0:
        reasons.append("z")
    if "g" in _LOOKS_AT[rule] and g < 0:
        reasons.append("g")
    return ", ".join(reasons)


def _cell(value: float, stopped_by: str) -> str:
    return f"0  ({stopped_by})" if stopped_by else _short(value)


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _row(ax: Axes, top: float, name: str, words: list[str], values: Sequence[float], color: str) -> None:
    ax.text(_LEFT - 0.2, top + _ROW / 2, name, ha="right", va="center")
    largest = max((abs(v) for v in values), default=0) or 1.0
    for column, (word, value) in enumerate(zip(words, values, strict=True)):
        corner = (_LEFT + column * _CELL, top)
        face = color if value >= 0 else "0.4"
        shade = 0.6 * abs(value) / largest
        ax.add_patch(patches.Rectangle(corner, _CELL, _ROW, facecolor=face, alpha=shade, edgecolor="none"))
        ax.add_patch(patches.Rectangle(corner, _CELL, _ROW, fill=False, edgecolor="0.5"))
        ax.text(corner[0] + _CELL / 2, top + _ROW / 2, word, ha="center", va="center")
