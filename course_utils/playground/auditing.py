"""An audit: the course's checks of a classifier's maps, on pictures whose class is known, as a table to be read."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from course_utils.evidence import rank_correlation, shuffle_weights
from course_utils.methods import METHODS
from course_utils.networks import Classifier
from course_utils.pictures import Picture

from .engine import Explainer
from .marks import signed_maps
from .results import Result

__all__ = ["Audit", "audit", "with_shuffled_head"]


@dataclass(frozen=True)
class Audit:
    """What an audit measured.

    Attributes:
        rows: (question, what was measured, what speaks for trust).
        results: what was found on each picture, for its right class.
        shuffled, mirrored: the rank correlation of each picture's map with that of the network whose last layer was
            shuffled, and with that of the mirrored picture, mirrored back; NaN where one of the two does not vary.
    """

    model: str
    method: str
    rows: tuple[tuple[str, str, str], ...]
    results: tuple[Result, ...]
    shuffled: tuple[float, ...]
    mirrored: tuple[float, ...]

    def report(self) -> str:
        """Return the table as Markdown, with a column to fill in."""
        lines = [
            f"**Audit of {self.model}, {self.method}**",
            "",
            "| question | measured | would speak for trust | my verdict |",
            "|---|---|---|---|",
        ]
        return "\n".join([*lines, *(f"| {' | '.join(row)} | |" for row in self.rows)])


def with_shuffled_head(classifier: Classifier, seed: int = 0) -> Classifier:
    """Return a copy whose last linear layer's weights are shuffled (arXiv 1810.03292): it knows the classes no more.

    Raises:
        ValueError: the network has no linear layer.
    """
    other = copy.deepcopy(classifier)
    linears = [part for part in other.modules() if isinstance(part, nn.Linear)]
    if not linears:
        raise ValueError("the network has no linear layer to shuffle.")
    shuffle_weights(linears[-1], seed)
    return other


def audit(
    explainer: Explainer, pictures: Sequence[Picture], labels: Sequence[str | int], method: str = "grad-cam"
) -> Audit:
    """Ask the questions of notebook 14's checklist that can be measured on a few pictures.

    Args:
        explainer: of the network.
        pictures: at least two.
        labels: the right class of each.
        method: one that makes maps, not gradient images.

    Raises:
        ValueError: fewer than two pictures, another number of labels, an unknown class or method, or a method that
            makes gradient images.
    """
    if method in METHODS and METHODS[method].pixels:
        raise ValueError(f"an audit compares maps, and {METHODS[method].title} makes gradient images.")
    if len(pictures) != len(labels) or len(pictures) < 2:
        raise ValueError(
            f"an audit needs two pictures or more and a label for each, got {len(pictures)} and {len(labels)}."
        )
    pairs = list(zip(pictures, labels, strict=True))
    results = [explainer.explain(picture, label, method) for picture, label in pairs]
    found = [result.classes[0] for result in results]
    other = with_shuffled_head(explainer.classifier)
    shuffled = [_alike(r, _map(other, r.picture.image, r)) for r in results]
    flipped = [_map(explainer.classifier, ImageOps.mirror(r.picture.image), r)[..., ::-1] for r in results]
    mirrored = [_alike(result, back) for result, back in zip(results, flipped, strict=True)]
    n = len(pairs)
    checks = [c.check for c in found if c.check is not None]
    return Audit(
        explainer.name,
        method,
        (
            ("right class predicted", _of(sum(c.rank == 1 for c in found), n), "all"),
            ("right class among the first five", _of(sum(c.rank <= 5 for c in found), n), "all"),
            ("map of the right class not empty", _of(n - sum(c.empty for c in found), n), "all"),
            (
                "covering what is marked beats ten random covers",
                _of(sum(check.confirmed for check in checks), n),
                "most",
            ),
            ("rank correlation, last layer shuffled", _mean(shuffled), "not near 1"),
            ("rank correlation, picture mirrored and back", _mean(mirrored), "near 1"),
        ),
        results=tuple(results),
        shuffled=tuple(shuffled),
        mirrored=tuple(mirrored),
    )


def _of(count: int, n: int) -> str:
    return f"{count} of {n}"


def _map(classifier: Classifier, image: Image.Image, result: Result) -> np.ndarray:
    """The map of a result's class and method, of another network or another picture."""
    square, index = classifier.preprocess(image), result.classes[0].index
    return signed_maps(METHODS[result.method], classifier, square, [index])[0].cpu().numpy()


def _alike(result: Result, other: np.ndarray) -> float:
    """Spearman's rank correlation between a result's raw map and another; NaN where one of them does not vary."""
    return rank_correlation(
        *(torch.from_numpy(np.ascontiguousarray(one)) for one in (result.classes[0].raw, other))
    )


def _mean(values: Sequence[float]) -> str:
    """Mean and range; maps that do not vary are left out."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return "no map varies"
    return f"{np.mean(known):.2f} ({min(known):.2f} to {max(known):.2f})"
