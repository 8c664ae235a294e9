"""What lies behind ``photos``: the records in ``data/photos.json``, the pixels, and the filled outlines."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from course_utils.assets import AssetError, data_file, package_file

if TYPE_CHECKING:
    import torch

__all__ = [
    "box_around",
    "fill_polygon",
    "object_mask",
    "pixels",
    "read_only",
    "record",
    "records",
    "to_tensor",
]

Box = tuple[int, int, int, int]
"""``(x0, y0, x1, y1)`` in pixels, half-open: x0 and y0 lie inside, x1 and y1 are the first outside."""


@lru_cache(maxsize=1)
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
    path = package_file(entry["package"], entry["path"])
    with Image.open(path) as file:
        image = file.convert("RGB")
    # The size, not the file's hash: if a package repacks its pictures, the outlines still fit.
    if list(image.size) != entry["size"]:
        raise AssetError(
            f"{path} has {image.width} x {image.height} pixels, but the outline of {name!r} was drawn for "
            f"{entry['size'][0]} x {entry['size'][1]}. Install the versions that requirements.txt asks for."
        )
    return image


@cache
def object_mask(name: str) -> np.ndarray:
    """Return the (H, W) bool mask of the photograph's object, read-only: in a polygon and in no hole."""
    entry = record(name)
    width, height = entry["size"]
    mask = np.zeros((height, width), dtype=bool)
    for points in entry["polygons"]:
        mask |= fill_polygon(points, height, width)
    for points in entry["holes"]:
        mask &= ~fill_polygon(points, height, width)
    return read_only(mask)


def fill_polygon(points: list[list[float]], height: int, width: int) -> np.ndarray:
    """Return an (H, W) bool mask of the pixels whose center lies inside a polygon (even-odd rule).

    Coordinates count pixels from the image's upper left corner, so pixel (column i, row j) has its
    center at (i + 1/2, j + 1/2). A center is inside if the outline is crossed an odd number of times on
    the way to it from the left edge.
    """
    crossings = np.zeros((height, width + 1), dtype=int)
    for (xa, ya), (xb, yb) in zip(points, [*points[1:], points[0]], strict=True):
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in sorted((ya, yb)))
        rows = np.arange(first, last)  # their centers lie between the two ends; none if the side is level
        x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya) if rows.size else rows
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    return crossings.cumsum(axis=1)[:, :width] % 2 == 1


def box_around(mask: np.ndarray) -> Box | None:
    """Return the smallest half-open box around the True pixels of an (H, W) mask, None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


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
