"""A study of one shortcut: train a small network on stamped radiographs, measure the reliance on the stamp, repair it.

Reliance is measured by intervention: the stamp alone is put on and taken off. What a heat-map says stands
beside it, each energy beside the area that would have been its share by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.explain import check_images, enlarged, evaluation_mode, grad_cam
from course_utils.networks import descend

from .films import Radiographs, corner, stamp_strip

__all__ = [
    "CLASSES",
    "PUNISHED",
    "REPAIRS",
    "Reliance",
    "XrayNet",
    "corner_of_decision",
    "measure",
    "soft_map",
    "train",
    "without_strip",
    "xray_net",
]

CLASSES = ["normal", "finding"]
FINDING = 1
BATCH = 16
PAIRS = 4  # of a batch, whose twins are compared

REPAIRS = {
    "none": "train on the biased pictures as they are",
    "no marker": "train on the clean pictures: the bias was never there",
    "mask the strip": "black out the strip where the stamp is, in training and in use",
    "marker at random": "stamp each picture anew, by the toss of a coin",
    "balance": "draw pictures so that each of the four groups, label x stamp, comes equally often",
    "pairs agree": "punish different answers to a picture and its twin",
    "penalty on the map": "punish the share of energy, of the map of d, in the corner around the marker",
}
"""What :func:`train` can do about the stamp."""
PUNISHED = ("box", "corner", "corner, map of d")
"""Where "penalty on the map" wants no energy: in the marker's own box or in :func:`corner` of the map of y^finding, or
in the corner of the map of d = y^finding - y^normal, whose sign is the answer."""


class XrayNet(nn.Module):
    """Four convolutions, global average pooling, one linear layer.

    A unit of the last map sees 43 x 43 pixels and stands for 8 x 8 of them: 12 x 12 units at 96 pixels. The
    first convolution is large and takes every fourth pixel, as AlexNet's does: most of the work then happens
    on small maps.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels, kernel, stride in ((16, 11, 4), (24, 3, 1), (32, 3, 2), (48, 3, 1)):
            layers += [
                nn.Conv2d(before, channels, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            before = channels
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before, len(CLASSES))
        self.classes = list(CLASSES)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU

    @property
    def target_layer(self) -> nn.Module:
        """The module that puts out the last map, (N, 48, H / 8, W / 8)."""
        return self.features[-1]

    def class_index(self, name: str) -> int:
        """Return the number of a class: 0 for "normal", 1 for "finding"."""
        if name not in self.classes:
            raise ValueError(f"there is no class {name!r}: the classes are {' and '.join(self.classes)}.")
        return self.classes.index(name)

    @staticmethod
    def normalized(images: Tensor) -> Tensor:
        """Return images with mean 0 and standard deviation 1 each, so that the exposure matters little."""
        spread, mean = torch.std_mean(images, (1, 2, 3), keepdim=True)
        images = (images - mean) / spread.clamp(min=1e-3)
        return images.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, 2) of radiographs (N, 1, H, W) with values in [0, 1]."""
        check_images(images, unit_range=True, channels=1)
        return self.head(self.features(self.normalized(images)).mean((2, 3)))


def xray_net(seed: int = 0) -> XrayNet:
    """Return an untrained network with weights drawn from ``seed``; torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return XrayNet()


def train(
    films: Radiographs,
    repair: str = "none",
    p: float = 0.95,
    seed: int = 0,
    epochs: int = 8,
    strength: float | None = None,
    punished: str = PUNISHED[-1],
    progress: bool = False,
) -> XrayNet:
    """Train a network on radiographs whose stamp follows the finding; return it in evaluation mode.

    Args:
        films: the training set.
        repair: one of ``REPAIRS``.
        p: P(marker | finding); P(marker | normal) is 1 - p.
        seed: draws weights, stamps and the order of the pictures.
        epochs: passes through the set.
        strength: weight of the extra term of "pairs agree" (default 3) and "penalty on the map" (default 10).
        punished: where "penalty on the map" wants no energy, one of ``PUNISHED``.
        progress: show a progress bar with the loss.

    Raises:
        ValueError: unknown repair or place to punish, less than one epoch.
        FloatingPointError: the loss is not finite any more.
    """
    if repair not in REPAIRS:
        raise ValueError(f"there is no repair {repair!r}: the known ones are {', '.join(REPAIRS)}.")
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}.")
    if punished not in PUNISHED:
        raise ValueError(
            f"there is nothing to punish in {punished!r}: the known places are {'; '.join(PUNISHED)}."
        )
    images, labels, has_marker = films.biased(p, 1 - p, seed=seed)
    places = films.marker_box if punished == "box" else corner(images.shape[-1]).expand(len(films), -1, -1)
    decision = punished == "corner, map of d"
    net = xray_net(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(images) // BATCH)
    # Fused: one pass over all weights, a tenth less of the training's time.
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.25)

    def losses() -> Iterator[tuple[Tensor, int]]:
        for batch in _order(labels, has_marker, repair == "balance", generator).split(BATCH):
            x, y = images[batch], labels[batch]
            if repair == "no marker":
                x = films.clean[batch]
            elif repair == "marker at random":
                coin = torch.rand(len(batch), generator=generator) < 0.5
                x = torch.where(coin[:, None, None, None], films.stamped[batch], films.clean[batch])
            elif repair == "mask the strip":
                x = without_strip(x)
            if repair == "pairs agree":
                loss = _pairs_loss(net, films, batch, x, y, has_marker[batch], strength)
            elif repair == "penalty on the map":
                loss = _map_loss(net, x, y, places[batch] & has_marker[batch, None, None], strength, decision)
            else:
                loss = F.cross_entropy(net(x), y)
            yield loss, len(batch)

    net.train()
    descend(optimizer, schedule, losses, epochs, steps, progress)
    return net.eval()


def _order(labels: Tensor, has_marker: Tensor, balance: bool, generator: torch.Generator) -> Tensor:
    """Return the numbers of the pictures of one epoch: each once, or the four groups equally often."""
    if not balance:
        return torch.randperm(len(labels), generator=generator)
    group = 2 * labels + has_marker.long()
    weights = 1 / torch.bincount(group, minlength=4).clamp(min=1)[group]
    return torch.multinomial(weights, len(labels), replacement=True, generator=generator)


def without_strip(images: Tensor) -> Tensor:
    """Return copies of radiographs (N, 1, H, W) with the strip of the stamp black."""
    return images.masked_fill(stamp_strip(images.shape[-1]).to(images.device), 0.0)


def _pairs_loss(
    net: XrayNet,
    films: Radiographs,
    batch: Tensor,
    x: Tensor,
    y: Tensor,
    stamped: Tensor,
    strength: float | None,
) -> Tensor:
    """Cross-entropy on the biased pictures, and the squared difference of the logits of some of them and their twins.

    The first PAIRS of a batch, whose order is drawn, have their twin shown too: all of them would take twice the time.
    """
    some = batch[:PAIRS]
    twins = torch.where(stamped[:PAIRS, None, None, None], films.clean[some], films.stamped[some])
    logits, others = net(torch.cat([x, twins])).split([len(x), len(twins)])
    difference = (logits[:PAIRS] - others).pow(2).mean()
    return F.cross_entropy(logits, y) + (3.0 if strength is None else strength) * difference


def _map_loss(
    net: XrayNet, x: Tensor, y: Tensor, places: Tensor, strength: float | None, decision: bool
) -> Tensor:
    """Cross-entropy, and the share of the map's energy in a place, where there is a stamp."""
    logits, maps = soft_map(net, x, decision)
    heat = enlarged(maps.relu(), x.shape[-2:])
    share = (heat * places).sum((1, 2)) / (heat.sum((1, 2)) + 1e-6)
    return F.cross_entropy(logits, y) + (10.0 if strength is None else strength) * share.mean()


def soft_map(net: XrayNet, images: Tensor, decision: bool = False) -> tuple[Tensor, Tensor]:
    """Return logits (N, 2) and the signed Grad-CAM map (N, h, w) for the finding, both with a graph to learn through.

    alpha_k = (1/Z) sum_ij dy/dA^k_ij is computed with ``create_graph=True``, so that a loss on the map has
    gradients with respect to the weights. With ``decision`` y is d = y^finding - y^normal.
    """
    activations = net.features(net.normalized(images))
    logits = net.head(activations.mean((2, 3)))
    score = logits.diff(dim=1) if decision else logits[:, FINDING]
    (gradients,) = torch.autograd.grad(score.sum(), activations, create_graph=True)
    alpha = gradients.mean((2, 3), keepdim=True)
    return logits, (alpha * activations).sum(1)


def corner_of_decision(net: XrayNet, films: Radiographs, masked: bool = False) -> tuple[float, float]:
    """Return how much the corner has of the map of d = y^finding - y^normal, and of what the stamp adds to d.

    Both are over the radiographs with a finding. The first is the share of ReLU(L^d)'s energy, with the stamp on. The
    second is a share of a sum: in a network that pools by a mean, sum_ij L^d_ij = d - bias, so that the stamp's change
    of d is the sum over all units of the change of the signed map; what of it lies in the corner can exceed 1 where
    the rest takes away from it.

    Args:
        net, masked: as for :func:`measure`.
        films: as for :func:`measure`; pictures without energy are left out of the first.
    """
    prepared = without_strip if masked else (lambda images: images)
    found = films.has_finding
    clean, stamped = (
        grad_cam(net, prepared(images[found]), [0, FINDING]).maps.diff(dim=1)[:, 0]
        for images in (films.clean, films.stamped)
    )
    units = corner(stamped.shape[-1])
    energy, change = stamped.relu(), (stamped - clean).sum(0)
    share = (energy * units).sum((1, 2)) / energy.sum((1, 2))
    return share.nanmean().item(), (change[units].sum() / change.sum()).item()


@dataclass(frozen=True)
class Reliance:
    """How much a network relies on the stamp; shares in [0, 1].

    Attributes:
        biased: accuracy where 95% of the findings and 5% of the normals carry the stamp, as in training.
        unbiased: accuracy where half of each do.
        flipped: accuracy where 5% of the findings and 95% of the normals do.
        worst_group: the lowest accuracy of the four groups, label x stamp.
        flip_rate: share of pictures whose prediction changes when only the stamp is put on.
        logit_change: mean change of the difference of the logits, finding minus normal, by the stamp.
        box, corner, finding: share of the positive Grad-CAM energy for "finding", in stamped pictures with
            a finding, that lies in the marker's box, in the corner, and in the finding widened by 4 pixels.
        box_area, corner_area, finding_area: their shares of the picture: what an even map would have there.
        empty: share of these maps that have no energy at all; they are left out.
    """

    biased: float
    unbiased: float
    flipped: float
    worst_group: float
    flip_rate: float
    logit_change: float
    box: float
    corner: float
    finding: float
    box_area: float
    corner_area: float
    finding_area: float
    empty: float


def measure(net: XrayNet, films: Radiographs, masked: bool = False) -> Reliance:
    """Measure a network's reliance on the stamp on a test set, with both twins of each picture.

    The accuracies are expectations: each group's accuracy is measured on all its pictures, and weighted as the
    test in question would draw them.

    Args:
        net: the network; put in evaluation mode while it is measured.
        films: pictures it was not trained on.
        masked: black out the strip first, for a network that was trained so.
    """
    prepared = without_strip if masked else (lambda images: images)
    with evaluation_mode(net), torch.no_grad():
        clean, stamped = (_logits(net, prepared(images)) for images in (films.clean, films.stamped))
    labels = films.has_finding.long()
    right = {
        (label, marker): (logits.argmax(1) == labels)[labels == label].float().mean().item()
        for label in (0, 1)
        for marker, logits in ((False, clean), (True, stamped))
    }

    def accuracy(p: float) -> float:
        """Accuracy where the share p of the findings and 1 - p of the normals is stamped."""
        positives = p * right[1, True] + (1 - p) * right[1, False]
        negatives = (1 - p) * right[0, True] + p * right[0, False]
        return (positives + negatives) / 2

    energies = _energies(net, films, prepared)
    return Reliance(
        biased=accuracy(0.95),
        unbiased=accuracy(0.5),
        flipped=accuracy(0.05),
        worst_group=min(right.values()),
        flip_rate=(clean.argmax(1) != stamped.argmax(1)).float().mean().item(),
        logit_change=(stamped - clean).diff(dim=1).mean().item(),
        **energies,
    )


def _logits(net: XrayNet, images: Tensor) -> Tensor:
    return torch.cat([net(part) for part in images.split(128)])


def _energies(net: XrayNet, films: Radiographs, prepared: Callable[[Tensor], Tensor]) -> dict[str, float]:
    chosen = films.has_finding
    explanation = grad_cam(net, prepared(films.stamped[chosen]), FINDING)
    size = films.clean.shape[-1]
    heat = enlarged(explanation.positive, size)[:, 0]
    wide = films.masks["finding"][chosen][:, None].float()
    for window, padding in (((9, 1), (4, 0)), ((1, 9), (0, 4))):  # a square of 9, in two cheap steps
        wide = F.max_pool2d(wide, window, 1, padding)
    masks = {"box": films.marker_box[chosen], "corner": corner(size).expand_as(heat), "finding": wide[:, 0]}
    seen = ~explanation.empty[:, 0]
    out = {}
    for name, mask in masks.items():
        share = (heat * mask).sum((1, 2))[seen] / heat.sum((1, 2))[seen]
        out[name] = share.mean().item()
        out[f"{name}_area"] = mask.float().mean().item()
    return {**out, "empty": 1 - seen.float().mean().item()}
