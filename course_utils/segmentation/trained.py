"""The segmentation networks that the course trained on drawn scenes, and the seeds they were trained from.

``python -m course_utils train 08`` trains what notebook 08 uses and writes it to ``data/weights/``. It needs the
classifiers of ``train 07``, which the seeds come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.arguments import whole_number
from course_utils.explain import grad_cam
from course_utils.networks import (
    TRAINING_SEED,
    WEIGHTS,
    Classifier,
    load_or_train,
    scene_classifier,
    train_and_store,
    unseen_scenes,
)
from course_utils.pictures import SHAPES, scenes

from .losses import class_ious, seeds_from_maps
from .nets import LOSSES, fit_segmentation, segment, segmentation_net

__all__ = ["SEGMENTERS", "TRAININGS", "Recipe", "scene_segmenter", "sow", "train_segmenters"]

TRAININGS = 1
"""Trainings of each network: others would differ in the scenes, the classifiers, and the order."""
SCENES, EPOCHS, SHORT = 1000, 16, 4
CHOOSING = 300
"""So many of :func:`course_utils.networks.unseen_scenes` are for choosing: what notebook 08 reports of its networks,
it measures on others."""
CELLS = 16
FOREGROUND, BACKGROUND = 0.5, 0.1
"""Thresholds of the seeds, as shares of each map's maximum."""


@dataclass(frozen=True)
class Recipe:
    """What a segmentation network was told."""

    seeds: str
    """Where its seeds come from: a classifier of :func:`course_utils.networks.scene_classifier`, or "masks"."""
    losses: tuple[str, ...]
    """Some of :data:`course_utils.segmentation.nets.LOSSES`."""
    words: str
    """The same, for people."""
    epochs: int = EPOCHS
    """How often it was shown each scene."""


SEGMENTERS: dict[str, Recipe] = {
    "masks": Recipe("masks", LOSSES[:1], "exact masks"),
    "masks_short": Recipe("masks", LOSSES[:1], f"exact masks, {SHORT} passes", SHORT),
    "seed": Recipe("vgg_gap", LOSSES[:1], "CAM seeds: seed"),
    "expand": Recipe("vgg_gap", LOSSES[:2], "CAM seeds: seed, expand"),
    "cam": Recipe("vgg_gap", LOSSES, "CAM seeds: seed, expand, constrain"),
    "grad_cam": Recipe("vgg", LOSSES, "Grad-CAM seeds: seed, expand, constrain"),
}


def sow(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
) -> Tensor:
    """Return the seeds (n, 16, 16) that a classifier's Grad-CAM maps give for the images' own labels.

    Where the classifier ends in pooling and one linear layer, these maps are CAM's divided by Z, and the seeds, which
    ask for shares of the maximum, CAM's seeds.

    Args:
        classifier: of the images.
        images: (n, 3, H, W) in [0, 1].
        labels: (n,) class numbers, given and not predicted: labels are what weak supervision has.
        foreground: see :func:`course_utils.segmentation.seeds_from_maps`.
        background: likewise.
    """
    parts = [
        grad_cam(classifier, some, own[:, None]).heatmaps(CELLS)
        for some, own in zip(images.split(200), labels.split(200), strict=True)
    ]
    return seeds_from_maps(torch.cat(parts), labels[:, None], foreground, background)


def scene_segmenter(name: str, run: int = 0, retrain: bool = False, progress: bool = True) -> Classifier:
    """Return a small network that segments drawn scenes of 64 x 64 pixels, see ``SEGMENTERS``.

    All begin as the trunk of the same classifier, the pooled "vgg_gap" of their run, and see the same scenes in the
    same order: what differs is what they are told.

    Args:
        name: one of ``SEGMENTERS``.
        run: which of the trainings, 0 to ``TRAININGS`` - 1: other scenes, other classifiers, another order.
        retrain: train it now, about a minute, instead of loading the stored weights.
        progress: show a progress bar while training.

    Returns:
        maps (N, 3, 64, 64) to logits (N, 11, 16, 16).

    Raises:
        TypeError, ValueError: unknown name or run.
        AssetError: stored weights are missing or damaged.
    """
    if name not in SEGMENTERS:
        raise ValueError(f"there is no segmentation network {name!r}, only {', '.join(SEGMENTERS)}.")
    run = whole_number(run, "run", 0, TRAININGS - 1)
    return load_or_train(
        WEIGHTS / f"08_{name}_{run}.pt",
        lambda: segmentation_net(scene_classifier("vgg_gap", run)),
        lambda net: _train(net, SEGMENTERS[name], run, progress),
        retrain,
    )


def _train(net: Classifier, recipe: Recipe, run: int, progress: bool) -> None:
    # The first of the scenes that this run's classifiers were trained on.
    shown = scenes(SCENES, seed=TRAINING_SEED + run)
    if recipe.seeds == "masks":
        seeds = F.interpolate(shown.segmentation[:, None].float(), CELLS, mode="nearest-exact")[:, 0].long()
    else:
        seeds = sow(scene_classifier(recipe.seeds, run), shown.images, shown.labels)
    present = F.one_hot(shown.labels, len(SHAPES)).bool()
    fit_segmentation(
        net, shown.images, seeds, present, recipe.losses, recipe.epochs, seed=run, progress=progress
    )


def train_segmenters(folder: Path, progress: bool = True) -> Iterator[str]:
    """Train all networks of ``SEGMENTERS``, write them into ``folder``, and yield a line about each."""
    choosing = unseen_scenes(CHOOSING)

    def describe(net: Classifier, seconds: float) -> str:
        ious = class_ious(segment(net, choosing.images), choosing.segmentation, len(SHAPES))
        return f"{seconds:.0f} s, mean IoU {ious.mean():.3f} on {CHOOSING} scenes for choosing"

    trainings = (
        (f"08_{name}_{run}.pt", partial(scene_segmenter, name, run, True, progress), describe)
        for name in SEGMENTERS
        for run in range(TRAININGS)
    )
    yield from train_and_store(folder, trainings)
