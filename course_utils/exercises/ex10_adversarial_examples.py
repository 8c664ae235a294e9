"""Exercises of notebook 10: the smallest epsilon on a linear model, one step of PGD, a projection in L2, transfer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from course_utils.attacks import project  # noqa: F401 - mistakes use it, in their text

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["l2_projection", "pgd_step", "smallest_epsilon", "transfer_rate"]


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


# --- 2. one step of PGD


def _step_by_loop(x: Tensor, images: Tensor, gradient: Tensor, step_size: float, epsilon: float) -> Tensor:
    result = torch.empty_like(x)
    every = zip(x.flatten().tolist(), images.flatten().tolist(), gradient.flatten().tolist(), strict=True)
    for i, (value, start, slope) in enumerate(every):
        moved = value - step_size * ((slope > 0) - (slope < 0))
        lowest, highest = max(0.0, start - epsilon), min(1.0, start + epsilon)
        result.view(-1)[i] = min(max(moved, lowest), highest)
    return result


def _draw_steps(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for shape, epsilon, step_size in [
        ((1, 1, 2, 3), 0.1, 0.04),
        ((2, 3, 4, 4), 0.06, 0.1),
        ((1, 3, 6, 6), 0.3, 0.1),
    ]:
        # Some values at 0 and 1, so that a missing clip shows; x anywhere in the ball, its border included.
        images = tensor_of((rng.random(shape) * 1.4 - 0.2).clip(0, 1))
        delta = tensor_of(rng.uniform(-1.5, 1.5, shape).clip(-1, 1) * epsilon)
        gradient = tensor_of(rng.normal(size=shape))
        gradient[..., 0, 0] = 0  # as where a ReLU is closed: no step
        x = tensor_of((images + delta).clamp(0, 1).numpy())
        drawn.append((x, images, gradient, step_size, epsilon))
    return drawn


@exercise(
    "One step of targeted PGD in the L-infinity norm: step, project into the ball, clip to [0, 1].",
    inputs=_draw_steps,
    reference=_step_by_loop,
    hints="""
        Three lines: a step from x against the gradient's sign; the difference to images, clipped; a picture again.
        delta = (x_new - images).clamp(-epsilon, epsilon)
        At the end (images + delta).clamp(0, 1).
    """,
    mistakes="""
        images + (x - step_size * gradient.sign() - images).clamp(-epsilon, epsilon)
            The clip to [0, 1] is missing: some values are below black or above white, and such a picture cannot be
            stored.
        (x - step_size * gradient.sign()).clamp(0, 1)
            The clip to the ball is missing, or comes before the step: the change grows beyond epsilon. Step, then clip
            x - images.
        x - step_size * gradient.sign()
            You took the step and stopped: both clips are missing, to the ball around the images and to [0, 1].
        project(x + step_size * gradient.sign(), images, epsilon)
            The sign of the step is wrong: this raises the loss of the target, away from it. Go against the gradient.
        x + step_size * gradient.sign()
            The sign of the step is wrong, and both clips are missing: go against the gradient, then clip to the ball
            around the images and to [0, 1].
        images + (x + step_size * gradient.sign() - images).clamp(-epsilon, epsilon)
            The sign of the step is wrong, and the clip to [0, 1] is missing: go against the gradient, and clip the
            picture at the end.
        (images - step_size * gradient.sign()).clamp(0, 1)
            You stepped from the original images, so that no step adds to the last, and you left out the ball. Step from
            x, then clip x - images.
        (x + (x - step_size * gradient.sign() - images).clamp(-epsilon, epsilon)).clamp(0, 1)
            You added the projected change to x, the wrong tensor: x has its change already. Add it to the images.
        (images + (x - step_size * gradient.sign() - images).clamp(-step_size, step_size)).clamp(0, 1)
            Your ball has the radius step_size. All steps together may go as far as epsilon.
        project(images - step_size * gradient.sign(), images, epsilon)
            You stepped from the original images, so that every step starts anew and none adds up. Step from x.
        (x + (-step_size * gradient.sign()).clamp(-epsilon, epsilon)).clamp(0, 1)
            Your ball is around x, the wrong tensor: it moves along, and the change grows with every step. Project
            around the original images.
        project(x - step_size * gradient, images, epsilon)
            You stepped along the gradient itself. In L-infinity each value takes the full step: use its sign.
        project(x - epsilon * gradient.sign(), images, epsilon)
            Your step has the size epsilon, as FGSM's; PGD's steps have the size step_size.
        (x - step_size * gradient.sign() - images).clamp(-epsilon, epsilon)
            You returned the change, delta. Add it to the images, then clip to [0, 1].
        images + (x - step_size * gradient.sign() - images).clamp(-epsilon, epsilon).clamp(0, 1)
            You clipped the change to [0, 1], not the picture: all negative changes are lost. Add first, then clip.
        (images - (x - step_size * gradient.sign() - images).clamp(-epsilon, epsilon)).clamp(0, 1)
            The projected change was subtracted from the images: it is delta = x - images, so add it.
        project(x - step_size * gradient.sign(), images, epsilon, norm="l2")
            You shortened the change as a whole: that is the projection in the L2 norm. In L-infinity each value is
            clipped by itself.
    """,
)
def pgd_step(x, images, gradient, step_size, epsilon):
    x = x - step_size * gradient.sign()
    delta = (x - images).clamp(-epsilon, epsilon)
    return (images + delta).clamp(0, 1)


# --- 3. the projection in L2


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


# --- 4. what transfers


def _rate_by_loop(clean: Tensor, attacked: Tensor, labels: Tensor) -> float:
    counted = fooled = 0
    for before, after, label in zip(clean.tolist(), attacked.tolist(), labels.tolist(), strict=True):
        if before == label:
            counted += 1
            fooled += after != label
    return fooled / counted


def _draw_predictions(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for n, classes in [(12, 3), (40, 5), (101, 10)]:
        labels = rng.integers(classes, size=n)
        clean = np.where(rng.random(n) < 0.7, labels, rng.integers(classes, size=n))
        attacked = np.where(rng.random(n) < 0.5, clean, rng.integers(classes, size=n))
        # One that the network gets wrong before, and right after; one that is right before and wrong after.
        clean[0], attacked[0] = (labels[0] + 1) % classes, labels[0]
        clean[1], attacked[1] = labels[1], (labels[1] + 1) % classes
        drawn.append(tuple(torch.tensor(values) for values in (clean, attacked, labels)))
    return drawn


@exercise(
    "Of the pictures that a second network names rightly, the share that it gets wrong after the attack.",
    inputs=_draw_predictions,
    reference=_rate_by_loop,
    hints="""
        right = clean == labels picks the pictures that count.
        attacked[right] != labels[right] says which of these are fooled; .float().mean() is their share.
    """,
    mistakes="""
        float((attacked != labels).float().mean())
            You counted all pictures. Those that the network gets wrong anyway were not fooled by the attack: leave them
            out.
        float((attacked != clean).float().mean())
            You counted every changed answer, also of pictures that were wrong before. Count those that were right.
        float(((clean == labels) & (attacked != labels)).float().mean())
            The right pictures are counted, but divided by all of them. Divide by the number that were right before.
        float((attacked == labels)[clean == labels].float().mean())
            That is the share that survives; asked for is the share that is fooled.
        float((clean == labels).float().mean() - (attacked == labels).float().mean())
            That is the fall of the accuracy. A picture that was wrong before and is right after hides one that was
            fooled.
        float(((clean == labels) & (attacked != labels)).sum())
            That is a number of pictures. Divide it by the number that were right before.
        100 * float((attacked != labels)[clean == labels].float().mean())
            That is the share in percent. Return it as a number from 0 to 1.
    """,
)
def transfer_rate(clean, attacked, labels):
    right = clean == labels
    return float((attacked[right] != labels[right]).float().mean())
