"""Core and deeper: which cells a first reading needs, how many minutes both take, and what is folded at first.

A section whose heading ends in "(deeper)" may be left out: whatever is core neither uses nor mentions what it defines.
An exercise says the same in its brackets, "(★★★, 15 minutes, deeper)". Headings are typed; all else follows from them
and is written by ``mark``: a tag on each cell, folds, and the minutes in headers and tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .notebooks import find_notebooks, read_notebook, read_quiz, store_notebook
from .pages import HEADING, pages_of

__all__ = [
    "CORE",
    "DEEPER",
    "HIDDEN",
    "Minutes",
    "cell_tracks",
    "header_line",
    "mark",
    "minutes",
    "questions",
    "table_row",
    "write_tracks",
]

CORE, DEEPER = "core", "deeper"
WORDS, LINES = 130, 12  # read in a minute
QUESTION = 1  # minutes for a question of a quiz
HIDDEN = ("setup", "imports", "plot")
"""Tags of cells whose code is folded when the notebook is opened: one looks at what they show, or needs no look."""
MARKED = re.compile(r"\((?:[^()]*\W)?deeper\)$")
EXERCISE = re.compile(r"^#+ Exercise .*?(\d+) minutes", re.MULTILINE)
SOURCES = re.compile(r"^## Sources\b.*", re.MULTILINE | re.DOTALL)  # with what follows: looked up, not read
TIME = re.compile(r"\*\*Time:\*\*.*? to run\b[^.]*\.")


def cell_tracks(cells: list[NotebookNode]) -> list[str]:
    """Return CORE or DEEPER for each cell: a section is deeper from its heading to the next of its level or above.

    Raises:
        ValueError: a heading that begins or ends a deeper section stands inside a cell, not at its beginning.
    """
    tracks = []
    level = 0  # of the heading that began the deeper section; 0: none
    for cell in cells:
        headings = (
            HEADING.findall(cell.source) if cell.cell_type == "markdown" and "```" not in cell.source else []
        )
        for place, (marks, words) in enumerate(headings):
            deeper = bool(MARKED.search(words))
            ends = len(marks) <= level
            if place and (ends or deeper):
                raise ValueError(
                    f'The heading "{words}" begins or ends a deeper section, so it must begin a cell of its own.'
                )
            if ends:
                level = 0
            if deeper and not level:
                level = len(marks)
        tracks.append(DEEPER if level else CORE)
    return tracks


@dataclass(frozen=True)
class Minutes:
    """What a notebook takes, in minutes: to read, for exercises and quiz, in a lecture; its core, and all of it."""

    core: float
    core_exercises: float
    all: float
    all_exercises: float
    lecture: float
    core_words: int
    core_lines: int
    all_words: int
    all_lines: int


def minutes(notebook: NotebookNode, questions: int = 0) -> Minutes:
    """Return the minutes that a notebook takes, by one rule for all.

    130 words and 12 lines of code a minute. Not counted: the set-up cell, which is the same everywhere; questions for
    lecturers to ask; sources; blank lines; in the core, code that is folded. An exercise takes as long as its heading
    says, its text included, and a question of the quiz one minute. A lecture takes what the pages of the core's
    deck take.

    Args:
        notebook: its headings and tags are read, its outputs are not.
        questions: of its quiz.
    """
    words, lines, exercises = ({CORE: 0, DEEPER: 0} for _ in range(3))
    folded = 0
    exercise = False
    core = []
    for cell, track in zip(notebook.cells, cell_tracks(notebook.cells), strict=True):
        core += [cell] if track == CORE else []
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        tags = cell.metadata.get("tags", [])
        if kind == "notes":
            continue
        if cell.cell_type == "markdown":
            begins = HEADING.search(cell.source)
            taken = [int(number) for number in EXERCISE.findall(cell.source)]
            exercises[track] += sum(taken)
            exercise = bool(taken) or (exercise and not begins)
            words[track] += 0 if exercise else _words(cell.source)
        elif "setup" not in tags and not exercise:
            count = sum(bool(line.strip()) for line in cell.source.split("\n"))
            lines[track] += count
            folded += count if track == CORE and set(HIDDEN) & set(tags) else 0
    read = {track: words[track] / WORDS + lines[track] / LINES for track in (CORE, DEEPER)}
    quiz = QUESTION * questions
    return Minutes(
        core=read[CORE] - folded / LINES,
        core_exercises=exercises[CORE] + quiz,
        all=read[CORE] + read[DEEPER],
        all_exercises=exercises[CORE] + exercises[DEEPER] + quiz,
        lecture=sum(page.minutes for page in pages_of(core)),
        core_words=words[CORE],
        core_lines=lines[CORE] - folded,
        all_words=words[CORE] + words[DEEPER],
        all_lines=lines[CORE] + lines[DEEPER],
    )


def _words(text: str) -> int:
    """Words of Markdown: those in formulas and tables count, addresses and marks do not."""
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", SOURCES.sub("", text))
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def questions(root: Path, name: str) -> int:
    """Return how many questions the quiz of a notebook has: 0 if there is none."""
    return len(read_quiz(root, name))


def rounded(number: float) -> int:
    """Minutes up to the next multiple of five, as headers and tables give them."""
    return max(5, 5 * math.ceil(round(number, 6) / 5))


def _rounded_minutes(taken: Minutes) -> tuple[int, ...]:
    """Core, its exercises, everything, all exercises, lecture."""
    every = (taken.core, taken.core_exercises, taken.all, taken.all_exercises, taken.lecture)
    return tuple(map(rounded, every))


def header_line(taken: Minutes, seconds: int) -> str:
    """Return the header's sentence on time."""
    core, own, both, every, lecture = _rounded_minutes(taken)
    return (
        f"**Time:** the core takes {core} minutes to read and {own} for its exercises, "
        f"everything {both} to read and {every} for exercises; "
        f"a lecture on the core {lecture} minutes; about {seconds} seconds to run."
    )


def mark(notebook: NotebookNode, taken: Minutes) -> None:
    """Write on a notebook what follows from its headings: tags, folds, and the minutes in its header.

    A deeper section is folded under its heading, in JupyterLab by the heading's metadata, in Colab by a list of ids in
    the notebook's; code tagged with one of HIDDEN is folded by each one's own mark. Running all cells runs what is
    folded, too.
    """
    sections = []
    for cell, track in zip(notebook.cells, cell_tracks(notebook.cells), strict=True):
        kept = [tag for tag in cell.metadata.get("tags", []) if tag not in (CORE, DEEPER)]
        cell.metadata["tags"] = [*kept, track]
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        cell.metadata.pop("jp-MarkdownHeadingCollapsed", None)
        cell.metadata.pop("id", None)
        if heading and MARKED.search(heading[2]) and not EXERCISE.match(cell.source):
            cell.metadata["jp-MarkdownHeadingCollapsed"] = True
            cell.metadata["id"] = cell.id  # Colab's own
            sections.append(cell.id)
        if cell.cell_type == "code":
            _fold(cell, bool(set(HIDDEN) & set(kept)))
    notebook.metadata.pop("colab", None)
    if sections:
        notebook.metadata["colab"] = {"collapsed_sections": sections}
    header = notebook.cells[0]
    seconds = re.search(r"about (\d+) seconds to run", header.source)
    if seconds:
        line = header_line(taken, int(seconds[1]))
        header.source = TIME.sub(lambda _: line, header.source, count=1)


def _fold(cell: NotebookNode, folded: bool) -> None:
    """Fold a cell's code, or unfold it: ``source_hidden`` is JupyterLab's mark, ``cellView`` Colab's."""
    jupyter = {
        key: value for key, value in cell.metadata.get("jupyter", {}).items() if key != "source_hidden"
    }
    if folded:
        jupyter["source_hidden"] = True
        cell.metadata["cellView"] = "form"
    else:
        cell.metadata.pop("cellView", None)
    cell.metadata.pop("jupyter", None)
    if jupyter:
        cell.metadata["jupyter"] = jupyter


def table_row(taken: Minutes) -> str:
    """Return what README's table and notebook 00's say of a notebook's minutes."""
    core, own, both, every, lecture = _rounded_minutes(taken)
    return " | ".join(f"{number} min" for number in (core, own, both + every, lecture))


def write_tracks(root: Path, names: Iterable[str] = ()) -> list[str]:
    """Mark the notebooks of the course in ``root``, or those named, without executing them; return a line for each.

    README.md and notebook 00 list all notebooks, so their tables are written whenever they link to one that is marked.

    Raises:
        ValueError: for a name that fits no notebook, or headings that are not where they must be.
    """
    lines = []
    tables = [root / "README.md", *sorted((root / "notebooks").glob("00_*.ipynb"))]
    for path in find_notebooks(root / "notebooks", names):
        notebook = read_notebook(path)
        taken = minutes(notebook, questions(root, path.stem))
        before = nbformat.writes(notebook)
        mark(notebook, taken)
        if nbformat.writes(notebook) != before:
            store_notebook(notebook, path)
        for table in tables:
            _write_row(table, path.name, table_row(taken))
        lines.append(
            f"{path.stem:24} core {taken.core:5.1f} min ({taken.core_words} words, {taken.core_lines} lines), "
            f"exercises {taken.core_exercises:.0f}; all {taken.all:5.1f} ({taken.all_words}, {taken.all_lines}), "
            f"exercises {taken.all_exercises:.0f}; lecture {taken.lecture:.0f}"
        )
    return lines


def _write_row(file: Path, name: str, numbers: str) -> None:
    """Put the minutes in the rows of a file's tables that link to the notebook ``name`` and end in minutes.

    The file may be a notebook: its text is JSON, in which a row is a line, too.
    """
    pattern = re.compile(
        rf"(\]\((?:notebooks/)?{re.escape(name)}\)[^\n]*?\| )(?:\d+ min \| ){{3}}\d+ min(?= \|)"
    )
    text = file.read_text(encoding="utf-8")
    changed = pattern.sub(lambda found: found[1] + numbers, text)
    if changed != text:
        file.write_text(changed, encoding="utf-8")
