"""The small networks that the course trained itself, and how: the same command gives the same networks again.

``python -m course_utils train 07`` trains what notebook 07 uses and writes it to ``data/weights/``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from course_utils.arguments import whole_number
from course_utils.assets import DATA
from course_utils.pictures import SHAPES, Scenes, scenes

from .classifier import Classifier
from .small import SMALL_NETS, small_net
from .training import evaluate, fit, load_or_train, standardize
from .weights import load_into, save_weights

__all__ = ["RUNS", "WEIGHTS", "one_thread", "scene_classifier", "train_classifiers", "unseen_scenes"]

WEIGHTS = DATA / "weights"
RUNS = 3
"""Trainings of each network: they differ in the scenes, the first weights, and the order."""
SCENES, EPOCHS, UNSEEN = 3000, 12, 1000
TRAINING_SEED, UNSEEN_SEED = 1_000_000, 7_000_000  # far from each other, and from what anyone types


def scene_classifier(name: str, run: int = 0, retrain: bool = False, progress: bool = True) -> Classifier:
    """Return a small network that tells the ten kinds of objects on drawn scenes of 64 x 64 pixels.

    It was trained with the kinds alone: no box and no mask.

    Args:
        name: "vgg", "alexnet", "googlenet" or "vgg_gap", see :mod:`course_utils.networks.small`.
        run: which of the trainings, 0 to ``RUNS`` - 1.
        retrain: train it now, about a minute, instead of loading the stored weights.
        progress: show a progress bar while training.

    Raises:
        TypeError, ValueError: unknown name or run.
        AssetError: the stored weights are missing or damaged.
    """
    if name not in SMALL_NETS:
        raise ValueError(f"there is no small network {name!r}, only {', '.join(SMALL_NETS)}.")
    run = whole_number(run, "run", 0, RUNS - 1)
    return load_or_train(
        WEIGHTS / f"07_{name}_{run}.pt",
        lambda: small_net(name, SHAPES, seed=run),
        lambda net: _train_on_scenes(net, run, progress),
        retrain,
    )


def unseen_scenes(n: int = 300, start: int = 0) -> Scenes:
    """Return scenes with one object that no network was trained on."""
    return scenes(n, seed=UNSEEN_SEED, start=start)


def _train_on_scenes(net: Classifier, run: int, progress: bool) -> None:
    shown = scenes(SCENES, seed=TRAINING_SEED + run)
    standardize(net, shown.images[:256])
    fit(net, shown.images, shown.labels, EPOCHS, seed=run, progress=progress)


def train_classifiers(folder: Path, progress: bool = True) -> Iterator[str]:
    """Train all of ``SMALL_NETS`` on one thread, write them into ``folder``, and yield a line about each."""
    unseen = unseen_scenes(UNSEEN)
    for name in SMALL_NETS:
        for run in range(RUNS):
            start = time.perf_counter()
            with one_thread():
                net = scene_classifier(name, run, retrain=True, progress=progress)
            seconds = time.perf_counter() - start
            path = folder / f"07_{name}_{run}.pt"
            save_weights(net, path)
            load_into(net, path)  # rounded to float16, as everyone else gets it
            accuracy = evaluate(net, unseen.images, unseen.labels).accuracy
            yield f"{path.name}: {seconds:.0f} s, right on {accuracy:.1%} of {UNSEEN:,} unseen scenes"


@contextmanager
def one_thread() -> Iterator[None]:
    """Run what is inside with one thread of PyTorch's: how many there are decides about the last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
