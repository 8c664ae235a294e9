"""One short training loop, its test, and networks that are stored, and loaded where they have been trained before."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.arguments import whole_number
from course_utils.explain import check_images, evaluation_mode, hooked

from .weights import load_into, save_weights

__all__ = [
    "Evaluation",
    "descend",
    "evaluate",
    "fit",
    "load_or_train",
    "one_cycle",
    "standardize",
    "train_and_store",
]

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network did on labeled images."""

    accuracy: float
    """Share of the images whose label got the largest logit."""
    loss: float
    """Mean cross-entropy."""
    predicted: Tensor
    """(n,) int64, the class with the largest logit."""
    logits: Tensor
    """(n, classes)."""


def fit(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    epochs: int,
    batch: int = 32,
    lr: float = 2e-3,
    optimizer: str = "adamw",
    weight_decay: float = 1e-2,
    flip: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> list[float]:
    """Train ``net`` in place to predict ``labels``, by cross-entropy.

    The learning rate rises to ``lr`` and falls again (:func:`one_cycle`). Order, mirroring and dropout are drawn
    from ``seed``: with the same versions, machine and ``torch.get_num_threads()``, a second run gives the same
    weights. Other numbers of threads add the same products in another order, and training enlarges the rounding
    differences.

    Args:
        net: maps images to logits (N, classes). Its training mode is afterwards as it was before.
        images: (n, C, H, W), floating point.
        labels: (n,) class numbers, integer.
        epochs: how often each image is shown.
        batch: images a step.
        lr: largest learning rate.
        optimizer: "adamw", or "sgd" with Nesterov momentum of 0.9.
        weight_decay: the optimizer's.
        flip: show half of the images mirrored left to right, drawn anew in each epoch.
        seed: whole number.
        progress: show a progress bar with the loss.

    Returns:
        The mean loss of each epoch.

    Raises:
        TypeError, ValueError: bad images or labels, or a setting out of its range.
        FloatingPointError: the loss is not finite any more; the message names the epoch.
    """
    images, labels = _checked(images, labels)
    epochs, batch = whole_number(epochs, "epochs", 1), whole_number(batch, "batch", 1)
    if not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"lr must be positive, got {lr}.")
    parameters = [p for p in net.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            f"this {type(net).__name__} has no parameters that require gradients: nothing to train."
        )
    device, steps = parameters[0].device, -(-len(images) // batch)
    if optimizer == "adamw":
        descent = torch.optim.AdamW(parameters, lr, weight_decay=weight_decay)
    elif optimizer == "sgd":
        descent = torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    else:
        raise ValueError(f'optimizer must be "adamw" or "sgd", got {optimizer!r}.')
    total = epochs * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: one_cycle(step, total))
    modes = [(part, part.training) for part in net.modules()]
    devices = [device] if device.type == "cuda" else []

    def losses() -> Iterator[tuple[Tensor, int]]:
        for chosen in torch.randperm(len(images)).split(batch):
            shown = images[chosen]
            if flip:
                mirrored = torch.rand(len(chosen)) < 0.5
                shown = torch.where(mirrored[:, None, None, None], shown.flip(3), shown)
            # Channels last: on a CPU, convolutions take two thirds of the time.
            shown = shown.to(device, memory_format=torch.channels_last)
            yield F.cross_entropy(net(shown), labels[chosen].to(device)), len(chosen)

    with torch.random.fork_rng(devices):
        torch.manual_seed(whole_number(seed, "seed", 0))
        net.train()
        try:
            return descend(descent, schedule, losses, epochs, total, progress)
        finally:
            for part, training in modes:
                part.training = training


def descend(
    descent: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    losses: Callable[[], Iterator[tuple[Tensor, int]]],
    epochs: int,
    steps: int,
    progress: bool = True,
) -> list[float]:
    """Take a step down the gradient of each loss; return the mean loss of each epoch.

    Args:
        descent: the optimizer; its gradients are cleared in the end.
        schedule: of its learning rate, moved on after each step.
        losses: called once an epoch; yields the mean loss of a batch, with its graph, and the number of samples in
            it, each made after the step before.
        epochs: how often to call it.
        steps: in all epochs, for the progress bar.
        progress: show one, with the loss.

    Raises:
        FloatingPointError: the loss is not finite any more; the message names the epoch.
    """
    means = []
    try:
        with torch.enable_grad(), tqdm(total=steps, disable=not progress) as bar:
            for epoch in range(epochs):
                total, samples = 0.0, 0
                for loss, count in losses():
                    descent.zero_grad()
                    loss.backward()
                    descent.step()
                    schedule.step()
                    total, samples = total + loss.item() * count, samples + count
                    bar.update()
                means.append(total / samples)
                bar.set_description(f"epoch {epoch + 1}, loss {means[-1]:.3f}")
                if not math.isfinite(means[-1]):
                    raise FloatingPointError(
                        f"the loss was not finite in epoch {epoch + 1}: the network cannot be used any more. Make it "
                        f"anew and train with a learning rate below {descent.defaults['lr']}."
                    )
    finally:
        descent.zero_grad()
    return means


def standardize(net: nn.Module, images: Tensor) -> None:
    """Scale and shift the first weights so that every layer's outputs have mean 0 and deviation 1 on ``images``.

    A data-dependent start (arXiv 1511.06856): it gives a network without batch normalization what that would give it
    in the first step, and leaves plain weights and biases behind. For each channel k of each convolution and
    linear layer, in the order in which they run: w_k <- w_k / s_k, b_k <- (b_k - m_k) / s_k.

    Args:
        net: changed in place.
        images: (n, C, H, W); a few hundred suffice.

    Raises:
        TypeError, ValueError: bad images.
    """
    check_images(images)

    def scale(layer: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        over = [axis for axis in range(output.ndim) if axis != 1]
        mean, deviation = output.mean(over), output.std(over).clamp(min=1e-4)
        layer.weight /= deviation.view(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.sub_(mean).div_(deviation)
        shape = [1, -1, *[1] * (output.ndim - 2)]
        return (output - mean.view(shape)) / deviation.view(shape)

    layers = [part for part in net.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    with torch.no_grad(), evaluation_mode(net), hooked(layers, scale):
        net(images)


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the largest learning rate in a step, 0 to ``steps`` - 1 (one cycle, arXiv 1708.07120).

    It rises along a straight line over the first quarter of the steps, then falls along half a cosine.
    """
    rising = max(1, steps // 4)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising + 1) / (steps - rising + 1)))


def evaluate(net: nn.Module, images: Tensor, labels: Tensor, batch: int = 256) -> Evaluation:
    """Return how well ``net`` predicts ``labels``; it runs in evaluation mode and without gradients.

    Raises:
        TypeError, ValueError: bad images or labels.
    """
    images, labels = _checked(images, labels)
    device = next((p.device for p in net.parameters()), images.device)
    with torch.no_grad(), evaluation_mode(net):
        parts = images.split(whole_number(batch, "batch", 1))
        logits = torch.cat(
            [net(part.to(device, memory_format=torch.channels_last)).float().cpu() for part in parts]
        )
    predicted = logits.argmax(dim=1)
    accuracy = (predicted == labels).float().mean().item()
    return Evaluation(accuracy, F.cross_entropy(logits, labels).item(), predicted, logits)


def load_or_train(
    path: Path, make: Callable[[], Net], train: Callable[[Net], object], retrain: bool = False
) -> Net:
    """Return a trained network: its stored weights, or those of a training here and now.

    A training here does not touch the stored file (:func:`course_utils.networks.save_weights` writes one), so that
    setting ``retrain`` back brings back what was stored.

    Args:
        path: file of weights, whose SHA-256 is noted in ``SHA256SUMS`` beside it.
        make: returns the network, untrained.
        train: trains it in place, say by :func:`fit`; what it returns is dropped.
        retrain: train instead of loading.

    Raises:
        AssetError: not retraining, and the file is missing, damaged or of another network.
    """
    net = make()
    if retrain:
        train(net)
    else:
        load_into(net, Path(path))
    return net


def train_and_store(
    folder: Path, trainings: Iterable[tuple[str, Callable[[], nn.Module], Callable[[nn.Module, float], str]]]
) -> Iterator[str]:
    """Train networks one after the other, each on one thread, write them into ``folder``, yield a line about each.

    What is described is the network as everyone else gets it: rounded to float16 and loaded again.

    Args:
        folder: where the files and their ``SHA256SUMS`` go.
        trainings: for each network the name of its file, a function that returns it trained, and one that takes it
            and the seconds that its training took, and returns what is said about it.

    Raises:
        ValueError: a network has diverged, see :func:`course_utils.networks.save_weights`.
    """
    for file, train, describe in trainings:
        start = time.perf_counter()
        with one_thread():
            net = train()
        seconds = time.perf_counter() - start
        save_weights(net, folder / file)
        load_into(net, folder / file)
        yield f"{file}: {describe(net, seconds)}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Run what is inside with one thread of PyTorch's: how many there are decides about the last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _checked(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    check_images(images)
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        found = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor of class numbers (integers), got {found}.")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels must have shape ({len(images)},), one for each image, got {tuple(labels.shape)}."
        )
    if labels.min() < 0:
        raise ValueError(f"labels are class numbers from 0 on, got {labels.min().item()}.")
    return images.cpu(), labels.cpu().long()
