"""Each notebook opened alone, as on Colab: the set-up cell fetches the course, installs what is missing, and all runs.

Colab is played by a fresh virtual environment that has what Colab brings (torch and the rest, as links to the
packages of these tests) but neither the course nor jupyterquiz, and in which a module ``google.colab`` is loaded.
The course comes from a bare repository on disk and the missing package from a wheel, so nothing leaves this
machine. One notebook runs by default; `pytest -m colab tests/notebooks/test_colab.py` runs them all.
"""

import os
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MISSING = "jupyterquiz"
STAND_IN = "import sys, types; sys.modules.setdefault('google.colab', types.ModuleType('google.colab'))\n"
CASES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.colab] if number else [])
    for number, path in enumerate(NOTEBOOKS)
]

# Run before and after the set-up cell is run a second time.
STATE = """\
import importlib.metadata, os, torch
course_state = (list(sys.path), sorted(d.name + d.version for d in importlib.metadata.distributions()),
                os.stat("course").st_mtime_ns, torch.__version__)
"""
SAME = (
    "course_state_before = course_state\n" + STATE + "assert course_state == course_state_before, 'changed'"
)


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A bare repository with the course's files as they are now, committed or not."""
    folder = tmp_path_factory.mktemp("repository")
    source, bare = folder / "source", folder / "course.git"
    for name in ("course_utils", "data", "notebooks"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        )
    for name in ("requirements.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The course"]):
        subprocess.run([*git, *command], cwd=source, check=True)
    subprocess.run([*git, "clone", "-q", "--bare", str(source), str(bare)], check=True)
    return f"file://{bare}"


@pytest.fixture(scope="session")
def colab(tmp_path_factory):
    """The virtual environment; returns its Python and the folder with the missing package's wheel."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "venv", with_pip=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for entry in Path(metadata.distribution("torch").locate_file("")).iterdir():
        hidden = entry.name.lower().startswith(
            (MISSING, "course_utils", "__editable__", "_distutils", "distutils-")
        )
        if not hidden and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    (site / "stand_in_for_colab.pth").write_text(STAND_IN)
    return folder / "venv" / "bin" / "python", _wheel(folder / "wheels")


def _wheel(folder: Path) -> Path:
    """Pack the installed distribution that the environment lacks into a wheel again."""
    distribution = metadata.distribution(MISSING)
    folder.mkdir()
    name = f"{MISSING}-{distribution.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for file in distribution.files:
            if file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                wheel.write(file.locate(), str(file))
    return folder


@pytest.mark.skipif(not NOTEBOOKS, reason="there are no notebooks")
@pytest.mark.parametrize("path", CASES)
def test_a_notebook_alone_on_colab(path, repository, colab, tmp_path, record_property):
    python, wheels = colab
    shutil.copy(path, tmp_path)
    notebook = nbformat.read(tmp_path / path.name, as_version=4)
    (place,) = [i for i, cell in enumerate(notebook.cells) if "setup" in cell.metadata.get("tags", [])]
    setup = notebook.cells[place].source
    again = [nbformat.v4.new_code_cell(source) for source in (STATE, setup, SAME)]
    notebook.cells[place + 1 : place + 1] = again

    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client = NotebookClient(
        notebook, km=manager, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    environment = {
        **os.environ,
        "COURSE_REPOSITORY": repository,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
    }
    start = time.perf_counter()
    client.execute(env=environment)
    seconds = time.perf_counter() - start
    record_property(
        "summary: On a stand-in for Colab", [f"{path.stem}: {seconds:.0f} s, from an empty folder"]
    )

    assert (tmp_path / "course" / "course_utils").is_dir()
    check = "import jupyterquiz, torch; print(jupyterquiz.__file__); print(torch.__version__)"
    found = subprocess.run(
        [python, "-c", check], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    quiz, torch_version = found.split()
    assert quiz.startswith(str(python.parents[1])), (
        "the missing package was installed into Colab's environment"
    )
    assert (
        torch_version
        == subprocess.run(
            [sys.executable, "-c", "import torch; print(torch.__version__)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    ), "torch was left as it was"
