"""ImageNet's layout: what is written comes back, what real files look like is understood, what is wrong is named."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course_utils.localization.evaluation import DataError, folders, read_ilsvrc, write_ilsvrc
from course_utils.networks import imagenet_classes

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
    for size in ((498, 375), (500, 373)):
        with pytest.raises(DataError, match="outside its image"):
            truth.check_inside(*size)


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


# -------------------------------------------------------------------------------------------------- what is wrong


@pytest.fixture
def folder(tmp_path):
    write_ilsvrc(tmp_path, [(picture(seed=i), i, [(0, 0, 5, 5)]) for i in range(2)], ["a", "b"])
    return tmp_path


def remove(path):
    for child in sorted(path.rglob("*"), reverse=True):
        child.rmdir() if child.is_dir() else child.unlink()
    path.rmdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove, "there is no folder"),
        (lambda root: remove(root / "ILSVRC"), "not in ImageNet's layout"),
        (lambda root: remove(root / "ILSVRC/Data/CLS-LOC/val"), "no folder ILSVRC.Data.CLS-LOC.val"),
        (lambda root: remove(root / "ILSVRC/Annotations"), "no folder ILSVRC.Annotations.CLS-LOC.val"),
        (lambda root: [p.unlink() for p in root.rglob("*.JPEG")], "no image in"),
        (lambda root: (root / "LOC_synset_mapping.txt").unlink(), "lacks LOC_synset_mapping"),
        (lambda root: (root / "LOC_synset_mapping.txt").write_text(""), "no class"),
        (lambda root: (root / "LOC_synset_mapping.txt").write_text("n00000001 a\nn00000001 b\n"), "a class twice"),
        (lambda root: (root / "LOC_synset_mapping.txt").write_text("n00000001 a\ntabby\n"), "line 2 .*'tabby'"),
        (
            lambda root: picture().save(root / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.png"),
            "2 images .* ILSVRC2012_val_00000002",
        ),
    ],
)  # fmt: skip
def test_folders_that_are_not_in_the_layout(folder, damage, words):
    damage(folder)
    with pytest.raises(DataError, match=words):
        read_ilsvrc(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("", "no XML"),
        (REAL[:-20], "no XML"),
        ("<annotation/>", "no object"),
        (REAL.replace("n02123045", "n02123046", 1), r"2 classes \(n02123045, n02123046\)"),
        (REAL.replace("<name>n02123045</name>", ""), "must have those of one class"),
        (REAL.replace("<xmin>3</xmin>", ""), "four whole numbers"),
        (REAL.replace("<xmin>3<", "<xmin>three<"), "'three'.*four whole numbers"),
        (REAL.replace("<xmin>3<", "<xmin>4<"), "4 5 3 8, which is inside out"),
    ],
)
def test_annotations_that_are_none(tmp_path, text, words):
    path = tmp_path / "wrong.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        folders.read_annotation(path)
    assert "wrong.xml" in str(caught.value)


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 42, 5), (0, 0, 5, 32), (40, 0, 41, 5)])
def test_boxes_outside(box):
    with pytest.raises(DataError, match="outside its image of 40 x 30"):
        folders.Annotation("n00000001", ((0, 0, 1, 1), box)).check_inside(40, 30)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ((picture(), 2, [(0, 0, 1, 1)]), "no class 2"),
        ((picture(), "c", [(0, 0, 1, 1)]), "no classes"),
        ((picture(), 0, []), "needs boxes"),
        ((picture(), 0, [(0, 0, 41, 30)]), "inside its 40 x 30"),
        ((picture(), 0, [(5, 5, 5, 6)]), "outside"),
        ((picture(), 0, [(0, 0, 1.5, 2)]), "whole numbers"),
        ((picture(), 0, [(0, 0, 1)]), "whole numbers"),
    ],
)
def test_what_is_not_written(tmp_path, item, words):
    with pytest.raises(DataError, match=words):
        write_ilsvrc(tmp_path, [item], ["a", "b"])
    assert not list(tmp_path.rglob("*.JPEG"))


def test_nothing_is_overwritten(folder):
    with pytest.raises(DataError, match="already"):
        write_ilsvrc(folder, [(picture(), 0, [(0, 0, 1, 1)])], ["a"])
    with pytest.raises(DataError, match="'JPEG' or 'PNG'"):
        write_ilsvrc(folder / "x", [], ["a"], image_format="GIF")


def test_names_that_two_classes_share(tmp_path):
    classes = [folders.Synset("n02012849", "crane"), folders.Synset("n03126707", "crane")]
    with pytest.raises(DataError, match="name of 2 classes"):
        write_ilsvrc(tmp_path, [(picture(), "crane", [(0, 0, 1, 1)])], classes)
    folder = write_ilsvrc(tmp_path, [(picture(), "n03126707", [(0, 0, 1, 1)])], classes)
    assert folder.annotation(folder.images[0]).label == "n03126707"


def test_annotations_without_an_image_are_found(folder):
    next(iter(sorted(folder.rglob("*.JPEG")))).unlink()
    assert [path.name for path in read_ilsvrc(folder).unpaired()] == ["ILSVRC2012_val_00000001.xml"]
