"""What the exercises hand to an answer: numbers as the notebooks have them."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import exercises
from course_utils.exercises import Exercise, compare, square_searches

EXERCISES = {
    f"{module.name[2:4]}-{name}": exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("ex") and module.name[2:4].isdigit()
    for name, exercise in vars(importlib.import_module(f"course_utils.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}
FUNCTIONS = {name: exercise for name, exercise in EXERCISES.items() if callable(exercise.model_answer)}


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, square_searches.Picture):
        yield value([])
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)


@pytest.mark.parametrize("exercise", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_input_is_double(exercise):
    """A learner's own tensors are float32, and `@` of the two kinds fails."""
    kinds = {tensor.dtype for arguments in exercise._draw() for tensor in tensors_in(arguments)}
    assert kinds <= {torch.float32, torch.int64, torch.bool}


def test_confidences_stay_off_the_borders_of_bins():
    """Where float32 and float64 disagree on which bin a number is in; the exact borders are meant."""
    for confidence, _, bins in EXERCISES["09-calibration_error"]._draw():
        place = confidence.double() * bins
        exact = place == place.round()
        assert (exact | ((place - place.round()).abs() > 1e-3)).all(), place
        assert all(np.float32(p / bins) == p / bins for p in place[exact].tolist())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_message_shows_of_an_input_gives_it(name):
    """Pasted into a cell, which has torch and np and calls the module `exercises`."""
    exercise = FUNCTIONS[name]
    module = importlib.import_module(exercise.model_answer.__module__)
    for number, (arguments, _) in enumerate(exercise._cases):
        shown = exercise._input_as_code(number)
        cell = {"torch": torch, "np": np, "exercises": module}
        exec(shown, cell)
        given = [
            value for key, value in cell.items() if key not in ("torch", "np", "exercises", "__builtins__")
        ]
        assert len(given) == len(arguments) and len(shown) < 1000
        assert all(compare.same(a, b, 0) for a, b in zip(given, arguments, strict=True)), shown


def holds_a_network(value):
    if isinstance(value, dict):
        value = list(value.values())
    return callable(value) or (isinstance(value, tuple | list) and any(map(holds_a_network, value)))


def test_most_first_inputs_are_small_enough_to_be_shown():
    """A network cannot be written as a number: it comes from `example`."""
    written = {name: e for name, e in FUNCTIONS.items() if not holds_a_network(e._cases[0][0])}
    large = [name for name, e in written.items() if ".example(" in e._input_as_code(0)]
    assert len(large) <= 6, large
