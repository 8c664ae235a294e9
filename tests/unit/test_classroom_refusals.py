"""Faulty files are named with a sentence and lose nobody else's; arguments that do not fit write nothing."""

import io
import json
import os
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from submissions import answer, copy_of, write

from course_utils import __main__ as command
from course_utils.classroom import collect, files
from course_utils.exercises import CORRECT, MOST_BYTES, Feedback, course_tasks, read_cells, read_standings

GOOD = json.dumps(copy_of("04_grad_cam")).encode()
OTHER = json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "import os", "outputs": []}]})
NONE_OF_IT = "is not a notebook of this course: it imports none of its exercises."
NO_JSON = "is not a notebook: it cannot be read as JSON."

FAULTY = {
    "empty.ipynb": (b"", "is empty."),
    "blank.ipynb": (b" \n", "is empty."),
    "words.ipynb": (b"not a notebook", NO_JSON),
    "half.ipynb": (GOOD[: len(GOOD) // 2], NO_JSON),
    "bytes.ipynb": (bytes(range(256)) * 20, NO_JSON),
    "pickle.ipynb": (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x04evil\x94.", NO_JSON),
    "deep.ipynb": (b'{"cells": ' + b"[" * 200_000, NO_JSON),
    "page.ipynb": (
        b"<!DOCTYPE html><html>",
        "is a web page, not a notebook: the file to hand in ends in .ipynb.",
    ),
    "list.ipynb": (b"[1, 2]", "is JSON, but not a notebook: it has no cells."),
    "number.ipynb": (b"NaN", "is JSON, but not a notebook: it has no cells."),
    "cells.ipynb": (b'{"cells": {"a": 1}}', "is JSON, but not a notebook: it has no cells."),
    "package.json": (b'{"name": "x"}', "is JSON, but not a notebook: it has no cells."),
    "old.ipynb": (
        b'{"worksheets": [], "nbformat": 3}',
        "is a notebook of an old format: open it in JupyterLab, save it, and collect it again.",
    ),
    "other.ipynb": (OTHER.encode(), NONE_OF_IT),
    "nothing.ipynb": (b'{"cells": []}', NONE_OF_IT),
    "04_grad_cam.ipynb": (OTHER.encode(), "is called or made as 04_grad_cam, and has none of its exercises."),
    "large.ipynb": (
        b'{"cells": [], "x": "' + b"a" * 50_000_000 + b'"}',
        "has over 20 MB, where a notebook of the course has less than one: clear the outputs of cells with large "
        "pictures, save it, and collect it again.",
    ),
    "report.pdf": (b"%PDF", "is not a notebook: its name does not end in .ipynb."),
    "all.7z": (b"7z", "is an archive that is not read: unpack it, or have it handed in as .zip."),
    "broken.zip": (b"PK\x03\x04", "is not a zip that can be opened: have it handed in again."),
    "no.zip": (b"words", "is not a zip that can be opened: have it handed in again."),
}


def faults(place):
    return {fault.path: fault.why for fault in collect(place).faults}


def class_of_one(folder):
    write(copy_of("04_grad_cam"), folder / "Ada" / "04_grad_cam.ipynb")
    return folder


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_file_is_named_and_the_others_are_read(name, tmp_path, capsys):
    data, why = FAULTY[name]
    folder = class_of_one(tmp_path / "in")
    (folder / "Bo").mkdir()
    (folder / "Bo" / name).write_bytes(data)
    collected = collect(folder)
    assert [(fault.path, fault.why) for fault in collected.faults] == [(f"Bo/{name}", why)]
    assert collected.learners == ["Ada"]
    assert command.main(["collect", str(folder), "--out", str(tmp_path / "class.csv")]) == 1
    assert f"Bo/{name} {why}" in capsys.readouterr().err
    table = (tmp_path / "class.csv").read_text(encoding="utf-8-sig")
    assert "not read" in table and f"Bo/{name}" in table and why.split(",")[0] in table


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["cells", "source", "outputs", "data", "text/plain", "output_type", "cell_type"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    ),
    st.integers(0, 114),
    st.sampled_from(["source", "outputs", "cell_type", "data"]),
)
def test_whatever_stands_in_a_cell_it_is_read_or_refused_in_words(value, number, key):
    document = copy_of("04_grad_cam")
    document["cells"][number % len(document["cells"])][key] = value
    for made in (document, {"cells": value}, {"cells": [value]}, value):
        try:
            read_standings(read_cells(json.dumps(made).encode()), "04_grad_cam")
        except ValueError as error:
            assert str(error).endswith(".")


# --- zips


def zipped(path, entries, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        warnings.simplefilter("ignore")  # two entries of one name
        for name, data in entries:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../04_grad_cam.ipynb", "a/../../x.ipynb", "/etc/x.ipynb", "C:\\x.ipynb", "..\\x.ipynb"]
)
def test_a_path_out_of_its_zip_is_refused(name, tmp_path):
    path = zipped(tmp_path / "in" / "Bo.zip", [(name, GOOD), ("04_grad_cam.ipynb", GOOD)])
    (fault,) = collect(path.parent).faults
    assert fault.why == "has a path that leads out of its zip, and was not read."
    assert collect(path.parent).learners == ["Bo"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["Bo.zip", "in"]


def test_a_zip_bomb_is_read_up_to_the_limits(tmp_path, monkeypatch):
    bomb = b" " * (3 * MOST_BYTES)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("04_grad_cam.ipynb", bomb)
    zipped(tmp_path / "Bo.zip", [("x.ipynb", bomb), ("inner.zip", inner.getvalue())])
    asked, read = [], zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda file, n=-1: asked.append(n) or read(file, n))
    found = faults(class_of_one(tmp_path))
    assert asked and all(0 < n <= files.LARGEST_INNER_ZIP + 1 for n in asked)
    assert len(found) == 2 and all("has over 20 MB" in why for why in found.values())
    monkeypatch.setattr(files, "MOST_IN_A_ZIP", 1000)
    monkeypatch.setattr(
        files._Budget, "__init__", lambda self: setattr(self, "bytes", 1000) or setattr(self, "entries", 9)
    )
    assert faults(tmp_path)["Bo.zip"] == "unpacks to more than is read of one zip; the rest was left out."


def test_a_zip_in_a_zip_in_a_zip_ends_somewhere(tmp_path):
    data = GOOD
    name = "04_grad_cam.ipynb"
    for _ in range(5):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr(name, data)
        name, data = "in.zip", inner.getvalue()
    (tmp_path / "Bo.zip").write_bytes(data)
    (fault,) = collect(tmp_path).faults
    assert "too deep inside of others" in fault.why


def test_an_encrypted_zip_is_told(tmp_path):
    path = zipped(tmp_path / "Bo.zip", [("04_grad_cam.ipynb", GOOD)])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        data[place] |= 1
    path.write_bytes(data)
    assert faults(class_of_one(tmp_path)) == {
        "Bo/04_grad_cam.ipynb": "is encrypted: have it handed in without a password."
    }


def test_a_damaged_entry_is_told_and_the_others_are_read(tmp_path):
    path = zipped(
        tmp_path / "Bo.zip",
        [("04_grad_cam.ipynb", GOOD), ("00_start_here.ipynb", json.dumps(copy_of("00_start_here")))],
    )
    data = bytearray(path.read_bytes())
    data[300:340] = os.urandom(40)
    path.write_bytes(data)
    collected = collect(tmp_path)
    assert [fault.why for fault in collected.faults] == [
        "is damaged inside its zip: have it handed in again."
    ]
    assert list(collected.submissions) == [("Bo", "00_start_here")]


def test_a_method_of_packing_that_python_lacks_is_told(tmp_path):
    path = zipped(tmp_path / "Bo.zip", [("04_grad_cam.ipynb", GOOD)])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.index(signature) + offset
        data[place : place + 2] = struct.pack("<H", 97)
    path.write_bytes(data)
    (fault,) = collect(tmp_path).faults
    assert fault.why == "is packed in a way that cannot be read: have it handed in as a plain zip."


def test_names_that_a_zip_does_not_call_utf8_are_read_as_such(tmp_path):
    path = zipped(tmp_path / "all.zip", [("XXXX/04_grad_cam.ipynb", GOOD)])
    path.write_bytes(path.read_bytes().replace(b"XXXX", "éa𝄞"[:2].encode() + b"b"))
    assert collect(path).learners == ["éab"]


def test_a_date_that_is_none_stops_nothing(tmp_path):
    entry = zipfile.ZipInfo("04_grad_cam.ipynb")
    entry.date_time = (1980, 0, 0, 0, 0, 0)
    zipped(tmp_path / "Bo.zip", [(entry, GOOD)])
    assert collect(tmp_path).learners == ["Bo"]


# --- folders


def test_links_are_not_followed_in_circles(tmp_path):
    folder = class_of_one(tmp_path / "in")
    (folder / "loop").symlink_to(folder)
    (folder / "self.ipynb").symlink_to(folder / "self.ipynb")
    (folder / "gone.ipynb").symlink_to(folder / "nowhere.ipynb")
    found = faults(folder)
    assert found["loop"] == "is a link to a folder, which is not followed."
    assert found["self.ipynb"].startswith("cannot be read: ") and found["gone.ipynb"].startswith(
        "cannot be read: "
    )
    assert collect(folder).learners == ["Ada"]


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = class_of_one(tmp_path / "in")
    write(copy_of("04_grad_cam"), folder / "Bo" / "04_grad_cam.ipynb")
    opened = Path.open

    def refuse(path, *arguments):
        if "Bo" in path.parts:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    assert faults(folder) == {"Bo/04_grad_cam.ipynb": "cannot be read: Permission denied."}


def test_a_pipe_is_not_waited_for(tmp_path):
    folder = class_of_one(tmp_path / "in")
    os.mkfifo(folder / "pipe.ipynb")
    assert faults(folder) == {"pipe.ipynb": "is neither a file nor a folder."}


def test_what_systems_leave_behind_is_nobody_s(tmp_path):
    folder = class_of_one(tmp_path / "in")
    for name in ("Ada/.ipynb_checkpoints/x.ipynb", "__MACOSX/._x.ipynb", ".DS_Store", "Ada/Thumbs.db"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    zipped(folder / "Bo.zip", [("__MACOSX/Bo/._04_grad_cam.ipynb", b""), ("04_grad_cam.ipynb", GOOD)])
    assert not faults(folder) and collect(folder).learners == ["Ada", "Bo"]


def test_many_files_of_a_kind_share_a_sentence(tmp_path, capsys):
    folder = class_of_one(tmp_path / "in")
    for number in range(30):
        (folder / "Ada" / f"{number:02}.py").write_text("")
    assert command.main(["collect", str(folder), "--out", str(tmp_path / "class.csv")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Ada/00.py is not a notebook: its name does not end in .ipynb. So are 29 more files in Ada/."
    ]


# --- twice the same


def twice(tmp_path, first, second, times=(1, 2)):
    for name, document, seconds in (("a", first, times[0]), ("b", second, times[1])):
        path = write(document, tmp_path / "Ada" / name / "04_grad_cam.ipynb")
        path = path.rename(tmp_path / "Ada" / f"04_grad_cam ({name}).ipynb")
        os.utime(path, (1_000_000_000 + seconds, 1_000_000_000 + seconds))
    for name in "ab":
        (tmp_path / "Ada" / name).rmdir()
    return collect(tmp_path)


def solved():
    document = copy_of("04_grad_cam")
    answer(document, "weights", "gradient.mean((2, 3))", Feedback(CORRECT, "It is."))
    return document


@pytest.mark.parametrize(
    ("times", "state", "words"),
    [
        ((1, 2), CORRECT, "later one"),
        ((2, 1), "not attempted", "later one"),
        ((1, 1), CORRECT, "of one time"),
    ],
)
def test_of_two_the_later_one_counts_and_both_are_named(tmp_path, times, state, words):
    collected = twice(tmp_path, copy_of("04_grad_cam"), solved(), times)
    (note,) = collected.notes
    assert "Ada/04_grad_cam (a).ipynb" in note and "Ada/04_grad_cam (b).ipynb" in note and words in note
    (submission,) = collected.submissions.values()
    assert submission.standings["weights"].state == state


def test_the_same_file_twice_is_told_so(tmp_path):
    assert "the same file twice" in twice(tmp_path, solved(), solved()).notes[0]


def test_different_notebooks_of_one_learner_are_one_row(tmp_path):
    for name in course_tasks():
        write(copy_of(name), tmp_path / "Ada" / f"{name}.ipynb")
    collected = collect(tmp_path)
    assert collected.learners == ["Ada"] and len(collected.submissions) == 15 and not collected.notes


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "class.csv"], "nowhere is not there: name a folder, a zip, or a notebook."),
        (["void", "--out", "class.csv"], "void is empty: there is no file in it."),
        (["void.zip", "--out", "class.csv"], "void.zip is empty: there is no file in it."),
        (["in", "--out", "class.txt"], "--out class.txt must be a file that ends in .csv."),
        (["in", "--out", "folder.csv"], "--out folder.csv must be a file that ends in .csv."),
        (["in", "--out", "no/class.csv"], "--out no/class.csv cannot be written: there is no folder no."),
        (["in", "--out", "old.csv"], "old.csv is there already: name another --out, or add --overwrite."),
        (["in", "--out", "drawn.csv"], "drawn.png is there already: name another --out, or add --overwrite."),
        (["in"], "the following arguments are required: --out"),
    ],
)
def test_arguments_that_do_not_fit_write_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    class_of_one(tmp_path / "in")
    for name in ("void", "folder.csv"):
        (tmp_path / name).mkdir()
    for name in ("old.csv", "drawn.png"):
        (tmp_path / name).write_text("mine")
    zipped(tmp_path / "void.zip", [])
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command.main(["collect", *arguments])
    assert ended.value.code == 2 and words in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "old.csv").read_text() == "mine"


def test_overwrite_replaces_and_reads_no_table_of_its_own(tmp_path, monkeypatch, capsys):
    folder = class_of_one(tmp_path)
    monkeypatch.chdir(folder)
    for _ in range(2):
        assert command.main(["collect", ".", "--out", "class.csv", "--overwrite"]) == 0
    assert capsys.readouterr().err == ""


def test_where_nothing_can_be_read_nothing_is_written(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.ipynb").write_text("words")
    assert command.main(["collect", str(tmp_path / "in"), "--out", str(tmp_path / "class.csv")]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
