"""A stored notebook as the rules see it: its cells, header and headings, its links and pictures."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from course_utils.authoring import DATA_URI


@dataclass
class Page:
    """A stored notebook and where it lies."""

    path: Path
    notebook: NotebookNode

    @property
    def cells(self) -> list[NotebookNode]:
        return self.notebook.cells

    @property
    def code(self) -> list[tuple[int, NotebookNode]]:
        """Code cells that are not empty, with their places."""
        return [(i, c) for i, c in enumerate(self.cells) if c.cell_type == "code" and c.source.strip()]

    @property
    def text(self) -> list[tuple[int, NotebookNode]]:
        return [(i, c) for i, c in enumerate(self.cells) if c.cell_type == "markdown"]

    @property
    def setup(self) -> list[tuple[int, NotebookNode]]:
        """The cells tagged "setup": there should be one."""
        return [(i, c) for i, c in self.code if "setup" in c.metadata.get("tags", [])]

    @property
    def header(self) -> str:
        """The text above the first code cell."""
        first = self.code[0][0] if self.code else len(self.cells)
        return "\n\n".join(cell.source for i, cell in self.text if i < first)

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """(cell, level, words) of all headings; numbers and the stop after them are left out of the words."""
        found = []
        for index, cell in self.text:
            for marks, words in re.findall(r"^(#{1,6})\s+(.+?)\s*$", without_code(cell.source), re.MULTILINE):
                found.append((index, len(marks), re.sub(r"^[\d.]+\s+", "", words)))
        return found

    def where(self, index: int) -> str:
        """How messages name a cell: its place, kind and beginning."""
        cell = self.cells[index]
        return f"cell {index} ({cell.cell_type}, {cell.source.strip()[:40]!r})"


def without_code(text: str) -> str:
    """Markdown without code and formulas, in which # and [] mean other things."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "", text)


def links(text: str) -> list[str]:
    """Targets of links and pictures in Markdown, also in the HTML in it."""
    text = without_code(text)
    return re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"\b(?:href|src)\s*=\s*[\"']([^\"']+)", text)


def images(page: Page) -> list[tuple[int, str | None]]:
    """All pictures among outputs and text: (cell, alt text, or None for a picture that has no place for one)."""
    found: list[tuple[int, str | None]] = []
    for index, cell in enumerate(page.cells):
        written = without_code(cell.source) if cell.cell_type == "markdown" else ""
        found += [(index, alt) for alt in re.findall(r"!\[([^\]]*)\]\(", written)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found += [(index, None) for kind in data if kind.startswith("image/")]
            written += DATA_URI.sub("", data.get("text/html", ""))
        for tag in re.findall(r"<img\b[^>]*>", written, re.I):
            alt = re.search(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", tag)
            found.append((index, html.unescape(alt[1] or alt[2] or "") if alt else None))
    return found
