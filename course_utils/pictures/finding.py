"""Which files of a folder are pictures: by name or, whatever the name, by how they begin. What is left out is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from .dicom import is_dicom
from .errors import PictureError
from .files import not_fetched, readable

__all__ = ["find_pictures", "pictures_in"]

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".dcm", ".dicom", ".heic",
    ".heif", ".avif",
)  # fmt: skip
"""Those that are read, and those of telephones that are not: whoever has such a picture shall be told."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
INDEX = "DICOMDIR"  # of a medium with DICOM files: has their form, and no picture
NAMED = 3  # files that a sentence names before it counts


def find_pictures(places: str | Path | Iterable[str | Path], left_out: list[str] | None = None) -> list[Path]:
    """Return files as they are named, and of folders all pictures in them, by name, not those in folders below.

    A file in a folder counts if its name ends like a picture's, or if it begins like a JPEG, PNG, GIF, WebP or DICOM
    file: DICOM files often have no ending. Hidden ones do not. What is named twice comes once.

    Args:
        places: files and folders, or one of them.
        left_out: gets a sentence for each folder in which something was left out.

    Raises:
        PictureError: nothing of that name, or a folder without pictures.
    """
    found: dict[Path, None] = {}
    for place in map(Path, [places] if isinstance(places, str | Path) else places):
        if place.is_dir():
            inside, others = pictures_in(place)
            if not inside:
                below = " Name the folders below: of these nothing is taken." if " folder" in others else ""
                raise PictureError(
                    f"the folder {place} holds no picture{f', only {others}' if others else ''}.{below}"
                )
            found.update(dict.fromkeys(inside))
            if others and left_out is not None:
                left_out.append(f"left out of {place}: {others}.")
        elif place.exists():
            found[place] = None
        else:
            raise PictureError(f"there is no file or folder {place}.{not_fetched(place)}")
    return list(found)


def pictures_in(folder: Path, known: Collection[str] = ()) -> tuple[list[Path], str]:
    """Return the pictures in a folder, by name, and in words what else is in it, but for what is known; "" if nothing.

    Raises:
        PictureError: the folder cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PictureError(f"the folder {folder} cannot be read ({error.strerror}).") from error
    pictures: list[Path] = []
    rest: dict[str, list[str]] = {}
    for path in entries:
        kind = _kind(path)
        if kind == "picture":
            pictures.append(path)
        elif path.name not in known:
            rest.setdefault(kind, []).append(path.name)
    return pictures, ", ".join(_counted(kind, names) for kind, names in rest.items())


def _kind(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden file"
    if path.is_dir():
        return "folder"
    if not path.is_file() or path.name == INDEX:  # what is no file (a pipe, a broken link) is not opened
        return "other file"
    if path.suffix.lower() in SUFFIXES:
        return "picture"
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return "other file"
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return "picture" if head.startswith(BEGINNINGS) or webp or is_dicom(head) else "other file"


def _counted(kind: str, names: list[str]) -> str:
    shown = ", ".join(map(readable, names[:NAMED]))
    return f"{len(names)} {kind}{'s' * (len(names) > 1)} ({shown}{', ...' * (len(names) > NAMED)})"
