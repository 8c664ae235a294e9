"""For whoever teaches the course: notebooks to hand out, and what comes back, read without running it.

``handouts`` makes copies without hints, solutions and the stored outputs of answers. What learners hand in, ``files``
finds in folders and zips, ``learners`` tells whose it is, ``collecting`` puts together, and ``report`` writes down as
tables and a picture. Commands: ``python -m course_utils handout`` and ``python -m course_utils collect``. Nothing that
a learner's kernel imports imports this room.
"""

from .collecting import Collected, collect
from .handouts import write_handouts
from .report import draw_class, fault_lines, mistakes_csv, results_csv, table_lines

__all__ = [
    "Collected",
    "collect",
    "draw_class",
    "fault_lines",
    "mistakes_csv",
    "results_csv",
    "table_lines",
    "write_handouts",
]
