"""The glossary and the index of methods and papers: each says what the notebooks say, and where."""

from __future__ import annotations

import ast
import json
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from course_utils.assets import ROOT
from course_utils.authoring import find_notebooks, read_notebook
from course_utils.website import (
    Entry,
    Section,
    cited_papers,
    glossary_page,
    heading_slug,
    link_terms,
    listed_papers,
    name_entries,
    read_glossary,
    sections_of,
    write_papers,
    write_places,
)

PAGES = ROOT / "data" / "pages"
GLOSSARY = PAGES / "glossary.md"
METHODS = PAGES / "methods.md"
LONGEST = 45  # words of a definition
LINK = re.compile(r"\[([^\]]+)\]\(\.\./\.\./notebooks/(\w+)\.ipynb(?:#([^)]*))?\)")
METHOD = re.compile(r"^### (.+)\n\n(?:\*Also: (.+)\*\n\n)?(.+)\n\n(Treated in .+)$", re.MULTILINE)


@cache
def entries() -> list[Entry]:
    return read_glossary(GLOSSARY.read_text(encoding="utf-8"))


@cache
def sections() -> dict[tuple[str, str], list[Section]]:
    """The pieces of all sections, by notebook and anchor; "" above the first heading."""
    found: dict[tuple[str, str], list[Section]] = {}
    for path in find_notebooks(ROOT / "notebooks"):
        for section in sections_of(path, read_notebook(path)):
            anchor = heading_slug(section.heading) if section.heading else ""
            found.setdefault((path.stem, anchor), []).append(section)
    return found


def names(text: str, words: str) -> bool:
    """Whether a text has words, or their plural, as words of their own: "CAM" is not in "Grad-CAM"."""
    plain = re.sub(r"\s+", " ", re.sub(r"[*`]", "", text))
    return bool(
        re.search(rf"(?<![\w-]){re.escape(words.replace('`', ''))}s?(?![\w+-])", plain, re.IGNORECASE)
    )


# --- the glossary


def test_bold_is_a_label_or_a_term_and_each_term_is_bold_where_its_entry_says(tmp_path):
    """Where the page, written anew from the notebooks, is what is stored, its places are true, and none is missing."""
    (tmp_path / "data" / "pages").mkdir(parents=True)
    copy = shutil.copy(GLOSSARY, tmp_path / "data" / "pages")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    assert write_places(tmp_path) == []
    assert Path(copy).read_text(encoding="utf-8") == GLOSSARY.read_text(encoding="utf-8"), (
        "data/pages/glossary.md does not say where the notebooks define its terms: python -m course_utils index"
    )


def test_a_term_is_defined_in_three_places_at_most():
    many = {entry.term: places for entry in entries() if len(places := LINK.findall(entry.places)) > 3}
    assert many == {}


def test_entries_are_alphabetical_and_names_are_unique():
    terms = [re.sub(r"[^a-z0-9]+", " ", entry.term.lower()).strip() for entry in entries()]
    assert terms == sorted(terms)
    all_names = [name for entry in entries() for name in entry.names]
    assert sorted(all_names) == sorted(set(all_names))
    assert len(entries()) >= 90


def test_definitions_are_short_and_do_not_use_the_term():
    faults = []
    for entry in entries():
        text = re.sub(r"\$[^$]*\$", "x", entry.definition)
        if not 3 < len(text.split()) <= LONGEST:
            faults.append(f"{entry.term}: {len(text.split())} words")
        if any(names(text, name) for name in entry.names):
            faults.append(f"{entry.term} is defined by itself")
    assert not faults, "\n".join(faults)


def test_what_to_see_also_is_there():
    anchors = {entry.slug for entry in entries()}
    assert len(anchors) == len(entries())
    assert [(entry.term, see) for entry in entries() for see in entry.see if see not in anchors] == []
    assert [entry.term for entry in entries() if entry.slug in entry.see] == []


NOTEBOOK = """A **hook**, a function. **Before you run:** *why*? **Predict** two numbers. `a**b` $c**d$

- **Leaks** are bad
"""


@pytest.mark.parametrize(
    ("page", "old", "new", "fault"),
    [
        (
            "notebook",
            "*why*",
            "**why**",
            '02, section 1: "why" is neither a label nor a term of the glossary.',
        ),
        ("notebook", "**hook**", "hook", '"Hook" is bold in no notebook.'),
        ("notebook", "**Leaks** are", "Some **leaks** are", '"leaks" is neither a label nor a term'),
        ("glossary", "## Hook", "## Handle", '"hook" is neither a label nor a term'),
        ("glossary", "A function that is called.\n\n", "", '"Hook" wants a definition'),
    ],
)
def test_what_is_out_of_place_is_named(tmp_path, page, old, new, fault):
    files = {
        "notebook": NOTEBOOK,
        "glossary": "# Glossary\n\n## Hook\n\nA function that is called.\n\nDefined in x\n",
    }
    root = course(tmp_path, **files)
    assert write_places(root) == []
    stored = (root / "data" / "pages" / "glossary.md").read_text(encoding="utf-8")
    assert "Defined in [02, section 1](../../notebooks/02_hooks.ipynb#1-first)\n" in stored
    root = course(tmp_path, **{**files, page: files[page].replace(old, new)})
    try:
        faults = write_places(root)
    except ValueError as error:
        faults = [str(error)]
    assert any(fault in found for found in faults), faults


def course(folder: Path, notebook: str, glossary: str) -> Path:
    """A course of one notebook with one section, and its glossary."""
    from nbformat import v4, write

    cells = [v4.new_markdown_cell("# Why?"), v4.new_markdown_cell(f"## 1. First\n\n{notebook}")]
    for name in ("notebooks", "data/pages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write(v4.new_notebook(cells=cells), folder / "notebooks" / "02_hooks.ipynb")
    (folder / "data" / "pages" / "glossary.md").write_text(glossary, encoding="utf-8")
    return folder


def test_places_follow_headings(tmp_path):
    glossary = "# Glossary\n\n## Hook\n\n*Also: leaks*\n\nA function.\n\nDefined in x · See also [a](#a)\n"
    text = "A **hook**.\n\n### More of it (deeper)\n\nSome **leaks**\n\n## What this does not show\n\nNo **hook**"
    root = course(tmp_path, text, glossary)
    with pytest.raises(ValueError, match="must begin a cell of its own"):
        write_places(root)
    root = course(tmp_path, text.replace(" (deeper)", ""), glossary)
    assert write_places(root) == []
    stored = (root / "data" / "pages" / "glossary.md").read_text(encoding="utf-8")
    file = "../../notebooks/02_hooks.ipynb"
    assert (
        f"Defined in [02, section 1: First]({file}#1-first), [02, section 1: More of it]({file}#more-of-it), "
        f"[02, what this does not show]({file}#what-this-does-not-show) · See also [a](#a)\n"
    ) in stored


def test_a_page_of_the_site_leads_from_each_term_to_its_entry():
    text = "A **hook** `**hook**` and **Hook.** or **`detach()`**"
    found = [Entry("Hook", (), "", "", (), "hook"), Entry("`detach()`", (), "", "", (), "detach")]
    assert link_terms(text, found, "../pages/glossary.md") == (
        'A <a id="term-hook"></a>**[hook](../pages/glossary.md#hook)** `**hook**` and **Hook.** or '
        '<a id="term-detach"></a>**[`detach()`](../pages/glossary.md#detach)**'
    )


# --- methods and papers


def methods() -> list[tuple[str, ...]]:
    """Name, other names, one line, and the last line of each method."""
    return METHOD.findall(METHODS.read_text(encoding="utf-8").partition("\n## Papers\n")[0])


def test_each_method_is_named_in_each_section_that_its_links_lead_to():
    text = METHODS.read_text(encoding="utf-8").partition("\n## Papers\n")[0]
    assert [method[0] for method in methods()] == re.findall(r"^### (.+)$", text, re.MULTILINE)
    faults = []
    for name, also, _, last in methods():
        links = LINK.findall(last)
        if not links:
            faults.append(f"{name} has no place")
        for label, notebook, anchor in links:
            pieces = sections().get((notebook, anchor), [])
            if not any(label in (piece.label, f"{piece.label}: {piece.words}") for piece in pieces):
                faults.append(f"{name}: {label} is not what {notebook}#{anchor} is called")
            written = "\n".join(piece.text for piece in pieces)
            if not any(names(written, word) for word in (name, *also.split(", ")) if word):
                faults.append(f"{name} is not named in {label}, #{anchor}")
    assert not faults, "\n".join(faults)


def test_no_two_links_of_an_entry_have_one_name():
    lines = [line for page in (GLOSSARY, METHODS) for line in page.read_text(encoding="utf-8").split("\n")]
    found = [[label for label, *_ in LINK.findall(line)] for line in lines]
    assert [labels for labels in found if len(set(labels)) < len(labels)] == []


SYNONYMS = {
    "gradcam": "Grad-CAM",
    "heatmap": "Heat-map",
    "heat map": "Heat-map",
    "feature map": "Channel",
    "saliency": "Saliency map",
    "attribution map": "Heat-map",
    "guided backprop": "Guided backpropagation",
    "iou": "Intersection over union",
    "occlusion sensitivity": "Occlusion",
    "shortcut learning": "Shortcut",
    "spurious correlation": "Shortcut",
    "backbone": "Trunk",
}


def test_an_entry_is_found_by_the_names_that_others_use():
    named = {name: entry.term for entry in entries() for name in entry.names}
    assert {word: named.get(word) for word in SYNONYMS} == SYNONYMS


def test_the_site_leads_to_the_words_that_define_a_term():
    file = "../../notebooks/02_hooks.ipynb"
    text = (
        "# Glossary\n\nWhat words mean.\n\n## `detach()`\n\n*Also: cut off*\n\nA view.\n\n"
        f"Defined in [02, section 1]({file}#1-first), [02, opening]({file}) · See also [hook](#hook)\n\n"
        f"## Hook\n\nA function.\n\nDefined in [02, opening]({file}), [03, section 2](../../notebooks/03_x.ipynb#2-x)\n"
    )
    page = glossary_page(text)
    assert "What words mean.\n\n[D](#detach) · [H](#hook)\n\n## `detach()`\n" in page
    to = '<a class="reference internal" href="../notebooks'
    assert (
        f'Defined in {to}/02_hooks.html#term-detach">02, section 1</a>, [02, opening]({file}) · See also [hook]'
        in page
    )
    assert (
        f'{to}/02_hooks.html#term-hook">02, opening</a>, {to}/03_x.html#term-hook">03, section 2</a>' in page
    )


def test_the_search_finds_an_entry_by_each_of_its_names():
    data = {"docnames": ["index", "pages/glossary"]}
    before = data | {"alltitles": {"Hook": [[0, "h"], [1, "hook"]], "lead": [[0, "x"]]}}
    found = [Entry("`Hook`", ("handle", "lead"), "", "", (), "hook")]
    made = name_entries(f"Search.setIndex({json.dumps(before)})", found)
    titles = {"Hook": [[0, "h"], [1, "hook"]], "lead": [[0, "x"], [1, "hook"]], "handle": [[1, "hook"]]}
    assert json.loads(made.removeprefix("Search.setIndex(").removesuffix(")")) == data | {"alltitles": titles}


def test_each_call_of_the_methods_exists():
    calls = re.findall(r"`(course_utils\.\w+)\.(\w+)`", METHODS.read_text(encoding="utf-8"))
    assert len(calls) > 40
    assert [f"{room}.{name}" for room, name in calls if name not in face(room)] == []


@cache
def face(room: str) -> set[str]:
    """What ``__all__`` of a room lists, read without loading PyTorch."""
    tree = ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return set(ast.literal_eval(lists[0]))


def test_methods_are_alphabetical_and_short():
    keys = [re.sub(r"[^a-z0-9]+", " ", name.lower()).strip() for name, *_ in methods()]
    assert keys == sorted(keys)
    assert [name for name, _, what, _ in methods() if len(what.split()) > 30] == []


def test_papers_are_those_that_the_notebooks_cite(tmp_path):
    (tmp_path / "data" / "pages").mkdir(parents=True)
    copy = shutil.copy(METHODS, tmp_path / "data" / "pages")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    assert write_papers(tmp_path) == []
    text = METHODS.read_text(encoding="utf-8")
    assert Path(copy).read_text(encoding="utf-8") == text, "python -m course_utils index"
    papers = text.partition("\n## Papers\n")[2]
    assert len(listed_papers(text)) == papers.count("\n- ")
    addresses = set(re.findall(r"\]\((https://[^)]+)\)", text.partition("\n## Papers\n")[0]))
    assert [address for address in addresses if f"]({address})" not in papers] == []


def test_a_paper_that_is_not_listed_is_named(tmp_path):
    root = course(tmp_path, "See [A](https://arxiv.org/abs/1610.02391), arXiv 1512.04150.", "")
    listed = "- B 2016, *b*, [arXiv 1512.04150](https://arxiv.org/abs/1512.04150): x\n"
    page = root / "data" / "pages" / "methods.md"
    page.write_text(f"# Methods\n\n## Papers\n\n{listed}", encoding="utf-8")
    assert set(cited_papers(root)) == {"1610.02391", "1512.04150"}
    faults = write_papers(root)
    assert len(faults) == 1
    assert faults[0].startswith("1610.02391 is cited in [02, section 1](")
    assert "1512.04150): [02, section 1](" in page.read_text(encoding="utf-8")
    page.write_text(
        f"# Methods\n\n## Papers\n\n{listed.replace('1512.04150', '1512.04151')}", encoding="utf-8"
    )
    assert any("1512.04151 is among the papers" in fault for fault in write_papers(root))
