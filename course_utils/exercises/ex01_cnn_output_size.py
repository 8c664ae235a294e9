"""Exercises of notebook 01: output sizes and receptive fields."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from .engine import exercise
from .progress import progress as progress

__all__ = ["clipped_window", "output_size", "receptive_field", "same_padding"]


# ---------------------------------------------------------------- Exercise 1
def _counted_by_torch(n, f, p, s):
    """Length of what PyTorch's own convolution returns."""
    return F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, f), padding=p, stride=s).shape[-1]


def _draw_sizes(rng):
    fixed = [(7, 3, 0, 1), (8, 3, 0, 2), (224, 7, 3, 2), (5, 5, 0, 1)]
    return fixed + [
        (int(rng.integers(8, 40)), int(rng.integers(1, 8)), int(rng.integers(4)), int(rng.integers(1, 5)))
        for _ in range(40)
    ]


@exercise(
    "Return the number of positions of a window of f cells on a row of n cells with p cells of padding on each side, "
    "in steps of s.",
    inputs=_draw_sizes,
    reference=_counted_by_torch,
    hints="""
        How long is the row with its padding, and how far can the window move from its first position?
        The window moves by n + 2p - f cells at most, in steps of s. Whole steps only: Python's // rounds down.
        The first position needs no step: add 1 for it, after the division.
    """,
    mistakes="""
        -(-(n + 2 * p - f) // s) + 1
            You rounded up: the formula floors. A last step that is too short for s leads to no window.
        round((n + 2 * p - f) / s) + 1
            You rounded to the nearest whole number. A step that is too short for s leads to no window, however little
            is missing: round down.
        round((n + 2 * p - f) / s + 1)
            round() goes to the nearest whole number (and from halves to the even one). The formula rounds down: use //
            for the division.
        (n + 2 * p - f) // s
            You counted the steps; the positions are one more, because the first needs no step.
        (n + p - f) // s + 1
            You added the padding once; it stands on both sides.
        (n + 2 * p - f) / s + 1
            You divided without rounding down, and got fractions of a window: use // in place of /.
        (n + 2 * p - f + 1) // s
            Your 1 is inside the division. That counts steps of s among all positions; the first position is free:
            divide first, then add 1.
    """,
)
def output_size(n, f, p, s):
    return (n + 2 * p - f) // s + 1


# ---------------------------------------------------------------- Exercise 2
def _padding_by_trial(f, d):
    """The padding for which PyTorch returns as many cells as it was given."""
    row, window = torch.zeros(1, 1, 50), torch.zeros(1, 1, f)
    for p in range(60):
        if F.conv1d(F.pad(row, (p, p)), window, dilation=d).shape[-1] == 50:
            return p
    raise AssertionError("an odd window always has such a padding")


@exercise(
    "Return the padding p that keeps the size (s = 1) for a window of f cells, f odd, with dilation d.",
    inputs=lambda rng: [(f, d) for f in (1, 3, 5, 7, 11) for d in (1, 2, 3)],
    reference=_padding_by_trial,
    hints="""
        Put output size n and s = 1 into the formula with dilation. The n on both sides cancels.
        What remains is 2p = d(f - 1).
    """,
    mistakes="""
        f // 2
            Right for d = 1. A dilated window reaches further: over d(f - 1) + 1 cells in place of f.
        d * (f - 1)
            That is the padding of both sides together; p stands on each side.
        d * f // 2
            You took d f for the reach. Dilation widens the f - 1 gaps between the cells, not the cells.
        (d * (f - 1) + 1) // 2 + 1
            One too many: with this padding the output grows by 2. Solve n + 2p - d(f - 1) = n for p.
    """,
)
def same_padding(f, d):
    return d * (f - 1) // 2


# ---------------------------------------------------------------- Exercise 3
def _seen_in_gradient(layers):
    """Number of pixels with a gradient for one cell, when all weights are 1 and nothing is padded."""
    row = torch.zeros(1, 1, 400, dtype=torch.double, requires_grad=True)
    out = row
    for f, s in layers:
        out = F.conv1d(out, torch.ones(1, 1, f, dtype=torch.double), stride=s)
    out[0, 0, 0].backward()
    pixels = row.grad[0, 0].nonzero().flatten()
    return int(pixels[-1] - pixels[0]) + 1


def _draw_layers(rng):
    """Lists of (f, s) with f >= s, so that the windows leave no gaps."""
    lists = [[(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(2, 2), (2, 2), (3, 1)]]
    for _ in range(12):
        strides = rng.integers(1, 3, size=int(rng.integers(2, 6)))
        lists.append([(int(s + rng.integers(0, 4)), int(s)) for s in strides])
    return [(layers,) for layers in lists]


def _strides_before(layers):
    """How far apart the cells are that each layer reads, in pixels."""
    return [math.prod(s for _, s in layers[:k]) for k in range(len(layers))]


def _downward_rule_upward(layers):
    size = 1
    for f, s in layers:
        size = (size - 1) * s + f
    return size


@exercise(
    "Return how many pixels wide one cell's window is after a list of layers (f, s), the first layer first.",
    inputs=_draw_layers,
    reference=_seen_in_gradient,
    hints="""
        Keep two numbers: the size, and how far apart neighboring cells are, both in pixels. Both begin as 1.
        A window of f cells spans f - 1 gaps between neighbors. How wide is a gap, in pixels, on the map that this layer
            reads?
        size = size + (f - 1) * stride, and only then stride = stride * s.
    """,
    mistakes="""
        1 + sum(f - 1 for f, _ in layers)
            You added up the windows as if neighboring cells were always one pixel apart. After a layer with stride s
            they are s times as far apart.
        1 + sum((f - 1) * s * stride for (f, s), stride in zip(layers, _strides_before(layers)))
            You multiplied by the layer's own stride too early. Its window lies on the map below, whose cells are as far
            apart as the strides before it say; change the stride after the size.
        1 + sum((f - 1) * s for f, s in layers)
            You multiplied each window by its own layer's stride alone. What counts is how far apart the cells are that
            it reads: the product of the strides of all layers before it.
        1 + sum((f - 1) * before for (f, _), (_, before) in zip(layers, [(1, 1), *layers]))
            You replaced the stride by the layer's own. Strides multiply: after two layers with stride 2, neighboring
            cells are 4 pixels apart.
        _downward_rule_upward(layers)
            (size - 1) * s + f is right on the way down, from the cell to the pixels: then the last layer comes first.
            Go through reversed(layers), or keep size and stride on the way up.
        math.prod(f for f, _ in layers)
            You multiplied the windows as if they did not overlap. Two windows of 3 with stride 1 see 5 pixels, not 9:
            draw them.
        1 + sum(f * stride for (f, _), stride in zip(layers, _strides_before(layers)))
            You added f gaps for each layer. From the first to the last of f cells there are f - 1.
    """,
)
def receptive_field(layers):
    size, stride = 1, 1
    for f, s in layers:
        size = size + (f - 1) * stride
        stride = stride * s
    return size


# ---------------------------------------------------------------- Exercise 4
def _window_in_gradient(layers, i, n):
    """First pixel with a gradient for cell i, and one past the last."""
    row = torch.zeros(1, 1, n, dtype=torch.double, requires_grad=True)
    net = nn.Sequential(*(nn.Conv1d(1, 1, f, s, p, bias=False).double() for f, s, p in layers))
    for weight in net.parameters():
        nn.init.ones_(weight)
    net(row)[0, 0, i].backward()
    pixels = row.grad[0, 0].nonzero().flatten()
    return int(pixels[0]), int(pixels[-1]) + 1


def _draw_cells(rng):
    """Layers whose last window ends exactly at the end of the padded row: no pixel is skipped.

    The first are small enough to be worked by hand, should an answer fail on them.
    """
    by_hand = [([(3, 1, 1)], i, 5) for i in (0, 2, 4)] + [([(2, 2, 0)], 1, 6), ([(3, 2, 1)], 1, 5)]
    net = [(3, 1, 1), (2, 2, 0), (3, 1, 1), (2, 2, 0), (3, 1, 1)]
    cells = [(net, i, 32) for i in range(8)]
    cells += [([(3, 1, 1), (5, 2, 2), (3, 1, 1)], i, 17) for i in (0, 1, 4, 8)]
    # Stacks that are others from behind, so that the order of the layers shows.
    cells += [([(7, 2, 3), (3, 1, 1)], i, 13) for i in (0, 1, 3, 6)]
    cells += [([(3, 1, 0), (2, 2, 0), (5, 1, 2)], i, 12) for i in (0, 2, 4)]
    return by_hand + cells


def _whole(layers, i):
    size, stride, start = 1, 1, 0
    for f, s, p in layers:
        size = size + (f - 1) * stride
        start = start - p * stride
        stride = stride * s
    return start + i * stride, start + i * stride + size


def _cut(first, stop, n):
    return max(first, 0), min(stop, n)


def _stop_from_cut_first(layers, i, n):
    first, stop = _whole(layers, i)
    return _cut(first, max(first, 0) + stop - first, n)


def _padding_in_pixels(layers, i, n):
    shift = _whole(layers, 0)[0] + sum(p for _, _, p in layers)
    return _cut(*(edge - shift for edge in _whole(layers, i)), n)


@exercise(
    "Return (first, stop): cell i sees the pixels row[first:stop] of a row of n, after layers (f, s, p).",
    inputs=_draw_cells,
    reference=_window_in_gradient,
    hints="""
        Begin as in exercise 3, with a third number: the first pixel of cell 0's window, at first 0. What does padding
            do to it?
        Padding of p cells moves the first pixel to the left by p gaps: by p times the stride so far.
        Cell i's window begins i strides further on. At the end, cut both numbers to the row: max with 0, min with n.
    """,
    mistakes="""
        _whole(layers, i)
            You returned the whole window. Near the border part of it lies in the padding: cut it to 0 ... n.
        _cut(*_whole([(f, s, 0) for f, s, _ in layers], i), n)
            Your windows lie as if there were no padding: it was left out, or cut to 0 before the cell's place was
            added. It moves every window to the left, by p times the stride so far.
        _stop_from_cut_first(layers, i, n)
            At the left border your windows end too far to the right: you cut first to 0 and then added the size to it.
            Compute stop from the whole window, then cut both.
        _cut(*(edge + i for edge in _whole(layers, 0)), n)
            You moved cell i's window by i pixels. Neighboring cells are as many pixels apart as all strides multiplied.
        _cut(*_whole([(f, s, -p) for f, s, p in layers], i), n)
            Your padding moves the windows to the right. It stands before pixel 0, so it moves them to the left.
        _padding_in_pixels(layers, i, n)
            You subtracted p pixels for each layer. p counts cells of the map that the layer reads, and these are as
            many pixels apart as the strides before it say.
        _cut(*((i + k) * math.prod(s for _, s, _ in layers) for k in (0, 1)), n)
            That is the patch of the image under which the cell is drawn. The window that it sees is wider: neighboring
            windows overlap.
        (clipped_window(layers, i, n)[0], clipped_window(layers, i, n)[1] - 1)
            Your second number is the last pixel itself. In row[first:stop], as in every Python slice, stop is one
            further.
        _cut(_whole(layers, i)[0], _whole(layers, i)[1] - 1, n)
            Except at the right border, your second number is the last pixel itself. stop is one further: first plus the
            size of the window.
    """,
)
def clipped_window(layers, i, n):
    size, stride, start = 1, 1, 0
    for f, s, p in layers:
        size = size + (f - 1) * stride
        start = start - p * stride
        stride = stride * s
    first = start + i * stride
    return max(first, 0), min(first + size, n)
