"""Explorer of a threshold: what it marks of a heat-map, the box around the largest part, and its IoU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import grad_cam
from course_utils.localization import box_from_heatmap, iou
from course_utils.networks import Classifier
from course_utils.pictures import Box, list_photos, load_photo
from course_utils.show import draw_box, draw_heatmap, draw_marked, draw_photo, in_digits, panels

from .explorer import Explorer, choice, picture_places, slider

__all__ = ["threshold_explorer"]


def threshold_explorer(classifier: Classifier, names: Sequence[str] | None = None) -> Explorer:
    """Explore how the threshold moves the box of Grad-CAM's map, and its IoU, on several photographs.

    Each map is that of the photograph's first label. Where several objects are to be seen, a box may hit any of them,
    as in ILSVRC: the IoU is that with the nearest. The maps are computed once a photograph; the slider costs a box and
    a figure.

    Args:
        classifier: the network.
        names: photographs with an ImageNet class; by default all.

    Raises:
        ValueError: an unknown photograph, or one that no class of ImageNet fits.
    """
    from scipy import ndimage  # slow to import

    known = list_photos(labeled=True)
    chosen = known if names is None else list(names)
    for name in chosen:
        if name not in known and not load_photo(name).labels:  # complains about unknown names itself
            raise ValueError(
                f"no class of ImageNet fits the photograph {name!r}: take some of {', '.join(known)}."
            )

    @lru_cache(maxsize=len(chosen))
    def prepared(name: str) -> tuple[Tensor, np.ndarray, list[Box], str, float]:
        photo, image = load_photo(name).square(classifier.size), load_photo(name).tensor(classifier.size)
        explanation = grad_cam(classifier, image, photo.labels[0])
        index = int(explanation.classes[0, 0])
        probability = classifier.probabilities(classifier(image))[0, index].item()
        return image, explanation.heatmaps()[0, 0].cpu().numpy(), photo.boxes, photo.labels[0], probability

    def draw(photo: str, threshold: int) -> tuple[Figure, str]:
        image, heat, truths, label, probability = prepared(photo)
        figure, axes = panels(2, width=7, height=3.8, places=picture_places(7, 3.8))
        draw_heatmap(axes[0], heat, image, f"{label} {in_digits(probability)}")
        box = box_from_heatmap(heat, threshold / 100)
        if box is None:
            draw_photo(axes[1], image, "no box")
            for truth in truths:
                draw_box(axes[1], truth)
            return figure, f"No cell of the map for {label} is positive: there is no box to draw."
        marked = (heat >= threshold / 100 * heat.max()) & (heat > 0)
        parts = int(ndimage.label(marked, np.ones((3, 3)))[1])
        truth = max(truths, key=lambda one: iou(box, one))
        overlap = iou(box, truth)
        draw_marked(axes[1], image, marked, f"{threshold}%: IoU {overlap:.3f}")
        for one in truths:
            draw_box(axes[1], one)
        draw_box(axes[1], box, found=True)
        count = len(truths)
        return figure, _words(label, threshold, float(marked.mean()), parts, box, truth, count, overlap)

    return Explorer(
        draw,
        photos=lambda photo, threshold: [photo],
        photo=choice("photograph", chosen),
        threshold=slider("threshold (% of the maximum)", 5, 95, 15, 5),
    )


def _words(
    label: str,
    threshold: int,
    share: float,
    parts: int,
    box: Box,
    truth: Box,
    count: int,
    overlap: float,
) -> str:
    pieces = "in one piece" if parts == 1 else f"in {parts} pieces, of which the largest counts"
    true = "the true one" if count == 1 else f"the nearest of {count} true ones"
    verdict = "enough for a hit" if overlap >= 0.5 else "a miss, even with the right class"
    return (
        f"{share:.0%} of the picture reaches {threshold}% of the maximum of the map for {label}, {pieces}. The dashed "
        f"box is {box[2] - box[0]} x {box[3] - box[1]} pixels, {true} {truth[2] - truth[0]} x "
        f"{truth[3] - truth[1]}; their IoU is {overlap:.3f}: {verdict}."
    )
