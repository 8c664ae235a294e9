"""Exercises with checks, hints and solutions, and the quizzes. One module a notebook, of the same name.

``from course_utils.exercises import ex04_grad_cam as exercises``, then ``exercises.weights.check(answer)``. How an
exercise is written down as a table is said in ``table``; ``engine`` checks an answer, ``compare`` compares results,
``feedback`` is what a check says and how a notebook keeps it, ``stored`` reads it back from a notebook's file, and
``exercises.progress()`` shows a learner what is left.
``hook_trials`` tries out the hooks of notebook 02; ``square_searches`` is what notebook 06's last exercise searches in.

To add an exercise:

1. In ``exNN_*``, write the answer as a function under ``@exercise(...)``, with hints and at least three mistakes, each
   with a message of its own; add its name to ``__all__`` where the module has one.
2. In the notebook, a heading "Exercise n · ... (★☆☆, 5 minutes)", then one cell: a stub with the same name and
   parameters that returns ``...``, ``exercises.NAME.check(NAME)``, and in comments ``exercises.NAME.hint()`` and
   ``exercises.NAME.solution()``.
3. ``python -m course_utils notebooks NN`` executes it; tests/notebooks/test_exercises.py says what is missing.
"""

from .engine import HANDOUT, Exercise, Misconception, exercise, value_exercise
from .feedback import CORRECT, MARKS, NOT_ATTEMPTED, WRONG, Feedback
from .progress import progress
from .quizzes import quiz
from .stored import (
    MISSING,
    MOST_BYTES,
    UNCLEAR,
    Standing,
    Task,
    course_tasks,
    notebook_of,
    read_cells,
    read_standings,
)

__all__ = [
    "CORRECT",
    "HANDOUT",
    "MARKS",
    "MISSING",
    "MOST_BYTES",
    "NOT_ATTEMPTED",
    "UNCLEAR",
    "WRONG",
    "Exercise",
    "Feedback",
    "Misconception",
    "Standing",
    "Task",
    "course_tasks",
    "exercise",
    "notebook_of",
    "progress",
    "quiz",
    "read_cells",
    "read_standings",
    "value_exercise",
]
