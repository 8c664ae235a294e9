"""Pages: what a cell shows from the last row of a room, and what its speaker reads instead."""

import base64
import io

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image

from course_utils.authoring import MAX_LINES, MAX_WORDS, count_words, pages_of, polls_of, rewrapped, two_rows


def text(source, kind="-"):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def printed(words):
    return new_output("stream", name="stdout", text=words)


def figure(width=200, height=100, caption="A cat"):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(file, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<figure><img src="{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def shown(*figures):
    return new_output("display_data", {"text/html": "".join(figures)})


LONG = "So this is a sentence of ten words, as it seems. " * 12


def test_a_text_shows_heading_formula_and_question_and_says_the_rest():
    source = f"## 2. The mean\n\n{LONG}\n\n$$a = b \\qquad (1)$$\n\n{LONG} **Predict:** what is $a$?"
    (page,) = pages_of([text(source)])
    assert page.text == "## 2. The mean\n\n$$a = b \\qquad (1)$$\n\n**Predict:** what is $a$?"
    assert page.section == "2. The mean" and page.starts and LONG.strip() in page.notes[0]
    assert page.words <= MAX_WORDS


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("One sentence says it all here. " + LONG, "One sentence says it all here."),
        (LONG + "**The map is no proof of anything at all.** More.", "**The map is no proof of anything at all.**"),
        ("- the first of them is this\n- the second\n\n" + LONG, "- the first of them is this\n- the second"),
        ("It does not. The score is a function of both of them. " + LONG, "It does not. The score is"),
        ("Known from [the paper](https://x.org/a), as one says. " + LONG, "Known from the paper, as one says."),
    ],
)  # fmt: skip
def test_a_text_without_question_shows_what_is_bold_or_said_first(source, expected):
    (page,) = pages_of([text(source)])
    assert page.text.startswith(expected) and page.words <= MAX_WORDS


def test_the_first_words_about_a_result_wait_below_it():
    first, second = pages_of(
        [code("f(1)", printed("0.7")), text("About three quarters: far above chance. " + LONG), text(LONG)]
    )
    assert (
        first.answer.startswith("About three quarters: far above chance.") and LONG.strip() in first.notes[-1]
    )
    assert not second.answer and second.text


def test_code_shows_neither_imports_nor_assertions_nor_drawing():
    source = (
        "# NBVAL_CHECK_OUTPUT\nimport torch\nfigure, axes = panels(2)\na = 1  # why\n"
        "for n in range(3):\n    assert n, (\n        'no'\n    )\n    b = n\n"
        "for n in range(3):\n    print(n)\nassert a\nprint(a)\nshow(figure, 'words')"
    )
    (page,) = pages_of([code(source)])
    assert page.code == "a = 1  # why\nfor n in range(3):\n    b = n"
    assert "import torch" in page.notes[0]


def test_long_code_stands_on_two_pages_or_in_the_notes():
    pages = pages_of([code("\n".join(f"x{n} = {n}" for n in range(12)))])
    assert [page.lines for page in pages] == [8, 4] and max(page.lines for page in pages) <= MAX_LINES
    assert pages_of([code("\n".join(f"x{n} = {n}" for n in range(40)))]) == []
    assert pages_of([code("def f():\n" + "    a = 1\n" * 9, printed("1"))])[0].code == ""


def test_the_code_of_a_plot_is_not_shown():
    (page,) = pages_of([code("a = 1\nshow(draw(a), 'words')", shown(figure()), tags=["plot"])])
    assert not page.code and page.pictured and page.notes == ["A cat"]


def test_each_figure_has_a_page():
    pages = pages_of([code("explorer.stills([{}, {}])", shown(figure(), figure(caption="A dog")))])
    assert [page.pictured for page in pages] == [True, True]
    assert "A cat" in pages[0].notes and pages[1].notes == ["A dog"]


def test_of_a_caption_the_credits_of_photographs_stay_on_the_page():
    caption = "Photograph: a word. A cat. Photographs: Ada (CC0); Bob, on Flickr (CC BY 2.0)."
    pages = pages_of([code("show(a, 'words')", shown(figure(caption=caption), figure()), tags=["plot"])])
    (first,), (second,) = (page.outputs for page in pages)
    credits = (
        '<figcaption aria-hidden="true">Photographs: Ada (CC0); Bob, on Flickr (CC BY 2.0).</figcaption>'
    )
    assert first.data["text/html"].endswith(f"{credits}</figure>")
    assert "figcaption" not in second.data["text/html"] and pages[0].notes == [caption]


def test_a_question_to_the_room_stands_first_in_the_notes_and_takes_its_minutes():
    folded = "<details><summary>For lecturers</summary>Who says so? (4 minutes.)</details>"
    (page,) = pages_of([text("## Why?\n\nBecause of what was said here."), text(folded, "notes")])
    assert page.notes[0] == "**Ask:** Who says so? (4 minutes.)" and page.asked == 4 and page.minutes == 4.5


def test_solutions_sources_and_badges_are_left_out():
    folded = "<details><summary>Solution</summary>\n\n42\n\n</details>"
    badge = "[![Open in Colab](https://colab.x/a.svg)](https://colab.x)"
    (page,) = pages_of(
        [text(f"# Why?\n\n{badge}\n\nWhich of them was it then?\n\n{folded}\n\n## Sources\n\n- a")]
    )
    assert page.text == "# Why?\n\nWhich of them was it then?"


def test_what_follows_a_question_is_not_shown_with_it():
    (page,) = pages_of([text("## Why?\n\n**Predict:** is it so? And that? In words: it is. So it goes.")])
    assert page.text == "## Why?\n\n**Predict:** is it so? And that?"


def test_a_formula_in_a_sentence_is_a_word_and_one_set_apart_is_none():
    assert count_words("the map $L^c = x$ is\n\n$$a + b$$\n\n| signed |") == 5
    assert count_words("0.70 (0.66 to 0.74)  0.1 (-0.2-+0.3)") == 2


def test_a_quiz_is_put_to_a_vote():
    answers = [{"answer": "a" * 3, "feedback": "no"}, {"answer": "b", "correct": True, "feedback": "yes"}]
    short = {"question": "Which?", "type": "multiple_choice", "answers": answers}
    (page,) = polls_of([short])
    assert (
        page.text == "Which?\n\n**A** aaa\n\n**B** b" and page.answer == "**B**" and "**B** yes" in page.notes
    )
    asked, choose = polls_of([short | {"question": "word " * 56}])
    assert not asked.answer and choose.answer == "**B**" and choose.words <= MAX_WORDS
    numeric = {
        "question": "How many?",
        "type": "numeric",
        "answers": [{"value": 7, "correct": True, "feedback": "so"}],
    }
    assert polls_of([numeric])[0].answer == "**7**"


# --- low figures


def row(*widths, height=50, gap=9):
    """Gray panels beside each other on white."""
    parts = [np.full((height, width, 3), 100, np.uint8) for width in widths]
    white = np.full((height, gap, 3), 255, np.uint8)
    return np.concatenate([piece for part in parts for piece in (part, white)][:-1], 1)


def test_a_low_row_of_panels_is_cut_near_its_middle():
    picture = row(60, 60, 60, 60, 60)
    rows = two_rows(picture)
    assert rows.shape == (100, 3 * 60 + 2 * 9, 3)
    assert (rows == 100).sum() == (picture == 100).sum()


@pytest.mark.parametrize("picture", [row(60, 60), row(400), row(380, 20), row(100, 100, 100, gap=3)])
def test_what_is_not_low_or_has_no_gap_stays_whole(picture):
    assert two_rows(picture) is None


def test_only_the_picture_of_a_figure_changes():
    whole = figure(100, 50)
    assert rewrapped(whole) == whole
    file = io.BytesIO()
    Image.fromarray(row(60, 60, 60, 60)).save(file, "PNG")
    low = f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}" alt="a &quot;b&quot;">'
    changed = rewrapped(low)
    assert changed != low and changed.endswith('alt="a &quot;b&quot;">')
