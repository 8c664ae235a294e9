"""The course's public address, and what depends on it in every notebook: the badge and the set-up cell.

The address stands in pyproject.toml (``[project.urls]``) and nowhere else; :func:`publish` changes it there
and stamps all notebooks, so that "Open in Colab" and the set-up cell fetch the same repository.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from .notebooks import read_notebook

__all__ = ["badge", "publish", "repository", "setup_cell", "stamp"]

_ADDRESS = re.compile(r'(?m)^(Repository = "https://github\.com/)([\w.-]+/[\w.-]+)(")$')
_BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)")

# Only core Python, since it runs before anything is installed. On Colab the course's requirements
# are handed to pip one by one, as lower bounds, which keeps the torch that Colab brings; JupyterLab
# is not for Colab. COURSE_REPOSITORY lets a lecturer fetch a copy of their own.
_SETUP_CELL = """\
# Set-up: the same cell in every notebook. On Colab it fetches the course; elsewhere it does nothing.
import importlib.util
import os
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("course_utils") is None:
    if not os.path.isdir("course"):
        address = os.environ.get("COURSE_REPOSITORY", "https://github.com/REPOSITORY")
        subprocess.run(["git", "clone", "--quiet", "--depth=1", address, "course"], check=True)
    with open("course/requirements.txt") as lines:
        needed = [line.strip() for line in lines if ">=" in line and "jupyterlab" not in line]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *needed], check=True)
    sys.path.insert(0, os.path.abspath("course"))"""


def repository(root: Path) -> str:
    """Return the public repository, "OWNER/REPO", that pyproject.toml names."""
    found = _ADDRESS.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError('pyproject.toml lacks the line `Repository = "https://github.com/OWNER/REPO"`.')
    return found[2]


def setup_cell(address: str) -> str:
    """Return the text of the set-up cell for a repository "OWNER/REPO"."""
    return _SETUP_CELL.replace('REPOSITORY")', f'{address}")')


def badge(address: str, notebook: str) -> str:
    """Return the Markdown of the "Open in Colab" badge of a notebook, named with its ending."""
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    page = f"https://colab.research.google.com/github/{address}/blob/main/notebooks/{notebook}"
    return f"[![Open in Colab]({picture})]({page})"


def stamp(path: Path, address: str) -> bool:
    """Write badge and set-up cell into a notebook; return whether that changed it.

    Raises:
        ValueError: the notebook has no badge in its first cell, or not exactly one cell tagged "setup".
    """
    notebook = read_notebook(path)
    before = nbformat.writes(notebook)
    first = notebook.cells[0]
    if not _BADGE.search(first.source):
        raise ValueError(f'{path.name} has no "Open in Colab" badge in its first cell.')
    first.source = _BADGE.sub(lambda _: badge(address, path.name), first.source)
    cells = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f'{path.name} has {len(cells)} cells tagged "setup"; there must be one.')
    cells[0].source = setup_cell(address)
    after = nbformat.writes(notebook)
    if after != before:
        path.write_text(after.rstrip("\n") + "\n", encoding="utf-8")
    return after != before


def publish(root: Path, address: str) -> list[str]:
    """Make ``address``, "OWNER/REPO", the course's public repository; return the names of changed files.

    Raises:
        ValueError: not of that form.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", address):
        raise ValueError(
            f'the repository must have the form OWNER/REPO, such as "ada/course", got {address!r}.'
        )
    project = root / "pyproject.toml"
    changed = []
    if repository(root) != address:
        text = project.read_text(encoding="utf-8")
        project.write_text(_ADDRESS.sub(rf"\g<1>{address}\g<3>", text), encoding="utf-8")
        changed.append(project.name)
    return changed + [
        path.name for path in sorted((root / "notebooks").glob("*.ipynb")) if stamp(path, address)
    ]
