"""What every method checks first: the images, the layer to explain with, the logits, the classes asked for.

A model may return anything that holds its logits: ``output``, an argument of every method, is then a function from what
the model returns to logits (N, classes), such as ``output=lambda out: out["logits"]``.

Bad input must never give a plausible picture, so each check ends in a sentence that names the value and the remedy.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import fields, is_dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode

from course_utils.arguments import as_whole

from .hooks import LayerError, OwnThread, hooked, spared_graph

__all__ = [
    "SCORES", "Classes", "Layer", "Output", "as_map", "candidates", "check_images", "check_logits", "class_matrix",
    "find_layer", "image_gradient", "logits_of", "map_size", "prepare", "probabilities", "row_sums_to_one", "run",
    "score_kind", "uncompiled",
]  # fmt: skip

Classes = int | str | Sequence[int | str] | Tensor | np.ndarray | None
Layer = nn.Module | str | None
Output = Callable[[object], Tensor] | None

# What hands numbers of a tensor to Python.
_READS = {
    "__bool__",
    "__float__",
    "__index__",
    "__int__",
    "allclose",
    "equal",
    "is_nonzero",
    "item",
    "numpy",
    "tolist",
}
MOST_ODD = math.log(2.5)  # how far the sides of a map may be from those of the image

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
        share = " / 255" if getattr(images, "dtype", None) == np.uint8 else ""
        raise TypeError(
            f"images must be a tensor (N, C, H, W), got {type(images).__name__}. For a PIL image, use "
            f"`classifier.preprocess(image)`; for an array, "
            f"`torch.from_numpy(array.astype('float32')){share}`."
        )
    shape = tuple(images.shape)
    if images.ndim == 3 and shape[0] <= 4 and max(shape[1:]) <= 8 * min(shape[1:]):
        raise ValueError(
            f"images has shape {shape}: the batch dimension is missing. Pass `images[None]`, a batch of one image."
        )
    if images.ndim == 3:
        raise ValueError(
            f"images has shape {shape}, three numbers where (N, C, H, W) has four. One image (C, H, W) needs a batch "
            "dimension, `images[None]`; signals (N, C, L) of a one-dimensional network are no images: nothing here "
            "takes them."
        )
    if images.ndim != 4 or 0 in shape:
        raise ValueError(f"images must have shape (N, C, H, W) with at least one image, got {shape}.")
    if not images.is_floating_point():
        remedy = (
            "For bytes, use `images.float() / 255`."
            if images.dtype == torch.uint8
            else "Use `images.float()`."
        )
        raise TypeError(f"images must be floating-point, got {images.dtype}. {remedy}")
    if channels is not None and shape[1] != channels:
        remedies = {
            (1, 3): " For gray images, use `images.expand(-1, 3, -1, -1)`.",
            (3, 1): " For images in color, use `images.mean(1, keepdim=True)`.",
        }
        kind = {1: "1 channel (gray)", 3: "3 channels (RGB)"}.get(channels, f"{channels} channels")
        raise ValueError(
            f"images must have {kind}, got {shape[1]} in shape {shape}.{remedies.get((shape[1], channels), '')}"
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
    """Check model and images; return the network inside its wrappers, and a copy of the images as it takes them.

    The copy is on the network's device and, where the images are of a floating-point type that none of its parameters
    has (NumPy's are double), of its first parameter's type. It keeps a network whose first step works in place from
    changing the caller's images.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    check_images(images)
    model = unwrap(model)
    parameter = next(model.parameters(), None)
    with torch.inference_mode(False):  # a copy made here can take part in a graph
        copy = images.detach().clone()
        if parameter is None:
            return model, copy
        # The first parameter answers for nearly all networks, without a look at the others.
        fits = parameter.dtype == copy.dtype or any(p.dtype == copy.dtype for p in model.parameters())
        kind = copy.dtype if fits or not parameter.is_floating_point() else parameter.dtype
        return model, copy.to(parameter.device, kind)


def uncompiled() -> AbstractContextManager:
    """Run as it was written, in this block, what torch.compile has compiled: compiled code need not call hooks."""
    set_stance = getattr(torch.compiler, "set_stance", None)  # from PyTorch 2.6 on
    # Where the compiler was not imported, which takes seconds, nothing is compiled.
    return set_stance("force_eager") if set_stance and "torch._dynamo" in sys.modules else nullcontext()


def run(model: nn.Module, images: Tensor) -> Tensor:
    """Call the model once, as it was written, with parameters that autograd accepts.

    A model made inside ``torch.inference_mode()`` consists of inference tensors, which autograd refuses
    forever after; for this call, copies stand in for them.
    """
    with uncompiled():
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


def image_gradient(score: Tensor, images: Tensor, retain_graph: bool = False) -> Tensor:
    """Return d score / d images for one number that was computed from the images.

    Autograd's engine is called below the level at which PyTorch's functions are intercepted: a checkpointed network
    runs its forward pass once more on the way back, and must meet the same rule there; while an intercepted function
    runs, nothing is intercepted.

    Raises:
        ValueError: the model cuts its images off from the score.
    """
    if score.requires_grad:
        engine, ones = torch.autograd.Variable._execution_engine, torch.ones_like(score)
        (found,) = engine.run_backward(
            (score,), (ones,), retain_graph, False, (images,), allow_unreachable=True, accumulate_grad=False
        )
        if found is not None:
            return found
    raise ValueError(
        "the scores do not depend on the images, as far as gradients tell: the model detaches them on the way, or "
        "runs a part of itself under torch.no_grad(). Without a way back to the image there is no gradient to take."
    )


def find_layer(model: nn.Module, images: Tensor, layer: Layer = None) -> nn.Module:
    """Return the module to explain with.

    Args:
        model: the network, without wrappers.
        images: (N, C, H, W), such as the network is going to see.
        layer: a module of the model, its dotted name, or None for the last map (``model.target_layer`` where there
            is one).

    Raises:
        LayerError: no such layer; the message lists candidates.
    """
    if layer is None:
        own = getattr(model, "target_layer", None)
        return own if isinstance(own, nn.Module) else default_layer(model, images)
    if isinstance(layer, str):
        modules = dict(model.named_modules())
        # A name may come from a wrapper around the model (module.), or from the network inside it (module., net.).
        names = [layer, layer.removeprefix("module."), f"module.{layer}", f"net.{layer}"]
        found = next((modules[name] for name in names if name and name in modules), None)
        if found is None:
            raise LayerError(f"the model has no layer named {layer!r}. {candidates(model, images)}")
    elif isinstance(layer, nn.Module):
        found = unwrap(layer)
        if not any(part is found for part in model.modules()):
            raise LayerError(
                f"this {type(found).__name__} is not a layer of the model. {candidates(model, images)}"
            )
    else:
        raise TypeError(f"layer must be a module or its dotted name, got {type(layer).__name__}.")
    _check_open(model, [found])
    return found


def channel_axis(layer: nn.Module, shape: Sequence[int], image_size: Sequence[int] | None) -> int | None:
    """Return where a layer's output has its channels: 1 in (N, C, h, w), 3 in (N, h, w, C); None if it is no map.

    A map's sides are to each other about as the image's, or equal: in (1, 7, 7, 768) they are 7 and 7, not 7 and 768.
    Where both readings would do, the layer's kind decides. Without an image's size, only equal sides count.
    """
    if len(shape) != 4 or 0 in shape[1:]:
        return None
    if isinstance(layer, nn.Conv2d):
        return 1

    def oddness(h: int, w: int) -> float:
        height, width = image_size or (1, 1)
        return min(abs(math.log(h / w)), abs(math.log(h / w * width / height)))

    def holds(kind: type) -> bool:
        return any(isinstance(part, kind) for part in layer.modules())

    first, last = oddness(*shape[2:]), oddness(*shape[1:3])
    if type(layer) in (nn.Linear, nn.LayerNorm):  # these work along the last axis
        return 3 if last <= MOST_ODD or image_size is None else None
    if min(first, last) > MOST_ODD and image_size is not None:
        return 1 if holds(nn.Conv2d) else None
    if abs(first - last) <= math.log(1.25) or (image_size is None and min(first, last) > 0):
        return 3 if holds(nn.Linear) and not holds(nn.Conv2d) else 1
    return 1 if first < last else 3


def map_size(
    layer: nn.Module, shape: Sequence[int], image_size: Sequence[int] | None = None
) -> tuple[int, ...] | None:
    """Return (h, w) of a layer's output, given its shape and the images' (H, W); None if it is no map."""
    axis = channel_axis(layer, shape, image_size)
    return axis and (*shape[1:axis], *shape[axis + 1 :])


def as_map(layer: nn.Module, output: Tensor, image_size: Sequence[int] | None = None) -> Tensor:
    """Return a layer's output as (N, C, h, w), also where it has its channels last; see :func:`channel_axis`.

    Raises:
        LayerError: it is no map.
    """
    axis = channel_axis(layer, output.shape, image_size)
    if axis is None:
        raise LayerError(
            f"the layer ({type(layer).__name__}) puts out shape {tuple(output.shape)}, no map (N, C, h, w) or "
            "(N, h, w, C) with sides like the image's. Take one that does."
        )
    return output.movedim(axis, 1)


def default_layer(model: nn.Module, images: Tensor) -> nn.Module:
    """Return the module that finishes the last map. An empty batch finds it: all shapes, no arithmetic.

    The last map is the output of the last layer with weights (a convolution of any class, or a linear layer along
    the channels) that has more than one pixel. The last module with that height and width finishes it, so that the
    normalization, ReLU and residual sum that follow belong to it, and the pooling behind does not. A module that runs
    several times (one ReLU for all layers) is passed over.

    Raises:
        LayerError: there is no such map, a module that runs several times makes it, or most of the network lies
            behind it.
    """
    _check_open(model, model.modules())
    try:
        with _attributes_kept(model):
            runs = _runs(model, images[:0])
    except Exception:  # the network reads numbers off its images, or cannot do without any
        runs = _runs(model, images[:1])
    kind, times, size = type(model).__name__, Counter(module for module, _ in runs), tuple(images.shape[2:])
    made = next((i for i in reversed(range(len(runs))) if _makes_a_map(runs[: i + 1], times, size)), None)
    if made is None:
        raise LayerError(
            f"this {kind} has no convolution that puts out a map (N, C, h, w) of more than one pixel, among the "
            "modules that its forward pass calls: there is nothing to explain with. These methods need a "
            "convolutional network."
        )
    cells = map_size(*runs[made], size)
    last = None
    for i in range(made, len(runs)):
        last = i if times[runs[i][0]] == 1 and map_size(*runs[i], size) == cells else last
    if last is None:
        module = runs[made][0]
        raise LayerError(
            f"the last map of this {kind} comes from a layer ({type(module).__name__}) that runs {times[module]} times "
            "in one forward pass, as a trunk does that two inputs share, or a recurrent block: there is no single map "
            "A to explain with. Name a layer that runs once, or let it run once in the scores() of `explain`."
        )
    behind = sum(_weighs(*run, times) for run in runs[last + 1 :])
    if behind and 2 * behind > (everything := sum(_weighs(*run, times) for run in runs)):
        raise LayerError(
            f"most of this {kind} lies behind its last map: {behind} of {everything} layers with weights, such as "
            "those of a transformer, whose tokens are no map (N, C, h, w). A heat-map of what comes before them would "
            "not explain the answer: use saliency, or name a layer if you want its map all the same."
        )
    return runs[last][0]


def _check_open(model: nn.Module, parts: Iterable[nn.Module]) -> None:
    """Refuse parts of a model that are scripted or exported code, which calls no hooks."""
    sealed = any(isinstance(part, torch.jit.ScriptModule) for part in parts)
    if isinstance(
        model, torch.fx.GraphModule
    ):  # a traced network calls layers, an exported one only their weights
        called = [model.get_submodule(node.target) for node in model.graph.nodes if node.op == "call_module"]
        sealed = sealed or not any(True for part in called for _ in part.parameters())
    if sealed:
        raise LayerError(
            f"this {type(model).__name__} is, or contains, scripted or exported code, whose layers cannot be listened "
            "to. Hand over the network that it was made from, or name a layer outside that code."
        )


def _runs(model: nn.Module, images: Tensor) -> list[tuple[nn.Module, torch.Size]]:
    """Run the model; return (module, output shape) in the order in which the modules inside it finish."""
    found: list[tuple[nn.Module, Tensor | torch.Size]] = []
    inside, empty = set(model.modules()) - {model}, len(images) == 0

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        if module in inside:
            kept = output if isinstance(output, Tensor) else torch.Size()
            # Empty outputs can be kept, and their shapes read when functions are no longer intercepted.
            found.append((module, kept if empty else getattr(kept, "shape", kept)))

    def start(module: nn.Module, inputs: tuple) -> None:
        found.clear()  # perhaps once more, see spared_graph

    # One hook for all modules takes half the time of a hook on each.
    handle = register_module_forward_hook(OwnThread(note))
    try:
        with (
            torch.no_grad(),
            hooked([model], lambda *_: None, start),
            _OfNoImage() if empty else nullcontext(),
        ):
            run(model, images.clone())
    finally:
        handle.remove()
    return [(module, getattr(kept, "shape", kept)) for module, kept in found]


class _OfNoImage(TorchFunctionMode):
    """Answer PyTorch's functions for an empty batch: what they answer for any batch, or not at all."""

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        name = func.__name__
        if name in _READS:
            raise LayerError(
                "the network reads a number off its images, and may take another way for others."
            )
        if name in ("view", "reshape") and len(args) > 1:
            x, sizes = args[0], args[1] if isinstance(args[1], tuple | list) else args[1:]
            if -1 in sizes and 0 in sizes:  # x.view(len(x), -1), which is ambiguous without an image
                own, given = (math.prod(n for n in shape if n > 0) for shape in (x.shape, sizes))
                return func(x, [own // given if n == -1 else n for n in sizes])
        return func(*args, **(kwargs or {}))


@contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Undo what the modules store in themselves while the block runs, such as a grid for the size of the batch."""
    before = [(table, dict(table)) for part in model.modules() for table in (part.__dict__, part._buffers)]
    try:
        yield
    finally:
        for table, kept in before:
            table.clear()
            table.update(kept)


def _makes_a_map(runs: Sequence[tuple[nn.Module, torch.Size]], ran: Container, size: tuple[int, ...]) -> bool:
    """Whether the last of these runs is of a layer with weights that puts out a map of more than one pixel."""
    module, shape = runs[-1]
    cells = map_size(module, shape, size)
    if not cells or math.prod(cells) == 1 or not _weighs(module, shape, ran):
        return False
    # A linear layer on a map whose side counts the cells of an earlier one works on attention, tokens by tokens.
    earlier = [math.prod(shape[2:]) for part, shape in runs if isinstance(part, nn.Conv2d)]
    return not isinstance(module, nn.Linear) or not {cells[0], cells[0] - 1} & set(earlier)


def _weighs(module: nn.Module, shape: Sequence[int], ran: Container[nn.Module]) -> bool:
    """Whether a module with this output keeps places apart and itself multiplies by weights.

    The weights are a matrix of its own, or of a part that is never called.
    """
    if _axes(shape[1:]) < 2 or isinstance(module, nn.Conv2d):
        return _axes(shape[1:]) > 1
    silent = [part for part in module._modules.values() if part is not None and part not in ran]
    own = [*module._parameters.values(), *(weight for part in silent for weight in part.parameters())]
    return any(weight is not None and _axes(weight.shape) > 1 for weight in own)


def _axes(shape: Sequence[int]) -> int:
    return sum(n > 1 for n in shape)


def candidates(model: nn.Module, images: Tensor | None = None, most: int = 6) -> str:
    """Return a sentence that names layers that can be explained with, or says why there are none.

    Args:
        model: the network, without wrappers.
        images: where given, the first one is run, so that the layers named were seen to run once, to put out a map,
            and to have the logits depend on them; otherwise they are the convolutions.
        most: how many layers to name.
    """
    own = getattr(model, "target_layer", None)
    found = [part for part in model.modules() if isinstance(part, nn.Conv2d) or part is own]
    why = "It has no convolution, so no layer can serve."
    if images is not None:
        with suppress(Exception):  # what else is wrong with the model is not to hide the error at hand
            found, why = _serving(model, images[:1], own)
    names = {part: name for name, part in model.named_modules()}
    found = [part for part in found if part is not own] + [part for part in found if part is own]
    listed = [names[part] for part in found[: -most - 1 : -1]]
    return f"Layers that can serve (the last maps first): {', '.join(map(repr, listed))}." if listed else why


def _serving(model: nn.Module, image: Tensor, own: nn.Module | None) -> tuple[list[nn.Module], str]:
    """Run one image with a graph; return the layers with weights that can be explained with, and why not others."""
    maps: dict[nn.Module, list[Tensor]] = {}

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        cells = map_size(module, output.shape, image.shape[2:]) if isinstance(output, Tensor) else None
        maps.setdefault(module, []).extend([output] if cells and math.prod(cells) > len(output) == 1 else [])

    with torch.inference_mode(False), torch.enable_grad(), hooked(list(model.modules())[1:], note):
        logits = run(model, image.clone().requires_grad_())
    if not any(maps.values()):
        return [], "It has no layer that puts out a map, so no layer can serve."
    once = {part: outputs[0] for part, outputs in maps.items() if len(outputs) == 1}
    if not once:
        return (
            [],
            "Each of its layers with a map runs several times in one forward pass, so no layer can serve.",
        )
    ways = [
        part for part, a in once.items() if a.requires_grad and (part is own or _weighs(part, a.shape, maps))
    ]
    gradients = ways and torch.autograd.grad(logits.sum(), [once[part] for part in ways], allow_unused=True)
    return [part for part, gradient in zip(ways, gradients, strict=True) if gradient is not None], (
        "The model runs its layers with a map under torch.no_grad(), or detaches what comes of them, so no layer can "
        "serve. (`cam` needs no gradient; it is for networks that end in global average pooling and one linear layer.)"
    )


def logits_of(model: nn.Module, images: Tensor, output: Output = None) -> Tensor:
    """Run the model once and return its logits (N, classes).

    Args:
        model, images: as :func:`prepare` returns them.
        output: a function from what the model returns to the logits; None: the model returns these.

    Raises:
        TypeError: ``output`` is no function.
        ValueError: no tensor (N, classes), or probabilities where the score before the softmax or sigmoid is needed.
    """
    if output is not None and not callable(output):
        raise TypeError(
            f"output must be a function from what the model returns to logits (N, classes), got {output!r}; such as "
            '`output=lambda out: out["logits"]`.'
        )
    returned = run(model, images)
    logits = check_logits(returned if output is None else output(returned), len(images))
    last = "" if getattr(model, "scores", None) in SCORES else _squashed_by(logits)
    if last:
        raise ValueError(
            f"the model returns probabilities, its last step being a {last}. What is asked for here is the score "
            "before it. Hand over the model without that step, or inside a `Classifier`, which computes logits from "
            "probabilities."
        )
    return logits


def check_logits(logits: object, n_images: int) -> Tensor:
    """Return the logits if they are a tensor (N, n_classes), else raise an error that says what to do."""
    if isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == n_images and logits.shape[1]:
        return logits
    found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    held = [] if isinstance(logits, Tensor) else list(_tables(logits, n_images))
    if held:
        several = " and ".join(f"{place} {shape}" for place, shape in held[:4])
        first = next((place for place, _ in held if "logits" in place), held[0][0])
        remedy = f"It holds {several}: say where the logits are, such as `output=lambda out: {first}`."
    elif isinstance(logits, Tensor) and logits.ndim == 1 and len(logits) == n_images:
        remedy = "For one number an image, use `output=lambda out: out[:, None]`."
    elif isinstance(logits, Tensor) and n_images == 1 == 2 - logits.ndim and len(logits):
        remedy = "If these are one image's, use `output=lambda out: out[None]`."
    elif isinstance(logits, Tensor) and logits.ndim == 4 and logits.shape[2:].numel() == 1:
        remedy = "Use `output=lambda out: out.flatten(1)`."
    else:
        remedy = "Make logits of it with `output=`, a function from what the model returns to a tensor (N, classes)."
    raise ValueError(
        f"the model must return logits (N, classes) for {n_images} image(s), got {found}. {remedy}"
    )


def _tables(value: object, n_images: int, place: str = "out") -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield where in a model's output tensors (N, K) lie, as Python writes it, and their shapes."""
    if isinstance(value, Tensor):
        if value.ndim == 2 and len(value) == n_images:
            yield place, tuple(value.shape)
        return
    if isinstance(value, Mapping):
        parts = [(f"{place}[{key!r}]", part) for key, part in value.items()]
    elif is_dataclass(value):
        parts = [(f"{place}.{each.name}", getattr(value, each.name)) for each in fields(value)]
    elif hasattr(value, "_fields"):  # a named tuple
        parts = [(f"{place}.{name}", getattr(value, name)) for name in value._fields]
    elif isinstance(value, list | tuple):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    else:
        parts = [(f"{place}.{name}", part) for name, part in getattr(value, "__dict__", {}).items()]
    for where, part in parts:
        yield from _tables(part, n_images, where)


SCORES = ("exclusive", "independent", "one logit")
"""What the numbers in a row of logits are: of classes of which one is right, of classes of which any may be, or one
number, yes or no."""


def score_kind(model: nn.Module, logits: Tensor) -> str:
    """Return which of ``SCORES`` logits (..., classes) are: what a ``Classifier`` says, else exclusive, or one."""
    own = getattr(model, "scores", None)
    return own if own in SCORES else "one logit" if logits.shape[-1] == 1 else "exclusive"


def probabilities(model: nn.Module, logits: Tensor) -> Tensor:
    """Return the probabilities (..., classes) that a model's logits stand for: a softmax of exclusive classes, else a
    sigmoid of each."""
    return logits.softmax(-1) if score_kind(model, logits) == "exclusive" else logits.sigmoid()


def row_sums_to_one(values: Tensor) -> bool:
    """Whether each row (N, K > 1) lies in [0, 1] and sums to 1, as after a softmax, up to the rounding of its type."""
    tolerance = max(1e-5, 8 * torch.finfo(values.dtype).eps)
    v = values.detach().double()
    return v.shape[1] > 1 and bool((v >= 0).all() and ((v.sum(1) - 1).abs() < tolerance).all())


def _squashed_by(logits: Tensor) -> str:
    """Return "softmax" or "sigmoid" where that was the last step, as far as graph and numbers tell; else nothing."""
    steps = _made_by(logits.grad_fn)
    if steps and all(name.startswith("Sigmoid") for name in steps):
        return "sigmoid"
    by_weights = any(
        name.startswith(("Addmm", "Mm")) for name in steps
    )  # linear, whatever its numbers sum to
    return "softmax" if not by_weights and row_sums_to_one(logits) else ""


_RESHAPING = re.compile(
    "(View|UnsafeView|Reshape|Squeeze|Unsqueeze|Expand|Permute|Transpose|T|ToCopy|Clone|Cat|Stack|Slice|Select|Split|"
    "Unbind|Index|IndexSelect|Gather)Backward"
)


def _made_by(node: object) -> list[str]:
    """Return the names of the operations in a graph whose numbers were then only picked, joined or reshaped."""
    if node is not None and _RESHAPING.match(node.name()):
        return [name for before, _ in node.next_functions for name in _made_by(before)]
    return [] if node is None else [node.name()]


def class_matrix(model: nn.Module, classes: Classes, logits: Tensor) -> Tensor:
    """Return the classes to explain as an integer tensor (N, K); None stands for the predicted one.

    A number, a name or a list of these holds for all images. A tensor or an array has each image's own: (N, K), or
    for several images (N,), the labels of a batch.

    Raises:
        TypeError: classes are neither numbers nor names.
        ValueError: no classes, one that does not exist, or a tensor of another shape.
    """
    n, n_classes = logits.shape
    several = isinstance(classes, Tensor | np.ndarray) and classes.ndim == 1 and len(classes) != 1
    each_its_own = several and n > 1
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
        matrix = matrix[:, None] if each_its_own else matrix.reshape(1, -1).expand(n, -1)
    if matrix.ndim != 2 or len(matrix) != n or matrix.shape[1] == 0:
        raise ValueError(
            f"classes must be a number, a name, a list of these for all images, or a tensor ({n}, K) or ({n},) with "
            f"each image's own, K >= 1; got shape {tuple(classes.shape if each_its_own else matrix.shape)} for {n} "
            "image(s)."
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


def class_names(model: nn.Module, classes: Tensor, n_classes: int) -> list[list[str]] | None:
    """Return the names for a matrix of class numbers, or None where the model has no name for each of its classes."""
    names = getattr(model, "classes", None)
    # Any network may keep something else under that name: their number, or names without the background's.
    if not isinstance(names, list | tuple) or len(names) != n_classes:
        return None
    return [[str(names[index]) for index in row] for row in classes.tolist()]
