"""What tells two groups of films of real people apart, and what can be blamed for it; what notebook 12 reads.

``python -m course_utils measure 12`` writes ``data/measurements/12_hospitals.csv``: a score for each film, from a head
that had not seen it. It needs the films (:func:`real_radiographs`); who reads the table does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.evidence import NETWORKS, Measurement, Measurements
from course_utils.networks import Classifier

from .real import HOSPITALS, RealRadiographs, real_radiographs
from .strips import PARTS, StripTest, features, gray_levels, random_halves, strip_test

__all__ = ["COMPARISONS", "measure_hospitals", "read_by_squeezing", "stored_halves", "stored_test"]

COMPARISONS = {
    "hospital": "NIH against Hannover",
    "hospital, PA": "NIH against those of Hannover's films that were taken from behind (PA)",
    "view": "in Hannover, films taken from behind (PA) against from the front (AP)",
    "squeezed": "in NIH, a random half squeezed to squares against the other half cut to squares",
}
"""What is told apart, with the second group's label 1. (The list says of no NIH film how it was taken.)"""
BRIGHTNESS = "gray levels alone"
WIDE = 1.22  # times as wide as high: Hannover's AP films


def read_by_squeezing(images: Tensor, wide: float = WIDE) -> Tensor:
    """Return square images (N, 1, H, H) as if each had been a film ``wide`` times as wide as high that was squeezed.

    The rows in the middle are kept, H / wide of them, over the whole width, and stretched to H.
    """
    rows = round(images.shape[-1] / wide)
    top = (images.shape[-1] - rows) // 2
    return F.interpolate(images[:, :, top : top + rows], images.shape[-2:], mode="bilinear", antialias=True)


def _groups(real: RealRadiographs) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """By comparison: numbers of the films, their images and their group, 0 or 1."""
    size, everything = real.images.shape[-1], torch.arange(len(real))
    front = torch.tensor([record.view == "ap" for record in real.records])
    hannover, behind = everything[real.hospital == 1], everything[~front]
    nih = everything[real.hospital == 0]
    half = torch.randperm(len(nih), generator=torch.Generator().manual_seed(0)) % 2
    rows = round(size / WIDE)
    middle = slice((size - rows) // 2, (size - rows) // 2 + rows)
    cropped = F.interpolate(real.images[nih][:, :, middle, middle], (size, size), mode="bilinear")
    read = torch.where(half[:, None, None, None].bool(), read_by_squeezing(real.images[nih]), cropped)
    return {
        "hospital": (everything, real.images, real.hospital),
        "hospital, PA": (behind, real.images[behind], real.hospital[behind]),
        "view": (hannover, real.images[hannover], front[hannover].long()),
        "squeezed": (nih, read.clamp(0, 1), half),
    }


def measure_hospitals(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Test the three comparisons on parts of the films, and random halves of each hospital; yield each film's score
    and fold, and each division's AUC."""
    real = real_radiographs(progress=progress)
    names = [record.file.rpartition(".")[0] for record in real.records]
    first = classifier.name == NETWORKS[0]  # what no network has a part in is written down once
    groups = _groups(real)
    for comparison, (numbers, images, labels) in tqdm(
        groups.items(), desc="films", disable=not progress, leave=False
    ):
        parts = PARTS if comparison in ("hospital", "view") else {"whole picture": PARTS["whole picture"]}
        known = {name: features(classifier, part(images)) for name, part in parts.items()}
        if first:
            known[BRIGHTNESS] = gray_levels(images)
        films = [names[k] for k in numbers]
        for part, values in known.items():
            test = strip_test(values, labels, films)  # each film is of a patient of its own
            for film, score in zip(films, test.scores.tolist(), strict=True):
                yield Measurement(classifier.name, film, f"{comparison}: score", part, score)
        if first:
            for name, values in (("group", test.labels), ("fold", test.folds)):
                for film, value in zip(films, values.tolist(), strict=True):
                    yield Measurement(classifier.name, film, f"{comparison}: {name}", "all", value)
        if comparison == "hospital":
            for k, hospital in enumerate(HOSPITALS):
                aucs = random_halves(known["whole picture"][real.hospital == k])
                for number, auc in enumerate(aucs):
                    where = f"halves of {hospital}: AUC"
                    yield Measurement(classifier.name, f"division {number}", where, "whole picture", auc)


def stored_test(table: Measurements, comparison: str, part: str, network: str = NETWORKS[0]) -> StripTest:
    """Return one strip test of the table: ``comparison`` is one of ``COMPARISONS``, ``part`` one of ``PARTS`` or
    "gray levels alone".

    Raises:
        KeyError: it was not measured.
    """
    scores = table.values(f"{comparison}: score", part, network)
    group, fold = (table.values(f"{comparison}: {name}", "all") for name in ("group", "fold"))
    films = list(scores)
    return StripTest(
        torch.tensor([scores[film] for film in films]),
        torch.tensor([int(group[film]) for film in films]),
        torch.tensor([int(fold[film]) for film in films]),
    )


def stored_halves(table: Measurements, hospital: str, network: str = NETWORKS[0]) -> list[float]:
    """Return the AUC of each random division of a hospital's films in the table."""
    return list(table.values(f"halves of {hospital}: AUC", "whole picture", network).values())
