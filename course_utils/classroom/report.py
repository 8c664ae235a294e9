"""What was collected, written down: two tables for a spreadsheet, one for the terminal, and a picture."""

from __future__ import annotations

import csv
import io
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from course_utils.exercises import CORRECT, MARKS, MISSING, NOT_ATTEMPTED, UNCLEAR, WRONG
from course_utils.show import PALETTE, panels, plain, written

from .collecting import NO_FILE, Collected, Fault

__all__ = ["draw_class", "fault_lines", "mistakes_csv", "results_csv", "table_lines"]

NOT_READ = "not read"
SIGNS = {**MARKS, UNCLEAR: "?", MISSING: "-", NO_FILE: "-"}
COLORS = {
    CORRECT: PALETTE[2],
    WRONG: PALETTE[4],
    NOT_ATTEMPTED: "#D9D9D9",
    UNCLEAR: PALETTE[6],
    MISSING: "white",
    NO_FILE: "white",
}
MARKERS = {CORRECT: ".", WRONG: "x", UNCLEAR: "$?$"}  # beside the colors, for whoever does not see them
LONGEST_LINE = 300  # letters of a mistake on the terminal
LONGEST_NAME = 30  # letters of a name in the picture
MOST_NAMED = 3  # files of one kind that are named one by one
TALLEST = 600  # inches of a picture; matplotlib draws at most 655 at 100 dots an inch


def _in_a_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    folded = unicodedata.normalize("NFKC", text).lstrip()
    return f"'{text}" if folded[:1] in tuple("=+-@") or text[:1] in tuple("\t\r\n") else text


def _as_csv(header: list[str], rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_in_a_cell(value) for value in row] for row in rows)
    return text.getvalue()


def results_csv(result: Collected) -> str:
    """Return a table with a row for each learner and exercise, and below them one for each file that was not read."""
    header = ["learner", "notebook", "exercise", "title", "state", "mistake", "message", "remark", "file"]
    rows, tasks = [], result.tasks
    for learner in result.learners:
        for notebook, task in tasks:
            found = result.standing(learner, notebook, task)
            submission = result.submissions.get((learner, notebook))
            said = [found.state, found.mistake, found.message, found.remark]
            path = submission.path if submission else ""
            rows.append([learner, notebook, task.name, task.title, *said, path])
    rows += [["", "", "", "", NOT_READ, "", "", fault.why, fault.path] for fault in result.faults]
    return _as_csv(header, rows)


def mistakes_csv(result: Collected) -> str:
    """Return a table with a row for each mistake that was made, and how many made it."""
    header = ["notebook", "exercise", "title", "mistake", "learners", "names"]
    rows = [
        [notebook, task.name, task.title, mistake, str(len(names)), "; ".join(names)]
        for notebook, task, mistake, names in result.mistakes()
    ]
    return _as_csv(header, rows)


def table_lines(result: Collected) -> list[str]:
    """Return the class as lines for a terminal: a row for each learner, a sign for each exercise; then the mistakes."""
    learners, pairs = result.learners, result.tasks
    notebooks = list(dict.fromkeys(notebook for notebook, _ in pairs))
    tasks = {name: [task for notebook, task in pairs if notebook == name] for name in notebooks}
    digits = len(str(len(learners)))
    width = max((_width(learner) for learner in learners), default=0)
    columns = [max(len(tasks[name]), 2) for name in notebooks]
    head = "  ".join(name[:2].ljust(column) for name, column in zip(notebooks, columns, strict=True))
    lines = [f"{' ' * (digits + 2 + width)}  {head}"]
    for number, learner in enumerate(learners, 1):
        cells = [
            "".join(SIGNS[result.standing(learner, name, task).state] for task in tasks[name]).ljust(column)
            for name, column in zip(notebooks, columns, strict=True)
        ]
        space = " " * (width - _width(learner))
        lines.append(f"{number:{digits}}  {learner}{space}  {'  '.join(cells)}".rstrip())
    lines.append(f"✓ {CORRECT}  ✗ {WRONG}  ○ {NOT_ATTEMPTED}  ? {UNCLEAR}  - {NO_FILE}")
    last = None
    for notebook, task, mistake, names in result.mistakes():
        if (notebook, task) != last:
            lines += ["", f"{notebook}, {task.title} ({task.name})"]
            last = notebook, task
        lines.append(f"{len(names):4} x  {mistake[:LONGEST_LINE]}")
    unclear = [
        f"  {learner}, {notebook}, {task.name}: {found.remark}"
        for learner in learners
        for notebook, task in pairs
        if (found := result.standing(learner, notebook, task)).state in (UNCLEAR, MISSING)
    ]
    return [*lines, *(["", "To be looked at:"] if unclear else []), *unclear]


def _width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    marks = ("Mn", "Me", "Cf")
    return sum(
        0 if unicodedata.category(letter) in marks else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def fault_lines(faults: Iterable[Fault]) -> list[str]:
    """Return a sentence for each file that was not read; many of one folder and kind share one."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for fault in faults:
        groups[str(PurePosixPath(fault.path).parent), fault.why].append(fault.path)
    lines = []
    for (folder, why), paths in groups.items():
        if len(paths) <= MOST_NAMED:
            lines += [f"{path} {why}" for path in paths]
        else:
            lines.append(f"{paths[0]} {why} So are {len(paths) - 1} more files in {folder}/.")
    return lines


def draw_class(result: Collected, path: Path) -> list[str]:
    """Write a picture of who is stuck where: a row for each learner, a column for each exercise.

    Args:
        result: what was collected, of one learner at least.
        path: of a PNG.

    Returns:
        Sentences about what could not be drawn as it is.
    """
    learners, tasks = result.learners, result.tasks
    states = [[result.standing(learner, *of).state for of in tasks] for learner in learners]
    height = min(2.8 + 0.26 * len(learners), TALLEST)
    figure, (ax,) = panels(1, width=3.5 + max(0.26 * len(tasks), 4), height=height)
    ax.imshow(np.array([[to_rgb(COLORS[state]) for state in row] for row in states]), aspect="auto")
    for state, marker in MARKERS.items():
        places = [(x, y) for y, row in enumerate(states) for x, found in enumerate(row) if found == state]
        xs, ys = [x for x, _ in places], [y for _, y in places]
        ax.plot(xs, ys, ls="", marker=marker, color="black", markersize=5, mew=1.2)
    ax.set_yticks(range(len(learners)), [str(number) for number, _ in enumerate(learners, 1)])
    ax.set_xticks(range(len(tasks)), [f"{notebook[:2]} {task.name}" for notebook, task in tasks], rotation=90)
    ax.tick_params(length=0, labelsize=9)
    ax.spines[:].set_visible(False)
    for column in range(len(tasks)):
        stuck = sum(row[column] == WRONG for row in states)
        ax.text(column, -0.7, str(stuck or ""), ha="center", fontsize=9)
        if column and tasks[column][0] != tasks[column - 1][0]:
            ax.axvline(column - 0.5, color="black", linewidth=0.8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for row, learner in enumerate(learners):
            name = learner if len(learner) <= LONGEST_NAME else f"{learner[:LONGEST_NAME]}..."
            written(ax.text(-1.8, row, plain(name), ha="right", va="center", fontsize=9))
        ax.text(-0.8, -0.7, "how many are stuck", ha="right", fontsize=9, style="italic")
        handles = [
            Line2D([], [], ls="", marker="s", ms=11, mfc=COLORS[s], mec="#595959", label=f"{SIGNS[s]} {s}")
            for s in (CORRECT, WRONG, NOT_ATTEMPTED, UNCLEAR, NO_FILE)
        ]
        figure.legend(
            handles=handles, loc="outside lower left", ncols=len(handles), fontsize=9, frameon=False
        )
        figure.savefig(path)
    plt.close(figure)
    if any(word in str(warning.message) for warning in caught for word in ("boxes", "missing from")):
        return [
            "Some letters of names are drawn as boxes, for no font here has them: see the numbers of the rows."
        ]
    return []
