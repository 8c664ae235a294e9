"""ruff finds nothing to say about the package, the tests and the notebooks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [name for name in ("course_utils", "tests", "notebooks") if (ROOT / name).is_dir()]


def ruff(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ruff", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=["check", "format"])
def test_clean(command):
    done = ruff(*command, "--no-cache", *FOLDERS)
    assert done.returncode == 0, f"ruff {' '.join(command)}:\n{done.stdout}{done.stderr}"


def test_ruff_reads_notebooks(tmp_path):
    notebook = '{"cells": [{"cell_type": "code", "source": ["import os"], "metadata": {}, "outputs": [], '
    notebook += '"execution_count": null}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    (tmp_path / "unused.ipynb").write_text(notebook)
    done = ruff("check", "--no-cache", "--select", "F", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "F401" in done.stdout
