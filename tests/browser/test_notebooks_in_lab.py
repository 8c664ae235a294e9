"""Each notebook in JupyterLab: it opens, runs without a fault, and each explorer answers, from the keyboard alone.

nbval executes every cell of every notebook. Here the first and the last run whole, by the menu, as learners do; of the
others, the cells that their explorers depend on.
"""

import re

import nbformat
import pytest
from answer_times import PROPERTY, Row, too_slow
from driving import Explorer, find_explorers
from lab import NOTEBOOKS, Notebook
from needed import needed_cells
from PIL import Image

from course_utils.authoring import HIDDEN

WHOLE = (NOTEBOOKS[0], NOTEBOOKS[-1])
EXPLORER = re.compile(r"\b(?:Explorer|\w+_explorer|BlindGame)\(")


@pytest.fixture
def files(tmp_path) -> tuple:
    """For explorers that take uploads: a photograph as a phone stores it, and a file that is no picture."""
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.linear_gradient("L").convert("RGB").resize((640, 480)).save(tmp_path / "photo.jpg", exif=exif)
    (tmp_path / "letter.txt").write_text("Dear reader")
    return tmp_path / "photo.jpg", tmp_path / "letter.txt"


def run(notebook: Notebook, path) -> None:
    """Run what there is to see before the explorers are driven."""
    cells = nbformat.read(path, as_version=4).cells
    places = [place for place, cell in enumerate(cells) if cell.cell_type == "code"]
    sources = [cells[place].source for place in places]
    explorers = [number for number, source in enumerate(sources) if EXPLORER.search(source)]
    assert explorers, "no cell makes an explorer."
    if path in WHOLE:
        notebook.run_all()
        return
    for number in sorted(needed_cells(sources, explorers)):
        notebook.run_cell(places[number])


def folds(path) -> list[list[bool]]:
    """What is folded when a notebook is opened: deeper sections under their headings, code that sets up or draws."""
    found, level = [], 0  # of the folded heading; 0: none
    for cell in nbformat.read(path, as_version=4).cells:
        heading = re.match(r"#+", cell.source) if cell.cell_type == "markdown" else None
        if heading and len(heading[0]) <= level:
            level = 0
        found.append([level > 0, bool(set(HIDDEN) & set(cell.metadata.tags))])
        if heading and not level and cell.metadata.get("jp-MarkdownHeadingCollapsed", False):
            level = len(heading[0])
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, open_notebook, request, files):
    notebook = open_notebook(path.name)
    assert not notebook.failures(), "when it was opened"
    assert notebook.folds == folds(path)
    run(notebook, path)
    assert not notebook.failures(), "when the cells had run"

    boxes = find_explorers(notebook.page)
    assert boxes, "there is no explorer."
    faults, rows = [], []
    for number, box in enumerate(boxes, 1):
        explorer = Explorer(notebook.page, box, *files)
        faults += [f"the Tab key does not reach {label!r}." for label in explorer.reached_by_tab()]
        explorer.drive()
        faults += explorer.faults
        number_of_it = f"{number}: " if len(boxes) > 1 else ""
        rows += [
            Row(path.stem, number_of_it + control.label, control.times, control.complete)
            for control in explorer.controls
            if control.times
        ]
    request.node.user_properties.append((PROPERTY, [str(row) for row in rows]))
    faults += too_slow(rows) + notebook.failures()
    assert not faults, "\n".join(faults)
