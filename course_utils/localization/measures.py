"""From a heat-map to a box, and how far box and map agree with the truth.

Boxes are half-open, (x0, y0, x1, y1) in pixels: x0 and y0 lie inside, x1 and y1 are the first outside. What cannot be
measured, because a map is empty, comes back as None, never as a number: count these cases beside an average.

The rules are those of the CAM and Grad-CAM papers (arXiv 1512.04150, 1610.02391) and of the evaluation scripts in the
ILSVRC development kit (``eval_clsloc.m``, ``compute_overlap.m``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from course_utils.pictures import Box, box_around

__all__ = [
    "aligned",
    "as_array",
    "as_box",
    "as_heatmap",
    "as_mask",
    "as_region",
    "as_share",
    "box_from_heatmap",
    "classification_error",
    "energy_inside",
    "iou",
    "is_flat",
    "localization_error",
    "mask_iou",
    "pointing_game",
]

EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)
FLAT = 1e-5  # of the maximum: enlarging a map of one cell spreads it by less, in single precision


def box_from_heatmap(heatmap: object, threshold: float = 0.15) -> Box | None:
    """Return the box around the largest connected component of the pixels >= threshold * maximum.

        marked_ij = [H_ij > 0 and H_ij >= threshold * max H],    pixels that touch by side or corner are connected

    A component's size is its number of pixels. Of several equally large ones, the one counts whose first pixel
    comes first in reading order (rows from the top, each from the left). A map that is positive everywhere may well
    be marked everywhere: then the box is the whole image, and says nothing of the place.

    Args:
        heatmap: (H, W), not negative; an array or a tensor (also on a GPU, also in half precision).
        threshold: share of the maximum, 0 < threshold <= 1; 0.15 in the Grad-CAM paper, 0.20 in the CAM paper.

    Returns:
        A half-open box; None if the map is flat, whether zero or the same everywhere: it marks no place.

    Raises:
        TypeError, ValueError: not one map, negative, NaN or infinite values, a threshold outside (0, 1].
    """
    from scipy import ndimage  # here, since it takes half a second, which not every notebook needs

    values = as_heatmap(heatmap)
    threshold = as_share(threshold, "threshold")
    if is_flat(values):
        return None
    limit = threshold * float(values.max())
    # Half of the smallest number there is rounds to zero.
    marked = values >= limit if limit > 0 else values > 0
    components, number = ndimage.label(marked, EIGHT_NEIGHBORS)
    if number > 1:
        sizes = np.bincount(components.ravel())
        sizes[0] = 0  # the background
        largest = np.flatnonzero(sizes == sizes.max())
        first = np.isin(components.ravel(), largest).argmax() if len(largest) > 1 else None
        marked = components == (largest[0] if first is None else components.ravel()[first])
    return box_around(marked)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two half-open boxes (x0, y0, x1, y1), in [0, 1].

    ILSVRC's files and scripts name the last pixel inside instead, and add 1 where they compute a width. With
    whole pixels that is the same number: the box from pixel x0 to pixel x1 - 1, both included, is
    (x1 - 1) - x0 + 1 = x1 - x0 wide, and so is its intersection with another one. (Where two boxes do not meet, the
    scripts say -1, this function 0; neither reaches 0.5.)

    Raises:
        TypeError, ValueError: not four finite numbers, or a box that is empty or inside out.
    """
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = as_box(a), as_box(b)
    width, height = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inside)


def classification_error(guesses: Sequence[Sequence[int]], labels: Sequence[int], top: int = 5) -> float:
    """Return the share of images whose label is not among the first ``top`` guesses, in [0, 1].

    Args:
        guesses: N rows of class numbers, each row's most probable one first; rows shorter than ``top`` count as
            they are.
        labels: the N right class numbers.
        top: how many guesses count.

    Raises:
        ValueError: nothing to count, or lengths that do not fit.
        TypeError: guesses or labels that are no class numbers: scores, one-hot rows.
    """
    guesses, labels = aligned(top, guesses=guesses, labels=labels)
    misses = [label not in row[:top] for row, label in zip(guesses, labels, strict=True)]
    return sum(misses) / len(misses)


def localization_error(
    guesses: Sequence[Sequence[int]],
    boxes: Sequence[Sequence[Sequence[float] | None]],
    labels: Sequence[int],
    instances: Sequence[Sequence[Sequence[float]]],
    top: int = 5,
    overlap: float = 0.5,
) -> float:
    """Return the share of images without a hit among the first ``top`` guesses, in [0, 1], as ILSVRC counts.

        image is right  <=>  there are a guess j <= top and an instance m with  c_j = label  and  IoU(b_j, B_m) >= 0.5

    Args:
        guesses: N rows of class numbers, the most probable first.
        boxes: N rows with the box of each guess; None where its map was empty, which is a miss.
        labels: the N right class numbers.
        instances: N lists of boxes: all instances of that image's label. One of them is enough.
        top: how many guesses count, 1 or 5 in ILSVRC.
        overlap: the least IoU of a hit; exactly as much is enough.

    Raises:
        TypeError, ValueError: nothing to count, lengths that do not fit, an image without instance, a box that is
            none.
    """
    overlap = as_share(overlap, "overlap")
    rows = zip(*aligned(top, guesses=guesses, boxes=boxes, labels=labels, instances=instances), strict=True)
    misses = 0
    for number, (row, found, label, truth) in enumerate(rows):
        if len(row) != len(found):
            raise ValueError(
                f"image {number} has {len(row)} guesses but {len(found)} boxes: give each its own, or None."
            )
        if not len(truth):
            raise ValueError(f"image {number} has no instance of its label, so that no box could be right.")
        misses += not any(
            guess == label and box is not None and any(iou(box, one) >= overlap for one in truth)
            for guess, box in zip(row[:top], found[:top], strict=True)
        )
    return misses / len(labels)


def pointing_game(heatmap: object, target: object, tolerance: float = 0) -> bool | None:
    """Return whether the map's maximum lies on the target; None if the map points nowhere.

    It points nowhere if it is flat: empty, or the same everywhere up to rounding. Of several equal maxima the first in
    reading order counts.

    Args:
        heatmap: (H, W), not negative.
        target: a mask (H, W), as an array or tensor; or a box; or a list of boxes, of which one is enough. A pixel
            is in a box if its center is.
        tolerance: how many pixels beside the target still count, from center to center. Zhang et al. (2016, arXiv
            1608.00507), who introduced the game, allowed 15.

    Raises:
        TypeError, ValueError: as :func:`box_from_heatmap`; a target of another size, or without any pixel.
    """
    values, target = as_heatmap(heatmap), as_region(target, heatmap)
    if not target.any():
        raise ValueError("the target has no pixel in this map, so that nothing could hit it.")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance is a number of pixels, 0 or more, not {tolerance!r}.")
    if is_flat(values):
        return None
    y, x = np.unravel_index(values.argmax(), values.shape)
    rows, columns = np.nonzero(target)
    return bool(((rows - y) ** 2 + (columns - x) ** 2).min() <= tolerance**2)


def energy_inside(heatmap: object, mask: object) -> float | None:
    """Return the share of the map's positive energy that lies inside the mask, in [0, 1]; None for a flat map.

        E = sum_(ij in mask) relu(H_ij) / sum_ij relu(H_ij)

    Chance is the mask's share of the area, ``mask.mean()``: say it beside. A map that is the same everywhere would
    have just that share, whatever the network does; one without anything positive has none. (Energy-based pointing
    game, Wang et al. 2020, arXiv 1910.01279.)

    Args:
        heatmap: (H, W); signed maps are allowed, their negative part does not count.
        mask: (H, W), as an array or tensor; or a box; or a list of boxes, whose union counts.

    Raises:
        TypeError, ValueError: not one map, NaN or infinite values, a mask of another size.
    """
    values = np.maximum(as_heatmap(heatmap, signed=True).astype(float), 0)
    inside = as_region(mask, heatmap)
    if is_flat(values):
        return None
    values = values / values.max()  # sums of huge or tiny values would leave the range of numbers
    return float(values[inside].sum() / values.sum())


def mask_iou(a: object, b: object) -> float | None:
    """Return the intersection over union of two masks of the same shape; None if both are empty.

    Raises:
        TypeError, ValueError: values other than True and False (or 1 and 0), or two shapes.
    """
    first, second = as_mask(a), as_mask(b)
    if first.shape != second.shape:
        raise ValueError(
            f"the masks have shapes {first.shape} and {second.shape}: bring them to one size first."
        )
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else None


# ---------------------------------------------------------------- what the measures check first
def is_flat(values: np.ndarray) -> bool:
    """Whether no place stands out: the values, not negative, are the same up to the rounding of an enlargement.

    Args:
        values: an array, or a tensor, of one map.
    """
    high = float(values.max())
    return high - float(values.min()) <= FLAT * high


def as_array(values: object) -> np.ndarray:
    """Return an array, also of a tensor that is on a GPU, belongs to a graph, or has half precision."""
    if hasattr(values, "detach"):  # a torch.Tensor, for which no torch is imported here
        values = values.detach().cpu()
        values = (
            values.float() if str(values.dtype) in ("torch.bfloat16", "torch.float16") else values
        ).numpy()
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def as_heatmap(heatmap: object, signed: bool = False) -> np.ndarray:
    """Return the map as an array (H, W) of finite numbers, not negative unless ``signed``."""
    values = as_array(heatmap)
    if values.dtype.kind not in "fiub":
        remedy = " Take one of its maps: `e.heatmaps()[n, k]`." if hasattr(heatmap, "heatmaps") else ""
        raise TypeError(
            f"a heat-map consists of numbers, got {type(heatmap).__name__} of {values.dtype}.{remedy}"
        )
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"a heat-map has shape (H, W), got {values.shape}. Take one of several: `e.heatmaps()[n, k]`."
        )
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):  # NaN comes through min and max
        raise ValueError("the heat-map contains NaN or infinite values. Check how it was computed.")
    if low < 0 and not signed:
        raise ValueError(
            f"the heat-map has negative values, down to {low:.4g}. Take what speaks for the class: its relu, as "
            "`e.positive` or `e.heatmaps()` have it."
        )
    return values


def as_mask(mask: object) -> np.ndarray:
    """Return the mask as an array of bool."""
    values = as_array(mask)
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise TypeError(
            f"a mask consists of True and False, or of 1 and 0; got {type(mask).__name__} of {values.dtype}. Make one "
            "of it by a comparison: `mask > 0`, say, of a picture with 0 and 255."
        )
    return values.astype(bool)


def as_region(target: object, heatmap: object) -> np.ndarray:
    """Return a mask of the heat-map's size from a mask, a box, or a list of boxes."""
    shape = tuple(heatmap.shape) if hasattr(heatmap, "shape") else np.shape(heatmap)
    if hasattr(target, "shape") and len(target.shape) == 2 and tuple(target.shape) == shape:
        return as_mask(target)
    if hasattr(target, "shape") and tuple(target.shape) != (4,):
        raise ValueError(
            f"the mask has shape {tuple(target.shape)}, the heat-map {shape}: enlarge the map to the image's size, "
            "`e.heatmaps(size)`."
        )
    boxes = list(target)
    region = np.zeros(shape, dtype=bool)
    for box in [boxes] if boxes and not hasattr(boxes[0], "__len__") else boxes:
        # The center of pixel i is i + 1/2: inside are those from ceil(x0 - 1/2) to ceil(x1 - 1/2) - 1.
        x0, y0, x1, y1 = (max(0, math.ceil(edge - 0.5)) for edge in as_box(box))
        region[y0:y1, x0:x1] = True
    return region


def as_box(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the box as four Python numbers, x0 < x1 and y0 < y1."""
    if box is None:
        raise TypeError(
            "None is no box: an empty map gives none. Count it as a miss, or leave the image out and say so."
        )
    try:
        # Python's numbers: those of small integer types would overflow in a product.
        x0, y0, x1, y1 = (edge.item() if hasattr(edge, "item") else edge for edge in box)
        finite = all(math.isfinite(edge) for edge in (x0, y0, x1, y1))
    except (TypeError, ValueError):
        raise TypeError(f"a box consists of four numbers (x0, y0, x1, y1), got {box!r}.") from None
    if not finite or x1 <= x0 or y1 <= y0:
        raise ValueError(
            f"the box {(x0, y0, x1, y1)} holds no pixel. Boxes are half-open: x0 < x1 and y0 < y1, all finite."
        )
    return x0, y0, x1, y1


def as_share(value: float, name: str) -> float:
    """Return the value if 0 < value <= 1."""
    if not 0 < value <= 1:  # also refuses NaN
        raise ValueError(f"{name} is a share, 0 < {name} <= 1, not {value!r}.")
    return float(value)


def aligned(top: int, **columns: Sequence) -> list[list]:
    """Return the columns as lists after checking that they speak of the same images."""
    if top < 1:
        raise ValueError(f"top is a number of guesses, at least 1, not {top!r}.")
    lists = [value.tolist() if hasattr(value, "tolist") else list(value) for value in columns.values()]
    lengths = {name: len(value) for name, value in zip(columns, lists, strict=True)}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"an error rate needs the same images in each list, and at least one; got {found}.")
    guesses, labels = (lists[[*columns].index(name)] for name in ("guesses", "labels"))
    for row, label in zip(guesses, labels, strict=True):
        numbers = [*row, label] if hasattr(row, "__len__") and not isinstance(row, str) else [row]
        if numbers == [row] or any(isinstance(number, float | list | tuple) for number in numbers):
            raise TypeError(
                f"each image has a row of class numbers, the most probable first, and one label; got {row!r:.60} and "
                f"{label!r:.60}. Of scores make guesses with `scores.topk(5).indices`, of one-hot labels numbers with "
                "`labels.argmax(1)`."
            )
    return lists
