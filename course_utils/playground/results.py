"""What an explanation of one picture consists of: plain numbers, arrays and sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_utils.pictures import Picture

__all__ = ["Caution", "Check", "ClassResult", "Result"]


@dataclass(frozen=True)
class Caution:
    """Something to be wary of.

    Attributes:
        code: a short name, for programs.
        text: a sentence, for people.
        name: the class that it is about; empty if it is about the picture.
    """

    code: str
    text: str
    name: str = ""


@dataclass(frozen=True)
class Check:
    """What covering the squares that a map marks most does to the class's logit, beside random squares.

    Attributes:
        before, after: the logit of the whole picture, and of the covered one.
        random: the logits after covering as many squares at random; empty if that was not asked for.
        prediction: the class predicted for the covered picture.
        confirmed: whether the logit moved as the map says, by more than rounding, and further than after each of the
            random covers.
    """

    before: float
    after: float
    random: tuple[float, ...]
    prediction: str
    confirmed: bool


@dataclass(frozen=True, eq=False)
class ClassResult:
    """What was found for one class.

    Attributes:
        rank: 1 for the predicted class.
        raw: the signed map (h, w), or the gradient image (3, H, W).
        heat: (S, S) in [0, 1], what is marked, at the size of the square that the network sees.
        empty: nothing is marked; then there is neither box nor check.
        box: half-open box in the square's pixels; box_in_file: in those of the picture's file.
        covered: the square (3, S, S) with the most marked squares covered.
    """

    name: str
    index: int
    probability: float
    logit: float
    rank: int
    raw: np.ndarray
    heat: np.ndarray
    empty: bool
    box: tuple[int, int, int, int] | None
    box_in_file: tuple[float, float, float, float] | None
    check: Check | None
    covered: np.ndarray | None
    cautions: tuple[Caution, ...]


@dataclass(frozen=True, eq=False)
class Result:
    """What was found on one picture.

    Attributes:
        square: (3, S, S) in [0, 1], what the network sees.
        layer: dotted name, None where the method takes none; layer_size: (h, w) of its map.
        predictions: the first five, (name, number, probability).
        threshold: of the boxes; squares: how many were covered.
        cautions: about the picture as a whole; :attr:`all_cautions` has those about classes, too.
    """

    picture: Picture
    square: np.ndarray
    model: str
    method: str
    layer: str | None
    layer_size: tuple[int, int] | None
    predictions: tuple[tuple[str, int, float], ...]
    classes: tuple[ClassResult, ...]
    threshold: float
    squares: int
    cautions: tuple[Caution, ...]

    @property
    def all_cautions(self) -> tuple[Caution, ...]:
        """What to be wary of: about the picture first, then class by class."""
        return self.cautions + tuple(caution for found in self.classes for caution in found.cautions)
