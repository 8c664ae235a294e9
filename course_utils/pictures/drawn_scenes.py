"""Drawn scenes: ten kinds of objects in six colors on cluttered backgrounds, with exact boxes and masks.

Endless from a seed, and small enough to train a network on within a minute. Kind, color, place, size and background
are drawn independently of each other: a network that is right about the kind has to have looked at the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from course_utils.arguments import number_range, whole_number

from .drawn_shapes import BACKGROUNDS, COLORS, SHAPES, Pose, draw_background, draw_shape
from .pasting import Layer, seen
from .photos import Box, box_around

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SceneObject", "Scenes", "scenes"]

LEAST_VISIBLE = 0.7
"""Share of its own pixels that each object shows, at least, when others lie over it."""
ATTEMPTS = 100


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of a scene: what it is, and where it is seen."""

    name: str
    """Its kind, one of ``SHAPES``."""
    label: int
    """The number of its kind: ``SHAPES[label] == name``."""
    color: str
    """The name of its color, one of ``COLORS``."""
    mask: np.ndarray = field(repr=False)
    """(H, W) bool, True where it is seen: where it makes up at least half of the pixel. Read-only."""
    box: Box
    """Smallest box around the mask, (x0, y0, x1, y1), half-open."""
    center: tuple[float, float]
    """Middle of the whole object's box (x, y), as shares of width and height, from the upper left corner."""
    extent: float
    """Longer side of the whole object's box as a share of the scene's side."""
    visible: float
    """Share of the object's pixels that is seen."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures, and what is where on them. M is the largest number of objects on one of them."""

    images: Tensor
    """(n, 3, H, W) float32, RGB in [0, 1]."""
    labels: Tensor
    """(n,) int64: the kind of each scene's first object, of its only one where there is one."""
    masks: Tensor
    """(n, M, H, W) bool: the objects' visible pixels; all False beyond a scene's number of objects."""
    objects: list[tuple[SceneObject, ...]]
    """For each scene its objects, from the lowest to the topmost."""
    backgrounds: list[str]
    """For each scene the name of its background, one of ``BACKGROUNDS``."""
    classes: tuple[str, ...] = SHAPES
    """The names of the kinds, in the order of the labels."""

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def boxes(self) -> list[list[Box]]:
        """For each scene the boxes of its objects, half-open, in the order of ``objects``."""
        return [[thing.box for thing in things] for things in self.objects]

    @property
    def segmentation(self) -> Tensor:
        """(n, H, W) int64: at each pixel 0 for the background, 1 + label for the object that is seen there."""
        import torch

        found = torch.zeros(self.masks.shape[0], *self.masks.shape[2:], dtype=torch.long)
        for number, things in enumerate(self.objects):
            for place, thing in enumerate(things):
                found[number][self.masks[number, place]] = 1 + thing.label
        return found


def scenes(
    n: int,
    size: int = 64,
    seed: int = 0,
    objects: int | tuple[int, int] = (1, 1),
    scale: tuple[float, float] | None = None,
    shapes: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    background: str | None = None,
    clutter: tuple[int, int] = (8, 20),
    empty: bool = False,
    start: int = 0,
) -> Scenes:
    """Draw scenes with objects of known kind, color, box and mask.

    Number i depends on the seed and on i alone, whatever n. Training and test scenes come from different seeds.

    Args:
        n: how many, at least 1.
        size: width and height in pixels.
        seed: whole number; other seeds give other scenes.
        objects: how many objects on each, or (fewest, most). No object hides more than 30% of another.
        scale: range of the longer side of an object's box, as a share of ``size``, drawn uniformly; by default
            (0.35, 0.75) for one object, (0.22, 0.4) for several.
        shapes: kinds to draw from; by default all ten of ``SHAPES``. The labels stay those of ``SHAPES``.
        colors: names of colors to draw from; by default all six of ``COLORS``.
        background: name of the background, one of ``BACKGROUNDS``; by default drawn.
        clutter: range of the number of scraps on the background.
        empty: leave the objects out of the pictures, and nothing else: the same scenes without them. The records
            still say where they would be.
        start: number of the first scene.

    Raises:
        TypeError, ValueError: an argument out of its range, an unknown name, or objects too many or too
            large for one scene.
    """
    n, start = whole_number(n, "n", 1), whole_number(start, "start", 0)
    seed, size = whole_number(seed, "seed", 0), whole_number(size, "size", 32, 1024)
    fewest, most = number_range(objects, "objects", whole=True)
    if fewest < 1 or most > 8:
        raise ValueError(f"objects must be between 1 and 8, got {objects!r}.")
    low, high = number_range(scale or ((0.35, 0.75) if most == 1 else (0.22, 0.4)), "scale")
    if low * size < 10 or high > 0.95:
        raise ValueError(
            f"scale is the longer side as a share of the scene's: between {10 / size:.2f} (10 pixels) and 0.95, got "
            f"{(low, high)!r}."
        )
    few, many = number_range(clutter, "clutter", whole=True)
    if few < 0 or many > 200:
        raise ValueError(f"clutter must be between 0 and 200 scraps, got {clutter!r}.")
    kinds, tints = _known(shapes, SHAPES, "shapes"), _known(colors, COLORS, "colors")
    grounds = _known(None if background is None else [background], BACKGROUNDS, "background")

    import torch  # here: whoever imports this room, the command line for one, may not need it

    images = np.empty((n, size, size, 3), dtype=np.float32)
    masks = np.zeros((n, most, size, size), dtype=bool)
    records, names = [], []
    for row in range(n):
        draw = np.random.default_rng([seed, start + row])
        names.append(grounds[draw.integers(len(grounds))])
        canvas = draw_background(names[-1], size, int(draw.integers(few, many + 1)), draw)
        grain = draw.standard_normal(canvas.shape, dtype=np.float32) * np.float32(4)
        count = int(draw.integers(fewest, most + 1))
        drawn = [_layer(draw, kinds, tints, (low, high), size) for _ in range(count)]
        layers, shown = _arrange(drawn, size, draw)
        for layer in [] if empty else layers:
            window, _ = layer.window(size)
            # As in composites, but summed in another order: the trained networks hang on the last digits.
            canvas[window] += layer.alpha[..., None] * (layer.ink - canvas[window])
        images[row] = np.clip(canvas + grain, 0, 255) / 255
        for place, (mask, _) in enumerate(shown):
            masks[row, place] = mask
        records.append(tuple(_record(*pair, size) for pair in zip(layers, shown, strict=True)))
    labels = torch.tensor([things[0].label for things in records])
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return Scenes(pictures, labels, torch.from_numpy(masks), records, names)


@dataclass(frozen=True, eq=False)
class _Drawn(Layer):
    name: str
    color: str


def _layer(
    draw: np.random.Generator, kinds: list[str], tints: list[str], scale: tuple[float, float], size: int
) -> _Drawn:
    name, color = kinds[draw.integers(len(kinds))], tints[draw.integers(len(tints))]
    side, turn, stretch, bright = draw.uniform(
        (scale[0], -0.35, 0.85, 0.88), (scale[1], 0.35, 1.18, 1.0)
    ).tolist()
    shade = tuple(value * bright for value in COLORS[color])
    pose = Pose(side * size, turn, stretch, bool(draw.integers(2)))
    return _Drawn(*draw_shape(name, shade, pose), (0, 0), name, color)


def _arrange(
    layers: list[_Drawn], size: int, draw: np.random.Generator
) -> tuple[list[_Drawn], list[tuple[np.ndarray, float]]]:
    """Draw places until every object is visible enough; return the placed layers, and what is seen of them."""
    for _ in range(ATTEMPTS):
        # x, then y: the room that an object's width leaves it, and its height
        corners = [
            tuple(int(draw.integers(size - side + 1)) for side in layer.alpha.shape[::-1]) for layer in layers
        ]
        placed = [replace(layer, corner=corner) for layer, corner in zip(layers, corners, strict=True)]
        shown = seen(placed, size)
        if all(share >= LEAST_VISIBLE for _, share in shown):
            return placed, shown
    raise ValueError(
        f"in {ATTEMPTS} attempts to place {len(layers)} objects, more than {1 - LEAST_VISIBLE:.0%} of one was always "
        "hidden: ask for fewer objects, or for a smaller scale."
    )


def _record(layer: _Drawn, found: tuple[np.ndarray, float], size: int) -> SceneObject:
    mask, visible = found
    x0, y0, x1, y1 = box_around(layer.solid)
    center = ((layer.corner[0] + (x0 + x1) / 2) / size, (layer.corner[1] + (y0 + y1) / 2) / size)
    extent = max(x1 - x0, y1 - y0) / size
    label = SHAPES.index(layer.name)
    return SceneObject(layer.name, label, layer.color, mask, box_around(mask), center, extent, visible)


def _known(names: Sequence[str] | None, all_names: Sequence[str], what: str) -> list[str]:
    if names is None:
        return list(all_names)
    if isinstance(names, str):
        raise TypeError(f'{what} is a list of names, such as ["{names}"], not one name.')
    chosen = list(names)
    if not chosen:
        raise ValueError(f"{what} is empty: name at least one of {', '.join(all_names)}.")
    for name in chosen:
        if name not in list(all_names):
            raise ValueError(f"{what}: there is no {name!r}, only {', '.join(all_names)}.")
    return chosen
