"""Exercises of notebook 06: the counterfactual map, a difference of maps, the area under a curve, a search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course_utils.exercises.engine import Exercise, Misconception

__all__ = ["area_under", "counterfactual", "fewest_squares", "rather_than"]


# --- 1. the counterfactual map


def _counterfactual(activations, gradient):
    alpha = -gradient.mean((1, 2))
    return (alpha[:, None, None] * activations).sum(0).relu()


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


counterfactual = Exercise(
    statement="The counterfactual map from activations and gradient: equations (1) and (2).",
    solution=_counterfactual,
    reference=_counterfactual_by_loop,
    inputs=lambda rng: [
        (torch.tensor(rng.random((c, h, w))), torch.tensor(rng.normal(size=(c, h, w))))
        for c, h, w in [(2, 2, 2), (5, 3, 4), (8, 7, 7)]
    ],
    misconceptions=[
        Misconception(
            lambda activations, gradient: _raw(activations, gradient).abs(),
            "You took absolute values: what speaks for the class is marked, too. Only cells below zero belong to the "
            "counterfactual.",
        ),
        Misconception(
            lambda activations, gradient: 1 - _heat(_raw(activations, gradient)),
            "You turned the heat-map upside down. Its zeros become ones, so that cells which say nothing about the "
            "class look like the strongest evidence against it. Change the sign, not the colors.",
        ),
        Misconception(
            lambda activations, gradient: -_raw(activations, gradient).relu(),
            "You took the ReLU first and changed the sign then: that is Grad-CAM in negative numbers, and what speaks "
            "against the class is already gone. Change the sign first.",
        ),
        Misconception(
            lambda activations, gradient: (-(_raw(activations, gradient).relu())).relu(),
            "Every cell is zero: the first ReLU removed all that speaks against the class, the sign change and the "
            "second ReLU the rest. One ReLU, at the end.",
        ),
        Misconception(
            lambda activations, gradient: _raw(-activations, -gradient).relu(),
            "This is Grad-CAM again: either no sign was changed, or the gradient's and the activations' both, which "
            "cancel. Change the gradient's alone.",
        ),
        Misconception(
            lambda activations, gradient: _raw(activations, (-gradient).relu()),
            "You cut off positive gradients cell by cell before the mean. Equation (1) averages all of them; the only "
            "ReLU comes after the sum over the channels.",
        ),
        Misconception(
            lambda activations, gradient: torch.einsum(
                "k,khw->hw", (-gradient.mean((1, 2))).relu(), activations
            ),
            "You cut off negative weights. A channel that speaks for the class must be subtracted from those "
            "that speak against it before the ReLU.",
        ),
        Misconception(
            lambda activations, gradient: -_raw(activations, gradient),
            "The sign is right; the ReLU of equation (2) is missing.",
        ),
        Misconception(
            lambda activations, gradient: -_raw(activations, gradient).clamp(max=0) * activations[0].numel(),
            "You added the gradients up instead of averaging them: Z times too large.",
        ),
    ],
    hints=[
        "The mean runs over the cells, the last two dimensions: one weight for each channel.",
        "A minus in front of the mean is all that differs from Grad-CAM.",
        "alpha[:, None, None] has shape (C, 1, 1); multiply, sum over the channels (dimension 0), then .relu().",
    ],
)


# --- 2. why a rather than others


def _rather_than(maps, a, others):
    return maps[a] - maps[others].mean(0)


def _rather_than_by_gradient(maps: Tensor, a: int, others: list[int]) -> Tensor:
    # The map of a score s = sum_j v_j y^j is sum_j v_j L^j, with v = ds/dy from autograd.
    y = torch.zeros(len(maps), dtype=maps.dtype, requires_grad=True)
    score = y[a] - sum(y[j] for j in others) / len(others)
    (v,) = torch.autograd.grad(score, y)
    return torch.einsum("j,jhw->hw", v, maps)


def _draw_rather_than(rng: np.random.Generator) -> list[tuple]:
    return [
        (torch.tensor(rng.normal(size=(k, 3, 3))), a, others)
        for k, a, others in [(2, 0, [1]), (4, 2, [0, 3]), (9, 5, [1, 2, 8])]
    ]


rather_than = Exercise(
    statement="The raw map of y_a minus the mean score of some other classes, from raw maps alone.",
    solution=_rather_than,
    reference=_rather_than_by_gradient,
    inputs=_draw_rather_than,
    misconceptions=[
        Misconception(
            lambda maps, a, others: maps[a].relu() - maps[others].relu().mean(0),
            "You subtracted heat-maps after their ReLU. Then it no longer counts where the others have evidence "
            "against them, and the identity does not hold. Subtract the raw maps.",
        ),
        Misconception(
            lambda maps, a, others: _heat(maps[a]) - torch.stack([_heat(maps[j]) for j in others]).mean(0),
            "You divided each map by its own maximum before subtracting: a weak class then counts as much as a strong "
            "one. Raw maps share one scale; subtract these.",
        ),
        Misconception(
            lambda maps, a, others: maps[others].mean(0) - maps[a],
            "The sign is the wrong way round: this map says why the others rather than a.",
        ),
        Misconception(
            lambda maps, a, others: (maps[a] - maps[others].mean(0)).abs(),
            "You took absolute values: for a and against a look the same then. Return the signed map.",
        ),
        Misconception(
            lambda maps, a, others: (maps[a] - maps[others].mean(0)).relu(),
            "Asked for is the raw map with its signs: no ReLU.",
        ),
        Misconception(
            lambda maps, a, others: maps[a] - maps[others].sum(0),
            "You subtracted the sum of the others' maps. The score has their mean.",
        ),
        Misconception(
            lambda maps, a, others: maps[a] - maps.mean(0),
            "You subtracted the mean over all classes, a among them. Only the classes in `others` count.",
        ),
        Misconception(
            lambda maps, a, others: maps[a],
            "That is the map of y_a alone. Each class that is subtracted from the score takes its map along.",
        ),
    ],
    hints=[
        "The map is linear in the score: a difference of scores has the difference of their maps.",
        "maps[others] with a list of numbers has shape (len(others), h, w).",
        "The mean of several scores has the mean of their maps: maps[others].mean(0).",
    ],
)


# --- 3. the area under a curve


def _area_under(values, shares):
    return float(((values[1:] + values[:-1]) / 2 * shares.diff()).sum())


def _area_by_numpy(values: Tensor, shares: Tensor) -> float:
    a, s = values.numpy(), shares.numpy()
    return float(sum((s[t + 1] - s[t]) * (a[t] + a[t + 1]) / 2 for t in range(len(s) - 1)))


def _draw_curves(rng: np.random.Generator) -> list[tuple]:
    curves = []
    for n in (2, 5, 9):
        inner = np.sort(rng.random(n - 1)) * 0.9 + 0.05
        shares = torch.tensor(np.concatenate([[0.0], inner, [1.0]]))
        curves.append((torch.tensor(rng.random(n + 1)), shares))
    return curves


area_under = Exercise(
    statement="The area under a deletion curve by the trapezoid rule, for steps of any width.",
    solution=_area_under,
    reference=_area_by_numpy,
    inputs=_draw_curves,
    misconceptions=[
        Misconception(
            lambda values, shares: float(values.mean()),
            "You took the mean of the scores. That counts a narrow step as much as a wide one, and the two ends fully "
            "where they count by half.",
        ),
        Misconception(
            lambda values, shares: float(((values[1:] + values[:-1]) / 2).mean()),
            "You averaged neighboring scores, as you should, but gave all steps the same width. Multiply each by its "
            "own, shares[t + 1] - shares[t].",
        ),
        Misconception(
            lambda values, shares: float((values[:-1] * shares.diff()).sum()),
            "Each of your steps has the height of its left end. The trapezoid rule takes the mean of both ends.",
        ),
        Misconception(
            lambda values, shares: float((values[1:] * shares.diff()).sum()),
            "Each of your steps has the height of its right end. The trapezoid rule takes the mean of both ends.",
        ),
        Misconception(
            lambda values, shares: float(((values[1:] + values[:-1]) * shares.diff()).sum()),
            "Twice too much: a trapezoid has the mean of its two heights, not their sum.",
        ),
        Misconception(
            lambda values, shares: _area_under(values / values[0], shares),
            "You divided by the score of the whole picture. That is a useful figure, but another one: here the area of "
            "the scores themselves is asked for.",
        ),
        Misconception(
            lambda values, shares: 1 - _area_under(values, shares),
            "That is the area above the curve.",
        ),
        Misconception(
            lambda values, shares: _area_under(values.sort(descending=True).values, shares),
            "You sorted the scores. A score may rise again while more is covered: keep the order of the steps.",
        ),
    ],
    hints=[
        "The curve is a chain of straight lines, its area a sum of trapezoids: width times the mean of two heights.",
        "shares.diff() has the widths; values[1:] and values[:-1] are the right and the left heights.",
    ],
)


# --- 4. the fewest squares


class Picture:
    """A stand-in for "cover these squares and run the network": logits for a collection of covered squares.

    Squares carry evidence, partly in pairs: one of two is enough, so that the first to be covered changes nothing.
    """

    def __init__(self, rng: np.random.Generator, squares: int, classes: int, pairs: int) -> None:
        self.squares = squares
        self.single = rng.normal(0, 1, (squares, classes))
        self.pairs = [tuple(rng.choice(squares, 2, replace=False)) for _ in range(pairs)]
        self.evidence = rng.normal(0, 1.5, (pairs, classes))
        winner = int(rng.integers(1, classes))  # never class 0, which careless code watches
        self.single[:, winner] += 0.5
        self.evidence[:, winner] = np.abs(self.evidence[:, winner]) + 1.5

    def __call__(self, covered: object) -> Tensor:
        hidden = {int(square) for square in covered}
        logits = sum(self.single[i] for i in range(self.squares) if i not in hidden)
        seen = [e for e, pair in zip(self.evidence, self.pairs, strict=True) if not set(pair) <= hidden]
        return torch.tensor(logits + sum(seen) if seen else np.zeros(self.single.shape[1]) + logits)

    def __repr__(self) -> str:
        return f"a picture of {self.squares} squares"

    def __deepcopy__(self, memo: dict) -> Picture:
        return self  # it has no state that a call could change, and is to be found equal to itself


def _fewest_squares(logits, squares):
    original = logits([]).argmax()
    covered = []
    while len(covered) < squares and logits(covered).argmax() == original:
        left = [square for square in range(squares) if square not in covered]
        covered.append(min(left, key=lambda square: float(logits([*covered, square])[original])))
    return covered


def _fewest_by_table(logits: Picture, squares: int) -> list[int]:
    c = int(np.argmax(logits(()).numpy()))
    chosen: list[int] = []
    for _ in range(squares):
        scores = [np.inf if s in chosen else float(logits((*chosen, s))[c]) for s in range(squares)]
        chosen.append(int(np.argmin(scores)))
        if int(np.argmax(logits(chosen).numpy())) != c:
            break
    return chosen


def _search(
    choose: Callable, watched: Callable = lambda logits: int(logits([]).argmax()), late: int = 0
) -> Callable:
    """A search that covers what ``choose`` says and stops ``late`` squares after the prediction changed."""

    def search(logits: Callable, squares: int) -> list[int]:
        c, covered, extra = watched(logits), [], late
        while len(covered) < squares:
            if int(logits(covered).argmax()) != int(logits([]).argmax()):
                if not extra:
                    break
                extra -= 1
            left = [square for square in range(squares) if square not in covered]
            covered.append(choose(logits, covered, left, c))
        return covered

    return search


def _lowest(logits: Callable, covered: list, left: list, c: int) -> int:
    return min(left, key=lambda square: float(logits([*covered, square])[c]))


def _one_shot(logits: Callable, covered: list, left: list, c: int) -> int:
    return min(left, key=lambda square: float(logits([square])[c]))


def _highest(logits: Callable, covered: list, left: list, c: int) -> int:
    return max(left, key=lambda square: float(logits([*covered, square])[c]))


def _one_too_few(logits: Callable, squares: int) -> list[int]:
    return _fewest_squares(logits, squares)[:-1]


def _until_lower(logits: Callable, squares: int) -> list[int]:
    return _fewest_squares(logits, squares)[:1]


def _all_in_order(logits: Callable, squares: int) -> list[int]:
    return _search(_lowest, late=squares)(logits, squares)


fewest_squares = Exercise(
    statement="Cover squares one after the other, each time the one that lowers the score most, until the prediction "
    "changes; return the list of squares.",
    solution=_fewest_squares,
    reference=_fewest_by_table,
    inputs=lambda rng: [
        (Picture(rng, squares, classes, pairs), squares)
        for squares, classes, pairs in [(4, 3, 2), (6, 4, 4), (9, 5, 6), (9, 3, 8), (16, 6, 12), (16, 4, 20)]
    ],
    misconceptions=[
        Misconception(
            _search(_one_shot),
            "You ranked the squares once, by what each does alone, and covered them in that order. Where one of two "
            "squares is enough for the network, neither matters alone: score all that are left again after each cover.",
        ),
        Misconception(
            _search(_highest),
            "You cover the square after which the score is largest, which helps the class. Take the one that leaves "
            "the lowest score.",
        ),
        Misconception(
            _all_in_order,
            "You never look whether the prediction has changed, and cover everything. Check after each cover.",
        ),
        Misconception(
            _search(_lowest, late=1),
            "You cover one square too many: check right after each cover, before you choose the next.",
        ),
        Misconception(
            _one_too_few,
            "The last square is missing: the one that changed the prediction belongs to the list.",
        ),
        Misconception(
            _until_lower,
            "You stop after the first square. A lower score is not yet another prediction: compare the argmax with "
            "that of the whole picture.",
        ),
        Misconception(
            _search(_lowest, watched=lambda logits: 0),
            "You lower the score of class 0. The class to lower is the one predicted for the whole picture.",
        ),
        Misconception(
            lambda logits, squares: len(_fewest_squares(logits, squares)),
            "You return how many squares it takes. Return the list of squares, in the order in which you cover them.",
        ),
    ],
    hints=[
        "First the prediction for the whole picture: original = logits([]).argmax().",
        "A while loop: as long as logits(covered).argmax() equals original, choose one more square.",
        "In each round, compute logits([*covered, square])[original] for every square that is not covered, and take "
        "the square with the lowest; min(..., key=...) takes the first of equals.",
    ],
)
