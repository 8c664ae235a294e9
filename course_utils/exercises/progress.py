"""What a learner has done and has left: from the checks of this session, and from notebooks that lie in a folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .engine import Exercise
from .feedback import CORRECT, MARKS, NOT_ATTEMPTED, WRONG
from .stored import (
    MISSING,
    MOST_BYTES,
    Standing,
    Task,
    course_tasks,
    notebook_of,
    read_cells,
    read_standings,
)

__all__ = ["Progress", "progress"]


@dataclass(frozen=True)
class Progress:
    """How a learner stands, as text.

    Attributes:
        here: of the notebooks whose exercises this session has loaded: each exercise and how it stands.
        course: of the others that lie in the folder.
        absent: the course's notebooks of which there is no file.
        faults: a sentence about each file that cannot be read.
    """

    here: dict[str, list[tuple[Task, Standing]]]
    course: dict[str, list[tuple[Task, Standing]]]
    absent: list[str]
    faults: list[str]

    def __repr__(self) -> str:
        lines = []
        for name, rows in self.here.items():
            lines.append(f"{name}: {_counted(rows)}")
            lines += [f"  {MARKS.get(found.state, '?')} {task.title}{_words(found)}" for task, found in rows]
        if self.course:
            lines.append("The other notebooks, as saved in this folder:")
            lines += [f"  {name}: {_counted(rows)}" for name, rows in self.course.items()]
        if self.absent:
            lines.append(f"No file of yours is here for {', '.join(self.absent)}.")
        return "\n".join([*lines, *self.faults])


def _counted(rows: list[tuple[Task, Standing]]) -> str:
    return f"{sum(found.state == CORRECT for _, found in rows)} of {len(rows)} correct"


def _words(found: Standing) -> str:
    if found.state not in MARKS:
        return f": {found.state}, {found.remark}"
    return f": {found.state}{f'. {found.message}' if found.state == WRONG else ''}"


def progress(folder: str | Path | None = None) -> Progress:
    """Return what is done and what is left, in this notebook and, as far as files tell, in the course.

    Args:
        folder: where your notebooks are saved; by default the one in which this session runs. On Colab, that is a
            folder of your Drive, once it is connected: "drive/MyDrive/Colab Notebooks".

    Raises:
        ValueError: there is no such folder.
    """
    place = Path.cwd() if folder is None else Path(folder)
    if not place.is_dir():
        raise ValueError(f"{folder} is not a folder. Give the one in which your notebooks are saved.")
    files, faults = _files(place)
    loaded = {name: sys.modules.get(f"{__package__}.ex{name}") for name in course_tasks()}
    found = {
        name: [(task, _latest(loaded[name], task, files.get(name, {}))) for task in tasks]
        for name, tasks in course_tasks().items()
        if loaded[name] or name in files
    }
    here = {name: rows for name, rows in found.items() if loaded[name]}
    course = {name: rows for name, rows in found.items() if not loaded[name]}
    return Progress(here, course, [name for name in loaded if name not in found], faults)


def _latest(module: object, task: Task, stored: dict[str, Standing]) -> Standing:
    """What this session's check said, else what the file says."""
    exercise = getattr(module, task.name, None)
    if isinstance(exercise, Exercise) and exercise.last:
        return Standing(exercise.last.state, exercise.last.message)
    found = stored.get(task.name, Standing(NOT_ATTEMPTED))
    return Standing(NOT_ATTEMPTED) if found.state == MISSING else found


def _files(folder: Path) -> tuple[dict[str, dict[str, Standing]], list[str]]:
    """How one stands by the files of a folder, the latest of each notebook; those that cannot be read, in sentences."""
    found, faults = {}, []
    for path in sorted(folder.glob("*.ipynb"), key=_time):
        try:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                cells = read_cells(file.read(MOST_BYTES + 1))
        except OSError as error:
            faults.append(f"{path.name} cannot be read: {error.strerror}.")
            continue
        except ValueError as error:
            faults.append(f"{path.name} {error}")
            continue
        try:
            name = notebook_of(cells, path.name)
        except ValueError:  # a notebook of the learner's own
            continue
        found[name] = read_standings(cells, name)
    return found, faults


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
