"""Which layer: the last map, found by a forward pass of no image, or the one that somebody names; and what is a map."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode

from .hooks import LayerError, OwnThread, hooked
from .inputs import STANDING_IN, holds_inference_tensors, run, unwrap

__all__ = ["Layer", "as_map", "candidates", "channel_axis", "find_layer", "map_size"]

Layer = nn.Module | str | None

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
        with STANDING_IN:
            copied = holds_inference_tensors(model)
        # Another thread's copies must not be among what is kept.
        with STANDING_IN if copied else nullcontext(), _attributes_kept(model):
            runs = _runs(model, images[:0])
    except Exception:  # the network reads numbers off its images, or cannot do without any
        runs = _runs(model, images[:1])
    kind, times, size = type(model).__name__, Counter(module for module, _ in runs), tuple(images.shape[2:])
    made = next((i for i in reversed(range(len(runs))) if _makes_a_map(runs[: i + 1], times, size)), None)
    if made is None:
        raise LayerError(
            f"this {kind} has no convolution that puts out a map (N, C, h, w) of more than one pixel, among the "
            f"modules that its forward pass calls for images of {size[0]} x {size[1]}: there is nothing to explain "
            "with. These methods need a convolutional network, and images that are not too small for it."
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
    before = [
        (table, dict(table))
        for part in model.modules()
        for table in (part.__dict__, part._parameters, part._buffers)
    ]
    try:
        yield
    finally:
        for table, kept in before:  # what has changed alone: other threads read these tables meanwhile
            for name in set(table) - set(kept):
                table.pop(name, None)
            for name, value in kept.items():
                if table.get(name) is not value:
                    table[name] = value


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
    why, what = "It has no convolution, so no layer can serve.", "Its convolutions (the last first)"
    if images is not None:
        with suppress(Exception):  # what else is wrong with the model is not to hide the error at hand
            found, why = _serving(model, images[:1], own)
            what = "Layers that can serve (the last maps first)"
    names = {part: name for name, part in model.named_modules()}
    found = [part for part in found if part is not own] + [part for part in found if part is own]
    listed = [names[part] for part in found[: -most - 1 : -1]]
    return f"{what}: {', '.join(map(repr, listed))}." if listed else why


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
    ways = ways if logits.requires_grad else []
    gradients = ways and torch.autograd.grad(logits.sum(), [once[part] for part in ways], allow_unused=True)
    return [part for part, gradient in zip(ways, gradients, strict=True) if gradient is not None], (
        "The model runs its layers with a map under torch.no_grad(), or detaches what comes of them, so no layer can "
        "serve; torch.utils.checkpoint does so with use_reentrant=True: set it to False. (`cam` needs no gradient; it "
        "is for networks that end in global average pooling and one linear layer.)"
    )
