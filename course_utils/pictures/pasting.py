"""Pasting: layers over each other, and what is seen of each; composites of objects cut out of photographs.

What is on a composite is known to the pixel, and there are as many as one asks for. They are no photographs,
though: the light does not fit, nothing casts a shadow, and by default only seven objects are cut out. Figures
measured on them hold for them. EfficientNet-Lite0 names the object of 49% of 200 composites (``composites(200)``)
at first guess and of 68% within five guesses: always the cat, never the rocket, which it takes for a matchstick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from course_utils.arguments import number_range, positive_int, whole_number

from .photos import (
    Box,
    box_around,
    list_photos,
    object_masks,
    pixels,
    read_only,
    record,
    records,
    texture_part,
    to_tensor,
)

if TYPE_CHECKING:
    import torch

__all__ = ["Composite", "Layer", "PastedObject", "composites", "seen"]


@dataclass(frozen=True, eq=False)
class Layer:
    """An object as drawn or cut out, and where it lies in a picture, of which it may reach beyond the edges."""

    ink: np.ndarray
    """(h, w, 3), its colors, 0..255."""
    alpha: np.ndarray
    """(h, w), its opacity, 0..1."""
    corner: tuple[int, int]
    """x, y of its upper left pixel in the picture; negative if it is cut off there."""

    @property
    def solid(self) -> np.ndarray:
        """(h, w) bool, True where it makes up at least half of the pixel."""
        return self.alpha >= 0.5

    def window(self, size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where it lies: (rows, columns) of a square picture, and the (rows, columns) of the layer shown there."""
        picture, inside = [], []
        for corner, side in zip(self.corner[::-1], self.alpha.shape, strict=True):
            first, last = max(0, corner), min(size, corner + side)
            picture.append(slice(first, last))
            inside.append(slice(first - corner, last - corner))
        return tuple(picture), tuple(inside)


def seen(layers: Sequence[Layer], size: int) -> list[tuple[np.ndarray, float]]:
    """Return what is seen of each layer if the later ones cover the earlier ones.

    Args:
        layers: from the lowest to the topmost.
        size: width and height of the picture.

    Returns:
        For each layer a mask (size, size) of bool, read-only, and the share of the layer's own pixels in it, 0 to 1.
    """
    covered = np.zeros((size, size), dtype=bool)
    found = []
    for layer in reversed(layers):
        (picture, inside), solid = layer.window(size), layer.solid
        own = np.zeros((size, size), dtype=bool)
        own[picture] = solid[inside]
        mask = own & ~covered
        covered |= own
        found.append((read_only(mask), float(mask.sum() / max(1, solid.sum()))))
    return found[::-1]


# ---------------------------------------------------------------- composites of photographs
EDGE = 0.7
"""Standard deviation, in pixels of the composite, of the blur that softens an object's edge."""
LEAST_VISIBLE = 0.4
"""Share of its own pixels that each object shows, at least, when others lie over it or the picture ends."""
ATTEMPTS = 60


@dataclass(frozen=True, eq=False)
class PastedObject:
    """One object on a composite, and where it can be seen."""

    name: str
    """Name of the photograph it was cut out of."""
    labels: list[str]
    """ImageNet class names that are right for it, the best first; empty if no class fits."""
    mask: np.ndarray = field(repr=False)
    """(H, W) bool, True where the object is seen: where it makes up at least half of the pixel. Read-only."""
    box: Box
    """Smallest box around the mask, half-open."""
    visible: float
    """Share of the object's pixels that is seen: 1.0 if nothing lies over it and it is not cut off."""
    flipped: bool
    """Whether left and right are exchanged."""


@dataclass(frozen=True, eq=False)
class Composite:
    """A picture put together from cut-out objects, and what is where on it."""

    image: Image.Image
    """(size, size) pixels, RGB; the caller's own."""
    objects: tuple[PastedObject, ...]
    """The objects from the lowest to the topmost."""
    background: str
    """Name of the texture, or "own" if the caller gave a picture."""

    @property
    def photos(self) -> list[str]:
        """Names of the photographs that are seen: those that its objects were cut out of, then the texture."""
        ground = [self.background] if self.background in records()["textures"] else []
        return [thing.name for thing in self.objects] + ground

    def tensor(self) -> torch.Tensor:
        """Return the picture as a (1, 3, size, size) float32 tensor, RGB in [0, 1]."""
        return to_tensor(self.image)


@dataclass(frozen=True, eq=False)
class _CutOut(Layer):
    name: str  # of the photograph
    flipped: bool


def composites(
    n: int,
    seed: int = 0,
    size: int = 224,
    objects: int | tuple[int, int] = 1,
    names: Sequence[str] | None = None,
    background: str | Image.Image | None = None,
    scale: tuple[float, float] = (0.5, 0.9),
    overhang: float = 0.0,
    start: int = 0,
) -> list[Composite]:
    """Paste objects, cut out of the photographs, at drawn places, sizes and flips on textures.

    Number i depends on the seed and on i alone: ``composites(10)[3]`` is ``composites(4)[3]`` is
    ``composites(1, start=3)[0]``. Where objects overlap, the later one covers the earlier one. A composition
    that leaves less than 40% of any object to be seen gets other places and sizes.

    Args:
        n: how many.
        seed: whole number; other seeds give other composites.
        size: width and height in pixels.
        objects: how many objects on each, or (fewest, most).
        names: photographs to draw from, as in :func:`course_utils.pictures.list_photos`; by default those
            of scikit-image and scikit-learn that ImageNet has a class for. Of several objects on a photograph the
            largest is cut out. Twice the same object on one composite is possible only if
            there are fewer names than objects: ``names=["cat"], objects=2``.
        background: a texture's name, or a picture, of which the central square is taken; by default a
            texture is drawn. Of a texture a drawn part is shown.
        scale: range of the longer side of the object's box, as a share of ``size``; drawn uniformly.
        overhang: how much of an object's width and height may lie beyond the edge of the picture, 0 to 0.5.
        start: number of the first composite.

    Raises:
        TypeError, ValueError: an argument out of its range, an unknown name, or objects too many or too large
            to leave each of them visible.
        AssetError: a package that carries photographs is missing.
    """
    n, start = whole_number(n, "n", 0), whole_number(start, "start", 0)
    seed, size = whole_number(seed, "seed", 0), positive_int(size, "size")
    if size < 32:
        raise ValueError(
            f"size must be at least 32 pixels, not {size}: on less, nothing could be recognized."
        )
    fewest, most = number_range(objects, "objects", whole=True)
    low, high = number_range(scale, "scale")
    if fewest < 1 or most > 8:
        raise ValueError(f"objects must be between 1 and 8, got {objects!r}.")
    if not (low * size >= 24 and high <= 1.5):
        raise ValueError(
            f"scale is the longer side as a share of the picture's: between {24 / size:.2f} (24 pixels) and 1.5, got "
            f"{scale!r}."
        )
    if not (isinstance(overhang, Real) and 0 <= overhang <= 0.5):
        raise ValueError(f"overhang is a share between 0 and 0.5 of the object's size, got {overhang!r}.")
    if overhang == 0 and high > 1:
        raise ValueError(
            f"an object of {high} times the picture's side does not fit into it: give `overhang`, or a scale "
            "of at most 1."
        )
    known = _object_names(names)
    if isinstance(background, str) and background not in records()["textures"]:
        raise ValueError(
            f"there is no texture {background!r}: give one of {', '.join(records()['textures'])}, or a picture "
            "(`load_photo(name).image`)."
        )
    if background is not None and not isinstance(background, str | Image.Image):
        raise TypeError(f"background is a texture's name or a PIL image, not {type(background).__name__}.")
    made = []
    for number in range(start, start + n):
        draw = np.random.default_rng([seed, number])
        chosen = str(draw.choice(list(records()["textures"]))) if background is None else background
        ground = _ground(chosen, size, draw)
        layers, shown = _layers(draw, known, (fewest, most), (low, high), overhang, size)
        pasted = tuple(_record(layer, *found) for layer, found in zip(layers, shown, strict=True))
        made.append(Composite(_paste(ground, layers), pasted, chosen if isinstance(chosen, str) else "own"))
    return made


def _record(layer: _CutOut, mask: np.ndarray, visible: float) -> PastedObject:
    labels = list(record(layer.name)["labels"])
    return PastedObject(layer.name, labels, mask, box_around(mask), visible, layer.flipped)


def _layers(
    draw: np.random.Generator,
    names: list[str],
    counts: tuple[int, int],
    scale: tuple[float, float],
    overhang: float,
    size: int,
) -> tuple[list[_CutOut], list[tuple[np.ndarray, float]]]:
    """Draw objects until each of them is visible enough; return them with their visible masks and shares."""
    # What is shown is drawn once, and only places and sizes again: else crowded composites would be rarer.
    count = int(draw.integers(counts[0], counts[1] + 1))
    chosen = draw.choice(names, size=count, replace=count > len(names))
    for _ in range(ATTEMPTS):
        layers = [_layer(draw, str(name), draw.uniform(*scale), overhang, size) for name in chosen]
        shown = seen(layers, size)
        if all(share >= LEAST_VISIBLE for _, share in shown):
            return layers, shown
    raise ValueError(
        f"in {ATTEMPTS} attempts to place {count} object(s) of {scale[0]} to {scale[1]} of the picture's side, more "
        f"than {1 - LEAST_VISIBLE:.0%} of one was always hidden: ask for fewer objects, or for a smaller scale."
    )


def _layer(draw: np.random.Generator, name: str, scale: float, overhang: float, size: int) -> _CutOut:
    cut = _cut_out(name)
    shrink = scale * size / max(cut.size)
    width, height = (max(1, round(side * shrink)) for side in cut.size)
    flipped = bool(draw.integers(2))
    ink, alpha = _softened(cut, width, height, flipped)
    place = []
    for side in (width, height):
        # At least from edge to edge; an object larger than the picture covers it along this side.
        beyond = math.floor(overhang * side)
        first, last = sorted((-beyond, size - side + beyond))
        place.append(int(draw.integers(first, last + 1)) - _MARGIN)
    return _CutOut(ink, alpha, (place[0], place[1]), name, flipped)


_MARGIN = 2  # pixels around an object into which its softened edge reaches


@lru_cache(maxsize=16)
def _cut_out(name: str) -> Image.Image:
    """Return the object in its box, in the photograph's resolution, RGBA."""
    mask = object_masks(name)[0]  # the largest, where there are several
    box = box_around(mask)
    cut = pixels(name).copy()
    cut.putalpha(Image.fromarray(mask.astype(np.uint8) * 255))
    return cut.crop(box)


def _softened(cut: Image.Image, width: int, height: int, flipped: bool) -> tuple[np.ndarray, np.ndarray]:
    """Resize an object and blur its edge; return colors (h, w, 3) and opacity (h, w), with a margin around.

    Colors are averaged in proportion to opacity ("RGBa"), so that nothing of the old background comes along;
    beyond the old edge, where the blur reaches, the object's own colors continue.
    """
    small = cut.convert("RGBa").resize((width, height), Image.Resampling.BICUBIC)
    small = ImageOps.mirror(small) if flipped else small
    # RGBa has no ImageOps.expand and no filter; its four channels are ordinary images.
    wide = [ImageOps.expand(channel, _MARGIN) for channel in small.split()]
    sharp = np.stack([np.asarray(channel, dtype=float) for channel in wide], axis=-1)
    blurred = np.stack(
        [np.asarray(channel.filter(ImageFilter.GaussianBlur(EDGE)), dtype=float) for channel in wide], axis=-1
    )
    source = np.where(sharp[..., 3:] > 127, sharp, blurred)
    color = source[..., :3] * 255 / np.maximum(source[..., 3:], 1)
    return np.clip(color, 0, 255), blurred[..., 3] / 255


def _paste(ground: Image.Image, layers: Sequence[Layer]) -> Image.Image:
    """Lay the objects over the background, one after the other: alpha * color + (1 - alpha) * what is below."""
    canvas = np.asarray(ground, dtype=float).copy()
    for layer in layers:
        picture, inside = layer.window(ground.width)
        alpha = layer.alpha[inside][..., None]
        canvas[picture] = alpha * layer.ink[inside] + (1 - alpha) * canvas[picture]
    return Image.fromarray(np.rint(canvas).astype(np.uint8))


def _ground(background: str | Image.Image, size: int, draw: np.random.Generator) -> Image.Image:
    if isinstance(background, Image.Image):
        return ImageOps.fit(background.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    part = texture_part(pixels(background), size, draw)
    return ImageOps.mirror(part) if draw.integers(2) else part


def _object_names(names: Sequence[str] | None) -> list[str]:
    objects = records()["objects"]
    if names is None:
        return list_photos("skimage", "sklearn", labeled=True)
    if isinstance(names, str):
        raise TypeError(f'names is a list of photographs, such as ["{names}"], not one name.')
    chosen = list(names)
    if not chosen:
        raise ValueError("names is empty: give at least one photograph, or None for the course's own choice.")
    for name in chosen:
        record(name)  # complains about unknown names, and suggests others
        if name not in objects:
            raise ValueError(f"{name!r} is a texture, without an object to cut out: use it as `background`.")
    return chosen
