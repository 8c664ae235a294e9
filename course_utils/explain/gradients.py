"""Explanations at the resolution of the image: gradient, deconvnet, guided backprop, Guided Grad-CAM.

All run the score's gradient back to the image, (N, K, C, H, W), signed; they differ in what each ReLU hands back. The
score y^c of class c is that before softmax. At one ReLU, y = max(z, 0), with g the gradient that arrives from above:

    gradient         g [z > 0]            the ReLU's own derivative (Simonyan et al. 2013, arXiv 1312.6034)
    deconvnet        relu(g)              looks at g alone (Zeiler & Fergus 2013, arXiv 1311.2901)
    guided backprop  relu(g) [z > 0]      looks at both (Springenberg et al. 2014, arXiv 1412.6806)

A ReLU6, y = min(max(z, 0), 6), lets the gradient through where 0 < z < 6. The functions are intercepted while they are
called, so a ReLU may be written in any way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from .hooks import Intercepted, evaluation_mode, hooked, on_the_way
from .inputs import Classes, Layer, Output, class_matrix, image_gradient, logits_of, prepare
from .maps import grad_cam

__all__ = [
    "ActivationError", "activations_used", "deconvnet", "guided_backprop", "guided_grad_cam", "relu_rule", "saliency",
]  # fmt: skip

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
        ctx.rule = rule
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


def _answer(
    rule: str, rewritten: Rewritten, refuse: bool, func: Callable, written: str, args: tuple, kwargs: dict
) -> object:
    """Answer one call of a PyTorch function: a ReLU by the rule, any other function as ever."""
    name = written.strip("_")
    if name == "maximum" and len(args) == 2 and not on_the_way(args[0]):
        args = args[::-1]  # maximum(0, z)
    z = args[0] if args else kwargs.get("input")
    # What needs no gradient (labels, the backward pass itself) is not on the image's way to the score.
    if (name not in _FORMS and name not in _WITHOUT_RULE) or not on_the_way(z):
        return func(*args, **kwargs)
    low, high, inplace = _FORMS[name](*args, **kwargs) if name in _FORMS else (None, None, False)
    low, high = _number(low), _number(high)
    if not _is_zero(low) or not isinstance(high, int | float) or high <= 0:
        if name in _WITHOUT_RULE:
            if refuse:
                raise ActivationError(_no_rule(name))
            rewritten.names[name] += 1
        return func(*args, **kwargs)  # clamp(min=1e-6) guards a division: no activation
    rewritten.names[name] += 1
    if rule == "gradient":
        return func(*args, **kwargs)
    if not (inplace or written.endswith("_")):
        return _Rectifier.apply(z, high, rule)
    # z itself is overwritten, as whoever called this in place relies on.
    return z.copy_(_Rectifier.apply(z, high, rule))


def _number(bound: object) -> object:
    """A constant tensor's one number; anything else as it is, a bound that depends on the image included."""
    if isinstance(bound, Tensor) and bound.numel() and not bound.requires_grad:
        first = bound.flatten()[0]
        return first.item() if (bound == first).all() else bound
    return bound


def _is_zero(bound: object) -> bool:
    return isinstance(bound, int | float) and bound == 0


def _no_rule(name: str) -> str:
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
    with Intercepted(partial(_answer, rule, rewritten, True)):
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
    counting = Intercepted(partial(_answer, "gradient", found, False))
    with torch.inference_mode(False), torch.enable_grad(), counting:
        model(images.detach().clone().requires_grad_())
    return found.names


@contextmanager
def _refuse_by_name(model: nn.Module) -> Iterator[None]:
    """Raise ActivationError when a module runs whose name says that it has no rule, whatever it calls."""

    def refuse(module: nn.Module, inputs: tuple, output: object) -> None:
        raise ActivationError(_no_rule(type(module).__name__))

    kinds = [(part, type(part).__name__.lower().replace("_", "")) for part in model.modules()]
    with hooked([part for part, kind in kinds if kind in _MODULES_WITHOUT_RULE], refuse):
        yield


def saliency(model: nn.Module, images: Tensor, classes: Classes = None, output: Output = None) -> Tensor:
    """Gradient of the score with respect to the image (arXiv 1312.6034): dy^c / dx, with its signs.

    It answers a question about infinitely small changes: by how much the score would rise for each unit by which
    one color of one pixel is raised. It takes any activation function.

    Args:
        model, images, classes, output: as for :func:`course_utils.explain.grad_cam`.

    Returns:
        (N, K, C, H, W), signed. Model and images are left as they were.

    Raises:
        ValueError, TypeError: bad images, unknown classes, logits that are not (N, classes), gradients that are
            not finite.
    """
    model, images = prepare(model, images)
    with evaluation_mode(model):
        return _image_gradients(model, images, classes, output)


def deconvnet(model: nn.Module, images: Tensor, classes: Classes = None, output: Output = None) -> Tensor:
    """Deconvnet (arXiv 1311.2901): on the way back each ReLU passes relu(g), whatever went through it forward.

    Max pooling hands its gradient to the pixel that was the maximum, which is the paper's "switches". Arguments,
    result and errors as for :func:`guided_backprop`.
    """
    return _with_rule("deconvnet", model, images, classes, output)


def guided_backprop(
    model: nn.Module, images: Tensor, classes: Classes = None, output: Output = None
) -> Tensor:
    """Guided backprop (arXiv 1412.6806): each ReLU passes relu(g) [z > 0] back, for ReLU6 relu(g) [0 < z < 6].

    Every ReLU counts, as a module or a function, in place or not; no module is replaced. To see how many there
    are, use :func:`relu_rule` or :func:`activations_used`. Arguments and result as for :func:`saliency`.

    Raises:
        ActivationError: the network uses SiLU, GELU, Hardswish or the like, or no ReLU at all.
        ValueError, TypeError: as :func:`saliency`.
    """
    return _with_rule("guided", model, images, classes, output)


def guided_grad_cam(
    model: nn.Module, images: Tensor, classes: Classes = None, layer: Layer = None, output: Output = None
) -> Tensor:
    """Guided Grad-CAM (arXiv 1610.02391): guided backprop times the Grad-CAM heat-map, pixel by pixel.

        H^c = enlarged(relu(L^c)),   G^c_(color, i, j) = guided backprop^c_(color, i, j) * H^c_ij / max H^c

    The map is enlarged bilinearly, then divided by its maximum; where no cell of it is positive, the result is zero
    everywhere. ``layer``, and the LayerError about it, as for :func:`course_utils.explain.grad_cam`; other
    arguments, result and errors as for :func:`guided_backprop`.
    """
    explanation = grad_cam(model, images, classes, layer, output)
    guided = guided_backprop(model, images, explanation.classes, output)
    return guided * explanation.heatmaps()[:, :, None]


def _with_rule(rule: str, model: nn.Module, images: Tensor, classes: Classes, output: Output) -> Tensor:
    model, images = prepare(model, images)
    with evaluation_mode(model), _refuse_by_name(model), relu_rule(rule) as rewritten:
        result = _image_gradients(model, images, classes, output)
    if not rewritten.total:
        raise ActivationError(
            f"this {type(model).__name__} uses no ReLU that could be rewritten, so that the result would be the plain "
            "gradient under another name. (Inside scripted or compiled code a ReLU cannot be seen: hand over the "
            "original network.) Use saliency or grad_cam, which take any activation."
        )
    return result


def _image_gradients(model: nn.Module, images: Tensor, classes: Classes, output: Output) -> Tensor:
    """Return dy^c / dx for the K classes of each image: one forward pass, K backward passes."""
    with torch.inference_mode(False), torch.enable_grad():
        images = images.requires_grad_()
        logits = logits_of(model, images.clone(), output)
        scores = logits.gather(1, class_matrix(model, classes, logits))
        # Image n's score depends on image n alone: the gradient of the sum over images holds them all.
        last = scores.shape[1] - 1
        gradients = [
            image_gradient(scores[:, k].sum(), images, retain_graph=k < last) for k in range(last + 1)
        ]
    result = torch.stack(gradients, dim=1)
    if not (result.isfinite().all() and scores.isfinite().all()):
        raise ValueError(
            "scores or gradients are not finite here. Check the model's weights, and whether a last "
            "softmax or sigmoid rounds to 0 or 1."
        )
    return result
