"""The explorer of notebook 02: browse the channels of a network's layers, and their gradients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils.explain import LayerError, candidates, evaluation_mode, hooked
from course_utils.networks import Classifier
from course_utils.show import ACTIVATIONS, GRADIENTS, color_limit, draw_channel, draw_photo

from .explorer import Explorer, check_box, choice, slider

__all__ = ["Captured", "capture_stages", "channel_explorer"]


# Photograph, channel, its color bar, and the means of all channels: left, bottom, width, height.
_PLACES = (
    (0.01, 0.05, 0.3, 0.82),
    (0.325, 0.05, 0.3, 0.82),
    (0.635, 0.2, 0.012, 0.5),
    (0.785, 0.17, 0.205, 0.62),
)


@dataclass(frozen=True, eq=False)
class Captured:
    """What one pass left at a layer: A and dy/dA, both (C, h, w), copies outside the graph."""

    activations: Tensor
    gradients: Tensor


@dataclass(frozen=True, eq=False)
class Stages:
    """All captured layers by name, in the order of the forward pass, and the class that y is the logit of."""

    layers: dict[str, Captured]
    name: str
    probability: float


def channel_explorer(classifier: Classifier, image: Tensor) -> Explorer:
    """Return an explorer of every channel of about eight layers, for one image.

    The network runs once, forward and backward; afterwards each change only draws.

    Args:
        classifier: any :class:`~course_utils.networks.Classifier`.
        image: (1, 3, H, W) in [0, 1].
    """
    stages = capture_stages(classifier, image)
    names = list(stages.layers)

    def channels(layer: str) -> int:
        return len(stages.layers[layer].activations)

    def draw(layer: str, channel: int, gradient: bool) -> tuple[Figure, str]:
        captured = stages.layers[layer]
        if not 0 <= channel < channels(layer):
            raise ValueError(f"{layer} has {channels(layer)} channels, 0 to {channels(layer) - 1}.")
        values = captured.gradients if gradient else captured.activations
        what = f"∂y/∂A, channel {channel} of {layer}" if gradient else f"A, channel {channel} of {layer}"
        # Axes at fixed places: letting matplotlib arrange them would take longer than all the rest.
        figure = plt.figure(figsize=(10, 3.5))
        photo, picture, bar, means = (figure.add_axes(place) for place in _PLACES)
        draw_photo(photo, image, f"{stages.name} {stages.probability:.2f}")
        draw_channel(picture, values[channel], what, gradient=gradient)
        limit = color_limit(values[channel])
        figure.colorbar(picture.images[0], cax=bar, ticks=[-limit, 0, limit], format="%.2g", extend="both")
        _draw_means(means, values, channel, GRADIENTS if gradient else ACTIVATIONS)
        return figure, _words(stages, layer, channel, gradient)

    controls = {
        "layer": choice("layer", names, names[-1]),
        "channel": slider("channel", 0, channels(names[-1]) - 1, 0),
        "gradient": check_box("gradient of the predicted class instead of the activation"),
    }

    # Registered before the explorer's own observer, so that the slider fits the layer when it draws.
    def fit_slider(change: dict) -> None:
        controls["channel"].max = channels(change["new"]) - 1

    controls["layer"].observe(fit_slider, names="value")
    controls["gradient"].layout.width = "36em"
    return Explorer(draw, **controls)


def capture_stages(classifier: Classifier, image: Tensor) -> Stages:
    """Return activations and gradients of the predicted class's logit at the network's stages.

    A stage is a child of the network, or of a Sequential in it, that puts out a map; of neighbors with
    maps of the same shape (convolution, normalization, ReLU) the last one stands for all.

    Nothing is left changed: no hook, no ``.grad``, the same training mode, the caller's grad mode.

    Raises:
        ValueError: not exactly one image. LayerError: the network has no layer that puts out a map.
    """
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"the explorer shows one image, (1, 3, H, W); got shape {tuple(image.shape)}.")
    with evaluation_mode(classifier), torch.inference_mode(False):
        modules = _stages(classifier, image)
        names = {module: name for name, module in modules.items()}
        activations: dict[str, Tensor] = {}
        gradients: dict[str, Tensor] = {}

        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            name = names[module]
            activations[name] = output[0].detach().clone()

            def keep_gradient(gradient: Tensor) -> None:
                gradients[name] = gradient[0].detach().clone()

            # A hook on the tensor, not on the module: an in-place ReLU behind the layer may follow.
            output.register_hook(keep_gradient)

        with torch.enable_grad(), hooked(modules.values(), keep):
            leaf = image.detach().clone().requires_grad_()
            logits = classifier(leaf)[0]
            index = int(logits.argmax())
            # With respect to the image: so the gradient passes every stage, and no parameter keeps one.
            torch.autograd.grad(logits[index], leaf)
    layers = {name: Captured(activations[name], gradients[name]) for name in modules if name in gradients}
    probability = float(classifier.probabilities(logits.detach())[index])
    return Stages(layers, classifier.classes[index], probability)


def _stages(classifier: Classifier, image: Tensor) -> dict[str, nn.Module]:
    """The stages by their names in the network, in the order in which they run."""
    parts: dict[nn.Module, str] = {}
    for name, child in classifier.net.named_children():
        inner = child.named_children() if isinstance(child, nn.Sequential) else ()
        parts |= {part: f"{name}.{below}" for below, part in inner} or {child: name}
    runs: list[tuple[nn.Module, torch.Size]] = []

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            runs.append((module, output.shape))

    with torch.no_grad(), hooked(parts, note):
        classifier(image.clone())
    times = Counter(module for module, _ in runs)
    once = [(module, shape) for module, shape in runs if times[module] == 1]
    last = [i for i, (_, shape) in enumerate(once) if i + 1 == len(once) or once[i + 1][1] != shape]
    if not last:
        raise LayerError(f"this network has no layer that puts out a map. {candidates(classifier)}")
    return {parts[once[i][0]]: once[i][0] for i in last}


def _draw_means(ax: Axes, values: Tensor, channel: int, color: str) -> None:
    """All channels' means, the largest first, with the present one marked."""
    means = values.mean((1, 2))
    ax.plot(means.sort(descending=True).values.numpy(), color=color)
    ax.plot(_rank(means, channel), float(means[channel]), "o", color="black", markersize=8)
    ax.axhline(0, color="0.7", linewidth=1)
    ax.set_title("means of the channels,\nsorted; dot: this one")
    ax.set_xlabel("rank")
    ax.locator_params(nbins=4)
    ax.ticklabel_format(axis="y", scilimits=(-2, 3))


def _rank(means: Tensor, channel: int) -> int:
    """How many channels have a larger mean; equal means count in the order of the channels."""
    larger = int((means > means[channel]).sum())
    return larger + int((means[:channel] == means[channel]).sum())


def _words(stages: Stages, layer: str, channel: int, gradient: bool) -> str:
    captured = stages.layers[layer]
    values = captured.gradients if gradient else captured.activations
    count, h, w = values.shape
    cells = values[channel]
    row, column = divmod(int(cells.argmax()), w)
    place = f"maximum {float(cells.max()):.3g} in row {row + 1}, column {column + 1}"
    # A pooled head sends the same gradient to every cell, up to rounding.
    if float(cells.max() - cells.min()) <= 1e-5 * float(cells.abs().max()):
        place = "the same in every cell"
    rank = _rank(values.mean((1, 2)), channel) + 1
    facts = (
        f"{layer} has {count} channels of {h} x {w} cells. Channel {channel}: "
        f"mean {float(cells.mean()):.3g}, {place}; number {rank} of {count} by its mean; "
    )
    if gradient:
        return (
            f"Gradient of the logit of {stages.name}. {facts}"
            f"{_percent(cells > 0)} of the cells push the logit up. The mean is the channel's Grad-CAM weight."
        )
    return (
        f"Activations. {facts}{_percent(cells == 0)} of the cells are zero, {_percent(cells < 0)} negative."
    )


def _percent(cells: Tensor) -> str:
    return f"{float(cells.float().mean()):.0%}"
