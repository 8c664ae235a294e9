"""Exercises with checks, hints and solutions, and the quizzes. One module a notebook, of the same name.

``from course_utils.exercises import ex04_grad_cam as exercises``, then ``exercises.weights.check(answer)``. How an
exercise is written down as a table is said in ``table``; ``engine`` checks an answer, ``compare`` compares results.
``hook_trials`` tries out the hooks of notebook 02; ``square_searches`` is what notebook 06's last exercise searches in.

To add an exercise:

1. In ``exNN_*``, write the answer as a function under ``@exercise(...)``, with hints and at least three mistakes, each
   with a message of its own; add its name to ``__all__`` where the module has one.
2. In the notebook, a heading "Exercise n · ... (★☆☆, 5 minutes)", then one cell: a stub with the same name and
   parameters that returns ``...``, ``exercises.NAME.check(NAME)``, and in comments ``exercises.NAME.hint()`` and
   ``exercises.NAME.solution()``.
3. ``python -m course_utils notebooks NN`` executes it; tests/notebooks/test_exercises.py says what is missing.
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
