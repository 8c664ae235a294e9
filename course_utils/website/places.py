"""Places in notebooks: what a section is called in a link, and where the link leads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from course_utils.authoring import DEEPER, HEADING, cell_tracks

from .links import heading_slug

__all__ = ["Section", "link_all", "masked", "sections_of"]

NOTEBOOKS = "../../notebooks"  # as seen from a page in data/pages
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A piece of a notebook's text under one heading: the words as they stand, from ``cell`` number on."""

    notebook: str  # such as "04_grad_cam"
    heading: str  # without the marks; "" above the first section
    name: str  # such as "section 4 (deeper)"
    cell: int
    text: str

    @property
    def label(self) -> str:
        """What a link to it says, such as "04, section 1"."""
        return f"{self.notebook[:2]}, {self.name}"

    @property
    def link(self) -> str:
        """A Markdown link to it, from a page in data/pages."""
        return f"[{self.label}]({self.address})"

    @property
    def address(self) -> str:
        """Where the link leads."""
        anchor = f"#{heading_slug(self.heading)}" if self.heading else ""
        return f"{NOTEBOOKS}/{self.notebook}.ipynb{anchor}"

    @property
    def words(self) -> str:
        """Its heading's first words, without a number, to tell it from another section of the same name."""
        plain = re.sub(r"^\d+\. |[*`]", "", self.heading)
        return " ".join(re.split(r"[:;,.?!(]", plain)[0].split()[:7])


def link_all(sections: Iterable[Section]) -> str:
    """Return links to sections, each once; where two have one name, their headings' first words tell them apart."""
    once = list({section.link: section for section in sections}.values())
    labels = [section.label for section in once]
    return ", ".join(
        f"[{one.label}: {one.words}]({one.address})" if labels.count(one.label) > 1 else one.link
        for one in once
    )


def masked(text: str) -> str:
    """Return Markdown of the same length in which code and formulas hold no stars and no #."""
    return CODE.sub(lambda found: re.sub(r"[*#]", "\0", found[0]), text)


def sections_of(path: Path, notebook: NotebookNode) -> Iterator[Section]:
    """Yield the text of a notebook's Markdown cells, heading by heading; a heading that spans cells comes by cell."""
    heading, chapter = "", ""
    tracks = cell_tracks(notebook.cells)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        begin = 0
        found = [match for match in HEADING.finditer(masked(cell.source)) if len(match[1]) > 1]
        for match in [*found, None]:
            end = match.start() if match else len(cell.source)
            text = cell.source[begin:end]
            if text.strip():
                name = _name(heading, chapter, tracks[index] == DEEPER)
                yield Section(path.stem, heading, name, index, text)
            if match:
                begin = end
                heading = cell.source[match.start(2) : match.end(2)]
                chapter = heading if len(match[1]) == 2 else chapter


def _name(heading: str, chapter: str, deeper: bool) -> str:
    """Return how the course names the piece under a heading: by the number of its section or exercise, if any."""
    if not heading:
        return "opening"
    exercise = re.match(r"Exercise (\d+)", heading)
    number = re.match(r"(\d+)\. ", chapter)
    if exercise:
        name = f"exercise {exercise[1]}"
    else:
        name = f"section {number[1]}" if number else re.sub(r" \(deeper\)$", "", chapter).lower()
    return f"{name} (deeper)" if deeper else name
