"""How the exercises of notebook 02 try an answer out: networks and images, what to look at, what is right.

An answer to these exercises is a hook or a context manager, so it is put into a small network, and what it
leaves there is compared. The references compute with sums, without modules and without hooks.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, suppress

import numpy as np
import torch
from torch import Tensor, nn

from .compare import same
from .engine import NotAsAsked
from .inputs import tensor_of

__all__ = [
    "HookNeverRan",
    "gradient_cases",
    "gradient_reference",
    "silence_cases",
    "silence_reference",
    "store_cases",
    "store_reference",
    "stored_cases",
    "stored_reference",
    "try_gradient",
    "try_silence",
    "try_store",
    "try_stored",
]


class HookNeverRan(NotAsAsked):
    """The answer looked for a gradient before any backward pass had called its hook."""


def _values(rng: np.random.Generator, *shape: int) -> Tensor:
    return tensor_of(rng.normal(size=shape))


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
    conv, returned = _conv(weight), []

    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> object:
        result = answer(module, inputs, output)
        if result is ...:
            raise NotImplementedError
        returned.append(result)
        return result

    conv.register_forward_hook(hook)
    result = nn.ReLU(inplace=True)(conv(image))
    seen = getattr(conv, "seen", None)
    if seen is ...:
        return ...
    if not isinstance(seen, Tensor):
        raise NotAsAsked(f"after the forward pass module.seen holds {type(seen).__name__}, not a tensor.")
    return {
        "stored values": seen,
        "the stored tensor belongs to a graph": seen.requires_grad,
        "result of the network": result,
        "the hook returned something": returned[0] is not None,
    }


def store_reference(weight: Tensor, image: Tensor) -> dict:
    """What :func:`try_store` should return."""
    output = _mix(weight, image)
    return {
        "stored values": output,
        "the stored tensor belongs to a graph": False,
        "result of the network": output.clamp(min=0),
        "the hook returned something": False,
    }


def gradient_cases(rng: np.random.Generator) -> list[tuple]:
    """A trunk, a head that is not linear, two images (2, 1, 3, 3), and a class."""
    cases = []
    for c in (0, 2, 1):
        trunk = nn.Sequential(_conv(_values(rng, 2, 1)), nn.ReLU())
        linear = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            linear.weight.copy_(_values(rng, 3, 4))
        head = nn.Sequential(
            _conv(_values(rng, 4, 2)), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear
        )
        cases.append((trunk, head, _values(rng, 2, 1, 3, 3), c))
    return cases


def try_gradient(answer: Callable, trunk: nn.Module, head: nn.Module, image: Tensor, c: int) -> object:
    """Return the answer's gradient; say so if it looked for one that no backward pass had brought yet."""
    passed, hooked = [], []

    def watch(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: passed.append(True))
            hooked.append(output)

    handle = trunk.register_forward_hook(watch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # PyTorch's on .grad of a tensor in the middle; ours says it better
            return answer(trunk, head, image, c)
    except LookupError as error:
        waiting = any(len(output._backward_hooks) > 1 for output in hooked) or any(
            module._backward_hooks for module in (*trunk.modules(), *head.modules())
        )
        if passed or not waiting or not _is_of_empty_place(error):
            raise
        raise HookNeverRan("the hook was never called: it is backward() that calls it.") from error
    finally:
        handle.remove()


def _is_of_empty_place(error: LookupError) -> bool:
    """Whether a list or a dictionary lacks something; a tensor's axis that is too short has other words."""
    return isinstance(error, KeyError) or str(error).startswith(("list index", "pop from"))


def gradient_reference(trunk: nn.Module, head: nn.Module, image: Tensor, c: int) -> Tensor:
    """Return dy^c/dA of the first image by the chain rule, written out for this head; 0 for the others.

    With u = V A, F = mean of tanh(u) over the Z cells and y = W F:
    dy^c/dA = (1/Z) sum_j W_cj (1 - tanh(u_j)^2) V_ji.
    """
    weight = trunk[0].weight.detach()[:, :, 0, 0]
    v, w = head[0].weight.detach()[:, :, 0, 0], head[4].weight.detach()
    u = _mix(v, _mix(weight, image).clamp(min=0))
    slope = w[c].view(1, -1, 1, 1) * (1 - u.tanh() ** 2)
    slope[1:] = 0
    return _mix(v.T, slope) / (u.shape[2] * u.shape[3])


def silence_cases(rng: np.random.Generator) -> list[tuple]:
    """A channel of four, weights (4, 2) and four images (4, 2, 3, 3), so that no axis is too short for it."""
    return [(k, _values(rng, 4, 2), _values(rng, 4, 2, 3, 3)) for k in (0, 3, 1)]


def try_silence(answer: Callable, k: int, weight: Tensor, images: Tensor) -> object:
    """Hook a convolution; return what comes out behind the hook, what the module itself had put out, and the
    gradient of the sum of what comes out with respect to the convolution's weights (C_out, C_in).
    """
    hook = answer(k)
    if hook is ...:
        return ...
    if not callable(hook):
        raise NotAsAsked(f"silence(k) must return a function, the hook; it returned {type(hook).__name__}.")
    conv, own = _conv(weight), []
    conv.register_forward_hook(lambda module, inputs, output: own.append(output))
    conv.register_forward_hook(hook)
    behind = conv(images)
    if not isinstance(behind, Tensor):
        raise NotAsAsked(
            f"what the hook returns takes the output's place: a tensor, and not a {type(behind).__name__}."
        )
    gradient = torch.zeros_like(weight)
    if behind.requires_grad:
        (found,) = torch.autograd.grad(behind.sum(), conv.weight, allow_unused=True)
        gradient = gradient if found is None else found[:, :, 0, 0]
    return {
        "what the next module gets": behind,
        "the module's own output": own[0],
        "the gradient that reaches the weights before": gradient,
    }


def silence_reference(k: int, weight: Tensor, images: Tensor) -> dict:
    """What :func:`try_silence` should return."""
    output = _mix(weight, images)
    keep = torch.ones(len(weight))
    keep[k] = 0
    return {
        "what the next module gets": output * keep.view(1, -1, 1, 1),
        "the module's own output": output,
        "the gradient that reaches the weights before": torch.outer(keep, images.sum((0, 2, 3))),
    }


def stored_cases(rng: np.random.Generator) -> Iterator[tuple]:
    """A network with in-place ReLUs, names of two of its convolutions, an image."""
    for names in (["stem.conv", "conv"], ["conv", "stem.conv"]):
        stem = nn.Sequential(OrderedDict(conv=_conv(_values(rng, 3, 1)), relu=nn.ReLU(inplace=True)))
        parts = OrderedDict(stem=stem, conv=_conv(_values(rng, 2, 3)), relu=nn.ReLU(inplace=True))
        yield nn.Sequential(parts), names, _values(rng, 1, 1, 3, 3)


def try_stored(answer: Callable, model: nn.Module, names: list[str], image: Tensor) -> object:
    """Use a context manager for a pass, then with exceptions in its block, then with a name too many.

    Each part is tried only if the one before went well, so that one mistake gives one message. Somebody else has a
    hook on each module all the while.
    """
    for module in model.modules():
        module.register_forward_hook(_elses)
    manager = answer(model, names)
    if manager is ...:
        return ...
    if not hasattr(manager, "__enter__"):
        raise NotAsAsked(
            f"`with` cannot use what stored_outputs returns ({type(manager).__name__}): keep the line @contextmanager."
        )
    with manager as found:
        if found is ...:
            return ...
        if not isinstance(found, MutableMapping):
            raise NotAsAsked(f"what stands behind `as` must be a dictionary, not {type(found).__name__}.")
        at_first = len(found)
        model(image)
        inside = sorted(found)
    result = {
        "entries before the forward pass": at_first,
        "names stored when the block ends": inside,
        "stored outputs": dict(found),
        "stored tensors that belong to a graph": sum(
            getattr(v, "requires_grad", False) for v in found.values()
        ),
        "hooks left at the end": _hooks_left(model),
        _ELSES_GONE: _elses_gone(model),
        **_AFTER_ERRORS,
    }
    if not same(result, stored_reference(model, names, image), 1e-4):
        return result
    for error, left in (
        (KeyError("in the middle"), _LEFT),
        (KeyboardInterrupt("in the middle"), _LEFT_IF_STOPPED),
    ):
        result[_CAME_OUT] = _comes_out(error, answer(model, names))
        result[left] = _hooks_left(model)
        if result[left] or result[_CAME_OUT] is not True:
            return result
    # Whether an unknown name raises, and what, is the answer's own affair.
    with suppress(Exception), answer(model, [*names, "no such module"]):
        pass
    result[_LEFT_BY_NAME] = _hooks_left(model)
    result[_ELSES_GONE] = _elses_gone(model)
    return result


def _comes_out(error: BaseException, manager: AbstractContextManager) -> object:
    """Raise an error in a block; return whether it comes out of it, or the name of another that does."""
    try:
        with manager:
            raise error
    except (Exception, KeyboardInterrupt) as caught:
        return True if caught is error else f"as another one, {type(caught).__name__}"
    return False


_CAME_OUT, _LEFT = "the exception came out of the block", "hooks left after an exception"
_LEFT_IF_STOPPED = "hooks left after a KeyboardInterrupt"
_LEFT_BY_NAME = "hooks left after a name that does not exist"
_ELSES_GONE = "hooks of others that are gone"
_AFTER_ERRORS = {_CAME_OUT: True, _LEFT: 0, _LEFT_IF_STOPPED: 0, _LEFT_BY_NAME: 0}  # as it should be


def stored_reference(model: nn.Module, names: list[str], image: Tensor) -> dict:
    """What :func:`try_stored` should return."""
    stem, last = (weight.detach()[:, :, 0, 0] for weight in model.parameters())
    first = _mix(stem, image)
    outputs = {"stem.conv": first, "conv": _mix(last, first.clamp(min=0))}
    return {
        "entries before the forward pass": 0,
        "names stored when the block ends": sorted(names),
        "stored outputs": {name: outputs[name] for name in names},
        "stored tensors that belong to a graph": 0,
        "hooks left at the end": 0,
        _ELSES_GONE: 0,
        **_AFTER_ERRORS,
    }


def _elses(module: nn.Module, inputs: tuple, output: Tensor) -> None:
    """Somebody else's hook."""


def _hooks_left(model: nn.Module) -> int:
    return sum(hook is not _elses for module in model.modules() for hook in module._forward_hooks.values())


def _elses_gone(model: nn.Module) -> int:
    return sum(_elses not in module._forward_hooks.values() for module in model.modules())
