"""``made_folders``: scenes and composites come back from ImageNet's layout, and the evaluation finds what it should."""

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.localization import box_from_heatmap, classification_error, localization_error
from course_utils.localization.evaluation import (
    METHODS,
    DataError,
    evaluate,
    loading,
    made_folders,
    read_ilsvrc,
    write_scenes,
)
from course_utils.networks import load_classifier, scene_classifier
from course_utils.pictures import SHAPES, composites, scenes


def test_scenes_come_back(tmp_path):
    drawn = scenes(4, seed=3, objects=(1, 4), shapes=["cup", "key"])
    folder = write_scenes(tmp_path, drawn)
    assert folder == read_ilsvrc(tmp_path)
    assert [synset.name for synset in folder.synsets] == list(SHAPES)
    seen = 0
    for path, image, things in zip(folder.images, drawn.images, drawn.objects, strict=True):
        truth = folder.annotation(path)
        kind = things[0].name
        assert {s.wnid: s.name for s in folder.synsets}[truth.label] == kind
        # the smallest boxes around the masks of this kind, counted from the pixels
        for box, mask in zip(truth.boxes, [t.mask for t in things if t.name == kind], strict=True):
            ys, xs = np.nonzero(mask)
            assert box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        seen += len(truth.boxes)
        pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255
        assert (pixels - image).abs().max() <= 0.5 / 255 + 1e-6
    assert 4 < seen < sum(map(len, drawn.objects))  # several of a kind, and others


def test_composites_come_back(tmp_path):
    made = composites(3, seed=2, objects=2, names=["cat", "flower"], scale=(0.3, 0.5))
    folder = made_folders.write_composites(tmp_path, iter(made))
    numbers = loading.class_numbers(folder, load_classifier())
    for path, composite in zip(folder.images, made, strict=True):
        truth = folder.annotation(path)
        assert load_classifier().classes[numbers[truth.label]] == composite.objects[0].labels[0]
        assert truth.boxes == (composite.objects[0].box,)
        difference = np.asarray(Image.open(path), dtype=float) - np.asarray(composite.image)
        assert path.suffix == ".JPEG" and np.abs(difference).mean() < 4
    twice = made_folders.write_composites(
        tmp_path / "twice", composites(1, names=["cat"], objects=2, scale=(0.3, 0.4))
    )
    assert len(twice.annotation(twice.images[0]).boxes) == 2


def test_what_imagenet_has_no_class_for(tmp_path):
    with pytest.raises(DataError, match="no class for 'astronaut'"):
        made_folders.write_composites(tmp_path, composites(1, names=["astronaut"]))


def test_the_evaluation_of_the_folder_is_that_of_the_scenes(tmp_path):
    clf, drawn = scene_classifier("vgg"), scenes(40, seed=5, objects=(1, 2), scale=(0.35, 0.6))
    write_scenes(tmp_path, drawn)
    results = evaluate(clf, tmp_path, top=3, thresholds=[0.15, 0.4], batch_size=24, progress=False)
    rounded = (drawn.images * 255).round() / 255
    guesses, maps = METHODS["grad-cam"](clf, rounded, None, 3)
    truth = [[t.box for t in things if t.label == things[0].label] for things in drawn.objects]
    for threshold in (0.15, 0.4):
        boxes = [[box_from_heatmap(one, threshold) for one in row] for row in maps]
        for top in (1, 3):
            found = results.localization_error(threshold, top)
            assert found == localization_error(guesses, boxes, drawn.labels, truth, top)
            assert 0 < found < 1
    assert results.classification_error(1) == classification_error(guesses, drawn.labels, 1)
    assert not results.faulty


def test_composites_through_the_network(tmp_path):
    """The network that names few of them names these: right guesses and boxes come through the folder."""
    made = composites(4, names=["cat", "coffee"], scale=(0.7, 0.9))
    made_folders.write_composites(tmp_path, made)
    results = evaluate(load_classifier(), tmp_path, thresholds=[0.3], progress=False)
    assert results.settings["top"] == 5 and not results.faulty
    assert results.classification_error(5) <= 0.25 and results.localization_error(0.3, 5) <= 0.5
