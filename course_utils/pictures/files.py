"""Pictures that people bring along: read safely, and shown right or refused in a sentence.

A file may be turned by its EXIF data, gray, CMYK, transparent, animated, enormous, cut off, or no picture at all.
Whatever was done to one before a network sees it is said in a sentence. Nothing here needs PyTorch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

__all__ = ["MOST_BYTES", "Picture", "PictureError", "find_pictures", "read_picture"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # what phones store as MPO opens as JPEG
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MOST_BYTES = 100_000_000
SMALLEST = 32  # pixels of the shorter side
KEPT = 768  # pixels of the shorter side that are kept of a large picture: over three times what networks see
TURNED = {2: "mirrored", 3: "turned by 180°", 4: "mirrored", 5: "turned and mirrored", 6: "turned by 90°",
          7: "turned and mirrored", 8: "turned by 90°"}  # fmt: skip


class PictureError(ValueError):
    """This file cannot be shown right; the message says why, and what to do."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a network's preprocessing may have it.

    Attributes:
        name: what to call it.
        image: RGB, 8 bits a channel, upright; reduced if it was large.
        size: (width, height) of the upright picture in its file; boxes are given in these pixels.
        notes: a sentence for each thing that was done to it.
    """

    name: str
    image: Image.Image
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_picture(source: bytes | bytearray | memoryview | str | Path, name: str = "") -> Picture:
    """Read a picture from a file, or from the bytes of one, as an upload hands them over. Nothing is written.

    Turned as EXIF says; gray, CMYK, palettes and 16 bits become RGB; transparent parts white; of an animation the
    first frame counts; large pictures are reduced. What was done stands in ``notes``.

    Args:
        source: path, or the file's content.
        name: what to call it; by default the file's name.

    Raises:
        PictureError: missing, empty, no picture, cut off, over MOST_BYTES or over ``Image.MAX_IMAGE_PIXELS``, under
            32 pixels a side, or with numbers that are no colors.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        name, data = name or path.name, _content(path)
    else:
        name, data = name or "the picture", bytes(source)
    if not data:
        raise PictureError(f"{name} is empty (0 bytes).")
    if len(data) > MOST_BYTES:
        raise PictureError(
            f"{name} has {len(data) / 1e6:.0f} MB; files of up to {MOST_BYTES / 1e6:.0f} MB are read. Save it smaller."
        )
    # A picture that unpacks to far more than its file says so in its first bytes: refused before it is unpacked.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                return _decoded(file, name)
        except PictureError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise PictureError(_too_large(name)) from None
        except Image.UnidentifiedImageError:
            raise PictureError(_not_known(name, data)) from None
        # A damaged file raises whatever its decoder meets.
        except Exception as error:
            raise PictureError(
                f"{name} is damaged or cut off, and half a picture is not shown ({_words(error)}). "
                "Copy or download it again."
            ) from None


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise PictureError(f"{path} is a folder, not a picture.")
        if path.stat().st_size > MOST_BYTES:  # not even read
            raise PictureError(
                f"{path.name} has {path.stat().st_size / 1e6:.0f} MB; files of up to {MOST_BYTES / 1e6:.0f} MB are "
                "read. Save it smaller."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise PictureError(f"there is no file {path}.") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror}).") from None


def _decoded(file: Image.Image, name: str) -> Picture:
    if Image.MAX_IMAGE_PIXELS is not None and file.width * file.height > Image.MAX_IMAGE_PIXELS:
        raise PictureError(_too_large(name, file.size))
    stored, notes = file.size, []
    if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
        notes.append(f"It holds {file.n_frames} frames; the first is used.")
    file.draft(file.mode, (2 * KEPT, 2 * KEPT))  # JPEG: decode no more than needed; else nothing
    file.load()
    turned = _upright(file, notes)
    width, height = stored if (turned.width >= turned.height) == (stored[0] >= stored[1]) else stored[::-1]
    if min(width, height) < SMALLEST:
        raise PictureError(
            f"{name} has {width} x {height} pixels; the shorter side must have at least {SMALLEST}, or there is "
            "nothing to see."
        )
    rgb = _rgb(turned, name, notes)
    if min(width, height) > KEPT:
        scale = KEPT / min(width, height)
        smaller = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = rgb.resize(smaller, Image.Resampling.BICUBIC, reducing_gap=3.0)
        notes.append(f"Reduced from {width} x {height} to {smaller[0]} x {smaller[1]} pixels.")
    rgb.info.clear()  # nothing is left that a later step could turn it by
    return Picture(name, rgb, (width, height), tuple(notes))


def _upright(file: Image.Image, notes: list[str]) -> Image.Image:
    try:
        way = file.getexif().get(ExifTags.Base.Orientation, 1)
        turned = ImageOps.exif_transpose(file)
    except Exception:  # broken metadata beside a whole picture
        notes.append("Its EXIF data cannot be read; if the picture lies on its side, turn it.")
        return file.copy()
    if way in TURNED:
        notes.append(f"Its EXIF data say how it was held: {TURNED[way]}.")
    return turned


def _rgb(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    mode = image.mode
    if mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError(f"{name} holds whole numbers beyond 16 bits, which are no brightness.")
        notes.append("It has 16 bits of gray; the upper 8 are used.")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if mode == "F":
        raise PictureError(
            f"{name} holds decimal numbers, no colors. Scale them to 0..255 and save it as PNG."
        )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if layer.getchannel("A").getextrema()[0] < 255:
            notes.append("Transparent parts are shown white, and the network sees them white.")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if mode in ("CMYK", "YCCK", "LAB", "HSV"):
        notes.append(f"Its colors are {mode}, made for print; on the screen they are approximate.")
    elif mode in ("1", "L", "LA", "La"):
        notes.append("It is gray; the network gets three equal colors.")
    return image.convert("RGB")


def _too_large(name: str, size: tuple[int, int] | None = None) -> str:
    has = (
        f"has {size[0]} x {size[1]} pixels"
        if size
        else "would unpack to far more pixels than a photograph has"
    )
    limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
    return f"{name} {has}; up to {limit:.0f} million are read. Save it smaller."


def _not_known(name: str, data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"hevc"):
        return f"{name} is a HEIC or AVIF file, which is not read here. Save it as JPEG or PNG."
    return f"{name} is no picture that can be read here. Use JPEG, PNG or WebP."


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def find_pictures(places: Iterable[str | Path]) -> list[Path]:
    """Return files as they are named, and of folders all pictures in them, by name, not those in folders below.

    A file in a folder counts if its name ends like a picture's; hidden ones do not. What is named twice comes once.

    Raises:
        PictureError: nothing of that name, or a folder without pictures.
    """
    found: dict[Path, None] = {}
    for place in map(Path, places):
        if place.is_dir():
            inside = [
                path
                for path in sorted(place.iterdir())
                if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
            ]
            if not inside:
                raise PictureError(f"the folder {place} holds no picture ({', '.join(SUFFIXES)}).")
            found.update(dict.fromkeys(inside))
        elif place.exists():
            found[place] = None
        else:
            raise PictureError(f"there is no file or folder {place}.")
    return list(found)
