"""What every method checks first, images and classes, and how a model is run.

Bad input must never give a plausible picture, so each check ends in a sentence that names the value and the remedy.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.arguments import as_whole

from .hooks import spared_graph

__all__ = [
    "Classes",
    "check_images",
    "check_model",
    "class_matrix",
    "class_names",
    "image_gradient",
    "prepare",
    "run",
    "uncompiled",
    "unwrap",
]

Classes = int | str | Sequence[int | str] | Tensor | np.ndarray | None


# Copies stand in for a model's parameters for one thread at a time: else one would put the other's copies back.
STANDING_IN = threading.RLock()
_COUNTING = threading.Lock()
_STANCES: list[object] = []  # one entry for each block of uncompiled that is running


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
            f"images must be a tensor (N, C, H, W), got {type(images).__name__}. {_as_tensor(images)}"
        )
    shape = tuple(images.shape)
    if images.ndim == 3 and shape[0] in (1, 3) and max(shape[1:]) <= 8 * min(shape[1:]):
        raise ValueError(
            f"images has shape {shape}: the batch dimension is missing. Pass `images[None]`, a batch of one image."
        )
    if images.ndim == 3 and shape[2] in (3, 4):
        raise ValueError(
            f"images has shape {shape}, one image with the channels last. Pass `images.permute(2, 0, 1)[None]`."
        )
    if images.ndim == 3:
        raise ValueError(
            f"images has shape {shape}, three numbers where (N, C, H, W) has four. One image (C, H, W) needs a batch "
            "dimension, `images[None]`; gray images (N, H, W) need one for the channel, `images[:, None]`; signals "
            "(N, C, L) of a one-dimensional network are no images: nothing here takes them."
        )
    if images.ndim != 4 or 0 in shape:
        raise ValueError(f"images must have shape (N, C, H, W) with at least one image, got {shape}.")
    if not images.is_floating_point():
        remedy = "For bytes, 0 to 255, use `images.float() / 255`."
        if images.is_complex() or images.dtype == torch.bool:
            remedy = "Use `images.real`." if images.is_complex() else "Use `images.float()`."
        raise TypeError(f"images must be floating-point, got {images.dtype}. {remedy}")
    if channels is not None and shape[1] != channels:
        remedies = {
            (1, 3): " For gray images, use `images.expand(-1, 3, -1, -1)`.",
            (3, 1): " For images in color, use `images.mean(1, keepdim=True)`.",
            (4, 3): " If the fourth is transparency, leave it out: `images[:, :3]`.",
        }
        last = " They have the channels last: use `images.permute(0, 3, 1, 2)`."
        kind = {1: "1 channel (gray)", 3: "3 channels (RGB)"}.get(channels, f"{channels} channels")
        raise ValueError(
            f"images must have {kind}, got {shape[1]} in shape {shape}."
            f"{last if shape[3] == channels else remedies.get((shape[1], channels), '')}"
        )
    low, high = (bound.item() for bound in torch.aminmax(images.detach()))
    if not (low > -torch.inf and high < torch.inf):  # also false for NaN, which aminmax hands on
        raise ValueError("images contains NaN or infinite values. Check how the images were computed.")
    if unit_range and (low < -1e-6 or high > 1 + 1e-6):
        remedy = (
            "Divide bytes by 255, and leave the normalization by mean and standard deviation to a `Classifier`, whose "
            "first step it is."
        )
        if low > -0.2 and high < 1.2:
            remedy = "Interpolation overshoots like that: `images.clamp(0, 1)`."
        raise ValueError(f"images must lie in [0, 1], got values from {low:.4g} to {high:.4g}. {remedy}")


def _as_tensor(images: object) -> str:
    """Return how a batch is made of what is no tensor, for a message."""
    if isinstance(images, np.ndarray):
        last = {3: ".permute(2, 0, 1)[None]", 4: ".permute(0, 3, 1, 2)"}.get(images.ndim, "")
        order = last if last and images.shape[-1] in (1, 3, 4) else ""
        share = " / 255" if images.dtype.kind in "iu" and images.size and 1 < images.max() <= 255 else ""
        return f"For this array, use `torch.from_numpy(array.astype('float32')){order}{share}`."
    if isinstance(images, list | tuple) and images and isinstance(images[0], Tensor):
        return f"Put these {len(images)} tensors together: `torch.stack(images)`, or `torch.cat` if each is a batch."
    return "A `Classifier` makes one of a PIL image: `classifier.preprocess(PIL.Image.open(path))`."


def check_model(model: object) -> None:
    """Refuse what is no network, with a sentence that says how to make one of it.

    Raises:
        TypeError: not a ``torch.nn.Module``.
    """
    if isinstance(model, nn.Module):
        return
    if isinstance(model, Mapping):
        remedy = " These are weights: build the network, and call `net.load_state_dict(weights)`."
    elif isinstance(model, type) and issubclass(model, nn.Module):
        remedy = f" Make a network of that class: `{model.__name__}(...)`."
    elif isinstance(model, torch.export.ExportedProgram):
        remedy = (
            " `program.module()` is a network; methods that need a layer take the one it was exported from."
        )
    elif callable(model):
        remedy = " Hand over the network itself, or a module whose forward does what this function does."
    else:
        remedy = ""
    kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise TypeError(f"model must be a torch.nn.Module, got {kind}.{remedy}")


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
    check_model(model)
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


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run as it was written, in this block, what torch.compile has compiled: compiled code need not call hooks.

    PyTorch has one such setting for all threads: the first that comes makes it, and the last that leaves takes it back.
    """
    set_stance = getattr(torch.compiler, "set_stance", None)  # from PyTorch 2.6 on
    if set_stance is None or "torch._dynamo" not in sys.modules:
        yield  # where the compiler was not imported, which takes seconds, nothing is compiled
        return
    with _COUNTING:
        _STANCES.append(None if _STANCES else set_stance("force_eager"))
    try:
        yield
    finally:
        with _COUNTING:
            stance = _STANCES.pop()  # the first one's comes last
            if stance is not None:
                stance.__exit__(None, None, None)


def run(model: nn.Module, images: Tensor) -> Tensor:
    """Call the model once, as it was written, with parameters that autograd accepts.

    A model made inside ``torch.inference_mode()`` consists of inference tensors, which autograd refuses
    forever after; for this call, copies stand in for them.
    """
    with uncompiled():
        with STANDING_IN:  # another thread's copies would look like parameters
            if holds_inference_tensors(model):
                own = [*model.named_parameters(), *model.named_buffers()]
                copies = {name: tensor.clone() for name, tensor in own if tensor.is_inference()}
                return spared_graph(
                    lambda images: torch.func.functional_call(model, copies, (images,)), images
                )
        return spared_graph(model, images)


def holds_inference_tensors(model: nn.Module) -> bool:
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
        if n_classes > 2 and matrix.shape == (n, n_classes) and ((matrix == 0) | (matrix == 1)).all():
            raise ValueError(
                f"classes has shape {tuple(matrix.shape)} and holds 0 and 1 alone, as one-hot labels do; class numbers "
                "are wanted. Use `classes.argmax(1)`; where several of a row are 1, explain image by image."
            )
    elif isinstance(classes, Mapping | Set):
        raise TypeError(f"classes must be in an order, got {type(classes).__name__}: use a list.")
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
            has = f"{n_classes} classes, 0 to {n_classes - 1}" if n_classes > 1 else "one output, class 0"
            raise ValueError(f"there is no class {number}: this model has {has}.")


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
