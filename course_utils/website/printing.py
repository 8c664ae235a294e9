"""The course on paper: one PDF of all pages, printed by Chromium.

The pages of the built site are put into one document, so that links between them stay links, formulas are set as on
the site, and headings become the PDF's outline. Chromium is driven by Playwright, not by ``--print-to-pdf``: that
cannot wait until MathJax has set the last formula, nor print a second time with the numbers of the pages.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from pypdf import PdfReader

__all__ = ["find_chromium", "print_course"]

THEME = Path(__file__).resolve().parent / "theme"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
)  # Chromium refuses to sandbox itself for root, as whom containers run
LAST = ("glossary", "methods")  # of data/pages: what one looks up
WIDTH, HEIGHT = 665, 987  # pixels of the part of A4 that print.css leaves for the text
MATHJAX = {  # as MyST sets it on the site's pages
    "options": {
        "enableMenu": False,
        "ignoreHtmlClass": "tex2jax_ignore|mathjax_ignore|document",
        "processHtmlClass": "tex2jax_process|mathjax_process|math|output_area",
    },
    "svg": {"fontCache": "global"},
}
FOOTER = '<div style="font-size: 8pt; width: 100%; text-align: center"><span class="pageNumber"></span></div>'


def find_chromium() -> str | None:
    """Return where Chromium, or Chrome, is on PATH; None if it is not there."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def print_course(site: Path, out: Path) -> Path:
    """Print the notebooks of a built site, then glossary and index of methods, as one PDF, and return its path.

    Args:
        site: the folder that ``python -m course_utils site`` has written.
        out: the PDF; it is replaced if it is there.

    Raises:
        ValueError: there is no Chromium, no Playwright to drive it, or no site in that folder.
    """
    pages = sorted(site.glob("notebooks/*.html"))
    pages += [path for name in LAST if (path := site / "pages" / f"{name}.html").is_file()]
    if not (site / "index.html").is_file() or not pages:
        raise ValueError(
            f"{site} holds no built site: build one with `python -m course_utils site --out DIR`."
        )
    program = find_chromium()
    if program is None:
        raise ValueError(
            "printing needs Chromium or Chrome on PATH, and there is none: install it "
            "(Debian, Ubuntu: `apt install chromium`), or build the site without the PDF."
        )
    content = _printed(program, site, [site / "index.html", *pages])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    return out


def _printed(program: str, site: Path, pages: list[Path]) -> bytes:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise ValueError(
            "printing needs Playwright, which drives Chromium: `pip install playwright`."
        ) from None
    texts = [
        {"place": path.relative_to(site).as_posix(), "html": path.read_text(encoding="utf-8")}
        for path in pages
    ]
    with (
        tempfile.NamedTemporaryFile("w", suffix=".html", dir=site, encoding="utf-8") as empty,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=list(FLAGS)) as browser,
    ):
        # It lies in the site's folder, so that what pages refer to is found from there.
        empty.write('<!doctype html><html lang="en"><meta charset="utf-8"><title></title><body>')
        empty.flush()
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(0)  # a slow machine takes minutes
        page.emulate_media(media="print", color_scheme="light")
        page.goto(Path(empty.name).resolve().as_uri())
        page.add_script_tag(path=THEME / "print.js")
        mathjax = page.evaluate("([front, ...pages]) => assemble(front, pages)", texts)
        page.add_style_tag(path=THEME / "print.css")
        if mathjax:
            page.evaluate("options => { window.MathJax = options }", MATHJAX)
            page.add_script_tag(url=mathjax)
            page.evaluate("MathJax.startup.promise")
        page.evaluate("Promise.all([...document.images].map(image => image.decode().catch(() => null)))")
        page.evaluate("document.title = document.querySelector('.printed-title .name').textContent")
        page.evaluate("fit()")
        return _numbered(page)


def _numbered(page: object) -> bytes:
    """Print, read on which pages headings are, write that into the table of contents, and print again."""
    numbers, content = None, b""
    for _ in range(3):  # the second print moves nothing, unless a number has made a line of the table wrap
        content = page.pdf(
            prefer_css_page_size=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        found = _heading_pages(PdfReader(io.BytesIO(content)))[1:]  # without that of the table itself
        if found == numbers:
            break
        numbers = found
        page.evaluate("number", numbers)
    return content


def _heading_pages(reader: PdfReader) -> list[int]:
    """The pages, from 1, of the headings of the first and the second level, in order."""
    pages = []
    for one in reader.outline:
        for entry in [part for part in one if not isinstance(part, list)] if isinstance(one, list) else [one]:
            pages.append(reader.get_destination_page_number(entry) + 1)
    return pages
