"""Whose file it is, by its path: learning platforms write names into it, each in its own way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from course_utils.pictures import readable

__all__ = ["Owner", "learner_of", "same_name"]

# Moodle: "First Last_123456_assignsubmission_file_/...", or the file's name right behind it. The number is that of the
# submission. Canvas: "lastfirst_LATE_123_456_name.ipynb", with the numbers of learner and submission.
_MOODLE = re.compile(r"(.+?)_(\d+)_assignsubmission_")
_CANVAS = re.compile(r"([^\W\d_]+)_(?:LATE_)?(\d+)_\d+_.+")
_COPY = re.compile(
    r"^(?:(?:copy of|kopie von|kopie van|copie de|copia di|copia de|cópia de|kopia)\s+)+", re.IGNORECASE
)
_COPIED = re.compile(r"(?:\s*\(\d+\)|-copy\d*|\s+-\s+copy)+$", re.IGNORECASE)
_ENDING = re.compile(r"(?:\.(?:ipynb|json|txt))+$", re.IGNORECASE)
# Folders that say which week or which notebook, not whose.
_NOBODY = re.compile(
    r"(?:(?:week|assignment|homework|hw|lab|module|unit|session|lesson|exercise|notebook|submission|course|content|data"
    r"|woche|aufgabe|semaine|devoir|semana|tarea)s?(?:[ _-]?(?:main|master|utils))?[ _-]*\d*|\d{1,2}|drive|mydrive"
    r"|colab notebooks|zips|downloads|uploads|students|learners)",
    re.IGNORECASE,
)
_DIRECTIONS = dict.fromkeys(
    map(ord, "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)


@dataclass(frozen=True)
class Owner:
    """Whose a file is.

    Attributes:
        name: of the learner.
        number: that a platform gave learner or submission, or "".
        assignment: where the platform put all that was handed in for one assignment.
    """

    name: str
    number: str = ""
    assignment: tuple[str, ...] = ()


def learner_of(parts: Sequence[str], notebook: str) -> Owner:
    """Return whose a file is.

    Asked in turn: what Moodle writes; what Classroom and Canvas write into a file's name; the folders, without those
    that name a week or a notebook; what the file's name says beside the notebook's. A file that names nobody is
    somebody of its own: two of them are not taken for one person's.

    Args:
        parts: the file's path below what is collected.
        notebook: which of the course's it is, "04_grad_cam".
    """
    parts = [unicodedata.normalize("NFC", part) for part in parts]
    for place, part in enumerate(parts):
        if found := _MOODLE.match(part):
            return Owner(_clean(found[1]), found[2], tuple(parts[:place]))
    file = _COPIED.sub("", _ENDING.sub("", _COPY.sub("", parts[-1].strip())))
    name = _as_pattern(notebook)
    for pattern in (rf"(.+?)\s+-\s+(?:copy of )?{name}$", rf"{name}\s+-\s+(.+)$"):
        if found := re.match(pattern, file, re.IGNORECASE):
            return Owner(_clean(found[1]))
    if found := _CANVAS.fullmatch(file):
        return Owner(_clean(found[1]), found[2], tuple(parts[:-1]))
    folders = [_beside(part, notebook) for part in parts[:-1]]
    folders = [folder for folder in folders if folder and not _NOBODY.fullmatch(folder)]
    named = " / ".join(folders) or _beside(file, notebook)
    return Owner(named or f"no name: {readable('/'.join(parts))}")


def _as_pattern(notebook: str) -> str:
    return re.escape(notebook).replace("_", r"[ _-]+")


def _beside(text: str, notebook: str) -> str:
    """What a name says beside a notebook's name, or its number."""
    text = _COPIED.sub("", _COPY.sub("", text.strip()))
    without = re.sub(_as_pattern(notebook), " ", text, count=1, flags=re.IGNORECASE)
    if without == text:
        without = re.sub(rf"(?<![^\W_]){notebook[:2]}(?![^\W_])", " ", text, count=1)
    return _clean(without)


def _clean(name: str) -> str:
    """A name as it can be printed: one line, no signs that turn the direction of writing."""
    return " ".join(readable(name.translate(_DIRECTIONS)).replace("_", " ").split()).strip(" -.,")


def same_name(name: str) -> str:
    """What two ways to write one name have in common."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
