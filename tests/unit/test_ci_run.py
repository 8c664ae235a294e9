"""The logic of .ci/run, with a stub in place of Python, pip and pytest: nothing is installed here."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "pip install -r requirements.txt -e '.[test]' && pytest"

# "python3 -m venv FOLDER" makes an environment whose pip, pytest and python say how they were called.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit $OLD; fi
if [ "$1" = --version ]; then echo Python 3.9.1; exit; fi
mkdir -p "$3/bin"
for name in pip pytest python; do cp "$STUBS/tool" "$3/bin/$name"; done
exit $NO_VENV
"""
TOOL = """#!/bin/sh
name=$(basename "$0")
echo "$name($*) in $(pwd), CI=$CI, PYTHONPATH=$PYTHONPATH, input: $(cat)"
if [ -n "$ATEN_CPU_CAPABILITY" ]; then echo "on an old processor"; exit $OLD_PROCESSOR_STATUS; fi
case "$name" in pip) exit $PIP;; pytest) exit $PYTEST;; python) exit $MACHINES;; esac
"""
# Programs that .ci/run and the stubs call; no other is on their PATH, least of all the real apt-get.
PROGRAMS = [
    "bash",
    "basename",
    "cat",
    "cp",
    "dirname",
    "env",
    "mkdir",
    "mktemp",
    "rm",
    "sh",
    "touch",
    "chmod",
]
APT_GET = """#!/bin/sh
echo "apt-get($*)"
if [ "$1" = install ]; then
    for name in $APT_BRINGS; do touch "$STUBS/$name"; chmod +x "$STUBS/$name"; done
fi
"""


@pytest.fixture
def run(tmp_path):
    """Call .ci/run with stubs; returns the finished process and whether the temporary folder is clean."""
    stubs, scratch, programs = (tmp_path / name for name in ("stubs", "scratch", "programs"))
    for folder in (stubs, scratch, programs):
        folder.mkdir()
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        (stubs / name).write_text(PYTHON)
    (stubs / "tool").write_text(TOOL)
    (stubs / "apt-get").write_text(APT_GET)
    (stubs / "id").write_text("#!/bin/sh\necho $USER_ID\n")
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))
    for file in stubs.iterdir():
        file.chmod(file.stat().st_mode | stat.S_IEXEC)

    def call(
        pip=0, pytest=0, machines=0, old_processor=0,
        old=0, no_venv=0, there=("chromium", "npm"), user=0, apt_brings="",
    ):  # fmt: skip
        for name in there:
            (stubs / name).touch(0o755)
        # These very tests also run with the arithmetic of an old processor: that setting is .ci/run's to make.
        inherited = {key: value for key, value in os.environ.items() if key != "ATEN_CPU_CAPABILITY"}
        environ = {
            **inherited,
            **{"PIP": str(pip), "PYTEST": str(pytest), "OLD": str(old), "NO_VENV": str(no_venv)},
            **{"MACHINES": str(machines), "OLD_PROCESSOR_STATUS": str(old_processor)},
            **{"STUBS": str(stubs), "TMPDIR": str(scratch), "PYTHONPATH": "/leaks"},
            **{"USER_ID": str(user), "APT_BRINGS": apt_brings},
            "PATH": f"{stubs}{os.pathsep}{programs}",
        }
        done = subprocess.run(
            [ROOT / ".ci" / "run"],
            env=environ, cwd=tmp_path, capture_output=True, text=True, input="typed", check=False,
        )  # fmt: skip
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
    cores, _, site, _, machines, _, unit, processor, _, room, _ = rest[2:]
    assert cores.startswith("pytest(-n 2 -m core tests/notebooks/test_tracks.py)")
    assert site.startswith("pytest(-n 2 -m site tests/browser/test_site.py)")
    assert machines.startswith(
        "python(-m course_utils notebooks --machines --only SSE 4.1 --only weights times"
    )
    assert unit.startswith("pytest(tests/unit)") and processor == "on an old processor"
    assert room.startswith("pytest(-n 0 -m wheelhouse tests/notebooks/test_wheelhouse.py)")


@pytest.mark.parametrize("command", ["pytest", "machines", "old_processor"])
def test_the_status_is_that_of_the_first_command_that_fails(run, command):
    done = run(**{command: 5})
    assert done.returncode == 5
    assert done.stdout.splitlines()[-1].endswith("ended with status 5.")


def test_after_tests_that_failed_nothing_further_is_run(run):
    assert "course_utils" not in run(pytest=1).stdout
    assert "on an old processor" not in run(machines=1).stdout


def test_chromium_and_npm_are_installed_where_missing(run):
    done = run(there=(), apt_brings="chromium npm")
    assert done.returncode == 0, done.stderr
    assert "apt-get(install --yes --no-install-recommends chromium npm)" in done.stdout
    assert "pytest()" in done.stdout


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_nothing_is_installed_where_a_browser_is_there(run, name):
    done = run(there=(name, "npm"))
    assert done.returncode == 0, done.stderr
    assert "apt-get" not in done.stdout


@pytest.mark.parametrize(
    ("options", "status", "words", "never"),
    [
        ({"pip": 2}, 2, ["no test was run"], "pytest("),
        ({"old": 1}, 1, ["3.10 to 3.13", "Python 3.9.1"], "pip("),
        ({"no_venv": 1}, 1, ["python3-venv"], "pip("),
        # A missing browser fails before anything is installed: by another user than root, or by an idle apt-get.
        ({"there": ["npm"], "user": 1000, "apt_brings": "chromium"}, 1, ["need chromium on PATH"], "pip("),
        ({"there": ["chromium"], "user": 1000, "apt_brings": "npm"}, 1, ["need npm on PATH"], "pip("),
        ({"there": ["npm"]}, 1, ["need chromium on PATH"], "pip("),
    ],
)
def test_what_is_missing_is_named_and_nothing_further_is_run(run, options, status, words, never):
    done = run(**options)
    assert done.returncode == status
    assert all(part in done.stderr for part in words)
    assert never not in done.stdout


def test_the_command_is_the_one_in_the_readme():
    assert f'COMMAND="{COMMAND}"' in (ROOT / ".ci" / "run").read_text()
    readme = ROOT / "README.md"
    assert COMMAND in readme.read_text(), "README.md must show the command that .ci/run runs."
