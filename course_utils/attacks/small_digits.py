"""Defending a small network: handwritten digits of 8 x 8 pixels, trained plainly, on noise, and on attacks.

The digits are those of scikit-learn (1,797, from the UCI repository). ``python -m course_utils.attacks`` trains five
networks in each way, about two minutes of one core, and writes what notebook 10 reads:
``data/measurements/10_digits.csv``, where a line's "network" is the way and its "photo" the training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.arguments import whole_number
from course_utils.evidence import Measurement

from .pixels import project

__all__ = ["DIGIT_EPSILON", "WAYS", "digit_attacks", "digit_net", "digits", "measure_digits", "train_digits"]

DIGIT_EPSILON = 0.15
"""Of the training and the attacks, in [0, 1]; the digits have 17 levels of gray, 1/16 apart."""
WAYS = {
    "plain": "trained on the pictures as they are",
    "noise": "trained on pictures in which each value has moved by epsilon, up or down at random",
    "attacks": "adversarial training: each batch is attacked first, in three steps, with the weights as they are then",
    "strong attacks": "the same with twice the epsilon",
}
PARTS = {"held out": slice(0, 500), "choose": slice(500, 700), "train": slice(700, 1797)}
TRAININGS, EPOCHS, BATCH, RATE = 5, 12, 64, 4e-3
STEPS = 30  # of PGD


def digits(part: str = "train") -> tuple[Tensor, Tensor]:
    """Return digits (n, 1, 8, 8) in [0, 1], float64, and their labels (n,).

    Args:
        part: "train" (1,097); "choose" (200), on which epsilon and the trainings were chosen; or "held out" (500), on
            which nothing was.

    Raises:
        ValueError: another part.
    """
    if part not in PARTS:
        raise ValueError(f"there is no part {part!r} of the digits, only {', '.join(PARTS)}.")
    stored = load_digits()
    images, labels = torch.tensor(stored.images)[:, None] / 16, torch.tensor(stored.target).long()
    return images[PARTS[part]], labels[PARTS[part]]


def digit_net(seed: int = 0) -> nn.Sequential:
    """Return an untrained network from (N, 1, 8, 8) to 10 logits, float64: so trainings are alike on all processors."""
    with torch.random.fork_rng([]):
        torch.manual_seed(whole_number(seed, "seed", 0))
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        ).double()


def climb(net: nn.Module, images: Tensor, labels: Tensor, epsilon: float, steps: int) -> Tensor:
    """Return images after untargeted PGD in float64; a gradient of zero is no step, and no error as in ``pgd``."""
    x = images
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(leaf), labels, reduction="sum"), leaf)
        x = project(x + 2.5 * epsilon / steps * gradient.sign(), images, epsilon)
    return x.detach()


def coins(images: Tensor, epsilon: float) -> Tensor:
    """Return images with each value moved by epsilon, up or down, clipped to [0, 1]."""
    signs = torch.where(torch.rand(images.shape) < 0.5, -1.0, 1.0).to(images)
    return (images + epsilon * signs).clamp(0, 1)


def train_digits(
    seed: int = 0, way: str = "plain", epsilon: float = DIGIT_EPSILON, epochs: int = EPOCHS
) -> nn.Sequential:
    """Train a network on the digits: 12 epochs of Adam with a rate that falls to zero, in one of ``WAYS``.

    Raises:
        ValueError: another way.
    """
    if way not in WAYS:
        raise ValueError(f"there is no training {way!r}, only {', '.join(WAYS)}.")
    images, labels = digits("train")
    net = digit_net(seed)
    descent = torch.optim.Adam(net.parameters(), RATE)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: 1 - step / steps)
    change: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "plain": lambda x, y: x,
        "noise": lambda x, y: coins(x, epsilon),
        "attacks": lambda x, y: climb(net, x, y, epsilon, steps=3),
        "strong attacks": lambda x, y: climb(net, x, y, 2 * epsilon, steps=3),
    }
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(seed)
        for _ in range(epochs):
            for chosen in torch.randperm(len(images)).split(BATCH):
                x, y = images[chosen], labels[chosen]
                x = change[way](x, y)
                descent.zero_grad()
                F.cross_entropy(net(x), y).backward()
                descent.step()
                schedule.step()
    return net.requires_grad_(False)


def digit_attacks(
    net: nn.Module, other: nn.Module, images: Tensor, labels: Tensor, epsilon: float = DIGIT_EPSILON
) -> dict[str, Tensor]:
    """Return what a defense has to withstand, by name: versions (n, 1, 8, 8) of the images.

    "clean"; "noise" of full size; "FGSM" and "PGD" (30 steps) with the network's own gradient; "transfer", PGD on
    another network.
    """
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(0)
        return {
            "clean": images,
            "noise": coins(images, epsilon),
            "FGSM": climb(net, images, labels, epsilon, 1),
            "PGD": climb(net, images, labels, epsilon, STEPS),
            "transfer": climb(other, images, labels, epsilon, STEPS),
        }


def measure_digits(epsilons: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3)) -> Iterator[Measurement]:
    """Train all networks, and yield the share of held-out digits that each names rightly after each attack.

    And after PGD at other sizes of epsilon than that of the training ("PGD 0.3"). "transfer" comes from the plain
    network of the next training. "in all": right on the clean picture and after each attack of the training's size.
    """
    images, labels = digits("held out")
    nets = {(way, seed): train_digits(seed, way) for way in WAYS for seed in range(TRAININGS)}
    for (way, seed), net in nets.items():
        other = nets["plain", (seed + 1) % TRAININGS]
        versions = digit_attacks(net, other, images, labels)
        right = {name: net(x).argmax(1) == labels for name, x in versions.items()}
        right["in all"] = torch.stack(list(right.values())).all(0)
        for epsilon in epsilons:
            with torch.enable_grad():
                right[f"PGD {epsilon:g}"] = (
                    net(climb(net, images, labels, epsilon, STEPS)).argmax(1) == labels
                )
        for name, each in right.items():
            yield Measurement(way, f"training {seed}", "right", name, each.double().mean().item())
