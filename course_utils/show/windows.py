"""Diagrams of windows on rows of cells: sliding, pooled, transposed, and stacked into a receptive field.

Input and output cells are blue like all activations, windows green like all weights. Padding is white
with a dashed outline and marked p; cells that no window reads, padding too, are hatched.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.shapes import conv_size, pool_size, transposed_conv_size

from .figures import canvas
from .plots import ACTIVATIONS, WEIGHTS

__all__ = ["draw_grids", "draw_pyramid", "draw_sliding", "draw_transposed"]

PADDING, UNREAD, UNREAD_PADDING, OTHER = "padding", "unread", "unread padding", "other"


def _cell(ax: Axes, x: float, y: float, text: str = "", kind: str = ACTIVATIONS, height: float = 1) -> None:
    """One cell, its top left corner at (x, y). ``kind`` is a color or one of the words above."""
    looks = {
        PADDING: {"facecolor": "white", "edgecolor": "0.4", "linestyle": "--"},
        UNREAD: {"facecolor": "0.95", "edgecolor": "0.6", "hatch": "///"},
        UNREAD_PADDING: {"facecolor": "white", "edgecolor": "0.6", "linestyle": "--", "hatch": "///"},
        OTHER: {"facecolor": "0.88", "edgecolor": "white"},
    }
    look = looks.get(kind, {"facecolor": kind, "edgecolor": "white"})
    ax.add_patch(patches.Rectangle((x + 0.04, y), 0.92, height, linewidth=1, **look))
    color = "white" if kind not in looks else "black"
    ax.text(x + 0.5, y + height / 2, text, ha="center", va="center", color=color, fontsize=11)


def _kind(inside: bool, read: bool) -> str:
    """How a cell of the padded input looks, as ``_cell`` takes it."""
    if inside:
        return ACTIVATIONS if read else UNREAD
    return PADDING if read else UNREAD_PADDING


def _taps(first: int, f: int, d: int) -> range:
    """The cells that a window reads which begins at cell ``first``."""
    return range(first, first + d * (f - 1) + 1, d)


def _cell_canvas(left: float, right: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure 10 inches wide at most, in which a cell is at most half an inch wide."""
    unit = min(0.5, 10 / (right - left))
    size = unit * (right - left), max(1.2, unit * (bottom + 1.2))
    figure, ax = canvas(*size, x=(left, right), y=(bottom, -1.2))
    ax.set_aspect("equal")
    return figure, ax


def draw_sliding(
    n: int, f: int, p: int = 0, s: int = 1, d: int = 1, *, pool: bool = False, ceil_mode: bool = False
) -> Figure:
    """Return a figure of all positions of a window: the row on top, one line a window, outputs at the right.

    Args:
        n, f, p, s, d: as in :func:`course_utils.shapes.conv_size`.
        pool: count windows by the rule for pooling.
        ceil_mode: of the pooling; a last window may then hang over the padded row.

    Raises:
        ValueError: no window fits.
    """
    out = pool_size(n, f, p, s, d, ceil_mode=ceil_mode) if pool else conv_size(n, f, p, s, d)
    windows = [_taps(i * s - p, f, d) for i in range(out)]
    end = max(n + p, windows[-1][-1] + 1)  # with ceil_mode a window may reach beyond the padding
    read = {cell for window in windows for cell in window}
    figure, ax = _cell_canvas(-p - 0.2, end + 5, out + 1.6)
    for x in range(-p, n + p):
        inside = 0 <= x < n
        _cell(ax, x, 0, str(x) if inside else "p", _kind(inside, x in read))
    ax.text(n / 2, -0.35, f"input, n = {n}", ha="center", va="bottom", fontsize=12)
    ax.text(end + 3, -0.35, f"output, {out}", ha="center", va="bottom", fontsize=12)
    for i, window in enumerate(windows):
        y = 1.5 + i
        ax.plot([window[0] + 0.5, end + 2.3], [y + 0.4, y + 0.4], color="0.75", linewidth=1, zorder=0)
        for x in window:
            _cell(ax, x, y, "", WEIGHTS, 0.8)
        ax.annotate("", (end + 2.5, y + 0.4), (end + 1.2, y + 0.4), arrowprops={"arrowstyle": "->"})
        _cell(ax, end + 2.5, y - 0.1, str(i), ACTIVATIONS)
    return figure


def draw_transposed(n: int, f: int, p: int = 0, s: int = 1, d: int = 1, output_padding: int = 0) -> Figure:
    """Return a figure of a transposed convolution: each input cell puts a window down, the output is their sum.

    Args:
        n, f, p, s, d, output_padding: as in :func:`course_utils.shapes.transposed_conv_size`. The p cells
            cut off at both ends are drawn like padding.

    Raises:
        ValueError: nothing is left after cutting.
    """
    out = transposed_conv_size(n, f, p, s, d, output_padding=output_padding)
    figure, ax = _cell_canvas(-p - 5, max(out + p, 1) + 0.2, n + 2.4)
    for i in range(n):
        window = _taps(i * s - p, f, d)
        _cell(ax, -p - 3, 0.2 + i - 0.1, str(i))
        ax.annotate("", (-p - 0.6, 0.6 + i), (-p - 1.9, 0.6 + i), arrowprops={"arrowstyle": "->"})
        ax.plot([-p - 0.6, window[-1] + 0.5], [0.6 + i, 0.6 + i], color="0.75", linewidth=1, zorder=0)
        for x in window:
            _cell(ax, x, 0.2 + i, "", WEIGHTS, 0.8)
    for x in range(-p, out + p - output_padding):
        inside = 0 <= x < out
        _cell(ax, x, n + 0.7, str(x) if inside else "cut", ACTIVATIONS if inside else PADDING)
    for x in range(max(out - output_padding, 0), out):
        _cell(ax, x, n + 0.7, str(x), ACTIVATIONS)
    ax.text(-p - 2.5, -0.35, f"input, n = {n}", ha="center", va="bottom", fontsize=12)
    ax.text(out / 2, -0.35, f"output, {out}", ha="center", va="bottom", fontsize=12)
    return figure


def draw_pyramid(layers: Sequence[tuple[int, int]], n: int, cell: int) -> Figure:
    """Return a figure of stacked layers without padding: one cell at the top and all that it sees below.

    Args:
        layers: (f, s) of each layer, the first layer first.
        n: cells of the input, drawn at the bottom.
        cell: which cell of the last map.

    Raises:
        ValueError: a layer's window does not fit, or there is no such cell.
    """
    sizes = [n]
    for f, s in layers:
        sizes.append(conv_size(sizes[-1], f, s=s))
    if not 0 <= cell < sizes[-1]:
        raise ValueError(f"cell = {cell} does not exist: the last map has cells 0 to {sizes[-1] - 1}.")
    seen = [(cell, cell)]
    for f, s in reversed(layers):
        first, last = seen[0]
        seen.insert(0, (first * s, last * s + f - 1))
    height = 2.0 * len(layers)
    figure, ax = _cell_canvas(-3.2, n + 0.2, height + 1.2)
    centers, step = 0.0, 1  # where cell 0 of this level stands, and how far apart its cells are
    for level, size in enumerate(sizes):
        y = height - 2.0 * level
        if level:
            f, s = layers[level - 1]
            below, old = (centers, step), seen[level - 1]
            centers, step = centers + (f - 1) / 2 * step, step * s
            low, high = (centers + step * k for k in seen[level])
            x = [low, high + 1, below[0] + below[1] * old[1] + 1, below[0] + below[1] * old[0]]
            ax.fill(x, [y + 1, y + 1, y + 2, y + 2], color=WEIGHTS, alpha=0.2, linewidth=0)
        for i in range(size):
            inside = seen[level][0] <= i <= seen[level][1]
            _cell(ax, centers + i * step, y, str(i), ACTIVATIONS if inside else OTHER)
        name = "input" if level == 0 else f"after f = {f}, s = {s}"
        ax.text(-0.3, y + 0.5, name, ha="right", va="center", fontsize=11)
    return figure


def draw_grids(height: int, width: int, f: tuple[int, int], s: int = 1, p: int = 0) -> Figure:
    """Return a figure of a window on an image of cells: where it begins, where it ends, and the output.

    Args:
        height, width: of the input, in cells.
        f: height and width of the window.
        s, p: stride and padding, the same along both axes.

    Raises:
        ValueError: no window fits.
    """
    rows, columns = conv_size(height, f[0], p, s), conv_size(width, f[1], p, s)
    figure, ax = _cell_canvas(-p - 0.2, width + p + 3 + columns, height + 2 * p + 0.2)
    read_rows, read_columns = (
        {i * s - p + k for i in range(out) for k in range(size)}
        for out, size in zip((rows, columns), f, strict=True)
    )
    for y in range(-p, height + p):
        for x in range(-p, width + p):
            inside = 0 <= y < height and 0 <= x < width
            kind = _kind(inside, y in read_rows and x in read_columns)
            _cell(ax, x, y + p + 0.04, "" if inside else "p", kind, 0.92)
    corners = [(0, 0, "-"), ((rows - 1) * s, (columns - 1) * s, "--")]
    for top, left, style in corners:
        ax.add_patch(
            patches.Rectangle((left - p, top), f[1], f[0], facecolor=WEIGHTS, alpha=0.45, linewidth=0)
        )
        for color, line in (("black", 4), ("white", 2)):
            ax.add_patch(
                patches.Rectangle((left - p, top), f[1], f[0], fill=False, edgecolor=color, linewidth=line,
                                  linestyle=style)
            )  # fmt: skip
    start = width + p + 2.5
    for y in range(rows):
        for x in range(columns):
            _cell(ax, start + x, y + 0.04, f"{y},{x}", ACTIVATIONS, 0.92)
    ax.text(width / 2, -0.2, f"input, {height} × {width}", ha="center", va="bottom", fontsize=12)
    ax.text(start + columns / 2, -0.2, f"output, {rows} × {columns}", ha="center", va="bottom", fontsize=12)
    return figure
