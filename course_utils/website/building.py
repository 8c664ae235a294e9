"""Build the site: sources from the stored notebooks and data/pages, Sphinx, and a folder that needs nothing else."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import nbformat
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from course_utils.authoring import blob_address, library_files, read_notebook, read_quiz

from .explorer import write_explorer
from .glossary import GLOSSARY, Entry, glossary_page, name_entries, read_glossary
from .landing import PAGES, explorer_page, index_page, table_rows
from .pages import page_of, rewrite_links
from .printing import print_course
from .reference import SETTINGS, reference_pages

__all__ = ["Site", "build_site"]

THEME = Path(__file__).resolve().parent / "theme"
FOLDERS = ("notebooks", "pages", "reference")
LIST = ".course-site"
"""The file that lists what the command wrote into a folder, so that it removes nothing else when it comes again."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

CONFIGURATION = {
    "project": "Visual explanations of CNNs",
    "html_title": "Why did this CNN predict that?",
    "html_short_title": "Why did this CNN predict that?",
    "language": "en",
    "extensions": ["myst_nb", "sphinx.ext.mathjax", "course_utils.website.sphinx_parts"],
    "html_theme": "furo",
    "html_static_path": ["_static"],
    "html_css_files": ["course.css"],
    "html_js_files": [("course.js", {"defer": "defer"})],
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_search_scorer": str(THEME / "search.js"),
    "html_use_index": False,
    "html_domain_indices": False,
    "pygments_style": "a11y-high-contrast-light",
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},  # nothing from another machine
    "myst_heading_anchors": 6,
    "myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"],
    "myst_dmath_double_inline": True,
    "mathjax_path": "mathjax/tex-svg.js",
    # Its menu could load parts that are not here.
    "mathjax3_config": {"options": {"enableMenu": False}, "chtml": {}, "svg": {"fontCache": "global"}},
    "suppress_warnings": [
        "misc.highlighting_failure"
    ],  # a cell's "!pip ..." is not Python, and shown all the same
}


@dataclass(frozen=True)
class Site:
    """A site that was built."""

    folder: Path
    files: int
    size: int
    """Bytes of all files."""
    largest: tuple[str, int]
    """The largest page, and its bytes."""
    warnings: list[str]
    """What Sphinx found wrong in the pages."""


def build_site(root: Path, out: Path, pdf: bool = False) -> Site:
    """Build the site of the course in ``root`` in the folder ``out``.

    A folder that is there must be empty, or have been built by this command before. Files in it that the command did
    not write stay.

    Args:
        root: the course's folder.
        out: for the site.
        pdf: also print all of it as one file, course.pdf.

    Raises:
        ValueError: ``out`` cannot be used, or the course lacks what the site is made of.
        AssetError: MathJax cannot be had.
    """
    before = _written_before(out)
    mathjax = library_files(["mathjax_js"])["mathjax_js"]
    with tempfile.TemporaryDirectory(prefix="course-site-") as folder:
        source, built = Path(folder, "source"), Path(folder, "built")
        settings = write_sources(root, source, mathjax)
        remarks = _run_sphinx(source, built, settings)
        if terms := _terms(root):
            index = built / "searchindex.js"
            index.write_text(name_entries(index.read_text(encoding="utf-8"), terms), encoding="utf-8")
        (built / ".nojekyll").touch()  # GitHub leaves out folders that begin with _, otherwise
        if pdf:
            print_course(built, built / "course.pdf")
        _hand_over(built, out, before)
    files = [path for path in out.rglob("*") if path.is_file()]
    pages = {path.relative_to(out).as_posix(): path.stat().st_size for path in out.rglob("*.html")}
    largest = max(pages, key=pages.__getitem__)
    size = sum(path.stat().st_size for path in files)
    return Site(out, len(files), size, (largest, pages[largest]), remarks)


def write_sources(root: Path, source: Path, mathjax: str) -> dict:
    """Write what Sphinx reads into the folder ``source``, and return the settings that depend on it."""
    static = source / "_static"
    for place in (static / "figures", static / "mathjax", *(source / name for name in FOLDERS)):
        place.mkdir(parents=True)
    (static / "mathjax" / "tex-svg.js").write_text(mathjax, encoding="utf-8")
    for name in ("course.css", "course.js"):
        shutil.copy(THEME / name, static / name)
    shutil.copy(root / "data" / "readme.jpg", static / "readme.jpg")
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    order = list(PAGES)
    texts = sorted(
        (root / "data" / "pages").glob("*.md"),
        key=lambda path: (order.index(path.stem) if path.stem in order else len(order), path.stem),
    )
    github = blob_address(root)
    shown = [path.relative_to(root).as_posix() for path in notebooks + texts]
    terms = _terms(root)
    readme = (root / "README.md").read_text(encoding="utf-8")
    titles = {row.name: row.title for row in table_rows(readme)}
    taken = {}
    for path in notebooks:
        quiz, title = read_quiz(root, path.stem), titles.get(path.stem, "")
        page = page_of(path.stem, read_notebook(path), quiz, github, shown, terms, title)
        nbformat.write(page.notebook, source / "notebooks" / path.name)
        taken[f"notebooks/{path.stem}"] = page.minutes
        for name, content in page.figures.items():
            (static / "figures" / name).write_bytes(content)
    for path in texts:
        text = path.read_text(encoding="utf-8")
        text = glossary_page(text) if path == root / GLOSSARY else text
        text = rewrite_links(text, f"data/pages/{path.name}", github, shown)
        (source / "pages" / path.name).write_text(text, encoding="utf-8")
    for name, text in reference_pages(root).items():
        (source / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    fragment = write_explorer(static / "explorer", "_static/explorer")
    (source / "explorer.md").write_text(explorer_page(fragment), encoding="utf-8")
    index = index_page(readme, [path.stem for path in texts], github)
    (source / "index.md").write_text(index, encoding="utf-8")
    links = {"source_repository": github.partition("blob/")[0]} if github else {}
    return {"course_minutes": taken, "html_theme_options": {"top_of_page_buttons": [], **links}}


def _terms(root: Path) -> list[Entry]:
    """Return the entries of the course's glossary; none if it has no glossary."""
    glossary = root / GLOSSARY
    return read_glossary(glossary.read_text(encoding="utf-8")) if glossary.is_file() else []


def _run_sphinx(source: Path, built: Path, settings: dict) -> list[str]:
    """Build the pages, and return what Sphinx warns of."""
    said = io.StringIO()
    with patch_docutils(), docutils_namespace(), warnings.catch_warnings():
        for kind in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", kind)  # what MyST uses of Sphinx is not ours to mend
        app = Sphinx(
            source,
            None,
            built,
            built.parent / "doctrees",
            "html",
            confoverrides=SETTINGS | CONFIGURATION | settings,
            status=None,
            warning=said,
            parallel=min(os.cpu_count() or 1, 4),
        )
        app.build()
    for rest in ("objects.inv", ".buildinfo"):
        (built / rest).unlink(missing_ok=True)
    lines = ESCAPES.sub("", said.getvalue()).replace(f"{source}/", "").split("\n")
    return [line for line in lines if line.strip()]


def _written_before(out: Path) -> set[str]:
    """Return the files that the command wrote into ``out`` earlier. Raises ValueError if it may not write there."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out names a folder, but {out} is a file.")
    if (out / LIST).is_file():
        return set((out / LIST).read_text(encoding="utf-8").split("\n")) - {""}
    if out.is_dir() and any(out.iterdir()):
        there = sorted(path.name for path in out.iterdir())
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ValueError(
            f"--out {out} is not empty ({there[0]}{more}), and what is there was not written by this command. "
            "Name another folder: nothing is removed."
        )
    return set()


def _hand_over(built: Path, out: Path, before: set[str]) -> None:
    """Put the site into ``out`` in place of the one before.

    Raises:
        ValueError: a file in the way is somebody else's.
    """
    new = {path.relative_to(built).as_posix(): path for path in sorted(built.rglob("*")) if path.is_file()}
    foreign = [name for name in new if name not in before and (out / name).exists()]
    if foreign:
        raise ValueError(
            f"--out {out} has a file {foreign[0]} that this command did not write; nothing was changed."
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / LIST).write_text("\n".join([*new, LIST]) + "\n", encoding="utf-8")
    for name, path in new.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, out / name)
    for name in before - set(new) - {LIST}:
        old = out / name
        if old.is_file() and out.resolve() in old.resolve().parents:
            old.unlink()
            for folder in old.parents:
                if folder == out or any(folder.iterdir()):
                    break
                folder.rmdir()
