"""What the measures check first: maps, masks, boxes, shares. Each refusal is a sentence that names the value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["aligned", "as_array", "as_box", "as_heatmap", "as_mask", "as_region", "as_share"]


def as_array(values: object) -> np.ndarray:
    """Return an array, also of a tensor that is on a GPU, belongs to a graph, or has half precision."""
    if hasattr(values, "detach"):  # a torch.Tensor; this module needs no torch
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
        raise TypeError(f"a heat-map consists of numbers, got {type(heatmap).__name__} of {values.dtype}.")
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
            f"a mask consists of True and False, or of 1 and 0; got {type(mask).__name__} of {values.dtype}."
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
    return lists
