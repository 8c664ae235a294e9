"""In the first notebook with an answer that can be typed: an exercise, solved and gone wrong, and the quiz."""

import ast
import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from lab import NOTEBOOKS, ROOT

from course_utils.exercises import Exercise

STUB = re.compile(r"^( *)(?:return|yield) \.\.\..*$", re.MULTILINE)


def body(function: Callable) -> str:
    """The statements of a function as one would type them: of a lambda, too."""
    tree = ast.parse(Path(inspect.getsourcefile(function)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if getattr(node, "lineno", None) == function.__code__.co_firstlineno:
            if isinstance(node, ast.Lambda) and function.__name__ == "<lambda>":
                return f"return {ast.unparse(node.body)}"
            if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
                return "\n".join(map(ast.unparse, node.body))
    raise ValueError(f"found no source of {function}.")


def can_be_typed(answer: object) -> bool:
    """Whether an answer is a plain function that uses nothing a notebook lacks."""
    return inspect.isfunction(answer) and set(inspect.getclosurevars(answer).globals) <= {"torch"}


@dataclass
class Task:
    """An exercise's cell in a notebook, and what to type into it."""

    path: Path
    index: int
    exercise: Exercise

    def solved(self, answer: Callable) -> str:
        """The cell's code with an answer in place of the dots."""
        source = nbformat.read(self.path, as_version=4).cells[self.index].source
        return STUB.sub(lambda stub: textwrap.indent(body(answer), stub[1]), source)


def first_task() -> Task:
    for path in NOTEBOOKS:
        known = vars(importlib.import_module(f"course_utils.exercises.ex{path.stem}"))
        for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
            name = re.search(r"\.(\w+)\.check\(", cell.source)
            if cell.cell_type != "code" or not name or len(STUB.findall(cell.source)) != 1:
                continue
            exercise = known[name[1]]
            answers = [exercise.model_answer, exercise.misconceptions[0].answer]
            if all(map(can_be_typed, answers)):
                return Task(path, index, exercise)
    raise AssertionError("no notebook has an exercise whose answer can be typed on its own.")


@pytest.fixture
def task() -> Task:
    return first_task()


def test_exercise_and_quiz(task, open_notebook):
    notebook = open_notebook(task.path.name)
    cells = nbformat.read(task.path, as_version=4).cells
    (quiz,) = (i for i, cell in enumerate(cells) if f'quiz("{task.path.stem}")' in cell.source)
    for index, cell in enumerate(cells[: task.index]):
        if cell.cell_type == "code" and re.search(r"^(import|from) ", cell.source, re.MULTILINE):
            notebook.run_cell(index)

    notebook.run_cell(task.index)
    assert "not attempted" in notebook.output(task.index).inner_text()
    wrong = task.exercise.misconceptions[0]
    for answer, words in ((wrong.answer, wrong.message), (task.exercise.model_answer, "correct")):
        notebook.type_into(task.index, task.solved(answer))
        notebook.run_cell(task.index)
        assert words in notebook.output(task.index).inner_text()

    notebook.run_cell(quiz)
    check_quiz(notebook.output(quiz), task.path.stem)
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
