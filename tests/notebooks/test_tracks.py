"""The core of each notebook stands alone: it names nothing, and counts on nothing, that only a deeper section has."""

import builtins
import copy
import os
import re
import symtable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils.authoring import (
    CHECKED,
    CORE,
    DEEPER,
    cell_tracks,
    header_line,
    kernel_client,
    mark,
    minutes,
    questions,
    started,
)
from course_utils.authoring.sandbox import confine

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_CORE = 45  # minutes to read
MAX_COURSE = 600  # minutes to read and do the exercises of all cores
MAX_WORDS = 90  # of a paragraph in the core


def stored(path):
    return nbformat.read(path, as_version=4)


def taken(path):
    return minutes(stored(path), questions(ROOT, path.stem))


def core_cells(cells):
    return [cell for cell, track in zip(cells, cell_tracks(cells), strict=True) if track == CORE]


def names(source):
    """Names that a cell uses without giving them a value itself, and names that it gives a value."""
    top = symtable.symtable(re.sub(r"^(\s*)[%!]", r"\1# ", source, flags=re.M), "cell", "exec")
    given = {
        symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    used = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (symbol.is_global() or table is top)
        }
    return used - given - set(dir(builtins)), given


def missing_names(cells):
    """(beginning of a core cell, name) for each name that no core cell before it gives a value."""
    known, missing = set(), []
    for cell in core_cells(cells):
        if cell.cell_type == "code":
            used, given = names(cell.source)
            missing += [(cell.source[:40], name) for name in sorted(used - known)]
            known |= given
    return missing


def missing_references(cells):
    """Sections and equations that core text mentions and that are not core, and notebooks that there are not."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    core = "\n".join(cell.source for cell in core_cells(cells) if cell.cell_type == "markdown")
    # A link or the words "(deeper)" right after it say that the reader may, and need not, go there.
    own = re.sub(r"[Ss]ections? [\d, and]+(?:of|in) (?:\[|notebook)[^\n]{0,80}", "", core)
    own = re.sub(r"[Ss]ections? \d+ \(deeper\)", "", own)
    wanted = [("section", n) for n in re.findall(r"\b[Ss]ections? (\d+)", own)]
    wanted += [("equation", n) for n in re.findall(r"\b[Ee]quations? \(?(\d+)\)?", own)]
    has = {("section", n) for n in re.findall(r"^##+ (\d+)\.", core, re.M)}
    has |= {("equation", n) for n in re.findall(r"(?:\\qquad|\\quad|\\tag\{?)\s*\(?(\d+)", core)}
    known = {path.stem[:2] for path in NOTEBOOKS}
    found = [
        f"{kind} {n}" for kind, n in wanted if (kind, n) not in has and f"the paper's {kind}" not in text
    ]
    return found + [f"notebook {n}" for n in re.findall(r"\b[Nn]otebooks? (\d\d)\b", core) if n not in known]


def paragraphs(source):
    """Paragraphs of Markdown: no headings, tables, formulas, code; an item of a list is a paragraph of its own."""
    source = re.sub(r"```.*?```|\$\$.*?\$\$|<details>.*?</details>", "\n\n", source, flags=re.S)
    source = re.sub(r"^## Sources\b.*", "", source, flags=re.S | re.M)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.) )", source):
        if not re.match(r"\s*[#|>]", block):
            yield re.sub(r"\]\([^)]*\)", "]", block)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_tags_folds_and_minutes_are_what_the_headings_say(path):
    notebook = stored(path)
    marked = copy.deepcopy(notebook)
    mark(marked, taken(path))
    assert marked == notebook, "run: python -m course_utils tracks"
    assert all(len({CORE, DEEPER} & set(cell.metadata.tags)) == 1 for cell in notebook.cells)
    assert header_line(taken(path), int(re.search(r"about (\d+) seconds", notebook.cells[0].source)[1])) in (
        notebook.cells[0].source
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_core_takes_no_longer_than_an_evening_has(path):
    assert taken(path).core <= MAX_CORE


def test_the_cores_together_take_ten_hours():
    assert sum(taken(path).core + taken(path).core_exercises for path in NOTEBOOKS) <= MAX_COURSE


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_core_names_nothing_that_is_deeper(path):
    cells = stored(path).cells
    assert missing_names(cells) == []
    assert missing_references(cells) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_paragraph_of_the_core_is_long(path):
    long = [
        (cell.id, len(text.split()), text.strip()[:50])
        for cell in core_cells(stored(path).cells)
        if cell.cell_type == "markdown"
        for text in paragraphs(cell.source)
        if len(text.split()) > MAX_WORDS
    ]
    assert long == []


def run_core(notebook, folder):
    """Execute the core alone in a fresh kernel; return what checked cells print otherwise than is stored."""
    notebook.cells = core_cells(notebook.cells)
    before = [copy.deepcopy(cell.get("outputs", [])) for cell in notebook.cells]
    environment = dict(os.environ)
    confine(environment, 1)
    client = kernel_client(notebook, folder, force_raise_errors=True)
    with started(client, environment):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    said = [["".join(o.get("text", "") for o in outputs)] for outputs in before]
    now = [["".join(o.get("text", "") for o in cell.get("outputs", []))] for cell in notebook.cells]
    return [
        cell.source[:40]
        for cell, old, new in zip(notebook.cells, said, now, strict=True)
        if cell.cell_type == "code" and CHECKED.search(cell.source) and old != new
    ]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem.startswith("04") else pytest.mark.core) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_the_core_runs_alone(path):
    """That of 04 always; all others with ``pytest -m core``."""
    assert run_core(stored(path), path.parent) == []


# --- that these tests can fail


def small(*deeper):
    return [
        new_markdown_cell("# Why?"),
        new_code_cell("a = 1"),
        new_markdown_cell("## 1. More (deeper)\n\n$$x \\qquad (3)$$"),
        new_code_cell("b = a\ndef half(c):\n    return c / 2"),
        new_markdown_cell("## 2. On\n\nAs equation (3) of section 1 says in notebook 77."),
        new_code_cell("[half(x) for x in (a, b)]" if deeper else "[x for x in (a, len([a]))]"),
    ]


def test_a_name_of_a_deeper_section_is_found():
    assert missing_names(small()) == []
    assert [name for _, name in missing_names(small("deeper"))] == ["b", "half"]


def test_a_reference_to_what_is_deeper_is_found():
    assert missing_references(small()) == ["section 1", "equation 3", "notebook 77"]


def test_a_core_that_needs_what_is_deeper_fails_when_it_runs(tmp_path):
    with pytest.raises(Exception, match="name 'b' is not defined"):
        run_core(nbformat.v4.new_notebook(cells=small("deeper")), tmp_path)


def test_items_of_a_list_are_paragraphs_of_their_own():
    assert len([p for p in paragraphs("a\n- b\n- c\n\n| d | e |\n\n## f") if p.strip()]) == 3
