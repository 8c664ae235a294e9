"""data/pages/corrections.md: each entry has its parts, leads to a heading, and quotes figures that the page prints."""

import datetime
import re
from pathlib import Path

import nbformat
import pytest

from course_utils.website import heading_slug

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "data" / "pages" / "corrections.md"
PARTS = (r"\*It (?:asked and all but )?said:\*", r"\*The control:\*", r"\*It says now:\*")
ENTRIES = re.split(r"(?m)^## ", PAGE.read_text("utf-8"))[1:]


def printed(path: Path) -> tuple[str, set[str]]:
    """What a notebook says and prints, without its pictures; and the slugs of its headings."""
    text, slugs = [], set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            text.append(cell.source)
            slugs |= {heading_slug(words) for words in re.findall(r"(?m)^#+ (.+?)\s*$", cell.source)}
        text += [output.get("text", "") for output in cell.get("outputs", [])]
    return " ".join(" ".join(text).split()), slugs


def faults(entry: str, folder: Path) -> list[str]:
    """What is wrong with one entry, as sentences."""
    title = entry.split("\n", maxsplit=1)[0]
    found = []
    if not re.fullmatch(r"\d\d: .+[^.]", title):
        found.append(f'the title "{title}" is not "NN: what fell".')
    date = re.search(r"(?m)^(\d{4}-\d\d-\d\d), \[", entry)
    if not date or datetime.date.fromisoformat(date[1]) > datetime.date.today():
        found.append("there is no line that begins with the date, not in the future, and a link.")
    pieces = re.split("|".join(PARTS), entry)
    if len(pieces) != 4 or not re.search(r"(?s)" + ".*".join(PARTS), entry):
        found.append("it lacks one of: what it said, the control, what it says now, in this order.")
        return found
    links = re.findall(r"\]\(([^)#]+)#([^)]*)\)", entry)
    if not links or any(not Path(link).name.startswith(title[:2]) for link, _ in links):
        found.append("it links to no section, or to another notebook than its title's.")
        return found
    text, slugs = printed((folder / links[0][0]).resolve())
    found += [f"the notebook has no heading #{slug}." for _, slug in links if slug not in slugs]
    figures = re.findall(r"[-+]?\d+\.\d+|\b\d+ of \d+\b|[-+]\d+\b", " ".join((pieces[2] + pieces[3]).split()))
    found += [
        f"the notebook prints no {figure}."
        for figure in figures
        if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d]|\.\d)", text)
    ]
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split("\n")[0])
def test_entries_hold(entry):
    assert faults(entry, PAGE.parent) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.90 of its energy", "0.91 of its energy, or 0.123", "prints no 0.123"),
        ("#6-which-layer", "#6-which-layers", "no heading #6-which-layers"),
        ("- *The control:*", "- *A control:*", "lacks one of"),
        ("2026-11-29, [", "2999-01-01, [", "not in the future"),
        ("04_grad_cam.ipynb", "05_guided_backprop.ipynb", "another notebook"),
        ("04: a last", "a last", "is not"),
    ],
)
def test_a_broken_entry_is_found(old, new, words):
    (entry,) = (entry for entry in ENTRIES if "#6-which-layer)" in entry)
    assert old in entry and any(words in fault for fault in faults(entry.replace(old, new), PAGE.parent))
