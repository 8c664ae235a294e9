"""Pictures that people bring along: read safely, and shown right or refused in a sentence.

A file may be turned by its EXIF data, gray, CMYK, transparent, animated, DICOM, enormous, cut off, or no picture.
Whatever was done to one before a network sees it is said in a sentence. All that read files in this course read them
here, so that a file looks the same everywhere. Nothing here needs PyTorch.
"""

from __future__ import annotations

import io
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from .dicom import is_dicom, read_dicom
from .errors import PictureError
from .grays import scaled

__all__ = ["MOST_BYTES", "Picture", "as_rgb", "read_grays", "read_picture", "readable"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # what phones store as MPO opens as JPEG
MOST_BYTES = 100_000_000
SMALLEST = 32  # pixels of the shorter side
KEPT = 768  # pixels of the shorter side that are kept of a large picture: over three times what networks see
DARK = 16  # of 255: colors that stay below it are taken for numbers of fewer bits than the file has
TURNED = {2: "mirrored", 3: "turned by 180°", 4: "mirrored", 5: "turned and mirrored", 6: "turned by 90°",
          7: "turned and mirrored", 8: "turned by 90°"}  # fmt: skip


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

    Turned as EXIF says; gray, CMYK, palettes and DICOM become RGB; transparent parts white; of an animation the first
    frame counts; large pictures are reduced. Grays of more than 8 bits are shown from the percentile 0.5 of the pixels,
    black, to 99.5, white; DICOM files in their own window, if they have one. What was done stands in ``notes``.

    Args:
        source: path, or the file's content.
        name: what to call it; by default the file's name.

    Raises:
        TypeError: neither path nor bytes.
        PictureError: missing, empty, no picture, cut off, over MOST_BYTES or over ``Image.MAX_IMAGE_PIXELS``, under
            32 pixels a side, or with numbers that are no colors; a DICOM file, and pydicom is not installed.
    """
    name, notes = _named(source, name), []
    try:
        rgb, (width, height) = _read(source, name, notes, 2 * KEPT)
    except ImportError as error:
        raise PictureError(str(error)) from error
    if isinstance(rgb, np.ndarray):
        rgb = _eight_bits(rgb)
    if min(width, height) > KEPT:
        scale = KEPT / min(width, height)
        smaller = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = rgb.resize(smaller, Image.Resampling.BICUBIC, reducing_gap=3.0)
        notes.append(f"Reduced from {width} x {height} to {smaller[0]} x {smaller[1]} pixels.")
    rgb = rgb.convert("RGB")
    rgb.info.clear()  # nothing is left that a later step could turn it by
    return Picture(name, rgb, (width, height), tuple(notes))


def read_grays(source: bytes | str | Path, name: str = "") -> tuple[np.ndarray, list[str]]:
    """Read a picture as :func:`read_picture` does, but return its grays (H, W) in [0, 1], unrounded, and the notes.

    Nothing is reduced. Color is turned to gray: 0.299 R + 0.587 G + 0.114 B.

    Raises:
        PictureError: as for :func:`read_picture`.
        ImportError: a DICOM file, and pydicom is not installed.
    """
    notes: list[str] = []
    picture, _ = _read(source, _named(source, name), notes)
    return picture if isinstance(picture, np.ndarray) else np.asarray(picture.convert("L")) / 255, notes


def readable(name: str) -> str:
    """Return a file's name as it can be printed: bytes of another encoding, and control characters, become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)


def not_fetched(path: Path) -> str:
    """Return a sentence, if what was to be the path of a file is an address."""
    address = path.parts and path.parts[0] in ("http:", "https:", "ftp:", "file:")
    return " Addresses are not fetched: save the picture, and name the file." if address else ""


def _named(source: object, name: str) -> str:
    return readable(name or (Path(source).name if isinstance(source, str | Path) else "the picture"))


def _read(
    source: bytes | bytearray | memoryview | str | Path, name: str, notes: list[str], side: int | None = None
) -> tuple[Image.Image | np.ndarray, tuple[int, int]]:
    """Return a picture upright, RGB or its grays (H, W) in [0, 1]; and its (width, height) in the file.

    With ``side`` a JPEG may be decoded smaller, with a shorter side of at least as many pixels.
    """
    if not isinstance(source, bytes | bytearray | memoryview | str | Path):
        raise TypeError(
            f"a picture is read from the path of a file or from its bytes, got {type(source).__name__}. Of an open "
            "file take `file.read()`; an image that is in memory already goes to `classifier.preprocess`."
        )
    path = Path(source) if isinstance(source, str | Path) else None
    data = bytes(source) if path is None else _content(path)
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
            if is_dicom(data[:132], Path(name).suffix if path is None else path.suffix):
                values = read_dicom(data, name, notes)
                picture = values if values.ndim == 2 else Image.fromarray(values)
                size = values.shape[1::-1]
            else:
                with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                    picture, size = _decoded(file, name, notes, side)
        except (PictureError, ImportError):
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
    if min(size) < SMALLEST:
        raise PictureError(
            f"{name} has {size[0]} x {size[1]} pixels; the shorter side must have at least {SMALLEST}, or there is "
            "nothing to see."
        )
    return picture, size


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
        raise PictureError(f"there is no file {path}.{not_fetched(path)}") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror}).") from None


def _decoded(
    file: Image.Image, name: str, notes: list[str], side: int | None = None, upright: bool = True
) -> tuple[Image.Image | np.ndarray, tuple[int, int]]:
    if Image.MAX_IMAGE_PIXELS is not None and file.width * file.height > Image.MAX_IMAGE_PIXELS:
        raise PictureError(_too_large(name, file.size))
    stored = file.size
    if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
        notes.append(f"It holds {file.n_frames} frames; the first is used.")
    deep = any(
        order in str(file.tile) for order in (";16B", ";16L", ";16N")
    )  # known only before it is decoded
    if side is not None:
        file.draft(file.mode, (side, side))  # JPEG: decode no more than needed; else nothing
    file.load()
    turned = _upright(file, notes) if upright else file
    width, height = stored if (turned.width >= turned.height) == (stored[0] >= stored[1]) else stored[::-1]
    if turned.mode == "F" or turned.mode.startswith("I"):
        grays = _deep_grays(turned, name, notes)
        # A TIFF may say that zero is white. Of 8 bits Pillow turns it around.
        negative = file.format == "TIFF" and file.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        return 1 - grays if negative else grays, (width, height)
    rgb = _rgb(turned, notes)
    if deep:  # of colors, of which Pillow keeps the upper 8 bits
        notes.append("It has 16 bits a color; the upper 8 are used.")
        if np.percentile(rgb, 99) < DARK:
            raise PictureError(
                f"{name} has 16 bits a color, but nearly all of its numbers are below {256 * DARK} of 65535, and look "
                "black. If they fill fewer bits, scale them to 8 and save it again."
            )
    return rgb, (width, height)


def as_rgb(file: Image.Image, name: str) -> Image.Image:
    """Return a picture that Pillow has opened, and not yet decoded, as RGB with the colors of :func:`read_picture`.

    It is not turned, and keeps its size: for those whose boxes speak of the pixels in the file.

    Raises:
        PictureError: with numbers that are no colors, or over ``Image.MAX_IMAGE_PIXELS``.
    """
    picture, _ = _decoded(file, name, [], upright=False)
    return (_eight_bits(picture) if isinstance(picture, np.ndarray) else picture).convert("RGB")


def _eight_bits(grays: np.ndarray) -> Image.Image:
    return Image.fromarray((255 * grays).round().astype(np.uint8))


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


def _deep_grays(image: Image.Image, name: str, notes: list[str]) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "F":
        raise PictureError(
            f"{name} holds decimal numbers, no colors. Scale them to 0..255 and save it as PNG."
        )
    if values.min() < -32768 or values.max() > 65535:
        raise PictureError(
            f"{name} holds whole numbers from {values.min()} to {values.max()}, more than 16 bits, which are no "
            "brightness. Scale them to 0..255 and save it as PNG."
        )
    return scaled(values, name, notes)


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    mode = image.mode
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
