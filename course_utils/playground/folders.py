"""Labeled pictures, and their twins, out of folders."""

from __future__ import annotations

from pathlib import Path

from course_utils.pictures import Picture, PictureError, find_pictures, read_picture, readable

__all__ = ["labeled_pictures", "twins"]


def labeled_pictures(folder: str | Path) -> tuple[list[Picture], list[str]]:
    """Return the pictures of a folder, in the order of their names, and their labels.

    A file is named after its class: ``tabby_1.jpg``, ``tiger cat_1.png``. What follows the last "_" is no part of it.

    Raises:
        PictureError: no such folder, no picture in it, or one that cannot be read.
        ValueError: a file without "_" in its name.
    """
    paths = find_pictures([folder])
    for path in paths:
        if "_" not in path.stem:
            raise ValueError(
                f"{readable(path.name)} does not say its class. Name it after that, with a number: "
                f"`tabby_1{path.suffix}`."
            )
    return [read_picture(path) for path in paths], [path.stem.rsplit("_", 1)[0] for path in paths]


def twins(folder: str | Path, pictures: list[Picture]) -> list[Picture]:
    """Return the changed version of each picture: in ``folder``, the file of the same name (endings may differ).

    Raises:
        PictureError: no such folder, or a picture without a twin, or one that cannot be read.
    """
    found = {path.stem: path for path in find_pictures([folder])}
    missing = [picture.name for picture in pictures if Path(picture.name).stem not in found]
    if missing:
        raise PictureError(f"{readable(str(folder))} has no twin of {', '.join(map(readable, missing))}.")
    return [read_picture(found[Path(picture.name).stem]) for picture in pictures]
