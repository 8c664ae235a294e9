"""How the exercises of notebook 02 try an answer out: networks and images, what to look at, what is right.

An answer to these exercises is a hook or a context manager, so it is put into a small network, and what it
leaves there is compared. The references compute with sums, without modules and without hooks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "gradient_cases",
    "gradient_reference",
    "silence_cases",
    "silence_reference",
    "store_cases",
    "store_reference",
    "stored_cases",
    "stored_reference",
    "try_silence",
    "try_store",
    "try_stored",
]


def _values(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape)).float()


def _conv(weight: Tensor) -> nn.Conv2d:
    """A 1x1 convolution without bias, of weight (C_out, C_in)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(weight[:, :, None, None])
    return conv


def _mix(weight: Tensor, maps: Tensor) -> Tensor:
    """What that convolution computes, as a sum."""
    return torch.einsum("oc,nchw->nohw", weight, maps)


def store_cases(rng: np.random.Generator) -> list[tuple]:
    """Weights (2, 1) of a convolution and an image (1, 1, 3, 3) for it."""
    return [(_values(rng, 2, 1), _values(rng, 1, 1, 3, 3)) for _ in range(3)]


def try_store(answer: Callable, weight: Tensor, image: Tensor) -> object:
    """Hook a convolution that an in-place ReLU follows; return what the hook left in ``module.seen``."""
    conv = _conv(weight)

    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> object:
        result = answer(module, inputs, output)
        if result is ...:
            raise NotImplementedError
        return result

    conv.register_forward_hook(hook)
    result = nn.ReLU(inplace=True)(conv(image))
    seen = getattr(conv, "seen", None)
    if seen is ...:
        return ...
    if not isinstance(seen, Tensor):
        raise TypeError(f"after the forward pass module.seen holds {type(seen).__name__}, not a tensor.")
    return {
        "stored values": seen,
        "the stored tensor belongs to a graph": seen.requires_grad,
        "result of the network": result,
    }


def store_reference(weight: Tensor, image: Tensor) -> dict:
    """What :func:`try_store` should return."""
    output = _mix(weight, image)
    return {
        "stored values": output,
        "the stored tensor belongs to a graph": False,
        "result of the network": output.clamp(min=0),
    }


def gradient_cases(rng: np.random.Generator) -> list[tuple]:
    """A trunk, a head that is not linear, an image, and a class."""
    cases = []
    for c in (0, 2, 1):
        trunk = nn.Sequential(_conv(_values(rng, 2, 1)), nn.ReLU())
        linear = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            linear.weight.copy_(_values(rng, 3, 4))
        head = nn.Sequential(
            _conv(_values(rng, 4, 2)), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear
        )
        cases.append((trunk, head, _values(rng, 1, 1, 3, 3), c))
    return cases


def gradient_reference(trunk: nn.Module, head: nn.Module, image: Tensor, c: int) -> Tensor:
    """Return dy^c/dA by the chain rule, written out for this head.

    With u = V A, F = mean of tanh(u) over the Z cells and y = W F:
    dy^c/dA = (1/Z) sum_j W_cj (1 - tanh(u_j)^2) V_ji.
    """
    weight = trunk[0].weight.detach()[:, :, 0, 0]
    v, w = head[0].weight.detach()[:, :, 0, 0], head[4].weight.detach()
    u = _mix(v, _mix(weight, image).clamp(min=0))
    slope = w[c].view(1, -1, 1, 1) * (1 - u.tanh() ** 2)
    return _mix(v.T, slope) / (u.shape[2] * u.shape[3])


def silence_cases(rng: np.random.Generator) -> list[tuple]:
    """A channel of four, weights (4, 2) and four images (4, 2, 3, 3), so that no axis is too short for it."""
    return [(k, _values(rng, 4, 2), _values(rng, 4, 2, 3, 3)) for k in (0, 3, 1)]


def try_silence(answer: Callable, k: int, weight: Tensor, images: Tensor) -> object:
    """Hook a convolution; return what comes out behind the hook, and what the module itself had put out."""
    hook = answer(k)
    if hook is ...:
        return ...
    if not callable(hook):
        raise TypeError(f"silence(k) must return a function, the hook; it returned {type(hook).__name__}.")
    conv, own = _conv(weight), []
    conv.register_forward_hook(lambda module, inputs, output: own.append(output))
    conv.register_forward_hook(hook)
    return {"what the next module gets": conv(images), "the module's own output": own[0]}


def silence_reference(k: int, weight: Tensor, images: Tensor) -> dict:
    """What :func:`try_silence` should return."""
    output = _mix(weight, images)
    keep = torch.ones(len(weight))
    keep[k] = 0
    return {
        "what the next module gets": output * keep.view(1, -1, 1, 1),
        "the module's own output": output,
    }


def stored_cases(rng: np.random.Generator) -> Iterator[tuple]:
    """A network with in-place ReLUs, names of one or two of its convolutions, an image."""
    for names in (["stem.conv", "conv"], ["conv"], ["conv", "stem.conv"]):
        stem = nn.Sequential(OrderedDict(conv=_conv(_values(rng, 3, 1)), relu=nn.ReLU(inplace=True)))
        parts = OrderedDict(stem=stem, conv=_conv(_values(rng, 2, 3)), relu=nn.ReLU(inplace=True))
        yield nn.Sequential(parts), names, _values(rng, 1, 1, 3, 3)


def try_stored(answer: Callable, model: nn.Module, names: list[str], image: Tensor) -> object:
    """Use a context manager twice, the second time with an exception in the block; return what is left."""
    manager = answer(model, names)
    if manager is ...:
        return ...
    if not hasattr(manager, "__enter__"):
        raise TypeError(
            f"`with` cannot use what stored_outputs returns ({type(manager).__name__}): keep the line @contextmanager."
        )
    with manager as found:
        if found is ...:
            return ...
        model(image)
    left = _hooks_left(model)
    came_out = False
    try:
        with answer(model, names):
            raise RuntimeError("in the middle")
    except RuntimeError:
        came_out = True
    return {
        "stored outputs": dict(found),
        "stored tensors that belong to a graph": sum(value.requires_grad for value in found.values()),
        "hooks left at the end": left,
        "hooks left after an exception": _hooks_left(model),
        "the exception came out of the block": came_out,
    }


def stored_reference(model: nn.Module, names: list[str], image: Tensor) -> dict:
    """What :func:`try_stored` should return."""
    stem, last = (weight.detach()[:, :, 0, 0] for weight in model.parameters())
    first = _mix(stem, image)
    outputs = {"stem.conv": first, "conv": _mix(last, first.clamp(min=0))}
    return {
        "stored outputs": {name: outputs[name] for name in names},
        "stored tensors that belong to a graph": 0,
        "hooks left at the end": 0,
        "hooks left after an exception": 0,
        "the exception came out of the block": True,
    }


def _hooks_left(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())
