"""What every method checks first: the images, the layer to explain with, the logits, the classes asked for.

Bad input must never give a plausible picture, so each check ends in a sentence that names the value and the remedy.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.arguments import as_whole

from .hooks import LayerError, hooked, spared_graph

__all__ = [
    "Classes", "Layer", "candidates", "check_images", "check_logits", "class_matrix", "find_layer", "prepare", "run",
]  # fmt: skip

Classes = int | str | Sequence[int | str] | Tensor | np.ndarray | None
Layer = nn.Module | str | None

# Copies stand in for a model's parameters for one thread at a time: else one would put the other's copies back.
_STANDING_IN = threading.RLock()


def check_images(images: Tensor, unit_range: bool = False, channels: int | None = None) -> None:
    """Refuse what is not a batch of images, with a sentence that says what to do.

    Args:
        images: should be a floating-point tensor (N, C, H, W) without NaN or infinity.
        unit_range: every value must lie in [0, 1].
        channels: the number C must have.

    Raises:
        TypeError: not a tensor, or not of floating-point numbers.
        ValueError: wrong shape, NaN or infinite values, values outside the range.
    """
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images must be a tensor (N, C, H, W), got {type(images).__name__}. "
            "For a PIL image, use `classifier.preprocess(image)`; for an array, `torch.from_numpy(array)`."
        )
    shape = tuple(images.shape)
    if images.ndim == 3:
        raise ValueError(
            f"images has shape {shape}: the batch dimension is missing. Pass `images[None]`, a batch of one image."
        )
    if images.ndim != 4 or 0 in shape:
        raise ValueError(f"images must have shape (N, C, H, W) with at least one image, got {shape}.")
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating-point, got {images.dtype}. For bytes, use `images.float() / 255`."
        )
    if channels is not None and shape[1] != channels:
        remedy = " For gray images, use `images.expand(-1, 3, -1, -1)`." if shape[1] == 1 else ""
        raise ValueError(
            f"images must have {channels} channels (RGB), got {shape[1]} in shape {shape}.{remedy}"
        )
    low, high = (bound.item() for bound in torch.aminmax(images.detach()))
    if not (low > -torch.inf and high < torch.inf):  # also false for NaN, which aminmax hands on
        raise ValueError("images contains NaN or infinite values. Check how the images were computed.")
    if unit_range and (low < -1e-6 or high > 1 + 1e-6):
        raise ValueError(
            f"images must lie in [0, 1], got values from {low:.4g} to {high:.4g}. Divide bytes by 255, and leave the "
            "normalization by mean and standard deviation to the classifier: it is its first step."
        )


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside DataParallel, DistributedDataParallel or torch.compile's wrapper.

    These run copies or compiled code, which hooks on the network itself would not see. Any other
    wrapper may do something of its own (normalize, say) and is left in place.
    """
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrap(model.module)
    compiled = getattr(model, "_orig_mod", None)
    return unwrap(compiled) if isinstance(compiled, nn.Module) else model


def prepare(model: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor]:
    """Check model and images; return the network inside its wrappers, and a copy of the images on its device.

    The copy keeps a network whose first step works in place from changing the caller's images.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    check_images(images)
    model = unwrap(model)
    parameter = next(model.parameters(), None)
    with torch.inference_mode(False):  # a copy made here can take part in a graph
        copy = images.detach().clone()
        return model, copy if parameter is None else copy.to(parameter.device)


def run(model: nn.Module, images: Tensor) -> Tensor:
    """Call the model once, with parameters that autograd accepts.

    A model made inside ``torch.inference_mode()`` consists of inference tensors, which autograd refuses
    forever after; for this call, copies stand in for them.
    """
    if not _holds_inference_tensors(model):
        return spared_graph(model, images)
    own = [*model.named_parameters(), *model.named_buffers()]
    copies = {name: tensor.clone() for name, tensor in own if tensor.is_inference()}
    with _STANDING_IN:
        return spared_graph(lambda images: torch.func.functional_call(model, copies, (images,)), images)


def _holds_inference_tensors(model: nn.Module) -> bool:
    # The modules' own tables: model.parameters() and model.buffers() take twice the time, which is several per
    # cent of a small network's forward pass.
    tables = (table for part in model.modules() for table in (part._parameters, part._buffers))
    return any(tensor is not None and tensor.is_inference() for table in tables for tensor in table.values())


def find_layer(model: nn.Module, images: Tensor, layer: Layer = None) -> nn.Module:
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
        # A name may come from a wrapper around the model (module.), or from the network inside it (module., net.).
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

    def start(module: nn.Module, inputs: tuple) -> None:
        if module is model:  # perhaps once more, see spared_graph
            found.clear()

    with torch.no_grad(), hooked(model.modules(), note, start):
        run(model, images.clone())
    return found


def candidates(model: nn.Module, most: int = 6) -> str:
    """Return a sentence that names layers of the model that can be explained with."""
    names = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)]
    own = getattr(model, "target_layer", None)
    named = [name for name, part in model.named_modules() if part is own and own is not None]
    listed = named + [name for name in reversed(names) if name not in named][: most - len(named)]
    if not listed:
        return "It has no convolution, so no layer can serve."
    return f"Layers that can serve (the last maps first): {', '.join(map(repr, listed))}."


def check_logits(logits: object, n_images: int) -> Tensor:
    """Return the logits if they are a tensor (N, n_classes), else raise an error that says what to do."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != n_images or logits.shape[1] == 0:
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"the model must return logits (N, classes) for {n_images} image(s), got {found}. For other outputs "
            "use `explain(layer, scores)`, where scores() runs the model and returns (N, K) numbers."
        )
    return logits


def class_matrix(model: nn.Module, classes: Classes, logits: Tensor) -> Tensor:
    """Return the classes to explain as an integer tensor (N, K); None stands for the predicted one.

    Raises:
        TypeError: classes are neither numbers nor names.
        ValueError: no classes, one that does not exist, or a tensor of another shape.
    """
    n, n_classes = logits.shape
    if classes is None:
        return logits.argmax(1, keepdim=True)
    if isinstance(classes, np.ndarray) and classes.dtype.kind not in "OSU":
        classes = torch.as_tensor(classes)
    if isinstance(classes, Tensor):
        if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
            raise TypeError(f"classes must be class numbers (integers), got a tensor of {classes.dtype}.")
        matrix = classes.detach().to(logits.device, torch.long)
    else:
        asked = [classes] if isinstance(classes, str) or not hasattr(classes, "__iter__") else list(classes)
        numbers = [_class_number(model, c) for c in asked]
        _check_range(numbers, n_classes)
        matrix = torch.tensor(numbers, dtype=torch.long, device=logits.device)
    if matrix.ndim < 2:
        matrix = matrix.reshape(1, -1).expand(n, -1)
    if matrix.ndim != 2 or len(matrix) != n or matrix.shape[1] == 0:
        raise ValueError(
            f"classes must be a number, a name, a list of these, or a tensor ({n}, K) with K >= 1 for {n} image(s); "
            f"got shape {tuple(matrix.shape)}."
        )
    _check_range(matrix.flatten().tolist(), n_classes)
    return matrix


def _check_range(numbers: list[int], n_classes: int) -> None:
    for number in numbers:
        if not 0 <= number < n_classes:
            raise ValueError(
                f"there is no class {number}: this model has {n_classes} classes, 0 to {n_classes - 1}."
            )


def _class_number(model: nn.Module, name: object) -> int:
    if isinstance(name, str):
        if not hasattr(model, "class_index"):
            raise ValueError(
                f"class {name!r} is a name, but this {type(model).__name__} has no class names. Give the class "
                "number, or put the network into a `Classifier` with its list of classes."
            )
        return model.class_index(name)
    return as_whole(name, f"a class is a number or a name, got {name!r} ({type(name).__name__}).")


def class_names(model: nn.Module, classes: Tensor) -> list[list[str]] | None:
    """Return the names for a matrix of class numbers, or None where the model has none."""
    names = getattr(model, "classes", None)
    # Any network may keep something else under that name, their number for instance.
    if not isinstance(names, list | tuple) or len(names) <= int(classes.max()):
        return None
    return [[str(names[index]) for index in row] for row in classes.tolist()]
