"""Quizzes: questions with feedback on each answer, from ``data/quizzes/``, shown by jupyterquiz."""

from __future__ import annotations

import json
import random

from course_utils.assets import data_file

__all__ = ["load_quiz", "quiz"]

# What jupyterquiz leaves out: a name for the field of a number, an outline around the answer that has the
# keyboard's focus, and feedback that screen readers speak.
_ACCESS = """
for (const quiz of document.querySelectorAll(".Quiz")) {
  quiz.querySelectorAll("input.Input-text").forEach(field => field.setAttribute("aria-label", "your answer"));
  quiz.querySelectorAll(".Feedback").forEach(words => words.setAttribute("role", "status"));
}
document.head.insertAdjacentHTML(
  "beforeend", "<style>.MCButton:focus-within { outline: 3px solid #0072B2; outline-offset: 2px }</style>"
);
"""
COLORS = {
    "--jq-multiple-choice-bg": "#0b3c5d",
    "--jq-many-choice-bg": "#0b3c5d",
    "--jq-numeric-bg": "#0b3c5d",
    "--jq-correct-color": "#00664B",
    "--jq-incorrect-color": "#A33F00",
}


def load_quiz(name: str) -> list[dict]:
    """Return the questions of ``data/quizzes/<name>.json``."""
    return json.loads(data_file(f"quizzes/{name}.json").read_text(encoding="utf-8"))


def quiz(name: str) -> None:
    """Show the quiz of a notebook, named as the notebook is: ``quiz("04_grad_cam")``. Needs no network."""
    from IPython.display import Javascript, display
    from jupyterquiz import display_quiz

    # jupyterquiz draws the names of its HTML elements: from the quiz's own name, so that the stored
    # notebook stays the same from run to run, and without touching anyone else's random numbers.
    state = random.getstate()
    try:
        random.seed(name)
        display_quiz(load_quiz(name), shuffle_answers=True, max_width=900, colors=COLORS)
    finally:
        random.setstate(state)
    display(Javascript(_ACCESS))
