"""``python -m course_utils explain``: what it says, writes and refuses, and its exit status."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from test_xray_real import dicom

from course_utils import explain_command, playground
from course_utils.__main__ import main
from course_utils.networks import list_classifiers, load_classifier
from course_utils.pictures import load_photo, read_picture
from course_utils.playground import Explainer, as_document, output


@pytest.fixture(scope="module")
def explainer():
    return Explainer(load_classifier(), "efficientnet_lite0")


@pytest.fixture
def run(explainer, monkeypatch, capsys):
    """Run the command, with the network loaded once; return (status, standard output, standard error)."""
    monkeypatch.setattr(explain_command, "_explainer", lambda options: explainer)

    def command(*arguments):
        try:
            status = main(["explain", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs, a text that calls itself a picture, and something else."""
    folder = tmp_path_factory.mktemp("pictures")
    load_photo("cat").image.save(folder / "cat.jpg", quality=95)
    load_photo("coffee").square().image.save(folder / "coffee.png")
    (folder / "half.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:5000])
    (folder / "notes.txt").write_text("notes")
    return folder


def test_a_picture_is_explained_in_words_and_nothing_is_written(run, folder):
    before = sorted(folder.iterdir())
    status, out, err = run(folder / "cat.jpg", "--class", "tabby")
    assert (status, err) == (0, "") and sorted(folder.iterdir()) == before
    assert out.startswith("cat.jpg, seen by efficientnet_lite0: ") and "tabby: probability 0." in out
    assert "caution: The network sees the square in the middle only" in out


def test_the_command_of_the_readme(run, folder, tmp_path):
    target = tmp_path / "map.png"
    status, out, _ = run(folder / "cat.jpg", "--class", "tabby", "--method", "grad-cam", "--out", target)
    assert status == 0 and f"written: {target}" in out
    with Image.open(target) as drawn:
        assert drawn.format == "PNG"


def test_json_is_all_there_is_on_standard_output(run, folder, explainer):
    status, out, err = run(
        folder, "--class", "tabby", "--class", 967, "--threshold", 0.4, "--squares", 8, "--json", "-"
    )
    document = json.loads(out)
    assert status == 1
    assert [p["picture"] for p in document["pictures"]] == ["cat.jpg", "coffee.png"]
    (failed,) = document["failed"]
    assert failed["path"] == str(folder / "half.jpg") and "cut off" in failed["reason"]
    assert str(folder / "half.jpg") in err
    expected = as_document(
        explainer.explain(read_picture(folder / "coffee.png"), ["tabby", 967], threshold=0.4, squares=8)
    )
    found = document["pictures"][1]
    assert found.pop("path") == str(folder / "coffee.png") and found == json.loads(json.dumps(expected))


def test_all_exports_of_a_folder(run, folder, tmp_path):
    places = ["--out", tmp_path / "maps", "--npz", tmp_path / "maps", "--csv", tmp_path / "n.csv"]
    status, out, _ = run(folder, "--top", 2, "--method", "cam", *places, "--json", tmp_path / "all.json")
    assert status == 1
    written = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert written == ["cat.npz", "cat.png", "coffee.npz", "coffee.png"]
    assert out.count("written:") == 4
    with open(tmp_path / "n.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2"] * 2
    document = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    arrays = np.load(tmp_path / "maps" / "coffee.npz")
    assert arrays["names"].tolist() == [c["class"] for c in document["pictures"][1]["classes"]]


def test_pictures_of_one_name_do_not_overwrite_one_another(run, folder, tmp_path):
    for name in ("a/cat.jpg", "b/cat.jpg", "b/cat.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        load_photo("cat").square().image.save(tmp_path / name)
    out = tmp_path / "maps"
    assert run(tmp_path / "a", tmp_path / "b", "--out", out, "--quiet") == (0, "", "")
    assert sorted(path.name for path in out.iterdir()) == ["cat.jpg-1.png", "cat.jpg-2.png", "cat.png.png"]


def test_all_failed_is_one_too(run, folder):
    status, out, err = run(folder / "half.jpg", folder / "notes.txt", "--quiet")
    assert (status, out) == (1, "") and "half.jpg" in err and "notes.txt is no picture" in err


NETWORK = """
import torch
from torch import nn
from course_utils.networks import Classifier

def build():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    return Classifier(net, ["cost $5 and $6", "\u732b", "7"], size=96)

def fails():
    raise OSError("no weights here")

def bare():
    return nn.Identity()

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module with a network of somebody's own."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / f"{name}_broken.py").write_text("import no_such_package", encoding="utf-8")
    return name


def test_a_network_of_ones_own(own, folder, tmp_path, capsys):
    target = tmp_path / "map.png"
    status = main(
        ["explain", str(folder / "cat.jpg"), "--model", f"{own}:build", "--top", "3", "--out", str(target)]
    )
    out, err = capsys.readouterr()
    assert status == 0 and f"cat.jpg, seen by {own}:build: " in out and "cost $5 and $6: probability" in out
    assert target.exists() and err.count("no installed font has the letters \u732b") <= 1


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("OWN:fails", "the function failed (OSError: no weights here; OWN.py, line "),
        ("OWN:bare", "must return a Classifier, not Identity. Wrap a network"),
        ("OWN:number", "names no function that could be called, but 3."),
        ("OWN:gone", "names no function that could be called, in OWN there is no 'gone'."),
        ("OWN:", "names no function that could be called"),
        (
            "OWN_broken:build",
            "cannot be imported (ModuleNotFoundError: No module named 'no_such_package'; OWN_broken.py",
        ),
        ("no_such_module:build", "'no_such_module' cannot be imported (ModuleNotFoundError"),
        (":build", "'' cannot be imported"),
    ],
)
def test_what_is_wrong_with_a_network_of_ones_own(own, folder, model, words, capsys):
    status = main(["explain", str(folder / "cat.jpg"), "--model", model.replace("OWN", own)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and words.replace("OWN", own) in err and "Traceback" not in err


def test_random_weights_are_for_the_courses_networks(own, folder, capsys):
    assert main(["explain", str(folder / "cat.jpg"), "--model", f"{own}:build", "--weights", "none"]) == 2
    assert "brings its own weights" in capsys.readouterr().err


NAMES = (
    "price_$5_$6.jpg", "a$b_{c.png", "\u732b.png", "=1+1.png", 'com,ma "q".png', "new\nline.png", "\U0001f431.png",
    "\u05e9\u05dc\u05d5\u05dd.png", "a%b^c_d\\e.png", "#.png", "noending", f"{'l' * 200}.png",
)  # fmt: skip


def test_names_of_all_kinds_cost_neither_pictures_nor_the_table(own, tmp_path, capsys):
    folder, out = tmp_path / "all", tmp_path / "maps"
    folder.mkdir()
    image = load_photo("cat").square(64).image
    for name in NAMES:
        image.save(folder / name, "PNG")
    with open(bytes(folder) + b"/caf\xe9.jpg", "wb") as file:
        image.save(file, "JPEG")
    arguments = [str(folder), "--model", f"{own}:build", "--out", str(out), "--csv", str(tmp_path / "n.csv")]
    assert main(["explain", *arguments, "--json", str(tmp_path / "n.json")]) == 0
    with open(tmp_path / "n.csv", encoding="utf-8", newline="") as file:
        found = {row["picture"] for row in csv.DictReader(file)}
    expected = {name.replace("\n", "\ufffd") for name in NAMES} | {"caf\ufffd.jpg"}
    assert found == expected and len(list(out.iterdir())) == len(expected)
    document = json.loads((tmp_path / "n.json").read_text(encoding="utf-8"))
    assert {picture["picture"] for picture in document["pictures"]} == expected


def test_a_terminal_without_a_names_letters_does_not_end_the_run(own, tmp_path):
    load_photo("cat").square(64).image.save(tmp_path / "\u732b.png")
    code = "import sys; from course_utils.__main__ import main; sys.exit(main(sys.argv[1:]))"
    arguments = [str(tmp_path / "\u732b.png"), "--model", f"{own}:build"]
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
    }
    for more, words in (([], "\\u732b.png, seen by"), (["--json", "-"], '"picture": "\\u732b.png"')):
        done = subprocess.run(
            [sys.executable, "-c", code, "explain", *arguments, *more],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and words in done.stdout, done.stderr


def test_what_is_left_out_of_a_folder_is_told(run, folder):
    _, _, err = run(folder, "--quiet")
    assert err.splitlines()[0] == f"left out of {folder}: 1 other file (notes.txt)."


def test_one_picture_that_fails_costs_the_others_nothing(run, folder, tmp_path, monkeypatch):
    drawn = output.to_png

    def to_png(result):
        if result.picture.name == "cat.jpg":
            raise RuntimeError("it cannot be drawn")
        return drawn(result)

    monkeypatch.setattr(playground, "to_png", to_png)
    table = tmp_path / "n.csv"
    status, _, err = run(folder, "--out", tmp_path / "maps", "--csv", table, "--json", tmp_path / "n.json")
    assert status == 1 and f"{folder / 'cat.jpg'}: RuntimeError: it cannot be drawn" in err
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["coffee.png"]
    assert "coffee.png" in table.read_text() and "cat.jpg" not in table.read_text()
    failed = json.loads((tmp_path / "n.json").read_text())["failed"]
    assert [entry["path"] for entry in failed] == [str(folder / "cat.jpg"), str(folder / "half.jpg")]


def test_what_was_explained_outlasts_an_interruption(run, folder, tmp_path, monkeypatch):
    def interrupt(path, name):
        if path.name == "coffee.png":
            raise KeyboardInterrupt
        return read_picture(path, name)

    monkeypatch.setattr(explain_command, "read_picture", interrupt)
    status, _, err = run(folder, "--csv", tmp_path / "n.csv")
    assert status == 130 and "Interrupted." in err and "cat.jpg" in (tmp_path / "n.csv").read_text()


def test_a_folder_of_dicom_files(run, tmp_path):
    film = np.asarray(load_photo("cat").square(96).image.convert("L")).astype(np.uint16) * 16
    dicom(tmp_path / "IM0001", film)
    dicom(tmp_path / "b.dcm", film, WindowCenter=2000, WindowWidth=3000)
    status, out, err = run(tmp_path)
    assert (status, err) == (0, "") and "IM0001, seen by" in out and "b.dcm, seen by" in out
    assert "note: It is a DICOM picture, shown in its own window: center 2000, width 3000." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.jpg"], "no file or folder gone.jpg"),
        (["CAT", "--threshold", "0"], "--threshold must lie above 0"),
        (["CAT", "--threshold", "1.1"], "--threshold"),
        (["CAT", "--squares", "49"], "--squares must be between 1 and 48"),
        (["CAT", "--top", "6"], "--top must be between 1 and 5"),
        (["CAT", "--top", "2", "--class", "tabby"], "exclude each other"),
        (["CAT", "--method", "lime"], "invalid choice: 'lime'"),
        (["CAT", "--model", "vgg"], "invalid choice: 'vgg'"),
        (["CAT", "--out", "map.jpg"], "does not end in .png"),
        (["CAT", "--npz", "map.png"], "does not end in .npz"),
        (["FOLDER", "--out", "map.png"], "one file, but there are 3 pictures"),
        (["CAT", "--out", "nowhere/at/all.png"], "no folder"),
        (["CAT", "--csv", "FOLDER"], "is a folder"),
        (["CAT", "--csv", "-"], "only --json can write to standard output"),
        (["COFFEE", "--out", "COFFEE"], "must not overwrite"),
        (["CAT", "--csv", "CAT"], "must not overwrite"),
        (["CAT", "--out", "notes"], "is a file"),
        (["CAT", *(["--class", "tabby"] * 6), "--out", "m.png"], "room for 5"),
        ([], "required"),
    ],
)
def test_wrong_arguments_are_told_before_pytorch_is_loaded(
    folder, tmp_path, arguments, words, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("x")
    monkeypatch.setattr(explain_command, "_run", lambda *a: pytest.fail("it went on"))
    names = {"CAT": folder / "cat.jpg", "COFFEE": folder / "coffee.png", "FOLDER": folder}
    with pytest.raises(SystemExit) as end:
        main(["explain", *(str(names.get(a, a)) for a in arguments)])
    captured = capsys.readouterr()
    assert end.value.code == 2 and captured.out == ""
    assert words in captured.err, captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--class", "taby"], "Did you mean 'tabby'"),
        (["--class", "1000"], "no class 1000"),
        (["--class", "\u00b2"], "no class '\u00b2'"),
        (["--class", ""], "no class ''"),
        (["--layer", "net.nowhere"], "no layer named"),
        (["--method", "cam", "--layer", "net.bn2"], "CAM takes no layer"),
    ],
)
def test_what_only_the_network_knows_is_two_as_well(run, folder, arguments, words):
    status, out, err = run(folder / "cat.jpg", *arguments)
    assert (status, out) == (2, "") and words in err and "Traceback" not in err


def test_a_network_that_is_not_to_be_had(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    assert main(["explain", str(folder / "cat.jpg"), "--model", "vgg16"]) == 2
    assert "vgg16-397923af.pth" in capsys.readouterr().err


def test_an_interruption_has_a_status_of_its_own(run, folder, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(explain_command, "read_picture", interrupt)
    assert run(folder / "cat.jpg") == (130, "", "Interrupted.\n")


def test_a_result_that_cannot_be_written(run, folder, monkeypatch, tmp_path):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(explain_command, "_write", full)
    status, _, err = run(folder / "coffee.png", "--out", tmp_path / "map.png")
    assert status == 2 and "No space left" in err


def test_a_bar_is_shown_on_a_terminal_only(run, folder, monkeypatch):
    _, out, err = run(folder / "cat.jpg", folder / "coffee.png")
    assert "it/s" not in err and "picture/s" not in err and "%|" not in out
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, out, err = run(folder / "cat.jpg", folder / "coffee.png", "--json", "-")
    assert "2/2" in err and json.loads(out)


def test_random_weights_are_said_to_be_random(folder, capsys):
    seen = []
    for _ in range(2):
        assert main(["explain", str(folder / "coffee.png"), "--weights", "none", "--json", "-"]) == 0
        seen.append(json.loads(capsys.readouterr().out))
    assert seen[0] == seen[1] and seen[0]["pictures"][0]["cautions"][0]["code"] == "random-weights"


def test_help_has_examples_and_the_exit_status(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    shown = capsys.readouterr().out
    assert "explain cat.jpg --class tabby --method grad-cam --out map.png" in shown
    assert "exit status:\n  0    all pictures" in shown and "\n  2    nothing" in shown


def test_what_is_known_without_pytorch_is_so():
    assert tuple(list_classifiers()) == explain_command.CLASSIFIERS
    assert output.MOST_CLASSES == explain_command.MOST


@pytest.mark.parametrize("arguments", [["--threshold", "7"], ["--method", "lime"], ["--top", "6"]])
def test_a_typing_error_loads_no_pytorch(folder, arguments):
    code = (
        "import sys; from course_utils.__main__ import main\n"
        "try: main(['explain', *sys.argv[1:]])\n"
        "except SystemExit as end: print(end.code, sorted({'torch', 'matplotlib', 'nbformat'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "cat.jpg"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "2 []"
