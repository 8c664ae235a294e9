"""In the first notebook: an exercise, gone wrong and solved, and the quiz."""

import json
import re

import nbformat
from lab import NOTEBOOKS, ROOT

from course_utils.exercises import ex00_start_here

NOTEBOOK = NOTEBOOKS[0]
RIGHT, WRONG = "heat[mask].sum() / heat.sum()", "heat[mask].sum()"  # for share_of_energy
NO_SHARE = ex00_start_here.share_of_energy.check(lambda heat, mask: heat[mask].sum()).message


def test_exercise_and_quiz(open_notebook):
    notebook = open_notebook(NOTEBOOK.name)
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (task,) = (i for i, cell in enumerate(cells) if "share_of_energy.check(" in cell.source)
    (quiz,) = (i for i, cell in enumerate(cells) if f'quiz("{NOTEBOOK.stem}")' in cell.source)
    for index, cell in enumerate(cells[:task]):
        if cell.cell_type == "code" and re.search(r"^(import|from) ", cell.source, re.MULTILINE):
            notebook.run_cell(index)

    notebook.run_cell(task)
    assert "not attempted" in notebook.output(task).inner_text()
    assert "divide by the energy of the whole map" in NO_SHARE
    for answer, words in ((WRONG, NO_SHARE), (RIGHT, "correct")):
        notebook.type_into(task, re.sub(r"\.\.\..*", answer, cells[task].source, count=1))
        notebook.run_cell(task)
        assert words in notebook.output(task).inner_text()

    notebook.run_cell(quiz)
    check_quiz(notebook.output(quiz), NOTEBOOK.stem)
    assert not notebook.failures()


def check_quiz(output, name: str) -> None:
    """Answer each question with choices once wrong and once right; see the feedback, and the color it has."""
    questions = json.loads((ROOT / "data" / "quizzes" / f"{name}.json").read_text(encoding="utf-8"))
    shown = output.locator(".Quiz")
    assert shown.count() == len(questions)
    for number, question in enumerate(questions):
        if question["type"] != "multiple_choice":
            continue
        for correct in (False, True):
            answers = [a for a in question["answers"] if bool(a.get("correct")) is correct]
            assert answers, f"question {number + 1} has no answer that is {'right' if correct else 'wrong'}."
            answer = answers[0]
            box = shown.nth(number)
            button = box.locator(f".MCButton[data-correct={str(correct).lower()}]", has_text=answer["answer"])
            # From the keyboard: the button's own input has the focus.
            button.locator("input").focus()
            button.locator("input").press("Space")
            feedback = box.locator(".Feedback")
            assert answer["feedback"] in feedback.inner_text()
            assert ("correctButton" if correct else "incorrectButton") in button.get_attribute(
                "class"
            ).split()
            assert ("correct" if correct else "incorrect") in feedback.get_attribute("class").split()
