"""The README's tables say of each notebook what the notebook says of itself, and of each room how long it is."""

import re
from pathlib import Path

import nbformat
import pytest

from course_utils.authoring import header_line, minutes, questions, table_row

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("table", ["README.md", "notebooks/00_start_here.ipynb"])
def test_minutes_and_seconds_agree(path, table):
    notebook = nbformat.read(path, as_version=4)
    taken = minutes(notebook, questions(ROOT, path.stem))
    seconds = re.search(r"about (\d+) seconds to run", notebook.cells[0].source)[1]
    assert header_line(taken, int(seconds)) in notebook.cells[0].source
    text = (ROOT / table).read_text(encoding="utf-8")
    row = re.search(rf"{path.name}\)[^\n]*?\| ((?:\d+ min \| ){{3}}\d+ min) \|(?: (\d+) s)?", text)
    assert row, f"{table} has no row for {path.name}"
    assert row[1] == table_row(taken), "run: python -m course_utils tracks"
    assert row[2] in (None, seconds)


@pytest.mark.parametrize(
    "room",
    sorted(path.parent for path in ROOT.glob("course_utils/*/__init__.py")),
    ids=lambda path: path.name,
)
def test_each_room_is_listed_with_its_size(room):
    row = re.search(
        rf"^\| \[`{room.name}/`\]\(course_utils/{room.name}/__init__.py\) \|.*\| ([\d,]+) \|$", README, re.M
    )
    assert row, f"README.md has no row for the room {room.name}"
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in room.rglob("*.py"))
    assert abs(int(row[1].replace(",", "")) - lines) <= max(100, 0.1 * lines), (
        f"{room.name} has {lines} lines"
    )
