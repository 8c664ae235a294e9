"""Grays of more than 8 bits, for whoever reads them: which number is black, and which is white.

A file of 16 bits may use all of them, or 10, 12 or 14, and seldom says so. Divided by what 16 bits can hold, 12 are
nearly black; divided by the largest number, one pixel decides how bright all others are. So

    shown = (v - p_low) / (p_high - p_low), cut off at 0 and 1,

with the percentiles 0.5 and 99.5 of the pixels that count, those by which nnU-Net (arXiv 1809.10486) cuts off what lies
outside. A pixel moves nothing but itself, and a film in 12 bits and in 16 looks the same. The price is the absolute
brightness, which such a file does not state. One that states a range is shown in that: 8 bits, or a DICOM file's window
(see ``dicom``).
"""

from __future__ import annotations

import numpy as np

from .errors import PictureError

__all__ = ["scaled"]

LOW, HIGH = 0.5, 99.5  # per cent


def scaled(values: np.ndarray, name: str, notes: list[str], counted: np.ndarray | None = None) -> np.ndarray:
    """Return grays (H, W) in [0, 1]: the percentile 0.5 is black, 99.5 white, and what lies beyond is cut off.

    Args:
        values: (H, W), finite, the larger the brighter.
        name: what to call the picture in an error.
        notes: gets a sentence that states the range.
        counted: bool (H, W), the pixels that the range is taken from; by default all.

    Raises:
        PictureError: nearly all pixels are equal, so that these percentiles are.
    """
    used = values if counted is None else values[counted]
    low, high = (float(end) for end in np.percentile(used, [LOW, HIGH])) if used.size else (0.0, 0.0)
    if low == high:
        raise PictureError(
            f"{name} has more than 8 bits of gray, of which nothing says how bright they are, and nearly all of its "
            "pixels are equal: there is no range to show it in. Scale it to 8 bits and save it as PNG."
        )
    notes.append(
        "It has up to 16 bits of gray, and does not say how bright they are: "
        f"{low:g} is shown black and {high:g} white, the percentiles {LOW} and {HIGH} of its pixels."
    )
    return ((values.astype(np.float64) - low) / (high - low)).clip(0, 1)
