"""The evaluation of a folder, through its command line: figures by hand, interruptions, processes, faulty files."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TinyNet
from PIL import Image
from torch import nn
from torch.nn import functional as F

from course_utils.explain import excitation_backprop, grad_cam, saliency
from course_utils.localization import __main__, box_from_heatmap, classification_error, localization_error
from course_utils.localization.evaluation import (
    METHODS,
    evaluate,
    folders,
    loading,
    read_ilsvrc,
    to_original,
    write_ilsvrc,
)
from course_utils.networks import Classifier, imagenet_classes

# A network that finds colors, pixel by pixel: its maps are as sharp as the drawings, so that boxes come out exactly.
MODEL = """
import torch
from torch import nn
from course_utils.networks import Classifier

def make():
    convolution = nn.Conv2d(3, 3, 1, bias=False)
    convolution.weight.data = (2 * torch.eye(3) - 1)[:, :, None, None]
    linear = nn.Linear(3, 3)
    linear.weight.data, linear.bias.data = torch.eye(3), torch.zeros(3)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    net = nn.Sequential(nn.Sequential(convolution, nn.ReLU()), head)
    return Classifier(net, ["red", "green", "blue"], (0, 0, 0), (1, 1, 1), "0", size=32)

def other():
    made = make()
    made.net[1][2].weight.data *= 2
    return made

number = 3
def none():
    return nn.Identity()
"""
RED, GREEN, BLUE = 0, 1, 2
CLASSES = ["blue", "red", "green"]  # in another order than the model's


def drawn(width, height, *parts):
    """Black, with boxes of full color, each (channel, box)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for channel, (x0, y0, x1, y1) in parts:
        pixels[y0:y1, x0:x1, channel] = 255
    return Image.fromarray(pixels)


ITEMS = [
    # the square that is seen begins at x = 8
    (drawn(48, 32, (RED, (12, 4, 28, 20))), "red", [(12, 4, 28, 20)]),
    # it begins at y = 16; the truth is twice as tall as what is found
    (drawn(32, 64, (GREEN, (2, 20, 12, 40))), "green", [(2, 20, 12, 60)]),
    # the class is the second guess; one of two instances is found, the larger one
    (
        drawn(32, 32, (RED, (0, 0, 32, 16)), (GREEN, (2, 20, 6, 24)), (GREEN, (20, 20, 25, 25))),
        "green",
        [(2, 20, 6, 24), (20, 20, 25, 25)],
    ),
    # there is nothing of the class: its map is empty
    (drawn(32, 32, (RED, (3, 3, 9, 9))), "blue", [(3, 3, 9, 9)]),
    # the right class in the wrong place
    (drawn(32, 32, (BLUE, (3, 3, 9, 9))), "blue", [(20, 20, 30, 30)]),
    # seen at half its size, from x = 16
    (drawn(96, 64, (RED, (32, 16, 64, 48))), "red", [(32, 16, 64, 48)]),
    # reaches out of the square: 32 of its 72 columns at most can be found, just short of a half
    (drawn(72, 32, (GREEN, (0, 0, 72, 31))), "green", [(0, 0, 72, 31)]),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "color_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield write_ilsvrc(tmp_path / "data", ITEMS, CLASSES, image_format="PNG").root
    sys.modules.pop("color_model", None)


def arguments(folder, *more, model="color_model:make"):
    base = ["--data", str(folder), "--model", model, "--quiet", "--workers", "0", "--batch-size", "2"]
    return [*base, *map(str, more)]


def run(folder, *more, **options):
    return __main__.main(arguments(folder, *more, **options))


def table(path):
    lines = path.read_text().splitlines()
    return json.loads(lines[0].removeprefix("# ")), list(csv.DictReader(lines[1:]))


# ------------------------------------------------------------------------------------------------- what is right


def test_figures_by_hand(folder, tmp_path, capsys):
    assert run(folder, "--out", tmp_path / "rows.csv") == 0
    settings, rows = table(tmp_path / "rows.csv")
    assert settings["top"] == 3  # there are no five classes
    assert [row["rank"] for row in rows[:3]] == ["1", "1", "2"]
    assert rows[4]["rank"] == "1" and int(rows[3]["rank"]) > 1
    assert [row["hit@0.15"] for row in rows] == ["1", "1", "2", "0", "0", "1", "0"]
    assert [row["iou@0.15"] for row in rows[:5]] == ["1.0000", "0.5000", "1.0000", "", "0.0000"]
    assert float(rows[5]["iou@0.15"]) > 0.85 and rows[6]["iou@0.15"] == "0.4444"
    first = [row["boxes@0.15"].split(";") for row in rows]
    assert first[0][0] == "12.00 4.00 28.00 20.00"
    assert first[1][0] == "2.00 20.00 12.00 40.00"
    assert first[2][1] == "20.00 20.00 25.00 25.00"
    assert first[0][1] == "none"
    shown = capsys.readouterr().out
    # of seven images: 2, 0, 4 and 3 are wrong
    assert "threshold   cls top-1   cls top-3   loc top-1   loc top-3" in shown
    assert "     15 %       28.57        0.00       57.14       42.86" in shown


def test_the_table_is_that_of_the_measures(folder):
    """The rows' figures are those of the functions for lists of guesses and boxes, on maps made one by one."""
    clf = __import__("color_model").make()
    found = read_ilsvrc(folder)
    thresholds = (0.15, 0.5, 0.9)
    results = evaluate(clf, found, thresholds=thresholds, batch_size=3, progress=False)
    numbers = loading.class_numbers(found, clf)
    samples = [loading.load_sample(path, found, numbers, clf.size) for path in found.images]
    guesses, labels = [], [sample.label for sample in samples]
    maps = []
    for sample in samples:
        chosen, heatmaps = METHODS["grad-cam"](clf, sample.pixels[None], None, 3)
        guesses.append(chosen[0].tolist())
        maps.append(heatmaps[0])
    truth = [sample.truth.boxes for sample in samples]
    for threshold in thresholds:
        boxes = [
            [b and to_original(b, *s.size, 32) for b in (box_from_heatmap(m, threshold) for m in own)]
            for own, s in zip(maps, samples, strict=True)
        ]
        for top in (1, 2, 3):
            assert results.localization_error(threshold, top) == localization_error(
                guesses, boxes, labels, truth, top
            )
            assert results.classification_error(top) == classification_error(guesses, labels, top)


def test_cam_is_grad_cam_on_a_pooling_network_and_the_gradient_sees_the_same_colors(folder, tmp_path):
    found = {}
    for method in ("grad-cam", "cam", "gradient"):
        assert run(folder, "--method", method, "--out", tmp_path / f"{method}.csv") == 0
        found[method] = table(tmp_path / f"{method}.csv")[1]
    assert found["cam"] == found["grad-cam"]
    # where nothing was resized, so that every pixel has color or none
    assert found["gradient"][:5] == found["grad-cam"][:5]


def test_c_mwp_is_excitation_backprop_of_the_guesses(folder):
    clf = __import__("color_model").make()
    found = read_ilsvrc(folder)
    sample = loading.load_sample(found.images[0], found, loading.class_numbers(found, clf), clf.size)
    guesses, maps = METHODS["c-mwp"](clf, sample.pixels[None], None, 2)
    expected = excitation_backprop(clf, sample.pixels[None], guesses, contrastive=True).relu()
    assert maps.shape == (1, 2, 32, 32) and maps.max() > 0
    assert torch.equal(maps, F.interpolate(expected, (32, 32), mode="bilinear", align_corners=False))
    assert evaluate(clf, folder, method="c-mwp", progress=False).localization_error(0.15, 1) < 1


def test_grad_cam_explains_all_guesses_in_one_forward_pass(folder):
    clf = __import__("color_model").make()
    calls = []
    clf.net.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    evaluate(clf, folder, batch_size=3, progress=False)
    assert calls == [3, 3, 1]


def test_the_model_is_left_as_it_was(folder):
    clf = __import__("color_model").make().train()
    evaluate(clf, folder, progress=False)
    assert clf.training and clf.net[0].training
    assert all(parameter.grad is None for parameter in clf.parameters())


def test_boxes_go_back_to_the_image_by_hand():
    # landscape, scale 375 / 224, and 62.5 pixels cut off on the left
    assert to_original((0, 0, 224, 224), 500, 375, 224) == (62.5, 0, 437.5, 375)
    assert to_original((56, 112, 168, 224), 500, 375, 224) == (156.25, 187.5, 343.75, 375)
    # portrait, scale 2, and 50 pixels cut off above
    assert to_original((10, 20, 30, 40), 300, 400, 150) == (20, 90, 60, 130)
    assert to_original((1, 2, 3, 4), 32, 32, 32) == (1, 2, 3, 4)


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (333, 500), (224, 224), (100, 90)])
def test_boxes_go_back_as_preprocess_went_there(width, height):
    """A bright rectangle is found again to within a pixel of the square."""
    box = (int(0.3 * width), int(0.4 * height), int(0.6 * width), int(0.7 * height))
    square = Classifier(nn.Identity(), ["a"]).preprocess(drawn(width, height, (RED, box)))[0, 0]
    found = to_original(box_from_heatmap(square, 0.5), width, height, 224)
    assert found == pytest.approx(box, abs=min(width, height) / 224)


def test_a_rotation_noted_in_exif_does_not_turn_the_picture(folder):
    path = read_ilsvrc(folder).images[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)
    rows = evaluate(__import__("color_model").make(), folder, limit=1, progress=False).rows
    assert rows[0]["hit@0.15"] == "1" and rows[0]["iou@0.15"] == "1.0000"


def test_imagenets_classes_are_known_by_their_numbers(tmp_path):
    synsets = [
        folders.Synset("n02123045", "a tabby"),
        folders.Synset("n01440764", "a tench"),
        folders.Synset("n90000000", "none"),
    ]
    found = write_ilsvrc(tmp_path, [(Image.new("RGB", (300, 300)), 0, [(0, 0, 9, 9)])], synsets)
    clf = Classifier(nn.Identity(), imagenet_classes())
    assert loading.class_numbers(found, clf) == {"n02123045": 281, "n01440764": 0}


def test_a_network_by_name(tmp_path, capsys):
    write_ilsvrc(tmp_path / "data", [(Image.new("RGB", (300, 200), "gray"), 281, [(0, 0, 300, 200)])])
    more = ("--weights", "none", "--layer", "layer3", "--device", "cpu", "--out", tmp_path / "rows.csv")
    assert run(tmp_path / "data", *more, model="resnet18") == 0
    assert len(table(tmp_path / "rows.csv")[1][0]["guesses"].split()) == 5
    assert "cls top-5" in capsys.readouterr().out
    # random weights are the same in every process, or these results would be those of another network
    assert run(tmp_path / "data", *more, model="resnet18") == 0
    assert "cls top-5" in capsys.readouterr().out


def test_maps_are_those_of_their_formulas_at_the_size_of_the_image():
    """On a network whose maps are coarser than the image, and whose gradients have both signs."""
    torch.manual_seed(0)
    clf = Classifier(TinyNet(pooled=False), list("abcde"), target_layer="features.5", size=8)
    images = torch.rand(2, 3, 8, 8)
    for method in ("gradient", "grad-cam", "c-mwp"):
        guesses, maps = METHODS[method](clf, images, None, 3)
        assert torch.equal(guesses, clf(images).topk(3).indices) and maps.shape == (2, 3, 8, 8)
        if method == "gradient":
            found = torch.stack([saliency(clf, images, guesses[:, [k]])[:, 0] for k in range(3)], 1)
            assert found.min() < -found.max() / 2
            expected = torch.maximum(found.amax(2), -found.amin(2))
        else:
            raw = grad_cam(clf, images, guesses).maps
            raw = excitation_backprop(clf, images, guesses, contrastive=True) if method == "c-mwp" else raw
            assert raw.shape[2:] != (8, 8) and raw.min() < 0 < raw.max()
            expected = F.interpolate(raw.clamp(min=0), (8, 8), mode="bilinear", align_corners=False)
        torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-7)


def test_blacklisted_images_count_in_classification_alone(folder, tmp_path, capsys):
    (tmp_path / "black.txt").write_text("4\n5\n7\n")
    assert run(folder, "--blacklist", tmp_path / "black.txt") == 0
    shown = capsys.readouterr().out
    assert "3 of them on the blacklist" in shown
    assert "     15 %       28.57        0.00       25.00        0.00" in shown


# ------------------------------------------------------------------------------- interruptions, several processes


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch, after, capsys):
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    run(folder, "--out", whole, "--threshold", 0.2, 0.4)
    table_of_whole = capsys.readouterr().out.splitlines()[:-1]
    method, batches = METHODS["grad-cam"], []

    def interrupted(clf, images, layer, top):
        if len(batches) == after:
            raise KeyboardInterrupt
        batches.append(len(images))
        return method(clf, images, layer, top)

    monkeypatch.setitem(METHODS, "grad-cam", interrupted)
    assert run(folder, "--out", broken, "--threshold", 0.2, 0.4) == 130
    there = len(table(broken)[1]) if broken.exists() else 0
    # a batch is written when the one behind it has been through the network
    assert there == 2 * max(0, after - 1)
    if there:
        broken.write_bytes(
            broken.read_bytes()[:-3]
        )  # the power went: the last box of the last row is cut short
        there -= 2  # its batch is computed again
    monkeypatch.setitem(METHODS, "grad-cam", lambda *given: batches.append(len(given[1])) or method(*given))
    batches.clear()
    assert run(folder, "--out", broken, "--threshold", 0.2, 0.4) == 0
    assert sum(batches) == 7 - there
    assert broken.read_bytes() == whole.read_bytes()
    assert capsys.readouterr().out.splitlines()[:-1] == table_of_whole
    # and once more, with nothing left to do
    assert run(folder, "--out", broken, "--threshold", 0.2, 0.4) == 0
    assert sum(batches) == 7 - there and broken.read_bytes() == whole.read_bytes()


def test_a_limited_run_can_be_continued_and_a_complete_one_cut(folder, tmp_path, capsys):
    run(folder, "--out", tmp_path / "whole.csv")
    run(folder, "--out", tmp_path / "rows.csv", "--limit", 3)
    assert "of 3 images" in capsys.readouterr().out.splitlines()[-4]
    assert run(folder, "--out", tmp_path / "rows.csv") == 0
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    run(folder, "--out", tmp_path / "rows.csv", "--limit", 3)
    assert "of 3 images" in capsys.readouterr().out.splitlines()[-4]
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--threshold", "0.3"), "thresholds [0.15] there, [0.3] here"),
        (("--method", "cam"), "method 'grad-cam' there, 'cam' here"),
        (("--top", "1"), "top 3 there, 1 here"),
        (("--layer", "0.0"), "layer None there, '0.0' here"),
        (("--model", "color_model:other"), "weights"),
    ],
)
def test_results_of_other_settings_are_not_mixed(folder, tmp_path, capsys, more, words):
    out = tmp_path / "rows.csv"
    run(folder, "--out", out)
    before = out.read_bytes()
    assert run(folder, "--out", out, *more) == 2
    told = capsys.readouterr().err
    assert words in told and "cannot be mixed" in told
    assert out.read_bytes() == before


def test_a_file_of_something_else_is_not_overwritten(folder, tmp_path, capsys):
    for text in ("image,label\n", "# a comment\n", "# {}\nx\n"):
        (tmp_path / "mine.csv").write_text(text)
        assert run(folder, "--out", tmp_path / "mine.csv") == 2
        assert "holds no results" in capsys.readouterr().err
        assert (tmp_path / "mine.csv").read_text() == text


def test_two_processes_give_what_one_gives_and_go_on_from_where_one_was(folder, tmp_path):
    run(folder, "--out", tmp_path / "two.csv", "--limit", 1)
    spoil(folder)
    assert run(folder, "--out", tmp_path / "one.csv") == 1
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "course_utils.localization", *arguments(folder, "--out", tmp_path / "two.csv")]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=120)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes(), done.stderr
    assert done.stdout.count("cls top-1") == 1  # one of them speaks
    assert done.returncode == 1 and "exitcode  : 1" in done.stderr  # of the faulty files


# ------------------------------------------------------------------------------------------------- what is wrong


def spoil(root):
    """Put a faulty file of each kind into the folder; return their names with the words that must tell of them."""
    data, notes = (root / "ILSVRC" / kind / "CLS-LOC" / "val" for kind in ("Data", "Annotations"))
    good_image, good_note = data / "ILSVRC2012_val_00000001.png", notes / "ILSVRC2012_val_00000001.xml"
    text, whole = good_note.read_text(), good_image.read_bytes()
    with open(root / "LOC_synset_mapping.txt", "a") as mapping:
        mapping.write("n90000099 purple\n")

    def add(stem, note=text, image=whole, suffix=".png"):
        (data / (stem + suffix)).write_bytes(image)
        if note is not None:
            (notes / f"{stem}.xml").write_text(note)

    add("a_cut", image=whole[:-40])
    add("b_text", image=b"no picture", suffix=".JPEG")
    add("c_without", note=None)
    add("d_outside", note=text.replace("<xmax>27<", "<xmax>49<"))
    add("e_purple", note=text.replace("n90000001", "n90000099"))
    add("f_unlisted", note=text.replace("n90000001", "n12345678"))
    add("g_broken", note=text[:-9])
    Image.fromarray(np.full((32, 48), 40000, np.uint16)).save(data / "h_deep.png")
    (notes / "h_deep.xml").write_text(text)
    (notes / "i_alone.xml").write_text(text)
    return {
        "a_cut.png": "does not decode",
        "b_text.JPEG": "does not decode",
        "c_without.png": "cannot be read",
        "d_outside.png": "outside its image of 48 x 32",
        "e_purple.png": "n90000099 is unknown to the model",
        "f_unlisted.png": "n12345678 is unknown to the folder's LOC_synset_mapping.txt",
        "g_broken.png": "is no XML",
        "h_deep.png": "8 bits",
        "i_alone.xml": "no image to this annotation",
    }


def test_faulty_files_are_named_counted_and_left_out(folder, tmp_path, capsys):
    run(folder)
    clean = capsys.readouterr().out.splitlines()
    faults = spoil(folder)
    assert run(folder, "--out", tmp_path / "rows.csv") == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[: len(clean)] == clean  # the figures of the others are what they were
    assert f"{len(faults)} faulty files" in "\n".join(shown)
    for name, words in faults.items():
        (line,) = [line for line in shown if line.startswith(f"  {name}: ")]
        assert words in line
    _, rows = table(tmp_path / "rows.csv")
    assert len(rows) == 7 + 8  # the annotation without an image has no row
    told = {row["image"]: row["fault"] for row in rows if row["fault"]}
    assert set(told) == set(faults) - {"i_alone.xml"}


def test_many_faulty_files_are_all_counted_and_named_somewhere(folder, tmp_path, capsys):
    data, notes = (folder / "ILSVRC" / kind / "CLS-LOC" / "val" for kind in ("Data", "Annotations"))
    for number in range(23):
        (data / f"bad_{number:02}.png").write_bytes(b"")
        (notes / f"stray_{number:02}.xml").write_text("<annotation/>")
    assert run(folder) == 1
    shown = capsys.readouterr().out
    assert "46 faulty files" in shown and "more" not in shown
    for number in range(23):
        assert f"  bad_{number:02}.png: " in shown and f"  stray_{number:02}.xml: " in shown
    assert run(folder, "--out", tmp_path / "rows.csv") == 1
    shown = capsys.readouterr().out
    assert "46 faulty files" in shown and "bad_19.png" in shown and "bad_20.png" not in shown
    assert "  and 3 more: see the column fault.\n" in shown and "stray_19.xml" in shown
    assert "  and 3 more without an image.\n" in shown
    faulty = [row["image"] for row in table(tmp_path / "rows.csv")[1] if row["fault"]]
    assert faulty == [f"bad_{number:02}.png" for number in range(23)]


def test_a_mended_file_is_tried_again(folder, tmp_path):
    spoil(folder)
    run(folder, "--out", tmp_path / "rows.csv")
    data = folder / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    shutil.copy(data / "ILSVRC2012_val_00000001.png", data / "a_cut.png")
    assert run(folder, "--out", tmp_path / "rows.csv") == 1
    (row,) = [row for row in table(tmp_path / "rows.csv")[1] if row["image"] == "a_cut.png"]
    assert row["fault"] == "" and row["hit@0.15"] == "1"


def test_workers_find_the_same_faults(folder, tmp_path):
    spoil(folder)
    run(folder, "--out", tmp_path / "none.csv")
    run(folder, "--out", tmp_path / "two.csv", "--workers", 2)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "none.csv").read_bytes()


def test_where_nothing_can_be_evaluated(folder, capsys):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    assert run(folder) == 2
    shown = capsys.readouterr().out
    assert "No image could be evaluated" in shown and "7 faulty files" in shown


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--data", "nowhere"), "there is no folder nowhere"),
        (("--threshold", "15"), "share"),
        (("--top", "0"), "top must be at least 1"),
        (("--batch-size", "0"), "batch_size must be at least 1"),
        (("--limit", "0"), "limit must be at least 1"),
        (("--layer", "nonsense"), "no layer named 'nonsense'"),
        (("--method", "cam", "--layer", "0"), "takes no layer"),
        (("--model", "vgg61"), "Did you mean 'vgg16'"),
        (("--model", "color_model:missing"), "no function"),
        (("--model", "color_model:number"), "no function"),
        (("--model", "color_model:none"), "must return a Classifier, not Identity"),
        (("--device", "nonsense"), "cannot be used here"),
        (("--blacklist", "nowhere.txt"), "no list of image numbers"),
    ],
)
def test_arguments_that_do_not_fit(folder, tmp_path, capsys, more, words):
    assert run(folder, "--out", tmp_path / "rows.csv", *more) == 2
    told = capsys.readouterr().err
    assert words in told
    assert not (tmp_path / "rows.csv").exists()


def test_what_the_command_line_itself_refuses(folder, capsys):
    for more in (("--method", "telepathy"), ("--threshold", "much"), ("--weights", "mine")):
        with pytest.raises(SystemExit) as ended:
            run(folder, *more)
        assert ended.value.code == 2
    capsys.readouterr()


def test_a_model_that_knows_none_of_the_classes(folder, tmp_path, capsys):
    (folder / "LOC_synset_mapping.txt").write_text("n90000000 square\n")
    assert run(folder) == 2
    assert "knows none of the 1 classes" in capsys.readouterr().err
