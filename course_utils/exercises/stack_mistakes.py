"""Likely wrong answers to exercises 3 and 4 of notebook 01: what a cell on top of a stack of layers sees.

Layers are tuples (f, s) or (f, s, p), the first layer first; each function makes one mistake on purpose.
"""

from __future__ import annotations

import math

from .engine import Misconception

__all__ = ["PLACE_MISTAKES", "SIZE_MISTAKES"]


# ---------------------------------------------------------------- how many pixels a cell sees
def _own_stride_first(layers):
    size, stride = 1, 1
    for f, s in layers:
        stride = stride * s
        size = size + (f - 1) * stride
    return size


def _own_stride_only(layers):
    return 1 + sum((f - 1) * s for f, s in layers)


def _stride_replaced(layers):
    size, stride = 1, 1
    for f, s in layers:
        size = size + (f - 1) * stride
        stride = s
    return size


def _downward_rule_upward(layers):
    size = 1
    for f, s in layers:
        size = (size - 1) * s + f
    return size


def _f_without_minus_one(layers):
    size, stride = 1, 1
    for f, s in layers:
        size = size + f * stride
        stride = stride * s
    return size


SIZE_MISTAKES = [
    Misconception(
        lambda layers: 1 + sum(f - 1 for f, _ in layers),
        "You added up the windows as if neighboring cells were always one pixel apart. After a layer with "
        "stride s they are s times as far apart.",
    ),
    Misconception(
        _own_stride_first,
        "You multiplied by the layer's own stride too early. Its window lies on the map below, whose cells "
        "are as far apart as the strides before it say; change the stride after the size.",
    ),
    Misconception(
        _own_stride_only,
        "You multiplied each window by its own layer's stride alone. What counts is how far apart the cells "
        "are that it reads: the product of the strides of all layers before it.",
    ),
    Misconception(
        _stride_replaced,
        "You replaced the stride by the layer's own. Strides multiply: after two layers with stride 2, "
        "neighboring cells are 4 pixels apart.",
    ),
    Misconception(
        _downward_rule_upward,
        "(size - 1) * s + f is right on the way down, from the cell to the pixels: then the last layer "
        "comes first. Go through reversed(layers), or keep size and stride on the way up.",
    ),
    Misconception(
        lambda layers: math.prod(f for f, _ in layers),
        "You multiplied the windows as if they did not overlap. Two windows of 3 with stride 1 see 5 "
        "pixels, not 9: draw them.",
    ),
    Misconception(
        _f_without_minus_one,
        "You added f gaps for each layer. From the first to the last of f cells there are f - 1.",
    ),
]


# ---------------------------------------------------------------- which pixels cell i sees
def _whole(layers, i, n):
    size, stride, start = 1, 1, 0
    for f, s, p in layers:
        size = size + (f - 1) * stride
        start = start - p * stride
        stride = stride * s
    return start + i * stride, start + i * stride + size


def _cut(layers, i, n):
    first, stop = _whole(layers, i, n)
    return max(first, 0), min(stop, n)


def _padding_forgotten(layers, i, n):
    return _cut([(f, s, 0) for f, s, _ in layers], i, n)


def _stop_from_cut_first(layers, i, n):
    first, stop = _whole(layers, i, n)
    return max(first, 0), min(max(first, 0) + stop - first, n)


def _cells_one_pixel_apart(layers, i, n):
    first, stop = _whole(layers, 0, n)
    return max(first + i, 0), min(stop + i, n)


def _padding_added(layers, i, n):
    return _cut([(f, s, -p) for f, s, p in layers], i, n)


def _padding_in_pixels(layers, i, n):
    first, stop = _whole(layers, i, n)
    shift = _whole(layers, 0, n)[0] + sum(p for _, _, p in layers)
    return max(first - shift, 0), min(stop - shift, n)


def _own_patch(layers, i, n):
    stride = 1
    for _, s, _ in layers:
        stride = stride * s
    return i * stride, min((i + 1) * stride, n)


def _last_pixel_included(layers, i, n):
    first, stop = _cut(layers, i, n)
    return first, stop - 1


def _last_pixel_before_cutting(layers, i, n):
    first, stop = _whole(layers, i, n)
    return max(first, 0), min(stop - 1, n)


PLACE_MISTAKES = [
    Misconception(
        _whole,
        "You returned the whole window. Near the border part of it lies in the padding: cut it to 0 ... n.",
    ),
    Misconception(
        _padding_forgotten,
        "Your windows lie as if there were no padding: it was left out, or cut to 0 before the cell's place was "
        "added. It moves every window to the left, by p times the stride so far.",
    ),
    Misconception(
        _stop_from_cut_first,
        "At the left border your windows end too far to the right: you cut first to 0 and then added the "
        "size to it. Compute stop from the whole window, then cut both.",
    ),
    Misconception(
        _cells_one_pixel_apart,
        "You moved cell i's window by i pixels. Neighboring cells are as many pixels apart as all strides "
        "multiplied.",
    ),
    Misconception(
        _padding_added,
        "Your padding moves the windows to the right. It stands before pixel 0, so it moves them to the left.",
    ),
    Misconception(
        _padding_in_pixels,
        "You subtracted p pixels for each layer. p counts cells of the map that the layer reads, and these "
        "are as many pixels apart as the strides before it say.",
    ),
    Misconception(
        _own_patch,
        "That is the patch of the image under which the cell is drawn. The window that it sees is wider: "
        "neighboring windows overlap.",
    ),
    Misconception(
        _last_pixel_included,
        "Your second number is the last pixel itself. In row[first:stop], as in every Python slice, "
        "stop is one further.",
    ),
    Misconception(
        _last_pixel_before_cutting,
        "Except at the right border, your second number is the last pixel itself. stop is one further: first "
        "plus the size of the window.",
    ),
]
