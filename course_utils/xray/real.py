"""120 real chest radiographs from two hospitals: the course has the list, with hashes; pictures come on request."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_utils.assets import MIRROR_VARIABLE, AssetError, cache_folder, data_file, download

from .files import read_picture

__all__ = ["HOSPITALS", "RealRadiographs", "Record", "real_radiographs", "registry"]

FOLDER = "chest_xray"
HOSPITALS = ["NIH", "Hannover"]
"""Class names, in the order of the labels: NIH Clinical Center (no finding), Hannover Medical School (COVID-19)."""


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


@dataclass(frozen=True, repr=False)
class RealRadiographs:
    """Real radiographs, one for each patient.

    Attributes:
        images: (N, 1, size, size) in [0, 1].
        hospital: (N,) numbers in ``HOSPITALS``.
        patients: N names.
        records: where each comes from, and under which license.
    """

    images: Tensor
    hospital: Tensor
    patients: list[str]
    records: list[Record]

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
    fetch: bool = False, size: int = 224, progress: bool = True, records: Sequence[Record] | None = None
) -> RealRadiographs:
    """Return the real radiographs, each checked against its SHA-256.

    Pictures that were fetched once stay in the cache (:func:`course_utils.assets.cache_folder`): an interrupted
    download goes on where it stopped. Where ``COURSE_MIRROR`` is set, to a folder or an address, they are taken from
    its folder ``chest_xray`` instead of the internet, for classrooms without one.

    Args:
        fetch: whether to download what is not there. Without it, and without a mirror, the network is not asked.
        size: side of the square that each picture is scaled to, see :func:`course_utils.xray.files.read_picture`.
        progress: show a progress bar.
        records: which radiographs; by default all of :func:`registry`.

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
    images = []
    for record in tqdm(records, desc="radiographs", disable=not progress):
        path = download(record.url, record.sha256, f"{FOLDER}/{record.file}", progress=False)
        images.append(read_picture(path, size))
    return RealRadiographs(
        images=torch.stack(images),
        hospital=torch.tensor([record.hospital for record in records]),
        patients=[record.patient for record in records],
        records=records,
    )
