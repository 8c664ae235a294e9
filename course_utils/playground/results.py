"""What an explanation of one picture consists of: plain numbers, arrays and sentences.

The sentences are the warnings that the course taught: what a picture and its maps give reason to be wary of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from course_utils.methods import Method
from course_utils.pictures import Picture

from .marks import GRID

__all__ = ["Caution", "Check", "ClassResult", "Result", "class_cautions", "picture_cautions"]

LOW = 0.05  # a probability below is called low
CUT = 0.1  # a share of the picture outside the square that is worth a word
WIDE = 0.9  # a box over this share of the square says nothing of a place


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
    """What covering the squares that a map marks most does to the class's logit, beside the same shape elsewhere.

    Scattered squares would be an easier control: they rarely cover as much of one thing as connected squares do.

    Attributes:
        before, after: the logit of the whole picture, and of the covered one.
        random: the logits after covering the same shape, moved or mirrored, at ten places drawn for the picture; empty
            while they are being computed.
        prediction: the class predicted for the covered picture.
        confirmed: whether the logit moved as the map says, by more than rounding, and further than after each of the
            covers elsewhere.
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
        empty: no place is marked, the map being zero or the same everywhere; then there is neither box nor check.
            (Otherwise ``check`` and ``covered`` are None only while they are being computed.)
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


def picture_cautions(
    picture: Picture,
    how: Method,
    side: int,
    crop: float,
    layer_size: tuple[int, int] | None,
    last_size: tuple[int, int],
    random_weights: bool,
) -> tuple[Caution, ...]:
    """Return what to be wary of whatever the class.

    Args:
        picture: as it was read.
        how: the method.
        side: of the square that the network sees.
        crop: the square's share of the picture's shorter side.
        layer_size: (h, w) of the layer's map, None where the method takes no layer.
        last_size: of the last convolutional map.
        random_weights: whether the network has learned nothing.
    """
    found = []
    if random_weights:
        found.append(
            Caution(
                "random-weights",
                "This network has random weights: it has learned nothing, and whatever its maps show comes from the "
                "picture and the method alone.",
            )
        )
    width, height = picture.size
    seen = crop * min(width, height)  # pixels a side
    unseen = 1 - seen**2 / (width * height)
    if unseen > CUT:
        ends = "left and right" if width > height else "at the top and at the bottom"
        ends = ends if crop == 1 else "on all sides"
        found.append(
            Caution(
                "cropped",
                f"The network sees the square in the middle only, not the other {unseen:.0%} of the picture, {ends}.",
            )
        )
    if seen < side:
        found.append(
            Caution(
                "enlarged",
                f"The picture is small ({width} x {height}) and was enlarged to {side} x {side}: there is less detail "
                "than the network is used to.",
            )
        )
    if how.pixels:
        found.append(
            Caution(
                "edges",
                "The lines of guided backprop follow the picture's edges and change little from class to class; with "
                "Grad-CAM as a factor, Grad-CAM alone tells the classes apart (notebook 05).",
            )
        )
    if layer_size is not None and layer_size[0] > last_size[0]:
        found.append(
            Caution(
                "early-layer",
                f"This layer comes too early: it has {layer_size[0]} x {layer_size[1]} cells, the last map "
                f"{last_size[0]} x {last_size[1]}. Its map is finer and tells classes apart worse (notebook 04).",
            )
        )
    return tuple(found)


def class_cautions(
    name: str,
    probability: float,
    rank: int,
    how: Method,
    heat: Tensor,
    box: tuple[int, int, int, int] | None,
    check: Check | None,
    squares: int,
) -> tuple[Caution, ...]:
    """Return what to be wary of with the map of one class."""
    found = []

    def add(code: str, text: str) -> None:
        found.append(Caution(code, text, name))

    if box is None and heat.max() > 0:
        add(
            "flat-map",
            f"Flat map: that of {name} is the same everywhere, as any of a single cell is: it marks no place.",
        )
    elif box is None:
        evidence = "negative" if how.sign < 0 else "positive"
        add(
            "empty-map",
            f"Empty map: no {evidence} evidence for {name} in this layer. That is not to say that the network looked "
            "nowhere (notebook 04).",
        )
    if probability < LOW:
        shown = f"{probability:.3f}" if probability >= 0.0005 else "less than 0.001"
        add(
            "low-score",
            f"Low score: the network gives {name} a probability of {shown} (rank {rank}). A map of it is no sign that "
            "the picture shows one.",
        )
    if box is not None and (box[2] - box[0]) * (box[3] - box[1]) > WIDE * heat.numel():
        add("wide-box", f"The box for {name} is nearly the whole square: it says nothing of a place.")
    if check is not None and check.random and not check.confirmed:
        add("not-confirmed", _not_confirmed(name, how, check, squares))
    return tuple(found)


def _not_confirmed(name: str, how: Method, check: Check, squares: int) -> str:
    changes = [value - check.before for value in check.random]
    move = "raise" if how.sign < 0 else "lower"
    return (
        f"Not confirmed: covering the {squares} of {GRID**2} squares that the map for {name} marks most changes its "
        f"logit by {check.after - check.before:+.1f}, covering the same shape elsewhere by {min(changes):+.1f} to "
        f"{max(changes):+.1f}. To confirm the map, the marked squares would have to {move} it "
        "further than each of these."
    )
