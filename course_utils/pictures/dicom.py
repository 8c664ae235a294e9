"""DICOM files, as hospitals keep pictures: one picture, by what the file says of its numbers.

    stored number -> modality LUT or slope and intercept -> VOI LUT or window -> [0, 1] -> turned around if MONOCHROME1

as in the standard's part 3 (PS3.3, C.7.6.3.1.2, C.11.1, C.11.2). Without VOI LUT and window, grays of up to 8 bits are
taken as they are, as in a PNG; deeper ones are shown by the percentiles of ``grays``. Padding, where nothing was
measured, counts for no range and is black. The reading is pydicom's, an option.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .errors import PictureError
from .grays import scaled

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["is_dicom", "read_dicom"]

SUFFIXES = (".dcm", ".dicom")
GRAYS = ("MONOCHROME1", "MONOCHROME2")
OLD = (b"\x02\x00", b"\x08\x00")  # without the standard's preamble a file begins with a tag of group 2 or 8


def is_dicom(head: bytes, suffix: str = "") -> bool:
    """Return whether a file that begins with ``head`` (132 bytes or more) and ends in ``suffix`` is a DICOM file."""
    return head[128:132] == b"DICM" or suffix.lower() in SUFFIXES


def read_dicom(data: bytes, name: str, notes: list[str]) -> np.ndarray:
    """Return the picture of a DICOM file: gray (H, W) in [0, 1], or RGB (H, W, 3) of 8 bits.

    Args:
        data: the file's content.
        name: what to call it in errors.
        notes: gets a sentence for each thing that was done.

    Raises:
        ImportError: pydicom is not installed.
        PictureError: no DICOM file, damaged, compressed in a way that takes more packages, without a picture or with
            several, or with colors other than RGB or YBR.
    """
    try:
        import pydicom.pixels
    except ImportError as error:
        raise ImportError(
            f"{name} is a DICOM file; to read it takes the package pydicom 3 or newer, which the course does not "
            "install: `pip install pydicom`."
        ) from error
    with _told(name):
        file = pydicom.dcmread(io.BytesIO(data), force=data[:2] in OLD)
    if "PixelData" not in file:
        raise PictureError(f"{name} is a DICOM file without a picture in it.")
    with _told(name):
        pixels = file.Rows * file.Columns
        if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:  # before it is unpacked
            raise PictureError(
                f"{name} has {file.Columns} x {file.Rows} pixels, more than are read. Save it smaller."
            )
        stored = _stored(file)
    kind = file.get("PhotometricInterpretation", "grays or colors that are not said")
    if stored.ndim == 2 and kind in GRAYS:
        with _told(name):
            return _gray(file, stored, name, notes)
    if stored.ndim == 3 and file.SamplesPerPixel == 3 and stored.dtype == np.uint8:
        return stored  # RGB: pydicom has converted YBR
    single = stored.ndim == 2 or (stored.ndim == 3 and file.SamplesPerPixel == 3)
    remedy = "Save it as PNG with 8 bits a color" if single else "Take a file of a single picture"
    raise PictureError(
        f"{name} holds pixels of shape {stored.shape}: one gray picture is wanted, (rows, columns), or one in RGB with "
        f"8 bits. It has {8 * stored.dtype.itemsize} bits and {kind}. {remedy}."
    )


@contextmanager
def _told(name: str) -> Iterator[None]:
    from pydicom.errors import InvalidDicomError

    try:
        yield
    except PictureError:
        raise
    except InvalidDicomError as error:
        raise PictureError(
            f"{name} ends like a DICOM file, and does not begin like one. If it is a JPEG or PNG, give it that ending."
        ) from error
    except Exception as error:  # pydicom, and what decodes compressed pixels, raise a dozen kinds
        raise PictureError(
            f"{name} cannot be read as a DICOM picture ({type(error).__name__}: {error})."
        ) from error


def _stored(file: Dataset) -> np.ndarray:
    from pydicom import uid

    if "TransferSyntaxUID" not in file.file_meta:  # an old file: its pixels are written as its tags are
        implicit = file.original_encoding[0]
        file.file_meta.TransferSyntaxUID = (
            uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        )
    return file.pixel_array


def _gray(file: Dataset, stored: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut, apply_voi

    padding = _padding(file, stored)
    values, window = np.asarray(apply_modality_lut(stored, file)), _window(file)
    if file.get("VOILUTSequence"):
        shown = apply_voi(values, file) / (2.0 ** file.VOILUTSequence[0].LUTDescriptor[2] - 1)
        notes.append("It is a DICOM picture, shown by its own table of grays.")
    elif window is not None:
        shown = _windowed(values.astype(np.float64), *window)
        notes.append(
            f"It is a DICOM picture, shown in its own window: center {window[1]:g}, width {window[2]:g}."
        )
    elif file.BitsStored <= 8 and np.array_equal(values, stored):
        shown = stored / (2.0**file.BitsStored - 1)
    else:
        shown = scaled(values, name, notes, ~padding)
    if file.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
        notes.append("Its small numbers are the bright ones, and are shown so.")
    if padding.any():
        notes.append(
            f"{padding.mean():.0%} of it is padding, where nothing was measured, and is shown black."
        )
    return np.where(padding, 0.0, shown.clip(0, 1))


def _padding(file: Dataset, stored: np.ndarray) -> np.ndarray:
    """Where the stored numbers are PixelPaddingValue, or between it and PixelPaddingRangeLimit."""
    value = file.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    ends = np.array([value, file.get("PixelPaddingRangeLimit", value)])
    low, high = np.sort(ends.astype(stored.dtype))  # 63536 in a file of signed numbers is -2000
    return (low <= stored) & (stored <= high)


def _window(file: Dataset) -> tuple[str, float, float] | None:
    """(function, center, width) of the file's first window, or None if it has none that can be used."""
    ends = [file.get(key) for key in ("WindowCenter", "WindowWidth")]
    if None in ends:
        return None
    center, width = (float(np.atleast_1d(end)[0]) for end in ends)  # a file may offer several
    function = file.get("VOILUTFunction") or "LINEAR"
    return (function, center, width) if width >= (1 if function == "LINEAR" else 1e-9) else None


def _windowed(values: np.ndarray, function: str, center: float, width: float) -> np.ndarray:
    """The window as PS3.3, C.11.2.1.2 and C.11.2.1.3 have it, with [0, 1] for the output's range."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR":  # of whole numbers: a width of 1 is a threshold
        center, width = center - 0.5, width - 1
    return np.where(
        values <= center - width / 2,
        0.0,
        np.where(values > center + width / 2, 1.0, (values - center) / (width or 1) + 0.5),
    )
