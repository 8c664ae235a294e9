"""Notebooks to hand out: they run and check as the course's do, and give no answers away.

Hints and solutions are inside the package, and a comment in the exercise's cell asks for them. A hand-out loses these
comments, and its set-up cell says in one line that they are not to be shown. (Whoever takes the line away, or reads the
package, has them: this is for honest people.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils.authoring import REMOTE_PICTURE, find_notebooks, read_notebook
from course_utils.exercises import HANDOUT

__all__ = ["hand_out", "write_handouts"]

SWITCH = f'os.environ["{HANDOUT}"] = "1"  # this is a hand-out: hint() and solution() are switched off'
LAST_WORDS = (
    "## Before you hand this in\n\nRun the cell below: it lists what is done and what is left. Then save the notebook "
    "**with its outputs**, and hand in the file; the results are read from the outputs below the exercises."
)
_ASKED = re.compile(r"^[ \t]*#.*\.(?:hint|solution)\(\).*\n?", re.MULTILINE)
_OFFERED = re.compile(
    r"(?:(?<=^)|(?<=[.?!] )|(?<=\n))[^.?!\n]*`(?:hint|solution)\(\)`[^.?!\n]*[.?!](?: |$)?", re.M
)
_NAMED = re.compile(r",? `hint`,? (?:and|or) `solution`")
_FOLDED = re.compile(
    r"<details\b[^>]*>\s*<summary>[^<]*(?:solution|answer|hint)[^<]*</summary>.*?</details>\n*",
    re.DOTALL | re.IGNORECASE,
)
_LINK = re.compile(r"\[([^\]]+)\]\((?:\./)?(\w+)\.ipynb(?:#[^)]*)?\)")


def hand_out(notebook: NotebookNode, core: bool = False, among: Iterable[str] = ()) -> NotebookNode:
    """Return a notebook as it is handed out.

    Args:
        notebook: of the course; it is changed.
        core: leave out the cells tagged "deeper".
        among: names of notebooks that are handed out with it; links to others become words.
    """
    cells = [cell for cell in notebook.cells if _is_for_learners(cell, core)]
    for cell in cells:
        if cell.cell_type == "markdown":
            _without_answers(cell, set(among))
        elif cell.cell_type == "code":
            if "setup" in cell.metadata.get("tags", []):
                cell.source += f"\n{SWITCH}"
            if re.search(r"\.check\(|\bquiz\(", cell.source):  # a stored quiz has its answers in it
                cell.source = _ASKED.sub("", cell.source).rstrip()
                cell.outputs, cell.execution_count = [], None
    cells = [cell for cell in cells if cell.source.strip()]
    cells.append(new_markdown_cell(LAST_WORDS, id="before-handing-in"))
    cells.append(new_code_cell("exercises.progress()", id="progress"))
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _is_for_learners(cell: NotebookNode, core: bool) -> bool:
    notes = cell.metadata.get("slideshow", {}).get("slide_type") == "notes"
    return not notes and not (core and "deeper" in cell.metadata.get("tags", []))


def _without_answers(cell: NotebookNode, among: set[str]) -> None:
    """Take out of a text what is folded away as an answer, offers of hints, the badge, and links that lead nowhere."""
    text = REMOTE_PICTURE.sub("", _FOLDED.sub("", cell.source))
    text = re.sub(r"[ \t]+$", "", _NAMED.sub("", _OFFERED.sub("", text)), flags=re.MULTILINE)
    cell.source = _LINK.sub(lambda link: link[0] if link[2] in among else link[1], text).rstrip()


def write_handouts(
    root: Path, names: Iterable[str], folder: Path, core: bool = False, overwrite: bool = False
) -> list[Path]:
    """Write hand-outs of the course's notebooks into a folder, under their own names, and return their paths.

    Args:
        root: the course's folder.
        names: which notebooks, such as "04"; all of them if empty.
        folder: made if it is not there.
        core: leave out the cells tagged "deeper".
        overwrite: replace files that are there.

    Raises:
        ValueError: a name fits no notebook; the folder is the course's own, or is none; a file is there already.
    """
    paths = find_notebooks(root / "notebooks", names)
    if folder.resolve() == (root / "notebooks").resolve():
        raise ValueError(f"--out {folder} holds the course's own notebooks: name another folder.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out names a folder, but {folder} is a file.")
    targets = [folder / path.name for path in paths]
    there = [target.name for target in targets if target.exists()]
    if there and not overwrite:
        raise ValueError(
            f"{folder} already has {', '.join(there)}: name another folder, or add --overwrite to replace them."
        )
    made = [hand_out(read_notebook(path), core, [path.stem for path in paths]) for path in paths]
    folder.mkdir(parents=True, exist_ok=True)
    for target, notebook in zip(targets, made, strict=True):
        nbformat.write(notebook, target)
    return targets
