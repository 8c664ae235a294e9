"""The course's public address, and what depends on it in every notebook: the badge and the set-up cell.

The repository (``[project.urls]``) and its branch or tag (``[tool.course]``) stand in pyproject.toml and nowhere else;
:func:`publish` changes them there and stamps all notebooks, so that "Open in Colab" and the set-up cell fetch the same.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from .citing import UNPUBLISHED, cited
from .notebooks import read_notebook

__all__ = [
    "UNPUBLISHED",
    "badge",
    "blob_address",
    "check_published",
    "publish",
    "repository",
    "setup_cell",
    "stamp",
    "version",
]

_ADDRESS = re.compile(r'(?m)^(Repository = "https://github\.com/)([\w.-]+/[\w.-]+)(")$')
_VERSION = re.compile(r'(?m)^(\[tool\.course\]\n(?:#.*\n)*version = ")([^"\n]+)(")$')
# What may stand in an address as it is. Git allows more, and forbids some of this: two dots, an end in .lock.
_BRANCH_OR_TAG = re.compile(r"(?!.*(?:\.\.|\.lock(?:/|$)|\.(?:/|$)))\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)
_BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)")

# Only core Python, since it runs before anything is installed, and an exception of its own, since the sentences for
# whatever can go wrong are what a learner reads. The course comes from course.zip if that was uploaded, else from its
# address, or from the one that COURSE_REPOSITORY (OWNER/REPO, or what git can clone) and COURSE_VERSION name. It
# becomes the folder "course" when it is whole, so that what was interrupted is fetched again. "main" stands for the
# repository's default branch, whatever its name. What is missing then, the course's own installation.py gives to pip.
_SETUP_CELL = """\
# Set-up: the same cell in every notebook. On Colab it fetches the course; elsewhere it does nothing.
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


class NotReady(Exception):
    def _render_traceback_(self):  # Jupyter shows the sentences alone
        return [str(self)]


if "google.colab" in sys.modules and importlib.util.find_spec("course_utils") is None:
    version = os.environ.get("COURSE_VERSION", "VERSION")
    source = os.environ.get("COURSE_REPOSITORY", "REPOSITORY")
    source = source if ":" in source else f"https://github.com/{source}"
    clone = ["git", "clone", "--quiet", "--depth=1", *([] if version == "main" else ["--branch", version])]
    quiet = {"capture_output": True, "text": True, "env": {**os.environ, "GIT_TERMINAL_PROMPT": "0"}}
    try:
        if not os.path.exists("course/course_utils/installation.py"):
            with TemporaryDirectory(dir=".") as part:
                if os.path.exists("course"):
                    raise ValueError("a folder course is here that is something else; delete or rename it")
                elif os.path.exists("course.zip"):
                    source = "course.zip"
                    shutil.unpack_archive(source, part)
                elif "/OWNER/" in source:
                    raise ValueError("this copy of the course has no address yet")
                elif not shutil.which("git"):
                    raise ValueError("there is no git on this machine")
                else:
                    subprocess.run([*clone, source, f"{part}/course"], check=True, **quiet)
                next(Path(part).rglob("course_utils/installation.py")).parents[1].rename("course")
    except Exception as error:
        why = getattr(error, "stderr", "") or str(error) or "there is no course_utils in it"
        why = "no public repository has this address" if "Username" in why else why
        why = (why.partition("fatal: ")[2] or why).split("\\n")[0]
        raise NotReady(
            f"The course was not fetched from {source}: {why}.\\n"
            "Ask whoever gave you this notebook for course.zip, upload it (Files, on the left), run this cell again;\\n"
            "or name another copy in a cell above, %env COURSE_REPOSITORY=owner/repo, and run both cells.\\n"
            "Lecturers: python -m course_utils publish owner/repo writes the address into all notebooks."
        ) from None
    install = [sys.executable, "-m", "course_utils.installation"]
    done = subprocess.run(install, cwd="course", check=False, **quiet)
    if done.returncode:
        raise NotReady(
            f"The folder course is not ready: {done.stderr.strip()}\\n"
            "Run this cell again; if that does not help, delete the folder first (Files, on the left)."
        )
    sys.path.insert(0, os.path.abspath("course"))"""


def repository(root: Path) -> str:
    """Return the public repository, "OWNER/REPO", that pyproject.toml names."""
    return _stored(
        root, _ADDRESS, f'pyproject.toml lacks the line `Repository = "https://github.com/{UNPUBLISHED}"`.'
    )


def version(root: Path) -> str:
    """Return the branch or tag that pyproject.toml names; "main" is the default branch."""
    return _stored(root, _VERSION, 'pyproject.toml lacks the lines `[tool.course]` and `version = "main"`.')


def blob_address(root: Path) -> str | None:
    """Return the address at which GitHub shows the repository's files, with a slash at its end; None if it has none."""
    address = repository(root)
    return None if address == UNPUBLISHED else f"https://github.com/{address}/blob/{version(root)}/"


def _stored(root: Path, line: re.Pattern, fault: str) -> str:
    found = line.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(fault)
    return found[2]


def setup_cell(address: str, version: str = "main") -> str:
    """Return the text of the set-up cell for a repository "OWNER/REPO" and its branch or tag."""
    return _SETUP_CELL.replace('"REPOSITORY")', f'"{address}")').replace('"VERSION")', f'"{version}")')


def badge(address: str, notebook: str, version: str = "main") -> str:
    """Return the Markdown of the "Open in Colab" badge of a notebook, named with its ending."""
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    page = f"https://colab.research.google.com/github/{address}/blob/{version}/notebooks/{notebook}"
    return f"[![Open in Colab]({picture})]({page})"


def stamp(path: Path, address: str, version: str = "main") -> bool:
    """Write badge and set-up cell into a notebook; return whether that changed it.

    Raises:
        ValueError: the notebook has no badge in its first cell, or not exactly one cell tagged "setup".
    """
    text = _stamped(path, address, version)
    changed = text is not None
    if changed:
        path.write_text(text, encoding="utf-8")
    return changed


def _stamped(path: Path, address: str, version: str) -> str | None:
    """Return the notebook's new text, or None where badge and set-up cell are these already."""
    notebook = read_notebook(path)
    before = nbformat.writes(notebook)
    first = notebook.cells[0]
    if not _BADGE.search(first.source):
        raise ValueError(f'{path.name} has no "Open in Colab" badge in its first cell.')
    first.source = _BADGE.sub(lambda _: badge(address, path.name, version), first.source)
    cells = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f'{path.name} has {len(cells)} cells tagged "setup"; there must be one.')
    cells[0].source = setup_cell(address, version)
    after = nbformat.writes(notebook)
    return None if after == before else after.rstrip("\n") + "\n"


def publish(root: Path, address: str | None = None, to: str | None = None) -> list[str]:
    """Make ``address``, "OWNER/REPO", the course's public repository; return the names of changed files.

    Args:
        root: the course's folder.
        address: by default the one that pyproject.toml names.
        to: the branch or tag; by default the one that pyproject.toml names.

    Raises:
        ValueError: one is not of its form, or a notebook has no place for it. Nothing was changed then.
    """
    address, to = _named(root, address, to)
    project = root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    new = _ADDRESS.sub(rf"\g<1>{address}\g<3>", text)
    new = _VERSION.sub(rf"\g<1>{to}\g<3>", new)
    citation = root / "CITATION.cff"
    texts = {project: new if new != text else None, citation: cited(citation, address)}
    texts |= {path: _stamped(path, address, to) for path in _notebooks(root)}
    changed = {path: text for path, text in texts.items() if text is not None}
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return [path.name for path in changed]


def check_published(root: Path, address: str | None = None, to: str | None = None) -> list[str]:
    """Return what keeps a release from being one: sentences, none if the notebooks fetch what was released.

    Args:
        root: the course's folder.
        address: "OWNER/REPO" as it should be; by default any, but for this placeholder itself.
        to: the branch or tag as it should be; by default any.
    """
    there, branch = repository(root), version(root)
    address, to = _named(root, address, to)
    if there == UNPUBLISHED:
        return [
            f"pyproject.toml still says {UNPUBLISHED}: run `python -m course_utils publish OWNER/REPO` with the "
            "repository's name, and commit."
        ]
    faults = []
    if there != address:
        faults.append(f"The notebooks fetch the course from {there}, but this is {address}.")
    if branch != to:
        faults.append(f"The notebooks fetch the version {branch}, but this is {to}.")
    stale = [path.name for path in _notebooks(root) if _stamped(path, there, branch) is not None]
    if stale:
        faults.append(
            f"Badge or set-up cell are not those of {there}, version {branch}, in {', '.join(stale)}."
        )
    if faults:
        faults.append(f"Run `python -m course_utils publish {address} --version {to}`, and commit.")
    return faults


def _named(root: Path, address: str | None, to: str | None) -> tuple[str, str]:
    """Return repository and version, those of pyproject.toml where none is given."""
    if address is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", address):
        raise ValueError(
            f'the repository must have the form OWNER/REPO, such as "ada/course", got {address!r}.'
        )
    if to is not None and not _BRANCH_OR_TAG.fullmatch(to):
        raise ValueError(
            f'the version must be the name of a branch or tag, such as "main", "v1.0" or "release/2026", got {to!r}.'
        )
    there, branch = repository(root), version(root)
    return address or there, to or branch


def _notebooks(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("*.ipynb"))
