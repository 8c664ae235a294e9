"""Commands for authors and lecturers: execute notebooks, publish, make slides, train, and a guard against the network.

Nothing that a learner's kernel imports imports this room: the contract in pyproject.toml and tests/unit/test_house.py
hold it. ``faces`` is another such contract: a room is entered through its face. ``python -m course_utils --help``
lists the commands.
"""

from .machines import compare_machines
from .measuring import measure_topic
from .notebooks import (
    CHECKED,
    DATA_URI,
    HEADER_SECONDS,
    MAX_IMAGE,
    MAX_NOTEBOOK,
    find_notebooks,
    image_sizes,
    read_notebook,
    refresh_notebooks,
)
from .pages import REMOTE_PICTURE
from .publishing import publish
from .slides import build_decks, build_plan
from .tracks import (
    CORE,
    DEEPER,
    HIDDEN,
    Minutes,
    cell_tracks,
    header_line,
    mark,
    minutes,
    questions,
    table_row,
    write_tracks,
)
from .training import train_topic

__all__ = [
    "CHECKED",
    "CORE",
    "DATA_URI",
    "DEEPER",
    "HEADER_SECONDS",
    "HIDDEN",
    "MAX_IMAGE",
    "MAX_NOTEBOOK",
    "REMOTE_PICTURE",
    "Minutes",
    "build_decks",
    "build_plan",
    "cell_tracks",
    "compare_machines",
    "find_notebooks",
    "header_line",
    "image_sizes",
    "mark",
    "measure_topic",
    "minutes",
    "publish",
    "questions",
    "read_notebook",
    "refresh_notebooks",
    "table_row",
    "train_topic",
    "write_tracks",
]
