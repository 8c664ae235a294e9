"""The exercise engine: its three states, its messages, and what it does to nobody."""

import numpy as np
import pytest
import torch

from course_utils.exercises import Exercise, Misconception, compare, engine


def half_floor(n):
    return n // 2


def make(**changes):
    options = {
        "statement": "Halve n and round down.",
        "solution": half_floor,
        "reference": lambda n: (n - n % 2) // 2,
        "inputs": lambda rng: [(int(n),) for n in rng.integers(1, 100, 20)],
        "misconceptions": [
            Misconception(lambda n: -(-n // 2), "you rounded up: floor rounds down"),
            Misconception(lambda n: n / 2, "you did not round at all"),
        ],
        "hints": ["first", "second"],
    }
    return Exercise(**{**options, **changes})


def test_states():
    exercise = make()
    assert exercise.check(...).state == engine.NOT_ATTEMPTED
    assert exercise.check(lambda n: ...).state == engine.NOT_ATTEMPTED
    assert exercise.check(lambda n: int(n / 2)).state == engine.CORRECT
    feedback = exercise.check(lambda n: n + 1)
    assert feedback.state == engine.WRONG and "n = " in feedback.message and "expected" in feedback.message


def not_written(n):
    raise NotImplementedError


def refused_by_torch(n):
    return torch.tensor([True]).mean()


def test_a_stub_that_raises_is_told_from_an_operation_that_torch_refuses():
    assert make().check(not_written).state == engine.NOT_ATTEMPTED
    feedback = make().check(refused_by_torch)
    assert feedback.state == engine.WRONG and "raised" in feedback.message and "Bool" in feedback.message


def test_a_misconception_is_named():
    exercise = make()
    assert exercise.check(lambda n: (n + 1) // 2).message == "you rounded up: floor rounds down"
    assert exercise.check(lambda n: n * 0.5).message == "you did not round at all"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: None, "returned None"),
        (lambda n: 1 / 0, "ZeroDivisionError"),
        (7, "function itself"),
        (lambda n: torch.zeros(3), "shape"),
        (lambda n: "five", "expected"),
    ],
)
def test_what_went_wrong_is_said(answer, words):
    feedback = make().check(answer)
    assert feedback.state == engine.WRONG and words in feedback.message


def test_a_changed_input_is_noticed_and_the_next_check_is_not_spoiled():
    exercise = make(
        solution=lambda x: x.relu(),
        reference=lambda x: x.clamp(min=0),
        inputs=lambda rng: [(torch.tensor(rng.normal(size=4)),)],
        misconceptions=[],
    )
    assert "changed its input" in exercise.check(lambda x: x.relu_()).message
    assert exercise.check(torch.relu).state == engine.CORRECT


def test_checking_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make().check(lambda n: int(torch.rand(1)))
    assert torch.equal(torch.rand(2), expected)


def test_hints_come_in_turn_and_the_solution_shows_its_source():
    exercise = make()
    assert [exercise.hint().message for _ in range(3)] == ["first", "second", "first"]
    assert "return n // 2" in exercise.solution().code


def test_a_value_exercise():
    exercise = make(
        solution=49,
        reference=lambda: 7 * 7,
        inputs=None,
        misconceptions=[Misconception(14, "7 x 7, not 7 + 7")],
    )
    assert exercise.check(49).state == engine.CORRECT
    assert exercise.check(torch.tensor(49.0)).state == engine.CORRECT
    assert exercise.check(14).message == "7 x 7, not 7 + 7"
    assert exercise.check(13).state == engine.WRONG and "49" not in exercise.check(13).message
    assert "value itself" in exercise.check(half_floor).message


def test_feedback_shows_in_a_terminal_and_in_a_notebook():
    feedback = make(solution=half_floor).solution()
    assert "solution" in repr(feedback) and "<pre" in feedback._repr_html_()
    wrong = make().check(lambda n: "<b>")
    assert "&lt;b&gt;" in wrong._repr_html_()


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        (1.0, 1, True),
        (torch.tensor([1.0, 2.0]), np.array([1, 2]), True),
        ([1, 2], (1, 2), True),
        ([torch.tensor(1.0), 2], torch.tensor([1.0, 2.0]), True),  # what a loop makes
        ([[1, 2], [np.int64(3), 4]], torch.tensor([[1, 2], [3, 4]]), True),
        ([[1, 2], [3, 5]], torch.tensor([[1, 2], [3, 4]]), False),
        ([[1, 2], [3]], torch.tensor([[1, 2], [3, 4]]), False),
        ([torch.tensor([1.0]), torch.tensor([2.0])], torch.tensor([[1.0], [2.0]]), False),  # two results
        ([], torch.zeros(0), False),
        ((torch.zeros(2), "a"), [torch.zeros(2), "a"], True),
        (torch.zeros(2, 1), torch.zeros(2), False),
        (float("nan"), 1.0, False),
        ("a", "b", False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        (None, 1, False),
    ],
)
def test_comparison(found, expected, agree):
    assert (compare.mismatch(found, expected, 1e-6) == "") is agree
