"""The first page, made of what README says: first paragraph, picture with its credit, table of notebooks."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

__all__ = ["Row", "index_page", "table_rows"]

TEMPLATE = Path(__file__).resolve().parent / "theme" / "index.md"
ROW = re.compile(
    r"(?m)^\| \[(?P<title>[^\]]+)\]\(notebooks/(?P<name>\w+)\.ipynb\) \| (?P<learned>[^|]+) \| (?P<core>\d+ min) \| "
    r"(?P<exercises>\d+ min) \| (?P<all>\d+ min) \|"
)
PICTURE = re.compile(r"!\[(?P<alt>[^\]]+)\]\((?P<file>data/[^)]+)\)\s*<sub>(?P<credit>.+?)</sub>")


@dataclass(frozen=True)
class Row:
    """A notebook, as README's table has it."""

    name: str
    title: str
    learned: str
    core: str
    exercises: str
    all: str


def table_rows(readme: str) -> list[Row]:
    """Return README's table of notebooks.

    Raises:
        ValueError: there is none.
    """
    rows = [
        Row(**{key: text.strip() for key, text in found.groupdict().items()})
        for found in ROW.finditer(readme)
    ]
    if not rows:
        raise ValueError("README.md has no table of notebooks, so the site has no first page.")
    return rows


def index_page(readme: str, pages: Sequence[str], github: str | None = None) -> str:
    """Return the Markdown of the site's first page.

    Args:
        readme: its text.
        pages: names of the pages beside the notebooks, such as "glossary".
        github: where GitHub shows the repository's files, as `blob_address` returns it; None: nowhere.

    Raises:
        ValueError: README lacks what the page is made of.
    """
    rows = table_rows(readme)
    picture = PICTURE.search(readme)
    title, lead = (part.strip() for part in readme.split("\n\n", 2)[:2])
    if not picture or not title.startswith("# "):
        raise ValueError(
            "README.md must begin with a heading and a paragraph, and have a picture with its credit."
        )
    links = ["[Explorer](explorer.md): eight pictures and 1,000 classes, in this browser."]
    links += [
        f"[{PAGES[name][0]}](pages/{name}.md): {PAGES[name][1]}" if name in PAGES else f"[](pages/{name}.md)"
        for name in pages
    ]
    links += ["[Reference](reference/index.md): what each call of the package takes and returns."]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=title,
        lead=lead,
        alt=html.escape(picture["alt"]),
        credit=html.escape(picture["credit"]),
        first=rows[0].name,
        cards="\n".join(_card(row) for row in rows),
        links="\n".join(f"- {link}" for link in links),
        notebooks="\n".join(f"{row.title} <notebooks/{row.name}>" for row in rows),
        start=_start(github),
        pages="\n".join(["explorer", *(f"pages/{name}" for name in pages), "reference/index"]),
    )


def _start(github: str | None) -> str:
    """Return how to begin: the words before the commands, and those that fetch the course, if it has an address."""
    if github is None:
        return "With Python 3.10 to 3.13, in the folder of the course that you were given:\n\n```bash"
    address, _, version = github.rstrip("/").partition("/blob/")
    folder = address.rpartition("/")[2]
    return (
        f"With Python 3.10 to 3.13, and git (or [download the course as ZIP]({address}/archive/{version}.zip), unpack "
        f"it, and begin with the third line in its folder):\n\n```bash\ngit clone {address}\ncd {folder}"
    )


def explorer_page(fragment: str) -> str:
    """Return the Markdown of the explorer's page, whose HTML is ``fragment``."""
    return f"# Explorer\n\n{EXPLORER}\n\n````{{raw}} html\n{fragment}\n````\n"


EXPLORER = (
    "Grad-CAM of any of 1,000 classes for eight pictures, made in your browser from stored maps of EfficientNet-Lite0. "
    "Each notebook has an explorer of its own, which asks the network itself."
)
PAGES = {
    "glossary": ("Glossary", "what a word means, and where the course defines it."),
    "methods": ("Methods and papers", "which section treats which method."),
    "when_it_goes_wrong": ("When it goes wrong", "errors by their text, and what to do."),
    "corrections": ("Corrections", "what was wrong on a published page."),
}
"""Pages beside the notebooks, in the order of the list: how the first page calls them, and what they are for."""


def _card(row: Row) -> str:
    learned = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(row.learned))
    return (
        f'<li><a href="notebooks/{row.name}.html">{html.escape(row.title)}</a>'
        f"<p>{learned}</p>"
        f'<p class="time">{row.core} to read, {row.exercises} of exercises; all of it {row.all}</p></li>'
    )
