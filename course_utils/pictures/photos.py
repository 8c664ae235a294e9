"""Real photographs with class names, exact object masks and boxes, and 2x2 mosaics of them.

The pixels come from the installed packages scikit-image, scikit-learn and foolbox, so nothing is downloaded.
What the course adds (class names, outlines drawn by hand, square crops) lies in ``data/photos.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from course_utils.arguments import as_whole, positive_int, whole_number
from course_utils.assets import AssetError, data_file, package_file

if TYPE_CHECKING:
    import torch

__all__ = [
    "Box",
    "Mosaic",
    "Photo",
    "balanced_mosaics",
    "box_around",
    "credited",
    "fill_polygon",
    "list_photos",
    "list_textures",
    "load_photo",
    "mosaic",
    "object_mask",
    "object_masks",
    "pixels",
    "read_only",
    "record",
    "records",
    "shown_photos",
    "texture_part",
    "to_tensor",
]

Box = tuple[int, int, int, int]
"""``(x0, y0, x1, y1)`` in pixels, half-open: x0 and y0 lie inside, x1 and y1 are the first outside."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph and what is known about it.

    ``image`` is the caller's own copy. ``mask`` is shared and read-only: take ``mask.copy()`` to change it.
    """

    name: str
    image: Image.Image
    labels: list[str]
    """ImageNet class names that are right for the object, the best first; empty if no class fits."""
    label_note: str
    """Where ImageNet has no class for the object: which class stands in for it."""
    description: str
    """One sentence that says what is to be seen: the alternative text of a figure."""
    mask: np.ndarray = field(repr=False)
    """(H, W) bool, True on the object, or on any of several; all False for textures, which have none."""
    mask_covers: str
    """What was counted as the object, in words."""
    box: Box | None
    """Smallest box around the mask, so around all objects of it; None where the mask is empty. See :attr:`boxes`."""
    crop: Box
    """The square that :meth:`square` cuts out, chosen by eye so that it holds the object well."""
    source: str
    license: str
    author: str
    credit: str
    """What a figure's caption says of where the picture comes from: see :func:`credited`."""
    url: str
    instances: tuple[np.ndarray, ...] = field(default=(), repr=False)
    """A mask like ``mask`` for each object of the class, the largest first; ``mask`` is their union."""
    stored_at_most: int | None = None
    """Pixels a side in a stored figure: None for any number, 0 where the license allows to look and not to store."""

    @property
    def boxes(self) -> list[Box]:
        """The smallest box around each of the :attr:`instances`; a box drawn for the class may hit any of them."""
        return [box_around(mask) for mask in self.instances]

    def square(self, size: int = 224) -> Photo:
        """Return this photograph cut to the square ``crop`` and resized to ``size`` x ``size`` pixels.

        The image is resized bicubically, averaging where it shrinks; of the mask, each new pixel takes
        the old pixel at its center. ``crop`` of the result is the whole square; objects outside it are left out.

        Raises:
            TypeError, ValueError: ``size`` is not a positive whole number.
        """
        size = positive_int(size, "size")
        x0, y0, x1, y1 = self.crop
        image = self.image.crop(self.crop).resize((size, size), Image.Resampling.BICUBIC)
        # Center of new pixel i, in old pixels: (i + 1/2) * side / size. In whole numbers, free of rounding.
        nearest = (2 * np.arange(size) + 1) * (x1 - x0) // (2 * size)
        mask, *instances = (
            read_only(full[y0:y1, x0:x1][np.ix_(nearest, nearest)]) for full in (self.mask, *self.instances)
        )
        return replace(
            self,
            image=image,
            labels=list(self.labels),
            mask=mask,
            box=box_around(mask),
            crop=(0, 0, size, size),
            instances=tuple(instance for instance in instances if instance.any()),
        )

    def tensor(self, size: int = 224) -> torch.Tensor:
        """Return the square as a (1, 3, size, size) float32 tensor, RGB in [0, 1]."""
        return to_tensor(self.square(size).image)


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Four square photographs in a 2x2 image, in reading order.

    The methods take a photograph's name, or its place: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """

    image: Image.Image
    """(size, size) pixels, RGB."""
    photos: tuple[Photo, ...] = field(repr=False)
    """The four photographs as they stand in the mosaic: squares of half its size."""

    @property
    def names(self) -> list[str]:
        """The four names in reading order."""
        return [photo.name for photo in self.photos]

    def tensor(self) -> torch.Tensor:
        """Return the mosaic as a (1, 3, size, size) float32 tensor, RGB in [0, 1]."""
        return to_tensor(self.image)

    def box(self, name: str | int) -> Box:
        """Return the quarter of a photograph as a half-open box in the mosaic's pixels."""
        half = self.image.width // 2
        row, column = divmod(self._place(name), 2)
        return (column * half, row * half, (column + 1) * half, (row + 1) * half)

    def quarter(self, name: str | int) -> np.ndarray:
        """Return a (size, size) bool mask that is True in the quarter of a photograph."""
        return self._paste(name, True)

    def mask(self, name: str | int) -> np.ndarray:
        """Return a (size, size) bool mask that is True on a photograph's object, inside the mosaic."""
        return self._paste(name, self.photos[self._place(name)].mask)

    def _paste(self, name: str | int, content: np.ndarray | bool) -> np.ndarray:
        x0, y0, x1, y1 = self.box(name)
        canvas = np.zeros((self.image.height, self.image.width), dtype=bool)
        canvas[y0:y1, x0:x1] = content
        return canvas

    def _place(self, name: str | int) -> int:
        if isinstance(name, str):
            places = [place for place, known in enumerate(self.names) if known == name]
            if not places:
                raise ValueError(f"{name!r} is not in this mosaic, which shows {', '.join(self.names)}.")
            if len(places) > 1:
                raise ValueError(
                    f"{name!r} is in this mosaic {len(places)} times, at the places {places}: "
                    "give one of these numbers instead of the name."
                )
            return places[0]
        place = as_whole(name, f"give a photograph's name or its place 0 to 3, not {name!r}.")
        if not 0 <= place < len(self.photos):
            raise ValueError(f"a mosaic has the places 0 to 3 in reading order, not {place}.")
        return place


def list_photos(*packages: str, labeled: bool = False) -> list[str]:
    """Return the names of the photographs that show an object, for :func:`load_photo`.

    Args:
        packages: only photographs that these carry, of "skimage", "sklearn" and "foolbox"; by default all.
        labeled: only those whose object ImageNet has a class for.

    Raises:
        ValueError: no photograph comes from such a package.
    """
    objects = records()["objects"]
    known = list(dict.fromkeys(entry["package"] for entry in objects.values()))
    for package in packages:
        if package not in known:
            raise ValueError(f"no photograph comes from a package {package!r}, only from {', '.join(known)}.")
    return [
        name
        for name, entry in objects.items()
        if entry["package"] in (packages or known) and (entry["labels"] or not labeled)
    ]


def list_textures() -> list[str]:
    """Return the names of the textures, for :func:`load_photo`; they have no labels and no mask."""
    return list(records()["textures"])


def load_photo(name: str) -> Photo:
    """Return the photograph ``name`` in its original size; the result is the caller's own.

    Raises:
        TypeError, ValueError: there is no such photograph; the message names close matches.
        AssetError: the package that carries it is missing, or carries another picture.
    """
    entry = record(name)
    mask = object_mask(name)
    return Photo(
        name=name,
        image=pixels(name).copy(),
        labels=list(entry["labels"]),
        label_note=entry["label_note"],
        description=entry["description"],
        mask=mask,
        mask_covers=entry["mask_covers"],
        box=box_around(mask),
        crop=tuple(entry["crop"]),
        source=entry["source"],
        license=entry["license"],
        author=entry["author"],
        credit=entry["credit"],
        url=entry["url"],
        instances=object_masks(name),
        stored_at_most=entry.get("stored_at_most"),
    )


def mosaic(names: Sequence[str | Photo], size: int = 224, seed: int | None = None) -> Mosaic:
    """Put four photographs into one square image of 2x2 quarters.

    Args:
        names: four names or :class:`Photo` objects, in reading order.
        size: width and height of the mosaic in pixels; even, so that the quarters are equal.
        seed: if given, the four places are dealt out at random from this seed.

    Raises:
        TypeError, ValueError: not four photographs, an unknown name, or a size that is not even.
    """
    if isinstance(names, str | Photo):
        raise TypeError('a mosaic takes a list of four photographs, such as ["cat", "coffee", ...], not one.')
    chosen = list(names)
    if len(chosen) != 4:
        raise ValueError(f"a mosaic takes exactly four photographs, but {len(chosen)} were given.")
    size = positive_int(size, "size")
    if size % 2:
        raise ValueError(
            f"size {size} is odd, so the four quarters would differ: use {size - 1 or 2} or {size + 1}."
        )
    if seed is not None:
        chosen = [chosen[i] for i in np.random.default_rng(seed).permutation(4)]
    half = size // 2
    photos = tuple((item if isinstance(item, Photo) else load_photo(item)).square(half) for item in chosen)
    image = Image.new("RGB", (size, size))
    for place, photo in enumerate(photos):
        row, column = divmod(place, 2)
        image.paste(photo.image, (column * half, row * half))
    return Mosaic(image=image, photos=photos)


def balanced_mosaics(names: Sequence[str], rounds: int = 1, seed: int = 0, size: int = 224) -> list[Mosaic]:
    """Return ``rounds`` * len(names) mosaics in which each photograph stands equally often, and in each place.

    In a round the photographs are shuffled into a ring; each mosaic takes the ring at four distances that are drawn
    for that round. So each stands in each of the four places once a round, among others each time.

    Raises:
        TypeError, ValueError: fewer than four different names, an unknown one, or a size that is not even.
    """
    names = list(names)
    n = len(names)
    if n < 4 or len(set(names)) < n:
        raise ValueError(f"balanced mosaics take four or more different photographs, got {names}.")
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(whole_number(rounds, "rounds", least=1)):
        ring, distances = draw.permutation(n), draw.choice(n, 4, replace=False)
        made += [mosaic([names[ring[(i + d) % n]] for d in distances], size) for i in range(n)]
    return made


def shown_photos(things: object) -> list[Photo]:
    """Return the photographs in ``things``: a name, a photograph, what has ``photos``, as a mosaic, or a list of these.

    Raises:
        TypeError, ValueError: something else, or an unknown name.
        AssetError: the package that carries a photograph is missing, or carries another picture.
    """
    if isinstance(things, Photo):
        return [things]
    if isinstance(things, str):
        return [load_photo(things)]
    inside = getattr(things, "photos", things)
    if not isinstance(inside, Iterable):
        raise TypeError(
            f"what a figure shows is told by names of photographs, photographs, mosaics or composites, not by "
            f"{type(things).__name__}."
        )
    return [photo for thing in inside for photo in shown_photos(thing)]


def credited(caption: str, things: object) -> str:
    """Return a figure's caption with the credits of the photographs that it shows at the end, each of them once.

    Args:
        caption: one or more sentences.
        things: what the figure shows: see :func:`shown_photos`.
    """
    credits = list(dict.fromkeys(photo.credit for photo in shown_photos(things)))
    if not credits:
        return caption
    return f"{caption.rstrip()} {'Photographs' if len(credits) > 1 else 'Photograph'}: {'; '.join(credits)}."


def texture_part(texture: Image.Image, size: int, draw: np.random.Generator) -> Image.Image:
    """Return a drawn square of a picture, resized to (size, size).

    Its side is between half of the picture's shorter side and all of it; drawn are side, x and y, in this order.
    """
    side = int(draw.integers(min(texture.size) // 2, min(texture.size) + 1))
    x, y = (int(draw.integers(length - side + 1)) for length in texture.size)
    return texture.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.BICUBIC)


# ---------------------------------------------------------------- records, pixels, outlines
@cache
def records() -> dict[str, dict[str, dict]]:
    """Return the content of ``data/photos.json``: the records under ``"objects"`` and ``"textures"``."""
    return json.loads(data_file("photos.json").read_text(encoding="utf-8"))


def record(name: str) -> dict:
    """Return the record of one photograph.

    Raises:
        TypeError, ValueError: there is no such photograph; the message names close matches.
    """
    objects, textures = records()["objects"], records()["textures"]
    known = {**objects, **textures}
    if not isinstance(name, str):
        raise TypeError(f"the name of a photograph is a string such as 'cat', not {type(name).__name__}.")
    if name not in known:
        close = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"there is no photograph {name!r}.{hint} Photographs: {', '.join(objects)}. "
            f"Textures: {', '.join(textures)}."
        )
    return known[name]


@cache
def pixels(name: str) -> Image.Image:
    """Return the decoded photograph, RGB, in its original size. Shared: copy it before handing it out.

    Raises:
        AssetError: the package that carries it is missing, or carries a picture of another size.
    """
    entry = record(name)
    path = package_file(entry["package"], entry["path"], entry.get("sha256"))
    with Image.open(path) as file:
        image = file.convert("RGB")
    # Without a hash, the size: if scikit-image repacks its pictures, the outlines still fit.
    if list(image.size) != entry["size"]:
        raise AssetError(
            f"{path} has {image.width} x {image.height} pixels, but the outline of {name!r} was drawn for "
            f"{entry['size'][0]} x {entry['size'][1]}. Install the versions that requirements.txt asks for."
        )
    return image


@cache
def object_mask(name: str) -> np.ndarray:
    """Return the (H, W) bool mask of what the photograph shows, read-only: the union of :func:`object_masks`."""
    width, height = record(name)["size"]
    return read_only(np.any([np.zeros((height, width), dtype=bool), *object_masks(name)], axis=0))


@cache
def object_masks(name: str) -> tuple[np.ndarray, ...]:
    """Return an (H, W) bool mask of each object, read-only: in one of its polygons and in none of its holes."""
    entry = record(name)
    width, height = entry["size"]
    masks = []
    for instance in entry["instances"]:
        mask = np.zeros((height, width), dtype=bool)
        for points in instance["polygons"]:
            mask |= fill_polygon(points, height, width)
        for points in instance["holes"]:
            mask &= ~fill_polygon(points, height, width)
        masks.append(read_only(mask))
    return tuple(masks)


def fill_polygon(points: list[list[float]], height: int, width: int) -> np.ndarray:
    """Return an (H, W) bool mask of the pixels whose center lies inside a polygon (even-odd rule).

    Coordinates count pixels from the image's upper left corner, so pixel (column i, row j) has its
    center at (i + 1/2, j + 1/2). A center is inside if the outline is crossed an odd number of times on
    the way to it from the left edge.
    """
    crossings = np.zeros((height, width + 1), dtype=np.uint8)  # only odd or even matters, so it may overflow
    for (xa, ya), (xb, yb) in zip(points, [*points[1:], points[0]], strict=True):
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in sorted((ya, yb)))
        rows = np.arange(first, last)  # their centers lie between the two ends; none if the side is level
        x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya) if rows.size else rows
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    return crossings.cumsum(axis=1, dtype=np.uint8)[:, :width] % 2 == 1


def box_around(mask: np.ndarray) -> Box | None:
    """Return the smallest half-open box around the True pixels of an (H, W) mask of bool, None if there are none."""
    return Image.fromarray(mask).getbbox()


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the array itself, from now on protected against writing."""
    array.flags.writeable = False
    return array


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return an RGB image as a (1, 3, H, W) float32 tensor in [0, 1]."""
    # Imported here: listing and looking at photographs needs no torch.
    import torch

    values = torch.from_numpy(np.array(image, dtype=np.float32) / 255)
    return values.permute(2, 0, 1)[None].contiguous()
