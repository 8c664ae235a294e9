"""Adversarial examples: FGSM and PGD, and random noise of the same size to compare them with.

An attack looks for a perturbation delta with |delta| <= epsilon, such that images + delta stay in [0, 1] and the
network says something else. J = -log p is the cross-entropy, p the softmax probability of a class; where classes do not
exclude each other, p = sigmoid(y) of the class's own logit y, and 1 - p is that of the answer no. Untargeted, J of the
labels is raised; targeted, J of the target is lowered.

Goodfellow et al. 2014 (FGSM, arXiv 1412.6572), Madry et al. 2017 (PGD, arXiv 1706.06083), Dong et al. 2017 (momentum,
arXiv 1710.06081).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.arguments import as_whole
from course_utils.explain import (
    Classes,
    Output,
    check_images,
    class_matrix,
    evaluation_mode,
    image_gradient,
    logits_of,
    prepare,
    score_kind,
)

__all__ = ["fgsm", "pgd", "pgd_path", "project", "random_noise"]

NORMS = ("linf", "l2")
LONG_RUN = 200  # forward and backward passes of single images, about ten seconds: from here on a bar is shown


def fgsm(
    model: nn.Module,
    images: Tensor,
    target: Classes = None,
    epsilon: float = 8 / 255,
    labels: Classes = None,
    norm: str = "linf",
    output: Output = None,
) -> Tensor:
    """Fast gradient sign method: one step of the full size along the sign of the gradient.

        images + epsilon sign(dJ(labels)/dx), or images - epsilon sign(dJ(target)/dx); clipped to [0, 1]

    For ``norm="l2"`` the gradient itself takes the place of its sign, scaled to length epsilon.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits (N, classes).
        images: (N, C, H, W) in [0, 1].
        target: the class to reach: a number or name, one for each image in a list or a tensor (N,). None: get
            away from ``labels``.
        epsilon: largest change of a value, in units of [0, 1] ("linf"); largest Euclidean length of the change of
            an image ("l2").
        labels: instead of a target, the classes to get away from; by default those predicted. Where classes do not
            exclude each other, the answer is turned over that the network gives, yes or no, about its highest class.
        norm: "linf" or "l2".
        output: for a model that returns something else, a function from that to logits, such as
            ``lambda out: out["logits"]``.

    Returns:
        (N, C, H, W) in [0, 1], within epsilon of the images. Images and model are left as they were.

    Raises:
        ValueError, TypeError: bad images, classes, epsilon or norm, or a gradient that is zero everywhere, so that
            there is no direction to go.
    """
    return pgd(
        model, images, target, epsilon, labels=labels, norm=norm, steps=1, step_size=epsilon, output=output
    )


def pgd(
    model: nn.Module,
    images: Tensor,
    target: Classes = None,
    epsilon: float = 8 / 255,
    steps: int = 10,
    step_size: float | None = None,
    labels: Classes = None,
    norm: str = "linf",
    momentum: float = 0.0,
    random_start: bool = False,
    seed: int = 0,
    stop_at: float | None = None,
    progress: bool | None = None,
    output: Output = None,
) -> Tensor:
    """Projected gradient descent: small steps of FGSM's kind, each followed by the projection into the epsilon-ball.

        x_(t+1) = clip_[0, 1](images + project_epsilon(x_t + step_size sign(dJ/dx) - images))

    Args:
        model, images, target, epsilon, labels, norm, output: as for :func:`fgsm`.
        steps: how many.
        step_size: size of one; by default 2.5 epsilon / steps, so that the ball's border can be reached.
        momentum: share mu of the last direction that is kept: g_(t+1) = mu g_t + grad / |grad|_1.
        random_start: begin at a point drawn uniformly from the ball instead of at the images.
        seed: of this draw.
        stop_at: stop as soon as every image has reached its target with this probability (untargeted: as
            soon as its label has at most 1 - stop_at). None: take all steps.
        progress: show a progress bar; by default on long runs.

    Returns:
        (N, C, H, W) in [0, 1], within epsilon of the images. The same call gives the same result.

    Raises:
        ValueError, TypeError: bad images, classes or settings, or a gradient of zero at the start.
    """
    path = pgd_path(
        model,
        images,
        target,
        epsilon,
        steps,
        step_size,
        labels,
        norm,
        momentum,
        random_start,
        seed,
        stop_at,
        output,
    )
    show = progress if progress is not None else steps * len(images) >= LONG_RUN
    x = next(path)  # the start
    for x in tqdm(path, desc="PGD", total=steps, disable=not show, leave=False):  # noqa: B007
        pass
    return x


def pgd_path(
    model: nn.Module,
    images: Tensor,
    target: Classes = None,
    epsilon: float = 8 / 255,
    steps: int = 10,
    step_size: float | None = None,
    labels: Classes = None,
    norm: str = "linf",
    momentum: float = 0.0,
    random_start: bool = False,
    seed: int = 0,
    stop_at: float | None = None,
    output: Output = None,
) -> Iterator[Tensor]:
    """Yield what :func:`pgd` passes through: x_0, where it begins, and x_t after each step, the last its result.

    While it waits for the next to be asked for, the model is as it was. Arguments and errors are those of :func:`pgd`.
    """
    check_images(images, unit_range=True)
    check_settings(epsilon, norm, steps, step_size, momentum, stop_at)
    if target is not None and labels is not None:
        raise ValueError(
            f"give a target to reach, or labels to get away from, not both; got {target!r} and {labels!r}."
        )
    model, images = prepare(model, images)
    images = images.clamp(0, 1)  # check_images forgives rounding of 1e-6; epsilon counts from here
    step_size = 2.5 * epsilon / steps if step_size is None else step_size
    # Toward the target the loss must fall, away from the labels it must rise.
    direction, wanted = (1, labels) if target is None else (-1, target)
    with evaluation_mode(model), torch.inference_mode(False):
        with torch.no_grad():
            logits = logits_of(model, images.clone(), output)
        classes, signs = _one_each(model, logits, wanted), torch.ones(len(images), device=logits.device)
        if wanted is None and score_kind(model, logits) != "exclusive":
            signs = answers(logits, classes)
        x = (random_noise(images, epsilon, norm, seed) if random_start else images).clone()
        velocity = torch.zeros_like(images)
    yield x.detach()
    for step in range(steps):
        with evaluation_mode(model), torch.inference_mode(False):
            gradient, chances = _gradient(model, x, classes, signs, output)
            if step == 0:
                _check_direction(gradient)
            if stop_at is not None and _reached(chances, target is not None, stop_at):
                break
            if momentum:
                velocity = momentum * velocity + gradient / _lengths(gradient, 1).clamp_min(1e-30)
                gradient = velocity
            x = project(x + direction * step_size * _unit(gradient, norm), images, epsilon, norm)
        yield x.detach()


def random_noise(
    images: Tensor,
    epsilon: float = 8 / 255,
    norm: str = "linf",
    seed: int = 0,
    full_size: bool = False,
) -> Tensor:
    """Add noise drawn uniformly from the epsilon-ball, clipped to [0, 1]: what a change of this size does by chance.

    For "linf" each value moves by a number drawn from [-epsilon, epsilon]: half as much, on average, as FGSM moves
    it. With ``full_size`` each value moves by epsilon, up or down by the toss of a coin, exactly as much as FGSM's:
    the baseline for an attack. For "l2" the direction is drawn evenly, and the length so that the points fill
    the ball evenly; with ``full_size`` the length is epsilon.

    Args:
        images: (N, C, H, W) in [0, 1].
        epsilon, norm: as for :func:`fgsm`.
        seed: of the draw.
        full_size: draw from the ball's corners ("linf") or its border ("l2"), not from all of it.
    """
    check_images(images, unit_range=True)
    check_settings(epsilon, norm)
    images = images.detach()
    generator = torch.Generator().manual_seed(seed)
    if norm == "linf":
        noise = 2 * torch.rand(images.shape, generator=generator) - 1
        noise = torch.where(noise < 0, -1.0, 1.0) if full_size else noise
    else:
        noise = torch.randn(images.shape, generator=generator)
        radius = torch.rand(len(images), 1, 1, 1, generator=generator) ** (1 / images[0].numel())
        noise = (1 if full_size else radius) * noise / _lengths(noise, 2)
    noise = noise.to(images)
    return project(images + epsilon * noise, images, epsilon, norm)


def project(x: Tensor, images: Tensor, epsilon: float, norm: str = "linf") -> Tensor:
    """Return the point of the epsilon-ball around the images that is nearest to x, clipped to [0, 1].

    With delta = x - images: "linf" clips each value of delta to [-epsilon, epsilon]; "l2" shortens each image's delta
    to length epsilon where it is longer. The images lie in [0, 1], so that the clipping never leads out of the ball.

    Args:
        x: (N, C, H, W), any values.
        images: (N, C, H, W) in [0, 1], the centers.
        epsilon, norm: as for :func:`fgsm`.
    """
    change = x - images
    if norm == "linf":
        change = change.clamp(-epsilon, epsilon)
    else:
        change = change * (epsilon / _lengths(change, 2).clamp_min(1e-30)).clamp_max(1)
    return (images + change).clamp(0, 1)


def surprise(model: nn.Module, logits: Tensor, classes: Tensor, signs: Tensor) -> Tensor:
    """Return J = -log p of each image's class (N,); for classes that do not exclude each other, of the answer about it.

    Args:
        model: whose ``scores`` say what its logits are.
        logits: (N, K).
        classes: (N,) numbers.
        signs: (N,) 1 for the answer yes, -1 for no; exclusive classes need none.
    """
    if score_kind(model, logits) == "exclusive":
        return F.cross_entropy(logits, classes, reduction="none")
    return F.softplus(-signs * logits.gather(1, classes[:, None])[:, 0])


def answers(logits: Tensor, classes: Tensor) -> Tensor:
    """Return what a network says of each image's class (N,), where classes do not exclude each other: 1 or -1."""
    return torch.where(logits.gather(1, classes[:, None])[:, 0] > 0, 1.0, -1.0)


def _gradient(
    model: nn.Module, x: Tensor, classes: Tensor, signs: Tensor, output: Output
) -> tuple[Tensor, Tensor]:
    """Return dJ/dx and the probabilities of the classes, or of the answers about them, (N,)."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        logits = logits_of(model, leaf.clone(), output)
        # The sum over images, not their mean: no image's gradient depends on how many there are.
        loss = surprise(model, logits, classes, signs)
        gradient = image_gradient(loss.sum(), leaf)
    if not (gradient.isfinite().all() and loss.isfinite().all()):
        raise ValueError(
            "loss or gradients are not finite here. Check the model's weights, and whether a last "
            "softmax or sigmoid rounds to 0 or 1."
        )
    return gradient, (-loss.detach()).exp()


def _check_direction(gradient: Tensor) -> None:
    """Refuse to begin where no direction changes the loss: the result would be the images, as if they withstood."""
    still = (~gradient.flatten(1).any(1)).nonzero().flatten().tolist()
    if still:
        raise ValueError(
            f"the gradient of the loss is zero everywhere for image(s) {', '.join(map(str, still))}, so that an attack "
            "has no direction to go. Either the network is so sure that rounding leaves nothing of the loss, or its "
            "logits do not change with the image; a target class or a random start may have a gradient."
        )


def _reached(chances: Tensor, targeted: bool, stop_at: float) -> bool:
    return bool((chances >= stop_at).all() if targeted else (chances <= 1 - stop_at).all())


def _unit(gradient: Tensor, norm: str) -> Tensor:
    """The direction of steepest ascent among changes of size one."""
    return gradient.sign() if norm == "linf" else gradient / _lengths(gradient, 2).clamp_min(1e-30)


def _lengths(x: Tensor, order: int) -> Tensor:
    """Each image's 1-norm or 2-norm, (N, 1, 1, 1)."""
    return torch.linalg.vector_norm(x, order, dim=(1, 2, 3), keepdim=True)


def _one_each(model: nn.Module, logits: Tensor, wanted: Classes) -> Tensor:
    """Return one class number for each image, (N,); None: the predicted ones."""
    n = len(logits)
    wanted = int(wanted) if isinstance(wanted, Tensor) and wanted.ndim == 0 else wanted
    several = not isinstance(wanted, str) and (isinstance(wanted, Sequence) or hasattr(wanted, "__iter__"))
    names = wanted is None or all(isinstance(name, str) for name in (wanted if several else [wanted]))
    if not names and score_kind(model, logits) == "one logit":
        raise ValueError(
            "the network has one logit, and a number could mean its only class or the answer (0 for no): leave target "
            "and labels out to turn its answers over, or put it into a `Classifier` with two names, no and yes, whose "
            "numbers are 0 and 1."
        )
    if not several:
        return class_matrix(model, wanted, logits)[:, 0]
    if not isinstance(wanted, Tensor):
        wanted = class_matrix(model, list(wanted), logits)[0]  # names become numbers
    if wanted.ndim != 1 or len(wanted) != n:
        raise ValueError(
            f"give one class for all images, or a list or tensor ({n},) with one for each; got shape "
            f"{tuple(wanted.shape)}."
        )
    return class_matrix(model, wanted[:, None], logits)[:, 0]


def check_settings(
    epsilon: float,
    norm: str,
    steps: int = 1,
    step_size: float | None = None,
    momentum: float = 0,
    stop_at: float | None = None,
) -> None:
    """Refuse settings that no attack can have, with a sentence that names the value.

    Raises:
        TypeError, ValueError: a setting out of its range; what is meant stands at :func:`pgd`.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}.")
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon must be 0 or more, got {epsilon}.")
    if norm == "linf" and epsilon > 1:
        raise ValueError(
            f"epsilon is {epsilon}, but the images' values lie in [0, 1]. Did you mean {epsilon} / 255?"
        )
    if as_whole(steps, f"steps is a whole number, got {steps!r}.") < 1:
        raise ValueError(f"an attack takes at least one step, got {steps}.")
    if step_size is not None and not 0 < step_size < math.inf and epsilon > 0:
        raise ValueError(f"step_size must be above 0, got {step_size}.")
    if not 0 <= momentum < math.inf:
        raise ValueError(f"momentum must be 0 or more, got {momentum}.")
    if stop_at is not None and not 0 < stop_at < 1:
        raise ValueError(f"stop_at is a probability between 0 and 1, got {stop_at}.")
