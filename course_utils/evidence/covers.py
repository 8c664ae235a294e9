"""Notebook 06's study: does a map find what the score rests on, better than maps that know nothing of the class?

Each labeled photograph is covered where a map is highest, alone and inside of mosaics, and the logit of its class is
followed; single squares are covered for a rank correlation; deletion and insertion take every number of cells. Numbers
of cells are given for a map of 49: of a finer map, the same share is covered. The measures, in few letters each, since
the table has thousands of lines:

- "10 cells: mean", "10 cells: blur": change of the logit when a map's ten highest cells are covered with that fill;
- "rank correlation: mean": of a map with occlusion by the mean color;
- "lead: 5 cells": change of y^c - y^rival, the rival being the class that is highest of the others;
- "deletion area", "insertion area": areas under the curves of probabilities;
- "mosaics: 5 cells": change of the logit of one of four photographs in a mosaic, the mean of four mosaics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.explain import (
    batched_logits,
    cover,
    deletion_curve,
    grad_cam,
    insertion_curve,
    occlusion,
    top_share_mask,
)
from course_utils.networks import Classifier
from course_utils.pictures import balanced_mosaics, list_photos, load_photo

from .blind import blind_maps
from .measurements import Measurement
from .ranks import rank_correlation

__all__ = ["mosaic_orders", "study_covers"]

COVERS = ((5, "mean"), (10, "mean"), (16, "mean"), (10, "blur"))  # cells of 49, and what stands in for them
DRAWS = 2  # random covers of a photograph: the table has their mean

Table = dict[tuple[str, str], list[float]]  # by measure and map: a number for each photograph


def study_covers(
    classifier: Classifier, progress: bool = False, names: Sequence[str] | None = None
) -> Iterator[Measurement]:
    """Measure what notebook 06 reads.

    Args:
        classifier: one of :data:`course_utils.evidence.NETWORKS`.
        progress: whether to print which part is being measured.
        names: the photographs; default: all that have a label.
    """
    names = list(names or list_photos(labeled=True))
    network = classifier.name
    for words, part in (("alone", _alone), ("in mosaics", _in_mosaics)):
        if progress:
            print(f"{network}: {len(names)} photographs {words}", flush=True)
        for (measure, order), values in part(classifier, names).items():
            for name, value in zip(names, values, strict=True):
                yield Measurement(network, name, measure, order, value)


def _alone(classifier: Classifier, names: list[str]) -> Table:
    photos = [load_photo(name) for name in names]
    images = torch.cat([photo.tensor(classifier.size) for photo in photos])
    own = torch.tensor([[classifier.class_index(photo.labels[0])] for photo in photos])  # (N, 1)
    whole = batched_logits(classifier, images)  # (N, classes)
    rival = whole.scatter(1, own, -torch.inf).argmax(1, keepdim=True)  # the highest of all others
    both = grad_cam(classifier, images, torch.cat([own, rival], 1)).maps
    maps = {"Grad-CAM": both[:, 0], **blind_maps(classifier, images, own)}
    del maps["another picture"]  # another class is as blind, and covers take time
    chance = torch.rand(DRAWS, *both[:, 0].shape, generator=torch.Generator().manual_seed(0))
    found: Table = {}

    def changes(order: Tensor, count: int, fill: str, lead: bool = False) -> list[float]:
        """Change of each photograph's logit y^c (or of its lead, y^c - y^rival) when its first cells are covered."""
        each = []
        for ranking in order.view(-1, *both[:, 0].shape):
            moved = (
                batched_logits(classifier, cover(images, top_share_mask(ranking, count / 49), fill)) - whole
            )
            each.append(moved.gather(1, own) - (moved.gather(1, rival) if lead else 0))
        return torch.stack(each).mean(0)[:, 0].tolist()

    falls = {
        fill: occlusion(classifier, images, own, both.shape[-1], fill)[:, 0] for fill in ("mean", "blur")
    }
    for fill, squares in falls.items():
        measure = f"rank correlation: {fill}"
        found |= {
            (measure, name): list(map(rank_correlation, ranking, squares)) for name, ranking in maps.items()
        }

    for count, fill in COVERS:
        orders = {**maps, "lowest cells": -both[:, 0], "occlusion": falls[fill], "random cells": chance}
        measure = f"{count} cells: {fill}"
        found |= {(measure, name): changes(order, count, fill) for name, order in orders.items()}

    rather, total = both[:, 0] - both[:, 1], maps["class-free sum"]
    orders = {
        "difference": rather,
        "difference reversed": -rather,
        "class-free sum": total,
        "random cells": chance,
    }
    measure = "lead: 5 cells"
    found |= {(measure, name): changes(order, 5, "mean", lead=True) for name, order in orders.items()}

    orders = {**maps, "random cells": chance[0]}
    del orders["another class"]
    rankings, classes = torch.stack(list(orders.values()), 1), own.expand(-1, len(orders))
    for measure, curve in (("deletion area", deletion_curve), ("insertion area", insertion_curve)):
        areas = curve(classifier, images, rankings, classes).area.T
        found |= {(measure, name): area.tolist() for name, area in zip(orders, areas, strict=True)}
    return found


def _in_mosaics(classifier: Classifier, names: list[str]) -> Table:
    """Each photograph stands in four mosaics, once in each place; its four changes are averaged."""
    measure = "mosaics: 5 cells"
    found: dict[str, dict[str, list[float]]] = {}
    draw = torch.Generator().manual_seed(0)
    for picture in balanced_mosaics(names, size=classifier.size):
        image, own = picture.tensor(), [classifier.class_index(photo.labels[0]) for photo in picture.photos]
        e = grad_cam(classifier, image, own)
        for place, photo in enumerate(picture.photos):
            orders = mosaic_orders(picture.quarter(place), e.maps[0, place], e.activations[0].sum(0), draw)
            masks = top_share_mask(torch.stack(list(orders.values())), 5 / 49)
            moved = batched_logits(classifier, cover(image, masks))[:, own[place]] - e.scores[0, place]
            for name, change in zip(orders, moved.tolist(), strict=True):
                found.setdefault(name, {}).setdefault(photo.name, []).append(change)
    return {
        (measure, order): [float(np.mean(values[name])) for name in names] for order, values in found.items()
    }


def mosaic_orders(
    quarter: np.ndarray, raw: Tensor, total: Tensor, draw: torch.Generator
) -> dict[str, Tensor]:
    """Return orders of a mosaic's cells to cover them by, highest first, each (h, w).

    "own" are the cells that lie wholly on the photograph of the class, "others" those that do not touch it.

    Args:
        quarter: mask (H, W), True where that photograph is.
        raw: Grad-CAM's signed map for the class, (h, w).
        total: the class-free sum, (h, w).
        draw: for the random orders.
    """
    h, w = raw.shape
    share = F.adaptive_avg_pool2d(torch.as_tensor(quarter.copy()).float()[None], (h, w))[0]
    middle = [
        (at.min() + at.max() + 1) / (2 * n) for at, n in zip(quarter.nonzero(), quarter.shape, strict=True)
    ]
    y, x = ((torch.arange(n) + 0.5) / n for n in (h, w))  # the cells' centers, as shares of the side
    far = (y[:, None] - middle[0]) ** 2 + (x[None] - middle[1]) ** 2
    chance = torch.rand(h, w, generator=draw)

    def on(cells: Tensor, order: Tensor) -> Tensor:
        return order.masked_fill(~cells, -torch.inf)

    own, others = share == 1, share == 0
    return {
        "Grad-CAM": raw,
        "own: Grad-CAM": on(own, raw),
        "own: class-free sum": on(own, total),
        "own: nearest center": on(own, -far),
        "own: random cells": on(own, chance),
        "random cells": chance,
        "counterfactual": -raw,
        "others: class-free sum": on(others, total),
        "others: random cells": on(others, chance),
    }
