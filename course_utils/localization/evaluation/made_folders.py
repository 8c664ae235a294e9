"""Drawn scenes and composites as folders in ImageNet's layout: what evaluates the one evaluates the others.

    write_scenes("drawn", unseen_scenes(200))
    evaluate(scene_classifier("vgg"), "drawn")                          # in Python, or from the command line:

    write_composites("pasted", composites(300))
    python -m course_utils.localization --data pasted --model efficientnet_lite0

The layout has one label an image, and boxes for the instances of that label alone: here those of the first, the
lowest, object's kind. Masks have no place in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from course_utils.networks import imagenet_classes
from course_utils.pictures import Composite, Scenes

from .folders import DataError, IlsvrcFolder, write_ilsvrc

__all__ = ["write_composites", "write_scenes"]


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
        course_utils.localization.evaluation.DataError: images in the folder already.
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
