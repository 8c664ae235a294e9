"""A row of panels as two rows: a long, low figure would be too small for the last row of a room."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

__all__ = ["rewrapped", "two_rows"]

LOW = 4  # width / height above which two rows, on a page of 16 by 9, make the panels larger
GUTTER = 5  # pixels: a white strip between two panels is at least so wide
WHITE = 230  # and at least so bright: JPEG leaves traces beside a picture
SMALLEST = 0.3  # share of the width that either part has
SOURCE = re.compile(r'(<img\b[^>]*?src=")data:image/[\w.+-]+;base64,([A-Za-z0-9+/=\s]+)(")')


def rewrapped(figure: str) -> str:
    """Return a figure's HTML with its picture in two rows, if it is low and has panels beside each other."""

    def change(found: re.Match) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(found[2]))).convert("RGB")
        rows = two_rows(np.asarray(picture))
        if rows is None:
            return found[0]
        file = io.BytesIO()
        Image.fromarray(rows).save(file, "PNG", optimize=True)
        return f"{found[1]}data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}{found[3]}"

    return SOURCE.sub(change, figure)


def two_rows(picture: np.ndarray) -> np.ndarray | None:
    """Return a low picture cut in two between panels, the right part below the left; None if there is no such place.

    Panels are parted by columns that are white from top to bottom (a frame or an axis leaves none inside a panel). Of
    the widest of these gaps the one nearest to the middle is taken. The parts stand in the middle of their rows.

    Args:
        picture: (H, W, 3), integers from 0 to 255, on white.
    """
    height, width = picture.shape[:2]
    if width / height <= LOW:
        return None
    white = (picture >= WHITE).all(axis=(0, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], white, [False]]).astype(int)))
    gaps = [
        (a, b) for a, b in edges.reshape(-1, 2) if min(a, width - b) > SMALLEST * width and b - a >= GUTTER
    ]
    if not gaps:
        return None
    widest = max(b - a for a, b in gaps)
    a, b = min(
        (gap for gap in gaps if gap[1] - gap[0] >= 0.7 * widest), key=lambda gap: abs(sum(gap) - width)
    )
    parts = [picture[:, :a], picture[:, b:]]
    row = max(part.shape[1] for part in parts)
    sides = [(row - part.shape[1]) // 2 for part in parts]
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (side, row - part.shape[1] - side), (0, 0)), constant_values=255)
            for part, side in zip(parts, sides, strict=True)
        ]
    )
