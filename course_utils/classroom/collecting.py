"""What a class has handed in: how each learner stands with each exercise, and every file that could not be read."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.exercises import (
    MISSING,
    WRONG,
    Standing,
    Task,
    course_tasks,
    notebook_of,
    read_cells,
    read_standings,
)

from .files import HandedIn, handed_in
from .learners import learner_of, same_name

__all__ = ["NO_FILE", "Collected", "Fault", "Submission", "collect"]

NO_FILE = "not handed in"


@dataclass(frozen=True)
class Submission:
    """One notebook of one learner."""

    learner: str
    notebook: str
    path: str
    time: float
    digest: str
    standings: dict[str, Standing]


@dataclass(frozen=True)
class Fault:
    """A file that was not read: its path, and a sentence after it that says why."""

    path: str
    why: str


@dataclass
class Collected:
    """What a class has handed in.

    Attributes:
        submissions: by learner and notebook, the one that counts.
        faults: files that were not read.
        notes: sentences about what else is to be known: who handed in twice, and which counts.
    """

    submissions: dict[tuple[str, str], Submission] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def learners(self) -> list[str]:
        """In order of their names."""
        return sorted({learner for learner, _ in self.submissions}, key=same_name)

    @property
    def tasks(self) -> list[tuple[str, Task]]:
        """Notebook and exercise, of all that anybody's file has."""
        present = {
            (submission.notebook, name)
            for submission in self.submissions.values()
            for name, found in submission.standings.items()
            if found.state != MISSING
        }
        return [
            (name, task)
            for name, row in course_tasks().items()
            for task in row
            if (name, task.name) in present
        ]

    def standing(self, learner: str, notebook: str, task: Task) -> Standing:
        """How a learner stands with an exercise."""
        submission = self.submissions.get((learner, notebook))
        return submission.standings[task.name] if submission else Standing(NO_FILE)

    def mistakes(self) -> list[tuple[str, Task, str, list[str]]]:
        """Notebook, exercise, mistake, and who made it; within an exercise the most frequent first."""
        found, learners = [], self.learners
        for notebook, task in self.tasks:
            who = defaultdict(list)
            for learner in learners:
                standing = self.standing(learner, notebook, task)
                if standing.state == WRONG:
                    who[standing.mistake].append(learner)
            ordered = sorted(who.items(), key=lambda item: -len(item[1]))
            found += [(notebook, task, mistake, names) for mistake, names in ordered]
        return found


def collect(place: Path, leave_out: Iterable[Path] = ()) -> Collected:
    """Read the notebooks that a class has handed in. None of them is run.

    Args:
        place: a folder, a zip, or one notebook.
        leave_out: files in it that are none of the learners', such as an earlier table.

    Raises:
        ValueError: there is no such place, or no file in it.
    """
    if not place.exists():
        raise ValueError(f"{place} is not there: name a folder, a zip, or a notebook.")
    read, faults, empty = [], [], True
    for file in handed_in(place, frozenset(map(os.path.realpath, leave_out))):
        empty = False
        try:
            read.append(_read(file))
        except ValueError as error:
            faults.append(Fault(file.path, str(error)))
    if empty:
        raise ValueError(f"{place} is empty: there is no file in it.")
    result = Collected(faults=faults)
    for submission in _named(read):
        _keep(result, submission)
    return result


def _read(file: HandedIn) -> tuple[HandedIn, str, dict[str, Standing]]:
    if file.fault:
        raise ValueError(file.fault)
    cells = read_cells(file.data)
    notebook = notebook_of(cells, file.parts[-1])
    light = HandedIn(file.parts, file.time, hashlib.sha256(file.data).digest())
    return light, notebook, read_standings(cells, notebook)


def _named(read: list[tuple[HandedIn, str, dict[str, Standing]]]) -> list[Submission]:
    """With the learners' names: a folder around all of them is none, and two people of one name have their numbers."""
    folders = [file.parts[:-1] for file, _, _ in read]
    around = 0
    while all(len(f) > around + 1 for f in folders) and len({f[around] for f in folders}) == 1:
        around += 1
    owners = [learner_of(file.parts[around:], notebook) for file, notebook, _ in read]
    numbers = defaultdict(set)
    for owner in owners:
        numbers[same_name(owner.name), owner.assignment].add(owner.number)
    spelled: dict[str, str] = {}
    submissions = []
    for (file, notebook, standings), owner in zip(read, owners, strict=True):
        several = len(numbers[same_name(owner.name), owner.assignment] - {""}) > 1
        name = f"{owner.name} ({owner.number})" if several and owner.number else owner.name
        name = spelled.setdefault(same_name(name), name)
        submissions.append(Submission(name, notebook, file.path, file.time, file.data.hex(), standings))
    return submissions


def _keep(result: Collected, new: Submission) -> None:
    """Keep the later of two notebooks of one learner, and say so."""
    key = (new.learner, new.notebook)
    old = result.submissions.setdefault(key, new)
    if old is new:
        return
    kept, other = (old, new) if old.time > new.time else (new, old)
    result.submissions[key] = kept
    which = "the later one" if old.time != new.time else "both of one time, the last by name"
    if old.digest == new.digest:
        which = "the same file twice"
    result.notes.append(
        f"{new.learner} handed in {new.notebook} twice, {other.path} and {kept.path}: {kept.path} counts ({which})."
    )
