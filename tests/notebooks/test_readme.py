"""The README's table says of each notebook what the notebook says of itself."""

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
