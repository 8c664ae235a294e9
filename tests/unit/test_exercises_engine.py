"""The exercise engine: its three states, its messages, and what it does to nobody; the tables of mistakes."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from course_utils.exercises import (
    CORRECT,
    NOT_ATTEMPTED,
    WRONG,
    Exercise,
    Misconception,
    compare,
    exercise,
    table,
    value_exercise,
)


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
    assert exercise.check(...).state == NOT_ATTEMPTED
    assert exercise.check(lambda n: ...).state == NOT_ATTEMPTED
    assert exercise.check(lambda n: int(n / 2)).state == CORRECT
    feedback = exercise.check(lambda n: n + 1)
    assert feedback.state == WRONG and "n = " in feedback.code and "expected" in feedback.message


def not_written(n):
    raise NotImplementedError


def refused_by_torch(n):
    return torch.tensor([True]).mean()


def test_a_stub_that_raises_is_told_from_an_operation_that_torch_refuses():
    assert make().check(not_written).state == NOT_ATTEMPTED
    feedback = make().check(refused_by_torch)
    assert feedback.state == WRONG and "raised" in feedback.message and "Bool" in feedback.message


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
    assert feedback.state == WRONG and words in feedback.message


def test_a_changed_input_is_noticed_and_the_next_check_is_not_spoiled():
    exercise = make(
        solution=lambda x: x.relu(),
        reference=lambda x: x.clamp(min=0),
        inputs=lambda rng: [(torch.tensor(rng.normal(size=4)),)],
        misconceptions=[],
    )
    assert "changed its input" in exercise.check(lambda x: x.relu_()).message
    assert exercise.check(torch.relu).state == CORRECT


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
    assert exercise.check(49).state == CORRECT
    assert exercise.check(torch.tensor(49.0)).state == CORRECT
    assert exercise.check(14).message == "7 x 7, not 7 + 7"
    assert exercise.check(13).state == WRONG and "49" not in exercise.check(13).message
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
        ([torch.tensor([1.0]), torch.tensor([2.0])], torch.tensor([[1.0], [2.0]]), True),  # rows
        ([], torch.zeros(0), True),
        ((torch.zeros(2), "a"), [torch.zeros(2), "a"], True),
        (torch.zeros(2, 1), torch.zeros(2), False),
        (float("nan"), 1.0, False),
        (-1, 1, False),  # the sign counts
        (-1.0, 1.0, False),
        (torch.tensor([1.0, -2.0]), torch.tensor([1.0, 2.0]), False),
        ([1, -2], [1, 2], False),
        ({"a": -1}, {"a": 1}, False),
        ("a", "b", False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        (None, 1, False),
    ],
)
def test_comparison(found, expected, agree):
    assert (compare.mismatch(found, expected, 1e-6) == "") is agree


# ---------------------------------------------------------------- tables
OPTIONS = {
    "inputs": lambda rng: [(3.0, 1), (5.0, 2)],
    "reference": lambda x, n: x / 2**n,
    "hints": "Halve it.",
}


@exercise(
    "Halve x, n times.",
    **OPTIONS,
    mistakes="""
        halve(x, n) * SIGN
            The sign is wrong.
        _rounded(x, n)
            You rounded down. Keep the fraction:
            halves are numbers, too.

        min(x / n for x in (x, x + 1))
            You divided by n.
    """,
)
def halve(x, n):
    return x / 2**n  # no loop


# Both stand below: a mistake finds what its module has when it is tried.
SIGN = -1


def _rounded(x, n):
    return halve(x, n) // 1


def test_each_line_of_a_table_is_a_mistake_with_the_sentence_below_it():
    messages = [misconception.message for misconception in halve.misconceptions]
    assert messages == [
        "The sign is wrong.",
        "You rounded down. Keep the fraction: halves are numbers, too.",
        "You divided by n.",
    ]
    assert halve.check(lambda x, n: -x / 2**n).message == messages[0]
    assert halve.check(lambda x, n: int(x / 2**n)).message == messages[1]
    assert halve.check(lambda x, n: x / n).message == messages[2]


def test_an_exercise_does_what_its_model_answer_does():
    assert halve(6.0, 1) == halve.model_answer(6.0, 1) == 3.0
    assert halve.check(halve).state == CORRECT


def test_the_solution_is_what_a_learner_would_write():
    assert halve.solution().code == "def halve(x, n):\n    return x / 2**n  # no loop"

    @exercise("Halve.", **OPTIONS, mistakes="x\n    No.", called="half_of")
    def half(x, n):
        return x / 2**n

    assert half.solution().code == "def half_of(x, n):\n    return x / 2**n"


def try_managed(answer, x, n):
    with answer(x, n) as value:
        return value


def test_a_decorator_of_the_model_answer_stays_and_a_mistake_may_return_a_manager():
    @exercise("Halve.", **OPTIONS, run=try_managed, mistakes="nothing_done(x, n)\n    You did nothing.")
    @contextmanager
    def halved(x, n):
        yield x / 2**n

    assert halved.solution().code.startswith("@contextmanager\ndef halved(x, n):")
    assert halved.check(halved.model_answer).state == CORRECT
    assert halved.check(nothing_done).message == "You did nothing."


@contextmanager
def nothing_done(x, n):
    yield x


def test_a_table_of_values():
    found = value_exercise(
        "7 x 7", 49, "Seven rows.", reference=lambda: 7 * 7, hints="Rows.", mistakes="7 + 7\n    Not a sum."
    )
    assert found.check(49).message == "Seven rows."
    assert found.check(14).message == "Not a sum."
    assert found.hints == ["Rows."]


def test_a_hint_goes_on_where_a_line_is_deeper():
    text = """
        First
            and more
            of it.
        Second.
    """
    assert table.read_hints(text) == ["First and more of it.", "Second."]
    assert table.read_hints("") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "the mistake `x` has no sentence below it"),
        ("x\n    No.\ny", "the mistake `y` has no sentence below it"),
        ("x\nYou forgot half of it.", "`You forgot half of it.` is not an expression"),
        ("x\n    No.\nand half of it", "`and half of it` is not an expression"),
        ("x = 2\n    No.", "`x = 2` is not an expression"),
        (
            "x\n  No.",
            "`No.` is indented by 2 spaces. An entry of this text begins at 0, and its other lines at 4",
        ),
        ("x\n    No\n        more.", "`more.` is indented by 8 spaces"),
        ("    x\n        No.\ny\n    No.", "`y` is indented by 0 spaces"),
    ],
)
def test_a_faulty_table_is_named(text, words):
    with pytest.raises(ValueError) as caught:
        table.read_mistakes(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("code", ["halv(x)", "[i for i in range(x) if i < limit]", "(lambda y: y + z)(x)"])
def test_an_unknown_name_is_named_and_a_known_one_is_not(code):
    with pytest.raises(ValueError, match=r"uses (halv|limit|z): neither a parameter \(x\) nor a name of"):
        table.as_function(code, ["x"], {})
    assert table.as_function(code, ["x"], {"halv": abs, "limit": 9, "z": 1})(3) in (3, [0, 1, 2], 4)


def test_a_table_with_an_unknown_name_ends_the_first_check_that_reads_it():
    unfinished = exercise("Halve.", **OPTIONS, mistakes="no_such_helper(x)\n    No.")(lambda x, n: x / 2**n)
    assert unfinished.check(lambda x, n: x / 2**n).state == CORRECT
    with pytest.raises(ValueError, match="no_such_helper"):
        unfinished.check(lambda x, n: x)
