"""The check of the installation: what it finds, and that it names what is missing."""

import subprocess
import sys

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


def test_an_old_python_comes_first():
    assert "3.10" in Installation([("Python", "3.10", "3.9.1", False)]).advice


def test_it_imports_nothing_that_might_be_missing():
    code = (
        "import sys; from course_utils.installation import check_installation; check_installation();"
        "print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
