"""The conditions under which machines run the course's code: no network, a fixed number of threads.

Used by ``python -m course_utils`` when it executes notebooks, and by pytest through `pytest_plugin`.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parent)
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")


def confine(environ: MutableMapping[str, str], threads: int | None = None) -> None:
    """Change ``environ`` so that a Python started with it reaches no network and uses ``threads`` threads.

    Args:
        environ: environment variables, changed in place; ``os.environ`` or a copy of it.
        threads: for PyTorch and NumPy (``OMP_NUM_THREADS``); None leaves that as it is.
    """
    paths = [p for p in environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != FOLDER]
    environ["PYTHONPATH"] = os.pathsep.join([FOLDER, *paths])
    # A proxy on this machine would be loopback, and a way out.
    for name in list(environ):
        if name.lower() in PROXIES:
            del environ[name]
    # git is not Python, so the guard does not see it.
    environ["GIT_ALLOW_PROTOCOL"] = "file"
    # Threads that wait must not spin: on a busy machine they would keep the others from the cores.
    environ.setdefault("OMP_WAIT_POLICY", "passive")
    if threads is not None:
        environ["OMP_NUM_THREADS"] = str(threads)
