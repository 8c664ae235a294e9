"""The glossary: what stands in data/pages/glossary.md, and the bold terms of the notebooks that it explains.

In a notebook's Markdown bold text is a label or a term. A label ends in a punctuation mark, opens an item of a list,
or is one of LABELS; all else is a term, at the place that defines it, and has an entry in the glossary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_utils.authoring import find_notebooks, read_notebook

from .links import heading_slug
from .places import NOTEBOOKS, Section, link_all, masked, sections_of

__all__ = [
    "GLOSSARY",
    "Entry",
    "Mark",
    "find_marks",
    "glossary_page",
    "is_label",
    "link_terms",
    "name_entries",
    "read_glossary",
    "write_places",
]

GLOSSARY = Path("data", "pages", "glossary.md")
LABELS = ("you will be able to", "predict", "guess", "write down")
BOLD = re.compile(r"\*\*(?=\S)(.+?)\*\*(?!\*)", re.DOTALL)
ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.) +$")  # what stands before what opens an item of a list
ENTRY = re.compile(r"^## (.+)\n\n(?:\*Also: (.+)\*\n\n)?((?:.+\n)+)\n(Defined in .*)\n", re.MULTILINE)
SEE = " · See also "
INDEX = "Search.setIndex("
TERM = "term-"  # how a term's anchor in a notebook's page begins
PLACE = re.compile(rf"\[([^\]]+)\]\({re.escape(NOTEBOOKS)}/(\w+)\.ipynb[^)]*\)")


@dataclass(frozen=True)
class Entry:
    """A term, its other names, its definition (Markdown), where it is defined, and the terms to look up beside it."""

    term: str
    also: tuple[str, ...]
    definition: str
    places: str
    see: tuple[str, ...]  # anchors of other entries
    slug: str  # its own anchor on the page

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the term, as :func:`find_marks` compares them."""
        return tuple(_plain(name) for name in (self.term, *self.also))


@dataclass(frozen=True)
class Mark:
    """Bold text in a notebook, and the section in which it stands."""

    words: str
    label: bool
    section: Section

    @property
    def name(self) -> str:
        """The words as an entry's names are written."""
        return _plain(self.words)


def _plain(words: str) -> str:
    """Words without code marks, in lower case, on one line."""
    return re.sub(r"\s+", " ", words.replace("`", "")).strip().lower()


def read_glossary(text: str) -> list[Entry]:
    """Read the page's text into its entries, in the page's order.

    Raises:
        ValueError: for a heading under which there is no definition with a line "Defined in".
    """
    entries = []
    for term, also, definition, last in ENTRY.findall(text):
        places, _, see = last.removeprefix("Defined in ").partition(SEE)
        names = tuple(also.split(", ")) if also else ()
        anchors = tuple(re.findall(r"\]\(#([^)]+)\)", see))
        slug = heading_slug(term)  # "Grad-CAM" and "Grad-CAM++" would have one
        slug += "-1" if slug in (entry.slug for entry in entries) else ""
        entries.append(Entry(term, names, definition.strip(), places, anchors, slug))
    read = {entry.term for entry in entries}
    for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
        if heading not in read:
            raise ValueError(
                f'The glossary\'s entry "{heading}" wants a definition, then a line "Defined in ...".'
            )
    return entries


def is_label(words: str, before: str = "") -> bool:
    """Say whether bold words are a label whatever they say; ``before`` is what stands before them in their line."""
    return words.rstrip()[-1:] in ".?!:,;" or _plain(words) in LABELS or bool(ITEM.match(before))


def _spans(text: str) -> Iterator[tuple[re.Match[str], str, bool]]:
    """Yield each bold span: where it is, its words, and whether they are a label."""
    for found in BOLD.finditer(masked(text)):
        words = text[found.start(1) : found.end(1)]
        before = text[: found.start()].rpartition("\n")[2]
        yield found, words, is_label(words, before)


def find_marks(root: Path, names: Iterable[str] = ()) -> list[Mark]:
    """Return all bold text of the course's notebooks in ``root``, or of those named, in the order of reading."""
    return [
        Mark(words, label, section)
        for path in find_notebooks(root / "notebooks", names)
        for section in sections_of(path, read_notebook(path))
        for _, words, label in _spans(section.text)
    ]


def _is_term(words: str, names: dict[str, Entry]) -> bool:
    """A term may open an item of a list; nothing that ends in a punctuation mark is one."""
    return _plain(words) in names and not is_label(words)


def write_places(root: Path) -> list[str]:
    """Write into each entry of the glossary where the notebooks mark its term; return what is left to do, a line each.

    After sections have got other numbers or names, this is all that the page needs.
    """
    page = root / GLOSSARY
    text = page.read_text(encoding="utf-8")
    entries = read_glossary(text)
    names = {name: entry for entry in entries for name in entry.names}
    places: dict[str, list[Section]] = {entry.term: [] for entry in entries}
    faults = []
    for mark in find_marks(root):
        if _is_term(mark.words, names):
            places[names[mark.name].term].append(mark.section)
        elif not mark.label:
            faults.append(
                f'{mark.section.label}: "{mark.words}" is neither a label nor a term of the glossary.'
            )

    def placed(found: re.Match[str]) -> str:
        links = link_all(places[found[1]])
        if not links:
            faults.append(f'"{found[1]}" is bold in no notebook.')
        _, dot, see = found[4].partition(SEE)
        return found[0].replace(found[4], f"Defined in {links}{dot}{see}")

    written = ENTRY.sub(placed, text)
    if written != text:
        page.write_text(written, encoding="utf-8")
    return faults


def glossary_page(text: str) -> str:
    """Return the glossary's text as the site shows it.

    It begins with a line of letters. A place leads to the very words in the notebook's page, the first of them if a
    notebook marks a term more than once.
    """
    letters: dict[str, str] = {}
    entries = {entry.term: entry for entry in read_glossary(text)}

    def shown(found: re.Match[str]) -> str:
        entry = entries[found[1]]
        letters.setdefault(re.search(r"\w", entry.term)[0].upper(), entry.slug)
        linked: set[str] = set()

        def exact(place: re.Match[str]) -> str:
            if place[2] in linked:
                return place[0]
            linked.add(place[2])
            address = f"../notebooks/{place[2]}.html#{TERM}{entry.slug}"
            return f'<a class="reference internal" href="{address}">{place[1]}</a>'

        return PLACE.sub(exact, found[0])

    page = ENTRY.sub(shown, text)
    line = " · ".join(f"[{letter}](#{slug})" for letter, slug in letters.items())
    return page.replace("\n## ", f"\n{line}\n\n## ", 1)


def name_entries(index: str, entries: Iterable[Entry]) -> str:
    """Return Sphinx's index for the search, in which each name of an entry leads where the entry's heading does."""
    data = json.loads(index.removeprefix(INDEX).removesuffix(")"))
    page, titles = data["docnames"].index("pages/glossary"), data["alltitles"]
    for entry in entries:
        place = next(one for one in titles[entry.term.replace("`", "")] if one[0] == page)
        for name in entry.also:
            titles.setdefault(name, []).append(place)
    return f"{INDEX}{json.dumps(data, separators=(',', ':'))})"


def link_terms(text: str, entries: Iterable[Entry], page: str) -> str:
    """Return a Markdown cell's text in which each marked term has an anchor, and leads to its entry on ``page``.

    The anchor of "receptive field" is ``term-receptive-field``, where the glossary of a site may lead back to.
    """
    names = {name: entry for entry in entries for name in entry.names}
    pieces, end = [], 0
    for found, words, _ in _spans(text):
        if _is_term(words, names):
            slug = names[_plain(words)].slug
            pieces += [text[end : found.start()], f'<a id="{TERM}{slug}"></a>**[{words}]({page}#{slug})**']
            end = found.end()
    return "".join([*pieces, text[end:]])
