"""Notebook 08 on real photographs: how good are masks and seeds, beside those of maps that know nothing of the class?

``python -m course_utils measure 08`` measures the 27 labeled photographs on three networks, a minute of one core, and
writes ``data/measurements/08_segmentation.csv``. The truth is what was outlined by hand, all objects of the class
together. Thresholds of seeds and the constants of the smoothing are those of the drawn scenes: nothing but
``CHOSEN`` is chosen on photographs, and that on the other ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.evidence import BLIND, Measurement, blind_maps
from course_utils.explain import enlarged, grad_cam, top_share_mask
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

from .losses import color_affinity, seeds_from_maps, smooth_by_color
from .trained import BACKGROUND, CELLS, FOREGROUND

__all__ = [
    "CHOSEN",
    "MAPS",
    "OWN_AREA",
    "SEEDS",
    "SMOOTHED",
    "chosen_on_others",
    "ious",
    "photo_maps",
    "photo_study",
    "right_seeds",
    "seeds_as_masks",
]

MAPS = ("Grad-CAM", *BLIND)
OWN_AREA, CHOSEN = "IoU, mask of the object's area", "IoU, threshold of the others"
SEEDS, SMOOTHED = "IoU, seeds", "IoU, seeds smoothed"
SHARES = (0.2, 0.5, 0.8)
THRESHOLDS = tuple(percent / 100 for percent in range(5, 96, 5))


def right_seeds(share: float) -> str:
    """Return the measure's name: the share of right ones among as many highest pixels as Grad-CAM's map has seeds."""
    return f"right seeds, {share:.0%}"


def photo_maps(clf: Classifier, images: Tensor, classes: Sequence[int]) -> dict[str, Tensor]:
    """Return Grad-CAM's map and the four blind ones by the names of ``MAPS``, signed and enlarged, (N, H, W).

    Args:
        clf: a classifier.
        images: (N, 3, H, W), of two classes at least.
        classes: one class number for each image.
    """
    own = torch.as_tensor(classes)[:, None]
    coarse = {"Grad-CAM": grad_cam(clf, images, own).maps[:, 0], **blind_maps(clf, images, own)}
    return {name: enlarged(coarse[name], tuple(images.shape[2:])) for name in MAPS}


def ious(found: Tensor, truth: Tensor) -> Tensor:
    """Return the IoU of each pair of masks (..., H, W), bool; 0 where the found one is empty."""
    both = (found & truth).sum((-2, -1))
    return both.double() / (found | truth).sum((-2, -1))


def chosen_on_others(table: Tensor) -> Tensor:
    """Return what each photograph gets at the threshold that is best, in the mean, for all the others.

    Args:
        table: (thresholds, N). Of equally good thresholds the lowest counts.
    """
    others = table.sum(1, keepdim=True) - table
    return table.gather(0, others.argmax(0, keepdim=True))[0]


def seeds_as_masks(heat: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Return the masks (N, H, W) that seeds give, as they are and smoothed by color, under their measures' names.

    Object and background are all the classes; 16 x 16 cells, thresholds and constants are those of the drawn scenes.

    Args:
        heat: maps (N, H, W), not negative.
        images: (N, 3, H, W).
    """
    small = F.adaptive_avg_pool2d(heat[:, None], CELLS)
    sown = seeds_from_maps(small, torch.zeros(len(heat), 1, dtype=torch.int64), FOREGROUND, BACKGROUND)
    logits = 3.0 * F.one_hot(sown + 1, 3)[..., 1:].permute(0, 3, 1, 2)  # column 0 is for the unlabeled
    smooth = smooth_by_color(logits, color_affinity(images, CELLS))
    answers = {SEEDS: logits.softmax(1), SMOOTHED: smooth}
    return {name: enlarged(f, tuple(images.shape[2:])).argmax(1) > 0 for name, f in answers.items()}


def photo_study(clf: Classifier, progress: bool = False) -> Iterator[Measurement]:
    """Yield for each labeled photograph and each of ``MAPS`` what the names of the measures say, and its object's area.

    ``OWN_AREA`` tells every map how many pixels the object has; ``CHOSEN`` is the threshold, a share of the maximum,
    that is best for the other photographs; ``right_seeds`` compares as many pixels of each map.
    """
    names = list_photos(labeled=True)
    photos = [load_photo(name).square(clf.size) for name in names]
    images = torch.cat([photo.tensor(clf.size) for photo in photos])
    truth = torch.stack([torch.tensor(photo.mask) for photo in photos])
    maps = photo_maps(clf, images, [clf.class_index(photo.labels[0]) for photo in photos])
    for name, area in zip(names, truth.double().mean((1, 2)).tolist(), strict=True):
        yield Measurement(clf.name, name, "area", "object", area)
    for kind, raw in tqdm(maps.items(), disable=not progress):
        for measure, values in _measured(raw, images, truth, maps).items():
            for name, value in zip(names, values.tolist(), strict=True):
                yield Measurement(clf.name, name, measure, kind, value)


def _measured(raw: Tensor, images: Tensor, truth: Tensor, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The measures of one sort of maps, (N,) each."""
    heat = raw.relu()
    peaks, own = heat.amax((1, 2), keepdim=True), maps["Grad-CAM"]
    areas = truth.double().mean((1, 2)).tolist()
    of_area = torch.stack([top_share_mask(one, area) for one, area in zip(raw, areas, strict=True)])
    curve = torch.stack([ious((heat >= share * peaks) & (heat > 0), truth) for share in THRESHOLDS])
    found = {OWN_AREA: ious(of_area, truth), CHOSEN: chosen_on_others(curve)}
    for share in SHARES:
        counts = (own >= share * own.amax((1, 2), keepdim=True)).double().mean((1, 2)).tolist()
        marked = torch.stack([top_share_mask(one, count) for one, count in zip(raw, counts, strict=True)])
        found[right_seeds(share)] = (marked & truth).sum((1, 2)).double() / marked.sum((1, 2))
    return found | {name: ious(mask, truth) for name, mask in seeds_as_masks(heat, images).items()}
