"""One address for badges and set-up cells, and one branch or tag, stamped into every notebook."""

import shutil
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
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    for path in NOTEBOOKS[:2]:
        shutil.copy(path, tmp_path / "notebooks")
    return tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_agrees_with_the_one_address(path):
    cells = nbformat.read(path, as_version=4).cells
    address, version = publishing.repository(ROOT), publishing.version(ROOT)
    assert publishing.badge(address, path.name, version) in cells[0].source
    (setup,) = [cell for cell in cells if "setup" in cell.metadata.get("tags", [])]
    assert setup.source == publishing.setup_cell(address, version)


def test_publishing_stamps_once_and_is_idempotent(course):
    changed = publish(course, "ada/course")
    assert changed == ["pyproject.toml", "CITATION.cff", *(path.name for path in NOTEBOOKS[:2])]
    assert publishing.repository(course) == "ada/course"
    assert "https://github.com/ada/course" in (course / "CITATION.cff").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("version", ["v1.0", "release/2026", "week-1", "2026.1+draft"])
def test_a_version_is_stamped_and_kept(course, version):
    publish(course, "ada/course", version)
    assert (
        publish(course, "grace/fork") and publishing.version(course) == version
    )  # another address, no version
    for path in (course / "notebooks").glob("*.ipynb"):
        first, *cells = nbformat.read(path, as_version=4).cells
        assert f"/github/grace/fork/blob/{version}/notebooks/{path.name})" in first.source
        setup = next(cell for cell in cells if "setup" in cell.metadata.get("tags", []))
        assert f'("COURSE_VERSION", "{version}")' in setup.source
    assert publish(course, to="main") and publishing.version(course) == "main"
    assert publishing.repository(course) == "grace/fork"


@pytest.mark.parametrize(
    "version",
    ["", " ", "-b", "v 1", "a..b", "/main", "main/", "a//b", "v1.lock", "v1.", 'a"b', "a#b", "a\nb", ".a"],
)
def test_what_is_no_branch_or_tag_changes_nothing(course, version):
    before = (course / "pyproject.toml").read_bytes()
    with pytest.raises(ValueError, match="name of a branch or tag"):
        publish(course, "ada/course", version)
    assert (course / "pyproject.toml").read_bytes() == before


def test_a_notebook_without_a_place_for_it_changes_no_other_file(course):
    last = course / "notebooks" / "99_last.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Why?")]), last)
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"99_last\.ipynb has no"):
        publish(course, "ada/course", "v1.0")
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("line", "words"), [("Repository =", "Repository"), ("[tool.course]", "version")])
def test_a_project_without_the_lines_is_refused(course, line, words):
    project = course / "pyproject.toml"
    project.write_text(project.read_text().replace(line, "# gone"))
    with pytest.raises(ValueError, match=f"pyproject.toml lacks the lines? .*{words}"):
        publish(course, "ada/course", "v1.0")


def edited(course):
    path = course / "notebooks" / NOTEBOOKS[0].name
    path.write_text(path.read_text().replace("/blob/v1.0/", "/blob/main/"))


CHECKS = [
    # published as, what the workflow says, what was done besides, words of what is wrong
    (("ada/course", "v1.0"), ("ada/course", "v1.0"), None, []),
    (("ada/course", "v1.0"), (None, None), None, []),
    (("OWNER/REPO", "main"), (None, None), None, ["still says OWNER/REPO"]),
    (("OWNER/REPO", "v1.0"), ("ada/course", "v1.0"), None, ["still says OWNER/REPO"]),
    (("ada/course", "main"), (None, "v1.0"), None, ["version main, but this is v1.0", "--version v1.0"]),
    (
        ("ada/course", "v1.0"),
        ("grace/fork", "v1.0"),
        None,
        ["from ada/course, but this is grace/fork", "grace"],
    ),
    (("ada/course", "v1.0"), (None, None), edited, [f"in {NOTEBOOKS[0].name}.", "publish ada/course"]),
]


@pytest.mark.parametrize(("published", "said", "besides", "words"), CHECKS)
def test_the_check_of_a_release(monkeypatch, course, capsys, published, said, besides, words):
    publish(course, *published)
    if besides:
        besides(course)
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    monkeypatch.setattr(command, "ROOT", course)
    address, version = said
    arguments = [*([address] if address else []), *(["--version", version] if version else [])]
    assert command.main(["publish", "--check", *arguments]) == int(bool(words))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(words) and all(word in line for word, line in zip(words, lines, strict=True))
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before


def test_the_command(monkeypatch, course, capsys):
    monkeypatch.setattr(command, "ROOT", course)
    assert command.main(["publish", "ada/course"]) == 0
    assert "pyproject.toml" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["publish", "nonsense"])
    with pytest.raises(SystemExit):
        command.main(["publish", "--version", "no such"])
    assert command.main(["publish", "--version", "v1.0"]) == 0 and publishing.version(course) == "v1.0"
    assert "nothing to change" not in capsys.readouterr().out
    assert command.main(["publish"]) == 0
    assert "nothing to change" in capsys.readouterr().out
