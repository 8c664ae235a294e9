"""Exercises of notebook 03: from CAM to Grad-CAM, with the constant Z in sight."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .engine import exercise, value_exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["class_map", "map_for_pooling", "missing_constant", "share_of_strongest", "two_weights"]


def _channels(rng: np.random.Generator, c: int, h: int, w: int) -> Tensor:
    """Activations as a ReLU leaves them: about a third are zero."""
    return tensor_of(rng.normal(0.5, 1, (c, h, w)).clip(0))


def _weights(rng: np.random.Generator, c: int) -> Tensor:
    """Weights of both signs: the first is positive, the second negative."""
    signs = torch.tensor([1.0, -1.0]).repeat(c)[:c]
    return signs * tensor_of(rng.uniform(0.5, 2, c))


# --- 1. CAM


def _at_most_one(values: Tensor) -> Tensor:
    return values / values.max()


def _class_map_reference(activations: Tensor, weights: Tensor) -> Tensor:
    c, h, w = activations.shape
    rows = [
        [sum(float(weights[k]) * float(activations[k, i, j]) for k in range(c)) for j in range(w)]
        for i in range(h)
    ]
    return torch.tensor(rows)


@exercise(
    "Write class_map(activations, weights): CAM of one class, raw and signed, (C, h, w) and (C,) -> (h, w).",
    inputs=lambda rng: [
        # Only the second has C = w: there, weights of shape (C,) are multiplied along the wrong axis in silence.
        (_channels(rng, c, h, w), _weights(rng, c))
        for c, h, w in [(3, 2, 2), (4, 3, 4), (9, 7, 7)]
    ],
    reference=_class_map_reference,
    hints="""
        Equation (3): each channel is multiplied by its own number, then the channels are added cell by cell.
        weights has shape (C,); to multiply a (C, h, w) tensor it needs the shape (C, 1, 1).
        weights[:, None, None] * activations has shape (C, h, w): over which axis is it summed?
    """,
    mistakes="""
        (weights * activations).sum(0)
            The weights lie along the wrong axis: PyTorch lines up (C,) with the last axis of (C, h, w), the columns,
            which fails, or runs in silence and is wrong where C equals w. Give the weights the shape (C, 1, 1).
        _at_most_one((weights[:, None, None] * activations).sum(0))
            You divided by the maximum. That is done for the picture only; asked for is the raw map.
        _at_most_one((weights[:, None, None] * activations).sum(0).relu())
            That is the heat-map as it is drawn, after ReLU and division by the maximum. Asked for is the raw, signed
            map before both.
        activations.sum(0)
            The weights are missing: this adds up the channels as they are, so every class would get the same map.
        (weights[:, None, None] * activations).relu().sum(0)
            The ReLU comes too early: inside the sum it removes every channel with a negative weight, so nothing can
            speak against the class. CAM is the plain weighted sum.
        (weights[:, None, None] * activations).sum(0).relu()
            Asked for is the raw, signed map: leave out the ReLU. The negative cells are needed for the sum.
        (weights[:, None, None] * activations).sum((1, 2))
            That is the wrong axis: you added up the cells and kept the channels. A map keeps the cells and adds up the
            channels.
        (weights[:, None, None] * activations).mean(0)
            You took the mean over the channels where equation (3) has their sum.
        (weights[:, None, None] * activations).sum(0) / activations[0].numel()
            That is divided by Z: it is raw Grad-CAM. CAM uses the weights of the linear layer as they are.
    """,
)
def class_map(activations, weights):
    return (weights[:, None, None] * activations).sum(0)


# --- 2. The constant

missing_constant = value_exercise(
    "The last map of VGG-16 has 14 x 14 cells. With mean pooling and one linear layer behind it, by which number is "
    "raw Grad-CAM multiplied to give CAM?",
    196,
    "Z = 14 x 14: the mean over 196 cells divides every gradient by 196.",
    reference=lambda: sum(1 for _ in range(14) for _ in range(14)),
    hints="""
        Equation (10) says M = Z L. What does Z count?
        Z = h w.
    """,
    mistakes="""
        49
            49 belongs to a map of 7 x 7 cells, such as EfficientNet-Lite0's. This map has 14 x 14 cells.
        14
            14 is the side of the map. Z counts its cells.
        14 * 14 * 512
            You counted the cells of all 512 channels. Each is averaged by itself: Z counts the cells of one.
        1 / 196
            That is the way from CAM to raw Grad-CAM. Here the way goes from Grad-CAM to CAM.
        28
            You added height and width. Z counts the cells of a rectangle.
        1
            The maps are equal only after each is divided by its maximum. The raw numbers differ.
    """,
)


# --- 3. Both kinds of weight, from the gradients


def _two_weights_reference(gradients: Tensor) -> tuple[Tensor, Tensor]:
    c, h, w = gradients.shape
    totals = [sum(float(gradients[k, i, j]) for i in range(h) for j in range(w)) for k in range(c)]
    return torch.tensor([total / (h * w) for total in totals]), torch.tensor(totals)


def _pooled_gradients(rng: np.random.Generator) -> list[tuple]:
    """The gradients of a mean-pooled net: w_k / Z in every cell."""
    shapes = [(2, 2, 2), (4, 3, 5), (6, 7, 7)]
    return [((_weights(rng, c) / (h * w))[:, None, None].expand(c, h, w).contiguous(),) for c, h, w in shapes]


@exercise(
    "Write two_weights(gradients): from dy/dA (C, h, w) of a mean-pooled net return (alpha, w), each (C,).",
    inputs=_pooled_gradients,
    reference=_two_weights_reference,
    hints="""
        Equation (4) defines alpha; equation (8) gives w.
        Both reduce the last two axes: one by the mean, one by the sum.
        alpha = gradients.mean((1, 2)). What must w be so that w = Z alpha?
    """,
    mistakes="""
        (gradients.mean((1, 2)), gradients.mean((1, 2)))
            alpha is right; for w you forgot Z: the mean is w / Z, the sum over the cells is w.
        (gradients.sum((1, 2)), gradients.sum((1, 2)))
            w is right; alpha is the mean of the gradients, and you took their sum.
        (gradients.sum((1, 2)), gradients.mean((1, 2)))
            The two are in the wrong order: alpha comes first, and alpha is the smaller one.
        (gradients.mean(0), gradients.sum(0))
            That is the wrong axis: you averaged over the channels. Each channel keeps its own number; the cells are
            averaged away.
        (gradients.relu().mean((1, 2)), gradients.relu().sum((1, 2)))
            The ReLU comes too early: it belongs behind the weighted sum of the channels. A weight may be negative.
        (gradients.mean((1, 2)), gradients.mean((1, 2)) / gradients[0].numel())
            alpha is right; w = Z alpha, and you divided by Z instead.
    """,
)
def two_weights(gradients):
    w = gradients.sum((1, 2))  # equation (8)
    alpha = gradients.mean((1, 2))  # Grad-CAM's weights: w / Z
    return alpha, w


# --- 4. Either pooling


def _map_for_pooling_reference(activations: Tensor, weights: Tensor, pooling: str) -> Tensor:
    leaf = activations.double().requires_grad_()
    pooled = leaf.mean((1, 2)) if pooling == "mean" else leaf.sum((1, 2))
    (gradients,) = torch.autograd.grad((weights.double() * pooled).sum(), leaf)
    return torch.einsum("k,kij->ij", gradients.mean((1, 2)), leaf).detach()


def _scaled_map(activations: Tensor, weights: Tensor, factor: float) -> Tensor:
    return factor * torch.einsum("k,kij->ij", weights, activations)


@exercise(
    'Write map_for_pooling(activations, weights, pooling): raw Grad-CAM (h, w), without autograd, for pooling "mean" '
    'or "sum".',
    inputs=lambda rng: [
        (_channels(rng, c, h, w), _weights(rng, c), pooling)
        for c, h, w in [(2, 2, 2), (5, 3, 4)]
        for pooling in ("mean", "sum")
    ],
    reference=_map_for_pooling_reference,
    hints="""
        Work out dy/dA for both poolings first: how much does y rise if one cell rises by 1?
        Mean pooling: w / Z in every cell. Sum pooling: w in every cell. Grad-CAM then takes the mean over the cells.
    """,
    mistakes="""
        _scaled_map(activations, weights, 1)
            This is CAM for both poolings. With mean pooling every gradient is w / Z, so alpha is smaller by Z.
        _scaled_map(activations, weights, 1 / activations[0].numel())
            This divides by Z for both poolings. With sum pooling every gradient is w itself, and so is their mean.
        _scaled_map(activations, weights, 1 if pooling == "mean" else activations[0].numel())
            You summed the gradients: that gives w for mean pooling and Z w for sum pooling. Grad-CAM takes their mean.
        _scaled_map(activations, weights, 1 if pooling == "mean" else 1 / activations[0].numel())
            The two poolings are the wrong way round: it is the mean that brings the 1 / Z.
        _scaled_map(activations, weights, activations[0].numel() if pooling == "mean" else 1)
            You multiplied by Z. CAM is Z times raw Grad-CAM, so Grad-CAM is CAM *divided* by Z.
        _scaled_map(activations, weights, 1 / activations.numel() if pooling == "mean" else 1)
            You divided by all C h w numbers, as activations.numel() counts them. Z counts the cells of one channel:
            each channel is averaged by itself.
        map_for_pooling(activations, weights, pooling).relu()
            Asked for is the raw, signed map: leave out the ReLU.
    """,
)
def map_for_pooling(activations, weights, pooling):
    z = activations[0].numel()
    alpha = weights / z if pooling == "mean" else weights
    return (alpha[:, None, None] * activations).sum(0)


# --- 5. How concentrated is the evidence?


def _share_of_strongest_reference(cam_map: Tensor, bias: float, n: int) -> float:
    cells = sorted((float(value) for row in cam_map for value in row), reverse=True)
    logit = sum(cells) / len(cells) + bias
    return sum(cell / len(cells) for cell in cells[:n]) / logit


def _cam_maps(rng: np.random.Generator) -> list[tuple]:
    """Maps of classes with a positive logit, with some negative cells of which one is large."""
    drawn = []
    for (h, w), bias, n in [((2, 2), 1.0, 1), ((3, 4), 0.5, 3), ((7, 7), -0.5, 5)]:
        cells = rng.normal(3, 2, (h, w))
        cells[0, 0] = -1.5 * cells.max()
        drawn.append((tensor_of(cells + 1), bias, n))
    # Fewer positive cells than n; all cells, which together speak against the class, so that the bias carries it.
    few = torch.tensor([[-1.0, -2.0], [-3.0, 9.0]])
    return [*drawn, (few, 0.5, 2), (few - 3, 4.0, 4)]


@exercise(
    "Write share_of_strongest(cam_map, bias, n): which share of the logit do the n strongest cells of a CAM (h, w) "
    "carry, in a mean-pooled net?",
    inputs=_cam_maps,
    reference=_share_of_strongest_reference,
    hints="""
        Equation (11) writes the logit as a sum over cells plus the bias. What does one cell contribute?
        cam_map.flatten().topk(n).values are the n largest cells; each contributes M / Z.
        The logit itself is cam_map.mean() + bias.
    """,
    mistakes="""
        cam_map.flatten().topk(n).values.sum() / (cam_map.mean() + bias)
            You forgot Z: a cell of CAM contributes M / Z to the logit, not M.
        cam_map.flatten().topk(n).values.sum() / (cam_map.sum() + bias)
            The bias is added to the mean of the map, not to its sum: sum + bias is no logit here.
        cam_map.flatten().topk(n).values.sum() / cam_map.sum()
            The bias is missing: this is the share of the map's sum, and the logit is the map's mean plus the bias.
        cam_map.flatten().topk(n).values.mean() / (cam_map.mean() + bias)
            You took the mean over the n strongest cells. Each cell contributes M / Z, so divide their sum by Z, not by
            n.
        (cam_map.flatten().topk(n).values.sum() / cam_map.numel()) / (cam_map.relu().mean() + bias)
            The ReLU comes too early: without its negative cells the map no longer adds up to the logit.
        (cam_map.relu().flatten().topk(n).values.sum() / cam_map.numel()) / (cam_map.mean() + bias)
            ReLU before ranking: where fewer than n cells are positive, the next ones are negative, and count.
        (cam_map.flatten()[cam_map.flatten().abs().topk(n).indices].sum() / cam_map.numel()) / (cam_map.mean() + bias)
            You ranked the cells by their absolute value, so a strongly negative one counts among the strongest. Rank
            the signed values.
        cam_map.abs().flatten().topk(n).values.sum() / cam_map.numel() / (cam_map.mean() + bias)
            You took absolute values, so a strongly negative cell counts as evidence for the class. Rank and add the
            signed values.
        100 * share_of_strongest(cam_map, bias, n)
            Right in percent; asked for is a share, in which 1.0 is all of the logit.
        (cam_map.flatten().topk(n).values.sum() / cam_map.numel() + bias) / (cam_map.mean() + bias)
            You added the bias to what the cells carry. It is part of the logit, but it belongs to no cell.
    """,
)
def share_of_strongest(cam_map, bias, n):
    strongest = cam_map.flatten().topk(n).values.sum() / cam_map.numel()  # equation (11): mean, not sum
    return strongest / (cam_map.mean() + bias)
