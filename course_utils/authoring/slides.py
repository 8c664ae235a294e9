"""Notebooks as lectures: one HTML file a notebook that needs no network, nor any other file.

``pages`` makes pages of the cells, and ``plans`` chooses cells of several notebooks; nbconvert's slides exporter turns
them into sections, and the page around them is the course's own (``slide_deck/``). reveal.js, which turns pages, and
MathJax, which sets formulas, are fetched once from the npm registry, verified, kept in the cache folder, and written
into each deck. Of a cell's metadata, ``slideshow.slide_type``, two kinds count: notes, a question to the room for the
window that the key S opens; and skip, not in a deck.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from pygments.formatters import HtmlFormatter

from course_utils.assets import download

from .notebooks import find_notebooks, read_quiz
from .pages import pages_of, polls_of
from .plans import Part, read_plan
from .tracks import CORE, cell_tracks

__all__ = ["Part", "build_deck", "build_decks", "build_plan", "library_files", "notebook_parts"]

TEMPLATE = Path(__file__).resolve().parent / "slide_deck"
REGISTRY = "https://registry.npmjs.org"
# Each archive's address and SHA-256, and which of its files a deck needs. reveal.js is under the MIT license,
# MathJax under Apache-2.0; both say so in the files themselves.
LIBRARIES = {
    f"{REGISTRY}/reveal.js/-/reveal.js-5.2.1.tgz": (
        "359b575dd51bbda32f89b2fd4c7dc46ad7389a805572158916c29252f7a27333",
        {
            "reveal_css": "package/dist/reveal.css",
            "reveal_js": "package/dist/reveal.js",
            "notes_js": "package/plugin/notes/notes.js",
        },
    ),
    f"{REGISTRY}/mathjax/-/mathjax-3.2.2.tgz": (
        "1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09",
        {"mathjax_js": "package/es5/tex-svg.js"},
    ),
}


def library_files(names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the texts that every deck carries, by the names in LIBRARIES; fetched on first use.

    Args:
        names: those wanted, such as "mathjax_js"; default: all.

    Raises:
        AssetError: an archive can neither be found nor fetched, or has another hash than expected.
    """
    texts = {}
    wanted = None if names is None else set(names)
    for address, (sha256, members) in LIBRARIES.items():
        needed = {name: member for name, member in members.items() if wanted is None or name in wanted}
        if not needed:
            continue
        with tarfile.open(download(address, sha256)) as archive:
            for name, member in needed.items():
                file = archive.extractfile(member)
                texts[name] = file.read().decode("utf-8") if file else ""
    return texts


def notebook_parts(root: Path, path: Path, deeper: bool = False) -> list[Part]:
    """Return the one part that a notebook's own lecture has: its core, or all of it, and its quiz as polls."""
    notebook = nbformat.read(path, as_version=4)
    tracks = cell_tracks(notebook.cells)
    cells = [cell for cell, track in zip(notebook.cells, tracks, strict=True) if deeper or track == CORE]
    return [Part(path.stem, pages_of(cells) + polls_of(read_quiz(root, path.stem)), None)]


def build_deck(title: str, parts: Sequence[Part], libraries: dict[str, str]) -> str:
    """Return a deck as one HTML page.

    Args:
        title: of the window.
        parts: one after the other; the notes tell the minutes that have passed and those of the part.
        libraries: what `library_files` returns.

    Raises:
        ValueError: there is no page to show.
    """
    notebook = new_notebook(cells=list(_cells(parts)))
    if not notebook.cells:
        raise ValueError(f'"{title}" has no page to show: none of its cells is core and not skipped.')
    deck = {
        **libraries,
        "title": title,
        "deck_css": (TEMPLATE / "deck.css").read_text(encoding="utf-8"),
        "deck_js": (TEMPLATE / "deck.js").read_text(encoding="utf-8"),
        "code_css": HtmlFormatter(style="default").get_style_defs(".highlight"),
    }
    # Within a script element this sequence would end it; in JavaScript strings and comments it means the same.
    deck = {
        name: text.replace("</script", "<\\/script") if name.endswith("_js") else text
        for name, text in deck.items()
    }
    exporter = SlidesExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    html, _ = exporter.from_notebook_node(notebook, {"deck": deck})
    return html


def _cells(parts: Sequence[Part]) -> Iterator[NotebookNode]:
    """Yield the cells of all pages, with the clock at the head of each page's notes."""
    total = sum(sum(part.page_minutes) for part in parts)
    clock, number = 0.0, 0
    for part in parts:
        for page, minutes in zip(part.pages, part.page_minutes, strict=True):
            now = f"**{_clock(clock)} of {_clock(total)}** · {part.name} · {page.section}"
            shown = replace(page, notes=[now, *page.notes], starts=page.starts or number == 0)
            yield from shown.cells(f"p{number}-{page.cell}")
            clock += minutes
            number += 1


def _clock(minutes: float) -> str:
    return f"{int(minutes)}:{int(60 * minutes) % 60:02}"


def build_decks(root: Path, names: Iterable[str], folder: Path, deeper: bool = False) -> list[Path]:
    """Write the decks of all notebooks of the course in ``root``, or of those named, and return their paths.

    Raises:
        ValueError: for a name that fits no notebook. AssetError: see `library_files`.
    """
    notebooks = find_notebooks(root / "notebooks", names)
    libraries = library_files()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in notebooks:
        parts = notebook_parts(root, path, deeper)
        title = parts[0].pages[0].section if parts[0].pages else path.stem
        deck = folder / f"{path.stem}.slides.html"
        deck.write_text(build_deck(title, parts, libraries), encoding="utf-8")
        written.append(deck)
    return written


def build_plan(root: Path, name: str, folder: Path) -> Path:
    """Write the one deck of a plan, a file of data/plans or any other, and return its path.

    Raises:
        ValueError: there is no such plan, or it does not fit the notebooks. AssetError: see `library_files`.
    """
    plan = read_plan(root, name)
    libraries = library_files()
    folder.mkdir(parents=True, exist_ok=True)
    deck = folder / f"{plan.name}.slides.html"
    deck.write_text(build_deck(plan.title, plan.parts, libraries), encoding="utf-8")
    return deck
