"""What was handed in, file by file: from a folder, a zip, and zips inside of them. Nothing is unpacked onto the disk.

A zip comes from whoever hands it in. Each of its files is read up to a limit, whatever size it claims to have; all of
them together up to another; and a path that leads out of it is not followed.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from course_utils.exercises import MOST_BYTES
from course_utils.pictures import readable

__all__ = ["HandedIn", "handed_in"]

MOST_IN_A_ZIP = 1_000_000_000  # bytes, of one zip and those inside of it
MOST_ENTRIES = 100_000
LARGEST_INNER_ZIP = 200_000_000
DEEPEST = 3  # zips inside of zips
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)
_ARCHIVES = (".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz")


@dataclass(frozen=True)
class HandedIn:
    """A file that was handed in.

    Attributes:
        parts: its path below what is collected; a zip is a folder of its name.
        time: when it was last changed, in seconds.
        data: what it holds, if it may be a notebook; else empty.
        fault: a sentence, after its name, on why it was not read.
    """

    parts: tuple[str, ...]
    time: float = 0.0
    data: bytes = b""
    fault: str = ""

    @property
    def path(self) -> str:
        """As it can be printed."""
        return readable("/".join(self.parts))


@dataclass
class _Budget:
    """How much may still be read of a zip and those inside of it."""

    bytes: int = MOST_IN_A_ZIP
    entries: int = MOST_ENTRIES


def handed_in(place: Path, leave_out: frozenset[str] = frozenset()) -> Iterator[HandedIn]:
    """Read all files of a folder or zip, or the one file, in order; hidden ones are left out.

    Args:
        place: folder or file.
        leave_out: real paths of files that are none of the learners'.
    """
    if not place.is_dir():
        yield from _file(place, (place.name,), alone=True)
        return
    failed: list[OSError] = []
    for folder, folders, names in os.walk(place, onerror=failed.append):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        parts = Path(folder).relative_to(place).parts
        for name in [name for name in folders if Path(folder, name).is_symlink()]:
            yield HandedIn((*parts, name), fault="is a link to a folder, which is not followed.")
        for name in sorted(names):
            path = Path(folder, name)
            if not _is_hidden(name) and os.path.realpath(path) not in leave_out:
                yield from _file(path, (*parts, name))
    for error in failed:
        parts = Path(error.filename).relative_to(place).parts or (place.name,)
        yield HandedIn(parts, fault=f"cannot be read: {error.strerror}.")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _may_be_notebook(name: str) -> bool:
    """Browsers and mail programs save a notebook as .ipynb.txt or .json, too."""
    return ".ipynb" in name.lower() or name.lower().endswith(".json")


def _no_notebook(name: str) -> str:
    if name.lower().endswith(_ARCHIVES):
        return "is an archive that is not read: unpack it, or have it handed in as .zip."
    return "is not a notebook: its name does not end in .ipynb."


def _file(path: Path, parts: tuple[str, ...], alone: bool = False) -> Iterator[HandedIn]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            yield HandedIn(parts, fault="is neither a file nor a folder.")
        elif _is_zip(path.name):
            within = () if alone else (*parts[:-1], path.stem)
            with path.open("rb") as file:
                yield from _zipped(file, within, parts, _Budget(), 1)
        elif _may_be_notebook(path.name):
            with path.open("rb") as file:
                yield HandedIn(parts, status.st_mtime, file.read(MOST_BYTES + 1))
        else:
            yield HandedIn(parts, status.st_mtime, fault=_no_notebook(path.name))
    except OSError as error:
        yield HandedIn(parts, fault=f"cannot be read: {error.strerror or error}.")


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _zipped(
    file: object, within: tuple[str, ...], own: tuple[str, ...], budget: _Budget, depth: int
) -> Iterator[HandedIn]:
    """The files of a zip. ``within``: what their paths begin with; ``own``: the zip's own path."""
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
    except _BROKEN:
        yield HandedIn(own, fault="is not a zip that can be opened: have it handed in again.")
        return
    with archive:
        for entry in entries:
            budget.entries -= 1
            if budget.entries < 0 or budget.bytes <= 0:
                yield HandedIn(own, fault="unpacks to more than is read of one zip; the rest was left out.")
                return
            if not entry.is_dir():
                yield from _entry(archive, entry, within, budget, depth)


def _entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, within: tuple[str, ...], budget: _Budget, depth: int
) -> Iterator[HandedIn]:
    name = _name(entry)
    inside = PurePosixPath(name)
    parts = (*within, *inside.parts)
    if any(_is_hidden(part) and part != ".." for part in inside.parts) or not inside.parts:
        return
    if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", name):
        yield HandedIn((*within, name), fault="has a path that leads out of its zip, and was not read.")
        return
    if not _is_zip(name) and not _may_be_notebook(name):
        yield HandedIn(parts, fault=_no_notebook(name))
        return
    if entry.flag_bits & 1:
        yield HandedIn(parts, fault="is encrypted: have it handed in without a password.")
        return
    most = min(LARGEST_INNER_ZIP if _is_zip(name) else MOST_BYTES, budget.bytes)
    try:
        with archive.open(entry) as opened:
            data = opened.read(most + 1)
    except NotImplementedError:
        yield HandedIn(
            parts, fault="is packed in a way that cannot be read: have it handed in as a plain zip."
        )
        return
    except _BROKEN:
        yield HandedIn(parts, fault="is damaged inside its zip: have it handed in again.")
        return
    budget.bytes -= len(data)
    if not _is_zip(name):
        yield HandedIn(parts, _time(entry), data)
    elif depth == DEEPEST or len(data) > most:
        yield HandedIn(
            parts, fault="is a zip that is too large, or too deep inside of others, and was not read."
        )
    else:
        yield from _zipped(io.BytesIO(data), (*parts[:-1], inside.stem), parts, budget, depth + 1)


def _name(entry: zipfile.ZipInfo) -> str:
    """The path of a zip's file. Many programs write UTF-8 without saying so, which then reads as another alphabet."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _time(entry: zipfile.ZipInfo) -> float:
    try:
        return datetime(*entry.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
