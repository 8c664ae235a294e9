"""Images and annotations on their way into the evaluation, and boxes on their way back to the images' own pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from course_utils.networks import Classifier, imagenet_classes
from course_utils.pictures import PictureError, as_rgb

from .folders import Annotation, IlsvrcFolder, imagenet_synsets

__all__ = ["Sample", "class_numbers", "load_sample", "loader", "to_original"]


@dataclass(eq=False)
class Sample:
    """One image as the evaluation needs it; or, in words, why it cannot be evaluated."""

    name: str
    fault: str = ""
    pixels: Tensor | None = None
    """(3, size, size), in [0, 1]: the square that the classifier sees. A batch has them in one tensor instead."""
    size: tuple[int, int] = (0, 0)
    """(width, height) of the image in its file."""
    label: int = -1
    truth: Annotation | None = None


def to_original(
    box: Sequence[float], width: int, height: int, size: int, crop: float = 1.0
) -> tuple[float, float, float, float]:
    """Map a box from the classifier's square back to the pixels of the image that it was cut from.

    ``Classifier.preprocess`` takes the square of side s = crop min(width, height) in the image's center and scales it
    to ``size`` pixels, so an edge at x was at (width - s)/2 + x s/size, and one at y at (height - s)/2 + y s/size.

    >>> to_original((0, 0, 224, 224), 500, 375, 224)
    (62.5, 0.0, 437.5, 375.0)
    """
    side = crop * min(width, height)
    left, above = (width - side) / 2, (height - side) / 2
    x0, y0, x1, y1 = (edge * side / size for edge in box)
    return (left + x0, above + y0, left + x1, above + y1)


def class_numbers(folder: IlsvrcFolder, clf: Classifier) -> dict[str, int]:
    """Return the model's number for each class of a folder; classes that it does not know are left out.

    A model of ImageNet's 1,000 classes is asked by WordNet numbers, whatever their order in the folder; any other
    by the class names in the folder's mapping file.
    """
    if list(clf.classes) == imagenet_classes():
        known = {synset.wnid: number for number, synset in enumerate(imagenet_synsets())}
        return {s.wnid: known[s.wnid] for s in folder.synsets if s.wnid in known}
    names = list(clf.classes)
    return {s.wnid: names.index(s.name) for s in folder.synsets if names.count(s.name) == 1}


def load_sample(path: Path, folder: IlsvrcFolder, numbers: dict[str, int], size: int) -> Sample:
    """Read an image and its annotation; whatever is wrong with them is told in the sample, not raised."""
    sample = Sample(path.name)
    try:
        sample.truth = folder.annotation(path)
        if sample.truth.label not in numbers:
            listed = any(synset.wnid == sample.truth.label for synset in folder.synsets)
            whose = "the model" if listed else "the folder's LOC_synset_mapping.txt"
            raise ValueError(f"its class {sample.truth.label} is unknown to {whose}.")
        sample.label = numbers[sample.truth.label]
        sample.size, sample.pixels = _read_image(path, size)
        sample.truth.check_inside(*sample.size)
    # A damaged file raises whatever its decoder meets; it must not end the run.
    except Exception as error:
        sample.pixels = None
        sample.fault = " ".join(str(error).split()) or type(error).__name__
    return sample


def _read_image(path: Path, size: int) -> tuple[tuple[int, int], Tensor]:
    # Only for preprocess, which asks for nothing but the size: the network itself would be copied to each worker.
    square = Classifier(nn.Identity(), (), size=size).preprocess
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which ImageNet is full of
            with Image.open(path) as file:
                # Boxes speak of the pixels in the file: a rotation noted beside them must not turn the picture.
                image = as_rgb(file, path.name)
            image.info.clear()
            return image.size, square(image)[0]
    except PictureError:
        raise
    except Exception as error:
        raise ValueError(f"the image does not decode ({type(error).__name__}: {error}).") from error


class _Batches(Dataset):
    """One item is one batch, so that a batch is the same whoever loads it."""

    def __init__(
        self, batches: list[list[Path]], folder: IlsvrcFolder, numbers: dict[str, int], size: int
    ) -> None:
        self.batches, self.folder, self.numbers, self.size = batches, folder, numbers, size

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[list[Sample], Tensor | None]:
        samples = [load_sample(path, self.folder, self.numbers, self.size) for path in self.batches[index]]
        pixels = [sample.pixels for sample in samples if sample.pixels is not None]
        for sample in samples:
            sample.pixels = None  # they need not be sent twice
        return samples, torch.stack(pixels) if pixels else None


def loader(
    batches: list[list[Path]],
    folder: IlsvrcFolder,
    numbers: dict[str, int],
    size: int,
    workers: int,
    pin: bool,
) -> DataLoader:
    """Return an iterable of (samples, (n, 3, size, size) pixels of those without fault, or None)."""
    files = _Batches(
        batches, IlsvrcFolder(folder.root, folder.synsets, (), folder.annotations), numbers, size
    )
    return DataLoader(files, batch_size=None, num_workers=workers, pin_memory=pin)
