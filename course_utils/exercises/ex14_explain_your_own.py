"""Exercises of notebook 14: a box in the file's pixels, how unusual a fall is, and the normalization of a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course_utils.localization.evaluation import to_original

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["box_in_picture", "how_unusual", "normalized"]


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


# --- 3. the normalization


def _normalized_by_loop(images: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    result = torch.empty_like(images)
    for channel in range(images.shape[1]):
        result[:, channel] = (images[:, channel] - mean[channel]) / std[channel]
    return result


def _draw_images(rng: np.random.Generator) -> list[tuple]:
    imagenet = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    small = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2).contiguous()
    # Three pixels to a side: then also whoever lays the three numbers along the columns gets a result, a wrong one.
    drawn = [tensor_of(rng.random((2, 3, 3, 3))) for _ in range(2)]
    return [(small, *imagenet), (drawn[0], *imagenet), (drawn[1], [0.5, 0.4, 0.3], [0.5, 0.25, 0.2])]


def _column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values)[:, None, None]


@exercise(
    "The images as the network was trained on them: mean and standard deviation of each color channel.",
    inputs=_draw_images,
    reference=_normalized_by_loop,
    hints="""
        Subtract first or divide first? And which shape must the three numbers have beside (N, 3, H, W)?
        `torch.tensor(mean)[:, None, None]` has shape (3, 1, 1): one number a channel, for all pixels.
    """,
    mistakes="""
        images / _column(std) - _column(mean)
            You divided first and subtracted the mean then: the mean is in the images' units, so it comes off first.
        (images - _column(mean)) * _column(std)
            You multiplied by the standard deviation. Dividing is what brings it to 1.
        (images * 255 - _column(mean)) / _column(std)
            You multiplied by 255. The images lie in [0, 1], and so do mean and standard deviation: as they stand, they
            fit.
        (images.flip(1) - _column(mean)) / _column(std)
            You turned the colors round to blue, green, red, as OpenCV has them. These images and numbers are red,
            green, blue.
        (images - _column(std)) / _column(mean)
            Mean and standard deviation are swapped.
        images - _column(mean)
            The division by the standard deviation is missing.
        (images - images.mean((2, 3), keepdim=True)) / _column(std)
            You took each image's own mean. A network wants the numbers it was trained with, the same for every image: a
            dark picture must stay dark.
        (images - images.mean((2, 3), keepdim=True)) / images.std((2, 3), keepdim=True)
            You took each image's own mean and standard deviation, and not `mean` and `std`. A network wants the numbers
            it was trained with, the same for every image: a dark picture must stay dark.
        (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
            You took the mean and standard deviation of these images. A network wants the numbers it was trained with,
            which are in `mean` and `std`.
        (images - torch.tensor(mean)) / torch.tensor(std)
            You laid the three numbers along the columns of the picture. They belong to the channels:
            `torch.tensor(mean)[:, None, None]` has shape (3, 1, 1).
    """,
)
def normalized(images, mean, std):
    mean, std = torch.tensor(mean), torch.tensor(std)
    return (images - mean[:, None, None]) / std[:, None, None]
