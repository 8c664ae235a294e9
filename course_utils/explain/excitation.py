"""Excitation backprop and its contrastive form, c-MWP (Zhang et al. 2016, arXiv 1608.00507).

A winner is drawn from the top down: first the class itself, then, from each winner i, one of the neurons j that
feed it, with a probability in proportion to what j contributes through positive weights,

    P(a_j | a_i) = a_j w_ij^+ / sum_m a_m w_im^+ ,      P(a_j) = sum_i P(a_j | a_i) P(a_i).

P(a_j), the marginal winning probability (MWP), is what excitation backprop shows. It is never negative, and a
layer's probabilities sum to one, unless a winner has no positive contribution to pass it on to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .hooks import Graph, Intercepted, LayerError, evaluation_mode, graph_from, on_the_way
from .inputs import Classes, class_matrix, prepare
from .layers import Layer, as_map, candidates, find_layer
from .maps import NOT_ON_THE_WAY, check_explainable
from .scores import Output, logits_of

__all__ = ["excitation_backprop"]

_WEIGHTED = {"conv2d", "linear"}
_AVERAGES = {"adaptive_avg_pool2d", "avg_pool2d", "mean"}
_RELUS = {"relu", "relu6", "hardtanh"}
# Autograd's own backward hands each of these operations' probabilities on unchanged: to the same neuron at
# another place, or to the maximum of a window.
_PASSED_ON = {
    "adaptive_max_pool2d", "cat", "clone", "concat", "contiguous", "dropout", "dropout2d", "feature_dropout",
    "flatten", "getitem", "max_pool2d", "permute", "reshape", "squeeze", "transpose", "unsqueeze", "view",
}  # fmt: skip


class _Share(torch.autograd.Function):
    """One layer y = function(x): its backward shares out each winner's probability among its inputs."""

    @staticmethod
    def forward(ctx: object, x: Tensor, layer: _Linear) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x)
        return layer.function(x)

    @staticmethod
    def backward(ctx: object, winners: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        shared = _shared(x, winners, lambda x: ctx.layer.excitation(x, 1))
        if ctx.layer.contrastive:
            shared = shared - _shared(x, winners, lambda x: ctx.layer.excitation(x, -1))
        return shared, None


def _shared(x: Tensor, winners: Tensor, excitation: Callable[[Tensor], Tensor]) -> Tensor:
    """P(a_j) = a_j sum_i w_ij^+ P(a_i) / (sum_m a_m w_im^+), for whatever linear layer excitation() is."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        total = excitation(leaf)
        share = torch.where(total > 0, winners / total.clamp_min(torch.finfo(total.dtype).tiny), 0)
        (back,) = torch.autograd.grad(total, leaf, share)
    return x * back


class _Linear:
    """A linear function, and the same with its positive weights alone (sign 1) or its negated ones' (sign -1)."""

    def __init__(self, func: Callable, args: tuple, kwargs: dict, weighted: bool) -> None:
        self.contrastive = False
        self.function = lambda x: func(x, *args, **kwargs)
        self.excitation = lambda x, sign: self.function(x)
        if weighted:
            kwargs = dict(kwargs)
            weight, rest = (args[0], args[1:]) if args else (kwargs.pop("weight"), ())
            kwargs.pop("bias", None)
            self.excitation = lambda x, sign: func(x, (sign * weight).clamp_min(0), None, *rest[1:], **kwargs)


def _answer(
    graph: Graph,
    linears: list[tuple[_Linear, Tensor]],
    func: Callable,
    written: str,
    args: tuple,
    kwargs: dict,
) -> object:
    """Give a call between the chosen layer and the logits the backward of excitation backprop; note linear layers.

    What lies before the chosen layer is left alone.
    """
    name, kwargs = written.strip("_"), dict(kwargs)
    if graph.activations is None or not _any_on_the_way((args, tuple(kwargs.values()))):
        return func(*args, **kwargs)
    if name in _RELUS | _WEIGHTED | _AVERAGES:
        x, rest = (args[0], args[1:]) if args else (kwargs.pop("input"), ())
        if name in _RELUS:
            # y = relu(z) is the activation of one and the same neuron, which keeps its probability.
            with torch.no_grad():
                rectified = func(x.clone(), *rest, **kwargs)
            return x + (rectified - x).detach()
        _check_not_negative(x, name)
        layer = _Linear(func, rest, kwargs, name in _WEIGHTED)
        y = _Share.apply(x, layer)
        if name == "linear":
            linears.append((layer, y))
        return y
    result = func(*args, **kwargs)
    if name not in _PASSED_ON and _any_on_the_way(result):
        raise ValueError(
            f"excitation backprop has no rule for {name!r}, which this network uses behind the layer. It knows "
            "convolutions, linear layers, ReLUs, pooling and concatenation. Fold a batch normalization into the "
            "convolution before it (torch.nn.utils.fusion.fuse_conv_bn_eval), or use grad_cam."
        )
    return result


def _any_on_the_way(values: object) -> bool:
    """Tensors stand directly among the arguments, or in a list (torch.cat); a layer's own weights do not count."""
    if isinstance(values, tuple | list):
        return any(map(_any_on_the_way, values))
    return on_the_way(values) and not isinstance(values, nn.Parameter)


def _check_not_negative(x: Tensor, name: str) -> None:
    lowest = float(x.detach().amin())
    if lowest < 0:
        raise ValueError(
            f"excitation backprop needs activations that are not negative; {name} is given values down to "
            f"{lowest:.3g}. It is made for networks whose layers end in a ReLU."
        )


def excitation_backprop(
    model: nn.Module,
    images: Tensor,
    classes: Classes = None,
    layer: Layer = None,
    contrastive: bool = False,
    output: Output = None,
) -> Tensor:
    """Excitation backprop (MWP) or its contrastive form (c-MWP), arXiv 1608.00507, summed over a layer's channels.

    The contrastive form takes a second class signal, from the last layer's weights with their signs turned
    around, and subtracts it: what excites every class alike drops out. Its map is signed; it sums to zero where
    neither signal is lost on the way. The paper shows relu of it.

    Args:
        model: maps (N, C, H, W) to logits (N, classes). Behind the layer it may use convolutions, linear layers,
            ReLUs, pooling, concatenation and dropout; for c-MWP it must end in a linear layer.
        images, classes, output: as for :func:`course_utils.explain.grad_cam`.
        layer: module or dotted name; its output is one map (N, C, h, w). Default: the last convolutional map.
        contrastive: c-MWP instead of MWP.

    Returns:
        (N, K, h, w); without ``contrastive`` not negative, each map's sum at most one.

    Raises:
        LayerError: the layer is not in the model, not reached, reached twice, or puts out no map.
        ValueError, TypeError: an operation without a rule, negative activations, bad images, unknown classes.
    """
    model, images = prepare(model, images)
    with evaluation_mode(model):
        module = find_layer(model, images, layer)
        try:
            return _excitation_backprop(model, images, classes, module, contrastive, output)
        except LayerError as error:
            raise LayerError(f"{error} {candidates(model, images)}") from error


def _excitation_backprop(
    model: nn.Module, images: Tensor, classes: Classes, layer: nn.Module, contrastive: bool, output: Output
) -> Tensor:
    with graph_from(layer) as graph:
        linears: list[tuple[_Linear, Tensor]] = []
        with Intercepted(partial(_answer, graph, linears)):
            logits = logits_of(model, images, output)
        check_explainable(layer, graph.activations, logits, images.shape[2:])
        if contrastive:
            _mark_last_layer(linears, logits)
        chosen = class_matrix(model, classes, logits)
        found = [
            as_map(layer, _probabilities(logits, graph.activations, chosen[:, k]), images.shape[2:]).sum(1)
            for k in range(chosen.shape[1])
        ]
    return torch.stack(found, dim=1)


def _probabilities(logits: Tensor, maps: Tensor, classes: Tensor) -> Tensor:
    """P(a) at the layer's output, of the same shape."""
    top = F.one_hot(classes, logits.shape[1]).to(logits.dtype)
    (probabilities,) = torch.autograd.grad(logits, maps, top, retain_graph=True, allow_unused=True)
    if probabilities is None:
        raise LayerError(NOT_ON_THE_WAY)
    if not probabilities.isfinite().all():
        raise ValueError("the winning probabilities are not finite here. Check the model's weights.")
    return probabilities


def _mark_last_layer(linears: list[tuple[_Linear, Tensor]], logits: Tensor) -> None:
    if not linears or linears[-1][1].data_ptr() != logits.data_ptr():
        raise ValueError(
            "the contrastive form turns the signs of the last layer's weights around, so the network must end in a "
            "linear layer; this one does not. Take contrastive=False."
        )
    linears[-1][0].contrastive = True
