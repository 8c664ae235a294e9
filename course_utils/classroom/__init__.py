"""For whoever teaches the course: notebooks to hand out, what comes back, read without running it, and packages.

``handouts`` makes copies without hints, solutions and the stored outputs of answers. What learners hand in, ``files``
finds in folders and zips, ``learners`` tells whose it is, ``collecting`` puts together, and ``report`` writes down as
tables and a picture. ``wheelhouse`` fetches all packages once, for a room without internet; ``systems`` tells pip of
others than this one. Commands: ``python -m course_utils handout``, ``collect`` and ``wheelhouse``. Nothing that a
learner's kernel imports imports this room.
"""

from .collecting import Collected, collect
from .handouts import write_handouts
from .report import draw_class, fault_lines, mistakes_csv, results_csv, table_lines
from .systems import PYTHONS, SYSTEMS
from .wheelhouse import WheelhouseError, make_wheelhouse

__all__ = [
    "PYTHONS",
    "SYSTEMS",
    "Collected",
    "WheelhouseError",
    "collect",
    "draw_class",
    "fault_lines",
    "make_wheelhouse",
    "mistakes_csv",
    "results_csv",
    "table_lines",
    "write_handouts",
]
