"""Two classes that a network confuses: do the cells that tell them apart matter when they are covered? Notebook 03.

Behind mean pooling the map of a difference is the difference of the maps, L^a - L^b, and adds up to y^a - y^b less the
biases. ``python -m course_utils measure 03`` covers a fifth of the cells of each labeled photograph and writes by how
much y^a - y^b falls to ``data/measurements/03_cam_to_grad_cam.csv``: a is the label, b the best of the wrong classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_utils.explain import batched_logits, cover, grad_cam, top_share_mask
from course_utils.networks import Classifier
from course_utils.pictures import Photo, list_photos, load_photo

from .blind import centre_blob
from .measurements import Measurement

__all__ = [
    "FALL",
    "RANDOM_DRAWS",
    "SHARE",
    "fall_of_difference",
    "label_and_rival",
    "rival_maps",
    "rival_study",
]

SHARE = 0.2
"""Of the cells: 10 of 7 x 7, 13 of 8 x 8, 16 of 9 x 9."""
FALL = "fall of y_a - y_b, a fifth covered"
RANDOM_DRAWS = 3


def label_and_rival(classifier: Classifier, logits: Tensor, photo: Photo) -> tuple[int, int]:
    """Return two class numbers: the photograph's label (of several, the best ranked), and the best of the wrong ones.

    Args:
        classifier: whose classes are meant.
        logits: (K,), of the photograph.
        photo: with a label.
    """
    order = logits.argsort(descending=True).tolist()
    labels = {classifier.class_index(name) for name in photo.labels}
    return next(c for c in order if c in labels), next(c for c in order if c not in labels)


def rival_maps(classifier: Classifier, image: Tensor, label: int, rival: int) -> dict[str, Tensor]:
    """Return maps (h, w) to rank cells by: the difference, its negative, the label's own map, and blind ones."""
    e = grad_cam(classifier, image, [label, rival])
    own, other = e.maps[0]
    draw = torch.Generator().manual_seed(0)
    return {
        "difference": own - other,
        "difference, lowest": other - own,
        "label's own map": own,
        "class-free sum": e.activations[0].sum(0),
        "centre blob": centre_blob(*own.shape),
        **{f"random {n}": torch.rand(own.shape, generator=draw) for n in range(RANDOM_DRAWS)},
    }


def fall_of_difference(
    classifier: Classifier,
    image: Tensor,
    classes: tuple[int, int],
    maps: dict[str, Tensor],
    share: float = SHARE,
) -> dict[str, float]:
    """Return by how much y^a - y^b falls when the highest cells of each map are covered with the mean color.

    Args:
        classifier: the network.
        image: (1, 3, H, W).
        classes: a and b.
        maps: (h, w) each.
        share: of the cells to cover.
    """
    masks = torch.stack([top_share_mask(one, share) for one in maps.values()])
    whole = batched_logits(classifier, image)
    difference = (whole - batched_logits(classifier, cover(image, masks)))[:, classes]
    return dict(zip(maps, (difference[:, 0] - difference[:, 1]).tolist(), strict=True))


def rival_study(classifier: Classifier, progress: bool = False) -> Iterator[Measurement]:
    """Yield :data:`FALL` for each labeled photograph and each of :func:`rival_maps`; random cells as their mean."""
    for name in tqdm(list_photos(labeled=True), disable=not progress):
        photo = load_photo(name)
        image = photo.tensor(classifier.size)
        pair = label_and_rival(classifier, batched_logits(classifier, image)[0], photo)
        falls = fall_of_difference(classifier, image, pair, rival_maps(classifier, image, *pair))
        drawn = [falls.pop(f"random {n}") for n in range(RANDOM_DRAWS)]
        falls["random cells"] = sum(drawn) / RANDOM_DRAWS
        yield from (Measurement(classifier.name, name, FALL, kind, value) for kind, value in falls.items())
