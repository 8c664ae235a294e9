"""A stored notebook as a page to read: what only runs in a notebook is left out, or said in words.

Nothing is executed. What a page shows is what the notebook stores; its pictures become files beside the page, so that
a phone loads them one by one.
"""

from __future__ import annotations

import base64
import io
import posixpath
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image

from course_utils.authoring import CHECKED, DATA_URI, DEEPER, REMOTE_PICTURE, cell_tracks, minutes

from .glossary import Entry, link_terms

__all__ = ["Page", "deeper_minutes", "page_of", "quiz_text", "rewrite_links", "source_of"]

TITLE = re.compile(r"^#\s*@title\s+(.+)\n?")  # how a folded cell's code begins
CODE_OR_LINK = re.compile(r"```.*?```|`[^`\n]*`|(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)", re.DOTALL)
COMING_BACK = re.compile(r"(?m)^\*\*Coming back:\*\*.*\n*")
PICTURE = re.compile(r'<img src="(data:image/(\w+);base64,[^"]+)"([^>]*)>')
TERM = re.compile(r'<a id="term-[^"]*"></a>')
GLOSSARY = "../pages/glossary.md"
EXPLORER = "[Interactive explorer"  # how the text stored in an explorer's place begins
EXERCISE = "not attempted"
IN_THE_NOTEBOOK = "*The explorer itself runs in the notebook; below are some of its settings.*"
EXPLORED = ("00_start_here", "04_grad_cam")  # whose explorers ask what the site's own asks
OF_THE_SITE = (
    "*The explorer itself runs in the notebook; or try [the explorer of this site](../explorer.md). Below are some of "
    "its settings.*"
)
HERE = (
    "Cells, sliders, checks, hints and solutions work in the notebook; here you answer in your head, and what "
    "comes out stands below."
)
INSTALLATION = "check_installation()"
SAID_HERE = {
    "Click an answer; each one": "Choose an answer, then open the fold below it; each one",
    "Replace the `...`, run the cell, read the answer. `hint()` and `solution()` are there when you want them.": (
        "In the notebook you replace the `...`, run the cell, and read the answer; `hint()` and `solution()` are there "
        "when you want them."
    ),
    "Deeper sections are folded when you open a notebook: click the arrow beside the heading. Code that only draws is "
    'folded, too; the three dots in JupyterLab, or "Show code" in Colab, open it. What is folded still runs.': (
        "On this page deeper sections, and code that only draws, are folded: the line below the heading, or *Code*, "
        "opens them."
    ),
}
"""Sentences of the notebooks on what one clicks there, and what a page says in their place."""
SPECIAL = re.compile(r"([\\`*_\[\]<>$#|~^])")  # of Markdown


@dataclass(frozen=True)
class Page:
    """What the site shows of a notebook."""

    notebook: NotebookNode
    figures: dict[str, bytes]
    """Its pictures, by the names that the page calls them by."""
    minutes: list[int]
    """What each of its deeper sections takes, in their order."""


def source_of(path: str) -> str | None:
    """Return where the site keeps a file of the repository among its sources; None if the site does not show it.

    Args:
        path: in the repository, with forward slashes.
    """
    place = PurePosixPath(path)
    if str(place.parent) == "notebooks" and place.suffix == ".ipynb":
        return path
    if str(place.parent) == "data/pages" and place.suffix == ".md":
        return f"pages/{place.name}"
    return None


def rewrite_links(text: str, place: str, github: str | None, shown: Iterable[str]) -> str:
    """Return Markdown whose links fit the site.

    A link to a file that the site shows leads to its page; to another file of the repository, to GitHub. Where the
    course has no address there, the words remain without a link.

    Args:
        text: Markdown. What stands in it as code stays as it is.
        place: where the text stands in the repository, such as "notebooks/04_grad_cam.ipynb".
        github: where GitHub shows the repository's files, as `blob_address` returns it; None: nowhere.
        shown: the repository's files that the site has pages for.
    """
    here = source_of(place) or PurePosixPath(place).name
    shown = set(shown)

    def new(found: re.Match) -> str:
        words, target = found[1], found[2]
        if target is None or re.match(r"[a-z]+:|#|//", target):
            return found[0]
        path, mark, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
        if file in shown:
            page = posixpath.relpath(source_of(file) or file, posixpath.dirname(here) or ".")
            return f"[{words}]({page}{mark}{anchor})"
        if github is None or file.startswith(".."):
            return words
        return f"[{words}]({github}{file}{mark}{anchor})"

    return CODE_OR_LINK.sub(new, text)


def quiz_text(name: str, questions: Sequence[dict]) -> str:
    """Return a quiz as Markdown: its questions to read, each with its answer folded below it.

    Args:
        name: of the notebook; the order of the answers is drawn from it.
        questions: as in data/quizzes.
    """
    parts = []
    for number, question in enumerate(questions, 1):
        answers = list(question["answers"])
        random.Random(f"{name} {number}").shuffle(answers)
        lines = [f"**Question {number}.** {_plain(question['question'])}", ""]
        if question["type"] == "numeric":
            right = [one for one in answers if one.get("correct")]
            told = [f"**{one['value']}.** {_plain(one['feedback'])}" for one in right]
        else:
            named = list(zip("ABCDEFG", answers, strict=False))
            lines += [f"- **{letter}** {_plain(one['answer'])}" for letter, one in named] + [""]
            told = [
                f"**{letter}, {'right' if one.get('correct') else 'wrong'}.** {_plain(one['feedback'])}"
                for letter, one in named
            ]
        lines += [f"<details><summary>Answer to question {number}</summary>", ""]
        lines += ["\n\n".join(told), "", "</details>"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Return text for Markdown, none of whose marks it means."""
    return SPECIAL.sub(r"\\\1", text)


def deeper_minutes(cells: Sequence[NotebookNode]) -> list[int]:
    """Return the minutes that each deeper section takes, exercises included, by the rule of all headers."""
    sections: list[list[NotebookNode]] = []
    level = 0
    for cell, track in zip(cells, cell_tracks(list(cells)), strict=True):
        heading = re.match(r"(#+) ", cell.source) if cell.cell_type == "markdown" else None
        if track != DEEPER:
            level = 0
        elif heading and (not level or len(heading[1]) <= level):
            level = len(heading[1])
            sections.append([cell])
        else:
            sections[-1].append(cell)
    taken = [minutes(new_notebook(cells=section)) for section in sections]
    return [max(1, round(one.all + one.all_exercises)) for one in taken]


def page_of(
    name: str,
    notebook: NotebookNode,
    quiz: Sequence[dict],
    github: str | None,
    shown: Iterable[str],
    terms: Sequence[Entry] = (),
    title: str = "",
) -> Page:
    """Return the page of a stored notebook, which stays as it is.

    Left out are prompts for lecturers, the set-up cell, outputs that only work in a notebook, and pictures from
    elsewhere, such as the badge of Colab, in whose place a sentence says how to run the notebook.

    Args:
        name: of the notebook, such as "04_grad_cam".
        notebook: as stored.
        quiz: its questions; none if it has no quiz.
        github: where GitHub shows the repository's files, as `blob_address` returns it; None: nowhere.
        shown: the repository's files that the site has pages for.
        terms: entries of the glossary, to which the terms that the notebook defines are linked.
        title: what the notebook is called in lists, such as "04 Grad-CAM", before its question; none if empty.
    """
    place = f"notebooks/{name}.ipynb"
    figures: dict[str, bytes] = {}
    marked: set[str] = set()

    def once(found: re.Match) -> str:
        """Keep a term's anchor where it comes first: a page has it once."""
        new = found[0] not in marked
        marked.add(found[0])
        return found[0] if new else ""

    cells = []
    for cell in (cell.copy() for cell in notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.metadata.get("slideshow", {}).get("slide_type") == "notes" or "setup" in tags:
            continue
        if cell.cell_type == "markdown":
            source = COMING_BACK.sub("", cell.source)
            source = re.sub(r"\A# ", f"# {title}: ", source) if title else source
            for there, here in SAID_HERE.items():
                source = source.replace(there, here)
            source = REMOTE_PICTURE.sub(f"{_how_to_run(name, github)}\n\n", source)
            source = rewrite_links(source, place, github, shown)
            cell.source = TERM.sub(once, link_terms(source, terms, GLOSSARY)) if terms else source
            cells.append(cell)
        elif cell.cell_type == "code" and re.match(r"\s*quiz\(", cell.source) and quiz:
            cells.append(new_markdown_cell(quiz_text(name, quiz), id=cell.id))
        else:
            cells += _code(cell, name, figures)
    page = new_notebook(cells=cells, metadata=notebook.metadata)
    return Page(page, figures, deeper_minutes(cells))


def _how_to_run(name: str, github: str | None) -> str:
    """Return what stands in the badge's place."""
    if github is None:
        return (
            f"*A page to read. To run it, open `notebooks/{name}.ipynb` in the folder of the course. {HERE}*"
        )
    source = f"{github}notebooks/{name}.ipynb"
    colab = source.replace("https://github.com/", "https://colab.research.google.com/github/")
    return (
        f"*A page to read. To run it, [open it in Colab]({colab}), or take [the notebook]({source}). {HERE}*"
    )


def _code(cell: NotebookNode, name: str, figures: dict[str, bytes]) -> list[NotebookNode]:
    """Return a code cell without outputs that need a kernel, and what is said in their place; add its figures."""
    if cell.cell_type != "code":
        return [cell]
    outputs, said = [], []
    for output in cell.outputs:
        data = output.get("data", {})
        text = data.get("text/plain", "")
        if text.startswith(EXPLORER):
            words = OF_THE_SITE if name in EXPLORED else IN_THE_NOTEBOOK
            said.append(new_markdown_cell(words, id=f"{cell.id[:50]}-explorer"))
        elif INSTALLATION in cell.source:
            continue  # it is about the machine that stored it
        elif "application/javascript" in data or EXERCISE in text or any("widget" in kind for kind in data):
            continue
        elif "text/html" in data:
            html = PICTURE.sub(lambda found: _picture(found, name, figures), data["text/html"])
            outputs.append(NotebookNode(output, data=NotebookNode({"text/html": html})))
        else:
            outputs.append(output)
    title = TITLE.match(cell.source)
    metadata = NotebookNode(cell.metadata)
    if title:
        metadata["title"] = title[1].strip()
    source = CHECKED.sub("", TITLE.sub("", cell.source)).lstrip("\n")
    shown = NotebookNode(cell, source=source, outputs=outputs, metadata=metadata)
    return [shown, *said]


def _picture(found: re.Match, name: str, figures: dict[str, bytes]) -> str:
    """Return the tag of a picture that is a file, with its size, and linked to it: on a phone one looks closer."""
    content = base64.b64decode(DATA_URI.fullmatch(found[1])[1])
    file = f"{name}-{len(figures) + 1}.{found[2].replace('jpeg', 'jpg')}"
    figures[file] = content
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
    address = f"../_static/figures/{file}"
    return f'<a href="{address}"><img src="{address}" width="{width}" height="{height}"{found[3]}></a>'
