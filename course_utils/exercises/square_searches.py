"""What the last exercise of notebook 06 searches in, and searches that go wrong in known ways."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .engine import NotAsAsked

__all__ = [
    "EndlessSearch",
    "Picture",
    "draw_pictures",
    "highest",
    "last_of_equals",
    "lowest",
    "lowest_largest",
    "lowest_lead",
    "lowest_probability",
    "one_shot",
    "search",
]


class EndlessSearch(NotAsAsked, RuntimeError):
    """More pictures were asked for than any search needs that ends."""


class Picture:
    """A stand-in for "cover these squares and run the network": logits for a collection of covered squares.

    Squares carry evidence, partly in pairs: one of two is enough, so that the first to be covered changes nothing.

    Args:
        rng: draws the evidence.
        squares: how many squares there are.
        classes: how many classes, K.
        pairs: how many pairs share evidence.
        kind: "" for a picture like others; "firm": the prediction never changes; "rising": each square that is
            covered raises the score of the predicted class, and that of a rival more; "ties": in whole numbers, so
            that many squares do exactly the same.
    """

    def __init__(
        self, rng: np.random.Generator, squares: int, classes: int, pairs: int, kind: str = ""
    ) -> None:
        self.squares, self.classes, self.calls = squares, classes, 0
        self.single = rng.normal(0, 1, (squares, classes))
        self.pairs = [tuple(rng.choice(squares, 2, replace=False)) for _ in range(pairs)]
        self.evidence = rng.normal(0, 1.5, (pairs, classes))
        winner = int(rng.integers(1, classes))  # never class 0, which careless code watches
        self.single[:, winner] += 0.5
        self.evidence[:, winner] = np.abs(self.evidence[:, winner]) + 1.5
        self.bias = rng.normal(0, 1, classes)  # of the network: what is left when nothing is to be seen
        if kind == "firm":
            self.bias[winner] += 100
        if kind == "rising":
            self.single[:, winner] = -0.1 * rng.random(squares) - 0.1
            self.single[:, winner - 1] = -rng.random(squares) - 1
            self.evidence[:] = 0
            self.bias[winner], self.bias[winner - 1] = 8, 12
        if kind == "ties":
            self.single, self.evidence, self.bias = (
                x.round() for x in (self.single, self.evidence, self.bias)
            )

    def __call__(self, covered: object) -> Tensor:
        """Return the logits (K,) with these squares covered.

        Raises:
            EndlessSearch: it was asked far more often than any search needs that ends.
        """
        self.calls += 1
        if self.calls > 20 * self.squares**2 + 100:
            raise EndlessSearch(
                f"{self.calls} pictures of {self.squares} squares were asked for: your search does not end. Does it "
                "take squares that are covered already?"
            )
        hidden = {int(square) for square in covered}
        parts = [self.single[i] for i in range(self.squares) if i not in hidden]
        parts += [e for e, pair in zip(self.evidence, self.pairs, strict=True) if not set(pair) <= hidden]
        return torch.tensor(sum(parts, self.bias), dtype=torch.float32)

    def __repr__(self) -> str:
        return f"a picture of {self.squares} squares"

    def __deepcopy__(self, memo: dict) -> Picture:
        fresh = copy.copy(self)  # a call changes nothing but the count
        fresh.calls = 0
        return fresh

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and np.array_equal(self.single, other.single)

    __hash__ = None


def draw_pictures(rng: np.random.Generator) -> list[tuple[Picture, int]]:
    """Return (picture, number of squares): some change early, one never, one rises, one has ties."""
    plain = [(4, 3, 1), (6, 4, 2), (9, 5, 3), (9, 3, 4), (16, 6, 6), (16, 4, 8)]
    special = [(6, 4, 2, "firm"), (9, 3, 0, "rising"), (9, 4, 3, "ties")]
    return [(Picture(rng, *sizes), sizes[0]) for sizes in plain + special]


def search(
    logits: Callable,
    squares: int,
    choose: Callable,
    watched: int | None = None,
    late: int = 0,
    again: bool = False,
) -> list[int]:
    """Cover what ``choose`` says, one square after the other, until the prediction changes.

    Args:
        logits: covered squares -> logits (K,), such as a :class:`Picture`.
        squares: how many squares there are.
        choose: (logits, covered, left, c) -> a square of those left.
        watched: the class c whose score the search follows; by default the predicted one.
        late: how many squares more it covers after the prediction has changed.
        again: whether it may choose squares that are covered already.
    """
    first, covered = int(logits([]).argmax()), []
    c = first if watched is None else watched
    while len(set(covered)) < squares:
        if int(logits(covered).argmax()) != first:
            if not late:
                break
            late -= 1
        left = [square for square in range(squares) if again or square not in covered]
        covered.append(choose(logits, covered, left, c))
    return covered


def lowest(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that leaves the lowest score: the right choice."""
    return min(left, key=lambda square: float(logits([*covered, square])[c]))


def last_of_equals(logits: Callable, covered: list, left: list, c: int) -> int:
    """The same, but of squares that leave the same score the last."""
    return lowest(logits, covered, left[::-1], c)


def lowest_probability(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that leaves the lowest probability."""
    return min(left, key=lambda square: float(logits([*covered, square]).softmax(0)[c]))


def lowest_lead(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that leaves the smallest lead over the best of the other classes."""

    def lead(square: int) -> float:
        scores = logits([*covered, square])
        return float(scores[c] - torch.cat([scores[:c], scores[c + 1 :]]).max())

    return min(left, key=lead)


def lowest_largest(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that leaves the smallest largest logit, of whichever class."""
    return min(left, key=lambda square: float(logits([*covered, square]).max()))


def one_shot(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that alone leaves the lowest score."""
    return min(left, key=lambda square: float(logits([square])[c]))


def highest(logits: Callable, covered: list, left: list, c: int) -> int:
    """The square that leaves the highest score."""
    return max(left, key=lambda square: float(logits([*covered, square])[c]))
