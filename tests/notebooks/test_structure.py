"""Each notebook keeps the rules of rules.py, and all share one set-up cell. Notebooks are found, not listed."""

from pathlib import Path

import nbformat
import pytest
from page import Page
from rules import RULES

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def page(path: Path) -> Page:
    return Page(path, nbformat.read(path, as_version=4))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_structure(path, rule):
    faults = rule(page(path))
    assert not faults, f"{path.name}:\n" + "\n".join(faults)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_valid_and_with_ids_that_are_unique(path):
    nbformat.validate(page(path).notebook)
    ids = [cell.id for cell in page(path).cells]
    assert len(set(ids)) == len(ids)


def test_the_set_up_cell_is_the_same_everywhere():
    texts = {cell.source: path.name for path in NOTEBOOKS for _, cell in page(path).setup}
    assert len(texts) <= 1, f"set-up cells differ, e.g. between {sorted(texts.values())[:2]}."
