"""Notebook 07 on real photographs: which boxes are right, and against boxes that know nothing of the class?

``python -m course_utils measure 07`` measures the 27 labeled photographs on three networks, about five minutes of one
core, and writes ``data/measurements/07_localization.csv``. An error is not stored: it follows from two measures,

    right within k guesses  <=>  rank of the name <= k  and  IoU at the threshold >= 1/2              (ILSVRC)

where the IoU is the best with any instance of the object. A photograph has one label, as in ILSVRC: where several
names are right (tabby, tiger cat), the one that the network ranks first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_utils.evidence import Measurement, blind_maps
from course_utils.explain import batched_logits, cam, enlarged, occlusion, saliency
from course_utils.networks import Classifier
from course_utils.pictures import Box, Photo, list_photos, load_photo

from .measures import box_from_heatmap, iou

__all__ = [
    "BOXES",
    "MAPS",
    "RANK",
    "THRESHOLDS",
    "best_iou",
    "blind_boxes",
    "choose_on_half",
    "maps_of",
    "overlap",
    "photo_study",
    "right_name",
]  # fmt: skip

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
MAPS = ("Grad-CAM", "gradient", "occlusion", "class-free sum", "centre blob", "another class")
"""What :func:`photo_study` draws boxes from (CAM's are Grad-CAM's); the last three know nothing of the class."""
BOXES = ("whole picture", "middle half")
"""The boxes that look at nothing."""
RANK = "rank of the name"


def overlap(threshold: float) -> str:
    """Return the measure's name: the best IoU with an instance, of the box at this threshold; 0 without a box."""
    return f"IoU at {threshold:.0%}"


def right_name(clf: Classifier, logits: Tensor, labels: Sequence[str]) -> tuple[int, int]:
    """Return which of several right names the network ranks first, as its class number, and its rank, from 1.

    Args:
        clf: the classifier whose classes the names are.
        logits: (K,), of one picture.
        labels: names that are right, one at least.
    """
    numbers = [clf.class_index(name) for name in labels]
    best = max(numbers, key=lambda number: logits[number].item())
    return best, 1 + int((logits > logits[best]).sum())


def maps_of(clf: Classifier, images: Tensor, classes: Sequence[int]) -> dict[str, Tensor]:
    """Return the maps of each image for its class, by the names of ``MAPS`` but "occlusion", each (N, H, W), >= 0.

    Args:
        clf: a classifier behind whose last map come mean pooling and one linear layer.
        images: (N, 3, H, W), of two classes at least.
        classes: one class number for each image.
    """
    own = torch.as_tensor(classes)[:, None]
    coarse = {"Grad-CAM": cam(clf, images, own)[:, 0], **blind_maps(clf, images, own)}
    maps = {name: enlarged(raw[:, None].relu(), images.shape[2:])[:, 0] for name, raw in coarse.items()}
    pairs = zip(
        images.split(1), own.split(1), strict=True
    )  # one at a time: a graph down to the pixels is large
    maps["gradient"] = torch.cat([saliency(clf, *pair).abs().amax(2)[:, 0] for pair in pairs])
    return {name: maps[name].detach() for name in MAPS if name in maps}


def blind_boxes(size: int) -> dict[str, Box]:
    """Return the boxes of ``BOXES`` in a picture of ``size`` x ``size`` pixels; the second has half of its area."""
    margin = round(size * (1 - 0.5**0.5) / 2)
    return dict(zip(BOXES, [(0, 0, size, size), (margin, margin, size - margin, size - margin)], strict=True))


def best_iou(box: Box | None, instances: Sequence[Box]) -> float:
    """Return the IoU of a box with that instance that it fits best, 0 where there is no box."""
    return 0.0 if box is None else max(iou(box, instance) for instance in instances)


def photo_study(clf: Classifier, progress: bool = False) -> Iterator[Measurement]:
    """Yield, for each labeled photograph: the name's rank, the best IoU of each map at each threshold and of the blind
    boxes; and for several instances the IoU of Grad-CAM's box at 15% with the box around all of them.
    """
    names = list_photos(labeled=True)
    photos = [load_photo(name).square(clf.size) for name in names]
    images = torch.cat([photo.tensor(clf.size) for photo in photos])
    logits = batched_logits(clf, images)
    found = [right_name(clf, row, photo.labels) for row, photo in zip(logits, photos, strict=True)]
    classes = [number for number, _ in found]
    maps = maps_of(clf, images, classes)
    rows = zip(names, photos, images.split(1), found, strict=True)
    for n, (name, photo, image, (number, rank)) in enumerate(tqdm(list(rows), disable=not progress)):
        of_one = {kind: heat[n] for kind, heat in maps.items()}
        squares = occlusion(clf, image, [number]).relu()
        of_one["occlusion"] = enlarged(squares, image.shape[2:])[0, 0]
        values = [(RANK, "the network", float(rank)), *_overlaps(photo, of_one)]
        yield from (Measurement(clf.name, name, *value) for value in values)


def _overlaps(photo: Photo, maps: Mapping[str, Tensor]) -> Iterator[tuple[str, str, float]]:
    """Measure, map and value of one photograph, from its enlarged maps."""
    for threshold in THRESHOLDS:
        for kind in MAPS:
            box = box_from_heatmap(maps[kind], threshold)
            yield overlap(threshold), kind, best_iou(box, photo.boxes)
    for kind, box in blind_boxes(photo.image.width).items():
        yield overlap(0.15), kind, best_iou(box, photo.boxes)
    if len(photo.boxes) > 1:
        yield "IoU with all at 15%", "Grad-CAM", best_iou(box_from_heatmap(maps["Grad-CAM"]), [photo.box])


def choose_on_half(
    wrong: Mapping[float, Sequence[float]], splits: int = 200, seed: int = 0
) -> tuple[np.ndarray, list[float]]:
    """Choose the best threshold on one half of the photographs, and measure it on the other half, many times.

    Args:
        wrong: by threshold, for each photograph 1 where its box is wrong, else 0.
        splits: how often the photographs are halved.
        seed: for the halves.

    Returns:
        For each photograph its mean error over the splits in which it had no part in the choice; and the threshold
        that each split chose, the lowest of equally good ones.

    Raises:
        ValueError: so few splits that a photograph had a part in each choice.
    """
    table = np.array([list(row) for row in wrong.values()], dtype=float)  # (thresholds, photographs)
    draw, n = np.random.default_rng(seed), table.shape[1]
    total, times, chosen = np.zeros(n), np.zeros(n), []
    for _ in range(splits):
        order = draw.permutation(n)
        choosing, measured = order[: n // 2], order[n // 2 :]
        best = int(table[:, choosing].mean(1).argmin())
        chosen.append(list(wrong)[best])
        total[measured] += table[best, measured]
        times[measured] += 1
    if not times.all():
        raise ValueError(f"with {splits} splits a photograph had a part in each choice: take more splits.")
    return total / times, chosen
