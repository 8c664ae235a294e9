"""Commands for authors and lecturers: execute notebooks, publish, make slides, train, and a guard against the network.

Nothing that a learner's kernel imports imports this room. ``python -m course_utils --help`` lists the commands.
"""

from .machines import compare_machines
from .notebooks import refresh_notebooks
from .publishing import publish
from .slides import build_decks
from .training import train_topic

__all__ = [
    "build_decks",
    "compare_machines",
    "publish",
    "refresh_notebooks",
    "train_topic",
]
