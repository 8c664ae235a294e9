"""Settings for all tests. What keeps them off the network and on one thread is course_utils.sandbox (see pyproject)."""

import os

from hypothesis import settings

# Figures are drawn to memory, also in the tests' own process.
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples in every run, and no time limit for one: a test that fails on a slow day says nothing.
settings.register_profile("course", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("course")
