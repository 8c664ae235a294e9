"""Explanations at the resolution of the image: gradient, deconvnet, guided backprop, Guided Grad-CAM, averages of them.

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
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number

from .hooks import Intercepted, check_derivatives, evaluation_mode, hooked, nodes_between, on_the_way
from .inputs import Classes, class_matrix, image_gradient, prepare
from .layers import Layer
from .maps import grad_cam
from .scores import Output, logits_of

__all__ = [
    "ActivationError", "activations_used", "deconvnet", "guided_backprop", "guided_grad_cam", "integrated_gradients",
    "relu_rule", "saliency", "smooth_grad",
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
_LARGER = {"fmax", "max", "maximum"}  # of two tensors: z.max(0) is another function
_COMPARISONS = {"ge", "greater", "greater_equal", "gt", "le", "less", "less_equal", "lt"}

# Activations that are neither zero on one side nor the identity on the other. Sigmoid and softmax are missing:
# as gates and attention they stand in networks of ReLUs, and have their own derivative there.
_WITHOUT_RULE = {
    "celu", "elu", "erf", "gelu", "glu", "hardshrink", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "prelu", "rrelu", "selu", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
}  # fmt: skip
# Never a ReLU, and most of a network's calls: not looked at, which takes time. ("get" reads an attribute.)
_NEVER = {"batch_norm", "conv2d", "dim", "get", "linear", "size"}
# Modules of these names may compute such a function by other means: x * relu6(x + 3) / 6, or x * sigmoid(x).
_MODULES_WITHOUT_RULE = {
    "celu", "elu", "gelu", "gelutanh", "hardmish", "hardmishme", "hardswish", "hardswishme", "hswish",
    "memoryefficientswish", "mish", "quickgelu", "selu", "silu", "swish", "swishme",
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
    """Answer one call of a PyTorch function: a ReLU by the rule, any other function as ever.

    A ReLU is known by its name and bounds or, whatever its name, by what it did: max(z, 0) came out of it.
    """
    written = written.partition(".")[0]  # torch.ops.aten.relu.default
    name = written.strip("_")
    if name in _NEVER or not torch.is_grad_enabled():
        return func(*args, **kwargs)
    given = [
        value
        for argument in (*args, *kwargs.values())
        for value in (argument if isinstance(argument, list | tuple) else (argument,))
        if isinstance(value, Tensor)
    ]
    # What needs no gradient (labels, the backward pass itself) is not on the image's way to the score; but a mask
    # z > 0 stands for its z.
    sources = [value if on_the_way(value) else getattr(value, "sign_of", None) for value in given]
    if all(z is None for z in sources):
        return func(*args, **kwargs)
    named = _named_relu(name, args, kwargs)
    if named is not None:
        rewritten.names[name] += 1
        if rule == "gradient":
            return func(*args, **kwargs)
        z, high, inplace = named
        y = _Rectifier.apply(z, high, rule)
        # In place, z itself is overwritten, as whoever called this relies on.
        return z.copy_(y) if inplace or written.endswith("_") else y
    overwrites = written == "__setitem__" or (written.endswith("_") and not written.endswith("__"))
    if overwrites and on_the_way(given[0]):
        before = given[0].clone()
        sources = [before if z is given[0] else z for z in sources]
    result = func(*args, **kwargs)
    if _larger_of_pairs(given, result):
        if refuse:
            raise ActivationError(
                f"the network puts z and zeros side by side, and {name} takes the larger of each pair{_place()}: a "
                "ReLU in a form that is not rewritten here, so that the result would in part be the plain gradient "
                "under another name. Write it as torch.relu(z), or use saliency or grad_cam."
            )
        rewritten.names[name] += 1
    y = given[0] if overwrites else result
    if isinstance(y, Tensor) and not y.requires_grad:
        compared = name in _COMPARISONS and all(_is_zero(_number(a)) for a in args if not on_the_way(a))
        if compared or not any(map(on_the_way, given)):  # z > 0; ~mask, mask.float()
            y.sign_of = next(z for z in sources if z is not None)
        return result
    unruled = name if name in _WITHOUT_RULE else None
    for value, z in zip(given, sources, strict=True):
        slopes = None if z is None or z is y else _slopes(z, y, certain=not on_the_way(value))
        if slopes is not None and 0 in slopes:
            rewritten.names[name] += 1
            if rule == "gradient":
                return result
            slope = slopes[1] or -slopes[0]  # min(z, 0) = -max(-z, 0)
            relu = slope * _Rectifier.apply(z if slopes[1] else -z, math.inf, rule)
            return y.copy_(relu) if overwrites else relu
        if slopes is not None and unruled is None:
            unruled = f"{name}, whose slope is {slopes[0]:.3g} below zero and {slopes[1]:.3g} above"
    if unruled:
        if refuse:
            raise ActivationError(_no_rule(unruled))
        rewritten.names[name] += 1
    return result


def _larger_of_pairs(given: list[Tensor], result: object) -> bool:
    """Whether max(z, 0) comes out of a tensor that holds z and zeros: ``torch.stack([z, zeros]).amax(0)``.

    Such a tensor is marked with its z, and so is what is made of it (another shape, its sorted values).
    """
    ways = [value for value in given if on_the_way(value)]
    z = ways[0] if len(ways) == 1 else None
    paired = z is not None and any(v is not z and v.shape == z.shape and not v.any() for v in given)
    held = getattr(z, "beside_zeros", None)
    for y in result if isinstance(result, tuple) else (result,):
        if not on_the_way(y):
            continue
        same = held is not None and y.numel() == held.numel()
        if same and 0 in (_slopes(held, y.reshape(held.shape), certain=False) or ()):
            return True
        if held is not None and y.numel() >= held.numel():
            y.beside_zeros = held
        elif paired and y.numel() > z.numel():
            y.beside_zeros = z
    return False


def _named_relu(name: str, args: tuple, kwargs: dict) -> tuple[Tensor, float, bool] | None:
    """Return (z, upper bound, whether it works in place), if this call is a ReLU by its name and its bounds."""
    if name in _LARGER and len(args) == 2 and all(isinstance(value, Tensor) for value in args):
        z, low, high, inplace = *(args if on_the_way(args[0]) else args[::-1]), math.inf, False
    elif name in _FORMS:
        z = args[0] if args else kwargs.get("input")
        low, high, inplace = _FORMS[name](*args, **kwargs)
    else:
        return None
    low, high = _number(low), _number(high)
    # clamp(min=1e-6) guards a division: no activation
    is_relu = on_the_way(z) and _is_zero(low) and isinstance(high, int | float) and high > 0
    return (z, high, inplace) if is_relu else None


def _slopes(z: Tensor, y: Tensor, certain: bool) -> tuple[float, float] | None:
    """Return (a, b), unlike in size, if y = a z wherever z < 0 and y = b z elsewhere: (0, 1) for a ReLU.

    Where z has one sign throughout, nothing was cut off: only a call that is ``certain`` to look at the sign counts.
    """
    if not isinstance(y, Tensor) or y.shape != z.shape or not y.is_floating_point():
        return None
    z, y = z.detach().flatten(), y.detach().flatten()
    some = slice(None, None, len(z) // 32 + 1)
    seen: dict[bool, float] = {}
    for before, after in zip(z[some].tolist(), y[some].tolist(), strict=True):  # rule most functions out
        slope = after / before if before else after
        same = math.isclose(seen.setdefault(before > 0, slope), slope, rel_tol=0.1) if before else slope == 0
        if not same:
            return None
    low, high = z.argmin(), z.argmax()
    below = (y[low] / z[low]).item() if z[low] < 0 else None
    above = (y[high] / z[high]).item() if z[high] > 0 else None
    if None in (below, above) and not certain:
        return None
    expected = torch.where(z < 0, z * (below or 0), z * (above or 0))
    if not ((y - expected).abs() <= 8 * torch.finfo(y.dtype).eps * expected.abs()).all():
        return None
    if None in (below, above):
        return (0, 1) if below in (None, 0) and above in (None, 1) else None
    if math.isclose(abs(below), abs(above), rel_tol=1e-3):
        return None  # linear, or |z|
    if 0 not in (below, above) and min((z < 0).sum(), (z > 0).sum()) < 4:
        return None  # the product of any two small tensors may look so
    return below, above


def _number(bound: object) -> object:
    """A constant tensor's one number; anything else as it is, a bound that depends on the image included."""
    if isinstance(bound, Tensor) and bound.numel() and not bound.requires_grad:
        first = bound.flatten()[0]
        return first.item() if (bound == first).all() else bound
    return bound


def _is_zero(bound: object) -> bool:
    return isinstance(bound, int | float) and bound == 0


def _no_rule(used: str) -> str:
    """Return the sentence that refuses an activation function."""
    return (
        f"the network uses {used}{_place()}. Deconvnet and guided backprop are rules for ReLUs, which pass a value on "
        "above zero and stop it below; this does something else, so that no rule says which gradients to stop, and the "
        "result would be the plain gradient under another name. Use saliency or grad_cam, which take any activation, "
        "or a network of ReLUs."
    )


def _place() -> str:
    """Return the module at work, and the line of its forward if that is not PyTorch's own, for a message."""
    frame = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        module = frame.f_locals.get(frame.f_code.co_varnames[0]) if frame.f_code.co_argcount else None
        if isinstance(module, nn.Module) and frame.f_code.co_name not in ("_call_impl", "_wrapped_call_impl"):
            line = "" if "torch" in file.parts else f", {file.name} line {frame.f_lineno}"
            return f" (in {type(module).__name__}{line})"
        frame = frame.f_back
    return ""


# Names of nodes in autograd's graph: activations, which the rule would have replaced had it seen them called.
_UNSEEN = re.compile("relu|elu|silu|hardswish|mish|threshold|hardtanh|softplus", re.IGNORECASE)


def _check_graph(scores: Tensor, images: Tensor, rule: str) -> None:
    """Refuse what stands between images and scores and hides, from autograd or from the rule, what it does."""
    nodes = nodes_between(scores, images)
    check_derivatives(nodes)
    for node in nodes:
        name, function = node.name(), getattr(type(node), "_forward_cls", None)
        if name == "CheckpointFunctionBackward":
            raise ValueError(
                "the network uses torch.utils.checkpoint with use_reentrant=True, which gives no gradient of the "
                "images alone. Set use_reentrant=False, or switch checkpointing off: it only saves memory in training."
            )
        if rule == "gradient" or function is _Rectifier:
            continue
        if "DifferentiableGraph" in name or name == "CompiledFunctionBackward":
            what = "a part that was scripted or compiled"
        elif function is not None and not function.__module__.startswith("torch."):
            what = f"{function.__qualname__} of {function.__module__}, an autograd function with a backward of its own"
        elif _UNSEEN.search(name):
            activation = name.rstrip("0123456789").removesuffix("Backward")
            what = f"{activation} inside code that hides its calls (scripted, vmapped, C++)"
        else:
            continue
        raise ActivationError(
            f"the network uses {what}: what it hands back cannot be rewritten, so that the result would in part be "
            "the plain gradient under another name. Use saliency or grad_cam, or write its ReLUs in Python, as "
            "torch.nn.ReLU, say."
        )


@contextmanager
def relu_rule(rule: str) -> Iterator[Rewritten]:
    """Give every ReLU that runs inside this block the backward rule "gradient", "deconvnet" or "guided".

    >>> with relu_rule("guided") as rewritten:
    ...     y = net(images)[0, 281]          # images.requires_grad_() was called before
    >>> torch.autograd.grad(y, images)       # guided backprop
    >>> rewritten.total, rewritten.names     # 33, Counter({'hardtanh': 33})

    Rewritten are relu, relu6, hardtanh, clamp, threshold, maximum and the like, where they cut off at zero from below;
    and any other call, ``z * (z > 0)`` or ``z[z < 0] = 0``, that turns a z of both signs into max(z, 0), or into a
    multiple of it or of min(z, 0) = -max(-z, 0). In place or not, what they are applied to needs a gradient. The values
    of the forward pass stay the same. After the block, also after an exception, PyTorch is as it was; the graph made
    inside keeps the rule.

    Left as they are, with their own derivative: sigmoid and softmax, which stand in networks of ReLUs as gates; smooth
    functions written out of other operations, such as a Swish ``z * torch.sigmoid(z)`` (``nn.SiLU`` is refused, this is
    not); |z|, the maximum of several maps (maxout, max pooling), and ``clamp`` with a lower bound other than zero.
    ``rewritten.names`` tells what was rewritten.

    Raises:
        ValueError: there is no such rule.
        ActivationError: SiLU, GELU, a leaky ReLU or the like was met, for which the rules mean nothing; or a ReLU
            in a form that is not rewritten, ``torch.stack([z, zeros]).amax(0)``.
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
    """Raise ActivationError for scripted parts, and when a module runs whose name says that it has no rule."""

    def refuse(module: nn.Module, inputs: tuple, output: object) -> None:
        raise ActivationError(_no_rule(type(module).__name__))

    kinds = []
    for name, part in model.named_modules():
        kinds.append((part, type(part).__name__.lower().replace("_", "")))
        if isinstance(part, torch.jit.ScriptModule):
            raise ActivationError(
                f"{f'the part {name!r} of the network' if name else 'the network'} is scripted or traced: it runs "
                "outside Python, where ReLUs cannot be rewritten, and the result would be the plain gradient under "
                "another name. Hand over the network as it was before torch.jit, or use saliency."
            )
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
            not finite, operations without a derivative (quantized layers).
    """
    model, images = prepare(model, images)
    with evaluation_mode(model):
        return _image_gradients(model, images, classes, "gradient", output)


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

    Every ReLU counts, as a module, a function or written out, in place or not; no module is replaced. What is left as
    it is, stands at :func:`relu_rule`; :func:`activations_used` counts. Arguments and result as for :func:`saliency`.

    Raises:
        ActivationError: the network uses SiLU, GELU, Hardswish or the like, no ReLU at all, or parts whose calls cannot
            be seen: scripted, compiled, an autograd function of its own.
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


def integrated_gradients(
    model: nn.Module, images: Tensor, classes: Classes = None, steps: int = 32, output: Output = None
) -> Tensor:
    """Integrated Gradients (arXiv 1703.01365) from black: x times the mean gradient on the way from 0 to x.

        IG = x * (1/m) sum_k dy^c / dx at (k + 1/2) x / m,   k = 0 .. m - 1

    Summed over colors and pixels it is y^c(x) - y^c(0) up to the error of the sum of ``steps`` = m terms
    (completeness). Arguments, result and errors as for :func:`saliency`, and ValueError: steps is not positive. Class
    None is the one predicted for x.
    """
    steps = whole_number(steps, "steps", least=1)
    model, images = prepare(model, images)
    chosen = _classes_of(model, images, classes, output)
    at = ((k + 0.5) / steps for k in range(steps))
    return images[:, None] * sum(saliency(model, a * images, chosen, output) for a in at) / steps


def smooth_grad(
    model: nn.Module,
    images: Tensor,
    classes: Classes = None,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    output: Output = None,
) -> Tensor:
    """SmoothGrad (arXiv 1706.03825): the mean of dy^c / dx over ``samples`` noisy copies of the image.

    The noise is normal, its deviation ``noise`` times the image's range; the copies are cut off at the image's lowest
    and highest value, since a Classifier takes no others. Other arguments, result and errors as for :func:`saliency`,
    and ValueError: samples is not positive, or noise is negative. Class None is the one predicted for x.
    """
    samples, seed = whole_number(samples, "samples", least=1), whole_number(seed, "seed", least=0)
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is a share of the image's range, such as 0.15, got {noise}.")
    model, images = prepare(model, images)
    chosen = _classes_of(model, images, classes, output)
    draw = torch.Generator().manual_seed(seed)
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    total = torch.zeros(())
    for _ in range(samples):
        noisy = images + noise * (high - low) * torch.randn(images.shape, generator=draw).to(images)
        total = total.to(images) + saliency(model, noisy.clamp(low, high), chosen, output)
    return total / samples


def _classes_of(model: nn.Module, images: Tensor, classes: Classes, output: Output) -> Tensor:
    """Return the classes (N, K) for the images themselves: a step on the way could predict another."""
    with evaluation_mode(model), torch.no_grad():
        return class_matrix(model, classes, logits_of(model, images.clone(), output))


def _with_rule(rule: str, model: nn.Module, images: Tensor, classes: Classes, output: Output) -> Tensor:
    model, images = prepare(model, images)
    with evaluation_mode(model), _refuse_by_name(model), relu_rule(rule) as rewritten:
        result = _image_gradients(model, images, classes, rule, output)
    if not rewritten.total:
        raise ActivationError(
            f"this {type(model).__name__} uses no ReLU that could be rewritten, so that the result would be the plain "
            "gradient under another name. Use saliency or grad_cam, which take any activation."
        )
    return result


def _image_gradients(model: nn.Module, images: Tensor, classes: Classes, rule: str, output: Output) -> Tensor:
    """Return dy^c / dx for the K classes of each image: one forward pass, K backward passes."""
    with torch.inference_mode(False), torch.enable_grad():
        images = images.requires_grad_()
        logits = logits_of(model, images.clone(), output)
        scores = logits.gather(1, class_matrix(model, classes, logits))
        if scores.requires_grad:
            _check_graph(scores, images, rule)
        # Image n's score depends on image n alone: the gradient of the sum over images holds them all.
        last = scores.shape[1] - 1
        gradients = [image_gradient(scores[:, k].sum(), images, k < last) for k in range(last + 1)]
    result = torch.stack(gradients, dim=1)
    if not (result.isfinite().all() and scores.isfinite().all()):
        raise ValueError(
            "scores or gradients are not finite here. Check the model's weights, and whether a last "
            "softmax or sigmoid rounds to 0 or 1."
        )
    return result
