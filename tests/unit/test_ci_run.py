"""The logic of .ci/run, with a stub in place of Python, pip and pytest: nothing is installed here."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "pip install -r requirements.txt -e '.[test]' && pytest"

# "python3 -m venv FOLDER" makes an environment with a pip and a pytest that say how they were called.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit $OLD; fi
if [ "$1" = --version ]; then echo Python 3.9.1; exit; fi
mkdir -p "$3/bin"
for name in pip pytest; do cp "$STUBS/tool" "$3/bin/$name"; done
exit $NO_VENV
"""
TOOL = """#!/bin/sh
name=$(basename "$0")
echo "$name($*) in $(pwd), CI=$CI, PYTHONPATH=$PYTHONPATH, input: $(cat)"
if [ "$name" = pip ]; then exit $PIP; fi
exit $PYTEST
"""


@pytest.fixture
def run(tmp_path):
    """Call .ci/run with stubs; returns the finished process and whether the temporary folder is clean."""
    stubs, scratch = tmp_path / "stubs", tmp_path / "scratch"
    stubs.mkdir()
    scratch.mkdir()
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        (stubs / name).write_text(PYTHON)
    (stubs / "tool").write_text(TOOL)
    for file in stubs.iterdir():
        file.chmod(file.stat().st_mode | stat.S_IEXEC)

    def call(pip=0, pytest=0, old=0, no_venv=0):
        environ = {
            **os.environ,
            **{"PIP": str(pip), "PYTEST": str(pytest), "OLD": str(old), "NO_VENV": str(no_venv)},
            **{"STUBS": str(stubs), "TMPDIR": str(scratch), "PYTHONPATH": "/leaks"},
            "PATH": f"{stubs}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [ROOT / ".ci" / "run"],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            input="typed",
            check=False,
        )
        assert list(scratch.iterdir()) == [], "the environment was left behind"
        return done

    return call


def test_success(run):
    done = run()
    assert done.returncode == 0, done.stderr
    installed, tested, *rest = done.stdout.splitlines()
    assert (
        installed == f"pip(install -r requirements.txt -e .[test]) in {ROOT}, CI=true, PYTHONPATH=, input: "
    )
    assert tested == f"pytest() in {ROOT}, CI=true, PYTHONPATH=, input: "
    assert "installing took 0 s" in rest[0] or "installing took 1 s" in rest[0]
    assert "ended with status 0" in rest[1]


def test_the_status_is_that_of_pytest(run):
    done = run(pytest=5)
    assert done.returncode == 5
    assert "ended with status 5" in done.stdout


def test_a_failed_installation_runs_no_tests(run):
    done = run(pip=2)
    assert done.returncode == 2
    assert "pytest(" not in done.stdout
    assert "no test was run" in done.stderr


def test_an_unsuitable_python_is_named(run):
    done = run(old=1)
    assert done.returncode == 1
    assert "3.10 to 3.13" in done.stderr and "Python 3.9.1" in done.stderr


def test_a_python_without_venv_is_explained(run):
    done = run(no_venv=1)
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_the_command_is_the_one_in_the_readme():
    assert f'COMMAND="{COMMAND}"' in (ROOT / ".ci" / "run").read_text()
    readme = ROOT / "README.md"
    assert COMMAND in readme.read_text(), "README.md must show the command that .ci/run runs."
