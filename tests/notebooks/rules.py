"""What every notebook of the course keeps to, as small functions: a notebook in, sentences about its faults out.

Each function in RULES takes a page and returns a list of messages, empty where nothing is wrong. The messages name
the cell. test_structure.py asks them of every notebook; test_rules.py shows that each can fail.
"""

from __future__ import annotations

import ast
import base64
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from page import Page, images, links
from PIL import Image

from course_utils.authoring import CHECKED, DATA_URI, HEADER_SECONDS, MAX_IMAGE, MAX_NOTEBOOK, image_sizes

MAX_SECONDS = 60
LONG_CELL, LONGEST_CELL = 15, 25  # lines of code: nine cells in ten, every cell
LONGEST_SETUP = 50  # the folded cell that must explain whatever can go wrong before there is a course
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
SECTIONS = ("recap", "what this does not show", "sources", "next")
WITHOUT_PAPERS = ("01", "02")  # their sources are the documentation of PyTorch
WITHOUT_QUIZ = ("14",)  # it has a capstone instead
EXPLORER = re.compile(r"\b(?:Explorer|\w+_explorer)\(")
FORBIDDEN = re.compile(r"issue #|(?<![\w.])/(?:work|tmp)\b")
CREDIT = re.compile(r" Photographs?: (.+)\.$")
_RECORDS = json.loads((Path(__file__).resolve().parents[2] / "data" / "photos.json").read_text("utf-8"))
CREDITS = {name: one["credit"] for kind in ("objects", "textures") for name, one in _RECORDS[kind].items()}
# One line for lecturers, folded away from readers; or, as it was, a quotation.
NOTE = re.compile(r"> \*For lecturers\.\* .+|<details><summary>For lecturers</summary>.+</details>")
IMPORT_LIST = re.compile(r"(?<= import )\([^)]*\)")  # names one below the other
TITLE = re.compile(r"\A# @title .*\n")  # of a folded cell, for Colab
MESSAGE = re.compile(r', \(\n\s*f?"[^\n]*"\n\s*\)')  # of an assertion, on a line of its own


# --- the top of the page


def title_is_a_question(page: Page) -> list[str]:
    first = page.cells[0].source.strip().split("\n")[0] if page.cells else ""
    if page.cells and page.cells[0].cell_type == "markdown" and re.fullmatch(r"# .+\?", first.strip()):
        return []
    return [f'cell 0 must be text whose first line is "# ... ?", a question; it is {first!r}.']


def promises(page: Page) -> list[str]:
    """3 to 5 bullets right after "You will be able to"."""
    _, found, rest = page.header.partition("You will be able to")
    if not found:
        return ['the header does not say "You will be able to".']
    bullets = 0
    for line in rest.split("\n")[1:]:
        bullets += bool(re.match(r"[-*+] ", line))
        if bullets and line.strip() and not re.match(r"[-*+] |\s", line):
            break
    return [] if 3 <= bullets <= 5 else [f'"You will be able to" has {bullets} bullets; it wants 3 to 5.']


def header_facts(page: Page) -> list[str]:
    faults = []
    if not re.search(r"\d+ minutes to read", page.header):
        faults.append('the header does not say "NN minutes to read".')
    if "what to know first" not in page.header.lower():
        faults.append('the header does not say "What to know first".')
    if "colab.research.google.com" not in page.header:
        faults.append("the header has no link that opens the notebook in Colab.")
    # authoring writes the seconds in the first text cell, so they must stand there.
    seconds = HEADER_SECONDS.search(page.text[0][1].source) if page.text else None
    if seconds is None:
        faults.append('the first text cell does not say "about NN seconds to run".')
    elif int(seconds[2]) > MAX_SECONDS:
        faults.append(f"the notebook takes {seconds[2]} s to run; the limit is {MAX_SECONDS} s.")
    return faults


def neighbors_are_linked(page: Page) -> list[str]:
    names = sorted(path.name for path in page.path.parent.glob("*.ipynb"))
    place = names.index(page.path.name)
    beside = {"previous": names[place - 1] if place else None, "next": [*names, None][place + 1]}
    linked = set(links(page.header))
    return [
        f"the header has no link to the {which} notebook, {name}."
        for which, name in beside.items()
        if name and name not in linked and f"./{name}" not in linked
    ]


# --- the cells


def setup_cell(page: Page) -> list[str]:
    if len(page.setup) != 1:
        return [f'{len(page.setup)} cells are tagged "setup"; there must be one.']
    first = page.code[0][0]
    place = page.setup[0][0]
    return [] if place == first else [f"{page.where(place)} must be the first code cell."]


def seed(page: Page) -> list[str]:
    seeds = re.compile(r"manual_seed\(|default_rng\(\d|\bseed\(|\bseed\s*=|\bSEED\b")
    return [] if any(seeds.search(cell.source) for _, cell in page.code) else ["no cell sets a seed."]


def explorer_with_figure(page: Page) -> list[str]:
    explorers = [index for index, cell in page.code if EXPLORER.search(cell.source)]
    imports = any(re.search(r"course_utils.*\bwidgets\b", cell.source) for _, cell in page.code)
    if not explorers or not imports:
        return ["no cell uses an explorer of course_utils.widgets (Explorer(...) or ..._explorer(...))."]
    pictured = [index for index, _ in images(page)]
    return [
        f"{page.where(index)} has no static figure beside it (in it, or at most three cells away)."
        for index in explorers
        if not any(abs(index - other) <= 3 for other in pictured)
    ]


def exercises(page: Page) -> list[str]:
    """At least three, each with check, hint and solution, under a heading with difficulty and minutes."""
    source = "\n".join(cell.source for cell in page.cells)
    faults, count = [], 0
    for index, cell in page.code:
        for name in re.findall(r"([\w.\[\]\"']+)\.check\(", cell.source):
            count += 1
            for method in ("hint", "solution"):
                if f"{name}.{method}(" not in source:
                    faults.append(f"{page.where(index)}: {name}.{method}() is mentioned nowhere.")
            above = [place for place in page.headings if place[0] < index]
            if not above or "exercise" not in above[-1][2].lower():
                faults.append(f"{page.where(index)} stands under no heading with the word Exercise.")
                continue
            text = page.cells[above[-1][0]].source
            if not re.search(
                r"[★⭐]|\b(easy|medium|moderate|hard|one star|two stars|three stars)\b", text, re.I
            ):
                faults.append(
                    f"{page.where(above[-1][0])} does not say how difficult it is (★ to ★★★ or a word)."
                )
            if not re.search(r"\d+\s*(min\b|minutes?\b)", text):
                faults.append(f"{page.where(above[-1][0])} does not say how many minutes it takes.")
    if count < 3:
        faults.append(f"{count} exercises are checked; there must be at least three.")
    return faults


def quiz(page: Page) -> list[str]:
    """A quiz of 3 to 5 questions, each answer with feedback; in the last notebook a capstone instead."""
    name = page.path.stem
    if name.startswith(WITHOUT_QUIZ):
        capstone = any("capstone" in words.lower() for _, _, words in page.headings)
        return [] if capstone else ["there is neither a quiz nor a section with the word Capstone."]
    faults = []
    if not any(re.search(rf"\bquiz\(\s*[\"']{name}[\"']", cell.source) for _, cell in page.code):
        faults.append(f'no cell calls quiz("{name}").')
    file = page.path.parent.parent / "data" / "quizzes" / f"{name}.json"
    if not file.exists():
        return [*faults, f"data/quizzes/{name}.json is missing."]
    questions = json.loads(file.read_text(encoding="utf-8"))
    if not 3 <= len(questions) <= 5:
        faults.append(f"the quiz has {len(questions)} questions; it wants 3 to 5.")
    for number, question in enumerate(questions, 1):
        answers = question.get("answers", [])
        if not answers:
            faults.append(f"question {number} of the quiz has no answers.")
        silent = sum(not str(answer.get("feedback", "")).strip() for answer in answers)
        if silent:
            faults.append(f"question {number} of the quiz has {silent} answers without feedback.")
    return faults


def sections(page: Page) -> list[str]:
    """Recap, what this does not show, sources (with papers, or documentation), next."""
    found = {name: [h for h in page.headings if h[2].lower().startswith(name)] for name in SECTIONS}
    faults = [f'there is no section "{name.capitalize()}".' for name, where in found.items() if not where]
    if not found["sources"]:
        return faults
    index, level, title = found["sources"][-1]
    text = "\n".join(cell.source for i, cell in page.text if i >= index)
    text = text[text.index(title) :]
    text = re.split(rf"^#{{1,{level}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
    if page.path.name.startswith(WITHOUT_PAPERS):
        if not re.search(r"https?://\S*docs|\b\d{4}\.\d{4,5}\b", text):
            faults.append("Sources links to no documentation and names no paper.")
    elif not re.search(r"\b\d{4}\.\d{4,5}\b", text):
        faults.append("Sources gives no arXiv number.")
    return faults


def claims_are_checked(page: Page) -> list[str]:
    """At least three assertions, and a checked output; a picture is none, for other machines draw other bytes."""
    faults = [
        f"{page.where(index)} has its output checked, and shows a picture; show that in a cell of its own."
        for index, cell in page.code
        if CHECKED.search(cell.source)
        and any("<img" in str(output.get("data", "")) for output in cell.outputs)
    ]
    if not any(CHECKED.search(cell.source) for _, cell in page.code):
        faults.append("no cell is marked # NBVAL_CHECK_OUTPUT.")
    count = sum(
        len(re.findall(r"^\s*(?:assert\b|[\w.]*\bassert_\w+\()", cell.source, re.M)) for _, cell in page.code
    )
    if count < 3:
        faults.append(f"{count} claims are checked with assert; there must be at least three.")
    return faults


def assertions_say_what_was_expected(page: Page) -> list[str]:
    """Whoever changes a cell, or runs cells out of order, reads a sentence and not an empty AssertionError."""
    faults = []
    for index, cell in page.code:
        for node in ast.walk(ast.parse(re.sub(r"^(\s*)[%!]", r"\1# ", cell.source, flags=re.M))):
            written = isinstance(node, ast.Assert) and node.msg and ast.unparse(node.msg)
            if isinstance(node, ast.Assert) and not re.fullmatch(r"f?([\"']).+ .+\1", written or ""):
                faults.append(f"{page.where(index)}: line {node.lineno} asserts without a sentence.")
    return faults


def cells_are_short(page: Page) -> list[str]:
    """Lines that are not blank: at most 25, and at most 15 in nine cells of ten. An import is one line.

    An assertion and the sentence after it are one, too; the title of a folded cell is none. The set-up cell, the same
    everywhere, has a limit of its own.
    """
    setup = {index for index, _ in page.setup}
    sources = [
        (MESSAGE.sub("", IMPORT_LIST.sub("", TITLE.sub("", cell.source))), index) for index, cell in page.code
    ]
    lengths = [(sum(bool(line.strip()) for line in source.split("\n")), index) for source, index in sources]
    limits = {index: LONGEST_SETUP if index in setup else LONGEST_CELL for _, index in lengths}
    faults = [
        f"{page.where(i)} has {n} lines; the limit is {limits[i]}." for n, i in lengths if n > limits[i]
    ]
    long = [i for n, i in lengths if n > LONG_CELL and i not in setup]
    if 10 * len(long) > len(lengths):
        faults.append(
            f"{len(long)} of {len(lengths)} code cells have over {LONG_CELL} lines, more than one in ten: {long}."
        )
    return faults


def executed_in_order(page: Page) -> list[str]:
    faults = []
    for expected, (index, cell) in enumerate(page.code, 1):
        if cell.execution_count != expected:
            faults.append(f"{page.where(index)} has execution count {cell.execution_count}, not {expected}.")
        if any(output.output_type == "error" for output in cell.outputs):
            faults.append(f"{page.where(index)} is stored with an error.")
    return faults


def nothing_is_excused(page: Page) -> list[str]:
    """No cell may be skipped by the tests, or be expected to fail."""
    marks = re.compile(r"^\s*#\s*NBVAL_(?:SKIP|RAISES_EXCEPTION)\s*$", re.M)
    tags = {"raises-exception", "nbval-raises-exception", "nbval-skip"}
    return [
        f"{page.where(index)} is tagged or marked so that tests skip it or let it fail."
        for index, cell in page.code
        if marks.search(cell.source) or tags & set(cell.metadata.get("tags", []))
    ]


def slides(page: Page) -> list[str]:
    return [
        f"{page.where(index)} has no slide type (metadata slideshow.slide_type)."
        for index, cell in enumerate(page.cells)
        if cell.metadata.get("slideshow", {}).get("slide_type") not in SLIDE_TYPES
    ]


def lecture_notes(page: Page) -> list[str]:
    """At least three cells for lecturers, one line each, with how many minutes they take."""
    notes = [
        (index, cell)
        for index, cell in enumerate(page.cells)
        if cell.metadata.get("slideshow", {}).get("slide_type") == "notes"
    ]
    faults = [] if len(notes) >= 3 else [f"{len(notes)} cells are notes for lecturers; there must be three."]
    for index, cell in notes:
        if not NOTE.fullmatch(cell.source.strip()):
            faults.append(
                f"{page.where(index)} must be one line, <details><summary>For lecturers</summary>..."
            )
        if not re.search(r"\b\d+ minutes?\b", cell.source):
            faults.append(f"{page.where(index)} does not say how many minutes it takes.")
    return faults


# --- pictures, links, words


def pictures_have_words(page: Page) -> list[str]:
    return [
        f"{page.where(index)} has a picture without alt text."
        for index, alt in images(page)
        if not (alt or "").strip()
    ]


def sizes(page: Page) -> list[str]:
    size = page.path.stat().st_size
    faults = (
        [f"the file has {size // 1000} KB; the limit is {MAX_NOTEBOOK // 1000} KB."]
        if size > MAX_NOTEBOOK
        else []
    )
    for index, size in image_sizes(page.notebook):
        if size > MAX_IMAGE:
            faults.append(
                f"{page.where(index)} has a picture of {size // 1000} KB; "
                f"the limit is {MAX_IMAGE // 1000} KB."
            )
    return faults


def relative_links_resolve(page: Page) -> list[str]:
    faults = []
    for index, cell in page.text:
        for target in links(cell.source):
            if re.match(r"[a-z][a-z0-9+.-]*:|#", target, re.I):
                continue
            if not (page.path.parent / unquote(target.split("#")[0])).exists():
                faults.append(f"{page.where(index)} links to {target}, which does not exist.")
    return faults


def no_stray_words(page: Page) -> list[str]:
    """Nothing of the place where the notebook was made, neither in the text nor in what cells printed."""
    faults = []
    for index, cell in enumerate(page.cells):
        written = cell.source
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
            written += DATA_URI.sub("", "\n".join(shown))
        faults += [f"{page.where(index)} says {word!r}." for word in FORBIDDEN.findall(written)]
    return faults


def photographs_are_credited(page: Page) -> list[str]:
    """A figure with many colors, a photograph, drawn scene or gradient, ends with credits, and with the right ones.

    They are those of data/photos.json, and where the caption names a photograph or a texture, its own is among them.
    Where there is no photograph of that file in the figure, the cell is tagged "no-photographs".
    """
    faults = []
    for index, cell in page.code:
        shown = "".join(output.get("data", {}).get("text/html", "") for output in cell.get("outputs", []))
        for kind, data, alt in re.findall(r'<img src="data:image/(\w+);base64,([^"]*)" alt="([^"]*)"', shown):
            if "themusicianlab" in alt:
                faults.append(f"{page.where(index)} stores the drum, whose license does not allow it.")
            if "no-photographs" in cell.metadata.get("tags", []):
                continue
            if kind == "png" and Image.open(io.BytesIO(base64.b64decode(data))).mode == "P":
                continue  # a drawing: `figure_html` stores no photograph in 256 colors
            caption = html.unescape(alt)
            found = CREDIT.search(caption)
            given = found[1].split("; ") if found else []
            if not found:
                faults.append(
                    f"{page.where(index)} has a figure whose caption does not end with the credits of its photographs: "
                    'say `photos=...` in `show` or `stills`, or tag the cell "no-photographs".'
                )
            faults += [
                f"{page.where(index)} credits {credit!r}, as data/photos.json credits nobody."
                for credit in set(given) - set(CREDITS.values())
            ]
            said = caption[: found.start()] if found else ""
            faults += [
                f"{page.where(index)} names {name!r} in a caption that does not credit {credit!r}."
                for name, credit in CREDITS.items()
                if re.search(rf"\b{name}s?\b", said, re.I) and credit not in given
            ]
    return faults


RULES: list[Callable[[Page], list[str]]] = [
    title_is_a_question,
    promises,
    header_facts,
    neighbors_are_linked,
    setup_cell,
    seed,
    explorer_with_figure,
    exercises,
    quiz,
    sections,
    claims_are_checked,
    assertions_say_what_was_expected,
    cells_are_short,
    executed_in_order,
    nothing_is_excused,
    slides,
    lecture_notes,
    pictures_have_words,
    photographs_are_credited,
    sizes,
    relative_links_resolve,
    no_stray_words,
]
