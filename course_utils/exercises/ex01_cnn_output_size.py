"""Exercises of notebook 01: output sizes and receptive fields."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .engine import Exercise, Misconception
from .stack_mistakes import PLACE_MISTAKES, SIZE_MISTAKES

__all__ = ["clipped_window", "output_size", "receptive_field", "same_padding"]


# ---------------------------------------------------------------- Exercise 1
def _output_size(n, f, p, s):
    return (n + 2 * p - f) // s + 1


def _counted_by_torch(n, f, p, s):
    """Length of what PyTorch's own convolution returns."""
    return F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, f), padding=p, stride=s).shape[-1]


def _draw_sizes(rng):
    fixed = [(7, 3, 0, 1), (8, 3, 0, 2), (224, 7, 3, 2), (5, 5, 0, 1)]
    return fixed + [
        (int(rng.integers(8, 40)), int(rng.integers(1, 8)), int(rng.integers(4)), int(rng.integers(1, 5)))
        for _ in range(40)
    ]


output_size = Exercise(
    "Return the number of positions of a window of f cells on a row of n cells with p cells of padding on "
    "each side, in steps of s.",
    solution=_output_size,
    reference=_counted_by_torch,
    inputs=_draw_sizes,
    hints=[
        "How long is the row with its padding, and how far can the window move from its first position?",
        "The window moves by n + 2p - f cells at most, in steps of s. Whole steps only: Python's // rounds down.",
        "The first position needs no step: add 1 for it, after the division.",
    ],
    misconceptions=[
        Misconception(
            lambda n, f, p, s: -(-(n + 2 * p - f) // s) + 1,
            "You rounded up: the formula floors. A last step that is too short for s leads to no window.",
        ),
        Misconception(
            lambda n, f, p, s: round((n + 2 * p - f) / s) + 1,
            "You rounded to the nearest whole number. A step that is too short for s leads to no window, "
            "however little is missing: round down.",
        ),
        Misconception(
            lambda n, f, p, s: round((n + 2 * p - f) / s + 1),
            "round() goes to the nearest whole number (and from halves to the even one). The formula rounds "
            "down: use // for the division.",
        ),
        Misconception(
            lambda n, f, p, s: (n + 2 * p - f) // s,
            "You counted the steps; the positions are one more, because the first needs no step.",
        ),
        Misconception(
            lambda n, f, p, s: (n + p - f) // s + 1,
            "You added the padding once; it stands on both sides.",
        ),
        Misconception(
            lambda n, f, p, s: (n + 2 * p - f) / s + 1,
            "You divided without rounding down, and got fractions of a window: use // in place of /.",
        ),
        Misconception(
            lambda n, f, p, s: (n + 2 * p - f + 1) // s,
            "Your 1 is inside the division. That counts steps of s among all positions; the first position "
            "is free: divide first, then add 1.",
        ),
    ],
)


# ---------------------------------------------------------------- Exercise 2
def _same_padding(f, d):
    return d * (f - 1) // 2


def _padding_by_trial(f, d):
    """The padding for which PyTorch returns as many cells as it was given."""
    row, window = torch.zeros(1, 1, 50), torch.zeros(1, 1, f)
    for p in range(60):
        if F.conv1d(F.pad(row, (p, p)), window, dilation=d).shape[-1] == 50:
            return p
    raise AssertionError("an odd window always has such a padding")


same_padding = Exercise(
    "Return the padding p that keeps the size (s = 1) for a window of f cells, f odd, with dilation d.",
    solution=_same_padding,
    reference=_padding_by_trial,
    inputs=lambda rng: [(f, d) for f in (1, 3, 5, 7, 11) for d in (1, 2, 3)],
    hints=[
        "Put output size n and s = 1 into the formula with dilation. The n on both sides cancels.",
        "What remains is 2p = d(f - 1).",
    ],
    misconceptions=[
        Misconception(
            lambda f, d: f // 2,
            "Right for d = 1. A dilated window reaches further: over d(f - 1) + 1 cells in place of f.",
        ),
        Misconception(
            lambda f, d: d * (f - 1),
            "That is the padding of both sides together; p stands on each side.",
        ),
        Misconception(
            lambda f, d: d * f // 2,
            "You took d f for the reach. Dilation widens the f - 1 gaps between the cells, not the cells.",
        ),
        Misconception(
            lambda f, d: (d * (f - 1) + 1) // 2 + 1,
            "One too many: with this padding the output grows by 2. Solve n + 2p - d(f - 1) = n for p.",
        ),
    ],
)


# ---------------------------------------------------------------- Exercise 3
def _receptive_field(layers):
    size, stride = 1, 1
    for f, s in layers:
        size = size + (f - 1) * stride
        stride = stride * s
    return size


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


receptive_field = Exercise(
    "Return how many pixels wide one cell's window is after a list of layers (f, s), the first layer first.",
    solution=_receptive_field,
    reference=_seen_in_gradient,
    inputs=_draw_layers,
    hints=[
        "Keep two numbers: the size, and how far apart neighboring cells are, both in pixels. Both begin as 1.",
        "A window of f cells spans f - 1 gaps between neighbors. How wide is a gap, in pixels, on the map that "
        "this layer reads?",
        "size = size + (f - 1) * stride, and only then stride = stride * s.",
    ],
    misconceptions=SIZE_MISTAKES,
)


# ---------------------------------------------------------------- Exercise 4
def _clipped_window(layers, i, n):
    size, stride, start = 1, 1, 0
    for f, s, p in layers:
        size = size + (f - 1) * stride
        start = start - p * stride
        stride = stride * s
    first = start + i * stride
    return max(first, 0), min(first + size, n)


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
    return by_hand + cells + [([(3, 1, 1), (5, 2, 2), (3, 1, 1)], i, 17) for i in (0, 1, 4, 8)]


clipped_window = Exercise(
    "Return (first, stop): cell i sees the pixels row[first:stop] of a row of n, after layers (f, s, p).",
    solution=_clipped_window,
    reference=_window_in_gradient,
    inputs=_draw_cells,
    hints=[
        "Begin as in exercise 3, with a third number: the first pixel of cell 0's window, at first 0. What does "
        "padding do to it?",
        "Padding of p cells moves the first pixel to the left by p gaps: by p times the stride so far.",
        "Cell i's window begins i strides further on. At the end, cut both numbers to the row: max with 0, "
        "min with n.",
    ],
    misconceptions=PLACE_MISTAKES,
)
