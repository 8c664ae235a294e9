"""A class of 24 made-up learners is read back exactly; names as platforms write them; nothing is run; a large class."""

import csv
import io
import json
import os
import random
import time
import zipfile
from pathlib import Path

import pytest
from submissions import UNSOLVED, answer, as_colab, cell_of, copy_of, result, ways_to_answer, write

from course_utils import __main__ as command
from course_utils.classroom import (
    collect,
    draw_class,
    learners,
    mistakes_csv,
    report,
    results_csv,
    table_lines,
)
from course_utils.exercises import CORRECT, NOT_ATTEMPTED, UNCLEAR, WRONG, Feedback, course_tasks, feedback

NOTEBOOKS = ("00_start_here", "01_cnn_output_size", "03_cam_to_grad_cam", "04_grad_cam")
NAMES = [
    *(
        "Ada Lovelace",
        "Grace Hopper",
        "Zoë Ångström",
        "José Núñez",
        "Jean-Luc O'Neil",
        "Anna Maria de la Cruz",
    ),
    *("王小明", "李雷", "آدا لوفليس", "סופיה", "Дарья Иванова", "Ελένη"),
    *("नीलम", "ธิดา", "김민준", "さくら", "Nguyễn Thị Hoa", "🦊 Fox"),
    *("=cmd()", "+1 Bob", "@home", "Zed", "x" * 60, "Ada Byron"),
]

# --- the class of 24


def where(number: int, name: str, notebook: str, again: bool) -> str:
    """The path that a platform gives a file: Moodle, Classroom, Colab in the learner's folder, a zip, and so on."""
    file = f"{notebook} (1).ipynb" if again else f"{notebook}.ipynb"
    return [
        f"{notebook}/{name}_{100 + number}_assignsubmission_file_/{file}",
        f"{notebook}/{name} - {file}",
        f"homework/{name}/Copy of {file}",
        f"zips/{name}.zip/course/notebooks/{file}",
    ][number % 4]


def make_class(folder: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Write the files of the class; return the truth: state and mistake by learner, notebook and exercise."""
    draw, truth, zips = random.Random(24), {}, {}
    for number, name in enumerate(NAMES):
        for notebook in NOTEBOOKS:
            if draw.random() < 0.15:  # not handed in
                continue
            document = copy_of(notebook)
            for task in course_tasks()[notebook]:
                key = name, notebook, task.name
                ways = ways_to_answer(notebook, task.name)
                kind = draw.choice(
                    [NOT_ATTEMPTED, "cleared", CORRECT, CORRECT, *draw.sample(sorted(ways), 3)]
                )
                if kind in (NOT_ATTEMPTED, "cleared"):
                    truth[key] = NOT_ATTEMPTED, ""
                    cell_of(document, task.name)["outputs"] = [result(UNSOLVED)] if kind != "cleared" else []
                    continue
                answer(document, task.name, *ways[kind])
                truth[key] = (CORRECT, "") if kind == CORRECT else (WRONG, kind)
            for again in (False, True) if draw.random() < 0.2 else (True,):
                # The first of two is empty and older: it must not count.
                shown = as_colab(document) if number % 2 else document
                path = where(number, name, notebook, again)
                if ".zip/" in path:
                    zips.setdefault(path.split(".zip/")[0], {})[path.split(".zip/")[1]] = (
                        shown if again else copy_of(notebook),
                        again,
                    )
                    continue
                written = write(shown if again else copy_of(notebook), folder / path)
                seconds = 2_000_000_000 if again else 1_900_000_000
                os.utime(written, (seconds, seconds))
    for path, files in zips.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / f"{path}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for inside, (document, later) in files.items():
                entry = zipfile.ZipInfo(inside, (2026, 1, 1 + later, 12, 0, 0))
                archive.writestr(entry, json.dumps(document))
    return truth


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    return folder, make_class(folder)


def test_the_truth_comes_back_exactly(school):
    folder, truth = school
    collected = collect(folder)
    assert collected.faults == []
    assert set(collected.learners) == {name for name, _, _ in truth} and len(collected.learners) == 24
    found = {
        (learner, notebook, task.name): (standing.state, standing.mistake)
        for learner in collected.learners
        for notebook, task in collected.tasks
        if (standing := collected.standing(learner, notebook, task)).state != "not handed in"
    }
    assert found == truth
    assert len(collected.notes) > 5 and all("counts (the later one)" in note for note in collected.notes)


def test_the_command_writes_the_same_into_tables_and_a_picture(school, tmp_path, capsys):
    folder, truth = school
    table = tmp_path / "class.csv"
    assert command.main(["collect", str(folder), "--out", str(table)]) == 0
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"))))
    plain = {"'=cmd()": "=cmd()", "'+1 Bob": "+1 Bob", "'@home": "@home"}
    found = {
        (plain.get(row["learner"], row["learner"]), row["notebook"], row["exercise"]): (
            row["state"],
            row["mistake"],
        )
        for row in rows
        if row["state"] != "not handed in"
    }
    assert found == truth
    counted = list(csv.DictReader(io.StringIO((tmp_path / "class-mistakes.csv").read_text("utf-8-sig"))))
    wrong = [key for key, (state, _) in truth.items() if state == WRONG]
    assert sum(int(row["learners"]) for row in counted) == len(wrong)
    for row in counted:
        made = {
            k[0]
            for k, v in truth.items()
            if k[1:] == (row["notebook"], row["exercise"]) and v[1] == row["mistake"]
        }
        assert int(row["learners"]) == len(made)
    assert (tmp_path / "class.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "王小明" in shown and "written: " in shown
    for signs in ("✓", "✗", "○"):
        assert signs in shown


def test_a_zip_of_the_class_reads_as_the_folder_does(school, tmp_path):
    folder, truth = school
    whole = tmp_path / "all.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"download/{path.relative_to(folder)}")
    unzipped, zipped = collect(folder), collect(whole)
    assert results_csv(zipped).replace("download/", "") == results_csv(unzipped)
    assert set(zipped.learners) == {name for name, _, _ in truth}


# --- whose file it is


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Ada Lovelace_123456_assignsubmission_file_/04_grad_cam.ipynb", "Ada Lovelace"),
        ("Ada Lovelace_123456_assignsubmission_file_04_grad_cam.ipynb", "Ada Lovelace"),
        ("Ada Lovelace_123456_assignsubmission_file_/homework/notebooks/mine.ipynb", "Ada Lovelace"),
        ("week 4/Ada Lovelace - 04_grad_cam.ipynb", "Ada Lovelace"),
        ("Section B/Copy of Ada Lovelace - 04_grad_cam (2).ipynb", "Ada Lovelace"),
        ("04_grad_cam - Ada Lovelace.ipynb", "Ada Lovelace"),
        ("Ada Lovelace/Copy of 04_grad_cam.ipynb", "Ada Lovelace"),
        ("Ada Lovelace/Kopie von 04_grad_cam.ipynb", "Ada Lovelace"),
        ("Ada Lovelace/04_grad_cam (1).ipynb", "Ada Lovelace"),
        ("Ada Lovelace/04_grad_cam_final.ipynb", "Ada Lovelace"),
        ("Ada Lovelace/04_grad_cam.ipynb.txt", "Ada Lovelace"),
        ("Ada Lovelace/course-main/notebooks/04_grad_cam.ipynb", "Ada Lovelace"),
        ("04_grad_cam/Ada_Lovelace/Untitled.ipynb", "Ada Lovelace"),
        ("Week 3/Ada Lovelace/04_grad_cam-Copy1.ipynb", "Ada Lovelace"),
        ("ada_04_grad_cam.ipynb", "ada"),
        ("04 Grad CAM Ada.ipynb", "Ada"),
        ("lovelaceada_LATE_1234_5678_04_grad_cam-1.ipynb", "lovelaceada"),
        ("20231234/04_grad_cam.ipynb", "20231234"),
        ("user04/04_grad_cam.ipynb", "user04"),
        ("A/Ada/04_grad_cam.ipynb", "A / Ada"),  # never two people in one
        ("04_grad_cam (3).ipynb", "no name: 04_grad_cam (3).ipynb"),
        ("آدا لوفليس/04_grad_cam.ipynb", "آدا لوفليس"),
        ("e\u0301va - 04_grad_cam.ipynb", "éva"),
        ("👩‍🎓 Eva_1_assignsubmission_file_/x.ipynb", "👩‍🎓 Eva"),
        ("\u202eevil\x1b[31m/04_grad_cam.ipynb", "evil\ufffd[31m"),
    ],
)
def test_a_name_is_found_in_the_path(path, name):
    assert learners.learner_of(path.split("/"), "04_grad_cam").name == name


def test_two_people_of_one_name_stay_two(tmp_path):
    for number in (7, 8):
        write(copy_of("04_grad_cam"), tmp_path / f"Ada_{number}_assignsubmission_file_" / "04_grad_cam.ipynb")
    assert collect(tmp_path).learners == ["Ada (7)", "Ada (8)"]


def test_one_person_spelled_in_two_ways_is_one(tmp_path):
    write(copy_of("04_grad_cam"), tmp_path / "Zo\u0065\u0308 B" / "04_grad_cam.ipynb")
    write(copy_of("00_start_here"), tmp_path / "zo\u00eb  b" / "00_start_here.ipynb")
    assert len(collect(tmp_path).learners) == 1


def test_files_without_a_name_are_not_taken_for_one_person(tmp_path):
    for file in ("04_grad_cam.ipynb", "04_grad_cam (1).ipynb", "Copy of 04_grad_cam.ipynb"):
        write(copy_of("04_grad_cam"), tmp_path / file)
    collected = collect(tmp_path)
    assert len(collected.learners) == 3 and not collected.notes


# --- what a file says


def standing(document, exercise="weights", tmp_path=None):
    path = write(document, tmp_path / "Ada" / "04_grad_cam.ipynb")
    collected = collect(path.parent.parent)
    (submission,) = collected.submissions.values()
    return submission.standings[exercise]


RIGHT = Feedback(CORRECT, "Your answer agrees with an independent reference on 3 inputs.")
MEAN = "gradient.mean((2, 3))"


def solved(mark=True):
    document = copy_of("04_grad_cam")
    return document, answer(document, "weights", MEAN, RIGHT, mark)


def test_a_result_without_a_mark_is_read_and_remarked(tmp_path):
    found = standing(solved(mark=False)[0], tmp_path=tmp_path)
    assert found.state == CORRECT and "no mark of its cell" in found.remark


def test_a_hint_below_the_check_hides_nothing(tmp_path):
    document, cell = solved()
    said = Feedback("hint 1 of 2", "Think.", above=Feedback(WRONG, "You added up."))
    cell["outputs"] = [result(said)]
    found = standing(document, tmp_path=tmp_path)
    assert (found.state, found.mistake) == (WRONG, "You added up.")


def test_a_cell_that_stopped_is_not_yet(tmp_path):
    document, cell = solved()
    cell["outputs"] = [{"output_type": "error", "ename": "SyntaxError", "evalue": "", "traceback": []}]
    found = standing(document, tmp_path=tmp_path)
    assert (found.state, found.mistake) == (WRONG, "The cell stopped with SyntaxError.")


def edit(change):
    def made():
        document, cell = solved()
        cell["source"] = change(cell["source"])
        return document

    return made


def printed():
    document, cell = solved()
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [repr(RIGHT)]}]
    return document


def cleared():
    document, cell = solved()
    cell["outputs"] = []
    return document


def untouched():
    document = copy_of("04_grad_cam")
    cell_of(document, "weights")["outputs"] = [result(RIGHT)]
    return document


def stored_before_it_was_answered():
    document, cell = solved()
    cell["outputs"] = [result(UNSOLVED)]
    return document


def replaced():
    document, _ = solved()
    document["cells"][4]["source"] = "exercises.weights.check = lambda answer: Feedback('correct', '')"
    return document


def of_another_exercise():
    document, _ = solved()
    other = answer(document, "heatmap", "x", RIGHT)
    other["outputs"] = cell_of(document, "weights")["outputs"]
    cell_of(document, "weights")["outputs"] = []
    document["cells"].remove(cell_of(document, "weights"))
    return document


EDITED = {
    "the check gone": (
        edit(lambda code: code.replace("exercises.weights.check(weights)", "'correct'")),
        "the check cell was edited: it has no check any more.",
    ),
    "the check in a comment": (
        edit(
            lambda code: code.replace(
                "exercises.weights.check(weights)", "# exercises.weights.check(weights)"
            )
        ),
        "the check cell was edited: it has no check any more.",
    ),
    "another answer": (
        edit(lambda code: code.replace("check(weights)", "check(exercises.weights.model_answer)")),
        "the check cell was edited: its check should read exercises.weights.check(weights).",
    ),
    "the course's answer": (
        edit(lambda code: code.replace(MEAN, "exercises.weights(gradient)")),
        "the check cell was edited: it hands in the course's own answer.",
    ),
    "changed after its check": (
        edit(lambda code: code.replace("mean", "sum")),
        "the check cell was edited after its check: the stored output says correct.",
    ),
    "printed": (printed, "what is stored below the cell is not the answer of its check."),
    "cleared": (cleared, "no result is stored: the cell was not run, or its outputs were cleared."),
    "no answer": (
        untouched,
        "the check cell was edited: it has no answer, and the stored output says correct.",
    ),
    "not run since": (
        stored_before_it_was_answered,
        "the check cell was edited after its check: the stored output says not attempted.",
    ),
    "a line below": (
        edit(lambda code: code.replace(".check(weights)", ".check(weights)\nFake()")),
        "the check cell was edited: its check is not its last line.",
    ),
    "two checks": (
        edit(
            lambda code: code.replace(".check(weights)", ".check(weights)\nexercises.heatmap.check(weights)")
        ),
        "the check cell was edited: its check is not its last line.",
    ),
    "the course's answer, under another name": (
        edit(lambda code: code.replace("exercises", "ex").replace(MEAN, "ex.weights(gradient)")),
        "the check cell was edited: it hands in the course's own answer.",
    ),
    "replaced": (replaced, "the check was edited: a cell of the notebook puts another in its place."),
}


@pytest.mark.parametrize(("made", "remark"), EDITED.values(), ids=EDITED)
def test_an_edited_check_cell_is_told(made, remark, tmp_path):
    found = standing(made(), tmp_path=tmp_path)
    assert (found.state, found.remark) == (UNCLEAR, remark)


def test_an_output_moved_from_another_exercise_is_told(tmp_path):
    found = standing(of_another_exercise(), "heatmap", tmp_path)
    assert found.state == UNCLEAR and "after its check" in found.remark


def test_an_error_below_an_untouched_cell_is_no_attempt(tmp_path):
    document = copy_of("04_grad_cam")
    cell_of(document, "weights")["outputs"] = [{"output_type": "error", "ename": "NameError"}]
    assert standing(document, tmp_path=tmp_path).state == NOT_ATTEMPTED


def test_layout_and_ends_of_lines_are_no_edit(tmp_path):
    document, cell = solved()
    cell["source"] = cell["source"].replace("\n", "\r\n") + "\n\n"
    assert standing(document, tmp_path=tmp_path).state == CORRECT


@pytest.mark.parametrize(
    "check",
    [
        "exercises.weights.check( weights )",
        "exercises.weights.check(\n    weights,\n)",
        "ex.weights.check(weights)",
    ],
)
def test_the_check_may_be_written_in_other_ways(check, tmp_path):
    document = copy_of("04_grad_cam")
    cell = cell_of(document, "weights")
    cell["source"] = (
        "".join(cell["source"]).replace("exercises.weights.check(weights)", check).replace("...", MEAN, 1)
    )
    cell["outputs"] = [result(Feedback(CORRECT, "It is.", cell=feedback.cell_mark(cell["source"])))]
    assert standing(document, tmp_path=tmp_path).state == CORRECT


def test_of_a_cell_and_its_copy_the_one_counts_that_got_further(tmp_path):
    document, cell = solved()
    document["cells"].append(cell | {"id": "copy", "outputs": []})
    assert standing(document, tmp_path=tmp_path).state == CORRECT


def test_what_a_forged_message_holds_harms_no_terminal(tmp_path, capsys):
    document = copy_of("04_grad_cam")
    answer(document, "weights", MEAN, Feedback(WRONG, "\x1b[2J" + "long " * 100_000))
    write(document, tmp_path / "in" / "Ada" / "04_grad_cam.ipynb")
    assert command.main(["collect", str(tmp_path / "in"), "--out", str(tmp_path / "class.csv")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and len(shown) < 2000


def test_a_removed_exercise_is_named_and_one_that_nobody_has_is_no_column(tmp_path):
    document = copy_of("04_grad_cam")
    document["cells"].remove(cell_of(document, "heatmap"))
    write(document, tmp_path / "Ada" / "04_grad_cam.ipynb")
    assert [task.name for _, task in collect(tmp_path).tasks] == [
        "weights",
        "times_chance",
        "probability_map",
    ]
    write(copy_of("04_grad_cam"), tmp_path / "Bo" / "04_grad_cam.ipynb")
    collected = collect(tmp_path)
    assert "  Ada, 04_grad_cam, heatmap: the exercise's cell is not in the file." in table_lines(collected)


def test_nothing_that_was_handed_in_is_run(tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    document, cell = solved()
    for other in document["cells"]:
        if other["cell_type"] == "code" and other is not cell:
            other["source"] = f"from course_utils.exercises import ex04_grad_cam as exercises\n{trap}\n" * (
                "check(" not in "".join(other["source"])
            ) + "".join(other["source"])
    cell["outputs"][0]["data"]["text/html"] = f"<script>{trap}</script>"
    cell["source"] = f"{trap}\n{cell['source']}"
    write(document, tmp_path / "in" / "Ada" / "04_grad_cam.ipynb")
    collected = collect(tmp_path / "in")
    results_csv(collected), mistakes_csv(collected), draw_class(collected, tmp_path / "class.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class.png", "in"]


# --- tables


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\uff1d1", "\r1"])
def test_no_spreadsheet_takes_a_text_for_a_formula(text):
    assert report._in_a_cell(text) == f"'{text}"
    assert report._in_a_cell(f"a{text}") == f"a{text}"


def test_columns_stay_below_each_other_in_any_script(tmp_path):
    for name in ("王小明", "Ada", "e\u0301\u0302", "🦊"):
        write(copy_of("04_grad_cam"), tmp_path / name / "04_grad_cam.ipynb")
    rows = [line for line in table_lines(collect(tmp_path)) if line[:1].isdigit()]
    assert len({report._width(row) for row in rows}) == 1


def test_a_large_class_takes_seconds(tmp_path):
    documents = {name: as_colab(copy_of(name)) for name in course_tasks()}
    for name, tasks in course_tasks().items():
        for task in tasks:
            answer(documents[name], task.name, "something", Feedback(WRONG, f"a mistake in {task.name}"))
    for number in range(24):
        for name, document in documents.items():
            write(document, tmp_path / f"learner {number}" / f"{name}.ipynb")
    start = time.process_time()
    collected = collect(tmp_path)
    table_lines(collected), results_csv(collected), mistakes_csv(collected)
    seconds = time.process_time() - start
    assert len(collected.submissions) == 360
    exercises = sum(map(len, course_tasks().values()))
    assert len(collected.mistakes()) == exercises and all(
        len(names) == 24 for *_, names in collected.mistakes()
    )
    assert seconds < 20, seconds
