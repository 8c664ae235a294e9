"""Folders in the layout of ImageNet's localization challenge (ILSVRC CLS-LOC), written and read.

    FOLDER/LOC_synset_mapping.txt                               a line a class: "n02123045 tabby, tabby cat"
    FOLDER/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG
    FOLDER/ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml

as Kaggle packs it (imagenet-object-localization-challenge). Also read: images sorted into folders by class below
``val``, as many copies of ImageNet have them, and a FOLDER that is the one named ILSVRC itself.

**Pixels.** An annotation names the first and the last pixel inside, ``xmin`` to ``xmax``; in Python boxes are half-open
(see :mod:`course_utils.localization.measures`), so x1 = xmax + 1. The development kit says nothing of where counting
starts. We count from 0: published annotations name pixels 0 and, in images 500 wide, 499. PASCAL VOC's files, whose
form these have, count from 1, and an annotation that reaches ``xmax`` = width may do so; one pixel beyond the right or
lower edge is therefore let pass, as the number that the development kit would compute with. For IoU it is of no
consequence beyond a pixel.

Drawn scenes and composites are written in this layout, too, so that what evaluates the one evaluates the others:

    write_scenes("drawn", unseen_scenes(200))
    evaluate(scene_classifier("vgg"), "drawn")                          # in Python, or from the command line:

    write_composites("pasted", composites(300))
    python -m course_utils.localization --data pasted --model efficientnet_lite0

The layout has one label an image, and boxes for the instances of that label alone: of scenes and composites those of
the first, the lowest, object's kind. Masks have no place in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from course_utils.assets import package_file
from course_utils.networks import imagenet_classes
from course_utils.pictures import Box, Composite, Scenes

__all__ = [
    "Annotation",
    "DataError",
    "IlsvrcFolder",
    "Synset",
    "imagenet_synsets",
    "read_annotation",
    "read_ilsvrc",
    "write_composites",
    "write_ilsvrc",
    "write_scenes",
]

MAPPING = "LOC_synset_mapping.txt"
WNID = re.compile(r"n\d{8}")
SUFFIXES = {"JPEG": ".JPEG", "PNG": ".png"}


class DataError(ValueError):
    """A folder or file is not what this layout asks for; the message names it and says what is wrong."""


@dataclass(frozen=True)
class Synset:
    """A class: its WordNet number ("n02123045") and its name or names ("tabby, tabby cat")."""

    wnid: str
    name: str


@dataclass(frozen=True)
class Annotation:
    """What an annotation says: the image's label, and the boxes of all instances of it, half-open."""

    label: str
    boxes: tuple[Box, ...]

    def check_inside(self, width: int, height: int) -> None:
        """Refuse boxes that leave an image of this size by more than the pixel that counting from 1 would explain.

        Raises:
            DataError: a box lies outside.
        """
        for x0, y0, x1, y1 in self.boxes:
            if not (0 <= x0 < x1 <= width + 1 and 0 <= y0 < y1 <= height + 1 and x0 < width and y0 < height):
                raise DataError(
                    f"the box of pixels {x0} to {x1 - 1} across and {y0} to {y1 - 1} down is outside its image of "
                    f"{width} x {height}."
                )


@dataclass(frozen=True)
class IlsvrcFolder:
    """A folder that was found to be in the layout. Images and annotations are read one by one, when asked for."""

    root: Path
    synsets: tuple[Synset, ...]
    """The classes, in the order of the mapping file."""
    images: tuple[Path, ...]
    """The images, in the order of their names."""
    annotations: Path
    """The folder of the annotations."""

    def annotation(self, image: Path) -> Annotation:
        """Return what the annotation of an image says.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        return read_annotation(self.annotations / f"{image.stem}.xml")

    def unpaired(self) -> list[Path]:
        """Return the annotations to which there is no image."""
        stems = {image.stem for image in self.images}
        return sorted(path for path in self.annotations.glob("*.xml") if path.stem not in stems)


def imagenet_synsets() -> list[Synset]:
    """Return ImageNet's 1,000 classes in the networks' order, which is that of their numbers; from timm's files.

    Names are WordNet's ("tabby, tabby cat"), of which torchvision's lists keep one each.

    Raises:
        course_utils.assets.AssetError: timm is not installed, or keeps them elsewhere.
    """
    files = [
        package_file("timm", f"data/_info/imagenet_{name}.txt") for name in ("synsets", "synset_to_lemma")
    ]
    wnids, lemmas = (path.read_text(encoding="utf-8").splitlines() for path in files)
    names = dict(line.split("\t", maxsplit=1) for line in lemmas)
    return [Synset(wnid, names[wnid]) for wnid in wnids]


def read_ilsvrc(folder: str | Path, split: str = "val") -> IlsvrcFolder:
    """Find images, annotations and classes in a folder; no image is opened yet.

    Every file where images belong counts as one, but for hidden files: what is none is to be named, not passed over.

    Raises:
        DataError: the folder is not in the layout, or holds no image, or two of one name.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"there is no folder {root}.")
    base = next((base for base in (root, root / "ILSVRC") if (base / "Data" / "CLS-LOC").is_dir()), None)
    if base is None:
        raise DataError(
            f"{root} is not in ImageNet's layout: it has neither ILSVRC/Data/CLS-LOC nor Data/CLS-LOC. Name the folder "
            f"that holds ILSVRC/ and {MAPPING}."
        )
    data, annotations = (base / kind / "CLS-LOC" / split for kind in ("Data", "Annotations"))
    for path in (data, annotations):
        if not path.is_dir():
            raise DataError(
                f"{root} is not in ImageNet's layout: there is no folder {path.relative_to(root)}."
            )
    entries = sorted(path for path in data.iterdir() if not path.name.startswith("."))
    folders = [path for path in entries if path.is_dir()]
    entries += [path for sub in folders for path in sub.iterdir() if not path.name.startswith(".")]
    images = sorted((path for path in entries if path not in folders), key=lambda path: path.name)
    if not images:
        raise DataError(f"there is no image in {data}.")
    stem, times = Counter(path.stem for path in images).most_common(1)[0]
    if times > 1:
        raise DataError(f"{times} images in {data} are named {stem}, and would share one annotation.")
    return IlsvrcFolder(root, _read_mapping(root, base), tuple(images), annotations)


def _read_mapping(root: Path, base: Path) -> tuple[Synset, ...]:
    path = next((p for p in (root / MAPPING, base / MAPPING, root.parent / MAPPING) if p.is_file()), None)
    if path is None:
        raise DataError(
            f"{root} lacks {MAPPING}, which names its classes: a line each, such as 'n02123045 tabby, tabby cat'."
        )
    synsets = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        wnid, _, name = line.strip().partition(" ")
        if line.strip() and not (WNID.fullmatch(wnid) and name.strip()):
            raise DataError(
                f"line {number} of {path} is {line!r}, not a class such as 'n02123045 tabby, tabby cat'."
            )
        if line.strip():
            synsets.append(Synset(wnid, name.strip()))
    if len({synset.wnid for synset in synsets}) < len(synsets) or not synsets:
        raise DataError(f"{path} names {'a class twice' if synsets else 'no class'}.")
    return tuple(synsets)


def read_annotation(path: str | Path) -> Annotation:
    """Read one annotation: an image's label, and the boxes of its instances.

    ImageNet's validation images have one label each, and boxes for nothing else.

    Raises:
        DataError: no such file, no XML, no object, objects of several classes, or a box that is none.
    """
    path = Path(path)
    try:
        objects = ElementTree.parse(path).getroot().findall("object")
    except OSError as error:
        raise DataError(f"the annotation {path.name} cannot be read ({error.strerror}).") from error
    except ElementTree.ParseError as error:
        raise DataError(f"the annotation {path.name} is no XML ({error}).") from error
    labels = sorted({(item.findtext("name") or "").strip() for item in objects})
    if len(labels) != 1 or not labels[0]:
        found = f"objects of {len(labels)} classes ({', '.join(labels)})" if labels else "no object"
        raise DataError(
            f"the annotation {path.name} has {found}; it must have those of one class, the label."
        )
    return Annotation(labels[0], tuple(_read_box(item, path.name) for item in objects))


def _read_box(item: ElementTree.Element, name: str) -> Box:
    texts = [item.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x0, y0, x1, y1 = (int(text) for text in texts)
    except (TypeError, ValueError):
        raise DataError(f"the annotation {name} has a box of {texts}, not of four whole numbers.") from None
    if x1 < x0 or y1 < y0:
        raise DataError(f"the annotation {name} has the box {x0} {y0} {x1} {y1}, which is inside out.")
    return (x0, y0, x1 + 1, y1 + 1)


def write_ilsvrc(
    folder: str | Path,
    items: Iterable[tuple[Image.Image, int | str, Sequence[Sequence[int]]]],
    classes: Sequence[str | Synset] | None = None,
    image_format: str = "JPEG",
    split: str = "val",
) -> IlsvrcFolder:
    """Write images with their labels and boxes into a folder, in this layout, and return it as read back.

    Args:
        folder: new, or without images so far.
        items: (image, label, boxes) one after the other; they may be drawn on the way. The label is a class's
            place in ``classes``, its name or its number ("n02123045"). The boxes are those of all instances of the
            label, half-open, in whole pixels.
        classes: names, which are given numbers of their own (n90000000 and so on: WordNet has none of these), or
            :class:`Synset`; by default ImageNet's 1,000.
        image_format: "JPEG" (quality 95), or "PNG" where the pixels must come back as they were.
        split: name of the subfolder.

    Raises:
        DataError: a label that is no class, a box outside its image, no box, or images in the folder already. What
            was written before stays.
    """
    if image_format not in SUFFIXES:
        raise DataError(f"image_format is 'JPEG' or 'PNG', not {image_format!r}.")
    synsets = imagenet_synsets() if classes is None else [_as_synset(c, i) for i, c in enumerate(classes)]
    root, base = Path(folder), Path(folder) / "ILSVRC"
    data, annotations = (base / kind / "CLS-LOC" / split for kind in ("Data", "Annotations"))
    if data.is_dir() and any(data.iterdir()):
        raise DataError(f"there are images in {data} already. Name another folder, or delete them.")
    data.mkdir(parents=True, exist_ok=True)
    annotations.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{synset.wnid} {synset.name}\n" for synset in synsets)
    (root / MAPPING).write_text(lines, encoding="utf-8")
    for number, (image, label, boxes) in enumerate(items, start=1):
        stem = f"ILSVRC2012_{split}_{number:08d}"
        truth = Annotation(_wnid(label, synsets), tuple(_whole(box) for box in boxes))
        if not truth.boxes or any(x1 > image.width or y1 > image.height for _, _, x1, y1 in truth.boxes):
            raise DataError(
                f"image {number} has {boxes!r}: it needs boxes, all inside its {image.width} x {image.height}."
            )
        truth.check_inside(*image.size)
        rgb = image.convert("RGB")
        rgb.info.clear()  # older Pillows keep a rotation noted in EXIF: it would turn the picture, not the boxes
        rgb.save(data / (stem + SUFFIXES[image_format]), format=image_format, quality=95)  # PNG has none
        (annotations / f"{stem}.xml").write_text(_as_xml(stem, split, rgb.size, truth), encoding="utf-8")
    return read_ilsvrc(root, split)


def _as_synset(given: str | Synset, index: int) -> Synset:
    return given if isinstance(given, Synset) else Synset(f"n{90_000_000 + index}", str(given))


def _wnid(label: int | str, synsets: Sequence[Synset]) -> str:
    if not isinstance(label, str):
        if 0 <= label < len(synsets):
            return synsets[label].wnid
        raise DataError(f"there is no class {label}: the classes are 0 to {len(synsets) - 1}.")
    found = {synset.wnid for synset in synsets if label in (synset.wnid, synset.name)}
    if len(found) != 1:
        raise DataError(
            f"the label {label!r} is the name of {len(found) or 'no'} classes: give its place or its number."
        )
    return found.pop()


def _whole(box: Sequence[int]) -> Box:
    edges = tuple(int(edge) for edge in box)
    if len(edges) != 4 or any(edge != given for edge, given in zip(edges, box, strict=True)):
        raise DataError(f"a box consists of four whole numbers (x0, y0, x1, y1), got {box!r}.")
    return edges


def _as_xml(stem: str, split: str, size: tuple[int, int], truth: Annotation) -> str:
    objects = "".join(
        f"\t<object>\n\t\t<name>{truth.label}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{x0}</xmin>\n\t\t\t<ymin>{y0}</ymin>\n"
        f"\t\t\t<xmax>{x1 - 1}</xmax>\n\t\t\t<ymax>{y1 - 1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for x0, y0, x1, y1 in truth.boxes
    )
    return (
        f"<annotation>\n\t<folder>{split}</folder>\n\t<filename>{stem}</filename>\n\t<source>\n"
        f"\t\t<database>ILSVRC_2012</database>\n\t</source>\n\t<size>\n\t\t<width>{size[0]}</width>\n"
        f"\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )


def write_scenes(
    folder: str | Path, drawn: Scenes, image_format: str = "PNG", split: str = "val"
) -> IlsvrcFolder:
    """Write scenes with their first object's kind as label; return the folder as read back.

    Colors are rounded to 256 steps, as in any file of pictures.

    Args:
        folder: new, or without images so far.
        drawn: the scenes; their ``classes`` become the folder's.
        image_format: "PNG" or "JPEG", which blurs what is as small as these.
        split: name of the subfolder.

    Raises:
        DataError: images in the folder already.
    """

    def items() -> Iterable[tuple]:
        pixels = (drawn.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for picture, things in zip(pixels, drawn.objects, strict=True):
            label = things[0].label
            yield Image.fromarray(picture), label, [thing.box for thing in things if thing.label == label]

    return write_ilsvrc(folder, items(), drawn.classes, image_format, split)


def write_composites(
    folder: str | Path, made: Iterable[Composite], image_format: str = "JPEG", split: str = "val"
) -> IlsvrcFolder:
    """Write composites with their first object's ImageNet class as label; return the folder as read back.

    Of several names that are right for an object, the best counts alone: the layout has one label an image.

    Args:
        folder: new, or without images so far.
        made: composites; they may be made on the way.
        image_format: "JPEG" (quality 95) or "PNG".
        split: name of the subfolder.

    Raises:
        DataError: an object that ImageNet has no class for, or images in the folder already.
    """
    numbers = {name: number for number, name in enumerate(imagenet_classes())}

    def items() -> Iterable[tuple]:
        for composite in made:
            first = composite.objects[0]
            if not first.labels:
                raise DataError(
                    f"ImageNet has no class for {first.name!r}, and a label is needed: leave it out."
                )
            boxes = [thing.box for thing in composite.objects if thing.name == first.name]
            yield composite.image, numbers[first.labels[0]], boxes

    return write_ilsvrc(folder, items(), None, image_format, split)
