"""Every exercise of every notebook: untouched, solved, and wrong in each of the known ways."""

from __future__ import annotations

import copy
import importlib
import itertools
import pkgutil
import re

import nbformat
import pytest
import torch

from course_utils import exercises
from course_utils.exercises import CORRECT, NOT_ATTEMPTED, WRONG, Exercise

MODULES = [m.name for m in pkgutil.iter_modules(exercises.__path__) if m.name.startswith("ex")]
MODULES = [name for name in MODULES if name[2:4].isdigit()]


def exercises_of(module: str) -> dict[str, Exercise]:
    loaded = importlib.import_module(f"course_utils.exercises.{module}")
    return {name: value for name, value in vars(loaded).items() if isinstance(value, Exercise)}


CASES = [
    pytest.param(exercise, id=f"{module}-{name}")
    for module in MODULES
    for name, exercise in exercises_of(module).items()
]


def notebook_of(module: str, root) -> nbformat.NotebookNode:
    return nbformat.read(root / "notebooks" / f"{module[2:]}.ipynb", as_version=4)


@pytest.mark.parametrize("exercise", CASES)
def test_an_untouched_stub_is_not_attempted(exercise):
    assert exercise.check(...).state == NOT_ATTEMPTED
    if callable(exercise.model_answer) and not isinstance(exercise.model_answer, type):
        assert exercise.check(lambda *arguments: ...).state == NOT_ATTEMPTED


@pytest.mark.parametrize("exercise", CASES)
def test_the_solution_passes_and_shows_its_source(exercise):
    feedback = exercise.check(exercise.model_answer)
    assert feedback.state == CORRECT, feedback
    shown = exercise.solution()
    assert shown.code if callable(exercise.model_answer) else shown.message


@pytest.mark.parametrize("exercise", CASES)
def test_each_wrong_answer_is_rejected_with_its_own_message(exercise):
    messages = [misconception.message for misconception in exercise.misconceptions]
    assert len(messages) >= 3, "an exercise knows at least three misconceptions"
    assert len(set(messages)) == len(messages), "two misconceptions share a message"
    for misconception in exercise.misconceptions:
        for answer in misconception.answers:
            feedback = exercise.check(answer)
            assert (feedback.state, feedback.message) == (WRONG, misconception.message)


@pytest.mark.parametrize("exercise", CASES)
def test_a_misconception_raises_nothing_that_any_slip_raises(exercise):
    """It would name all code that raises the same. Tensors that do not fit, and the course's own errors, may be."""
    for misconception in exercise.misconceptions:
        for answer, arguments in itertools.product(misconception.answers, exercise._draw()):
            try:
                with torch.random.fork_rng(devices=[]):
                    exercise._result(answer, copy.deepcopy(arguments))
            except Exception as error:
                own = type(error).__module__ != "builtins"
                assert own or isinstance(error, RuntimeError), f"{misconception.message!r} raises {error!r}"


@pytest.mark.parametrize("exercise", CASES)
def test_hints_are_there_and_come_in_turn(exercise):
    assert exercise.hints
    given = [exercise.hint().message for _ in range(len(exercise.hints))]
    assert sorted(given) == sorted(exercise.hints)


@pytest.mark.parametrize("module", MODULES)
def test_notebook_and_module_have_the_same_exercises(module, pytestconfig):
    """Each exercise has a stub cell, which as it stands says "not attempted" and, solved, passes."""
    cells = [cell for cell in notebook_of(module, pytestconfig.rootpath).cells if cell.cell_type == "code"]
    for name in exercises_of(module):
        stubs = [cell for cell in cells if f".{name}.check(" in cell.source]
        assert len(stubs) == 1, f"{name} needs exactly one stub cell"
        stored = "".join(str(output.get("data", "")) for output in stubs[0].outputs)
        assert NOT_ATTEMPTED in stored, f"the stub of {name}, run as it stands, must say {NOT_ATTEMPTED!r}"
        for way in ("hint", "solution"):
            assert f".{name}.{way}()" in stubs[0].source, f"the stub of {name} does not mention .{way}()"


@pytest.mark.parametrize("module", MODULES)
def test_progress_can_be_asked_by_the_name_that_notebooks_use(module):
    assert importlib.import_module(f"course_utils.exercises.{module}").progress is exercises.progress


@pytest.mark.parametrize("module", MODULES)
def test_a_solution_begins_as_its_stub_does(module, pytestconfig):
    """The same name and parameters, so that it can be put in the stub's place; no underscore, no exercise around it."""
    code = "\n".join(
        c.source for c in notebook_of(module, pytestconfig.rootpath).cells if c.cell_type == "code"
    )
    for name, exercise in exercises_of(module).items():
        if callable(exercise.model_answer):
            (checked,) = re.findall(rf"\.{name}\.check\((\w+)\)", code)
            shown = exercise.solution().code.splitlines()
            (first,) = [line for line in shown if line.startswith("def ")]
            assert first.startswith(f"def {checked}(") and first in code.splitlines()
            assert not any("exercise(" in line for line in shown)
