"""Check that everything the notebooks need is installed, and say what is missing and what to do.

``python -m course_utils.installation`` installs it on Colab, where the notebooks' set-up cell calls it.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from course_utils.assets import ROOT

__all__ = ["Installation", "check_installation", "install_missing"]

OLDEST_PYTHON = (3, 10)


@dataclass(frozen=True)
class Installation:
    """What :func:`check_installation` found: rows of (name, needed, found, fine)."""

    rows: list[tuple[str, str, str, bool]]

    @property
    def missing(self) -> list[str]:
        """Names of what is missing or too old."""
        return [name for name, _, _, fine in self.rows if not fine]

    @property
    def advice(self) -> str:
        """A sentence that says what to do."""
        if not self.missing:
            return "Everything the notebooks need is here."
        if "Python" in self.missing:
            return f"Python {sys.version.split()[0]} is too old for the course: install 3.10 or newer first."
        python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
        return (
            f"Missing or too old: {', '.join(self.missing)}. In the course's folder, run `{python} -m pip "
            "install -r requirements.txt`, then restart the kernel (menu Kernel, Restart)."
        )

    def __repr__(self) -> str:
        lines = [
            f"{'ok ' if fine else 'NO '} {name:34} needed {needed:10} found {found}"
            for name, needed, found, fine in self.rows
        ]
        return "\n".join([*lines, self.advice])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{'✓' if fine else '✗ missing'}</td><td>{html.escape(name)}</td><td>{html.escape(needed)}</td>"
            f"<td>{html.escape(found)}</td></tr>"
            for name, needed, found, fine in self.rows
        )
        head = "<tr><th></th><th>what</th><th>needed</th><th>found</th></tr>"
        table = f"<details><summary>Details</summary><table>{head}{cells}</table></details>"
        return f"<b>{html.escape(self.advice)}</b>{table}"


def check_installation(requirements: Path | None = None) -> Installation:
    """Compare this Python and its packages with ``requirements.txt``. Imports none of them but packaging.

    packaging compares versions; where it is missing itself, that is said, and the others only need to be there.

    Args:
        requirements: the file with lines such as ``torch>=2.4``; by default the course's own.
    """
    requirements = requirements or ROOT / "requirements.txt"
    needed = ".".join(map(str, OLDEST_PYTHON))
    python = ".".join(map(str, sys.version_info[:3]))
    rows = [("Python", needed, python, sys.version_info[:2] >= OLDEST_PYTHON)]
    for line in requirements.read_text(encoding="utf-8").splitlines():
        match = re.match(r"\s*([\w.-]+)\s*>=\s*([\d.]+)", line)
        if match:
            rows.append(_package(*match.groups()))
    return Installation(rows)


def _package(name: str, needed: str) -> tuple[str, str, str, bool]:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return name, needed, "not installed", False
    try:
        from packaging.version import Version

        # Without what follows the release's numbers: a build that calls itself "2.4.0a0+lab" has what 2.4 has.
        fine = Version(Version(found).base_version) >= Version(needed)
    except ImportError:
        fine = name != "packaging"
    except ValueError:  # it calls itself something that is no version
        fine = False
    return name, needed, found, fine


def install_missing(requirements: Path | None = None) -> None:
    """Install what the notebooks need on Colab, if something is missing or too old.

    pip gets the lines of ``requirements.txt`` together, as lower bounds, which keeps what is new enough: the torch
    that Colab brings, above all. JupyterLab is not for Colab.

    Args:
        requirements: the file with lines such as ``torch>=2.4``; by default the course's own.

    Raises:
        RuntimeError: there is no such file, Python is too old, or pip fails.
    """
    requirements = requirements or ROOT / "requirements.txt"
    if not requirements.is_file():
        raise RuntimeError(f"it has no {requirements.name}, so it is not the whole course.")
    found = check_installation(requirements)
    missing = [name for name in found.missing if name != "jupyterlab"]
    if "Python" in missing:
        raise RuntimeError(found.advice)
    if not missing:
        return
    lines = [line.strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    needed = [line for line in lines if ">=" in line and not line.startswith(("#", "jupyterlab"))]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *needed], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
        raise RuntimeError(
            f"pip could not install {', '.join(missing)}; it says: {(errors or said)[-1].strip()}"
        )


if __name__ == "__main__":
    try:
        install_missing()
    except RuntimeError as error:
        sys.exit(str(error))
