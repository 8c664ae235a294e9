"""How to show a gradient with respect to an image: signed numbers for three colors, zero is mid-gray.

    picture = 1/2 + v / (2 limit), cut off at 0 and 1

The limit is the same above and below zero: the 99th percentile of |v|. A few pixels have values many times as
large as all others; measured by the maximum, everything else would be gray. A picture stretched from its
minimum to its maximum would move zero away from mid-gray: then "no influence" looks like an influence.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from .figures import without_axes

__all__ = ["draw_gradient", "gradient_limit", "gradient_picture"]

PERCENTILE = 99.0  # of |v|: one value in a hundred may be cut off


def gradient_limit(*images: Tensor | np.ndarray, percentile: float = PERCENTILE) -> float:
    """Return one limit for all the images given: a percentile of |v| over all their values.

    Give it all images that are to be compared, and draw them with the limit that it returns.

    Args:
        images: signed numbers of any shape.
        percentile: 100 is the maximum, at which nothing is cut off.

    Returns:
        A positive number; where the percentile is zero (nearly empty images) the maximum, and 1 where all is zero.

    Raises:
        ValueError: no image, values that are not finite, a percentile outside 0 to 100.
    """
    if not images:
        raise ValueError("a limit needs at least one image to be taken from, got none.")
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must lie above 0 and not above 100, got {percentile}.")
    sizes = np.concatenate([np.abs(_array(image)).ravel() for image in images])
    # A value that is there, not one between two: the limit of two images is then one of their values.
    return float(np.percentile(sizes, percentile, method="higher")) or float(sizes.max()) or 1.0


def gradient_picture(values: Tensor | np.ndarray, limit: float | None = None) -> np.ndarray:
    """Return a gradient image as a picture (H, W, 3) in [0, 1] whose mid-gray, 0.5, is zero.

        picture = 1/2 + v / (2 limit), cut off at 0 and 1

    A channel above 0.5 is one whose increase would raise the score, below 0.5 one whose decrease would.

    Args:
        values: (3, H, W), or (1, 3, H, W), signed.
        limit: |v| that is shown as 0 or 1. By default this image's own :func:`gradient_limit`; give the same
            to images that are to be compared.

    Raises:
        ValueError: another shape, values that are not finite, a limit that is not positive.
    """
    array = _array(values)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.ndim != 3 or len(array) != 3:
        raise ValueError(
            f"a gradient image has shape (3, H, W), got {tuple(array.shape)}: pick one, `images[n, k]`."
        )
    limit = gradient_limit(array) if limit is None else limit
    if not (limit > 0 and np.isfinite(limit)):
        raise ValueError(f"limit must be a positive number, got {limit}.")
    return (0.5 + array / (2 * limit)).clip(0, 1).transpose(1, 2, 0)


def draw_gradient(ax: Axes, values: Tensor | np.ndarray, title: str = "", limit: float | None = None) -> None:
    """Draw a gradient image (3, H, W): zero is mid-gray, see :func:`gradient_picture`.

    An image that is zero everywhere says so in words, so that nobody takes it for a faint one.

    Args:
        ax: where to draw.
        values: signed.
        title: by custom the method and the class.
        limit: see :func:`gradient_picture`.
    """
    picture = gradient_picture(values, limit)
    # Numbers that alternate from pixel to pixel would make false patterns where pixels are left out: average them.
    ax.imshow(picture, interpolation="antialiased")
    ax.set_title(title)
    without_axes(ax)
    if not _array(values).any():
        ax.text(
            0.5, 0.5, "zero\neverywhere", transform=ax.transAxes, ha="center", va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "boxstyle": "round"},
        )  # fmt: skip


def _array(values: Tensor | np.ndarray) -> np.ndarray:
    array = values.detach().cpu().double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            "a gradient image needs at least one value, and only finite ones. Check how it was computed."
        )
    return array.astype(float, copy=False)
