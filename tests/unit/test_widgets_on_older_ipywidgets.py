"""The explorers' controls, swept once more with ipywidgets 7.7, which Colab carries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGES = ("ipywidgets==7.7.1", "ipython_genutils")  # the second is what the first imports and 8 does not
# What explorers share and the sweep of all of them; then controls that change others, hold files, or are clicked.
# How long an answer takes, and what is refused before there is an explorer, is tested with version 8.
CONTROLS = (
    "test_widgets_controls.py",
    "test_widgets_00_to_06.py::test_the_slider_follows_the_layer",
    "test_widgets_07_to_13.py::test_a_game_played_with_the_controls",
    "test_widgets_07_to_13.py::test_every_word_of_every_caption",
    "test_widgets_playground.py::test_an_uploaded_file_reaches_the_explorer",
    "test_widgets_playground.py::test_downloads_hold_the_files",
    "test_widgets_playground.py::test_networks_of_ones_own_bring_their_layers_and_classes",
)
OTHERS = "not test_an_answer_is_fast and not test_what_does_not_fit_is_refused"


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
    return folder


def test_all_explorers(older_ipywidgets):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTHONPATH": os.pathsep.join([str(older_ipywidgets), os.environ.get("PYTHONPATH", "")]),
    }

    def python(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)

    found = python("-c", "import ipywidgets; print(ipywidgets.__version__)")
    assert found.stdout.startswith("7.7"), found.stderr
    done = python("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", OTHERS, *CONTROLS)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
