"""Plans: the sections that they name, what is wrong with them in a sentence, and those that the course has."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from course_utils import __main__ as command
from course_utils.authoring import MAX_LINES, MAX_WORDS, find_plans, read_plan, section_cells, slides

ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    new_markdown_cell("# Why is that so?"),
    new_markdown_cell("What stands above the first of the sections."),
    new_markdown_cell("## 1. The method"),
    new_markdown_cell("It is what the first section says."),
    new_markdown_cell("### A proof of it (deeper)"),
    new_markdown_cell("It is what the proof of it says."),
    new_markdown_cell("## 12. Another\n\nIt is what the last section says."),
]


@pytest.fixture
def course(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data" / "plans").mkdir(parents=True)
    nbformat.write(new_notebook(cells=CELLS), tmp_path / "notebooks" / "03_small.ipynb")
    return tmp_path


def write(course, content, name="mine"):
    (course / "data" / "plans" / f"{name}.toml").write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "cells"),
    [
        ("opening", [0, 1]),
        ("1", [2, 3]),
        ("12", [6]),
        ("the meth", [2, 3]),
        ("A proof", [4, 5]),
        ("12. Another", [6]),
    ],
)
def test_a_section_is_named_by_number_or_by_first_words(section, cells):
    assert section_cells(CELLS, section) == [CELLS[index] for index in cells]


def test_a_plan_is_read_and_its_minutes_are_kept(course):
    write(
        course,
        'title = "T"\nparts = [["03", "1", 8], ["03", "opening", 2.5], ["text", "## To take home", 3]]',
    )
    plan = read_plan(course, "mine")
    assert plan.title == "T" and [part.name for part in plan.parts] == [
        "opening",
        "03.1",
        "03.opening",
        "text",
    ]
    assert [round(sum(part.page_minutes), 6) for part in plan.parts] == [0, 8, 2.5, 3]
    assert read_plan(course, str(course / "data" / "plans" / "mine.toml")).name == "mine"


def test_cells_can_be_left_out(course):
    write(course, f'title = "T"\nparts = [["03", "1", 8]]\nwithout = ["{CELLS[3].id}"]')
    (page,) = read_plan(course, "mine").parts[1].pages
    assert page.text == "## 1. The method"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no plan 'mine'. There are: other; or name a file that ends in .toml."),
        ("title = ", "mine.toml is not TOML: "),
        ('parts = [["03", "1", 8]]', 'mine.toml needs a line title = "..." and a list parts'),
        ('title = "T"\nparts = []', "needs a line title"),
        ('title = "T"\nparts = [["03", "1"]]', "a part is [notebook, section, minutes]"),
        ('title = "T"\nparts = [["03", "1", 0]]', "must be a number above 0, not 0"),
        ('title = "T"\nparts = [["03", "1", true]]', "must be a number above 0, not True"),
        ('title = "T"\nparts = [["03", 1, 5]]', 'stand in quotes, such as "04" and "1"'),
        ('title = "T"\nparts = [["07", "1", 5]]', "No notebook is called '07'"),
        ('title = "T"\nparts = [["03", "2", 5]]', "in 03_small no sections are called '2'. There are: 1. The method;"),
        ('title = "T"\nparts = [["03", "quiz", 5]]', "03_small has no quiz."),
        ('title = "T"\nparts = [["03", "a", 5]]', "2 sections are called 'a'"),
        ('title = "T"\nparts = [["03", "1", 5]]\nspeaker = "me"', "says 'speaker'; a plan knows"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plan_is_said(course, content, sentence):
    write(course, 'title = "T"\nparts = [["03", "1", 5]]', "other")
    if content is not None:
        write(course, content)
    with pytest.raises(ValueError) as refused:
        read_plan(course, "mine")
    assert sentence in str(refused.value)


def test_a_plan_and_names_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        command.main(["slides", "04", "--plan", "lecture-90"])
    assert "--plan stands alone" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "minutes"), [("lecture-45", 45), ("lecture-90", 90), ("workshop-3h", 180)])
def test_the_plans_of_the_course_take_the_time_that_they_say(name, minutes):
    plan = read_plan(ROOT, name)
    assert sum(sum(part.page_minutes) for part in plan.parts) == pytest.approx(minutes)
    for part in plan.parts:
        for page in part.pages:
            assert page.lines <= MAX_LINES, (part.name, page.code)
            assert page.words <= MAX_WORDS, (part.name, page.text, page.outputs)


def test_there_are_three_plans():
    assert find_plans(ROOT) == ["lecture-45", "lecture-90", "workshop-3h"]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_page_of_a_notebook_has_more_than_a_room_can_read(path):
    (part,) = slides.notebook_parts(ROOT, path)
    assert [(page.cell, page.words) for page in part.pages if page.words > MAX_WORDS] == []
    assert [(page.cell, page.lines) for page in part.pages if page.lines > MAX_LINES] == []
