"""Small relatives of the networks in the Grad-CAM paper's tables, and what the course trained of them on drawn scenes.

They differ in what follows the last map, which decides what can be explained how: two have a fully connected
head, as VGG-16 and AlexNet, two a mean over the map and one linear layer, as GoogLeNet and as CAM needs it. All
consist of convolution, ReLU, pooling, dropout, concatenation and linear layers alone, without batch normalization:
excitation backprop (arXiv 1608.00507) shares out non-negative activations along plain weights.

``python -m course_utils train 07`` trains what notebook 07 uses and writes it to ``data/weights/``: the same command
gives the same networks again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number
from course_utils.pictures import SHAPES, Scenes, scenes

from .classifier import Classifier
from .training import evaluate, fit, load_or_train, standardize, train_and_store
from .weights import WEIGHTS

__all__ = [
    "RUNS",
    "SMALL_NETS",
    "TRAINING_SEED",
    "Branches",
    "scene_classifier",
    "small_net",
    "train_classifiers",
    "unseen_scenes",
]

RUNS = 3
"""Trainings of each network: they differ in the scenes, the first weights, and the order."""
SCENES, EPOCHS, UNSEEN = 3000, 12, 1000
TRAINING_SEED, UNSEEN_SEED = 1_000_000, 7_000_000  # far from each other, and from what anyone types

SIZE = 64
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class Branches(nn.Module):
    """Several branches over the same maps, their outputs stacked along the channels (inception, arXiv 1409.4842)."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the branches' outputs as one tensor (N, sum of their channels, H, W)."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


def _conv(inputs: int, outputs: int, window: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, window, stride, padding=window // 2), nn.ReLU()]


def _inception(inputs: int, one: int, narrow: int, three: int, five: int, pooled: int) -> Branches:
    """Windows of 1, 3 and 5 pixels and a maximum side by side; 1x1 convolutions first keep the large ones cheap."""
    return Branches(
        nn.Sequential(*_conv(inputs, one, 1)),
        nn.Sequential(*_conv(inputs, narrow, 1), *_conv(narrow, three, 3)),
        nn.Sequential(*_conv(inputs, narrow // 2, 1), *_conv(narrow // 2, five, 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, padding=1), *_conv(inputs, pooled, 1)),
    )


def _dense(channels: int, classes: int) -> nn.Sequential:
    """Fully connected head: each place of the map, halved to 4x4, has weights of its own."""
    return nn.Sequential(
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(channels * 16, 64),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(64, classes),
    )


def _pooled(channels: int, classes: int) -> nn.Sequential:
    """Head of CAM (arXiv 1512.04150): the mean of each map, then one linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _vgg_features() -> nn.Sequential:
    """Stacks of 3x3 convolutions, each followed by halving (arXiv 1409.1556): (3, 64, 64) -> (64, 8, 8)."""
    return nn.Sequential(
        *[*_conv(3, 12), nn.MaxPool2d(2)],
        *[*_conv(12, 20), *_conv(20, 20), nn.MaxPool2d(2)],
        *[*_conv(20, 40), *_conv(40, 40), nn.MaxPool2d(2)],
        *[*_conv(40, 64), *_conv(64, 64)],
    )


def _alexnet_features() -> nn.Sequential:
    """A large first window that moves in steps, then smaller ones: (3, 64, 64) -> (64, 8, 8)."""
    return nn.Sequential(
        *[*_conv(3, 24, 9, stride=2), nn.MaxPool2d(2)],
        *[*_conv(24, 40, 5), nn.MaxPool2d(2)],
        *[*_conv(40, 64), *_conv(64, 64), *_conv(64, 64)],
    )


def _googlenet_features() -> nn.Sequential:
    """Two plain convolutions, then inception blocks: (3, 64, 64) -> (80, 8, 8)."""
    return nn.Sequential(
        *[*_conv(3, 16, 5, stride=2), *_conv(16, 32), nn.MaxPool2d(2)],
        *[_inception(32, 16, 16, 24, 8, 8), nn.MaxPool2d(2)],
        *[_inception(56, 24, 24, 32, 12, 12), _inception(80, 24, 24, 32, 12, 12)],
    )


_BUILDERS: dict[str, tuple[Callable, Callable, int]] = {
    "vgg": (_vgg_features, _dense, 64),
    "alexnet": (_alexnet_features, _dense, 64),
    "googlenet": (_googlenet_features, _pooled, 80),
    "vgg_gap": (_vgg_features, _pooled, 64),
}

SMALL_NETS: tuple[str, ...] = tuple(_BUILDERS)
"""Names of the small networks: VGG-like, AlexNet-like, GoogLeNet-like, and VGG-like with a pooled head for CAM."""


def small_net(name: str, classes: Sequence[str], seed: int = 0) -> Classifier:
    """Return an untrained small network for (N, 3, 64, 64) RGB in [0, 1], in evaluation mode.

    Its ``net`` is ``features``, which end in a ReLU and put out the last map (8 x 8), followed by ``head``.

    Args:
        name: one of ``SMALL_NETS``.
        classes: the names of the classes, one a logit.
        seed: its weights are drawn from it (He et al., arXiv 1502.01852; biases 0); torch's own random numbers
            stay as they were.

    Raises:
        TypeError, ValueError: unknown name, fewer than two classes, or a seed that is not a whole number.
    """
    if name not in _BUILDERS:
        raise ValueError(f"there is no small network {name!r}, only {', '.join(SMALL_NETS)}.")
    if isinstance(classes, str) or len(list(classes)) < 2:
        raise ValueError(f"classes is a list of at least two names, got {classes!r}.")
    features, head, channels = _BUILDERS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole_number(seed, "seed", 0))
        net = nn.Sequential(OrderedDict(features=features(), head=head(channels, len(classes))))
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                nn.init.zeros_(part.bias)
    return Classifier(net, classes, MEAN, STD, target_layer="features", size=SIZE).eval()


def scene_classifier(name: str, run: int = 0, retrain: bool = False, progress: bool = True) -> Classifier:
    """Return a small network that tells the ten kinds of objects on drawn scenes of 64 x 64 pixels.

    It was trained with the kinds alone: no box and no mask.

    Args:
        name: one of ``SMALL_NETS``: "vgg", "alexnet", "googlenet" or "vgg_gap".
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
    """Train all of ``SMALL_NETS``, write them into ``folder``, and yield a line about each."""
    unseen = unseen_scenes(UNSEEN)

    def describe(net: Classifier, seconds: float) -> str:
        accuracy = evaluate(net, unseen.images, unseen.labels).accuracy
        return f"{seconds:.0f} s, right on {accuracy:.1%} of {UNSEEN:,} unseen scenes"

    trainings = (
        (f"07_{name}_{run}.pt", partial(scene_classifier, name, run, True, progress), describe)
        for name in SMALL_NETS
        for run in range(RUNS)
    )
    yield from train_and_store(folder, trainings)
