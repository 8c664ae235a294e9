"""Whole diagrams: the course (notebook 00), modules and hooks (02), a pooled head (03), three rules at a ReLU (05).

Forward numbers, and the hooks that get them, are blue; gradients, and backward hooks, orange; weights green.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .figures import canvas
from .plots import ACTIVATIONS, GRADIENTS, PALETTE, WEIGHTS, draw_cell

__all__ = ["NOTEBOOKS", "ROUTES", "RULES", "draw_chain", "draw_course", "draw_pooled_head", "draw_relu_rules"]


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)


# --- modules in a row, and their hooks

_MARGIN, _GAP = 0.85, 0.4  # in inches


def draw_chain(
    modules: Sequence[str], forward: Collection[str] = (), backward: Collection[str] = ()
) -> Figure:
    """Return a diagram of modules in a row: activations run right above them, gradients left below.

    Args:
        modules: the names in the order in which they run, at most six.
        forward: names of the modules that carry a forward hook.
        backward: names of the modules that carry a full backward hook.

    Raises:
        ValueError: more than six modules; a hook on a module that is not in the row.
    """
    if not 1 <= len(modules) <= 6:
        raise ValueError(f"the row has room for one to six modules, got {len(modules)}.")
    for name in (*forward, *backward):
        if name not in modules:
            raise ValueError(f"there is no module {name!r} in the row; there are {', '.join(modules)}.")
    figure, ax = canvas(10, 2.2, y=(-1.1, 1.1))
    box = (10 - 2 * _MARGIN - _GAP * (len(modules) + 1)) / len(modules)
    pitch = box + _GAP
    first = _MARGIN + _GAP / 2  # the middle of the first gap
    ax.text(_MARGIN - 0.1, 0, "image x", ha="right", va="center")
    for place, name in enumerate(modules):
        before, behind = first + pitch * place, first + pitch * (place + 1)
        left = before + _GAP / 2
        ax.add_patch(patches.Rectangle((left, -0.22), box, 0.44, facecolor="0.93", edgecolor="0.3"))
        ax.text(left + box / 2, 0, name, ha="center", va="center")
        _arrows(ax, before)
        # A hook sits at the module's output, between this box and the next.
        if name in forward:
            _hook(ax, behind, 0.1, "forward hook gets A", ACTIVATIONS)
        if name in backward:
            _hook(ax, behind, -0.1, "backward hook gets ∂y/∂A", GRADIENTS)
    _arrows(ax, first + pitch * len(modules))
    ax.text(10 - _MARGIN + 0.1, 0, "score y", va="center")
    return figure


def _arrows(ax: Axes, x: float) -> None:
    """Draw the two arrows in the gap around x: forward above, backward below."""
    for y, side, color in ((0.1, 1, ACTIVATIONS), (-0.1, -1, GRADIENTS)):
        _arrow(ax, (x - 0.17 * side, y), (x + 0.17 * side, y), color)


def _hook(ax: Axes, x: float, y: float, words: str, color: str) -> None:
    """Draw a dot on an arrow and a line from it to a label above (y > 0) or below."""
    side = 1 if y > 0 else -1
    ax.plot([x, x], [y, 0.75 * side], color=color, linewidth=2)
    ax.plot(x, y, "o", color=color, markersize=8)
    box = {"facecolor": "white", "edgecolor": color, "linewidth": 2, "boxstyle": "round"}
    ax.text(x, 0.85 * side, words, ha="center", va="center", bbox=box)


# --- a head of global average pooling and one linear layer

# Okabe and Ito's orange is too light for letters on white; their vermilion is not.
_ORANGE = "#B85C00"
_CELLS, _POOLED, _SCORE = 0.7, 5.4, 9.0  # left edge of the cells, middles of the circles


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
    figure, ax = canvas(10, 4.4)
    for k, middle in enumerate((3.3, 1.1)):
        index = "₁₂"[k]
        _cells(ax, activations[k].numpy(), middle, f"A{'¹²'[k]}")
        _circle(ax, (_POOLED, middle), f"F{index}\n{pooled[k]:g}", ACTIVATIONS)
        _labeled_arrow(ax, (2.35, middle + 0.15), (_POOLED - 0.5, middle + 0.15), "mean over Z cells")
        back = f"∂y/∂A{'¹²'[k]} = {weights[k]:g} / {cells} in every cell"
        _labeled_arrow(ax, (_POOLED - 0.5, middle - 0.15), (2.35, middle - 0.15), back, _ORANGE, below=True)
        toward = 0.35 * (2.2 - middle)
        start, end = (_POOLED + 0.5, middle + toward / 5), (_SCORE - 0.65, 2.2 - toward)
        _labeled_arrow(ax, start, end, f"× w{index} = {weights[k]:g}", color=WEIGHTS)
        start, end = ((x, y - 0.3) for x, y in (start, end))
        _labeled_arrow(ax, end, start, f"∂y/∂F{index} = {weights[k]:g}", _ORANGE, below=True)
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
        draw_cell(ax, corner, (side, side), f"{value:g}", ACTIVATIONS, shade)
    ax.text(left - 0.15, middle, name, ha="right", va="center")


def _circle(ax: Axes, place: tuple[float, float], text: str, color: str, radius: float = 0.42) -> None:
    ax.add_patch(patches.Circle(place, radius, facecolor="white", edgecolor=color, linewidth=2))
    ax.text(*place, text, ha="center", va="center")


def _labeled_arrow(
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


# --- three backward rules at a ReLU

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
    figure, ax = canvas(10, 4.1, y=(4.1, 0))  # rows run down the page
    forward = [("z, into the ReLU", list(inputs)), ("ReLU(z), out of it", [max(z, 0.0) for z in inputs])]
    for row, (name, values) in enumerate(forward):
        _row(ax, 0.25 + row * _ROW, name, [_short(v) for v in values], values, ACTIVATIONS)
    _row(ax, 1.4, "g, the gradient from above", [_short(g) for g in above], above, GRADIENTS)
    for row, (name, rule) in enumerate(RULES.items()):
        values = [rule(z, g) for z, g in zip(inputs, above, strict=True)]
        words = [_in_cell(v, _stopped_by(name, z, g)) for v, z, g in zip(values, inputs, above, strict=True)]
        _row(ax, 2.25 + row * _ROW, f"{name}: {_FORMULAS[name]}", words, values, GRADIENTS)
    middle = _LEFT + _CELL * len(inputs) / 2
    _arrow(ax, (middle, 1.95), (middle, 2.2), GRADIENTS)
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


def _in_cell(value: float, stopped_by: str) -> str:
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
        draw_cell(ax, corner, (_CELL, _ROW), word, face, shade)


# --- the course as a map

# Of each notebook: what is written into its box, the notebooks that it needs, its column and its row from the top. What
# those need, it needs as well, so that arrow is left out.
NOTEBOOKS: dict[str, tuple[str, tuple[str, ...], int, int]] = {
    "00": ("Start\nhere", (), 0, 2),
    "01": ("Output\nsizes", ("00",), 1, 1),
    "02": ("Hooks", ("00",), 1, 3),
    "03": ("CAM to\nGrad-CAM", ("02",), 2, 3),
    "04": ("Grad-CAM", ("03",), 3, 2),
    "05": ("Guided\nbackprop", ("04",), 4, 0),
    "06": ("Counter-\nfactuals", ("04",), 4, 2),
    "07": ("Localization", ("04",), 4, 1),
    "08": ("Segmentation", ("07",), 5, 1),
    "09": ("Failure\nmodes", ("05", "06"), 5, 2),
    "10": ("Adversarial\nexamples", ("04",), 4, 3),
    "11": ("Dataset\nbias", ("06",), 5, 3),
    "12": ("Chest\nradiographs", ("04",), 4, 4),
    "13": ("Captions,\nquestions", ("06",), 5, 4),
    "14": ("Explain\nyour own", ("05", "06", "07"), 5, 0),
}
# Stations in order; behind a colon, the sections.
ROUTES: dict[str, tuple[str, ...]] = {
    "evenings, one each": tuple(NOTEBOOKS),
    "workshop, 3 hours": ("00: 1, 4", "04: 1, 2", "03: 2", "06: 1", "12: 3, 4"),
    "lecture, 90 minutes": ("00: 1", "04: 1, 2", "03: 2 to 4", "04: 4, 6, 9", "12: 6"),
}
_COLUMNS, _WIDE, _HIGH, _PITCH = (0.05, 1.7, 3.35, 5.0, 6.65, 8.6), 1.35, 0.82, 0.95  # in inches


def draw_course() -> Figure:
    """Return a map of the course: a box for each notebook, an arrow to each that needs it, and below three routes.

    A stripe at the left of a box, in a route's color, says that the route stops there; the evenings stop everywhere.
    """
    colors = dict(zip(ROUTES, (PALETTE[0], PALETTE[1], PALETTE[2]), strict=True))
    figure, ax = canvas(10, 6.5)
    corners = {name: (_COLUMNS[box[2]], 5.65 - _PITCH * box[3]) for name, box in NOTEBOOKS.items()}
    for name, (title, needs, _, _) in NOTEBOOKS.items():
        left, low = corners[name]
        for other in needs:
            start = corners[other]
            _arrow(ax, (start[0] + _WIDE, start[1] + _HIGH / 2), (left, low + _HIGH / 2), "0.45")
        ax.add_patch(patches.Rectangle((left, low), _WIDE, _HIGH, facecolor="0.95", edgecolor="0.3"))
        ax.text(left + 0.12, low + _HIGH - 0.05, name, va="top", weight="bold")
        ax.text(left + _WIDE / 2 + 0.05, low + 0.29, title, ha="center", va="center", linespacing=1)
    for place, (route, stations) in enumerate(ROUTES.items()):
        middle = 1.3 - 0.5 * place
        ax.text(2.15, middle, route, ha="right", va="center")
        ax.plot([2.4, 9.9], [middle, middle], color=colors[route], linewidth=3, zorder=0)
        room = (9.9 - 2.4) / len(stations)
        for number, station in enumerate(stations):
            box = {"facecolor": "white", "edgecolor": colors[route], "boxstyle": "round,pad=0.2"}
            ax.text(2.4 + room * (number + 0.5), middle, station, ha="center", va="center", bbox=box)
            left, low = corners[station[:2]]
            stripe = (left, low + _HIGH * (2 - place) / 3)
            ax.add_patch(patches.Rectangle(stripe, 0.09, _HIGH / 3, facecolor=colors[route]))
    return figure
