"""Exercises of notebook 06: the counterfactual map, a difference of maps, the area under a curve, a search."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import square_searches as searches
from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["area_under", "counterfactual", "fewest_squares", "rather_than"]


# --- 1. the counterfactual map


def _counterfactual_by_loop(activations: Tensor, gradient: Tensor) -> Tensor:
    c, h, w = activations.shape
    result = torch.zeros(h, w, dtype=activations.dtype)
    for row in range(h):
        for column in range(w):
            total = 0.0
            for k in range(c):
                total += -float(gradient[k].sum()) / (h * w) * float(activations[k, row, column])
            result[row, column] = max(total, 0.0)
    return result


def _raw(activations: Tensor, gradient: Tensor) -> Tensor:
    return torch.einsum("k,khw->hw", gradient.mean((1, 2)), activations)


def _heat(raw: Tensor) -> Tensor:
    positive = raw.relu()
    return positive / positive.max().clamp(min=1e-12)


def _draw_layers(rng: np.random.Generator) -> list[tuple]:
    # The first in whole numbers, so that a message can show the whole map and a learner can check it by hand.
    small = (
        torch.tensor([[[1.0, 2], [0, 4]], [[2, 1], [3, 0]]]),
        torch.tensor([[[3.0, -1], [2, 0]], [[-4, 2], [-2, -4]]]),
    )
    shapes = [(5, 3, 4), (8, 7, 7)]
    return [small, *((tensor_of(rng.random(x)), tensor_of(rng.normal(size=x))) for x in shapes)]


def _weighted(alpha: Tensor, activations: Tensor) -> Tensor:
    """Equation (2) with other weights than (1): numbers, or anything that broadcasts."""
    return (alpha * activations).sum(0).relu()


@exercise(
    "The counterfactual map from activations and gradient: equations (1) and (2).",
    inputs=_draw_layers,
    reference=_counterfactual_by_loop,
    hints="""
        The mean runs over the cells, the last two dimensions: one weight for each channel.
        A minus in front of the mean is all that differs from Grad-CAM.
        alpha[:, None, None] has shape (C, 1, 1); multiply, sum over the channels (dimension 0), then .relu().
    """,
    mistakes="""
        _raw(activations, gradient).abs()
            You took absolute values: what speaks for the class is marked, too. Only cells below zero belong to the
            counterfactual.
        1 - _heat(_raw(activations, gradient))
            You turned the heat-map upside down. Its zeros become ones, so that cells which say nothing about the class
            look like the strongest evidence against it. Change the sign, not the colors.
        -_raw(activations, gradient).relu()
            You took the ReLU first and changed the sign then: that is Grad-CAM in negative numbers, and what speaks
            against the class is already gone. Change the sign first.
        (-(_raw(activations, gradient).relu())).relu()
            Every cell is zero: the first ReLU removed all that speaks against the class, the sign change and the second
            ReLU the rest. One ReLU, at the end.
        _raw(-activations, -gradient).relu()
            This is Grad-CAM again: either no sign was changed, or the gradient's and the activations' both, which
            cancel. Change the gradient's alone.
        _raw(activations, (-gradient).relu())
            You cut off positive gradients cell by cell before the mean. Equation (1) averages all of them; the only
            ReLU comes after the sum over the channels.
        _weighted((-gradient.mean((1, 2), keepdim=True)).relu(), activations)
            You cut off what is negative before the sum over the channels, in the weights or in the products. A channel
            that speaks for the class must be subtracted from those that speak against it before the ReLU.
        -_raw(activations, gradient)
            The sign is right; the ReLU of equation (2) is missing.
        -_raw(activations, gradient).clamp(max=0) * activations[0].numel()
            You added the gradients up instead of averaging them: Z times too large.
        (-gradient.mean((1, 2)) @ activations).relu()
            `alpha @ activations` sums over the rows of the map, not over its channels: use alpha[:, None, None].
        _weighted(-gradient.mean((1, 2)), activations)
            `alpha * activations` lays the weights along the columns of the map: use alpha[:, None, None].
        _weighted(-gradient, activations)
            There is no mean: you multiplied each activation by its own gradient. Equation (1) makes one weight for each
            channel first.
        _weighted(-gradient.mean(), activations)
            You took one mean over all channels. Each channel has its own weight: the mean over its cells.
        _weighted(-gradient.mean(0), activations)
            You took the mean over the channels. It runs over the cells, so that each channel has one weight.
        (-_raw(activations, gradient)).relu() / len(activations)
            You took the mean over the channels where equation (2) has their sum.
        _heat(-_raw(activations, gradient))
            You divided by the maximum: normalized. Equation (2) stops at the ReLU.
        _raw(activations, gradient).clamp(max=0)
            You kept the negative part of the map, but did not negate it: change its sign.
    """,
)
def counterfactual(activations, gradient):
    alpha = -gradient.mean((1, 2))
    return (alpha[:, None, None] * activations).sum(0).relu()


# --- 2. why a rather than others


def _rather_than_by_gradient(maps: Tensor, a: int, others: list[int]) -> Tensor:
    # The map of a score s = sum_j v_j y^j is sum_j v_j L^j, with v = ds/dy from autograd.
    y = torch.zeros(len(maps), dtype=maps.dtype, requires_grad=True)
    score = y[a] - sum(y[j] for j in others) / len(others)
    (v,) = torch.autograd.grad(score, y)
    return torch.einsum("j,jhw->hw", v, maps)


def _draw_rather_than(rng: np.random.Generator) -> list[tuple]:
    return [
        (tensor_of(rng.normal(size=(k, 3, 3))), a, others)
        for k, a, others in [(2, 0, [1]), (4, 2, [0, 3]), (9, 5, [1, 2, 8])]
    ]


@exercise(
    "The raw map of y_a minus the mean score of some other classes, from raw maps alone.",
    inputs=_draw_rather_than,
    reference=_rather_than_by_gradient,
    hints="""
        The map is linear in the score: a difference of scores has the difference of their maps.
        maps[others] with a list of numbers has shape (len(others), h, w).
        The mean of several scores has the mean of their maps: over which dimension?
    """,
    mistakes="""
        maps[a].relu() - maps[others].relu().mean(0)
            You subtracted heat-maps after their ReLU. Then it no longer counts where the others have evidence against
            them, and the identity does not hold. Subtract the raw maps.
        _heat(maps[a]) - torch.stack([_heat(maps[j]) for j in others]).mean(0)
            You divided each map by its own maximum before subtracting: a weak class then counts as much as a strong
            one. Raw maps share one scale; subtract these.
        maps[others].mean(0) - maps[a]
            The sign is the wrong way round: this map says why the others rather than a.
        (maps[a] - maps[others].mean(0)).abs()
            You took absolute values: for a and against a look the same then. Return the signed map.
        (maps[a] - maps[others].mean(0)).relu()
            Asked for is the raw map with its signs: no ReLU.
        maps[a] - maps[others].sum(0)
            You subtracted the sum of the others' maps. The score has their mean.
        maps[a] - maps.mean(0)
            You subtracted the mean over all classes, a among them. Only the classes in `others` count.
        len(others) * maps[a] - maps[others].sum(0)
            You added up the differences from each of the others, without dividing by how many there are.
        maps[a]
            That is the map of y_a alone. Each class that is subtracted from the score takes its map along.
    """,
)
def rather_than(maps, a, others):
    return maps[a] - maps[others].mean(0)


# --- 3. the area under a curve


def _area_by_numpy(values: Tensor, shares: Tensor) -> float:
    a, s = values.numpy(), shares.numpy()
    return float(sum((s[t + 1] - s[t]) * (a[t] + a[t + 1]) / 2 for t in range(len(s) - 1)))


def _draw_curves(rng: np.random.Generator) -> list[tuple]:
    curves = []
    for n in (2, 5, 9):
        inner = np.sort(rng.random(n - 1)) * 0.9 + 0.05
        shares = tensor_of(np.concatenate([[0.0], inner, [1.0]]))
        curves.append((tensor_of(rng.random(n + 1)), shares))
    # Scores may be logits, below zero at the end.
    return [*curves, (torch.tensor([2.0, -1.0, -3.0]), torch.tensor([0.0, 0.25, 1.0]))]


@exercise(
    "The area under a deletion curve by the trapezoid rule, for steps of any width.",
    inputs=_draw_curves,
    reference=_area_by_numpy,
    hints="""
        The curve is a chain of straight lines, its area a sum of trapezoids: width times the mean of two heights.
        shares.diff() has the widths; values[1:] and values[:-1] are the right and the left heights.
    """,
    mistakes="""
        float(values.mean())
            You took the mean of the scores. That counts a narrow step as much as a wide one, and the two ends fully
            where they count by half.
        float(((values[1:] + values[:-1]) / 2).mean())
            You averaged neighboring scores, as you should, but gave all steps the same width. Multiply each by its own,
            shares[t + 1] - shares[t].
        float((values[:-1] * shares.diff()).sum())
            Each of your steps has the height of its left end. The trapezoid rule takes the mean of both ends.
        float((values[1:] * shares.diff()).sum())
            Each of your steps has the height of its right end. The trapezoid rule takes the mean of both ends.
        float(((values[1:] + values[:-1]) * shares.diff()).sum())
            Twice too much: a trapezoid has the mean of its two heights, not their sum.
        area_under(values / values[0], shares)
            You divided by the score of the whole picture. That is a useful figure, but another one: here the area of
            the scores themselves is asked for.
        1 - area_under(values, shares)
            That is the area above the curve.
        area_under(shares, values)
            You swapped scores and shares: the widths are those of the shares, the heights are the scores.
            torch.trapezoid takes the heights first.
        area_under(values.sort(descending=True).values, shares)
            You sorted the scores. A score may rise again while more is covered: keep the order of the steps.
    """,
)
def area_under(values, shares):
    return float(((values[1:] + values[:-1]) / 2 * shares.diff()).sum())


# --- 4. the fewest squares


def _fewest_by_table(logits: searches.Picture, squares: int) -> list[int]:
    c = int(np.argmax(logits(()).numpy()))
    chosen: list[int] = []
    for _ in range(squares):
        scores = [np.inf if s in chosen else float(logits((*chosen, s))[c]) for s in range(squares)]
        chosen.append(int(np.argmin(scores)))
        if int(np.argmax(logits(chosen).numpy())) != c:
            break
    return chosen


@exercise(
    "Cover squares one after the other, each time the one that lowers the score most, until the prediction changes; "
    "return the list of squares.",
    inputs=searches.draw_pictures,
    reference=_fewest_by_table,
    hints="""
        First the prediction for the whole picture: original = logits([]).argmax().
        A while loop: as long as logits(covered).argmax() equals original, choose one more square.
        In each round, compute logits([*covered, square])[original] for every square that is not covered, and take the
            square with the lowest; min(..., key=...) takes the first of equals.
    """,
    mistakes="""
        searches.search(logits, squares, searches.one_shot)
            You ranked the squares once, by what each does alone, and covered them in that order. Where one of two
            squares is enough for the network, neither matters alone: score all that are left again after each cover.
        searches.search(logits, squares, searches.highest)
            You cover the square after which the score is largest, which helps the class. Take the one that leaves the
            lowest score.
        searches.search(logits, squares, searches.lowest_probability)
            You lower the probability. A softmax also falls when a rival rises: lower the logit itself.
        searches.search(logits, squares, searches.lowest_lead)
            You lower the lead over the best rival. That is a good search, but another one: lower the logit itself.
        searches.search(logits, squares, searches.lowest_largest)
            You lower the largest logit, whichever class has it. Follow the class predicted for the whole picture.
        searches.search(logits, squares, searches.last_of_equals)
            Of squares that leave the same score you take a later one. Take the first: compare with <, not <=.
        searches.search(logits, squares, searches.lowest, again=True)
            Your search may take a square that is covered already. Where every new square raises the score it would do
            so forever: choose among those that are left.
        searches.search(logits, squares, searches.lowest, late=16)
            You never look whether the prediction has changed, and cover everything. Check after each cover.
        searches.search(logits, squares, searches.lowest, late=1)
            You cover one square too many: check right after each cover, before you choose the next.
        fewest_squares(logits, squares)[:-1]
            The last square is missing: the one that changed the prediction belongs to the list.
        fewest_squares(logits, squares)[:1]
            You stop after the first square. A lower score is not yet another prediction: compare the argmax with that
            of the whole picture.
        searches.search(logits, squares, searches.lowest, watched=0)
            You lower the score of class 0. The class to lower is the one predicted for the whole picture.
        len(fewest_squares(logits, squares))
            You return how many squares it takes. Return the list of squares, in the order in which you cover them.
        sorted(fewest_squares(logits, squares))
            The right squares, but sorted. Return them in the order in which you cover them.
    """,
)
def fewest_squares(logits, squares):
    original = logits([]).argmax()
    covered = []
    while len(covered) < squares and logits(covered).argmax() == original:
        left = [square for square in range(squares) if square not in covered]
        covered.append(min(left, key=lambda square: float(logits([*covered, square])[original])))
    return covered
