"""The lecturer's guide: each question to the room has its answers, commands parse, links lead somewhere."""

import argparse
import re
import shlex
from collections import Counter
from itertools import accumulate
from pathlib import Path

import nbformat
import pytest
import tomllib
from nbformat.v4 import new_markdown_cell
from page import links

from course_utils import __main__ as command
from course_utils.authoring import DATA_URI, DEEPER, cell_tracks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
GUIDE = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
QUESTIONS = "## Questions to the room, and what comes back\n"
MAX_WORDS = 90  # of a paragraph; an item of a list is one
COMMANDS = ("explain", "slides", "handout", "collect")  # a quoted line that begins so is one of this course's


def heading_lines(source):
    return re.findall(r"^(#{1,6}) (.+?)\s*$", re.sub(r"```.*?```", "", source, flags=re.S), re.M)


def prompts(cells):
    """(heading of its section, or "Opening" above the first; is it deeper?) for each question to the room."""
    heading, found = "Opening", []
    for cell, track in zip(cells, cell_tracks(cells), strict=True):
        if cell.cell_type == "markdown":
            heading = ([heading] + [words for marks, words in heading_lines(cell.source) if len(marks) > 1])[
                -1
            ]
        if cell.metadata.get("slideshow", {}).get("slide_type") == "notes":
            found.append((heading, track == DEEPER))
    return found


def items(guide):
    """{"04 Title": [(beginning of a heading, is it deeper?, the whole item), ...]} of the guide's last section."""
    found = {}
    for part in re.split(r"^### ", guide.partition(QUESTIONS)[2], flags=re.M)[1:]:
        title, _, rest = part.partition("\n")
        found[title] = [
            (bold.removesuffix(" (deeper)"), bold.endswith(" (deeper)"), line)
            for line, bold in re.findall(r"^(- \*\*(.+?)\*\*.*)$", rest, re.M)
        ]
    return found


def unanswered(asked, answered):
    """What is wrong between the prompts of a notebook and the items of the guide, in sentences."""
    wrong, counted = [], Counter()
    for beginning, deeper, _ in answered:
        fits = {(heading, track) for heading, track in asked if heading.startswith(beginning)}
        if len(fits) != 1:
            wrong.append(f"{len(fits)} sections with a question begin with {beginning!r}")
            continue
        ((heading, track),) = fits
        counted[heading] += 1
        if deeper != track:
            wrong.append(f"{beginning!r} is marked deeper: {deeper}, its question: {track}")
    for heading, number in Counter(heading for heading, _ in asked).items():
        if counted[heading] != number:
            wrong.append(f"{heading!r} asks {number}, the guide answers {counted[heading]}")
    return wrong


def text_of(cells):
    """All that a notebook says and prints, without thousands' commas, pluses and pictures."""
    said = [cell.source for cell in cells]
    for cell in cells:
        for output in cell.get("outputs", []):
            said += [output.get("text", ""), *map(str, output.get("data", {}).values())]
    return re.sub("[,+]", "", DATA_URI.sub("", "\n".join(said)))


def figures_without_source(item, text):
    """Figures with two decimals or more in an item of the guide that the notebook nowhere has."""
    return [
        x
        for x in re.findall(r"(?<![\w.])\d+\.\d{2,}", item)
        if not re.search(rf"(?<![\d.]){re.escape(x)}(?!\d)", text)
    ]


def quoted_commands(guide):
    """Command lines of the course in the guide, without what stands before the command's name."""
    for quoted in re.findall(r"`([^`\n]+)`", guide):
        line = quoted.removeprefix("python -m course_utils ")
        if line != quoted or (line.split()[0] in COMMANDS and len(line.split()) > 1):
            yield line


def parsed(line, monkeypatch):
    """What the command line says, read by the real parser, with nothing run."""
    read = argparse.ArgumentParser.parse_args

    class Parsed(Exception):
        pass

    def stop(self, arguments=None, namespace=None):
        raise Parsed(read(self, arguments, namespace))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        try:
            command.main(shlex.split(line))
        except Parsed as done:
            return done.args[0]
        except SystemExit:
            return None
    raise AssertionError("the command did not read its line with parse_args")


def anchor(heading):
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def lost_links(guide):
    here = {anchor(words) for _, words in heading_lines(guide)}
    for target in links(guide):
        path, _, name = target.partition("#")
        if not re.match(r"https?:", target) and (
            (path and not (ROOT / path).exists()) or (name and not path and name not in here)
        ):
            yield target


def long_paragraphs(guide):
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.) )", guide):
        if not re.match(r"\s*[#|]", block):
            words = re.sub(r"\]\([^)]*\)", "]", block).split()
            if len(words) > MAX_WORDS:
                yield len(words), block.strip()[:50]


# --- the guide


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_question_has_its_answers_and_each_answer_its_question(path):
    cells = nbformat.read(path, as_version=4).cells
    title = next(words for cell in cells for marks, words in heading_lines(cell.source) if marks == "#")
    found = items(GUIDE).get(f"{path.stem[:2]} {title}")
    assert found, f"TEACHING.md has no part called {path.stem[:2]} {title}"
    assert unanswered(prompts(cells), found) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_in_the_answers_are_the_notebooks(path):
    text = text_of(nbformat.read(path, as_version=4).cells)
    answered = [part for title, part in items(GUIDE).items() if title.startswith(path.stem[:2])]
    wrong = {begin: figures_without_source(line, text) for part in answered for begin, _, line in part}
    assert {begin: found for begin, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("section", "plan"), [("Ninety minutes", "lecture-90"), ("Three hours, with exercises", "workshop-3h")]
)
def test_the_schedules_begin_their_parts_when_the_plans_do(section, plan):
    table = GUIDE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    parts = tomllib.loads((ROOT / "data" / "plans" / f"{plan}.toml").read_text(encoding="utf-8"))["parts"]
    begins = {f"{at // 60}:{at % 60:02}" for at in accumulate((part[2] for part in parts), initial=0)}
    said = re.findall(r"^\| (\d:\d\d) \|", table, re.M)
    assert said and [at for at in said if at not in begins] == []


def test_the_parts_are_those_of_the_notebooks_in_their_order():
    assert [title[:2] for title in items(GUIDE)] == [path.stem[:2] for path in NOTEBOOKS]


def test_each_item_says_what_to_expect_and_what_to_say_to_what_is_wrong():
    for title, answered in items(GUIDE).items():
        deeper = [track for _, track, _ in answered]
        assert deeper == sorted(deeper), f"{title}: core first"
        for beginning, _, line in answered:
            order = [line.find(word) for word in ("**", "*Expect:*", "*Usual wrong ones:*")]
            assert -1 not in order and order == sorted(order), (title, beginning)


def test_the_section_is_a_list_of_items_and_nothing_else():
    lines = GUIDE.partition(QUESTIONS)[2].partition("### ")[2].splitlines()
    assert [line for line in lines[1:] if line and not line.startswith(("- **", "### "))] == []


def test_commands_that_are_quoted_parse(monkeypatch):
    lines = list(quoted_commands(GUIDE))
    assert len(lines) >= 5
    assert [line for line in lines if parsed(line, monkeypatch) is None] == []


def test_links_lead_somewhere():
    assert list(lost_links(GUIDE)) == []


def test_files_that_are_quoted_are_there():
    named = re.findall(r"(?<![\w/])((?:notebooks|data|requirements)[\w/.-]*\.(?:ipynb|toml|txt))", GUIDE)
    assert named and [name for name in named if not (ROOT / name).exists()] == []


def test_no_paragraph_is_long():
    assert list(long_paragraphs(GUIDE)) == []


# --- that these tests can fail


def room(*headings):
    note = {"slideshow": {"slide_type": "notes"}}
    cells = [new_markdown_cell("# Why?")]
    for heading in headings:
        cells += [new_markdown_cell(heading), new_markdown_cell("Ask the room.", metadata=note)]
    return cells


def test_prompts_are_found_with_their_sections():
    cells = room("As it stands.", "## 1. One", "## 2. Two (deeper)\n\nSome text.")
    assert prompts(cells) == [("Opening", False), ("1. One", False), ("2. Two (deeper)", True)]


@pytest.mark.parametrize(
    ("answered", "wrong"),
    [
        ("- **1. One**: a\n- **2. Two (deeper)**: b", []),
        ("- **1. One**: a", ["'2. Two (deeper)' asks 1, the guide answers 0"]),
        (
            "- **1. One**: a\n- **1. One**: a\n- **2. Two (deeper)**: b",
            ["'1. One' asks 1, the guide answers 2"],
        ),
        ("- **1. One**: a\n- **2. Two**: b", ["'2. Two' is marked deeper: False, its question: True"]),
        (
            "- **1. One**: a\n- **2. Two (deeper)**: b\n- **3. Three**: c",
            ["0 sections with a question begin with '3. Three'"],
        ),
    ],
)
def test_what_is_missing_doubled_or_too_much_is_found(answered, wrong):
    guide = f"# Teaching\n\n{QUESTIONS}\nBy notebook.\n\n### 03 Why?\n\n{answered}\n"
    assert unanswered(prompts(room("## 1. One", "## 2. Two (deeper)")), items(guide)["03 Why?"]) == wrong


def test_a_figure_that_the_notebook_has_not_is_found():
    text = text_of(room("It is 0.70 (+1.25 to 11.50), of 1,000, 0x71."))
    assert figures_without_source("0.70, 1.25 and 0.71 of 2, 1.50 more", text) == ["0.71", "1.50"]


def test_a_command_that_does_not_parse_is_found(monkeypatch):
    lines = list(quoted_commands("`python -m course_utils slides 04 --plam x`, `slides --plan x`, `other`"))
    assert [parsed(line, monkeypatch) is None for line in lines] == [True, False]


def test_a_link_that_leads_nowhere_and_a_long_paragraph_are_found():
    assert list(lost_links("# One more\n\n[a](#one-more) [b](#two) [c](README.md) [d](GONE.md)")) == [
        "#two",
        "GONE.md",
    ]
    assert [words for words, _ in long_paragraphs("- a\n- " + 91 * "b " + "\n\n| " + 99 * "c ")] == [92]
