"""ImageNet's layout: what is written comes back, scenes and composites too; what real files look like is understood."""

from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course_utils.localization import box_from_heatmap, classification_error, localization_error
from course_utils.localization.evaluation import (
    METHODS,
    evaluate,
    folders,
    loading,
    read_ilsvrc,
    write_composites,
    write_ilsvrc,
    write_scenes,
)
from course_utils.networks import imagenet_classes, load_classifier, scene_classifier
from course_utils.pictures import SHAPES, composites, scenes

# In the form of a real one, which Kaggle's and the development kit's files share; first and last pixel at the edges.
REAL = """<annotation>
	<folder>val</folder>
	<filename>ILSVRC2012_val_00000007</filename>
	<source>
		<database>ILSVRC_2012</database>
	</source>
	<size>
		<width>500</width>
		<height>375</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
	<object>
		<name>n02123045</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>0</xmin>
			<ymin>14</ymin>
			<xmax>499</xmax>
			<ymax>374</ymax>
		</bndbox>
	</object>
	<object>
		<name>n02123045</name>
		<bndbox><xmin>3</xmin><ymin>5</ymin><xmax>3</xmax><ymax>8</ymax></bndbox>
	</object>
</annotation>
"""


def picture(width=40, height=30, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_a_real_annotation(tmp_path):
    (tmp_path / "a.xml").write_text(REAL)
    truth = folders.read_annotation(tmp_path / "a.xml")
    assert truth == folders.Annotation("n02123045", ((0, 14, 500, 375), (3, 5, 4, 9)))
    truth.check_inside(500, 375)
    truth.check_inside(499, 374)  # counted from 1, it would fit


def test_what_is_written_comes_back(tmp_path):
    images = [picture(40, 30, 0), picture(25, 50, 1), picture(10, 10, 2)]
    boxes = [[(0, 0, 40, 30)], [(3, 4, 5, 50), (24, 0, 25, 1)], [(2, 2, 3, 9)]]
    items = zip(images, [0, "square", "n90000000"], boxes, strict=True)
    folder = write_ilsvrc(tmp_path, items, ["circle", "square"], image_format="PNG")
    assert folder == read_ilsvrc(tmp_path)
    assert [(s.wnid, s.name) for s in folder.synsets] == [("n90000000", "circle"), ("n90000001", "square")]
    truths = [folder.annotation(path) for path in folder.images]
    assert [truth.label for truth in truths] == ["n90000000", "n90000001", "n90000000"]
    assert [list(truth.boxes) for truth in truths] == boxes
    for path, image in zip(folder.images, images, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(image))


def test_the_layout_is_kaggles(tmp_path):
    write_ilsvrc(tmp_path, [(picture(), "n02123045", [(1, 2, 30, 20)])])
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == [
        "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml",
        "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG",
        "LOC_synset_mapping.txt",
    ]
    lines = (tmp_path / "LOC_synset_mapping.txt").read_text().splitlines()
    assert lines[0] == "n01440764 tench, Tinca tinca"
    assert lines[281] == "n02123045 tabby, tabby cat"
    # the same elements, in the same order, as in a real annotation; and inclusive pixels
    written = ElementTree.parse(tmp_path / found[0]).getroot()
    real = ElementTree.fromstring(REAL)
    assert [part.tag for part in written] == [part.tag for part in real][: len(written)]
    assert [part.tag for part in written.iter()] == [part.tag for part in real.iter()][
        : len(list(written.iter()))
    ]
    assert [part.text for part in written.find("object/bndbox")] == ["1", "2", "29", "19"]
    assert written.findtext("size/width") == "40"
    assert Image.open(tmp_path / found[1]).format == "JPEG"


sides = st.integers(1, 60)


@given(st.data(), sides, sides)
def test_all_boxes_come_back(tmp_path_factory, data, width, height):
    across, down = (
        st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True).map(sorted) for n in (width, height)
    )
    box = st.tuples(across, down).map(lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))
    boxes = data.draw(st.lists(box, min_size=1, max_size=4))
    folder = write_ilsvrc(
        tmp_path_factory.mktemp("x"), [(Image.new("RGB", (width, height)), 0, boxes)], ["a"], "PNG"
    )
    assert list(folder.annotation(folder.images[0]).boxes) == boxes


def test_images_sorted_into_folders_and_the_inner_folder(tmp_path):
    write_ilsvrc(tmp_path, [(picture(seed=i), i % 2, [(0, 0, 5, 5)]) for i in range(4)], ["a", "b"])
    data = tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    for number, path in enumerate(sorted(data.iterdir())):
        target = data / f"n9000000{number % 2}"
        target.mkdir(exist_ok=True)
        path.rename(target / path.name)
    (data / ".DS_Store").write_text("hidden")
    folder = read_ilsvrc(tmp_path)
    assert [path.stem[-1] for path in folder.images] == ["1", "2", "3", "4"]
    assert read_ilsvrc(tmp_path / "ILSVRC").images == folder.images


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_exif_does_not_turn_what_is_written(tmp_path, image_format):
    image = picture(40, 30)
    exif = image.getexif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    image.save(tmp_path / "turned.jpg", exif=exif)
    items = [(Image.open(tmp_path / "turned.jpg"), 0, [(30, 0, 40, 30)])]
    folder = write_ilsvrc(tmp_path / "x", items, ["a"], image_format)
    written = Image.open(folder.images[0])
    assert written.size == (40, 30) and not written.getexif()


def test_imagenets_classes_are_in_the_order_of_the_networks():
    synsets, names = folders.imagenet_synsets(), imagenet_classes()
    assert len(synsets) == len(names) == 1000
    assert [synset.wnid for synset in synsets] == sorted(synset.wnid for synset in synsets)
    same = [name in synset.name.split(", ") for synset, name in zip(synsets, names, strict=True)]
    assert sum(same) > 980  # torchvision has a few names of its own, such as "crane bird"
    assert synsets[281].name == "tabby, tabby cat"


def test_names_that_two_classes_share(tmp_path):
    classes = [folders.Synset("n02012849", "crane"), folders.Synset("n03126707", "crane")]
    folder = write_ilsvrc(tmp_path, [(picture(), "n03126707", [(0, 0, 1, 1)])], classes)
    assert folder.annotation(folder.images[0]).label == "n03126707"


def test_annotations_without_an_image_are_found(tmp_path):
    folder = write_ilsvrc(tmp_path, [(picture(), 0, [(0, 0, 5, 5)])] * 2, ["a"]).root
    next(iter(sorted(folder.rglob("*.JPEG")))).unlink()
    assert [path.name for path in read_ilsvrc(folder).unpaired()] == ["ILSVRC2012_val_00000001.xml"]


# ----------------------------------------------------------------------------------------- scenes and composites


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
    folder = write_composites(tmp_path, iter(made))
    numbers = loading.class_numbers(folder, load_classifier())
    for path, composite in zip(folder.images, made, strict=True):
        truth = folder.annotation(path)
        assert load_classifier().classes[numbers[truth.label]] == composite.objects[0].labels[0]
        assert truth.boxes == (composite.objects[0].box,)
        difference = np.asarray(Image.open(path), dtype=float) - np.asarray(composite.image)
        assert path.suffix == ".JPEG" and np.abs(difference).mean() < 4
    twice = write_composites(tmp_path / "twice", composites(1, names=["cat"], objects=2, scale=(0.3, 0.4)))
    assert len(twice.annotation(twice.images[0]).boxes) == 2


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
    write_composites(tmp_path, made)
    results = evaluate(load_classifier(), tmp_path, thresholds=[0.3], progress=False)
    assert results.settings["top"] == 5 and not results.faulty
    assert results.classification_error(5) <= 0.25 and results.localization_error(0.3, 5) <= 0.5
