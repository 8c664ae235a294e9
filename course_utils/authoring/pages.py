"""Cells as pages for the last row of a room: one idea a page, and what is said instead of shown in the notes.

A page has at most 60 words and 8 lines of code; a figure has a page to itself. Of a text the page keeps the heading,
the formulas, the question to be answered before the cell is run, and what the text prints in bold, else its first
sentence; the whole text goes to the speaker's notes. Of code it leaves out imports, assertions and drawing. The first
words of what is read off a figure or a printed result wait behind a key press, below it.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from .rewrapping import rewrapped

__all__ = ["MAX_LINES", "MAX_WORDS", "Page", "pages_of", "polls_of"]

MAX_WORDS, MAX_LINES = 60, 8  # of a page
VOTE = 1  # minute
SAID, PICTURED = 0.5, 1.5  # minutes for a page without a figure, and with one
SENTENCE_WORDS = 6  # fewer say nothing without what is around them
ANSWER = 30  # words below a figure or a result
MAX_PAGES = 2  # of a cell's code; longer code is not read from a wall

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$", re.MULTILINE)
FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)
QUESTION = re.compile(r"\*\*(?:Before you [^*]+|Predict|Guess|Your turn)[:.]?\*\*:?.*", re.DOTALL)
BOLD = re.compile(r"\*\*[^*]+[.!]\*\*")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!data:)[^)]*\)")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*$`(\[\"])")
INTERVAL = re.compile(r"\([-+]?[\d.]+(?: to |-)[-+]?[\d.]+\)")
TABLE = re.compile(r"(?m)^\|.*(?:\n\|.*)+")
LIST = re.compile(r"(?m)^(?:[-*+]|\d+\.) .+(?:\n(?:[-*+]|\d+\.|  ).*)*")
REMOTE_PICTURE = re.compile(r"\[!\[[^\]]*\]\(https?://[^)]*\)\]\([^)]*\)\n*")  # a badge
FOLDED = re.compile(r"<details\b[^>]*>(?:\s*<summary>.*?</summary>)?(.*?)</details>", re.DOTALL)
FOR_READERS = re.compile(
    r"(?m)^\*\*(?:You will be able to|Time|Previous|Next|Coming back|What to know first)\b.*(?:\n[-*] .*)*"
)
DRAWING = re.compile(r"\b(?:ax|axes|figure|panels|draw_\w+|show|plt|PALETTE|stills|explorer|widgets)\b")
CAPTION = re.compile(r"<figcaption\b.*?</figcaption>", re.DOTALL)
CREDITS = re.compile(
    r".*\b(Photographs?: [^<]+)", re.DOTALL
)  # as captions end: `course_utils.pictures.credited`
SCRIPTS = ("application/javascript", "application/vnd.jupyter.widget-view+json")


@dataclass
class Page:
    """What a page shows, and what its speaker reads."""

    section: str
    """The heading that the page stands under."""
    starts: bool = False
    """Whether it begins a section."""
    text: str = ""
    code: str = ""
    outputs: list[NotebookNode] = field(default_factory=list)
    answer: str = ""
    notes: list[str] = field(default_factory=list)
    asked: int = 0
    """Minutes that its question to the room takes."""
    cell: str = ""
    """The id of the cell that it was made of."""

    @property
    def pictured(self) -> bool:
        """Whether it shows a figure."""
        return any("<img" in _html(output) for output in self.outputs)

    @property
    def minutes(self) -> float:
        """What a lecturer needs for it: a figure is read, other pages are said."""
        return self.asked + (PICTURED if self.pictured else SAID)

    @property
    def words(self) -> int:
        """Words to read: in the text, in what is printed, and in the answer."""
        printed = " ".join(output.get("text", "") for output in self.outputs)
        return count_words(f"{self.text} {printed} {self.answer}")

    @property
    def lines(self) -> int:
        """Lines of code."""
        return sum(bool(line.strip()) for line in self.code.split("\n"))

    def cells(self, name: str) -> Iterator[NotebookNode]:
        """Yield the cells of the deck for this page, whose ids begin with ``name``."""
        kind = "slide" if self.starts else "subslide"
        heading = self.text if self.text.startswith("#") else f"### {self.section}\n\n{self.text}".strip()
        yield _typed(new_markdown_cell(heading), kind, f"{name}-t")
        if self.code:
            yield _typed(new_code_cell(self.code), "-", f"{name}-c")
        if self.outputs:
            shown = _typed(new_code_cell("", outputs=self.outputs), "-", f"{name}-o")
            shown.metadata.transient = NotebookNode(remove_source=True)
            yield shown
        if self.answer:
            yield _typed(new_markdown_cell(self.answer), "fragment", f"{name}-a")
        yield _typed(new_markdown_cell("\n\n".join(self.notes) or "-"), "notes", f"{name}-n")


def _typed(cell: NotebookNode, kind: str, name: str) -> NotebookNode:
    cell.metadata.slideshow = NotebookNode(slide_type=kind)
    cell.id = name[:64]
    return cell


def minutes_asked(note: str) -> int:
    """Return the minutes that a note for lecturers gives to its question: "(4 minutes.)"; 0 if it says none."""
    said = re.search(r"\b(\d+) minutes?\b", note)
    return int(said[1]) if said else 0


def count_words(text: str) -> int:
    """Words that are read: a formula set apart is looked at, one within a sentence is a word; marks are none.

    An interval in brackets belongs to the number before it.
    """
    text = re.sub(r"\$[^$\n]+\$", "x", FORMULA.sub(" ", INTERVAL.sub("", text)))
    return sum(
        any(letter.isalnum() for letter in word) for word in re.sub(r"<[^>]+>|[|#*]", " ", text).split()
    )


def _html(output: NotebookNode) -> str:
    return output.get("data", {}).get("text/html", "")


def pages_of(cells: Sequence[NotebookNode]) -> list[Page]:
    """Return the pages of cells, which stay as they are. Cells with the slide type "skip" give none."""
    pages: list[Page] = []
    section = ""
    for cell in cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind == "skip":
            continue
        if kind == "notes":
            said = FOLDED.sub(r"\1", cell.source).strip().removeprefix("> ").strip()
            if pages:
                pages[-1].notes.insert(0, f"**Ask:** {said}")
                pages[-1].asked += minutes_asked(said)
        elif cell.cell_type == "markdown":
            for heading, body in _parts(cell.source):
                if heading:
                    section = re.sub(r"^#+\s*|\s*\(deeper\)$", "", heading)
                _add_text(pages, heading, body, section, cell.id)
        elif cell.cell_type == "code":
            pages += _code_pages(cell, section)
    return [page for page in pages if page.text or page.code or page.outputs]


def _parts(source: str) -> list[tuple[str, str]]:
    """Return (heading or "", text below it) for each heading of a cell's Markdown."""
    text = LINK.sub(r"\1", REMOTE_PICTURE.sub("", FOLDED.sub("", source))).strip()
    if "```" in text:
        return [("", text)]
    pieces = re.split(r"(?m)^(?=#{1,6} )", text)
    found = []
    for piece in pieces:
        heading = HEADING.match(piece)
        if heading or piece.strip():
            body = piece[heading.end() :] if heading else piece
            found.append((heading[0].strip() if heading else "", body.strip()))
    return [(heading, body) for heading, body in found if not re.match(r"#+ (?:Sources|Next)\b", heading)]


def _add_text(pages: list[Page], heading: str, body: str, section: str, cell: str) -> None:
    """Append the page of a text; or, if it is about the result above it, put its gist below that."""
    gists = _gists(body, title=heading.startswith("# "))
    before = pages[-1] if pages else None
    if not heading and before and before.outputs and not before.answer:
        answer = _said_first(body, min(ANSWER, MAX_WORDS - before.words))
        if not QUESTION.search(body) and not FORMULA.search(body) and answer:
            before.answer = answer
            before.notes.append(body)
            return
    level = "# " if heading.startswith("# ") else "## "
    for number, gist in enumerate(gists or [""]):
        title = level + section if heading and number == 0 else ""
        pages.append(
            Page(
                section,
                starts=heading.startswith(("# ", "## ")) and number == 0,
                text=f"{title}\n\n{gist}".strip(),
                notes=[body] if number == 0 and body else [],
                cell=cell,
            )
        )


def _gists(body: str, title: bool = False) -> list[str]:
    """Return what the pages of a text show: formulas, three a page, then the question; else what is bold, or first."""
    text = FOR_READERS.sub("", body) if title else body
    question = QUESTION.search(text)
    asked = _shortened(question[0], MAX_WORDS - 10) if question else ""
    if question:
        text = text[: question.start()]
    formulas = [found.strip() for found in FORMULA.findall(text)]
    tables = [table for table in TABLE.findall(text) if count_words(table) <= MAX_WORDS - 10]
    shown = ["\n\n".join(formulas[n : n + 3]) for n in range(0, len(formulas), 3)] + tables
    if not shown:
        plain = FORMULA.sub("", TABLE.sub("", text)).strip()
        said = _said_first(plain, MAX_WORDS - 15 - count_words(asked))
        shown = [said] if said else []
    if asked and shown and count_words(shown[-1] + asked) <= MAX_WORDS - 10:
        shown[-1] += "\n\n" + asked
    elif asked:
        shown.append(asked)
    return shown


def _said_first(text: str, most: int) -> str:
    """Return a text's list or bold sentences if they are short enough, else its first sentence; "" if that is long."""
    bold = " ".join(said for said in BOLD.findall(text) if count_words(said) >= SENTENCE_WORDS)
    listed = LIST.search(text)
    first, *more = SENTENCE.split(re.sub(r"\s+", " ", LIST.sub("", text)).strip())
    while more and (count_words(first) < SENTENCE_WORDS or count_words(f"{first} {more[0]}") <= most * 2 / 3):
        first += " " + more.pop(0)
    for said in (bold, listed[0] if listed else "", first):
        if said and 0 < count_words(said) <= most and said.count("**") % 2 == 0:
            return said
    return ""


def _shortened(question: str, most: int) -> str:
    """Return a question without what follows its last question mark, and shorter until it is short enough."""
    sentences = SENTENCE.split(re.sub(r"\s+", " ", re.sub(r" \([^()]{12,}\)", "", question)).strip())
    while len(sentences) > 1 and "?" in question and "?" not in sentences[-1]:
        sentences.pop()
    while len(sentences) > 1 and count_words(" ".join(sentences)) > most:
        sentences.pop()
    return " ".join(sentences)


def _code_pages(cell: NotebookNode, section: str) -> list[Page]:
    """Return pages with a cell's code, with what it printed, and with each figure."""
    outputs = [o for o in cell.get("outputs", []) if not set(SCRIPTS) & set(o.get("data", {}))]
    figures = [o for o in outputs if "<img" in _html(o)]
    printed = [o for o in outputs if o not in figures and (o.get("text", "").strip() or _html(o))]
    folded = "plot" in cell.metadata.get("tags", [])
    chunks = [] if folded else _chunks(cell.source)
    kept = "" if folded else f"```python\n{cell.source}\n```"
    pages = [Page(section, code=code, cell=cell.id) for code in chunks]
    for output in (piece for one in printed for piece in _short(one)):
        page = Page(section, outputs=[output], cell=cell.id)
        lines = output.get("text", "").strip().count("\n") + 1
        if pages and not pages[-1].outputs and pages[-1].lines + lines <= MAX_LINES + 2 and not _html(output):
            pages[-1].outputs = [output]
        else:
            pages.append(page)
    for output in figures:
        for picture in _single(output):
            caption = re.search(r'alt="([^"]*)"', _html(picture))
            said = [html.unescape(caption[1])] if caption else []
            pages.append(Page(section, outputs=[picture], notes=said, cell=cell.id))
    if pages and kept:
        pages[0].notes.append(kept)
    return pages


def _single(output: NotebookNode) -> Iterator[NotebookNode]:
    """Yield an output of several figures as outputs of one each; of a caption the credits stay, the rest is said."""
    figures = re.findall(r"<figure\b.*?</figure>", _html(output), re.DOTALL)
    for figure in figures or [_html(output)]:
        shown = CAPTION.sub(_credits, rewrapped(figure))
        yield NotebookNode(output_type="display_data", data={"text/html": shown}, metadata={})


def _credits(caption: re.Match[str]) -> str:
    credits = CREDITS.match(caption[0])
    return f'<figcaption aria-hidden="true">{credits[1]}</figcaption>' if credits else ""


def _short(output: NotebookNode) -> Iterator[NotebookNode]:
    """Yield what was printed in pieces that fit a page."""
    if "text" not in output:
        yield output
        return
    piece: list[str] = []
    for line in output.text.strip("\n").split("\n"):
        if piece and count_words("\n".join([*piece, line])) > MAX_WORDS:
            yield NotebookNode(output_type="stream", name="stdout", text="\n".join(piece))
            piece = []
        piece.append(line)
    yield NotebookNode(output_type="stream", name="stdout", text="\n".join(piece))


def _left_out(node: ast.AST) -> bool:
    """Whether a statement only imports, asserts or prints: what it printed is shown, or nothing is to be seen."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return bool(re.match(r"print\b|.*assert_\w+$|.*\.check$|quiz$", ast.unparse(node.value.func)))
    return isinstance(node, (ast.For, ast.If)) and not node.orelse and all(map(_left_out, node.body))


def _chunks(source: str) -> list[str]:
    """Return the code that a room should see, at most MAX_LINES on a page; nothing if it took too many pages."""
    lines = source.split("\n")
    chunks: list[list[str]] = []
    for node in ast.parse(re.sub(r"^(\s*)[%!]", r"\1# ", source, flags=re.M)).body:
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda part: part.lineno).lineno
        if _left_out(node) or DRAWING.search(lines[first - 1]):
            continue
        numbers = list(range(first, node.end_lineno + 1))
        if isinstance(node, (ast.For, ast.With, ast.If)) and len(numbers) > 1:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Assert):
                    numbers = [n for n in numbers if not inner.lineno <= n <= inner.end_lineno]
            if len(numbers) < 2:
                continue
        shown = [lines[n - 1] for n in numbers]
        if len(shown) > MAX_LINES:
            return []
        if chunks and len(chunks[-1]) + len(shown) <= MAX_LINES:
            chunks[-1] += shown
        else:
            chunks.append(shown)
    return ["\n".join(chunk) for chunk in chunks] if len(chunks) <= MAX_PAGES else []


def polls_of(questions: Sequence[dict], section: str = "Quiz") -> list[Page]:
    """Return pages for the questions of a quiz, to be put to a vote; the right answer waits for a key press.

    Args:
        questions: as in data/quizzes: "question", "type", and "answers" with "answer", "correct" and "feedback".
        section: the heading.
    """
    pages = []
    for number, question in enumerate(questions, 1):
        asked, answers = question["question"], question["answers"]
        if question["type"] == "numeric":  # nothing to choose from: the room calls out numbers
            right = " or ".join(str(one["value"]) for one in answers if one.get("correct"))
            choices, notes = [], [one["feedback"] for one in answers]
        else:
            named = list(zip("ABCDEFG", answers, strict=False))
            right = ", ".join(letter for letter, one in named if one.get("correct"))
            choices = [f"**{letter}** {one['answer']}" for letter, one in named]
            notes = [f"**{letter}** {one['feedback']}" for letter, one in named]
        texts = [asked]
        for choice in choices:
            together = f"{texts[-1]}\n\n{choice}"
            if count_words(together) <= MAX_WORDS - 4:
                texts[-1] = together
            else:
                texts.append(choice)
        pages += [Page(section, text=text, cell=f"q{number}") for text in texts]
        pages[-1].answer = f"**{right}**"
        pages[-1].asked = VOTE
        pages[-1].notes = ["**Vote** before the next key.", *notes]
    return pages
