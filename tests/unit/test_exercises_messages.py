"""What a check says: how two results differ, an input to paste, one mistake and no other; and when it stops."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
import torch

from course_utils.exercises import WRONG, Exercise, Misconception, compare, engine, limits, table
from course_utils.exercises import ex02_pytorch_hooks as hooks


def make(**changes):
    options = {
        "statement": "Twice x.",
        "solution": lambda x: 2 * x,
        "reference": lambda x: x + x,
        "inputs": lambda rng: [(torch.tensor([1.0, 2.0]),), (torch.tensor([-3.0, 0.25]),)],
    }
    return Exercise(**{**options, **changes})


# ---------------------------------------------------------------- the same numbers in another wrapping
ROWS = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ROWS, (ROWS[0], ROWS[1])),  # a pair, stacked
        (list(ROWS), ROWS),
        (tuple(ROWS), ROWS),
        ([list(row) for row in ROWS], ROWS),
        (ROWS.numpy(), ROWS),
        (ROWS.tolist(), (ROWS[0], ROWS[1])),
        (torch.tensor([5.0]), 5.0),
        (np.array([[5.0]]), torch.tensor(5.0)),
        (torch.tensor([5.0, 6.0]), (5.0, 6.0)),
        ((torch.tensor([5.0]), 6), (5.0, 6.0)),
        ((ROWS, [5.0]), (ROWS, 5.0)),
        (np.float32(5), 5),
        (Fraction(1, 4), 0.25),
        (range(3), [0, 1, 2]),
        (np.array([1, 2], dtype=object), [1, 2]),
        ((1, 2), [1, 2]),
        (np.array([1, 2]), (1, 2)),
        ({"a": 1, "b": 2}.items(), [("a", 1), ("b", 2)]),
        ([("a", torch.tensor([0.5]))], [("a", 0.5)]),
        ((["a", 0.5],), [("a", 0.5)]),
    ],
)
def test_equal_numbers_are_right_in_any_wrapping(found, expected):
    assert compare.mismatch(found, expected, 1e-6) == ""


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (1.23001, 1.23, "the result is 1.23001, expected 1.23."),
        (torch.tensor([1.0, 2.00001]), torch.tensor([1.0, 2.0]), "is [1, 2.00001], expected [1, 2]."),
        ("1", 1, "(str)"),
        (Ellipsis, "Ellipsis", "the result is Ellipsis, expected 'Ellipsis'"),
        (type("Odd", (), {"__repr__": lambda self: "'a'"})(), "a", "'a', a Odd, expected 'a', a str"),
        (torch.zeros(2, 1), torch.zeros(2), "shape (2, 1), expected (2,)"),
        ({"a": 1, "b": 2}, {"a": 2, "b": 3}, "expected 2. At 'b', the result is 2, expected 3."),
        (True, False, "the result is True, expected False"),
        ([math.nan] * 7 + [1.0], [math.nan] * 7 + [2.0], "at position (7,) the result is 1, expected 2."),
        ([math.nan] * 8, [1.0] * 8, "at position (0,) the result is nan, expected 1."),
        ([1.0, 2, 3], [1.0, 2], "the result has shape (3,), expected (2,)."),
        ((ROWS, 1.0), (ROWS, 2.0), "in result 2, the result is 1, expected 2."),
    ],
)
def test_how_results_differ_is_to_be_seen(found, expected, words):
    assert words in compare.mismatch(found, expected, 1e-7)


# ---------------------------------------------------------------- the input
@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([[0.1, -2.0], [1e-7, math.pi]]),
        torch.tensor([1, -1]),
        torch.tensor([[True], [False]]),
        torch.tensor(0.3),
        np.array([[0.5, 2.0]]),
        {"object": 2.5},
        [(3, 1, 1), (2, 2, 0)],
        ([1.5],),
        "mean",
        None,
    ],
)
def test_an_input_is_shown_as_code_that_gives_it_back(value):
    back = eval(compare.as_code(value), {"torch": torch, "np": np})
    assert type(back) is type(value)
    if isinstance(value, torch.Tensor):
        assert torch.equal(back, value) and back.dtype == value.dtype
    else:
        assert np.array_equal(back, value) if isinstance(value, np.ndarray) else back == value


def test_a_plain_not_yet_shows_the_input():
    feedback = make().check(lambda x: x + 1)
    assert feedback.message == "Not yet: the result is [2, 3], expected [2, 4]."
    assert feedback.code == "# on this input:\nx = torch.tensor([1.0, 2.0])"


def test_a_large_input_can_be_asked_for():
    large = make(
        solution=lambda x, y: x * y,
        reference=lambda x, y: x * y,
        inputs=lambda rng: [(torch.tensor(rng.random((20, 30))), 2) for _ in range(2)],
    )
    large.model_answer.__name__ = "twice"
    feedback = large.check(lambda x, y: x)
    assert feedback.code == "# on this input of shape: x (20, 30)\nx, y = exercises.twice.example(0)"
    x, y = large.example(0)
    assert torch.equal(x, large._draw()[0][0]) and y == 2
    assert torch.equal(make().example(1), torch.tensor([-3.0, 0.25]))
    with pytest.raises(IndexError):
        large.example(2)


# ---------------------------------------------------------------- one mistake and no other
def test_a_mistake_is_named_only_where_it_is_that_one_alone():
    mistakes = [
        Misconception(lambda x: x, "you did nothing", (lambda x: x.abs(), lambda x: x.relu())),
        Misconception(lambda x: x * x, "you squared it"),
        Misconception(lambda x: x**2, "you raised it to 2"),
    ]
    exercise = make(misconceptions=mistakes)
    for nothing in (lambda x: x.clone(), torch.abs, torch.relu):
        assert exercise.check(nothing).message == "you did nothing"
    feedback = exercise.check(torch.square)
    assert feedback.state == WRONG and "Not yet" in feedback.message


def test_lines_of_code_share_the_sentence_below_the_last():
    text = "x\nx.abs()\n    Nothing was done.\nx * x\n    You squared it.\n    Do not."
    assert table.read_mistakes(text) == [
        (["x", "x.abs()"], "Nothing was done."),
        (["x * x"], "You squared it. Do not."),
    ]


# ---------------------------------------------------------------- whose error it is
def test_an_error_of_the_check_is_not_called_the_learners():
    def shortens(k):
        return lambda module, inputs, output: (output.clone(),)

    feedback = hooks.silence.check(shortens)
    assert "Your code raised" not in feedback.message and "not yet" in repr(feedback)
    nothing = hooks.store_output.check(lambda module, inputs, output: None)
    assert nothing.message.startswith("Not yet: after the forward pass module.seen holds NoneType")
    text = hooks.store_output.check(lambda module, inputs, output: setattr(module, "seen", output) or "text")
    assert "what your code left behind made the check fail" in text.message
    own = hooks.store_output.check(lambda module, inputs, output: output.no_such)
    assert "Your code raised AttributeError" in own.message


def test_only_a_search_in_an_empty_place_is_called_a_hook_that_never_ran():
    def out_of_range(trunk, head, image, c):
        return head(trunk(image))[0, 99]

    def out_of_range_with_hook(trunk, head, image, c):
        activations, found = trunk(image), []
        activations.register_hook(found.append)
        head(activations)[0, 99].backward()
        return found[0]

    def no_hook(trunk, head, image, c):
        return {}["gradient"]

    for answer in (out_of_range, out_of_range_with_hook, no_hook):
        assert "hook" not in hooks.gradient_at.check(answer).message


# ---------------------------------------------------------------- a limit
NEEDS_ALARM = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="no timer, and so no limit, on Windows"
)


def endless(x):
    while True:
        with suppress(Exception):
            x = x + 1


@NEEDS_ALARM
def test_an_endless_loop_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr(engine, "_LONGEST", 0.2)
    before = signal.getsignal(signal.SIGALRM)
    feedback = make().check(endless)
    assert feedback.state == WRONG and "still running after 0.2 seconds" in feedback.message
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@NEEDS_ALARM
def test_a_limit_leaves_somebody_elses_alarm():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with limits.time_limit(5):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.3
        time.sleep(0.5)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("windows", [False, True])
def test_where_there_is_no_limit_a_check_works_as_well(monkeypatch, windows):
    states = []
    if windows:
        monkeypatch.delattr(signal, "setitimer", raising=False)
        states.append(make().check(lambda x: x + x).state)
    else:
        thread = threading.Thread(target=lambda: states.append(make().check(lambda x: x + x).state))
        thread.start()
        thread.join()
    assert states == ["correct"]
