"""What pytest does differently here; pyproject.toml names this module (``-p``).

It is a plugin rather than a conftest.py so that notebooks/ needs no file of its own for
``pytest notebooks/NN_name.ipynb`` to run under the same guard as ``pytest``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from course_utils.authoring.sandbox import sitecustomize

from . import confine

WORKERS = 2
# What lasts longest comes first, so that no worker is left with it in the end.
LONGEST = (
    "tests/browser/",
    "tests/unit/test_widgets_on_older_ipywidgets.py",
    "tests/notebooks/test_colab.py",
    "notebooks/",
)
# Each of these files has a test for each notebook. Together they take longer than all unit tests.
ONE_BY_ONE = (
    "tests/browser/test_accessibility.py",
    "tests/browser/test_notebooks_in_lab.py",
    "tests/notebooks/test_tracks.py::test_the_core_runs_alone",
)


class Scheduling(LoadFileScheduling):
    """A file's tests stay with one worker, but for those that take long and can run on their own."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.split("::", 1)[0]


def pytest_configure(config: pytest.Config) -> None:
    """Guard the test process and all that it starts; one thread each, for two of them run at once."""
    confine(os.environ, None if "OMP_NUM_THREADS" in os.environ else 1)
    sitecustomize.install()


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What ``-n auto`` means: no workers for single named files, which are quicker without."""
    named = config.args_source == pytest.Config.ArgsSource.ARGS
    files = [Path(argument.split("::")[0]).suffix for argument in config.args]
    return 0 if named and all(files) else WORKERS


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """What ``--dist loadfile`` means."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest tests to the front, and leave the others in their order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
