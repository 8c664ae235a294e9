"""What the exercises hand to an answer: numbers as the notebooks have them."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import exercises
from course_utils.exercises import Exercise
from course_utils.exercises.square_searches import Picture

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
    elif isinstance(value, Picture):
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
