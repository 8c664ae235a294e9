"""Notebooks as learners hand them in, made up: one knows how each learner stands. And as Colab saves them."""

import copy
import importlib
import json
from functools import lru_cache
from pathlib import Path

from course_utils.assets import ROOT
from course_utils.exercises import CORRECT, NOT_ATTEMPTED, WRONG, Feedback, feedback

UNSOLVED = Feedback(NOT_ATTEMPTED, "Replace the ... by your answer, then run this cell again.")
NO_KNOWN = "A wrong result, by none of the known mistakes."


@lru_cache
def _course(name: str) -> str:
    return (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")


def copy_of(name: str) -> dict:
    """The course's notebook as a document of its own."""
    return json.loads(_course(name))


def cell_of(document: dict, exercise: str) -> dict:
    (cell,) = [c for c in document["cells"] if f"exercises.{exercise}.check(" in "".join(c["source"])]
    return cell


def answer(document: dict, exercise: str, code: str, said: Feedback, mark: bool = True) -> dict:
    """Put an answer in the place of the dots and, below the cell, what the check said of it; returns the cell."""
    cell = cell_of(document, exercise)
    cell["source"] = "".join(cell["source"]).replace("...", code, 1)
    said = Feedback(said.state, said.message, said.code, feedback.cell_mark(cell["source"]) if mark else "")
    cell["outputs"] = [result(said)]
    return cell


def result(said: Feedback) -> dict:
    data = {"text/html": said._repr_html_().splitlines(True), "text/plain": repr(said).splitlines(True)}
    return {"output_type": "execute_result", "execution_count": 7, "metadata": {}, "data": data}


def as_colab(document: dict) -> dict:
    """As Colab saves it: no ids of cells but its own in the metadata, nbformat 4.0, texts in lines, its own remarks."""
    document = copy.deepcopy(document) | {"nbformat_minor": 0}
    document["metadata"] = {
        "colab": {"provenance": []},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    for number, cell in enumerate(document["cells"]):
        cell.pop("id", None)
        cell["metadata"] = {"id": f"Xy{number}", "colab": {"base_uri": "https://localhost:8080/"}}
        cell["source"] = "".join(cell["source"]).splitlines(True)
    return document


def write(document: dict, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@lru_cache
def ways_to_answer(notebook: str, exercise: str) -> dict[str, tuple[str, Feedback]]:
    """What a learner may write, by what it is to be counted as: "correct", or the mistake."""
    ex = getattr(importlib.import_module(f"course_utils.exercises.ex{notebook}"), exercise)
    right = ex.check(ex.model_answer)
    assert right.state == CORRECT
    ways = {CORRECT: ("right", right)}
    for number, misconception in enumerate(ex.misconceptions):
        said = ex.check(misconception.answer)
        assert (said.state, said.message) == (WRONG, misconception.message)
        ways[misconception.message] = (f"wrong_{number}", said)
    if callable(ex.model_answer):
        ways["The code raised KeyError."] = ("{}['a']", ex.check(lambda *arguments, **options: {}["a"]))
        ways["Not the function itself was handed in."] = ("0", ex.check(0))
    strange = ex.check(lambda *a: "five") if callable(ex.model_answer) else ex.check(-123.75)
    if strange.message.startswith("Not yet:"):
        ways[NO_KNOWN] = ("'five'", strange)
    return ways
