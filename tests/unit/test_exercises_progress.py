"""What a learner is told to have done: by this session's checks, and by the notebooks in a folder."""

import os
import sys

import pytest
from submissions import answer, cell_of, copy_of, write

from course_utils.exercises import CORRECT, Feedback, ex04_grad_cam, progress

DONE = Feedback(CORRECT, "It is.")


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session of notebook 04, in which nothing was checked yet."""
    for name in [name for name in sys.modules if name.startswith("course_utils.exercises.ex")]:
        if not name.endswith("ex04_grad_cam"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("weights", "heatmap", "times_chance", "probability_map"):
        monkeypatch.setattr(getattr(ex04_grad_cam, name), "last", None)


def solved(name, *exercises):
    document = copy_of(name)
    for exercise in exercises:
        answer(document, exercise, "something", DONE)
    return document


def test_every_module_has_it():
    assert ex04_grad_cam.progress is progress


def test_this_session_counts_before_any_file(tmp_path):
    assert repr(progress(tmp_path)).splitlines()[:2] == [
        "04_grad_cam: 0 of 4 correct",
        "  ○ Exercise 1 · The weights: not attempted",
    ]
    write(solved("04_grad_cam", "weights", "heatmap"), tmp_path / "04_grad_cam.ipynb")
    ex04_grad_cam.weights.check(lambda gradient: gradient.sum((2, 3)))
    lines = repr(progress(tmp_path)).splitlines()
    assert lines[0] == "04_grad_cam: 1 of 4 correct"
    assert lines[1].startswith("  ✗ Exercise 1 · The weights: not yet. You added up the gradients")
    assert lines[2] == "  ✓ Exercise 2 · From weights to a heat-map: correct"


def test_the_course_is_counted_by_the_files_there_are(tmp_path):
    write(solved("00_start_here", "chance"), tmp_path / "Copy of 00_start_here (1).ipynb")
    (tmp_path / "mine.ipynb").write_text('{"cells": []}')
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "gone.ipynb").symlink_to(tmp_path / "nowhere")
    text = repr(progress(tmp_path))
    assert "\n  00_start_here: 1 of 3 correct\n" in text
    assert "No file of yours is here for 01_cnn_output_size, 02_" in text and "mine" not in text
    assert "broken.ipynb is not a notebook: it cannot be read as JSON." in text


def test_of_two_files_the_later_counts(tmp_path):
    for number, document in enumerate([solved("00_start_here", "chance"), copy_of("00_start_here")]):
        path = write(document, tmp_path / f"00_start_here{number}.ipynb")
        os.utime(path, (2_000_000_000 - number,) * 2)
    assert "00_start_here: 1 of 3 correct" in repr(progress(tmp_path))


def test_what_is_unclear_is_said(tmp_path):
    document = solved("04_grad_cam", "weights")
    cell = cell_of(document, "weights")
    cell["source"] = cell["source"].replace("something", "something else")
    write(document, tmp_path / "04_grad_cam.ipynb")
    assert "  ? Exercise 1 · The weights: unclear, the check cell was edited after" in repr(
        progress(tmp_path)
    )


def test_a_folder_that_is_none_is_told(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        progress("nowhere")
    monkeypatch.chdir(tmp_path)
    assert progress().absent[:2] == ["00_start_here", "01_cnn_output_size"]
