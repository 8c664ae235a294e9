"""CAM, Grad-CAM, its counterfactual and Grad-CAM++, and the engine behind them.

Symbols as in Selvaraju et al. 2017 (arXiv 1610.02391): A^k is channel k of a layer's activations, of h x w = Z cells;
y^c is the score of class c before softmax; L^c = sum_k alpha_k^c A^k is the raw, signed map, its weights alpha_k^c
being mean gradients, see :func:`grad_cam`. Grad-CAM is relu(L^c); its counterfactual, which negates the gradients
first, is relu(-L^c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .hooks import (
    ForwardHook,
    LayerError,
    check_derivatives,
    evaluation_mode,
    graph_from,
    hooked,
    hooks_of_others,
    nodes_between,
    spared_graph,
)
from .inputs import (
    Classes,
    Layer,
    candidates,
    check_logits,
    class_matrix,
    class_names,
    find_layer,
    prepare,
    run,
)

__all__ = ["Explanation", "cam", "enlarged", "explain", "grad_cam", "grad_cam_pp", "heatmaps"]

# Gradients of several classes are computed at once, in portions of at most 256 MB, each averaged before the next.
MAX_GRADIENT_VALUES = 2**26


@dataclass(frozen=True, repr=False)
class Explanation:
    """Signed maps for N images and K classes or scores each, with what they were made of.

    Attributes:
        maps: (N, K, h, w), the raw weighted sums L^c, before any ReLU.
        scores: (N, K), the numbers that were explained, y^c.
        classes: (N, K), the class numbers; 0..K-1 where the scores are no classes.
        weights: (N, K, C), the alpha_k^c.
        activations: (N, C, h, w), the A^k.
        image_size: (H, W) of the images, or None where no images were handed over.
        names: class names, N lists of K, or None where the model has none.
    """

    maps: Tensor
    scores: Tensor
    classes: Tensor
    weights: Tensor
    activations: Tensor
    image_size: tuple[int, int] | None = None
    names: list[list[str]] | None = None

    @property
    def positive(self) -> Tensor:
        """relu(L^c): what speaks for the class. For :func:`grad_cam` this is the Grad-CAM map."""
        return self.maps.relu()

    @property
    def negative(self) -> Tensor:
        """relu(-L^c): what speaks against it, the counterfactual; the same backward pass gives it."""
        return (-self.maps).relu()

    @property
    def empty(self) -> Tensor:
        """(N, K) bool: no pixel speaks for the class, so that its heat-map is zero everywhere."""
        return (self.maps <= 0).flatten(2).all(2)

    def heatmaps(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """Return (N, K, H, W) in [0, 1]: relu(L^c), enlarged, divided by its maximum; see :attr:`empty`.

        Args:
            size: side or (H, W); by default that of the images.
        """
        size = self.image_size if size is None else size
        if size is None:
            raise ValueError("the size of the images is not known here: call heatmaps(size) with (H, W).")
        return heatmaps(self.maps, size)

    def __repr__(self) -> str:
        n, k, h, w = self.maps.shape
        empty = int(self.empty.sum())
        return f"Explanation({n} image(s), {k} score(s) each, maps of {h} x {w}, {empty} empty)"


def enlarged(maps: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Enlarge maps (h, w), (N, h, w) or (N, K, h, w) to ``size``, a side or (H, W), bilinearly and with their signs.

    Corners are not aligned (``align_corners=False``): each cell keeps its share of the image.
    """
    planes = maps if maps.ndim == 4 else maps.reshape(-1, 1, *maps.shape[-2:])
    large = F.interpolate(planes, size, mode="bilinear", align_corners=False)
    return large.reshape(*maps.shape[:-2], *large.shape[-2:])


def heatmaps(maps: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Return heat-maps in [0, 1]: relu, bilinear enlargement to ``size``, division by each map's own maximum.

    Maps and size as for :func:`enlarged`. A map in which nothing is positive stays zero everywhere.
    """
    height, width = (size, size) if hasattr(size, "__index__") else size
    if height < 1 or width < 1:
        raise ValueError(f"a heat-map needs a size of at least 1 pixel, got {height} x {width}.")
    large = enlarged(maps.relu(), (height, width))
    largest = large.amax((-2, -1), keepdim=True)
    return large / torch.where(largest > 0, largest, 1)


Weighting = Callable[[Tensor, Tensor], Tensor]


def _mean_of_gradients(gradients: Tensor, activations: Tensor) -> Tensor:
    """alpha_k^c = (1/Z) sum_ij dy^c / dA^k_ij: gradients (K, N, C, h, w) -> (K, N, C)."""
    return gradients.mean((-2, -1))


def _grad_cam_pp_weights(gradients: Tensor, activations: Tensor) -> Tensor:
    """Grad-CAM++ with its score exp(y^c), in closed form: gradients (K, N, C, h, w) -> (K, N, C).

    With g = dy^c / dA^k_ij, every derivative of exp(y^c) is exp(y^c) times a power of g, and the paper's
    alpha_ij = g^2 / (2 g^2 + g^3 sum A) = 1 / (2 + g sum A). The common factor exp(y^c), which overflows
    near y^c = 88, vanishes when the map is divided by its maximum, and is left out.
    """
    positive = gradients.relu()
    denominators = 2 + positive * activations.sum((-2, -1), keepdim=True)
    if (denominators <= 0).any():
        raise ValueError(
            "Grad-CAM++ divides by 2 + g sum(A), which is not positive here: its derivation assumes activations "
            "that are not negative. Take a layer that comes after a ReLU."
        )
    return (positive / denominators).sum((-2, -1))


def explain(layer: nn.Module, scores: Callable[[], Tensor]) -> Explanation:
    """Grad-CAM for any numbers that a model computes from the activations of a layer.

    >>> e = explain(clf.target_layer, lambda: clf(images)[:, [285, 281]].diff(dim=1))  # why 281, not 285?

    Args:
        layer: its output must be one map (N, C, h, w).
        scores: runs the model once and returns (N, K) numbers, each computed from its own image alone.
            Put the model in evaluation mode first. Hooks on tensors that are registered meanwhile are
            handed all K gradients as one batched tensor, which lives for that moment; hooks on modules are not.

    Returns:
        An :class:`Explanation` with maps (N, K, h, w); nothing is left changed.

    Raises:
        LayerError: the layer was not reached, was reached twice, puts out no map, or the scores do not depend on it.
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(
            f"explain needs the layer itself, a torch.nn.Module, got {layer!r}. It does not know the model: for "
            "a dotted name use `model.get_submodule(name)`."
        )
    try:
        return _explain(layer, lambda: spared_graph(scores), _mean_of_gradients, layer)
    except RuntimeError as error:
        if "Inference tensors cannot" not in str(error):
            raise
        raise ValueError(
            "the model, or something else that scores() uses, was made inside `torch.inference_mode()`; autograd "
            "refuses such tensors. Make it outside, or inside `torch.no_grad()`."
        ) from error


def _explain(
    layer: nn.Module, scores: Callable[[], Tensor], weighting: Weighting, model: nn.Module
) -> Explanation:
    """Run scores(); take dy/dA for every score, and from it each channel's weight; sum the weighted channels."""
    observed = hooks_of_others(model)
    with graph_from(layer) as graph:
        values = scores()
        activations = graph.activations
        _check_explainable(layer, activations, values)
        nodes = nodes_between(values, activations)
        check_derivatives(nodes)
        observed |= any("BackwardHook" in node.name() for node in nodes)
        dtype = torch.promote_types(activations.dtype, torch.float32)  # half precision: sum in single
        a = activations.detach().to(dtype)
        alphas = []
        for gradients in _gradients(values, activations, observed):
            alphas.append(weighting(gradients.to(dtype), a))
            del gradients  # or it would stay while the next portion is computed
        weights = torch.cat(alphas).transpose(0, 1)
        maps = torch.einsum("nkc,nchw->nkhw", weights, a)
        values = values.detach().to(dtype)
        if not (maps.isfinite().all() and values.isfinite().all()):
            raise ValueError(
                "scores or gradients are not finite here, so there is no map. Check the model's weights."
            )
        classes = torch.arange(values.shape[1], device=values.device).expand(values.shape)
        return Explanation(maps, values, classes, weights, a)


def _gradients(values: Tensor, activations: Tensor, observed: bool) -> Iterator[Tensor]:
    """Yield dy/dA for all K scores from one graph, in portions (K', N, C, h, w), computed when they are asked for.

    Hooks that the model's owner left see one class after the other: a batched backward would hand them tensors that
    are dead afterwards.
    """
    k = values.shape[1]
    # Image n's score depends on image n alone: the gradient of the sum over images holds them all.
    one_hot = torch.eye(k, dtype=values.dtype, device=values.device)[:, None, :].expand(k, *values.shape)
    for portion in one_hot.split(1 if observed else max(1, MAX_GRADIENT_VALUES // activations.numel())):
        yield _batched_gradient(values, activations, portion)


def _batched_gradient(values: Tensor, activations: Tensor, directions: Tensor) -> Tensor:
    def gradient(grad_outputs: Tensor, batched: bool) -> Tensor:
        (result,) = torch.autograd.grad(
            values, activations, grad_outputs, retain_graph=True, is_grads_batched=batched, allow_unused=True
        )
        if result is None:
            raise LayerError("the scores do not depend on this layer's output. Take a layer on their way.")
        return result

    if len(directions) == 1:
        return gradient(directions[0], batched=False)[None]
    try:
        return gradient(directions, batched=True)
    except RuntimeError:  # an operation of the model has no batched backward: one class after the other
        return torch.stack([gradient(direction, batched=False) for direction in directions])


def _check_explainable(layer: nn.Module, activations: Tensor | None, values: object) -> None:
    kind = type(layer).__name__
    if activations is None:
        raise LayerError(f"the forward pass never reached the layer ({kind}). Is it part of this model?")
    if activations.ndim != 4:
        raise LayerError(
            f"the layer ({kind}) puts out shape {tuple(activations.shape)}, no map (N, C, h, w). Take a "
            "convolutional layer."
        )
    if not isinstance(values, Tensor) or values.ndim != 2 or 0 in values.shape:
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"scores() must return a tensor (N, K) of numbers to explain, got {shape}.")
    if len(values) != len(activations):
        raise ValueError(
            f"scores() returned {len(values)} rows for {len(activations)} maps: one row an image is needed."
        )
    if not values.requires_grad:
        raise LayerError(
            f"the scores do not depend on the layer ({kind}), or were detached from it. Take a layer that "
            "lies between the image and the scores."
        )


def grad_cam(model: nn.Module, images: Tensor, classes: Classes = None, layer: Layer = None) -> Explanation:
    """Grad-CAM (arXiv 1610.02391) for K classes of each image, from one forward pass.

        alpha_k^c = (1/Z) sum_ij dy^c / dA^k_ij,    L^c = sum_k alpha_k^c A^k

    What lies before the layer runs without a graph. The classes go back together through what lies behind it, in
    portions where there are many, one by one where an operation has no batched backward. The model runs in evaluation
    mode; afterwards its mode, hooks, parameters and gradients, and the images, are what they were.

    Args:
        model: any network that maps (N, C, H, W) to logits (N, classes). DataParallel, DistributedDataParallel and
            torch.compile are looked through.
        images: (N, C, H, W), floating point; for a :class:`~course_utils.networks.Classifier` in [0, 1].
        classes: None (each image's predicted class), a number, a name (for a ``Classifier``), a list of
            these for all images, or an integer tensor (N, K) with each image's own.
        layer: module or dotted name. Default: the last convolutional map; for a bare network it is found
            by one extra forward pass of the first image.

    Returns:
        :class:`Explanation`: ``.maps`` signed (N, K, h, w), ``.positive`` Grad-CAM, ``.negative`` the
        counterfactual, ``.heatmaps()`` in [0, 1] at the images' size.

    Raises:
        LayerError: the layer is not in the model, not reached, reached twice, or puts out no map.
        ValueError, TypeError: bad images, unknown classes, logits that are not (N, classes).
    """
    return _grad_cam(model, images, classes, layer, _mean_of_gradients)


def grad_cam_pp(
    model: nn.Module, images: Tensor, classes: Classes = None, layer: Layer = None
) -> Explanation:
    """Grad-CAM++ (arXiv 1710.11063) in closed form; arguments and result as for :func:`grad_cam`.

        g = dy^c / dA^k_ij,   alpha_ij = 1 / (2 + g sum_ab A^k_ab),   w_k^c = sum_ij alpha_ij relu(g)

    It is derived for the score exp(y^c) and activations that are not negative. The weights are never
    negative, so neither is the map: nothing can speak against a class.
    """
    return _grad_cam(model, images, classes, layer, _grad_cam_pp_weights)


def _grad_cam(
    model: nn.Module, images: Tensor, classes: Classes, layer: Layer, weighting: Weighting
) -> Explanation:
    model, images = prepare(model, images)
    chosen: list[Tensor] = []

    def scores() -> Tensor:
        logits = check_logits(run(model, images), len(images))
        chosen.append(class_matrix(model, classes, logits))
        with torch.enable_grad():
            return logits.gather(1, chosen[0])

    with evaluation_mode(model):
        module = find_layer(model, images, layer)
        try:
            result = _explain(module, scores, weighting, model)
        except LayerError as error:
            raise LayerError(f"{error} {candidates(model)}") from error
    return replace(
        result, classes=chosen[0], image_size=tuple(images.shape[2:]), names=class_names(model, chosen[0])
    )


def cam(model: nn.Module, images: Tensor, classes: Classes = None) -> Tensor:
    """Class activation maps (arXiv 1512.04150), read off the weights: no gradient at all.

        y^c = sum_k w_k^c F_k + b^c,   F_k = (1/Z) sum_ij A^k_ij,   M^c = sum_k w_k^c A^k

    It needs a network that ends in global pooling and one linear layer; that is verified with these images, not guessed
    from names. With average pooling M^c = Z times the raw Grad-CAM map. All classes cost one forward pass together.

    Returns:
        raw, signed maps (N, K, h, w).

    Raises:
        LayerError: the network's head is not global pooling and one linear layer.
    """
    model, images = prepare(model, images)
    linears = [part for part in model.modules() if isinstance(part, nn.Linear)]
    if not linears:
        raise LayerError(
            f"CAM needs a linear layer that ends the network; this {type(model).__name__} has none."
        )
    with evaluation_mode(model), torch.no_grad():
        layer = find_layer(model, images)
        runs: list[tuple[nn.Linear, Tensor, Tensor]] = []
        with ForwardHook(layer) as maps, hooked(linears, lambda m, i, o: runs.append((m, i[0], o))):
            logits = check_logits(run(model, images), len(images))
        chosen = class_matrix(model, classes, logits)
        linear, pooled, output = runs[-1] if runs else (linears[-1], None, None)
        activations = _pooled_maps(maps.stored, pooled) if runs and maps.stored is not None else None
        if activations is None or output.shape != logits.shape or not torch.equal(output, logits):
            raise LayerError(
                f"CAM needs global average pooling and one linear layer behind the last map; this "
                f"{type(model).__name__} has another head. Use grad_cam, which needs no such architecture."
            )
        dtype = torch.promote_types(activations.dtype, torch.float32)
        return torch.einsum("nkc,nchw->nkhw", linear.weight.to(dtype)[chosen], activations.to(dtype))


def _pooled_maps(activations: Tensor, pooled: Tensor) -> Tensor | None:
    """Return the map whose global pooling gave ``pooled`` (N, C), or None if there is no such map.

    Some networks (DenseNet) apply a functional ReLU between their last module and the pooling; the CAM paper pools by a
    sum where today's networks take the mean.
    """
    for maps in (activations, activations.relu()):
        for total in (maps.mean((2, 3)), maps.sum((2, 3))):
            if total.shape == pooled.shape:
                # Half precision rounds at 1e-3 (bfloat16 at 1e-2) of the largest value.
                tolerance = 8 * torch.finfo(pooled.dtype).eps * maps.abs().amax().item() * maps[0, 0].numel()
                if torch.allclose(total, pooled, rtol=1e-3, atol=min(tolerance, 1e-3)):
                    return maps
    return None
