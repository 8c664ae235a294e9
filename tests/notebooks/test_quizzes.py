"""The quizzes are whole, each answer has feedback, and the length of an answer does not give away that it is right."""

import json
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "data" / "quizzes").glob("*.json"))
QUIZZES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
SINGLE = "multiple_choice"  # jupyterquiz's name for questions with one right answer


def place(question: dict) -> str:
    """Where the right answer stands by its length; on a tie with another it stands between."""
    lengths = {True: [], False: []}
    for answer in question["answers"]:
        lengths[answer["correct"]].append(len(answer["answer"]))
    (right,) = lengths[True]
    if right > max(lengths[False]):
        return "longest"
    return "shortest" if right < min(lengths[False]) else "between"


def places(questions: list[dict]) -> Counter:
    return Counter(place(question) for question in questions if question["type"] == SINGLE)


@pytest.mark.parametrize("name", QUIZZES)
def test_a_quiz_is_valid(name):
    for number, question in enumerate(QUIZZES[name], 1):
        assert question["question"].strip(), number
        assert question["type"] in {SINGLE, "many_choice", "numeric"}, number
        answers = question["answers"]
        right = sum(answer.get("correct", False) for answer in answers)
        assert right == 1 if question["type"] == SINGLE else right >= 1, number
        assert right < len(answers), f"question {number} has no wrong answer."
        assert all(answer["feedback"].strip() for answer in answers), number
        if question["type"] == "numeric":
            shown = [str(answer.get("value", "default")) for answer in answers]
        else:
            shown = [answer["answer"].strip().casefold() for answer in answers]
            assert all(shown), number
        assert len(set(shown)) == len(shown), f"question {number} has an answer twice."


@pytest.mark.parametrize("name", QUIZZES)
def test_in_no_quiz_is_the_right_answer_mostly_the_longest(name):
    found = places(QUIZZES[name])
    assert found.total() < 3 or 2 * found["longest"] <= found.total(), found


def test_the_length_of_an_answer_does_not_give_it_away():
    found = sum((places(questions) for questions in QUIZZES.values()), Counter())
    assert 3 * found["longest"] <= found.total(), found
    assert found["shortest"] <= 0.45 * found.total(), found
