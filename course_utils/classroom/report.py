"""What was collected, written down: two tables for a spreadsheet, one for the terminal, and a picture."""

from __future__ import annotations

import csv
import io
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from matplotlib import pyplot as plt
from matplotlib.patches import Patch

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
    rows = []
    for learner in result.learners:
        for notebook, task in result.tasks:
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
    notebooks = list(dict.fromkeys(notebook for notebook, _ in result.tasks))
    tasks = {name: [task for notebook, task in result.tasks if notebook == name] for name in notebooks}
    digits = len(str(len(result.learners)))
    width = max((_width(learner) for learner in result.learners), default=0)
    columns = [max(len(tasks[name]), 2) for name in notebooks]
    head = "  ".join(name[:2].ljust(column) for name, column in zip(notebooks, columns, strict=True))
    lines = [f"{' ' * (digits + 2 + width)}  {head}"]
    for number, learner in enumerate(result.learners, 1):
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
        lines.append(f"{len(names):4} x  {mistake}")
    unclear = [
        f"  {learner}, {notebook}, {task.name}: {found.remark}"
        for learner in result.learners
        for notebook, task in result.tasks
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
    height = min(2.6 + 0.26 * len(learners), TALLEST)
    figure, (ax,) = panels(1, width=3.5 + max(0.26 * len(tasks), 5), height=height)
    names = [f"{number}  {plain(name)}" for number, name in enumerate(learners, 1)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for row, learner in enumerate(learners):
            for column, (notebook, task) in enumerate(tasks):
                state = result.standing(learner, notebook, task).state
                ax.add_patch(plt.Rectangle((column, row), 1, 1, facecolor=COLORS[state], edgecolor="white"))
                if state != NO_FILE:
                    ax.text(column + 0.5, row + 0.52, SIGNS[state], ha="center", va="center", fontsize=9)
        ax.set(xlim=(0, len(tasks)), ylim=(len(learners), 0))
        ax.set_yticks([row + 0.5 for row in range(len(learners))], names)
        stuck = [sum(result.standing(who, *of).state == WRONG for who in learners) for of in tasks]
        ax.set_xticks(
            [column + 0.5 for column in range(len(tasks))],
            [f"{notebook[:2]} {task.name}" for notebook, task in tasks],
            rotation=90,
        )
        top = ax.secondary_xaxis("top")
        top.set_xticks([column + 0.5 for column in range(len(tasks))], [str(n or "") for n in stuck])
        top.set_xlabel(f"how many are stuck ({WRONG}), by exercise")
        for text in ax.get_yticklabels():
            written(text)
        for axis in (ax, top):
            axis.tick_params(length=0, labelsize=9)
            axis.spines[:].set_visible(False)
        for column in range(1, len(tasks)):
            if tasks[column][0] != tasks[column - 1][0]:
                ax.axvline(column, color="black", linewidth=0.8)
        shown = {
            CORRECT: CORRECT,
            WRONG: WRONG,
            NOT_ATTEMPTED: NOT_ATTEMPTED,
            UNCLEAR: UNCLEAR,
            NO_FILE: NO_FILE,
        }
        handles = [Patch(facecolor=COLORS[s], edgecolor="#595959", label=f"{SIGNS[s]} {s}") for s in shown]
        figure.legend(
            handles=handles, loc="outside lower left", ncols=len(handles), fontsize=9, frameon=False
        )
        figure.savefig(path)
    plt.close(figure)
    if any("boxes" in str(warning.message) or "missing" in str(warning.message) for warning in caught):
        return [
            "The picture draws some letters of names as boxes, for no font here has them; the numbers help."
        ]
    return []
