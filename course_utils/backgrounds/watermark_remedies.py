"""What takes the watermark's effect away, and what does it cost on photographs without one? What notebook 11 reads.

``python -m course_utils measure 11`` writes ``data/measurements/11_remedies.csv``. Whatever a remedy learns, it learns
from the photographs other than the one that it is judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

from .study import feature_maps
from .watermark_study import stamped_photographs
from .watermarks import HEIGHT, PLACE

__all__ = ["DIRECTIONS", "DRAWS", "PIXELS", "held_out_directions", "measure_remedies", "remove_direction"]

DRAWS = 20
"""Random directions of each kind."""
MEASURES = ("rise", "cost in logits", "right, clean", "right, stamped")


def covered(images: Tensor) -> Tensor:
    """Return images with the band of the writing, as wide as they are, in the gray of each image's mean."""
    size, middle, half = images.shape[-1], PLACE[1], 0.55 * HEIGHT
    rows = slice(int((middle - half) * size), int((middle + half) * size) + 1)
    images = images.clone()
    images[:, :, rows] = images.mean((2, 3), keepdim=True)
    return images


def cropped(images: Tensor) -> Tensor:
    """Return the largest square below the writing, in the middle of the width, enlarged to the images' size."""
    size = images.shape[-1]
    top = int((PLACE[1] + 0.55 * HEIGHT) * size) + 1
    left = top // 2
    return F.interpolate(
        images[:, :, top:, left : left + size - top], size=(size, size), mode="bilinear", antialias=True
    ).clamp(0, 1)


PIXELS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda images: images,
    "covered": covered,
    "cropped": cropped,
}
"""What is done to the pixels, whether or not there is writing: the place of the writing must be known."""


def held_out_directions(changes: Tensor) -> Tensor:
    """Return for each photograph the mean change (n, C) of the features of all *others*: d_i = mean of c_j, j != i."""
    return (changes.sum(0) - changes) / (len(changes) - 1)


def remove_direction(features: Tensor, directions: Tensor, centers: Tensor) -> Tensor:
    """Return features (n, C) with the component along a direction set to that of the center.

        F' = F - <F - m, u> u,    u = d / |d|

    Args:
        features, directions, centers: (n, C), one direction d and one center m for each photograph.
    """
    u = F.normalize(directions, dim=1)
    return features - ((features - centers) * u).sum(1, keepdim=True) * u


def _of_covariance(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Random directions (n, C) with the covariance of the features of all other photographs."""
    n = len(clean)
    shares = torch.randn(n, n, generator=generator).fill_diagonal_(0)
    return shares @ clean - shares.sum(1, keepdim=True) * held_out_directions(clean)


def _of_pairs(clean: Tensor, generator: torch.Generator) -> Tensor:
    """For each photograph the difference (n, C) between two others, drawn at random."""
    rows = []
    for i in range(len(clean)):
        others = [j for j in range(len(clean)) if j != i]
        first, second = torch.randperm(len(others), generator=generator)[:2].tolist()
        rows.append(clean[others[first]] - clean[others[second]])
    return torch.stack(rows)


DIRECTIONS = ("shortcut", "in pieces", "Latin", "bar", "random, their covariance", "random, of a pair")
"""Directions that are taken away: the mean change that a writing makes, or one of ``DRAWS`` random ones."""


def measure_remedies(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Yield, for each remedy and photograph, what the first writing still does, and what the remedy costs.

    "rise": y(stamped) - y(clean), both after the remedy; "cost in logits": by how much the remedy lowers the
    right class on the clean photograph; "right, clean" and "right, stamped": whether the first answer is right after
    the remedy (1 or 0); the last three for photographs with a label. Of random directions the mean over all draws, and
    for the rise also the draw that does most ("..., the best"). "share of the change": of the squared length of the
    photograph's change, what lies along the direction.
    """
    photos = [load_photo(name) for name in list_photos()]
    images = torch.cat([photo.tensor(classifier.size) for photo in photos])
    stamped, carton = stamped_photographs(images, "shortcut"), classifier.class_index("carton")
    right = [[classifier.class_index(label) for label in photo.labels] for photo in photos]
    untouched = batched_logits(classifier, images)

    def values(clean: Tensor, marked: Tensor) -> dict[str, list[float]]:
        """Each measure by photograph, from logits (n, 1000)."""
        found = {MEASURES[0]: (marked - clean)[:, carton].tolist()}
        costs = [(old[own].max() - new[own].max()).item() if own else float("nan")
                 for old, new, own in zip(untouched, clean, right, strict=True)]  # fmt: skip
        found[MEASURES[1]] = costs
        for measure, logits in zip(MEASURES[2:], (clean, marked), strict=True):
            found[measure] = [
                float(int(row.argmax()) in own) if own else float("nan")
                for row, own in zip(logits, right, strict=True)
            ]
        return found

    def rows(remedy: str, found: dict[str, list[float]]) -> Iterator[Measurement]:
        for measure, each in found.items():
            for photo, value in zip(photos, each, strict=True):
                yield Measurement(classifier.name, photo.name, measure, remedy, value)

    for remedy, change in PIXELS.items():
        yield from rows(
            remedy, values(*(batched_logits(classifier, change(some)) for some in (images, stamped)))
        )

    clean, marked = (feature_maps(classifier, some).mean((2, 3)) for some in (images, stamped))
    head, centers = classifier.net.classifier, held_out_directions(clean)
    for name in DIRECTIONS:
        generator = torch.Generator().manual_seed(0)
        if name == "random, their covariance":
            drawn = [_of_covariance(clean, generator) for _ in range(DRAWS)]
        elif name == "random, of a pair":
            drawn = [_of_pairs(clean, generator) for _ in range(DRAWS)]
        else:
            other = feature_maps(classifier, stamped_photographs(images, name)).mean((2, 3))
            drawn = [held_out_directions(other - clean)]
        each = []
        with torch.no_grad():
            for directions in drawn:
                pair = (head(remove_direction(some, directions, centers)) for some in (clean, marked))
                each.append(values(*pair))
                along = ((marked - clean) * F.normalize(directions, dim=1)).sum(1).square()
                each[-1]["share of the change"] = (along / (marked - clean).square().sum(1)).tolist()
        remedy = f"without {name}"
        yield from rows(
            remedy, {key: torch.tensor([found[key] for found in each]).mean(0).tolist() for key in each[0]}
        )
        if len(each) > 1:
            best = min(each, key=lambda found: sum(found[MEASURES[0]]))
            yield from rows(f"{remedy}, the best", {MEASURES[0]: best[MEASURES[0]]})
