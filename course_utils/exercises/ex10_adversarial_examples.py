"""Exercises of notebook 10: the smallest epsilon on a linear model, a projection in L2, accuracy under several attacks,
the gradient of a defense that draws at random.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["expected_gradient", "l2_projection", "robust_accuracy", "smallest_epsilon"]


# --- 1. how small a change is enough


def _by_bisection(w: Tensor, b: float, x: Tensor) -> float:
    # No formula: move every value by epsilon against the sign, and halve the interval in which y changes its sign.
    y = float(w @ x + b)
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        moved = [float(v) - middle * np.sign(y) * np.sign(float(u)) for u, v in zip(w, x, strict=True)]
        left = sum(float(u) * v for u, v in zip(w, moved, strict=True)) + b
        low, high = (middle, high) if np.sign(left) == np.sign(y) and left != 0 else (low, middle)
    return high


def _draw_linear(rng: np.random.Generator) -> list[tuple]:
    # The first can be done in the head: y = 0.4 and |w|_1 = 8. The second has a negative y, the third a negative x.
    by_hand = [
        ([2.0, -1.0, 3.0, -2.0], -0.5, [0.6, 0.4, 0.5, 0.7]),
        ([1.0, -2.0, 0.5], 0.0, [0.5, 0.5, 0.9]),
        ([2.0, 1.0], 1.0, [-1.0, 0.25]),
    ]
    drawn = [
        (tensor_of(rng.normal(size=d)), round(float(rng.normal()), 2), tensor_of(rng.random(d)))
        for d in (5, 40)
    ]
    return [(torch.tensor(w), b, torch.tensor(x)) for w, b, x in by_hand] + drawn


@exercise(
    "The smallest epsilon at which FGSM, without clipping, brings y = w x + b to zero.",
    inputs=_draw_linear,
    reference=_by_bisection,
    hints="""
        Equation (2) says by how much y changes. Set that equal to |y|.
        (w @ x + b) is y; w.abs().sum() is what one unit of epsilon takes off.
    """,
    mistakes="""
        float((w @ x + b).abs() / w.norm())
            You divided by the Euclidean length of w. That is the smallest change in the L2 norm; a step of the sign
            moves y by epsilon times the sum of |w|.
        float((w @ x + b).abs() / w.sum())
            You added the weights up with their signs, so that they cancel. FGSM moves each value to the side that
            helps: the sizes add up.
        float((w @ x + b) / w.abs().sum())
            Right where y is positive. Epsilon is a size, so that a negative y must not make it negative.
        float((w @ x).abs() / w.abs().sum())
            You left out b: it is y = w x + b that has to reach zero.
        float((w @ x + b).abs() / w.abs().mean())
            You took the mean of |w|. Every value moves, so their effects add up.
        float((w @ x + b).abs() / w.abs().max())
            You moved the one value with the largest weight. FGSM moves all of them, each by epsilon.
        float((w @ x + b).abs() * w.abs().sum())
            Turn it round: each unit of epsilon takes the sum of |w| off y, so divide by it.
        float(w.abs().sum() / (w @ x + b).abs())
            The fraction is upside down: divide |y| by what one unit of epsilon takes off.
        float((w @ x + b).abs())
            That is y, not epsilon: by how much does y fall for each unit of epsilon?
    """,
)
def smallest_epsilon(w, b, x):
    return float((w @ x + b).abs() / w.abs().sum())


# --- 2. the projection in L2


def _shortened_by_loop(delta: Tensor, epsilon: float) -> Tensor:
    result = delta.clone()
    for n in range(len(delta)):
        length = sum(float(value) ** 2 for value in delta[n].flatten()) ** 0.5
        if length > epsilon:
            result[n] = delta[n] * epsilon / length
    return result


def _draw_changes(rng: np.random.Generator) -> list[tuple]:
    # In each batch one change is inside the ball and one outside; in the last one is on the border, and one is none.
    batches = [(torch.tensor([[3.0, 4.0], [0.3, 0.4]]).view(2, 1, 2, 1), 1.0)]
    for n, shape in [(3, (3, 4, 4)), (5, (2, 3, 3))]:
        scale = torch.linspace(0.2, 9, n)[:, None, None, None]
        delta = tensor_of(rng.normal(size=(n, *shape)))
        delta = scale * delta / delta.flatten(1).norm(dim=1)[:, None, None, None]
        batches.append((delta, 1.0 if n == 3 else 0.7))
    none = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]).view(3, 1, 2, 1)
    return [*batches, (none, 5.0)]


@exercise(
    "Project a batch of changes (N, C, H, W) into the L2 ball of radius epsilon, each image by itself.",
    inputs=_draw_changes,
    reference=_shortened_by_loop,
    hints="""
        delta.flatten(1).norm(dim=1) has one length for each image; [:, None, None, None] makes it fit.
        The factor is epsilon / length where the change is too long, and 1 elsewhere: .clamp(max=1).
    """,
    mistakes="""
        delta * epsilon / delta.flatten(1).norm(dim=1)[:, None, None, None]
        delta * epsilon / delta.flatten(1).norm(dim=1)[:, None, None, None].clamp(min=1e-12)
            You gave every change the length epsilon, also those that were shorter. Inside the ball nothing changes.
        delta * min(1.0, epsilon / float(delta.norm()))
            You took one length for the whole batch: an image's change must not depend on the other images.
        delta.clamp(-epsilon, epsilon)
            That is the projection in the L-infinity norm, value by value. Shorten the change as a whole.
        delta * (epsilon / delta.flatten(1).square().sum(1)[:, None, None, None]).clamp(max=1)
            You forgot the root: the length is the root of the sum of squares.
        delta * (epsilon / delta.norm(dim=1, keepdim=True)).clamp(max=1)
            You took a length at each pixel, over the channels alone. Each image has one, over all of its values.
        delta * (epsilon / delta.flatten(1).abs().sum(1)[:, None, None, None]).clamp(max=1)
            You added up absolute values: that is the L1 norm.
        delta * (epsilon / delta.flatten(1).norm(dim=1)[:, None, None, None]).clamp(min=1)
            The condition is the wrong way round: long changes stay, and short ones are stretched.
    """,
)
def l2_projection(delta, epsilon):
    length = delta.flatten(1).norm(dim=1)[:, None, None, None]
    return delta * (epsilon / length).clamp(max=1)


# --- 3. right after every attack


def _small_network(rng: np.random.Generator, classes: int) -> nn.Sequential:
    """A network on pictures (N, 1, 4, 4), with weights as drawn."""
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, classes))
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(tensor_of(rng.normal(size=weights.shape)))
    return net.requires_grad_(False).eval()


def _right_in_all_by_loop(model: nn.Module, versions: Tensor, labels: Tensor) -> float:
    kept = 0
    for n, label in enumerate(labels.tolist()):
        kept += all(int(model(version[n : n + 1])[0].argmax()) == label for version in versions)
    return kept / len(labels)


def _draw_versions(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for attacks, n, classes in [(2, 8, 3), (3, 12, 4), (3, 20, 5)]:
        model = _small_network(rng, classes)
        images = tensor_of(rng.random((n, 1, 4, 4)))
        versions = torch.stack([(images + tensor_of(rng.normal(size=images.shape) * 0.3)).clamp(0, 1)
                                for _ in range(attacks)])  # fmt: skip
        labels = model(images).argmax(1)
        labels[0] = (labels[0] + 1) % classes  # one that is wrong before
        drawn.append((model, versions, labels))
    return drawn


def _right_each(model: nn.Module, versions: Tensor, labels: Tensor) -> Tensor:
    """Whether each version of each picture is named rightly, (A, N)."""
    return torch.stack([model(version).argmax(1) == labels for version in versions])


@exercise(
    "The share of pictures that a network names rightly after every one of several attacks.",
    inputs=_draw_versions,
    reference=_right_in_all_by_loop,
    hints="""
        model(version).argmax(1) == labels, for each version in versions: a table (A, N) of True and False.
        A picture counts if its whole column is True: .all(0).
    """,
    mistakes="""
        float(_right_each(model, versions, labels).float().mean())
            You averaged over the attacks. Whoever attacks takes the one that works: a picture counts if it is right
            after all of them.
        float(_right_each(model, versions, labels).float().mean(1).min())
            That is the accuracy under the attack that does most. Another attack may fool other pictures: ask for each
            picture whether it withstands all.
        float(_right_each(model, versions, labels).any(0).float().mean())
            You counted pictures that withstand at least one attack. They have to withstand all.
        float((~_right_each(model, versions, labels).all(0)).float().mean())
            That is the share that some attack fools. Return the share that withstands all.
        int(_right_each(model, versions, labels).all(0).sum())
            That is a number of pictures: divide by how many there are.
        float(_right_each(model, versions, labels)[0].float().mean())
            You looked at the first version alone.
        float((model(versions.mean(0)).argmax(1) == labels).float().mean())
            You averaged the pictures of all attacks into one. Show the network each of them.
    """,
)
def robust_accuracy(model, versions, labels):
    right = torch.stack([model(version).argmax(1) == labels for version in versions])
    return float(right.all(0).float().mean())


# --- 4. the gradient of a defense that draws at random


def _gradient_by_loop(model: nn.Module, images: Tensor, labels: Tensor, noises: Tensor) -> Tensor:
    result = torch.zeros(images.shape, dtype=torch.float64)
    for n, label in enumerate(labels.tolist()):
        for noise in noises:
            leaf = images[n : n + 1].clone().requires_grad_()
            with torch.enable_grad():
                logits = model(leaf + noise)[0]
                loss = logits.logsumexp(0) - logits[label]
            (gradient,) = torch.autograd.grad(loss, leaf)
            result[n] += gradient[0].double() / len(noises)
    return result.float()


def _draw_defended(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for n, draws, classes in [(1, 2, 3), (3, 4, 3), (4, 6, 5)]:
        images = tensor_of(rng.random((n, 1, 4, 4)))
        noises = tensor_of(rng.normal(size=(draws, 1, 4, 4)) * 0.7)
        labels = torch.tensor(rng.integers(classes, size=n))
        drawn.append((_small_network(rng, classes), images, labels, noises))
    return drawn


def _sum_of_losses(model: nn.Module, images: Tensor, labels: Tensor, noises: Tensor) -> Tensor:
    """J, summed over pictures and draws."""
    each = [F.cross_entropy(model(images + noise), labels, reduction="sum") for noise in noises]
    return torch.stack(each).sum()


def _slope(loss, images: Tensor, average: float = 1) -> Tensor:
    """Gradient of a function of the pictures, divided by a number."""
    leaf = images.clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(loss(leaf), leaf)[0] / average


def _each(model: nn.Module, images: Tensor, noises: Tensor) -> Tensor:
    """Logits (D, N, classes) for each draw."""
    return torch.stack([model(images + noise) for noise in noises])


def _mean_of_signs(model: nn.Module, images: Tensor, labels: Tensor, noises: Tensor) -> Tensor:
    return torch.stack(
        [_gradient_by_loop(model, images, labels, noise[None]).sign() for noise in noises]
    ).mean(0)


@exercise(
    "The gradient of the mean of J over the draws of a defense that adds noise, for each picture.",
    inputs=_draw_defended,
    reference=_gradient_by_loop,
    hints="""
        The attacker does not know which noise will be drawn: so climb on the mean of J over many draws.
        leaf = images.clone().requires_grad_(), then add up the losses of model(leaf + noise) for each noise.
        With reduction="sum" one picture's gradient does not depend on the others; divide by len(noises) at the end.
    """,
    mistakes="""
        _slope(lambda x: F.cross_entropy(model(x + noises.mean(0)), labels, reduction="sum"), images)
            You averaged the noise first, and so nearly took it away. Average the gradients (or the losses) of the
            draws.
        _slope(lambda x: F.cross_entropy(model(x + noises[0]), labels, reduction="sum"), images)
            You used one draw: the defense will take another. Average over all.
        _slope(lambda x: F.cross_entropy(model(x), labels, reduction="sum"), images)
            You left the defense out: the network sees images + noise.
        _slope(lambda x: _sum_of_losses(model, x, labels, noises), images)
            You added the draws up. Asked for is their mean: divide by how many there are.
        _slope(lambda x: _sum_of_losses(model, x, labels, noises), images, len(noises) * len(images))
            You divided by the number of pictures as well (the default of cross_entropy): each picture has a gradient of
            its own, whatever stands beside it. Use reduction="sum".
        _mean_of_signs(model, images, labels, noises)
            You averaged signs: then a draw with a tiny gradient counts as much as one with a large. Average the
            gradients; the sign comes afterward.
        -_slope(lambda x: _sum_of_losses(model, x, labels, noises), images, len(noises))
            The sign is wrong: asked for is the gradient of J itself.
        _slope(lambda x: F.nll_loss(_each(model, x, noises).softmax(2).mean(0).log(), labels, reduction="sum"), images)
            You took the logarithm of the mean probability. J is averaged here, that is, the logarithms are.
        _slope(lambda x: F.cross_entropy(_each(model, x, noises).mean(0), labels, reduction="sum"), images)
            You averaged the logits before taking J. Take J of each draw, then the mean.
    """,
)
def expected_gradient(model, images, labels, noises):
    leaf = images.clone().requires_grad_()
    loss = sum(F.cross_entropy(model(leaf + noise), labels, reduction="sum") for noise in noises)
    (gradient,) = torch.autograd.grad(loss / len(noises), leaf)
    return gradient
