"""The rules themselves: a tiny good notebook passes them all, and each broken variant fails with its own message."""

import base64
import io
import json
from pathlib import Path

import nbformat
import pytest
import rules
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from page import Page, links, without_code
from PIL import Image

HEADER = """# Why did it say cat?

A first look. 12 minutes to read, about 10 seconds to run.

You will be able to
- name a thing,
- draw it,
- doubt it.

**What to know first**: Python.

[Next: 01](01_next.ipynb) · [Open in Colab](https://colab.research.google.com/x)
"""
EXERCISE = "### Exercise {n}: count ★★ (5 min)\n\nIf stuck: `e{n}.hint()`, then `e{n}.solution()`."
ENDING = """## 5. Recap

Named, drawn, doubted: $A[k](i)$ and `x[0](1)`.

## What this does not show

Much.

## Sources

Selvaraju et al., arXiv 1610.02391.

## Next

[The next one](./01_next.ipynb#top)
"""
NOTE = '> *For lecturers.* Ask the room: "{n} or more?" ({n} minutes.)'
PIXELS = base64.b64encode(b"0" * 300).decode()
ME = "Stefan van der Walt (CC0)"
FIGURE = f'<figure><img src="data:image/jpeg;base64,{PIXELS}" alt="A cat. Photograph: {ME}."></figure>'


def good_cells() -> list:
    """Cells by place: 0 header, 1 set-up, 2 text, 3 explorer, 4 figure, 5-10 exercises, 11 quiz, 12 end, 13+ notes."""
    cells = [
        new_markdown_cell(HEADER),
        new_code_cell("import torch\nfrom course_utils.widgets import Explorer\n\ntorch.manual_seed(0)"),
        new_markdown_cell("## 1. Look\n\n```python\n# not a heading\n```"),
        new_code_cell("# NBVAL_CHECK_OUTPUT\nexplorer = Explorer(draw)\nexplorer"),
        new_code_cell("""assert 1, "it is one"\nassert 2, f"not {2}"\ntorch.testing.assert_close(a, b)"""),
    ]
    for n in (1, 2, 3):
        cells += [new_markdown_cell(EXERCISE.format(n=n)), new_code_cell(f"answer = ...\ne{n}.check(answer)")]
    cells += [new_code_cell('quiz("00_good")'), new_markdown_cell(ENDING)]
    cells += [new_markdown_cell(NOTE.format(n=n)) for n in (1, 2, 3)]
    cells[1].metadata.tags = ["setup"]
    cells[4].outputs = [
        new_output("display_data", {"text/html": FIGURE, "text/plain": "<IPython.core.display.HTML>"})
    ]
    for count, cell in enumerate([cell for cell in cells if cell.cell_type == "code"], 1):
        cell.execution_count = count
    for cell in cells:
        cell.metadata.slideshow = {"slide_type": "slide"}
    for cell in cells[13:]:
        cell.metadata.slideshow.slide_type = "notes"
    return cells


def good_quiz() -> list:
    answers = [
        {"answer": "yes", "correct": True, "feedback": "Right."},
        {"answer": "no", "feedback": "Look again."},
    ]
    return [
        {"question": "?", "type": "multiple_choice", "answers": [dict(a) for a in answers]} for _ in range(3)
    ]


def store(folder: Path, cells: list, questions: list | None, name: str = "00_good") -> Page:
    (folder / "notebooks").mkdir()
    (folder / "data" / "quizzes").mkdir(parents=True)
    if questions is not None:
        (folder / "data" / "quizzes" / f"{name}.json").write_text(json.dumps(questions))
    (folder / "notebooks" / "01_next.ipynb").write_text("{}")
    path = folder / "notebooks" / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return Page(path, nbformat.read(path, as_version=4))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_good_notebook_passes(tmp_path, rule):
    assert rule(store(tmp_path, good_cells(), good_quiz())) == []


def test_a_cell_without_photographs_says_so(tmp_path):
    cells = good_cells()
    cells[4].outputs[0].data["text/html"] = FIGURE.replace(f"A cat. Photograph: {ME}.", "A drawn scene.")
    cells[4].metadata.tags = ["no-photographs"]
    assert rules.photographs_are_credited(store(tmp_path, cells, good_quiz())) == []


def png(mode: str, alt: str) -> str:
    """A figure that is stored as a PNG of that mode: "P" for drawings."""
    Image.new(mode, (2, 2)).save(buffer := io.BytesIO(), "png")
    return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}" alt="{alt}">'


def test_a_drawing_needs_no_credit(tmp_path):
    cells = good_cells()
    cells[4].outputs[0].data["text/html"] = png("P", "The cat's score, as a graph.")
    assert rules.photographs_are_credited(store(tmp_path, cells, good_quiz())) == []


def edit(place: int, old: str, new: str):
    """A way to break the good notebook: replace words in one cell."""

    def change(cells, questions):
        assert old in cells[place].source
        cells[place].source = cells[place].source.replace(old, new)

    return change


def output(place: int, data: dict):
    return lambda cells, questions: cells[place].outputs.append(new_output("display_data", data))


def stream(place: int, text: str):
    return lambda cells, questions: cells[place].outputs.append(new_output("stream", text=text))


def error(cells, questions):
    cells[4].outputs.append(new_output("error", ename="ValueError", evalue="", traceback=[]))


def tag(place: int, *tags: str):
    return lambda cells, questions: cells[place].metadata.update(tags=list(tags))


def no_slide_type(cells, questions):
    del cells[2].metadata["slideshow"]


def two_notes(cells, questions):
    cells[13].metadata.slideshow.slide_type = "skip"


def count(cells, questions):
    cells[3].execution_count = 7


def figure_far_away(cells, questions):
    cells[3:3] = [cells.pop(4), *(new_markdown_cell("...") for _ in range(3))]


def set_up_late(cells, questions):
    cells.insert(1, new_code_cell("import os"))


def silent_answer(cells, questions):
    questions[1]["answers"][1]["feedback"] = " "


def two_questions(cells, questions):
    questions.pop()


def question_without_answers(cells, questions):
    questions[2]["answers"] = []


def sources_elsewhere(cells, questions):
    cells[12].source = (
        cells[12].source.replace("arXiv 1610.02391", "a paper").replace("Much.", "arXiv 1610.02391")
    )


PICTURE = FIGURE.replace(f"A cat. Photograph: {ME}.", "{}")
BIG = base64.b64encode(b"0" * 120_000).decode()
LONG = "import torch\n" * 16

BROKEN = [
    (rules.title_is_a_question, edit(0, "cat?", "cat."), "a question"),
    (rules.photographs_are_credited, output(4, {"text/html": PICTURE.format("A cat.")}), "does not end with"),
    (
        rules.photographs_are_credited,
        output(4, {"text/html": PICTURE.format("A cat. Photograph:")}),
        "`photos=...`",
    ),
    (
        rules.photographs_are_credited,
        output(4, {"text/html": PICTURE.format("A cat. Photograph: me (CC0).")}),
        "credits 'me (CC0)', as data/photos.json credits nobody",
    ),
    (
        rules.photographs_are_credited,
        output(4, {"text/html": PICTURE.format(f"Two cats on gravel. Photograph: {ME}.")}),
        "names 'gravel' in a caption that does not credit 'cc0textures.com (CC0)'",
    ),
    (
        rules.photographs_are_credited,
        output(4, {"text/html": png("RGB", "A film.")}),
        "does not end with the credits",
    ),
    (
        rules.photographs_are_credited,
        output(4, {"text/html": PICTURE.format("A drum. Photograph: Patomis, after themusicianlab.")}),
        "stores the drum",
    ),
    (rules.promises, edit(0, "You will be able to", "Aims"), "You will be able to"),
    (rules.promises, edit(0, "- doubt it.", ""), "2 bullets"),
    (rules.promises, edit(0, "- doubt it.", "- a\n- b\n- c\n- d"), "6 bullets"),
    (rules.header_facts, edit(0, "minutes to read", "pages"), "minutes to read"),
    (rules.header_facts, edit(0, "about 10 seconds to run", "quick"), "seconds to run"),
    (rules.header_facts, edit(0, "about 10 seconds", "about 65 seconds"), "takes 65 s"),
    (rules.header_facts, edit(0, "What to know first", "Before"), "What to know first"),
    (rules.header_facts, edit(0, "colab.research", "example"), "Colab"),
    (rules.neighbors_are_linked, edit(0, "01_next.ipynb", "README.md"), "next notebook, 01_next.ipynb"),
    (rules.setup_cell, tag(1), "0 cells are tagged"),
    (rules.setup_cell, tag(3, "setup"), "2 cells are tagged"),
    (rules.setup_cell, set_up_late, "must be the first code cell"),
    (rules.seed, edit(1, "manual_seed", "rand"), "seed"),
    (rules.explorer_with_figure, edit(3, "Explorer(", "Slider("), "no cell uses an explorer"),
    (rules.explorer_with_figure, edit(1, "course_utils.widgets", "elsewhere"), "no cell uses an explorer"),
    (rules.explorer_with_figure, figure_far_away, "no static figure beside it"),
    (rules.exercises, edit(10, "e3.check(answer)", "pass"), "2 exercises"),
    (rules.exercises, edit(5, "e1.hint()", "a hint"), "e1.hint() is mentioned nowhere"),
    (rules.exercises, edit(7, "e2.solution()", "the answer"), "e2.solution() is mentioned nowhere"),
    (rules.exercises, edit(7, "Exercise", "Task"), "no heading with the word Exercise"),
    (rules.exercises, edit(7, "★★", ""), "how difficult"),
    (rules.exercises, edit(7, "(5 min)", ""), "how many minutes"),
    (rules.quiz, edit(11, "00_good", "01_next"), 'no cell calls quiz("00_good")'),
    (rules.quiz, two_questions, "2 questions"),
    (rules.quiz, silent_answer, "question 2 of the quiz has 1 answers without feedback"),
    (rules.quiz, question_without_answers, "question 3 of the quiz has no answers"),
    (rules.sections, edit(12, "Recap", "End"), "Recap"),
    (rules.sections, edit(12, "## What this", "What this"), "What this does not show"),
    (rules.sections, edit(12, "## Sources", "## Papers"), "Sources"),
    (rules.sections, edit(12, "## Next", "### Bye"), "Next"),
    (rules.sections, sources_elsewhere, "no arXiv number"),
    (rules.claims_are_checked, edit(3, "# NBVAL_CHECK_OUTPUT", ""), "NBVAL_CHECK_OUTPUT"),
    (rules.claims_are_checked, edit(4, 'assert 1, "it is one"', ""), "2 claims"),
    (rules.claims_are_checked, edit(4, "assert 1", "# NBVAL_CHECK_OUTPUT\nassert 1"), "cell of its own"),
    (
        rules.assertions_say_what_was_expected,
        edit(4, ', "it is one"', ""),
        "line 1 asserts without a sentence",
    ),
    (rules.assertions_say_what_was_expected, edit(4, 'f"not {2}"', '"two"'), "line 2 asserts without"),
    (
        rules.assertions_say_what_was_expected,
        edit(4, "assert 2", "%time\nif a:\n    assert a, b\nassert 2"),
        "line 4",
    ),
    (rules.cells_are_short, edit(4, "assert 1", "\n".join(["assert 1"] * 26)), "28 lines"),
    (rules.cells_are_short, edit(4, "assert 1", LONG), "more than one in ten"),
    (rules.executed_in_order, count, "execution count 7, not 2"),
    (rules.executed_in_order, error, "stored with an error"),
    (rules.nothing_is_excused, tag(4, "raises-exception"), "let it fail"),
    (rules.nothing_is_excused, edit(3, "# NBVAL_CHECK_OUTPUT", "# NBVAL_SKIP"), "tests skip it"),
    (rules.slides, no_slide_type, "no slide type"),
    (rules.lecture_notes, two_notes, "2 cells are notes"),
    (rules.lecture_notes, edit(14, "(2 minutes.)", ""), "how many minutes"),
    (rules.lecture_notes, edit(14, "> *For lecturers.*", "Here,"), "cell 14"),
    (rules.lecture_notes, edit(14, "Ask", "\n\nAsk"), "one line"),
    (rules.pictures_have_words, output(4, {"image/png": PIXELS}), "cell 4"),
    (rules.pictures_have_words, output(4, {"text/html": "<img src='x'>"}), "cell 4"),
    (rules.pictures_have_words, output(4, {"text/html": "<img alt='' src='x'>"}), "cell 4"),
    (rules.pictures_have_words, edit(2, "## 1. Look", "![](../a.png)"), "cell 2"),
    (rules.sizes, output(4, {"image/png": BIG}), "picture of 120 KB"),
    (rules.sizes, output(4, {"text/html": f'<img src="data:image/png;base64,{BIG}">'}), "picture of 120 KB"),
    (rules.sizes, stream(4, "x" * 700_000), "the file has 70"),
    (rules.relative_links_resolve, edit(12, "./01_next.ipynb#top", "02_gone.ipynb"), "02_gone.ipynb"),
    (rules.relative_links_resolve, edit(2, "## 1. Look", '<img alt="a" src="../a.png">'), "../a.png"),
    (rules.no_stray_words, edit(2, "Look", "Look, issue #3"), "issue #"),
    (rules.no_stray_words, stream(4, "saved in /tmp/x"), "/tmp"),
    (rules.no_stray_words, output(4, {"text/html": "<b>/work/main</b>"}), "/work"),
]


@pytest.mark.parametrize(
    ("rule", "change", "message"),
    BROKEN,
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:30],
)
def test_a_broken_notebook_fails(tmp_path, rule, change, message):
    cells, questions = good_cells(), good_quiz()
    change(cells, questions)
    faults = rule(store(tmp_path, cells, questions))
    assert any(message in fault for fault in faults), faults


def test_an_assertion_and_its_sentence_are_one_line(tmp_path):
    cells = good_cells()
    cells[4].source = "\n".join(['assert a, (\n    "a should be true"\n)'] * 15)
    assert rules.cells_are_short(store(tmp_path, cells, good_quiz())) == []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _ in BROKEN} == set(rules.RULES)


def test_a_missing_quiz_is_named(tmp_path):
    assert rules.quiz(store(tmp_path, good_cells(), None)) == ["data/quizzes/00_good.json is missing."]


def test_a_capstone_stands_for_the_quiz_in_the_last_notebook_alone(tmp_path):
    page = store(tmp_path, good_cells(), None, name="14_last")
    assert rules.quiz(page) == ["there is neither a quiz nor a section with the word Capstone."]
    page.cells[2].source = "## 6. Capstone: audit a classifier"
    (tmp_path / "other").mkdir()
    elsewhere = store(tmp_path / "other", page.cells, None, name="13_other")
    del page.headings  # read again
    assert rules.quiz(page) == []
    assert "data/quizzes/13_other.json is missing." in rules.quiz(elsewhere)


def test_the_last_notebook_needs_a_link_back_only(tmp_path):
    page = store(tmp_path, good_cells(), good_quiz(), name="02_last")
    assert rules.neighbors_are_linked(page) == []
    page.cells[0].source = page.cells[0].source.replace("01_next", "00_gone")
    assert rules.neighbors_are_linked(page) == [
        "the header has no link to the previous notebook, 01_next.ipynb."
    ]


def test_the_first_notebooks_cite_documentation(tmp_path):
    page = store(tmp_path, good_cells(), good_quiz(), name="02_last")
    page.cells[12].source = ENDING.replace("arXiv 1610.02391", "https://docs.pytorch.org/docs/stable/nn.html")
    assert rules.sections(page) == []
    page.cells[12].source = ENDING.replace("arXiv 1610.02391", "a book")
    assert "no documentation" in rules.sections(page)[0]


def test_words_that_only_look_forbidden(tmp_path):
    page = store(tmp_path, good_cells(), good_quiz())
    page.cells[2].source = "https://example.org/workshops, a/work, an issue"
    page.cells[4].outputs[0].data["text/html"] = '<img alt="a" src="data:image/png;base64,AA/tmp/A">'
    assert rules.no_stray_words(page) == []


def test_links_in_code_and_formulas_are_none():
    assert links("[a](b.md) `[c](d.md)` $E[f](g)$ <a href='h.md'>") == ["b.md", "h.md"]
    assert "x" not in without_code("a\n```python\nx = 1\n```\nb $$x$$")
