"""Drawings for the notebook on hooks: a chain of modules with its hooks, and one channel of a layer.

Activations, and the forward hooks that get them, are blue; gradients, and the backward hooks, orange.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from .figures import without_axes
from .plots import ACTIVATIONS, GRADIENTS, SIGNED_MAP, as_image

__all__ = ["ACTIVATION_MAP", "color_limit", "draw_chain", "draw_channel"]

# White at zero, blue above; below zero (layers without a ReLU at their end) gray.
ACTIVATION_MAP = LinearSegmentedColormap.from_list("activations", ["#4D4D4D", "white", ACTIVATIONS])

# Of the diagram, in inches; its width is 10.
_HEIGHT, _MARGIN, _GAP = 2.2, 0.85, 0.4


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
    figure, ax = plt.subplots(figsize=(10, _HEIGHT))
    figure.subplots_adjust(0, 0, 1, 1)
    ax.set(xlim=(0, 10), ylim=(-_HEIGHT / 2, _HEIGHT / 2))  # one unit is one inch
    without_axes(ax)
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
        ax.annotate(
            "", xy=(x + 0.17 * side, y), xytext=(x - 0.17 * side, y),
            arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _hook(ax: Axes, x: float, y: float, words: str, color: str) -> None:
    """Draw a dot on an arrow and a line from it to a label above (y > 0) or below."""
    side = 1 if y > 0 else -1
    ax.plot([x, x], [y, 0.75 * side], color=color, linewidth=2)
    ax.plot(x, y, "o", color=color, markersize=8)
    box = {"facecolor": "white", "edgecolor": color, "linewidth": 2, "boxstyle": "round"}
    ax.text(x, 0.85 * side, words, ha="center", va="center", bbox=box)


def color_limit(values: Tensor | np.ndarray) -> float:
    """Return the absolute value at which the colors of a channel end: 1% of its cells may lie beyond.

    Early layers have a few gradients many times as large as all others, which would leave the rest of
    the picture white.
    """
    sizes = np.abs(np.asarray(values))
    return float(np.quantile(sizes, 0.99, method="higher")) or float(sizes.max()) or 1.0


def draw_channel(ax: Axes, values: Tensor | np.ndarray, title: str = "", *, gradient: bool = False) -> None:
    """Draw one channel (h, w) of a layer, cell by cell, on a scale that is white at zero.

    Activations are blue where positive and gray where negative; gradients orange and purple. Each
    picture has its own scale, which ends at :func:`color_limit`.
    """
    array = as_image(values)
    if array.ndim != 2:
        raise ValueError(f"one channel has shape (h, w), got {array.shape}: pick one, `activations[0, k]`.")
    limit = color_limit(array)
    colors = SIGNED_MAP if gradient else ACTIVATION_MAP
    ax.imshow(array, cmap=colors, vmin=-limit, vmax=limit)
    ax.set_title(title)
    # A frame, because a channel that is zero at its border would melt into the page.
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="0.7")
