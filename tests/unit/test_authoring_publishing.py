"""One address for badges and set-up cells, stamped into every notebook; the set-up cell on a stand-in for Colab."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from course_utils import __main__ as command
from course_utils.authoring import publish, publishing

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def course(tmp_path):
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path in NOTEBOOKS[:2]:
        shutil.copy(path, tmp_path / "notebooks")
    return tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_agrees_with_the_one_address(path):
    cells = nbformat.read(path, as_version=4).cells
    address = publishing.repository(ROOT)
    assert publishing.badge(address, path.name) in cells[0].source
    (setup,) = [cell for cell in cells if "setup" in cell.metadata.get("tags", [])]
    assert setup.source == publishing.setup_cell(address)


def test_publishing_stamps_once_and_is_idempotent(course):
    changed = publish(course, "ada/course")
    assert changed == ["pyproject.toml", *(path.name for path in NOTEBOOKS[:2])]
    assert publishing.repository(course) == "ada/course"
    for path in (course / "notebooks").glob("*.ipynb"):
        text = path.read_text()
        assert text.count("ada/course") == 2 and "OWNER/REPO" not in text
    assert publish(course, "ada/course") == []
    publish(course, publishing.repository(ROOT))
    for path in NOTEBOOKS[:2]:
        assert (course / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_what_is_no_repository_changes_nothing(course):
    with pytest.raises(ValueError, match="OWNER/REPO"):
        publish(course, "ada")
    assert publishing.repository(course) == publishing.repository(ROOT)


def test_the_command(monkeypatch, course, capsys):
    monkeypatch.setattr(command, "ROOT", course)
    assert command.main(["publish", "ada/course"]) == 0
    assert "pyproject.toml" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["publish", "nonsense"])


def run_setup(folder, script, environment=None):
    """Run the set-up cell in a fresh Python in ``folder``, with pip and the course's path out of the way."""
    code = textwrap.dedent(script).replace("SETUP", repr(publishing.setup_cell(publishing.repository(ROOT))))
    # -S leaves out site-packages, and with it the course that is installed for these tests.
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_ALLOW_PROTOCOL": "file", **(environment or {})},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_elsewhere_the_setup_cell_does_nothing(tmp_path):
    run_setup(tmp_path, "exec(SETUP)")
    assert list(tmp_path.iterdir()) == []


def test_on_colab_it_fetches_the_course_once(tmp_path):
    bare, work = tmp_path / "course.git", tmp_path / "content"
    work.mkdir()
    source = tmp_path / "source"
    (source / "course_utils").mkdir(parents=True)
    (source / "course_utils" / "__init__.py").write_text("")
    shutil.copy(ROOT / "requirements.txt", source)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], cwd=source, check=True)
    subprocess.run([*git, "add", "-A"], cwd=source, check=True)
    subprocess.run([*git, "commit", "-qm", "course"], cwd=source, check=True)
    subprocess.run([*git, "clone", "-q", "--bare", str(source), str(bare)], check=True)
    script = """
        import subprocess, sys, types
        sys.modules["google"] = types.ModuleType("google")
        sys.modules["google.colab"] = types.ModuleType("google.colab")
        calls, real = [], subprocess.run
        def run(command, **options):
            calls.append(command)
            return real(command, **options) if command[0] == "git" else None
        subprocess.run = run
        for _ in range(2):
            exec(SETUP)
        import course_utils
        print(course_utils.__file__)
        print(len(calls), *calls[1])
    """
    out = run_setup(work, script, {"COURSE_REPOSITORY": f"file://{bare}"})
    assert str(work / "course" / "course_utils") in out
    assert (
        "2 " in out and "pip install" in out and "torch>=" in out
    )  # one clone, one pip: nothing the second time
    assert "jupyterlab" not in out and "-e" not in out.split()
