"""What pytest does differently here; pyproject.toml names this module (``-p``).

It is a plugin rather than a conftest.py so that notebooks/ needs no file of its own for
``pytest notebooks/NN_name.ipynb`` to run under the same guard as ``pytest``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import confine, sitecustomize

WORKERS = 2


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
