"""Notebooks as lectures: one HTML file a notebook that needs no network, nor any other file.

nbconvert's slides exporter arranges the cells by their slide types; the page around them is the course's own
(``slide_deck/``). reveal.js, which turns pages, and MathJax, which sets formulas, are fetched once from the npm
registry, verified, kept in the cache folder, and written into each deck. What a cell is in the lecture stands in
its metadata, ``slideshow.slide_type``:

- slide: starts a section (arrow right); subslide: the next page of that section (arrow down);
- fragment: appears at the next key press; "-": goes with the cell before it;
- notes: for the lecturer, in the window that the key S opens; skip: not in the deck.
"""

from __future__ import annotations

import ast
import re
import tarfile
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from course_utils.assets import download

from .notebooks import find_notebooks

__all__ = ["build_deck", "build_decks", "deck_cells", "library_files"]

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
LONG_CODE = 5  # lines; a figure behind longer code gets a page of its own
MARKS = re.compile(r"(?m)^# NBVAL_\w+\n")
NOTEBOOK_LINK = re.compile(r"(\]\((?:\./)?\d\d_\w+)\.ipynb(?=[)#])")
REMOTE_PICTURE = re.compile(r"\[!\[[^\]]*\]\(https?://[^)]*\)\]\([^)]*\)\n*")  # a badge
FOLDED = re.compile(r"<details\b[^>]*>(?:\s*<summary>.*?</summary>)?(.*?)</details>", re.DOTALL)
STILLS = re.compile(r"\w+\.stills\(")
PICTURE = re.compile(r"<img\b")


def library_files() -> dict[str, str]:
    """Return the texts that every deck carries, by the names in LIBRARIES; fetched on first use.

    Raises:
        AssetError: an archive can neither be found nor fetched, or has another hash than expected.
    """
    texts = {}
    for address, (sha256, members) in LIBRARIES.items():
        with tarfile.open(download(address, sha256)) as archive:
            for name, member in members.items():
                file = archive.extractfile(member)
                texts[name] = file.read().decode("utf-8") if file else ""
    return texts


def deck_cells(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Return the cells as a deck shows them; those given stay as they are.

    Left out are badges (pictures on the network), solutions that are folded away, marks for the tests, captions in
    the code, and scripts. Links between notebooks lead from deck to deck. What is too much for one page in nearly
    every case is divided: a text before each further heading of the second level (but for "Next"), and long code
    from its figure.
    """
    shown = []
    for original in cells:
        cell = deepcopy(original)
        slideshow = cell.metadata.setdefault("slideshow", NotebookNode(slide_type="-"))
        divide = {"markdown": _pages_of_text, "code": _pages_of_code}.get(cell.cell_type)
        if cell.cell_type == "markdown":
            # A lecturer's note is folded away from readers; the window with the notes shows it.
            folded = r"\1" if slideshow.get("slide_type") == "notes" else ""
            text = FOLDED.sub(folded, REMOTE_PICTURE.sub("", cell.source)).strip()
            cell.source = NOTEBOOK_LINK.sub(r"\1.slides.html", text)
            if not text:
                slideshow.slide_type = "skip"
        elif cell.cell_type == "code":
            cell.source = _without_captions(MARKS.sub("", cell.source))
            cell.outputs = [o for o in cell.outputs if "application/javascript" not in o.get("data", {})]
        hidden = slideshow.get("slide_type") in ("skip", "notes")
        shown += [cell] if hidden or divide is None else divide(cell)
    return shown


def _next_page(cell: NotebookNode, name: str, **content: object) -> NotebookNode:
    page = deepcopy(cell)
    page.update(content)
    page.id = f"{cell.id[: 63 - len(name)]}-{name}"  # an id has at most 64 characters
    page.metadata.slideshow.slide_type = "subslide"
    return page


def _pages_of_text(cell: NotebookNode) -> list[NotebookNode]:
    if "```" in cell.source:  # in which "## " is a comment
        return [cell]
    cell.source, *rest = re.split(r"(?<=\n)(?=## (?!Next\b))", cell.source)
    return [cell, *(_next_page(cell, str(n), source=text) for n, text in enumerate(rest, 2))]


def _without_captions(code: str) -> str:
    """Return code with the words in ``show(figure, "words")`` left out: they give the answer away."""
    lines = code.splitlines(keepends=True)
    for node in sorted(ast.walk(ast.parse(code)), key=lambda node: -getattr(node, "lineno", 0)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "show" and len(node.args) == 2:
            last = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            first = lines[node.lineno - 1].encode()[: node.col_offset].decode()
            figure = ast.get_source_segment(code, node.args[0])
            lines[node.lineno - 1 : node.end_lineno] = [f'{first}show({figure}, "...")', last]
    return "".join(lines)


def _pages_of_code(cell: NotebookNode) -> list[NotebookNode]:
    if STILLS.match(cell.source):  # the call says nothing that the pictures do not
        cell.metadata.transient = NotebookNode(remove_source=True)
        return [cell]
    lines = sum(bool(line.strip()) for line in cell.source.split("\n"))
    pictured = any(PICTURE.search(output.get("data", {}).get("text/html", "")) for output in cell.outputs)
    if lines <= LONG_CODE or not pictured:
        return [cell]
    figure = _next_page(cell, "figure")
    figure.metadata.transient = NotebookNode(remove_source=True)
    cell.outputs = []
    return [cell, figure]


def build_deck(path: Path, libraries: dict[str, str]) -> str:
    """Return a notebook's deck as one HTML page.

    Args:
        path: a stored notebook, executed: a deck shows the stored outputs.
        libraries: what `library_files` returns.

    Raises:
        ValueError: no cell of the notebook is to be shown.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = deck_cells(notebook.cells)
    title = next((c.source for c in notebook.cells if c.cell_type == "markdown"), path.stem)
    deck = {
        **libraries,
        "title": title.strip().split("\n")[0].lstrip("# "),
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


def build_decks(root: Path, names: Iterable[str], folder: Path) -> list[Path]:
    """Write the decks of all notebooks of the course in ``root``, or of those named, and return their paths.

    Raises:
        ValueError: for a name that fits no notebook. AssetError: see `library_files`.
    """
    notebooks = find_notebooks(root / "notebooks", names)
    libraries = library_files()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in notebooks:
        deck = folder / f"{path.stem}.slides.html"
        deck.write_text(build_deck(path, libraries), encoding="utf-8")
        written.append(deck)
    return written
