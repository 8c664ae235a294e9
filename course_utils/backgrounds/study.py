"""A data set whose backgrounds give the label away: photographed objects on two textures, and heads trained on it.

Each scene is one photographed object, small, on a texture; it exists on every ground, with the object at the same
place in the same size (twins). What correlates with the class is decided afterwards, by choosing one twin of each
scene. A linear head on the pooled features of an ImageNet network is trained on the chosen ones.

The words for the measures (group, worst group) are those of Sagawa et al. 2020 (arXiv 1911.08731), the swap of
backgrounds is that of Xiao et al. 2020 (arXiv 2006.09994).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number
from course_utils.explain import ForwardHook, evaluation_mode
from course_utils.networks import (
    RUNS,
    WEIGHTS,
    Classifier,
    fit_linear,
    load_classifier,
    load_into,
    train_and_store,
)

from .scenes import GROUNDS, labels_of, pictures

__all__ = [
    "REPAIRS",
    "SCENES",
    "biased_head",
    "choose_grounds",
    "feature_maps",
    "group_accuracy",
    "group_weights",
    "head_maps",
    "store_features",
    "train_head",
    "training_features",
]

REPAIRS = {
    "none": "trained on the pictures as they were collected",
    "group weights": "each of the four groups weighs the same in the loss: needs to know each picture's ground",
    "ground by coin": "each object is pasted on a ground by the toss of a coin: needs each object's mask",
}
"""What :func:`biased_head` can do about the ground."""
SCENES = 96
"""Scenes in the training set of one run: 16 of each object."""
DECAY = 0.1


def feature_maps(clf: Classifier, images: Tensor, batch: int = 16) -> Tensor:
    """Return the activations A^k (n, C, h, w) of the classifier's last convolutional map; no gradients.

    Their means over the pixels, ``.mean((2, 3))``, are what its linear layer sees.
    """
    parts = []
    with evaluation_mode(clf), torch.no_grad():
        for some in images.split(batch):
            with ForwardHook(clf.target_layer) as layer:
                clf(some.to(memory_format=torch.channels_last))  # twice as fast on a CPU
            parts.append(layer.stored)
    return torch.cat(parts)


def choose_grounds(labels: Tensor, p: float, seed: int = 0) -> Tensor:
    """Return a ground (n,) for each scene, so that the share ``p`` of each class is on the ground of its number.

    Exactly ``round((1 - p) * n_c)`` of the n_c scenes of a class, drawn from the seed, are on the other ground.

    Args:
        labels: (n,) classes 0 and 1.
        p: strength of the correlation: 0.5 is none, 1 is perfect, 0 perfect the other way around.
        seed: whole number.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p is a share between 0 and 1, not {p!r}.")
    generator = torch.Generator().manual_seed(whole_number(seed, "seed", 0))
    grounds = labels.clone()
    for c in (0, 1):
        own = (labels == c).nonzero()[:, 0]
        moved = own[torch.randperm(len(own), generator=generator)[: round((1 - p) * len(own))]]
        grounds[moved] = 1 - c
    return grounds


def train_head(
    features: Tensor, labels: Tensor, weights: Tensor | None = None, decay: float = DECAY
) -> nn.Linear:
    """Train a linear layer with two outputs on pooled features, see :func:`course_utils.networks.fit_linear`.

    Args:
        features: (n, C).
        labels: (n,) classes 0 and 1.
        weights: (n,) of the scenes in the loss, not negative; by default all 1.
        decay: strength of the penalty on the weights, 0 or more.

    Raises:
        ValueError: shapes that do not fit, negative weights or decay.
    """
    return fit_linear(features, labels, 2, weights, decay)


def group_accuracy(right: Tensor, labels: Tensor, grounds: Tensor) -> Tensor:
    """Return the accuracy of each group, (2, 2): row = class, column = ground; NaN for a group without pictures.

    Args:
        right: (n,) bool, whether the prediction is right.
        labels: (n,) classes.
        grounds: (n,) grounds.
    """
    table = torch.full((2, 2), torch.nan)
    for c in (0, 1):
        for ground in (0, 1):
            group = (labels == c) & (grounds == ground)
            if group.any():
                table[c, ground] = right[group].float().mean()
    return table


def group_weights(labels: Tensor, grounds: Tensor) -> Tensor:
    """Return weights (n,) with which each group, class x ground, has the same sum: v = 1 / size of its group."""
    group = 2 * labels + grounds
    return 1 / torch.bincount(group, minlength=4)[group].float()


def head_maps(head: nn.Linear, maps: Tensor, classes: Tensor) -> Tensor:
    """Return the raw Grad-CAM maps (n, h, w) of a head behind average pooling, without running anything.

        alpha_k^c = w_k^c / Z,    L^c = sum_k alpha_k^c A^k

    Args:
        head: the linear layer.
        maps: (n, C, h, w), the A^k.
        classes: (n,) the class c of each map.
    """
    return torch.einsum("nc,nchw->nhw", head.weight[classes], maps) / maps[0, 0].numel()


def biased_head(run: int = 0, p: float = 0.95, repair: str = "none") -> nn.Linear:
    """Train a head on a run's scenes, of which the share ``p`` of each class stands on its usual ground.

    Args:
        run: which scenes, 0 to 2; the run's number is also the seed of the choice of grounds.
        p: as in :func:`choose_grounds`.
        repair: one of ``REPAIRS``.

    Raises:
        TypeError, ValueError: unknown run or repair, p out of its range.
        AssetError: the stored features are missing or damaged.
    """
    if repair not in REPAIRS:
        raise ValueError(f"there is no repair {repair!r}: the known ones are {', '.join(REPAIRS)}.")
    features, labels = training_features(run)
    grounds = choose_grounds(labels, 0.5 if repair == "ground by coin" else p, run)
    weights = group_weights(labels, grounds) if repair == "group weights" else None
    return train_head(features[torch.arange(len(labels)), grounds], labels, weights)


class _Features(nn.Module):
    """Room for the pooled features of a run's scenes on both grounds, so that they are stored like weights."""

    def __init__(self, channels: int = 1280) -> None:
        super().__init__()
        self.register_buffer("pooled", torch.zeros(SCENES, len(GROUNDS), channels))


def run_numbers(run: int) -> range:
    """Return the numbers of a run's training scenes; no two runs share a scene."""
    run = whole_number(run, "run", 0, RUNS - 1)
    return range(run * SCENES, (run + 1) * SCENES)


def training_features(run: int = 0) -> tuple[Tensor, Tensor]:
    """Return the stored pooled features (96, 2, 1280) of a run's training scenes on both grounds, and the labels (96,).

    ``python -m course_utils train 11`` computes them again.

    Raises:
        TypeError, ValueError: no such run.
        AssetError: the file is missing or damaged.
    """
    stored = _Features()
    numbers = run_numbers(run)
    load_into(stored, WEIGHTS / f"11_features_{run}.pt")
    return stored.pooled, labels_of(numbers)


def store_features(folder: Path, progress: bool = True) -> Iterator[str]:
    """Compute the features of all training scenes, write them into ``folder``, and yield a line about each file.

    ``progress`` is there because all such functions have it; half a minute needs no bar.
    """
    clf = load_classifier(device="cpu")

    def compute(run: int) -> _Features:
        stored = _Features()
        each = [feature_maps(clf, pictures(run_numbers(run), ground)).mean((2, 3)) for ground in GROUNDS]
        stored.pooled.copy_(torch.stack(each, 1))
        return stored

    def describe(path: Path, stored: _Features, seconds: float) -> str:
        size = path.stat().st_size / 1000
        return f"{len(stored.pooled)} scenes on {' and '.join(GROUNDS)}, {size:.0f} KB"

    files = [f"11_features_{run}.pt" for run in range(RUNS)]
    trainings = (
        (file, partial(compute, run), partial(describe, folder / file)) for run, file in enumerate(files)
    )
    yield from train_and_store(folder, trainings)
