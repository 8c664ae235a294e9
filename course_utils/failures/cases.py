"""Plain crops of photographs, and composites: the truth about them, and twins that lack one part.

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
from PIL import Image, ImageOps
from torch import Tensor

from course_utils.arguments import positive_int, whole_number
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

__all__ = [
    "ALSO_SHOWN",
    "DOUBTFUL",
    "FAMILIES",
    "GROUNDS",
    "PARTS",
    "VIEWS",
    "WHOLE",
    "Case",
    "composite_cases",
    "crop_cases",
]

PARTS = ("object", "other object", "context")
FAMILIES = ("on a texture", "small on a texture", "beside another object", "in another photograph")
GROUNDS = ("gray", "texture")
"""What takes the place of the context in the twin of a composite."""
PLACES = {
    "top left": (0, 0),
    "top right": (1, 0),
    "bottom left": (0, 1),
    "bottom right": (1, 1),
    "center": (0.5, 0.5),
}
VIEWS = tuple(f"{place}{turned}" for place in PLACES for turned in ("", ", mirrored"))
"""The ten crops of a photograph that an evaluation on ImageNet takes (Krizhevsky et al. 2012)."""
WHOLE = "whole"
"""The square that :meth:`course_utils.pictures.Photo.square` cuts out, unlike the ten with all of the object in it."""
ALSO_SHOWN = {"palace": ("lakeside",)}
"""Other things that a photograph shows and ImageNet has a class for, found by eye: their names are no mistakes."""
DOUBTFUL = {
    "window": "the picture shows two windows of colored glass",
    "spoonbill": "the bills are thin and curved, as those of ibises",
    "leafhopper": "the high shield is that of a treehopper",
    "loafer": "a loafer has no laces, this shoe has",
    "bottlecap": "a cap that is painted on a wall",
}
"""Photographs whose ImageNet label does not fit what is to be seen, and why."""

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
    """ImageNet class names that are right for the object, the best first."""
    image: Image.Image
    masks: dict[str, np.ndarray] = field(repr=False)
    """A (H, W) bool mask for each of PARTS: disjoint, together the whole picture; one may be empty."""
    twins: dict[str, Image.Image] = field(repr=False)
    """The picture without the part, for each part that is there."""
    also: tuple[str, ...] = ()
    """Names of other things that it shows: to call it by one of them is no mistake."""
    photos: tuple[str, ...] = ()
    """Names of the photographs that are seen in it, textures included: whom a figure's caption credits."""

    def tensor(self, without: str | None = None) -> Tensor:
        """Return the picture, or its twin without a part, as a (1, 3, H, W) tensor in [0, 1]."""
        if without is not None and without not in self.twins:
            raise ValueError(
                f"there is no twin without {without!r}, only without {', '.join(map(repr, self.twins))}."
            )
        array = np.asarray(self.image if without is None else self.twins[without])
        return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


def _case(
    name: str,
    family: str,
    image: Image.Image,
    subject: np.ndarray,
    other: np.ndarray,
    twins: dict,
    also: Sequence[str],
    photos: Sequence[str],
) -> Case:
    masks = {"object": subject, "other object": other & ~subject, "context": ~(subject | other)}
    kept = {part: twins[part] for part in PARTS if masks[part].any()}
    return Case(name, family, tuple(load_photo(name).labels), image, masks, kept, tuple(also), tuple(photos))


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
    n: int,
    seed: int = 0,
    families: Sequence[str] = FAMILIES,
    instead: str = "gray",
    start: int = 0,
    names: Sequence[str] | None = None,
) -> list[Case]:
    """Paste a labeled object on a texture, beside another object, or into another photograph.

    Number i depends on seed, families, names and i alone; the families take turns. The labeled object is always the
    topmost, 0.3 to 0.9 of the picture's side long ("small": 0.12 to 0.3). In "in another photograph" the ground is
    another photograph, whose object is the other object; its twin without that object has one color in its place.

    Args:
        n: how many.
        seed: whole number.
        families: some of FAMILIES.
        instead: what stands in for the context in the twin without it: "gray", or a "texture" other than the
            picture's own.
        start: number of the first.
        names: two or more labeled photographs to cut objects out of; default: the seven of scikit-image and
            scikit-learn.

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
    known = list_photos(labeled=True)
    chosen = list(_named() if names is None else names)
    for name in chosen:
        if name not in known:
            raise ValueError(f"no labeled photograph is called {name!r}, only {', '.join(known)}.")
    if len(set(chosen)) < 2:
        raise ValueError(f"composites take two photographs at least, got {', '.join(chosen) or 'none'}.")
    return [
        _composite(np.random.default_rng([seed, number]), families[number % len(families)], instead, chosen)
        for number in range(start, start + n)
    ]


def _composite(draw: np.random.Generator, family: str, instead: str, names: list[str]) -> Case:
    name, second = map(str, draw.choice(names, 2, replace=False))
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
    also = load_photo(second).labels if other.any() else ()
    photos = {FAMILIES[2]: (name, second, texture), FAMILIES[3]: (name, second)}.get(family, (name, texture))
    return _case(name, family, top.image, subject, other, {"object": grounds["whole"], **twins}, also, photos)


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


# --- plain crops


def crop_cases(names: Sequence[str] | None = None, size: int = SIZE) -> list[Case]:
    """Return each photograph whole, and its ten crops as an evaluation takes them, unmodified otherwise.

    The shorter side is resized to 256/224 of ``size``; cut out are the four corners and the center, each as it is and
    mirrored. An object may lie outside of a crop: the case then has no twin without it.

    Args:
        names: of photographs; default: all that have a label.
        size: of the pictures, as the network takes them.

    Returns:
        Eleven cases for each photograph, their family one of ``WHOLE`` and ``VIEWS``.

    Raises:
        TypeError, ValueError: no such photograph, or a size that is no positive whole number.
    """
    size, made = positive_int(size, "size"), []
    for name in list_photos(labeled=True) if names is None else names:
        photo = load_photo(name)
        square = photo.square(size)
        made.append(_crop(name, WHOLE, square.image.convert("RGB"), square.mask))
        long = round(size * 256 / 224)
        sides = [round(side * long / min(photo.image.size)) for side in photo.image.size]
        image = photo.image.convert("RGB").resize(sides, Image.Resampling.BICUBIC)
        mask = Image.fromarray(photo.mask).resize(sides, Image.Resampling.NEAREST)
        for place, (right, down) in PLACES.items():
            x, y = int(right * (sides[0] - size)), int(down * (sides[1] - size))
            cut, seen = (layer.crop((x, y, x + size, y + size)) for layer in (image, mask))
            made.append(_crop(name, place, cut, np.array(seen, dtype=bool)))
            mirrored = np.array(ImageOps.mirror(seen), dtype=bool)
            made.append(_crop(name, f"{place}, mirrored", ImageOps.mirror(cut), mirrored))
    return made


def _crop(name: str, family: str, image: Image.Image, mask: np.ndarray) -> Case:
    twins = {"object": _flattened(image, mask), "context": _flattened(image, ~mask)}
    return _case(name, family, image, mask, np.zeros_like(mask), twins, ALSO_SHOWN.get(name, ()), (name,))
