"""Scenes for a data set whose backgrounds give the label away: one photographed object on one of four grounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_utils.arguments import whole_number
from course_utils.pictures import Composite, composites, pixels, texture_part

__all__ = ["CLASSES", "GROUNDS", "OBJECTS", "TESTED", "empty_ground", "labels_of", "pictures", "scene"]

CLASSES = ("made", "living")
"""What the head tells apart: things that people made, and living things."""
GROUNDS = ("gravel", "grass")
"""The ground on which the class of the same number is usually seen."""
OTHER_GROUNDS = ("brick", "plain")
OBJECTS = (("motorcycle", "camera", "coffee"), ("cat", "flower", "astronaut"))
"""The photographs that belong to each class."""
TESTED = range(60, 108)
"""Numbers of the test scenes that are reported on, eight of each object. Scenes 0 to 59 are not among them: objects,
sizes, strength of the correlation and penalty were chosen with the help of those."""
SIZE = 224
SCALE = (0.12, 0.24)  # longer side of the object, as a share of the picture's
PLAIN = 118  # mean gray of the three textures
PARTS = ("train", "test")
SEED = 110


def scene(number: int, ground: str, part: str = "train", texture: int | None = None) -> Composite:
    """Return a scene: an object on a ground. The same number on another ground is its twin.

    Scene ``number`` shows a made thing if the number is even and a living thing if it is odd. Object, place, size,
    mirroring, and the place of the texture's part depend on the number and the part alone. Training scenes show the
    left half of a texture, test scenes the right half.

    Args:
        number: whole number from 0 on.
        ground: "gravel", "grass", "brick", or "plain", a uniform gray.
        part: "train" or "test".
        texture: number of the scene whose piece of the ground it shows; by default its own.

    Raises:
        TypeError, ValueError: not such a number, ground or part.
    """
    number = whole_number(number, "number", 0)
    picture = empty_ground(number if texture is None else texture, ground, part)
    name = OBJECTS[number % 2][number // 2 % 3]
    place = SEED + PARTS.index(part)
    made = composites(1, place, SIZE, names=[name], background=picture, scale=SCALE, start=number)[0]
    return replace(made, background=ground)


def empty_ground(number: int, ground: str, part: str = "train") -> Image.Image:
    """Return the ground of a scene without the object, as a picture of 224 x 224 pixels."""
    if part not in PARTS:
        raise ValueError(f'part is "train" or "test", not {part!r}.')
    if ground not in GROUNDS + OTHER_GROUNDS:
        raise ValueError(f"there is no ground {ground!r}, only {', '.join(GROUNDS + OTHER_GROUNDS)}.")
    if ground == "plain":
        return Image.new("RGB", (SIZE, SIZE), (PLAIN, PLAIN, PLAIN))
    texture = pixels(ground)
    half, place = texture.width // 2, PARTS.index(part)
    own = texture.crop((half * place, 0, half * (place + 1), texture.height))
    return texture_part(own, SIZE, np.random.default_rng([SEED, place, number]))


def pictures(numbers: Iterable[int], ground: str, part: str = "train") -> Tensor:
    """Return scenes as a tensor (n, 3, 224, 224), RGB in [0, 1]."""
    return torch.cat([scene(number, ground, part).tensor() for number in numbers])


def labels_of(numbers: Iterable[int]) -> Tensor:
    """Return the classes (n,) of scenes: 0 made, 1 living."""
    return torch.tensor([number % 2 for number in numbers])
