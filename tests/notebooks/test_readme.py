"""The README's tables say of each notebook what the notebook says of itself, and of each room how long it is."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_minutes_and_seconds_agree(path):
    header = nbformat.read(path, as_version=4).cells[0].source
    minutes = re.search(r"(\d+) minutes to read", header)[1]
    seconds = re.search(r"about (\d+) seconds to run", header)[1]
    row = re.search(rf"notebooks/{path.name}\).*\| (\d+) min \| (\d+) s \|", README)
    assert row, f"README.md has no table row for {path.name}"
    assert (row[1], row[2]) == (minutes, seconds)


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
