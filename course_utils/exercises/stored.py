"""What a stored notebook says about its exercises: read from the text of its cells and their outputs. Nothing is run.

A result counts if it stands under the cell that the course has for the exercise: with its check, on the learner's own
answer, and not changed since. What a file cannot tell is whether somebody wrote an output into it by hand, with the
mark that goes with the cell, or replaced the check by other means than the plain ones. Whoever must know runs it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from course_utils.assets import ROOT, AssetError

from .feedback import CORRECT, NOT_ATTEMPTED, WRONG, cell_mark, kind_of_mistake, read_feedback

__all__ = [
    "MISSING",
    "MOST_BYTES",
    "UNCLEAR",
    "Standing",
    "StoredCell",
    "Task",
    "course_tasks",
    "notebook_of",
    "read_cells",
    "read_standings",
]

UNCLEAR, MISSING = "unclear", "not in the file"
_BEST = (NOT_ATTEMPTED, UNCLEAR, WRONG, CORRECT)
MOST_BYTES = 20_000_000  # of a notebook's file; those of the course have less than a twentieth

_CHECK = re.compile(r"\.(\w+)\.check\((\w+),?\)")  # in code without spaces
_LONGEST = 1000  # letters of a message that are kept
_IMPORTED = re.compile(r"\bex(\d\d_\w+)")
_REPLACED = re.compile(r"\.check\s*=(?!=)|\bFeedback\(|\bsetattr\(\s*exercises\b")


@dataclass(frozen=True)
class Task:
    """An exercise as it stands in the course's notebook.

    Attributes:
        name: of the exercise.
        title: of its section, such as "Exercise 1 · The weights".
        answer: the name that is handed to the check.
        stub: the code of its cell, as :attr:`StoredCell.bare`.
    """

    name: str
    title: str
    answer: str
    stub: str

    @property
    def beginning(self) -> str:
        """What the cell of an answer has, too: ``defweights(`` or ``chance=``."""
        return f"def{self.answer}(" if f"def{self.answer}(" in self.stub else f"{self.answer}="


@dataclass(frozen=True)
class Standing:
    """How a learner stands with an exercise.

    Attributes:
        state: "not attempted", "not yet", "correct"; "unclear" and "not in the file", where ``remark`` says why.
        message: what the check said.
        remark: what is to be known about the stored result.
    """

    state: str
    message: str = ""
    remark: str = ""

    @property
    def mistake(self) -> str:
        """What to count the mistake as; "" if there is none."""
        return kind_of_mistake(self.message) if self.state == WRONG else ""


@dataclass(frozen=True)
class StoredCell:
    """A cell as the file has it; ``outputs`` are dictionaries, whatever else they may be."""

    kind: str
    source: str
    outputs: tuple[dict, ...] = ()

    @cached_property
    def code(self) -> str:
        """Its lines of code, without those that are comments."""
        return "\n".join(line for line in self.source.splitlines() if not line.lstrip().startswith("#"))

    @cached_property
    def bare(self) -> str:
        """Its code without comments and spaces."""
        return "".join(re.sub(r"\s#.*", "", self.code).split())


def read_cells(data: bytes) -> list[StoredCell]:
    """Return the cells of a notebook.

    Args:
        data: what the file holds.

    Raises:
        ValueError: it holds no notebook; the message says what it is, after the file's name.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(
            f"has over {MOST_BYTES // 1_000_000} MB, where a notebook of the course has less than one: clear the "
            "outputs of cells with large pictures, save it, and collect it again."
        )
    if not data.strip():
        raise ValueError("is empty.")
    if data.lstrip()[:1] == b"<":
        raise ValueError("is a web page, not a notebook: the file to hand in ends in .ipynb.")
    try:
        document = json.loads(data.decode("utf-8-sig") if data[:3] == b"\xef\xbb\xbf" else data)
    except (ValueError, RecursionError):
        raise ValueError("is not a notebook: it cannot be read as JSON.") from None
    if isinstance(document, dict) and "worksheets" in document:
        raise ValueError(
            "is a notebook of an old format: open it in JupyterLab, save it, and collect it again."
        )
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise ValueError("is JSON, but not a notebook: it has no cells.")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(cell: dict) -> StoredCell:
    outputs = cell.get("outputs")
    kept = tuple(o for o in outputs if isinstance(o, dict)) if isinstance(outputs, list) else ()
    return StoredCell(str(cell.get("cell_type")), _text(cell.get("source")), kept)


def _text(value: object) -> str:
    """A text of a notebook, which stores it whole or in lines."""
    lines = value if isinstance(value, list) else [value]
    return "".join(line for line in lines if isinstance(line, str))


@lru_cache
def course_tasks(folder: Path = ROOT / "notebooks") -> dict[str, tuple[Task, ...]]:
    """Return the exercises of each of the course's notebooks, by its name, in their order.

    Raises:
        AssetError: the notebooks are not there.
    """
    found = {path.stem: _tasks(read_cells(path.read_bytes())) for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        raise AssetError(f"there are no notebooks in {folder}: they are part of the course, fetch it again.")
    return found


def _tasks(cells: list[StoredCell]) -> tuple[Task, ...]:
    tasks, title = [], ""
    for cell in cells:
        if cell.kind == "markdown":
            headings = re.findall(r"^#+\s+(.+?)\s*$", cell.source, re.MULTILINE)
            title = re.sub(r"\s*\([★☆].*\)$", "", headings[-1]) if headings else title
        elif cell.kind == "code":
            tasks += [Task(name, title, answer, cell.bare) for name, answer in _CHECK.findall(cell.bare)]
    return tuple(tasks)


def notebook_of(cells: list[StoredCell], file_name: str) -> str:
    """Return the name of the course's notebook that a file is a copy of: by its import, else by the file's name.

    Raises:
        ValueError: it is none; the message says so, after the file's name.
    """
    known = course_tasks()
    code = "\n".join(cell.code for cell in cells if cell.kind == "code")
    names = [name for name in _IMPORTED.findall(code) if name in known]
    names += [name for name in known if name in file_name.replace(" ", "_")]
    if not names:
        raise ValueError("is not a notebook of this course: it imports none of its exercises.")
    if not any(_cells_of(cells, task) or _stubs_of(cells, task) for task in known[names[0]]):
        raise ValueError(f"is called or made as {names[0]}, and has none of its exercises.")
    return names[0]


def _cells_of(cells: list[StoredCell], task: Task) -> list[StoredCell]:
    return [cell for cell in cells if cell.kind == "code" and f".{task.name}.check(" in cell.bare]


def _stubs_of(cells: list[StoredCell], task: Task) -> list[StoredCell]:
    return [cell for cell in cells if cell.kind == "code" and task.beginning in cell.bare]


def read_standings(cells: list[StoredCell], notebook: str) -> dict[str, Standing]:
    """Return how the learner stands with each exercise of a notebook, by its name.

    Args:
        cells: of the learner's copy.
        notebook: which of the course's notebooks it is.
    """
    replaced = any(cell.kind == "code" and _REPLACED.search(cell.code) for cell in cells)
    return {task.name: _standing(cells, task, replaced) for task in course_tasks()[notebook]}


def _standing(cells: list[StoredCell], task: Task, replaced: bool) -> Standing:
    own = _cells_of(cells, task)
    if not own:
        if _stubs_of(cells, task):
            return Standing(UNCLEAR, remark="the check cell was edited: it has no check any more.")
        return Standing(MISSING, remark="the exercise's cell is not in the file.")
    found = [_of_cell(cell, task, replaced) for cell in reversed(own)]
    return max(found, key=lambda standing: _BEST.index(standing.state))  # of copies the one that got furthest


def _of_cell(cell: StoredCell, task: Task, replaced: bool) -> Standing:
    edited = _edited(cell, task)
    if edited:
        return Standing(UNCLEAR, remark=f"the check cell was edited: {edited}.")
    found = _stored(cell, untouched=cell.bare == task.stub)
    if replaced and found.state != NOT_ATTEMPTED:
        return Standing(
            UNCLEAR, remark="the check was edited: a cell of the notebook puts another in its place."
        )
    return found


def _edited(cell: StoredCell, task: Task) -> str:
    """What was done to the check in a learner's cell, or ""; of a cell the last line's answer is shown alone."""
    if (task.name, task.answer) not in _CHECK.findall(cell.bare):
        return f"its check should read exercises.{task.name}.check({task.answer})"
    asked = rf"(?:\w+\.{task.name}\.(?:hint|solution)\(\))*"
    if not re.search(rf"\.{task.name}\.check\({task.answer},?\){asked}$", cell.bare):
        return "its check is not its last line"
    prefix = re.search(rf"(\w+)\s*\.\s*{task.name}\s*\.\s*check\b", cell.code)
    ways = r"(?!\s*\.\s*(?:check|hint|solution|example)\b)"
    own = rf"\b(?:{prefix[1] if prefix else 'exercises'}|ex\d\d_\w+)\s*\.\s*{task.name}\b{ways}"
    return "it hands in the course's own answer" if re.search(own, cell.code) else ""


def _stored(cell: StoredCell, untouched: bool) -> Standing:
    """What the outputs of a check cell say."""
    for output in reversed(cell.outputs):
        if output.get("output_type") == "error":
            if untouched:
                return Standing(NOT_ATTEMPTED, remark="the cell stopped with an error.")
            name = re.match(r"\w+", _text(output.get("ename")))
            return Standing(WRONG, f"The cell stopped with {name[0][:_LONGEST] if name else 'an error'}.")
        data = output.get("data")
        if output.get("output_type") in ("execute_result", "display_data") and isinstance(data, dict):
            said = read_feedback(_text(data.get("text/plain")), _text(data.get("text/html")))
            if said is not None:
                break
    else:
        if untouched:
            return Standing(NOT_ATTEMPTED)
        if cell.outputs:
            return Standing(UNCLEAR, remark="what is stored below the cell is not the answer of its check.")
        return Standing(
            UNCLEAR, remark="no result is stored: the cell was not run, or its outputs were cleared."
        )
    says = f"the stored output says {said.state}"
    if untouched and said.state != NOT_ATTEMPTED:
        return Standing(UNCLEAR, remark=f"the check cell was edited: it has no answer, and {says}.")
    changed = (
        said.cell != cell_mark(cell.source) if said.cell else _answered_since(cell, said.state, untouched)
    )
    if changed:
        return Standing(UNCLEAR, remark=f"the check cell was edited after its check: {says}.")
    unmarked = not said.cell and said.state != NOT_ATTEMPTED
    remark = "the output has no mark of its cell: from an older copy of the course, or written by hand."
    return Standing(
        said.state, "" if said.state == NOT_ATTEMPTED else said.message[:_LONGEST], remark if unmarked else ""
    )


def _answered_since(cell: StoredCell, state: str, untouched: bool) -> bool:
    """Whether an answer stands above an output, without a mark, that knows of none."""
    return state == NOT_ATTEMPTED and not untouched and "..." not in cell.bare
