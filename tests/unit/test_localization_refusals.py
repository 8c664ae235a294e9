"""What the room ``localization`` refuses, and in which words; what its command line does, test_localization_runner."""

import math

import numpy as np
import pytest
from PIL import Image
from torch import nn

from course_utils.localization import (
    box_from_heatmap,
    classification_error,
    energy_inside,
    iou,
    localization_error,
    mask_iou,
    pointing_game,
)
from course_utils.localization.evaluation import (
    DataError,
    evaluate,
    folders,
    read_ilsvrc,
    write_composites,
    write_ilsvrc,
)
from course_utils.networks import Classifier
from course_utils.pictures import composites

ONE = (0, 0, 1, 1)
MAP, MASK = np.eye(2), np.ones((3, 2), bool)
PEAK = np.eye(6, 8)
NO_MAP = (TypeError, ValueError)
LAYOUT = "not in ImageNet's layout"
NOTE = """<annotation>
	<object><name>n02123045</name><bndbox><xmin>0</xmin><ymin>14</ymin><xmax>499</xmax><ymax>374</ymax></bndbox></object>
	<object><name>n02123045</name><bndbox><xmin>3</xmin><ymin>5</ymin><xmax>3</xmax><ymax>8</ymax></bndbox></object>
</annotation>
"""
CRANES = [folders.Synset("n02012849", "crane"), folders.Synset("n03126707", "crane")]


def picture(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    write_ilsvrc(tmp_path, [(picture(seed=i), i, [(0, 0, 5, 5)]) for i in range(2)], ["a", "b"])
    return tmp_path


def remove(path):
    for child in sorted(path.rglob("*"), reverse=True):
        child.rmdir() if child.is_dir() else child.unlink()
    path.rmdir()


def without(folder, *parts):
    remove(folder.joinpath(*parts))
    return read_ilsvrc(folder)


def mapping(folder, text):
    (folder / "LOC_synset_mapping.txt").write_text(text)
    return read_ilsvrc(folder)


def no_mapping(folder):
    (folder / "LOC_synset_mapping.txt").unlink()
    return read_ilsvrc(folder)


def no_images(folder):
    for path in folder.rglob("*.JPEG"):
        path.unlink()
    return read_ilsvrc(folder)


def two_of_a_name(folder):
    picture().save(folder / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.png")
    return read_ilsvrc(folder)


def annotation(folder, text):
    (folder / "wrong.xml").write_text(text)
    return folders.read_annotation(folder / "wrong.xml")


def inside(box, width=40, height=30):
    folders.Annotation("n00000001", (ONE, box)).check_inside(width, height)


def written(folder, *item, classes=("a", "b")):
    return write_ilsvrc(folder / "new", [item], classes)


def evaluated(folder, **options):
    return evaluate(Classifier(nn.Identity(), ["a", "b"]), folder, progress=False, **options)


def blacklist(folder, text):
    (folder / "black.txt").write_text(text)
    return evaluated(folder, blacklist=folder / "black.txt")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        # heat-maps, and shares of their maximum
        (lambda _: box_from_heatmap(np.array([[0.0, np.nan]])), ValueError, "NaN"),
        (lambda _: box_from_heatmap(np.array([[0.0, np.inf]])), ValueError, "infinite"),
        (lambda _: box_from_heatmap(np.array([[0.0, -0.5]])), ValueError, "down to -0.5"),
        (lambda _: box_from_heatmap(np.zeros((1, 4, 4))), ValueError, "shape"),
        (lambda _: box_from_heatmap(np.zeros(4)), ValueError, "shape"),
        (lambda _: box_from_heatmap(np.zeros((0, 4))), ValueError, "shape"),
        (lambda _: pointing_game(np.array([[0.0, np.nan]]), ONE), ValueError, "NaN"),
        (lambda _: pointing_game(np.array([[0.0, np.inf]]), ONE), ValueError, "infinite"),
        (lambda _: pointing_game(np.array([[0.0, -0.5]]), ONE), ValueError, "down to -0.5"),
        (lambda _: pointing_game(np.zeros((1, 4, 4)), ONE), ValueError, "shape"),
        (lambda _: pointing_game(np.zeros(4), ONE), ValueError, "shape"),
        (lambda _: pointing_game(np.zeros((0, 4)), ONE), ValueError, "shape"),
        (lambda _: box_from_heatmap("map"), NO_MAP, "heat-map|shape"),
        (lambda _: box_from_heatmap(None), NO_MAP, "heat-map|shape"),
        (lambda _: box_from_heatmap(np.array([["a"]])), NO_MAP, "heat-map|shape"),
        (lambda _: box_from_heatmap(np.ones((2, 2), complex)), NO_MAP, "heat-map|shape"),
        (lambda _: box_from_heatmap(np.ones((2, 2)), 0), ValueError, "share"),
        (lambda _: box_from_heatmap(np.ones((2, 2)), -0.1), ValueError, "share"),
        (lambda _: box_from_heatmap(np.ones((2, 2)), 15), ValueError, "share"),
        (lambda _: box_from_heatmap(np.ones((2, 2)), math.nan), ValueError, "share"),
        # boxes
        (lambda _: iou(None, ONE), TypeError, "box"),
        (lambda _: iou((1, 2, 3), ONE), TypeError, "box"),
        (lambda _: iou("abcd", ONE), TypeError, "box"),
        (lambda _: iou(5, ONE), TypeError, "box"),
        (lambda _: iou((3, 0, 3, 4), ONE), ValueError, "box"),
        (lambda _: iou((3, 0, 1, 4), ONE), ValueError, "box"),
        (lambda _: iou((0, 0, math.nan, 1), ONE), ValueError, "box"),
        (lambda _: iou((0, 0, math.inf, 1), ONE), ValueError, "box"),
        (lambda _: iou(ONE, None), TypeError, "box"),
        (lambda _: iou(ONE, (1, 2, 3)), TypeError, "box"),
        (lambda _: iou(ONE, "abcd"), TypeError, "box"),
        (lambda _: iou(ONE, 5), TypeError, "box"),
        (lambda _: iou(ONE, (3, 0, 3, 4)), ValueError, "box"),
        (lambda _: iou(ONE, (3, 0, 1, 4)), ValueError, "box"),
        (lambda _: iou(ONE, (0, 0, math.nan, 1)), ValueError, "box"),
        (lambda _: iou(ONE, (0, 0, math.inf, 1)), ValueError, "box"),
        # error rates
        (lambda _: classification_error([], []), ValueError, "at least one"),
        (lambda _: classification_error([[1]], [1, 2]), ValueError, "1 guesses, 2 labels"),
        (lambda _: classification_error([[1]], [1], top=0), ValueError, "at least 1"),
        (lambda _: classification_error([[0.2, 0.8]], [1]), TypeError, r"got \[0.2, 0.8\] and 1.*`scores.topk"),
        (lambda _: classification_error([[1, 2]], [[0, 1]]), TypeError, r"and \[0, 1\].*`labels.argmax\(1\)`"),
        (lambda _: classification_error([1, 2], [1, 2]), TypeError, "a row of class numbers.*got 1 and 1"),
        (lambda _: localization_error([[1]], [[None]], [1], [[]]), ValueError, "no instance"),
        (lambda _: localization_error([[1, 2]], [[None]], [1], [[ONE]]), ValueError, "2 guesses but 1 boxes"),
        (lambda _: localization_error([[1]], [[(0, 0, 0, 1)]], [1], [[ONE]]), ValueError, "no pixel"),
        (lambda _: localization_error([[1]], [[None]], [1], [[ONE]], overlap=0), ValueError, "share"),
        # targets and masks
        (lambda _: pointing_game(PEAK, ONE, tolerance=-1), ValueError, "tolerance"),
        (lambda _: pointing_game(PEAK, np.zeros((6, 8), bool)), ValueError, "target has no pixel"),
        (lambda _: pointing_game(PEAK, (20, 20, 30, 30)), ValueError, "target has no pixel"),
        (lambda _: pointing_game(PEAK, []), ValueError, "target has no pixel"),
        (lambda _: energy_inside(MAP, MASK), ValueError, r"mask has shape \(3, 2\).*heat-map \(2, 2\)"),
        (lambda _: pointing_game(MAP, MASK), ValueError, r"mask has shape \(3, 2\).*heat-map \(2, 2\)"),
        (lambda _: energy_inside(MAP, np.full((2, 2), 0.4)), TypeError, "True and False"),
        (lambda _: pointing_game(MAP, np.full((2, 2), 0.4)), TypeError, "True and False"),
        (lambda _: mask_iou(np.ones((2, 2), bool), np.ones((2, 3), bool)), ValueError, "one size"),
        (lambda _: mask_iou(np.ones((2, 2)), np.full((2, 2), 2)), TypeError, "True and False"),
        # folders that are not in the layout
        (without, DataError, "there is no folder"),
        (lambda f: without(f, "ILSVRC"), DataError, LAYOUT),
        (lambda f: without(f, "ILSVRC/Data/CLS-LOC/val"), DataError, "no folder ILSVRC.Data.CLS-LOC.val"),
        (lambda f: without(f, "ILSVRC/Annotations"), DataError, "no folder ILSVRC.Annotations.CLS-LOC.val"),
        (no_images, DataError, "no image in"),
        (no_mapping, DataError, "lacks LOC_synset_mapping"),
        (lambda f: mapping(f, ""), DataError, "no class"),
        (lambda f: mapping(f, "n00000001 a\nn00000001 b\n"), DataError, "a class twice"),
        (lambda f: mapping(f, "n00000001 a\ntabby\n"), DataError, "line 2 .*'tabby'"),
        (two_of_a_name, DataError, "2 images .* ILSVRC2012_val_00000002"),
        # annotations that are none
        (lambda f: folders.read_annotation(f / "wrong.xml"), DataError, r"wrong\.xml cannot be read"),
        (lambda f: annotation(f, ""), DataError, r"wrong\.xml is no XML"),
        (lambda f: annotation(f, NOTE[:-20]), DataError, r"wrong\.xml is no XML"),
        (lambda f: annotation(f, "<annotation/>"), DataError, r"wrong\.xml .*no object"),
        (
            lambda f: annotation(f, NOTE.replace("n02123045", "n02123046", 1)),
            DataError,
            r"wrong\.xml .*2 classes \(n02123045, n02123046\)",
        ),
        (
            lambda f: annotation(f, NOTE.replace("<name>n02123045</name>", "")),
            DataError,
            r"wrong\.xml .*must have those of one class",
        ),
        (lambda f: annotation(f, NOTE.replace("<xmin>3</xmin>", "")), DataError, r"wrong\.xml .*four whole numbers"),
        (
            lambda f: annotation(f, NOTE.replace("<xmin>3<", "<xmin>three<")),
            DataError,
            r"wrong\.xml .*'three'.*four whole numbers",
        ),
        (
            lambda f: annotation(f, NOTE.replace("<xmin>3<", "<xmin>4<")),
            DataError,
            r"wrong\.xml .*4 5 3 8, which is inside out",
        ),
        # boxes outside of their image
        (lambda _: inside((0, 14, 500, 375), 498, 375), DataError, "outside its image"),
        (lambda _: inside((0, 14, 500, 375), 500, 373), DataError, "outside its image"),
        (lambda _: inside((-1, 0, 5, 5)), DataError, "outside its image of 40 x 30"),
        (lambda _: inside((0, -1, 5, 5)), DataError, "outside its image of 40 x 30"),
        (lambda _: inside((0, 0, 42, 5)), DataError, "outside its image of 40 x 30"),
        (lambda _: inside((0, 0, 5, 32)), DataError, "outside its image of 40 x 30"),
        (lambda _: inside((40, 0, 41, 5)), DataError, "outside its image of 40 x 30"),
        # what is not written
        (lambda f: written(f, picture(), 2, [ONE]), DataError, "no class 2"),
        (lambda f: written(f, picture(), "c", [ONE]), DataError, "no classes"),
        (lambda f: written(f, picture(), 0, []), DataError, "needs boxes"),
        (lambda f: written(f, picture(), 0, [(0, 0, 41, 30)]), DataError, "inside its 40 x 30"),
        (lambda f: written(f, picture(), 0, [(5, 5, 5, 6)]), DataError, "outside"),
        (lambda f: written(f, picture(), 0, [(0, 0, 1.5, 2)]), DataError, "whole numbers"),
        (lambda f: written(f, picture(), 0, [(0, 0, 1)]), DataError, "whole numbers"),
        (lambda f: written(f, picture(), "crane", [ONE], classes=CRANES), DataError, "name of 2 classes"),
        (lambda f: write_ilsvrc(f, [(picture(), 0, [ONE])], ["a"]), DataError, "already"),
        (lambda f: write_ilsvrc(f / "new", [], ["a"], image_format="GIF"), DataError, "'JPEG' or 'PNG'"),
        (
            lambda f: write_composites(f / "new", composites(1, names=["astronaut"])),
            DataError,
            "no class for 'astronaut'",
        ),
        # the evaluation
        (lambda f: evaluated(f / "ILSVRC" / "Data"), DataError, "layout"),
        (lambda f: evaluated(f, method="x"), ValueError, "no method 'x'"),
        (lambda f: evaluated(f, thresholds=()), ValueError, "at least one threshold"),
        (lambda f: blacklist(f, "3\n"), ValueError, "no image 3 among 2"),
    ],
)  # fmt: skip
def test_it_is_refused_in_a_sentence(folder, call, error, words):
    with pytest.raises(error, match=words):
        call(folder)
    assert not list((folder / "new").rglob("*.JPEG"))
