"""The check of the installation: what it finds, and that it names what is missing."""

import subprocess
import sys
from importlib import metadata

import pytest

from course_utils.installation import Installation, check_installation


def test_this_environment_has_everything():
    found = check_installation()
    assert found.missing == []
    assert "Everything" in repr(found) and "torch" in found._repr_html_()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no-such-package-anywhere>=1.0", "not installed"),
        ("torch>=999.0", "torch"),
        ("torch>=2.0.0.1", None),
        ("# torch>=999", None),
        ("-e .", None),
    ],
)
def test_what_is_missing_or_too_old_is_named(tmp_path, line, problem):
    file = tmp_path / "requirements.txt"
    file.write_text(f"numpy>=1.0\n{line}\n")
    found = check_installation(file)
    assert bool(found.missing) == bool(problem)
    if problem:
        assert problem in repr(found)
        assert found.missing[0] in found.advice and "pip install -r requirements.txt" in found.advice


@pytest.mark.parametrize(
    ("needed", "found", "fine"),
    [
        ("2.9", "2.10.0", True),
        ("2.4.0", "2.4", True),
        ("2.4", "2.4.0+cpu", True),
        ("2.4", "2.4.0a0+lab", True),  # as hardware makers number what they build between releases
        ("2.4", "2.3.9", False),
        ("2.4.1", "2.4.0+cpu", False),
        ("1.0", "unknown", False),
    ],
)
def test_versions_are_compared_by_their_numbers(tmp_path, monkeypatch, needed, found, fine):
    file = tmp_path / "requirements.txt"
    file.write_text(f"torch>={needed}\n")
    monkeypatch.setattr(metadata, "version", lambda name: found)
    assert check_installation(file).rows[1:] == [("torch", needed, found, fine)]


@pytest.mark.parametrize("listed", [True, False], ids=["there, but broken", "not there"])
def test_without_packaging_it_names_packaging_and_what_is_not_there(tmp_path, monkeypatch, listed):
    file = tmp_path / "requirements.txt"
    file.write_text("numpy>=999\nno-such-package-anywhere>=1.0\npackaging>=23.0\n")
    for name in ("packaging", "packaging.version"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    version = metadata.version

    def without_packaging(name):
        if name == "packaging" and not listed:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_packaging)
    found = check_installation(file)
    assert found.missing == ["no-such-package-anywhere", "packaging"]  # numpy's version cannot be compared
    assert "Missing or too old: no-such-package-anywhere, packaging." in repr(found)


def test_an_old_python_comes_first():
    assert "3.10" in Installation([("Python", "3.10", "3.9.1", False)]).advice


def test_it_imports_nothing_that_might_be_missing():
    code = (
        "import sys; from course_utils.installation import check_installation; check_installation();"
        "print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython', 'pooch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
