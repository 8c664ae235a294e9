"""The set-up cell on a stand-in for Colab, wherever it might fail: it works where it can, else says what to do.

A fresh Python with a module ``google.colab`` runs the cell's text in an empty folder. GitHub is a bare repository on
disk, with a branch and a tag, each of them another week of the course; git itself sends the address there.
"""

import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from file_server import serving
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course_utils.authoring import publishing

ROOT = Path(__file__).resolve().parents[2]
GITHUB = "https://github.com/ada/course"
WEEKS = {"v1.0": 1, "release/2026": 3, "main": 6}  # a tag, a branch with a slash, the default branch
STAND_IN = """\
import sys, types
sys.modules["google"] = sys.modules["google.colab"] = types.ModuleType("google.colab")
"""
PLAY = (
    STAND_IN
    + """
setup = {cell!r}
try:
    exec(setup)
except Exception as error:
    assert type(error).__name__ == "NotReady", repr(error)
    print(error)
else:
    import course_utils
    print("week", course_utils.week, course_utils.__file__)
"""
)
ADVICE = (
    "\nAsk whoever gave you this notebook for course.zip, upload it (Files, on the left), run this cell again;"
    "\nor name another copy in a cell above, %env COURSE_REPOSITORY=owner/repo, and run both cells."
    "\nLecturers: python -m course_utils publish owner/repo writes the address into all notebooks.\n"
)
AGAIN = "\nRun this cell again; if that does not help, delete the folder first (Files, on the left).\n"
# As git ends where it may not ask for a user's name; and what hangs where it may.
PRIVATE = """#!/bin/sh
[ "$GIT_TERMINAL_PROMPT" = 0 ] || sleep 99
echo "fatal: could not read Username for 'https://github.com': terminal prompts disabled" >&2
exit 128
"""
BREAKS_OFF = """#!/bin/sh
for folder; do :; done
mkdir -p "$folder/course_utils" && touch "$folder/course_utils/installation.py"
echo "error: RPC failed" >&2; echo "fatal: early EOF" >&2; echo "fatal: index-pack failed" >&2
exit 128
"""


def write_course(folder, week, needs="pip>=1"):
    """The little of the course that the set-up cell needs; returns its files by their names."""
    package = folder / "course_utils"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("installation.py", "assets.py"):
        shutil.copy(ROOT / "course_utils" / name, package)
    (package / "__init__.py").write_text(f"week = {week}\n")
    (folder / "requirements.txt").write_text(f"# torch>=999\n{needs}\njupyterlab>=999\n-e .\n")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def git(folder, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "advice.detachedHead=false"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A bare repository with the three weeks."""
    folder = tmp_path_factory.mktemp("github")
    source = folder / "source"
    source.mkdir()
    git(source, "init", "-b", "trunk")
    for version, week in WEEKS.items():
        write_course(source, week)
        git(source, "add", "-A")
        git(source, "commit", "-m", f"Week {week}")
        git(source, "tag" if version.startswith("v") else "branch", version)
    git(folder, "clone", "--bare", str(source), "course.git")
    return folder / "course.git"


@pytest.fixture
def play(tmp_path, bare):
    """Run the cell as it is stamped; returns what it prints."""

    def run(address="ada/course", version="main", git_program=None, files=(), **environment):
        content = tmp_path / "content"
        content.mkdir(exist_ok=True)
        for name, data in dict(files).items():
            (content / name).parent.mkdir(parents=True, exist_ok=True)
            (content / name).write_bytes(data)
        programs = tmp_path / "programs"
        if git_program is not None:
            programs.mkdir(exist_ok=True)
            (programs / "git").write_text(git_program)
            (programs / "git").chmod(0o755)
        # -S leaves out site-packages, and with it the course that is installed for these tests.
        code = PLAY.format(cell=publishing.setup_cell(address, version))
        done = subprocess.run(
            [sys.executable, "-S", "-c", code], cwd=content, capture_output=True, text=True, check=False, timeout=60,
            env={
                "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1", "LC_ALL": "C",
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{bare}.insteadOf",
                "GIT_CONFIG_VALUE_0": GITHUB, "GIT_ALLOW_PROTOCOL": "file:http", **environment,
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.content = tmp_path / "content"
    return run


def packed(files, top="", method=zipfile.ZIP_DEFLATED):
    """Bytes of a zip, with one folder around the files or without."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(top + name, data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def week9(tmp_path_factory):
    return write_course(tmp_path_factory.mktemp("week9"), 9)


def works(play, out, week):
    """The course of that week is in the folder "course", and nothing else was left."""
    expected = f"week {week} {play.content / 'course' / 'course_utils' / '__init__.py'}\n"
    assert out == expected
    left = {path.name for path in play.content.iterdir()}
    assert left in ({"course"}, {"course", "course.zip"})


@pytest.mark.parametrize(
    ("stamped", "environment", "week"),
    [
        (("ada/course", "v1.0"), {}, 1),
        (("ada/course", "release/2026"), {}, 3),
        (("ada/course", "main"), {}, 6),
        (("OWNER/REPO", "main"), {"COURSE_REPOSITORY": "ada/course"}, 6),
        (("grace/fork", "v1.0"), {"COURSE_REPOSITORY": "ada/course"}, 1),
        (("grace/fork", "v1.0"), {"COURSE_REPOSITORY": GITHUB + ".git", "COURSE_VERSION": "release/2026"}, 3),
        (("grace/fork", "release/2026"), {"COURSE_REPOSITORY": "file://BARE"}, 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_it_fetches_the_version_that_the_notebook_or_the_session_names(
    play, bare, stamped, environment, week
):
    environment = {name: value.replace("BARE", str(bare)) for name, value in environment.items()}
    if environment.get("COURSE_REPOSITORY", "").endswith(".git"):
        environment["GIT_CONFIG_VALUE_0"] = environment["COURSE_REPOSITORY"]
    works(play, play(*stamped, **environment), week)


@pytest.mark.parametrize("top", ["", "course-main/", "a/b/"])
def test_course_zip_comes_first_and_needs_no_address(play, week9, top):
    files = {"course.zip": packed(week9, top)}
    works(play, play("OWNER/REPO", "v1.0", files=files, PATH="/nowhere"), 9)


def test_a_path_that_leads_out_of_course_zip_is_left_out(play, week9):
    evil = {"../evil.txt": b"", str(play.content / "evil.txt"): b"", **week9}
    works(play, play(files={"course.zip": packed(evil)}), 9)
    assert not list(play.content.parent.glob("**/evil.txt"))


FAILURES = {
    # what is stamped or set, and what the learner reads
    "unpublished": (
        {"address": "OWNER/REPO", "git_program": "#!/bin/sh\ntouch asked\n"},
        "https://github.com/OWNER/REPO: this copy of the course has no address yet.",
    ),
    "private, misspelt or gone": (
        {"git_program": PRIVATE},
        f"{GITHUB}: no public repository has this address.",
    ),
    "gone, elsewhere": (
        {"COURSE_REPOSITORY": "file:///nowhere/course.git"},
        "file:///nowhere/course.git: '/nowhere/course.git' does not appear to be a git repository.",
    ),
    "gone, on a server": (
        {"COURSE_REPOSITORY": "SERVER/course.git"},
        "SERVER/course.git: repository 'SERVER/course.git/' not found.",
    ),
    "no network": (
        {"COURSE_REPOSITORY": "http://127.0.0.1:9/course.git"},
        "http://127.0.0.1:9/course.git: unable to access 'http://127.0.0.1:9/course.git/': Failed to connect",
    ),
    "no such tag": ({"version": "v9"}, f"{GITHUB}: Remote branch v9 not found in upstream origin."),
    "no such branch": (
        {"COURSE_VERSION": "release/2031"},
        f"{GITHUB}: Remote branch release/2031 not found in upstream origin.",
    ),
    "broken off": ({"git_program": BREAKS_OFF}, f"{GITHUB}: early EOF."),
    "no git": ({"PATH": "/nowhere"}, f"{GITHUB}: there is no git on this machine."),
    "course.zip is none": (
        {"files": {"course.zip": b"<html>"}},
        "course.zip: course.zip is not a zip file.",
    ),
    "course.zip is half": ({"files": {"course.zip": "half"}}, "course.zip: course.zip is not a zip file."),
    "course.zip is damaged": (
        {"files": {"course.zip": "damaged"}},
        "course.zip: Bad CRC-32 for file 'course_utils/",
    ),
    "course.zip is something else": (
        {"files": {"course.zip": packed({"holiday.txt": b"sun"})}},
        "course.zip: there is no course_utils in it.",
    ),
    "a folder of that name": (
        {"files": {"course/mine.txt": b"mine"}},
        f"{GITHUB}: a folder course is here that is something else; delete or rename it.",
    ),
    "a clone that was interrupted": (
        {"files": {"course/.git/HEAD": b"ref: refs/heads/main"}},
        f"{GITHUB}: a folder course is here that is something else; delete or rename it.",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_fetched_is_said_and_nothing_is_left(play, week9, case):
    options, sentence = FAILURES[case]
    options = dict(options)
    before = dict(options.get("files", {}))
    if before.get("course.zip") == "half":
        before["course.zip"] = packed(week9)[:500]
    elif before.get("course.zip") == "damaged":
        before["course.zip"] = packed(week9, method=zipfile.ZIP_STORED).replace(b"import", b"imqort")
    with serving({}) as server:
        if "SERVER" in sentence:
            options["COURSE_REPOSITORY"] = options["COURSE_REPOSITORY"].replace("SERVER", server.address)
        out = play(**{**options, "files": before})
        sentence = sentence.replace("SERVER", server.address)
    assert out.startswith(f"The course was not fetched from {sentence}") and out.endswith(f".{ADVICE}"), out
    left = {
        str(path.relative_to(play.content)): path.read_bytes()
        for path in play.content.rglob("*")
        if path.is_file()
    }
    assert left == before and not list(play.content.glob("tmp*"))


def test_what_failed_works_when_it_is_run_again(play, week9):
    assert play(version="v9").startswith("The course was not fetched")
    works(play, play(files={"course.zip": packed(week9)}), 9)
    assert "week 9" in play()  # in a fresh kernel, the folder is there


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (
            "no-such-package-anywhere>=1",
            "pip could not install no-such-package-anywhere; it says: No matching distribution found for "
            "no-such-package-anywhere>=1",
        ),
        (None, "it has no requirements.txt, so it is not the whole course."),
    ],
    ids=["pip fails", "no requirements"],
)
def test_what_cannot_be_installed_is_said(play, tmp_path, needs, reason):
    files = write_course(tmp_path / "source", 9, needs or "pip>=1")
    if needs is None:
        del files["requirements.txt"]
    out = play(files={"course.zip": packed(files)})
    assert out == f"The folder course is not ready: {reason}{AGAIN}"
    if needs:  # what pip lacked is there now
        (play.content / "course" / "requirements.txt").write_text("pip>=1\n")
        works(play, play(), 9)


def test_pip_gets_all_lower_bounds_together_and_only_if_something_is_missing(monkeypatch, tmp_path):
    from course_utils import installation

    calls = []
    monkeypatch.setattr(
        installation.subprocess,
        "run",
        lambda command, **_: calls.append(command) or subprocess.CompletedProcess(command, 0),
    )
    file = tmp_path / "requirements.txt"
    file.write_text("# torch>=999\npip>=1\njupyterlab>=999\n-e .\n")
    installation.install_missing(file)
    assert calls == []
    file.write_text("pip>=1\nno-such-package-anywhere>=1\njupyterlab>=999\n-e .\n")
    installation.install_missing(file)
    assert [word for word in calls[0] if ">=" in word] == ["pip>=1", "no-such-package-anywhere>=1"]


def test_elsewhere_the_cell_does_nothing(tmp_path):
    code = publishing.setup_cell("OWNER/REPO")
    subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, check=True, env={"PATH": "/nowhere"})
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_changes_nothing(play):
    out = play()
    state = {path: path.stat().st_mtime_ns for path in play.content.rglob("*")}
    twice = PLAY.replace(
        "exec(setup)", "exec(setup); before = list(sys.path); exec(setup); assert sys.path == before"
    )
    code = twice.format(cell=publishing.setup_cell("ada/course"))
    command, environment = [sys.executable, "-S", "-c", code], {"PATH": "/nowhere"}
    done = subprocess.run(
        command, cwd=play.content, capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == out
    now = {
        path: path.stat().st_mtime_ns for path in play.content.rglob("*") if "__pycache__" not in str(path)
    }
    assert {path: time for path, time in state.items() if "__pycache__" not in str(path)} == now


def test_jupyter_shows_the_sentences_alone_and_runs_no_further(tmp_path, monkeypatch):
    for name in ("COURSE_REPOSITORY", "COURSE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    hide = "import importlib.util; importlib.util.find_spec = lambda name: None"
    sources = [STAND_IN + hide, publishing.setup_cell("OWNER/REPO"), "print('went on')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    with pytest.raises(CellExecutionError):
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    (shown,) = notebook.cells[1].outputs
    assert shown.output_type == "error" and notebook.cells[2].outputs == []
    sentence = (
        "The course was not fetched from https://github.com/OWNER/REPO: this copy of the course has no "
    )
    assert "\n".join(shown.traceback) + "\n" == f"{sentence}address yet.{ADVICE}"
