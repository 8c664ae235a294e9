"""Radiographs from files: PNG, JPEG and DICOM as gray images in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from course_utils.arguments import whole_number

__all__ = ["Folder", "read_folder", "read_picture"]

PICTURES, DICOM = (".png", ".jpg", ".jpeg"), (".dcm", ".dicom")
SMALLEST = 32


@dataclass(frozen=True, repr=False)
class Folder:
    """Radiographs read from a folder.

    Attributes:
        images: (N, 1, size, size) in [0, 1].
        files: where they come from.
        groups: names of the sub-folders, in alphabetical order; empty if there are none.
        labels: (N,) number of each picture's group; None if there are no groups.
        patients: N names: pictures with the same one are kept together.
    """

    images: Tensor
    files: list[Path]
    groups: list[str]
    labels: Tensor | None
    patients: list[str]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        count = (
            [] if self.labels is None else torch.bincount(self.labels, minlength=len(self.groups)).tolist()
        )
        inside = ", ".join(f"{n} {name}" for n, name in zip(count, self.groups, strict=True))
        return f"Folder({len(self)} radiographs{': ' if inside else ''}{inside})"


def read_folder(folder: str | Path, size: int = 224, patient: Callable[[Path], str] | None = None) -> Folder:
    """Read all PNG, JPEG and DICOM files of a folder, or of its sub-folders, whose names then are the groups.

    Other files, and names that begin with a dot, are passed over.

    Args:
        folder: the path.
        size: side of the square that each picture is scaled to.
        patient: takes a file's path and returns whose it is. By default each file counts as a patient of its own;
            where a patient has several, say so, or the folds of a test share patients: for names such as
            ``0412_a.png``, ``lambda path: path.stem.split("_")[0]``.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no radiographs in it; some lie beside sub-folders that have some, too; a file cannot be read.
        ImportError: a DICOM file, and pydicom is not installed.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    groups = {part.name: _radiographs(part) for part in sorted(folder.iterdir()) if part.is_dir()}
    groups = {name: files for name, files in groups.items() if files and not name.startswith(".")}
    loose = _radiographs(folder)
    if loose and groups:
        raise ValueError(
            f"{folder} holds radiographs ({loose[0].name}, ...) beside sub-folders that hold some, too "
            f"({', '.join(groups)}): put each into the sub-folder of its group."
        )
    files = loose or [file for group in groups.values() for file in group]
    if not files:
        kinds = ", ".join((*PICTURES, *DICOM))
        raise ValueError(f"there is no radiograph in {folder}: files are taken that end in {kinds}.")
    labels = [k for k, group in enumerate(groups.values()) for _ in group]
    return Folder(
        images=torch.stack([read_picture(file, size) for file in files]),
        files=files,
        groups=list(groups),
        labels=torch.tensor(labels) if groups else None,
        patients=[str(patient(file)) if patient else str(file) for file in files],
    )


def _radiographs(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in (*PICTURES, *DICOM) and not path.name.startswith(".")
    )


def read_picture(path: str | Path, size: int = 224) -> Tensor:
    """Return a radiograph as a tensor (1, size, size) in [0, 1], air black and bone white.

    The whole picture is scaled to a square, so that nothing at its border is lost; a picture that is not square
    becomes wider or narrower. Color is turned to gray. More than 8 bits a pixel are divided by the largest value
    that the bits in use can hold; DICOM values go through the file's window.

    Raises:
        ValueError: the file cannot be read as a picture, or holds several.
        ImportError: a DICOM file, and pydicom is not installed.
    """
    path, size = Path(path), whole_number(size, "size", SMALLEST)
    values = _dicom(path) if path.suffix.lower() in DICOM else _picture(path)
    # In floating point: the values may have 16 bits. Averaging where it shrinks.
    small = Image.fromarray(values.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).clamp(0, 1)[None]


def _picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error}). It may be damaged.") from error
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        return values / (2 ** max(8, int(np.ceil(np.log2(max(values.max(), 1) + 1)))) - 1)
    return np.asarray(image.convert("L")) / 255


def _dicom(path: Path) -> np.ndarray:
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, apply_voi_lut
    except ImportError as error:
        raise ImportError(
            f"{path.name} is a DICOM file; to read it takes the package pydicom 3 or newer, which the course does not "
            "install: `pip install pydicom`."
        ) from error
    try:
        data = pydicom.dcmread(path)
        values = data.pixel_array
    except Exception as error:  # pydicom, and what decodes compressed pixels, raise a dozen kinds
        raise ValueError(
            f"{path} cannot be read as a DICOM picture ({type(error).__name__}: {error})."
        ) from error
    if values.ndim != 2:
        raise ValueError(
            f"{path} holds pixels of shape {values.shape}: one gray picture is wanted, (rows, columns). Take a file "
            "of a single radiograph."
        )
    values = np.asarray(apply_voi_lut(apply_modality_lut(values, data), data), np.float64)
    low, high = values.min(), values.max()
    values = (values - low) / max(high - low, 1e-6)
    return 1 - values if data.get("PhotometricInterpretation") == "MONOCHROME1" else values
