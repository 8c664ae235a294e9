"""Films of real people: from your own files (PNG, JPEG, DICOM), and 120 from two hospitals.

Of the 120 the course has the list, with hashes; the pictures come on request.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from course_utils.arguments import whole_number
from course_utils.assets import MIRROR_VARIABLE, AssetError, cache_folder, data_file, download
from course_utils.pictures import PictureError, pictures_in, read_grays

__all__ = [
    "HOSPITALS",
    "SQUARES",
    "Folder",
    "RealRadiographs",
    "Record",
    "read_folder",
    "read_picture",
    "real_radiographs",
    "registry",
]

SMALLEST = 32
LONGEST = 2.0  # times the shorter side; chest films have 1.25 at most
SQUARES = ("crop", "pad")
"""How a film that is not square becomes so: its middle is cut out, or black bars are put beside it. Never squeezed."""
FOLDER = "chest_xray"
HOSPITALS = ["NIH", "Hannover"]
"""Class names, in the order of the labels: NIH Clinical Center (no finding), Hannover Medical School (COVID-19)."""


@dataclass(frozen=True, eq=False, repr=False)
class Folder:
    """Radiographs read from a folder.

    Attributes:
        images: (N, 1, size, size) in [0, 1].
        files: where they come from.
        groups: names of the sub-folders, in alphabetical order; empty if there are none.
        labels: (N,) number of each picture's group; None if there are no groups.
        patients: N names: pictures with the same one are kept together.
        notes: N lists of sentences: what was done to each picture, such as the range of its grays.
    """

    images: Tensor
    files: list[Path]
    groups: list[str]
    labels: Tensor | None
    patients: list[str]
    notes: list[list[str]]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        count = (
            [] if self.labels is None else torch.bincount(self.labels, minlength=len(self.groups)).tolist()
        )
        inside = ", ".join(f"{n} {name}" for n, name in zip(count, self.groups, strict=True))
        return f"Folder({len(self)} radiographs{': ' if inside else ''}{inside})"


def read_folder(
    folder: str | Path,
    size: int = 224,
    patient: Callable[[Path], str] | None = None,
    square: str = "crop",
) -> Folder:
    """Read all pictures of a folder, DICOM files among them, or of its sub-folders, whose names then are the groups.

    They are told by name or content, as :func:`course_utils.pictures.find_pictures` does. Other files, and names that
    begin with a dot, are left out, which a warning says.

    Args:
        folder: the path.
        size: side of the square that each picture is scaled to.
        patient: takes a file's path and returns whose it is. By default each file counts as a patient of its own;
            where a patient has several, say so, or the folds of a test share patients: for names such as
            ``0412_a.png``, ``lambda path: path.stem.split("_")[0]``.
        square: "crop" or "pad", see :func:`read_picture`.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no radiographs in it; some lie beside sub-folders that have some, too; a file cannot be read.
        ImportError: a DICOM file, and pydicom is not installed.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    parts = [part for part in sorted(folder.iterdir()) if part.is_dir() and not part.name.startswith(".")]
    inside = {part: pictures_in(part) for part in parts}
    groups = {part.name: files for part, (files, _) in inside.items() if files}
    loose, others = inside[folder] = pictures_in(folder, known=groups)
    if loose and groups:
        raise ValueError(
            f"{folder} holds radiographs ({loose[0].name}, ...) beside sub-folders that hold some, too "
            f"({', '.join(groups)}): put each into the sub-folder of its group."
        )
    files = loose or [file for group in groups.values() for file in group]
    if not files:
        only = f", only {others}" if others else ""
        raise ValueError(f"there is no radiograph in {folder}{only}.")
    read = [_read(file, size, square) for file in files]
    for part, (_, left_out) in inside.items():
        if left_out:
            warnings.warn(f"left out of {part}: {left_out}.", stacklevel=2)
    labels = [k for k, group in enumerate(groups.values()) for _ in group]
    return Folder(
        images=torch.stack([image for image, _ in read]),
        files=files,
        groups=list(groups),
        labels=torch.tensor(labels) if groups else None,
        patients=[str(patient(file)) if patient else str(file) for file in files],
        notes=[notes for _, notes in read],
    )


def read_picture(path: str | Path, size: int = 224, square: str = "crop") -> Tensor:
    """Return a radiograph as a tensor (1, size, size) in [0, 1], air black and bone white.

    The sides keep their proportion: a squeezed chest would tell from which machine a film comes. Color is turned to
    gray. More than 8 bits are shown from the percentile 0.5 of the pixels, black, to 99.5, white; DICOM files in their
    own window, if they have one. Files are read as in notebook 14, see :func:`course_utils.pictures.read_picture`.

    Args:
        path: of the file.
        size: side of the square.
        square: what is done to a film that is not square. "crop" takes the square in the middle, and what lies at the
            ends of the longer side is lost, letters perhaps; "pad" keeps all of it between black bars, which give the
            film's shape away.

    Raises:
        PictureError: the file cannot be read as a picture, is a DICOM file with several, or is to be cropped and more
            than twice as long as wide; it is a ValueError.
        ValueError: ``square`` is neither.
        ImportError: a DICOM file, and pydicom is not installed.
    """
    return _read(path, size, square)[0]


def _read(path: str | Path, size: int, square: str) -> tuple[Tensor, list[str]]:
    size = whole_number(size, "size", SMALLEST)
    if square not in SQUARES:
        raise ValueError(f"a film becomes square by {' or '.join(map(repr, SQUARES))}, not by {square!r}.")
    values, notes = read_grays(path, str(path))
    values, done = _squared(values, square, str(path))
    # In floating point: the values may have 16 bits. Averaging where it shrinks.
    small = Image.fromarray(values.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).clamp(0, 1)[None], notes + done


def _squared(values: np.ndarray, square: str, name: str) -> tuple[np.ndarray, list[str]]:
    """Return the grays (H, W) of a film as a square, and a sentence if something was done."""
    height, width = values.shape
    if height == width:
        return values, []
    short, long = sorted(values.shape)
    axis, ends = (0, "the top and the bottom") if height > width else (1, "the left and the right")
    before = (long - short) // 2
    if square == "pad":
        bars = [(0, 0), (0, 0)]
        bars[1 - axis] = (before, long - short - before)
        return np.pad(values, bars), [
            f"{width} x {height}: black bars along its shorter side make it a square."
        ]
    if long > LONGEST * short:
        raise PictureError(
            f"{name} has {width} x {height} pixels, which is no chest film's shape, and a square from its middle would "
            f'be less than half of it. Cut the film out of it first, or read it with `square="pad"`.'
        )
    lost = (long - short) / long / 2
    return np.take(values, range(before, before + short), axis), [
        f"{width} x {height}: {lost:.0%} were cut off at {ends} each, for a square."
    ]


@dataclass(frozen=True)
class Record:
    """One radiograph of the list ``data/chest_xray.csv``."""

    file: str
    """Its name, in the cache and on a mirror, below the folder ``chest_xray``."""
    sha256: str
    bytes: int
    label: str
    """What the source says of the patient: "covid19" or "no_finding"."""
    patient: str
    view: str
    """ "pa" or "ap": from the back or from the front; empty where the source does not say."""
    url: str
    """Where it is published."""
    license: str

    @property
    def hospital(self) -> int:
        """Number of the hospital in ``HOSPITALS``."""
        return int(self.file.startswith("hannover"))


@dataclass(frozen=True, eq=False, repr=False)
class RealRadiographs:
    """Real radiographs, one for each patient.

    Attributes:
        images: (N, 1, size, size) in [0, 1].
        hospital: (N,) numbers in ``HOSPITALS``.
        patients: N names.
        records: where each comes from, and under which license.
        notes: N lists of sentences: what was done to each picture, such as what was cut off.
    """

    images: Tensor
    hospital: Tensor
    patients: list[str]
    records: list[Record]
    notes: list[list[str]]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        counts = ", ".join(f"{int((self.hospital == k).sum())} {name}" for k, name in enumerate(HOSPITALS))
        return f"RealRadiographs({counts})"

    def credits(self) -> str:
        """Return a line for each license: how many pictures are under it."""
        counts = Counter((HOSPITALS[record.hospital], record.license) for record in self.records)
        return "\n".join(f"{n} x {hospital}: {license}" for (hospital, license), n in counts.items())


def registry() -> list[Record]:
    """Return the list of the 120 radiographs, one for each patient."""
    with data_file("chest_xray.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Record(
            row["file"], row["sha256"], int(row["bytes"]), row["label"], row["patient"], row["view"],
            f"https://raw.githubusercontent.com/{row['repository']}/{row['commit']}/{quote(row['path'])}",
            row["license"],
        )
        for row in rows
    ]  # fmt: skip


def real_radiographs(
    fetch: bool = False,
    size: int = 224,
    progress: bool = True,
    records: Sequence[Record] | None = None,
    square: str = "crop",
) -> RealRadiographs:
    """Return the real radiographs, each checked against its SHA-256.

    Pictures that were fetched once stay in the cache (:func:`course_utils.assets.cache_folder`): an interrupted
    download goes on where it stopped. Where ``COURSE_MIRROR`` is set, to a folder or an address, they are taken from
    its folder ``chest_xray`` instead of the internet, for classrooms without one.

    Args:
        fetch: whether to download what is not there. Without it, and without a mirror, the network is not asked.
        size: side of the square that each picture is scaled to, see :func:`read_picture`.
        progress: show a progress bar.
        records: which radiographs; by default all of :func:`registry`.
        square: "crop" or "pad", see :func:`read_picture`.

    Raises:
        AssetError: pictures are missing and not to be fetched, or cannot be fetched; or one is damaged.
    """
    records = registry() if records is None else list(records)
    missing = [record for record in records if not (cache_folder() / FOLDER / record.file).is_file()]
    if missing and not fetch and not os.environ.get(MIRROR_VARIABLE):
        amount = sum(record.bytes for record in missing) / 1e6
        raise AssetError(
            f"{len(missing)} of {len(records)} radiographs are not on this machine. With `fetch=True` they are "
            f"downloaded, {amount:.0f} MB; or set {MIRROR_VARIABLE} to a folder or address that has them in "
            f"{FOLDER}/."
        )
    read = []
    for record in tqdm(records, desc="radiographs", disable=not progress):
        path = download(record.url, record.sha256, f"{FOLDER}/{record.file}", progress=False)
        read.append(_read(path, size, square))
    return RealRadiographs(
        images=torch.stack([image for image, _ in read]),
        hospital=torch.tensor([record.hospital for record in records]),
        patients=[record.patient for record in records],
        records=records,
        notes=[notes for _, notes in read],
    )
