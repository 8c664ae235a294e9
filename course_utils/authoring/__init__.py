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
    kernel_client,
    read_notebook,
    read_quiz,
    refresh_notebooks,
    started,
)
from .pages import HEADING, MAX_LINES, MAX_WORDS, REMOTE_PICTURE, count_words, pages_of, polls_of
from .plans import find_plans, read_plan, section_cells
from .publishing import blob_address, check_published, publish
from .rewrapping import rewrapped, two_rows
from .slides import build_decks, build_plan, library_files
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
    "HEADING",
    "HIDDEN",
    "MAX_IMAGE",
    "MAX_LINES",
    "MAX_NOTEBOOK",
    "MAX_WORDS",
    "REMOTE_PICTURE",
    "Minutes",
    "blob_address",
    "build_decks",
    "build_plan",
    "cell_tracks",
    "check_published",
    "compare_machines",
    "count_words",
    "find_notebooks",
    "find_plans",
    "header_line",
    "image_sizes",
    "kernel_client",
    "library_files",
    "mark",
    "measure_topic",
    "minutes",
    "pages_of",
    "polls_of",
    "publish",
    "questions",
    "read_notebook",
    "read_plan",
    "read_quiz",
    "refresh_notebooks",
    "rewrapped",
    "section_cells",
    "started",
    "table_row",
    "train_topic",
    "two_rows",
    "write_tracks",
]
