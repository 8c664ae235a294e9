"""A room without internet: the course installed from a folder that `wheelhouse` filled, and notebook 00 run there.

Minutes, and 10 GB in TMPDIR while it runs: `pytest -m wheelhouse tests/notebooks/test_wheelhouse.py`. Packages come
from pip's indexes and cache. Everything else is refused the network: pip has a proxy where nothing listens, and
kernels the guard of all tests.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from course_utils.authoring.sandbox import PROXIES, confine

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9"  # the port of "discard", where nothing listens


@pytest.fixture
def room(tmp_path_factory):
    """A folder whose path has spaces and letters that are not English ones, emptied afterwards: it holds 10 GB."""
    folder = tmp_path_factory.mktemp("room") / "Kurs für alle"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def without_network() -> dict[str, str]:
    """Settings in which neither pip nor Python reaches another machine; pip's own lead nowhere."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHONPATH"))
    }
    confine(environ)
    return {**environ, **dict.fromkeys(PROXIES, NOWHERE), "PIP_CONFIG_FILE": os.devnull, "no_proxy": ""}


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@pytest.mark.wheelhouse
def test_the_course_installs_from_the_folder_and_runs(room, record_property):
    course, wheels = room / "course", room / "wheels"
    course.mkdir()
    for name in ("course_utils", "data", "notebooks"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, course)
    lines, start = [], time.perf_counter()

    def took(what: str, folder: Path) -> None:
        nonlocal start
        lines.append(f"{what}: {time.perf_counter() - start:.0f} s, {megabytes(folder):,.0f} MB")
        start = time.perf_counter()

    make = [sys.executable, "-m", "course_utils", "wheelhouse", "--out", str(wheels)]
    unguarded = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    made = subprocess.run(make, cwd=course, env=unguarded, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    took("to fetch", wheels)

    venv.create(room / ".venv", with_pip=True)
    python = room / ".venv" / "bin" / "python"
    text = (wheels / "INSTALL.txt").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in text if line.startswith("python -m pip")]
    words = [str(python), *shlex.split(line)[1:]]
    installed = subprocess.run(
        words, cwd=course, env=without_network(), capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stdout[-2000:] + installed.stderr
    took("to install", room / ".venv")

    notebook = nbformat.read(course / "notebooks" / "00_start_here.ipynb", as_version=4)
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    folder = str(course / "notebooks")
    client = NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": folder}})
    client.execute(env=without_network())
    took("notebook 00", room)
    outputs = [str(output) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("Everything the notebooks need is here." in output for output in outputs)
    record_property("summary: In a room without internet", lines)

    # The kernel was refused the network, and took everything from the new environment.
    check = "import socket, torch; print(torch.__file__); socket.create_connection(('192.0.2.1', 80), 5)"
    asked = subprocess.run(
        [python, "-c", check], env=without_network(), capture_output=True, text=True, check=False
    )
    assert asked.stdout.startswith(str(room)) and "The network is switched off here" in asked.stderr
