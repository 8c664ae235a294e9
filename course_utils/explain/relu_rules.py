"""Three backward rules for every ReLU of a network, however it is written.

At one ReLU, y = max(z, 0), with g the gradient that arrives from above:

    gradient         g [z > 0]            the ReLU's own derivative (Simonyan et al. 2013, arXiv 1312.6034)
    deconvnet        relu(g)              looks at g alone (Zeiler & Fergus 2013, arXiv 1311.2901)
    guided backprop  relu(g) [z > 0]      looks at both (Springenberg et al. 2014, arXiv 1412.6806)

A ReLU6, y = min(max(z, 0), 6), lets the gradient through where 0 < z < 6. The functions are
intercepted while they are called (``torch.overrides.TorchFunctionMode``), not the modules: a
network may use nn.ReLU, F.relu, ``x.relu_()`` or ``x.clamp(min=0)``, and none of its modules is touched.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .layers import hooked

__all__ = ["RULES", "ActivationError", "Rewritten", "activations_used", "refuse_by_name", "relu_rule"]

RULES = ("gradient", "deconvnet", "guided")


class ActivationError(ValueError):
    """The network's activation functions have no guided rule; the message says which and why."""


@dataclass
class Rewritten:
    """What a rule met: ``names`` counts the activations rewritten, by the function's name; ``total`` sums up."""

    names: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many activations were rewritten."""
        return self.names.total()


# For each function that can be a ReLU: its arguments -> (lower bound, upper bound, whether it works in place).
# A bound is a number, or a tensor that holds one number throughout: z.clamp(min=torch.zeros(())).
_FORMS: dict[str, Callable[..., tuple[object, object, bool]]] = {
    "relu": lambda input, inplace=False: (0, math.inf, inplace),
    "relu6": lambda input, inplace=False: (0, 6, inplace),
    "hardtanh": lambda input, min_val=-1, max_val=1, inplace=False: (min_val, max_val, inplace),
    "clamp": lambda input, min=None, max=None: (min, math.inf if max is None else max, False),
    "clamp_min": lambda input, min: (min, math.inf, False),
    "threshold": lambda input, threshold, value, inplace=False: (
        0 if threshold == value == 0 else None,
        math.inf,
        inplace,
    ),
}
_FORMS["clip"] = _FORMS["clamp"]
_FORMS["maximum"] = lambda input, other: (other, math.inf, False)

# Activations that are neither zero on one side nor the identity on the other. Sigmoid and softmax are missing:
# as gates and attention they stand in networks of ReLUs, and have their own derivative there.
_WITHOUT_RULE = {
    "celu", "elu", "gelu", "glu", "hardshrink", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "prelu", "rrelu", "selu", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
}  # fmt: skip
# Modules of these names may compute such a function by other means: x * relu6(x + 3) / 6, or x * sigmoid(x).
_MODULES_WITHOUT_RULE = {
    "celu", "elu", "gelu", "gelutanh", "hardmish", "hardmishme", "hardswish", "hardswishme", "hswish",
    "leakyrelu", "memoryefficientswish", "mish", "prelu", "quickgelu", "selu", "silu", "swish", "swishme",
}  # fmt: skip


class _Rectifier(torch.autograd.Function):
    """min(max(z, 0), high) with the backward rule of the deconvnet or of guided backprop."""

    @staticmethod
    def forward(ctx: object, z: Tensor, high: float, rule: str) -> Tensor:
        ctx.rule, ctx.high = rule, high
        if rule == "guided":
            ctx.save_for_backward((z > 0) & (z < high))
        return z.clamp(0, high)

    @staticmethod
    def backward(ctx: object, g: Tensor) -> tuple[Tensor, None, None]:
        positive = g.clamp_min(0)
        if ctx.rule == "guided":
            (passes,) = ctx.saved_tensors
            positive = positive * passes
        return positive, None, None


class _Interceptor(TorchFunctionMode):
    """Sees every PyTorch function that is called while it is active, and rewrites those that are ReLUs."""

    def __init__(self, rule: str, rewritten: Rewritten, refuse: bool = True) -> None:
        super().__init__()
        self.rule, self.rewritten, self.refuse = rule, rewritten, refuse

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Answer one call: a ReLU by the rule, any other function as ever."""
        kwargs = kwargs or {}
        written = getattr(func, "__name__", "")
        name = written.strip("_")
        if name == "maximum" and len(args) == 2 and not _on_the_way(args[0]):
            args = args[::-1]  # maximum(0, z)
        z = args[0] if args else kwargs.get("input")
        # What needs no gradient (labels, the backward pass itself) is not on the image's way to the score.
        if (name not in _FORMS and name not in _WITHOUT_RULE) or not _on_the_way(z):
            return func(*args, **kwargs)
        low, high, inplace = _FORMS[name](*args, **kwargs) if name in _FORMS else (None, None, False)
        low, high = _number(low), _number(high)
        if not _is_zero(low) or not isinstance(high, int | float) or high <= 0:
            if name in _WITHOUT_RULE:
                self._without_rule(name)
            return func(*args, **kwargs)  # clamp(min=1e-6) guards a division: no activation
        self.rewritten.names[name] += 1
        if self.rule == "gradient":
            return func(*args, **kwargs)
        if not (inplace or written.endswith("_")):
            return _Rectifier.apply(z, high, self.rule)
        # z itself is overwritten, as whoever called this in place relies on.
        return z.copy_(_Rectifier.apply(z, high, self.rule))

    def _without_rule(self, name: str) -> None:
        if self.refuse:
            raise ActivationError(no_rule(name))
        self.rewritten.names[name] += 1


def _on_the_way(z: object) -> bool:
    return isinstance(z, Tensor) and z.is_floating_point() and z.requires_grad


def _number(bound: object) -> object:
    """A constant tensor's one number; anything else as it is, a bound that depends on the image included."""
    if isinstance(bound, Tensor) and bound.numel() and not bound.requires_grad:
        first = bound.flatten()[0]
        return first.item() if (bound == first).all() else bound
    return bound


def _is_zero(bound: object) -> bool:
    return isinstance(bound, int | float) and bound == 0


def no_rule(name: str) -> str:
    """Return the sentence that refuses an activation function."""
    return (
        f"the network uses {name}. Deconvnet and guided backprop are rules for ReLUs, which either pass a value on or "
        f"stop it; {name} does neither, so that no rule says which gradients to stop, and the result would be the "
        "plain gradient under another name. Use saliency or grad_cam, which take any activation, or a network of ReLUs."
    )


@contextmanager
def relu_rule(rule: str) -> Iterator[Rewritten]:
    """Give every ReLU that runs inside this block the backward rule "gradient", "deconvnet" or "guided".

    >>> with relu_rule("guided") as rewritten:
    ...     y = net(images)[0, 281]          # images.requires_grad_() was called before
    >>> torch.autograd.grad(y, images)       # guided backprop
    >>> rewritten.total, rewritten.names     # 33, Counter({'hardtanh': 33})

    Rewritten are relu, relu6, hardtanh, clamp, clip, threshold and maximum, in any spelling, in place or not, where
    they cut off at zero from below and what they are applied to needs a gradient. The values of the forward pass stay
    the same. After the block, also after an exception, PyTorch is as it was; the graph made inside keeps the rule.

    Raises:
        ValueError: there is no such rule.
        ActivationError: SiLU, GELU, Hardswish or the like was met, for which the rules mean nothing.
    """
    if rule not in RULES:
        raise ValueError(f"there is no rule {rule!r} for a ReLU; there are {', '.join(RULES)}.")
    rewritten = Rewritten()
    with _Interceptor(rule, rewritten):
        yield rewritten


def activations_used(model: nn.Module, images: Tensor) -> Counter[str]:
    """Count the activation functions that one forward pass uses, by name, those without a rule included.

    >>> activations_used(clf, images)
    Counter({'hardtanh': 33})                # nn.ReLU6 calls hardtanh(x, 0, 6)

    Args:
        model: any network; it runs in the mode it is in.
        images: (N, C, H, W).
    """
    found = Rewritten()
    with torch.inference_mode(False), torch.enable_grad(), _Interceptor("gradient", found, refuse=False):
        model(images.detach().clone().requires_grad_())
    return found.names


@contextmanager
def refuse_by_name(model: nn.Module) -> Iterator[None]:
    """Raise ActivationError when a module runs whose name says that it has no rule, whatever it calls."""

    def refuse(module: nn.Module, inputs: tuple, output: object) -> None:
        raise ActivationError(no_rule(type(module).__name__))

    named = [
        part
        for part in model.modules()
        if type(part).__name__.lower().replace("_", "") in _MODULES_WITHOUT_RULE
    ]
    with hooked(named, refuse):
        yield
