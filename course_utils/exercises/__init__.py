"""Exercises with checks, hints and solutions, and the quizzes. One module a notebook, of the same name.

``from course_utils.exercises import ex04_grad_cam as exercises``, then ``exercises.weights.check(answer)``. How an
exercise is written down as a table is said in ``table``; ``engine`` checks an answer, ``compare`` compares results.
"""

from .engine import CORRECT, NOT_ATTEMPTED, WRONG, Exercise, Feedback, Misconception, exercise, value_exercise
from .quizzes import quiz

__all__ = [
    "CORRECT",
    "NOT_ATTEMPTED",
    "WRONG",
    "Exercise",
    "Feedback",
    "Misconception",
    "exercise",
    "quiz",
    "value_exercise",
]
