"""Small relatives of the networks in the Grad-CAM paper's tables, for pictures of 64 x 64 pixels.

They differ in what follows the last map, which decides what can be explained how: two have a fully connected
head, as VGG-16 and AlexNet, two a mean over the map and one linear layer, as GoogLeNet and as CAM needs it. All
consist of convolution, ReLU, pooling, dropout, concatenation and linear layers alone, without batch normalization:
excitation backprop (arXiv 1608.00507) shares out non-negative activations along plain weights.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number

from .classifier import Classifier

__all__ = ["SMALL_NETS", "Branches", "small_net"]

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
