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
from course_utils.explain import check_images
from course_utils.networks import Classifier, pooled_features

__all__ = [
    "PARTS",
    "StripTest",
    "features",
    "fit_head",
    "folds_by_patient",
    "lungs",
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


PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "whole picture": lambda images: images,
    "lungs blacked out": lambda images: images.masked_fill(lungs(images.shape[-1]), 0.0),
    "top strip alone": lambda images: images.masked_fill(~top_strip(images.shape[-1]), 0.0),
}
"""What is shown to the network: functions from square images (N, 1, H, H) to images."""


def features(clf: Classifier, images: Tensor, batch: int = 4) -> Tensor:
    """Return what the last linear layer of a classifier takes, (N, C), for gray images (N, 1, H, W) in [0, 1]."""
    check_images(images, unit_range=True, channels=1)
    return pooled_features(clf, images.expand(-1, 3, -1, -1), batch)


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
        auc: share of the pairs, one of each group, in which the second group's picture has the higher score
            (area under the ROC curve), mean over the folds; 0.5 is chance.
        lowest, highest: of the folds.
        scores: (N,) z = w . f + b of each picture, from the fold in which it was not seen.
    """

    auc: float
    lowest: float
    highest: float
    scores: Tensor


def strip_test(
    known: Tensor, labels: Tensor, patients: Sequence[str], folds: int = 5, seed: int = 0
) -> StripTest:
    """Measure how well a linear head tells two groups apart from features (N, C), in folds by patient.

    Raises:
        ValueError: see :func:`folds_by_patient`.
    """
    from sklearn.metrics import roc_auc_score

    scores, found = torch.zeros(len(known)), []
    for train, test in folds_by_patient(labels, patients, folds, seed):
        head = fit_head(known[train], labels[train])
        scores[test] = head(known[test]).diff(dim=1)[:, 0]
        found.append(roc_auc_score(labels[test].numpy(), scores[test].numpy()))
    return StripTest(float(np.mean(found)), min(found), max(found), scores)
