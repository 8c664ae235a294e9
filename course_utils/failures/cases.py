"""Pictures that a classifier is likely to get wrong, the truth about them, and twins that lack one part.

A picture has up to three **parts**: the object that the label names, another object, and the context, which is the
rest. Of each picture there is a **twin** without each part. Twins of composites are exact: the same objects in the
same pixels, with one of them not pasted, or pasted on another ground. In a photograph nobody knows what lies behind
an object: there, a part is replaced by one color, the mean of what stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from course_utils.arguments import whole_number
from course_utils.pictures import (
    Composite,
    Photo,
    composites,
    list_photos,
    list_textures,
    load_photo,
    pixels,
    texture_part,
)

__all__ = ["CORRUPTIONS", "FAMILIES", "GROUNDS", "PARTS", "Case", "composite_cases", "corrupt", "photo_cases"]

PARTS = ("object", "other object", "context")
FAMILIES = ("on a texture", "small on a texture", "beside another object", "in another photograph")
GROUNDS = ("gray", "texture")
"""What takes the place of the context in the twin of a composite."""
CORRUPTIONS = {"crop": (0.6, 0.4), "blur": (3.0, 6.0), "small": (0.4, 0.2)}
"""Kinds of corruption, each with its two strengths; see :func:`corrupt`."""

SIZE = 224
GRAY = (128, 128, 128)
ATTEMPTS = 60
LEAST_VISIBLE = 0.4  # share of the other object that the first one leaves to be seen


@dataclass(frozen=True, eq=False)
class Case:
    """One picture, what is where on it, and its twins."""

    name: str
    """Name of the photograph whose object the label names."""
    family: str
    """How the picture was made."""
    labels: tuple[str, ...]
    """ImageNet class names that are right, the best first."""
    image: Image.Image
    masks: dict[str, np.ndarray] = field(repr=False)
    """A (H, W) bool mask for each of PARTS: disjoint, together the whole picture; one may be empty."""
    twins: dict[str, Image.Image] = field(repr=False)
    """The picture without the part, for each part that is there."""

    def tensor(self, without: str | None = None) -> Tensor:
        """Return the picture, or its twin without a part, as a (1, 3, H, W) tensor in [0, 1]."""
        if without is not None and without not in self.twins:
            raise ValueError(
                f"there is no twin without {without!r}, only without {', '.join(map(repr, self.twins))}."
            )
        array = np.asarray(self.image if without is None else self.twins[without])
        return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


def _case(
    name: str, family: str, image: Image.Image, subject: np.ndarray, other: np.ndarray, twins: dict
) -> Case:
    masks = {"object": subject, "other object": other & ~subject, "context": ~(subject | other)}
    kept = {part: twins[part] for part in PARTS if masks[part].any()}
    return Case(name, family, tuple(load_photo(name).labels), image, masks, kept)


@lru_cache(maxsize=1)
def _named() -> list[str]:
    """The photographs of scikit-image and scikit-learn whose object ImageNet has a class for."""
    return list_photos("skimage", "sklearn", labeled=True)


@lru_cache(maxsize=16)
def _square(name: str) -> Photo:
    return load_photo(name).square(SIZE)


def _flattened(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """Return the image with one color in the mask: the mean of what stays, mid-gray if nothing stays."""
    array = np.asarray(image).copy()
    array[mask] = array[~mask].mean(0).round() if not mask.all() else GRAY
    return Image.fromarray(array)


# --- composites


def composite_cases(
    n: int, seed: int = 0, families: Sequence[str] = FAMILIES, instead: str = "gray", start: int = 0
) -> list[Case]:
    """Paste a labeled object on a texture, beside another object, or into another photograph.

    Number i depends on seed, families and i alone; the families take turns. The labeled object is always the
    topmost, 0.3 to 0.9 of the picture's side long ("small": 0.12 to 0.3). In "in another photograph" the ground is
    another photograph, whose object is the other object; its twin without that object has one color in its place.

    Args:
        n: how many.
        seed: whole number.
        families: some of FAMILIES.
        instead: what stands in for the context in the twin without it: "gray", or a "texture" other than the
            picture's own.
        start: number of the first.

    Raises:
        TypeError, ValueError: an argument out of its range.
    """
    n, seed, start = whole_number(n, "n", 0), whole_number(seed, "seed", 0), whole_number(start, "start", 0)
    for family in families:
        if family not in FAMILIES:
            raise ValueError(f"there is no family {family!r}, only {', '.join(map(repr, FAMILIES))}.")
    if not families:
        raise ValueError(f"families is empty: give some of {', '.join(map(repr, FAMILIES))}.")
    if instead not in GROUNDS:
        raise ValueError(f'instead must be "gray" or "texture", got {instead!r}.')
    return [
        _composite(np.random.default_rng([seed, number]), families[number % len(families)], instead)
        for number in range(start, start + n)
    ]


def _composite(draw: np.random.Generator, family: str, instead: str) -> Case:
    name, second = map(str, draw.choice(_named(), 2, replace=False))
    texture, spare = map(str, draw.choice(list_textures(), 2, replace=False))
    plain = Image.new("RGB", (SIZE, SIZE), GRAY) if instead == "gray" else _square(spare).image.convert("RGB")
    scale = (0.12, 0.3) if family == FAMILIES[1] else (0.3, 0.9)
    for _ in range(ATTEMPTS):
        lower, upper = (int(number) for number in draw.integers(2**31, size=2))
        grounds, other = _grounds(draw, family, texture, second, plain, lower)
        top = _pasted(name, grounds["whole"], upper, scale)
        subject = top.objects[0].mask
        if not other.any() or (other & ~subject).sum() >= LEAST_VISIBLE * other.sum():
            break
    twins = {part: _pasted(name, grounds[part], upper, scale).image for part in PARTS[1:]}
    return _case(name, family, top.image, subject, other, {"object": grounds["whole"], **twins})


def _pasted(name: str, ground: Image.Image, seed: int, scale: tuple[float, float]) -> Composite:
    """A composite of one object: the same seed and scale put it in the same pixels of any ground."""
    return composites(1, seed, SIZE, names=[name], background=ground, scale=scale)[0]


def _grounds(
    draw: np.random.Generator, family: str, texture: str, second: str, plain: Image.Image, seed: int
) -> tuple[dict[str, Image.Image], np.ndarray]:
    """Return what the labeled object is pasted on, whole and without each other part, and the other's mask."""
    if family == FAMILIES[3]:
        ground, mask = _square(second).image, _square(second).mask
        alone = Image.composite(ground, plain, Image.fromarray(mask.astype(np.uint8) * 255))
        return {"whole": ground, "other object": _flattened(ground, mask), "context": alone}, mask
    ground = texture_part(pixels(texture), SIZE, draw)
    nothing = np.zeros((SIZE, SIZE), dtype=bool)
    if family != FAMILIES[2]:
        return {"whole": ground, "other object": ground, "context": plain}, nothing
    below, alone = (_pasted(second, image, seed, (0.4, 0.8)) for image in (ground, plain))
    return {"whole": below.image, "other object": ground, "context": alone.image}, below.objects[0].mask


# --- corrupted photographs


def corrupt(photo: Photo, kind: str, strength: float, seed: int = 0) -> tuple[Image.Image, np.ndarray]:
    """Return a square photograph, corrupted, and its object's mask, corrupted alike.

    Args:
        photo: as `Photo.square` returns it.
        kind: "crop", a window around a drawn pixel of the object, enlarged to the old size; "blur", Gaussian;
            "small", the photograph shrunk, at a drawn place on gray.
        strength: the window's side, or the shrunk one's, as a share of the old, above 0 and at most 1; of the
            blur, the standard deviation in pixels.
        seed: whole number; draws the place.

    Raises:
        TypeError, ValueError: another kind, a strength out of its range, a photograph that is not square.
    """
    size = photo.image.width
    if photo.image.height != size:
        raise ValueError(f"the photograph has {photo.image.size} pixels: take `photo.square()`.")
    if kind not in CORRUPTIONS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, CORRUPTIONS))}, got {kind!r}.")
    if not strength > 0 or (kind != "blur" and strength > 1):
        raise ValueError(
            f"the strength of {kind!r} must lie above 0 and, but for a blur, be at most 1, got {strength}."
        )
    draw = np.random.default_rng(whole_number(seed, "seed", 0))
    if kind == "blur":
        return photo.image.filter(ImageFilter.GaussianBlur(strength)), photo.mask.copy()
    mask, side = Image.fromarray(photo.mask), max(1, round(strength * size))
    smooth, hard = Image.Resampling.BICUBIC, Image.Resampling.NEAREST
    if kind == "crop":
        rows, columns = np.nonzero(photo.mask)
        center = int(draw.integers(len(rows))) if len(rows) else 0
        middle = (columns[center], rows[center]) if len(rows) else (size // 2, size // 2)
        x, y = (int(np.clip(place - side // 2, 0, size - side)) for place in middle)
        window = (x, y, x + side, y + side)
        shown = (
            mask.crop(window).resize((size, size), hard),
            photo.image.crop(window).resize((size, size), smooth),
        )
        return shown[1], np.array(shown[0], dtype=bool)
    x, y = (int(place) for place in draw.integers(size - side + 1, size=2))
    canvas, seen = Image.new("RGB", (size, size), GRAY), np.zeros((size, size), dtype=bool)
    canvas.paste(photo.image.resize((side, side), smooth), (x, y))
    seen[y : y + side, x : x + side] = np.asarray(mask.resize((side, side), hard))
    return canvas, seen


def photo_cases(seed: int = 0) -> list[Case]:
    """Return the seven labeled photographs: whole, and with each of CORRUPTIONS at both of its strengths."""
    made = []
    for name in _named():
        photo = _square(name)
        settings = [(kind, strength) for kind, both in CORRUPTIONS.items() for strength in both]
        pictures = {"whole": (photo.image, photo.mask.copy())}
        pictures |= {
            f"{kind} {strength:g}": corrupt(photo, kind, strength, seed) for kind, strength in settings
        }
        for family, (image, mask) in pictures.items():
            twins = {"object": _flattened(image, mask), "context": _flattened(image, ~mask)}
            made.append(
                _case(name, family, image, mask, np.zeros_like(mask), {**twins, "other object": image})
            )
    return made
