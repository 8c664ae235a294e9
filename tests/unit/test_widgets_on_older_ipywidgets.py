"""Every test of the explorers once more with ipywidgets 7.7, which Colab carries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGES = ("ipywidgets==7.7.1", "ipython_genutils")  # the second is what the first imports and 8 does not
UNTIMED = "not at_once and not fast and not second"  # how long an answer takes is tested with version 8
# Version 8's tests look at the pictures. Here each is drawn very small, which is quicker.
SMALL_PICTURES = """
from course_utils import figures

encoded = figures._encoded


def small(figure, _):
    figure.set_dpi(12)
    return encoded(figure, False)


figures._encoded = small
"""


@pytest.fixture(scope="module")
def older_ipywidgets(tmp_path_factory):
    """A folder with ipywidgets 7.7. ``-I``: pip, unlike the tests, may reach the package index."""
    folder = tmp_path_factory.mktemp("ipywidgets")
    pip = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, *PACKAGES], capture_output=True, text=True, check=False)
    if done.returncode:
        sentence = "found no way to fetch ipywidgets 7.7 with pip. Connect to the network, then run it again."
        if os.environ.get("CI") == "true":
            pytest.fail(f"{sentence}\n{done.stderr[-1000:]}")
        pytest.skip(sentence)
    (folder / "small_pictures.py").write_text(SMALL_PICTURES)
    return folder


def test_all_explorers(older_ipywidgets):
    files = sorted(HERE.glob("test_widgets_*.py"))
    files.remove(Path(__file__).resolve())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTHONPATH": os.pathsep.join([str(older_ipywidgets), os.environ.get("PYTHONPATH", "")]),
    }
    version = "import ipywidgets; print(ipywidgets.__version__)"
    found = subprocess.run(
        [sys.executable, "-c", version], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("7.7")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["-p", "small_pictures", "-k", UNTIMED]
    done = subprocess.run(
        [*command, *map(str, files)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
