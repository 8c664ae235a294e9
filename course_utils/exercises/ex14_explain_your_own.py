"""Exercises of notebook 14: a box in the file's pixels, how unusual a fall is, flips, and the shape of a cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import torch
from torch import nn

from course_utils.explain import cover
from course_utils.localization.evaluation import to_original

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["box_in_picture", "excess_flips", "how_unusual", "same_shape"]


# --- 1. a box in the picture's own pixels


def _boxes(rng: np.random.Generator) -> list[tuple]:
    first = [((0, 0, 224, 224), 500, 300, 224), ((32, 64, 96, 160), 448, 896, 224)]
    first += [((10, 20, 30, 50), 101, 100, 100), ((10, 20, 30, 50), 100, 101, 100)]  # half a pixel is cut off
    drawn = []
    for _ in range(4):
        x0, y0 = (int(v) for v in rng.integers(0, 100, 2))
        box = (x0, y0, x0 + int(rng.integers(10, 60)), y0 + int(rng.integers(10, 60)))
        drawn.append((box, int(rng.integers(200, 900)), int(rng.integers(200, 900)), 160))
    return first + drawn


def _scaled(box: tuple, scale: float, left: float = 0.0, top: float = 0.0) -> tuple[float, ...]:
    x0, y0, x1, y1 = box
    return (left + x0 * scale, top + y0 * scale, left + x1 * scale, top + y1 * scale)


def _margins(width: int, height: int, side: Callable = min) -> tuple[float, float]:
    return (width - side(width, height)) / 2, (height - side(width, height)) / 2


@exercise(
    "The box found in the network's square, in the pixels of the picture that the square was cut from.",
    inputs=_boxes,
    reference=to_original,
    hints="""
        How many pixels of the picture does the square have to a side? How many of them lie left of it?
        side = min(width, height); one of the network's pixels is side / size of the picture's. The margin on the left
            is (width - side) / 2, the one at the top (height - side) / 2.
        x becomes left + x * side / size, y becomes top + y * side / size.
    """,
    mistakes="""
        _scaled(box, min(width, height) / size)
            The scale is right, but the square was cut from the middle: what lies left of it, or above it, has to be
            added.
        (box[0] * width / size, box[1] * height / size, box[2] * width / size, box[3] * height / size)
            You stretched the square over the whole picture. It was cut out, not squeezed: both directions have one
            scale, and a margin stays unseen.
        _scaled(_scaled(box, 1, *_margins(width, height)), min(width, height) / size)
            You added the margin before scaling. The margin is in the picture's pixels already: scale first.
        _scaled(box, min(width, height) / size, *(2 * margin for margin in _margins(width, height)))
            You added all that was cut off. Half of it lies on the other side.
        _scaled(box, min(width, height) / size, *_margins(height, width))
            The margins are swapped: what is cut off on the left moves x, what is cut off at the top moves y.
        _scaled(box, max(width, height) / size, *_margins(width, height, side=max))
            You took the longer side. The square has the shorter one; a square of the longer side would reach beyond the
            picture.
        _scaled(box, 1, *_margins(width, height))
            The margin is right, but the square was scaled to `size` pixels: scale its edges back first.
    """,
)
def box_in_picture(box, width, height, size):
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    x0, y0, x1, y1 = (edge * side / size for edge in box)
    return (left + x0, top + y0, left + x1, top + y1)


# --- 2. is the fall more than chance?


def _how_unusual_by_ranking(before: float, after: float, random: list[float]) -> float:
    """The marked cover's place among all covers, the lowest logit first, the last of its equals."""
    ordered = sorted([after, *random])
    place = max(i for i, value in enumerate(ordered, start=1) if value == after)
    return place / len(ordered)


def _falls(rng: np.random.Generator) -> list[tuple]:
    by_hand = [
        (8.0, 5.0, [7.5, 5.0, 8.5, 4.0]),
        (8.0, 5.0, [7.5, 6.0, 8.5, 7.0]),
        (2.0, 3.0, [1.5, 2.5, 6.5, 0.5]),
    ]
    drawn = [
        (float(rng.integers(4, 12)), float(rng.integers(0, 8)), [float(v) for v in rng.integers(0, 12, 9)])
        for _ in range(4)
    ]
    return by_hand + drawn


@exercise(
    "The share of covers, the marked one included, that lower the logit at least as far as the marked one.",
    inputs=_falls,
    reference=_how_unusual_by_ranking,
    hints="""
        Lower the logit at least as far: which comparison of two logits is that?
        Count the values of `random` that are <= after; the marked cover is one more, among len(random) + 1.
    """,
    mistakes="""
        sum(value <= after for value in random) / len(random)
            You left the marked cover itself out. With ten random covers none of which falls as far, the honest answer
            is 1 in 11, not zero: ten draws cannot show that something never happens.
        (sum(value <= after for value in random) + 1) / len(random)
            The marked cover counts above, so it counts below, too: there are len(random) + 1 covers.
        1 + sum(value <= after for value in random)
            That is how many covers do as well. Asked is their share: divide by the number of all covers.
        (sum(value < after for value in random) + 1) / (len(random) + 1)
            A random cover that lowers the logit exactly as far counts, too: at least as far.
        (sum(value >= after for value in random) + 1) / (len(random) + 1)
            You counted the covers that lower the logit less. A large number would then speak for the map; asked is how
            often chance does as well.
        (sum(abs(value - before) >= abs(after - before) for value in random) + 1) / (len(random) + 1)
            You compared the sizes of the changes, or left out covers that raised the logit. Count every cover after
            which the logit is at `after` or below.
        (sum(value < before for value in random) + 1) / (len(random) + 1)
            You counted the covers that lower the logit at all. Asked is how many lower it as far as the marked one.
        sum(value <= after for value in random)
            That is a number of covers. Divide by how many there are, the marked one included.
    """,
)
def how_unusual(before, after, random):
    as_far = sum(before - value >= before - after for value in random)
    return (as_far + 1) / (len(random) + 1)


# --- 3. the flips of what is feared, beside those of its control


def _network(rng: np.random.Generator, channels: int = 1, classes: int = 3) -> nn.Module:
    """A small network whose weights are whole numbers: equal logits are equal to the last digit."""
    net = nn.Sequential(
        nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.from_numpy(rng.integers(-4, 5, tuple(weights.shape))).float())
    return net.eval().requires_grad_(False)


def _draw_flips(rng: np.random.Generator) -> list[tuple]:
    found = []
    for n in (6, 9, 12, 16):
        images, feared, control = (
            tensor_of(rng.integers(1, 9, (n, 3, 4, 4)).astype(float)) for _ in range(3)
        )
        feared[:: n // 3] = images[:: n // 3]  # here it changes nothing
        feared[1, :, 0] = images[1, :, 0] + 1  # and here one row
        feared[1, :, 1:] = images[1, :, 1:]
        feared[3] = images[3] - 1  # darker everywhere
        found.append((_network(rng, 3), images, feared, control))
    return found


def _excess_by_loop(
    net: nn.Module, images: torch.Tensor, feared: torch.Tensor, control: torch.Tensor
) -> float:
    differences = []
    for image, one, other in zip(images, feared, control, strict=True):
        if not torch.equal(image, one):
            first, after, beside = (int(net(x[None])[0].argmax()) for x in (image, one, other))
            differences.append((first != after) - (first != beside))
    return float(np.mean(differences))


def _flips(net: nn.Module, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (net(first).argmax(1) != net(second).argmax(1)).float()


def _that_change(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return (images != others).flatten(1).any(1)


@exercise(
    "The share of first answers that the feared change flips beyond its control, among the images that it changes.",
    inputs=_draw_flips,
    reference=_excess_by_loop,
    hints="""
        Which images differ from their feared version in any pixel? The others cannot flip: leave them out everywhere.
        (feared != images).flatten(1).any(1) has one True or False an image, and picks images like an index.
        Three times net(...).argmax(1); the share that differs from the first, once for `feared` and once for `control`;
            subtract.
    """,
    mistakes="""
        float(_flips(net, images, feared).mean() - _flips(net, images, control).mean())
            You counted the images that the feared change leaves as they are. They cannot flip, and make a network look
            better than it is: leave them out, of both shares.
        float((_flips(net, images, feared) * _that_change(images, feared)).sum() / _that_change(images, feared).sum())
            The control is missing. Any change flips some answers: subtract the share that the control flips.
        float(_flips(net, images, feared)[_that_change(images, feared)].mean() - _flips(net, images, control).mean())
            You left the unchanged images out of the first share only. Both shares are over the same images.
        float(_flips(net, feared, control)[_that_change(images, feared)].mean())
            You compared the feared version with the control. Compare each with the image as it was.
        float((_flips(net, images, feared) * (1 - _flips(net, images, control)))[_that_change(images, feared)].mean())
            You counted the images that the feared change flips and the control does not. Where it is the other way
            round counts, too, against it: the difference of the two shares.
        float((net(images) != net(feared)).any(1).float().mean() - (net(images) != net(control)).any(1).float().mean())
            You compared logits. They change with every pixel: compare first answers, argmax(1).
        abs(excess_flips(net, images, feared, control))
            You dropped the sign. Below 0 the control flips more than what is feared.
    """,
)
def excess_flips(net, images, feared, control):
    changed = (feared != images).flatten(1).any(1)
    first, after, beside = (net(x[changed]).argmax(1) for x in (images, feared, control))
    return float((first != after).float().mean() - (first != beside).float().mean())


# --- 4. the same shape at every place


def _draw_masks(rng: np.random.Generator) -> list[tuple]:
    shapes = (
        ["11", "10"],
        ["1"],
        ["110", "011"],
        ["010", "111"],
        ["11", "01"],
        ["1", "1", "1"],
        ["111", "100"],
    )
    found = []
    for number, shape in enumerate(shapes):
        image = tensor_of(rng.integers(0, 4, (1, 1, 8, 8)).astype(float))
        cells = torch.tensor([[letter == "1" for letter in row] for row in shape])
        i, j = (int(rng.integers(0, 4 - side + 1)) for side in cells.shape)
        if number % 2:  # a bright place, so that the own cover counts
            image[0, 0, 2 * i : 2 * i + 2 * len(cells), 2 * j : 2 * j + 2 * cells.shape[1]] += 6
        mask = torch.zeros(4, 4, dtype=torch.bool)
        mask[i : i + cells.shape[0], j : j + cells.shape[1]] = cells
        found.append((_network(rng), image, int(rng.integers(0, 3)), mask))
    return found


def _logits_by_hand(net: nn.Module, image: torch.Tensor, c: int, places: Iterable) -> list[float]:
    """The logit of c after covering the pixels of each place, a set of cells (row, column) of 2 x 2 pixels."""
    found = []
    for cells in places:
        covered = image.clone()
        for i, j in cells:
            covered[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = image.mean()
        found.append(float(net(covered)[0, c]))
    return found


def _places(mask: torch.Tensor, inside: bool = True, mirrored: bool = False) -> list[set]:
    """The shape of a mask at every place of its grid, as sets of cells; the place of the mask itself is among them."""
    shapes = [mask] if not mirrored else [mask, mask.flip(0), mask.flip(1), mask.flip(0, 1)]
    found = []
    for shape in shapes:
        cells = shape.nonzero().tolist()
        for down, right in product(range(-3, 4), repeat=2):
            moved = {(i + down, j + right) for i, j in cells}
            if not inside:
                moved = {(i, j) for i, j in moved if 0 <= i < 4 and 0 <= j < 4}
            if moved and moved not in found and all(0 <= i < 4 and 0 <= j < 4 for i, j in moved):
                found.append(moved)
    return found


def _share(
    net: nn.Module, image: torch.Tensor, c: int, mask: torch.Tensor, sign: int = 1, **options: bool
) -> float:
    own = {tuple(cell) for cell in mask.nonzero().tolist()}
    (after,) = _logits_by_hand(net, image, c, [own])
    logits = _logits_by_hand(net, image, c, _places(mask, **options))
    return sum(sign * value <= sign * after for value in logits) / len(logits)


def _elsewhere(net: nn.Module, image: torch.Tensor, c: int, mask: torch.Tensor) -> tuple[float, list[float]]:
    """The logit after the own cover, and those after all others."""
    own = {tuple(cell) for cell in mask.nonzero().tolist()}
    others = [place for place in _places(mask) if place != own]
    return _logits_by_hand(net, image, c, [own])[0], _logits_by_hand(net, image, c, others)


def _single(net: nn.Module, image: torch.Tensor, c: int, mask: torch.Tensor) -> float:
    """Scattered cells one by one, in place of the shape."""
    (after,) = _logits_by_hand(net, image, c, [{tuple(cell) for cell in mask.nonzero().tolist()}])
    logits = _logits_by_hand(net, image, c, [{cell} for cell in product(range(4), repeat=2)])
    return sum(value <= after for value in logits) / len(logits)


@exercise(
    "The share of all places, the marked one included, at which a cover of the marked shape lowers the logit as far.",
    inputs=_draw_masks,
    reference=_share,
    hints="""
        Cut the shape out of the mask: the rows and the columns from the first True to the last.
        Put it at each place (i, j) at which it lies wholly inside an empty mask, cover, and note the logit of c.
        A shape of a x b cells has (h - a + 1) (w - b + 1) places; its own is one of them. Count the logits that are <=
            the one after covering the mask itself.
    """,
    mistakes="""
        _share(net, image, c, mask, inside=False)
            You let the shape reach out of the picture. There it covers fewer cells, which is an easier control: take
            the places at which all of it lies inside.
        _share(net, image, c, mask, mirrored=True)
            You mirrored the shape, too. That is a control as good, but another one: here it is only moved.
        _single(net, image, c, mask)
            You covered one cell at a time. One cell hides less than the whole shape: the control must have its size and
            its shape.
        (lambda after, others: sum(v <= after for v in others) / max(len(others), 1))(*_elsewhere(net, image, c, mask))
            You left out the marked place itself. It is one of the places, and among equals it counts, too.
        (lambda after, others: sum(v < after for v in others) / (len(others) + 1))(*_elsewhere(net, image, c, mask))
            You asked which places lower the logit further than the marked one. As far counts, too, also the marked
            place itself.
        1 - same_shape(net, image, c, mask)
            That is the share of places that lower the logit less. Asked is the share of those that lower it as far.
        _share(net, image, c, mask, sign=-1)
            The comparison is the wrong way round: the lower the logit after a cover, the more was hidden.
        (lambda after, others: float(sum(v <= after for v in [after, *others])))(*_elsewhere(net, image, c, mask))
            That is a number of places. Divide by how many there are.
    """,
)
def same_shape(net, image, c, mask):
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    masks = []
    for i in range(mask.shape[0] - shape.shape[0] + 1):
        for j in range(mask.shape[1] - shape.shape[1] + 1):
            masks.append(torch.zeros_like(mask))
            masks[-1][i : i + shape.shape[0], j : j + shape.shape[1]] = shape
    logits = torch.stack([net(cover(image, one))[0, c] for one in masks])
    return float((logits <= net(cover(image, mask))[0, c]).float().mean())
