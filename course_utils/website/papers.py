"""Papers: which notebooks cite what, as data/pages/methods.md lists it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from course_utils.authoring import find_notebooks, read_notebook

from .places import NOTEBOOKS, Section, link_all, sections_of

__all__ = ["cited_papers", "listed_papers", "write_papers"]

METHODS = Path("data", "pages", "methods.md")
KEY = re.compile(r"(?<![\w./])\d{4}\.\d{4,5}\b|(?<=doi\.org/)10\.[^\s)]+|(?<=//)distill\.pub/[^\s)]+")
LINE = re.compile(r"^- (?P<paper>.*\)): (?P<places>.*)$", re.MULTILINE)
"""A paper of the page: "- Author year, *title*, [arXiv number](address): places"."""


def cited_papers(root: Path) -> dict[str, list[Section]]:
    """Return where the notebooks cite each paper, by its arXiv number, DOI or address.

    A notebook that names it among its Sources counts with that section alone.
    """
    found: dict[str, dict[str, list[Section]]] = {}
    for path in find_notebooks(root / "notebooks"):
        for section in sections_of(path, read_notebook(path)):
            for key in dict.fromkeys(KEY.findall(section.text.replace("arxiv.org/abs/", "arxiv.org abs "))):
                found.setdefault(key, {}).setdefault(path.stem, []).append(section)
    return {
        key: [section for sections in by_notebook.values() for section in _best(sections)]
        for key, by_notebook in found.items()
    }


def _best(sections: list[Section]) -> list[Section]:
    """Return the Sources, if they are among the sections, else each section once."""
    sources = [section for section in sections if section.heading == "Sources"]
    return sources or list({section.link: section for section in sections}.values())


def _links(sections: list[Section]) -> str:
    """Return the links to the places of a paper; Sources are called by their notebook's number alone."""
    links = []
    for notebook, group in itertools.groupby(sections, key=lambda section: section.notebook):
        own = list(group)
        sources = f"[{notebook[:2]}]({NOTEBOOKS}/{notebook}.ipynb#sources)"
        links.append(sources if own[0].heading == "Sources" else link_all(own))
    return ", ".join(links)


def _key(line: re.Match[str]) -> str:
    """The arXiv number, DOI or address of a paper of the page."""
    return KEY.findall(line["paper"].replace("/abs/", " "))[0]


def listed_papers(text: str) -> dict[str, str]:
    """Return the places that the page lists for each paper, by the paper's arXiv number, DOI or address."""
    lines = LINE.finditer(text.partition("\n## Papers\n")[2])
    return {_key(found): found["places"] for found in lines}


def write_papers(root: Path) -> list[str]:
    """Write after each paper of the page which notebooks cite it; return what is left to do, a line each."""
    page = root / METHODS
    text = page.read_text(encoding="utf-8")
    cited = {key: _links(sections) for key, sections in cited_papers(root).items()}
    listed = listed_papers(text)
    methods, heading, papers = text.partition("\n## Papers\n")

    def placed(found: re.Match[str]) -> str:
        return f"- {found['paper']}: {cited.get(_key(found), found['places'])}"

    written = methods + heading + LINE.sub(placed, papers)
    if written != text:
        page.write_text(written, encoding="utf-8")
    return [
        *(f"{key} is cited in {cited[key]}, and not among the papers." for key in cited if key not in listed),
        *(f"{key} is among the papers, and no notebook cites it." for key in listed if key not in cited),
    ]
