"""What gives a group of radiographs away: features of parts of the pictures, a linear head, and folds by patient.

A classifier that tells two groups of pictures apart as well *without* the organ in question as with it has found a
property of the pictures, not of the patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number
from course_utils.evidence import Interval
from course_utils.explain import check_images
from course_utils.networks import Classifier, pooled_features

__all__ = [
    "PARTS",
    "StripTest",
    "features",
    "fit_head",
    "folds_by_patient",
    "gray_levels",
    "lungs",
    "random_halves",
    "strip_test",
    "top_strip",
]


def lungs(size: int) -> Tensor:
    """Return a rectangle (size, size) that holds the lungs of most frontal radiographs: rows 30 to 193 and columns
    24 to 199 of 224, six tenths of the picture."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[
        round(30 / 224 * size) : round(194 / 224 * size), round(24 / 224 * size) : round(200 / 224 * size)
    ] = True
    return mask


def top_strip(size: int) -> Tensor:
    """Return the strip at the top (size, size): 50 rows of 224, where letters and shoulders are."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[: round(50 / 224 * size)] = True
    return mask


def frame(size: int) -> Tensor:
    """Return a frame (size, size) that is 8 of 224 pixels wide: borders and bed, of the patient shoulders at most."""
    mask = torch.ones(size, size, dtype=torch.bool)
    wide = round(8 / 224 * size)
    mask[wide : size - wide, wide : size - wide] = False
    return mask


PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "whole picture": lambda images: images,
    "lungs blacked out": lambda images: images.masked_fill(lungs(images.shape[-1]), 0.0),
    "top strip alone": lambda images: images.masked_fill(~top_strip(images.shape[-1]), 0.0),
    "frame alone": lambda images: images.masked_fill(~frame(images.shape[-1]), 0.0),
}
"""What is shown to the network: functions from square images (N, 1, H, H) to images."""


def features(clf: Classifier, images: Tensor, batch: int = 4) -> Tensor:
    """Return what the last linear layer of a classifier takes, (N, C), for gray images (N, 1, H, W) in [0, 1]."""
    check_images(images, unit_range=True, channels=1)
    return pooled_features(clf, images.expand(-1, 3, -1, -1), batch)


def gray_levels(images: Tensor, bins: int = 16) -> Tensor:
    """Return how bright gray images (N, 1, H, W) in [0, 1] are, and nothing of what is in them: (N, bins).

    The share of the pixels in each of ``bins`` equal ranges of gray, times ``bins``: 1 where all are as frequent.
    """
    check_images(images, unit_range=True, channels=1)
    levels = (images.flatten(1) * whole_number(bins, "bins", 2)).long().clamp(max=bins - 1)
    return bins * torch.stack([torch.bincount(row, minlength=bins) for row in levels]) / levels.shape[1]


def folds_by_patient(
    labels: Tensor, patients: Sequence[str], folds: int = 5, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split pictures into ``folds`` parts; no patient is in two. Returns (training, test) numbers for each.

    Raises:
        ValueError: not two groups, or one with fewer patients than folds.
    """
    labels, patients = np.asarray(labels), np.asarray(patients)
    folds = whole_number(folds, "folds", 2)
    if len(labels) != len(patients):
        raise ValueError(
            f"there are {len(labels)} labels and {len(patients)} patients: one for each picture, please."
        )
    counts = [len(set(patients[labels == k])) for k in (0, 1)]
    if set(labels) != {0, 1} or min(counts) < folds:
        raise ValueError(
            f"two groups, 0 and 1, with at least {folds} patients each are needed for {folds} folds; these have "
            f"{counts[0]} and {counts[1]}, and the labels are {sorted(set(labels.tolist()))}."
        )
    from sklearn.model_selection import StratifiedGroupKFold

    split = StratifiedGroupKFold(folds, shuffle=True, random_state=whole_number(seed, "seed", 0))
    return list(split.split(labels, labels, patients))


def fit_head(known: Tensor, labels: Tensor) -> nn.Linear:
    """Return logistic regression on features (N, C) with labels 0 and 1, as a linear layer with two outputs.

    Its logits are -z/2 and z/2 with z = w . f + b, so that softmax gives the regression's probability.
    scikit-learn's defaults: with
    ten times as many features as pictures, its penalty on w is what makes the fit unique.
    """
    from sklearn.linear_model import LogisticRegression  # here, for it takes seconds: 12 alone needs it

    fitted = LogisticRegression(max_iter=1000).fit(known.numpy(), labels.numpy())
    head = nn.Linear(known.shape[1], 2)
    with torch.no_grad():
        for row, sign in enumerate((-0.5, 0.5)):
            head.weight[row] = torch.from_numpy(sign * fitted.coef_[0])
            head.bias[row] = sign * float(fitted.intercept_[0])
    return head.requires_grad_(False)


@dataclass(frozen=True, eq=False)
class StripTest:
    """How well two groups are told apart on pictures of patients that the head has not seen.

    Attributes:
        scores: (N,) z = w . f + b of each picture, from the fold in which it was not seen.
        labels: (N,) group of each picture, 0 or 1.
        folds: (N,) number of that fold. Scores are compared within a fold: each has a head of its own.
    """

    scores: Tensor
    labels: Tensor
    folds: Tensor

    @property
    def by_fold(self) -> list[float]:
        """In each fold the share of the pairs, one picture of each group, in which the second group's has the higher
        score (area under the ROC curve, ties count one half); 0.5 is chance."""
        return [float(wins.mean()) for wins in self._wins()]

    @property
    def auc(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.by_fold))

    @property
    def lowest(self) -> float:
        """Of the folds."""
        return min(self.by_fold)

    @property
    def highest(self) -> float:
        """Of the folds."""
        return max(self.by_fold)

    def interval(self, drawings: int = 2000, seed: int = 0) -> Interval:
        """Return the AUC with its 95% interval: the pictures of each fold and group are drawn anew. The heads are
        those that there are: how much other training pictures would change is not in it.

        Where every pair is in order, so is every drawing, and the interval is one point: that is no certainty.
        """
        generator, drawn = np.random.default_rng(seed), np.zeros(drawings)
        for wins in self._wins():
            # How often each picture is drawn: (drawings, pictures of the group).
            first, second = (generator.multinomial(n, [1 / n] * n, drawings) for n in wins.shape)
            drawn += np.einsum("da,ab,db->d", first, wins, second) / wins.size / len(self._numbers())
        low, high = np.quantile(drawn, (0.025, 0.975))
        return Interval(self.auc, float(low), float(high), len(self.scores))

    def _numbers(self) -> list[int]:
        return self.folds.unique().tolist()

    def _wins(self) -> list[np.ndarray]:
        """For each fold (A, B): 1 where the picture of the second group has the higher score, 1/2 for a tie."""
        found = []
        for number in self._numbers():
            a, b = (self.scores[(self.folds == number) & (self.labels == k)] for k in (0, 1))
            found.append(((b[None] > a[:, None]).double() + 0.5 * (b[None] == a[:, None])).numpy())
        return found


def strip_test(
    known: Tensor, labels: Tensor, patients: Sequence[str], folds: int = 5, seed: int = 0
) -> StripTest:
    """Measure how well a linear head tells two groups apart from features (N, C), in folds by patient.

    Raises:
        ValueError: see :func:`folds_by_patient`.
    """
    scores, number = torch.zeros(len(known)), torch.zeros(len(known), dtype=torch.long)
    for k, (train, test) in enumerate(folds_by_patient(labels, patients, folds, seed)):
        scores[test] = fit_head(known[train], labels[train])(known[test]).diff(dim=1)[:, 0]
        number[test] = k
    return StripTest(scores, torch.as_tensor(labels), number)


def random_halves(known: Tensor, times: int = 20, seed: int = 0) -> list[float]:
    """Return the AUC of strip tests between random halves of one group: what the test finds where nothing is.

    Args:
        known: features (N, C) of one group, a picture for each patient.
        times: how often the group is divided anew.
        seed: for the divisions.

    Raises:
        ValueError: fewer than ten pictures.
    """
    generator = torch.Generator().manual_seed(whole_number(seed, "seed", 0))
    patients = [str(k) for k in range(len(known))]
    halves = (torch.randperm(len(known), generator=generator) % 2 for _ in range(times))
    return [strip_test(known, half, patients).auc for half in halves]
