"""Which layer to explain with: by name, by module, or the last convolutional map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .hooks import LayerError
from .inputs import unwrap

__all__ = ["LayerError", "candidates", "default_layer", "find_layer", "hooked"]


def find_layer(model: nn.Module, images: Tensor, layer: nn.Module | str | None = None) -> nn.Module:
    """Return the module to explain with.

    Args:
        model: the network, without wrappers.
        images: used only to find the default layer of a bare network.
        layer: a module of the model, its dotted name, or None for the last convolutional map
            (``model.target_layer`` where there is one).

    Raises:
        LayerError: no such layer; the message lists candidates.
    """
    if layer is None:
        own = getattr(model, "target_layer", None)
        return own if isinstance(own, nn.Module) else default_layer(model, images)
    if isinstance(layer, str):
        modules = dict(model.named_modules())
        for name in (layer, layer.removeprefix("module."), f"module.{layer}", f"net.{layer}"):
            if name and name in modules:
                return modules[name]
        raise LayerError(f"the model has no layer named {layer!r}. {candidates(model)}")
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer must be a module or its dotted name, got {type(layer).__name__}.")
    layer = unwrap(layer)
    if not any(part is layer for part in model.modules()):
        raise LayerError(f"this {type(layer).__name__} is not a layer of the model. {candidates(model)}")
    return layer


def default_layer(model: nn.Module, images: Tensor) -> nn.Module:
    """Return the module that finishes the last convolutional map, found by running the first image.

    It is the last module whose output has the height and width of the last convolution's, so that the
    normalization, ReLU and residual sum that follow the convolution belong to the map, and the
    pooling behind it does not. A module that runs several times (one ReLU for all layers) is passed over.

    Raises:
        LayerError: no convolution with a map of more than one pixel is reached.
    """
    last, size = None, None
    runs = _runs(model, images[:1])
    times = Counter(module for module, _ in runs)
    for module, shape in runs:
        if len(shape) != 4:
            continue
        if isinstance(module, nn.Conv2d) and shape[2] * shape[3] > 1:
            size = shape[2:]
        if size is not None and shape[2:] == size and module is not model and times[module] == 1:
            last = module
    if last is None:
        raise LayerError(
            f"this {type(model).__name__} has no convolution that puts out a map (N, C, h, w) of more than one pixel: "
            "there is nothing to explain with. These methods need a convolutional network."
        )
    return last


def _runs(model: nn.Module, images: Tensor) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Run the model; return (module, output shape) in the order in which the modules finish."""
    found: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        found.append((module, tuple(output.shape) if isinstance(output, Tensor) else ()))

    with torch.no_grad(), hooked(model.modules(), note):
        model(images.clone())
    return found


@contextmanager
def hooked(modules: Iterable[nn.Module], function: Callable) -> Iterator[None]:
    """Call one forward-hook function for several modules while the block runs."""
    handles = [module.register_forward_hook(function) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def candidates(model: nn.Module, most: int = 6) -> str:
    """Return a sentence that names layers of the model that can be explained with."""
    names = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)]
    own = getattr(model, "target_layer", None)
    named = [name for name, part in model.named_modules() if part is own and own is not None]
    listed = named + [name for name in reversed(names) if name not in named][: most - len(named)]
    if not listed:
        return "It has no convolution, so no layer can serve."
    return f"Layers that can serve (the last maps first): {', '.join(map(repr, listed))}."
