"""Letters on radiographs: lead ones that lay on the detector, and text printed into the picture later."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from course_utils import assets
from course_utils.explain import check_images

__all__ = ["POSITIONS", "lettering", "print_over", "stamp"]

POSITIONS = {
    "top left": (0.03, 0.03),
    "top right": (0.97, 0.03),
    "bottom left": (0.03, 0.97),
    "bottom right": (0.97, 0.97),
    "center": (0.5, 0.5),
}
"""Where the text's box touches the picture's: shares of its width and height."""

LETTER_HEIGHT = 0.068
_FINE = 24  # pixels of a capital's height when it is drawn, before it is made smaller


def stamp(
    images: torch.Tensor,
    text: str = "PORTABLE",
    position: str | tuple[float, float] = "top left",
    opacity: float = 1.0,
    height: float = LETTER_HEIGHT,
) -> torch.Tensor:
    """Return copies of radiographs with a text printed over them, white with a dark rim.

    Args:
        images: (N, 1, H, W) in [0, 1].
        text: what to print; an empty text changes nothing.
        position: one of ``POSITIONS``, or (x, y) in [0, 1]: 0 puts the text at the left or upper border, 1 at
            the right or lower border.
        opacity: 0 leaves the image as it is, 1 covers it.
        height: of a capital letter, as a share of the image's height.

    Raises:
        TypeError, ValueError: bad images, an unknown position, an opacity outside [0, 1], a text that is too
            long for the image.
    """
    check_images(images, unit_range=True, channels=1)
    if isinstance(position, str) and position not in POSITIONS:
        raise ValueError(
            f"there is no position {position!r}: the known ones are {', '.join(POSITIONS)}, or give (x, y)."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must lie between 0 (not there) and 1 (covers all), got {opacity}.")
    place = POSITIONS[position] if isinstance(position, str) else position
    letters, rim = lettering(text, tuple(images.shape[2:]), place, height)
    letters, rim = (torch.from_numpy(x).to(images.device, images.dtype) for x in (letters, rim))
    return print_over(images.detach(), letters * opacity, rim * opacity)


def print_over(
    images: torch.Tensor | np.ndarray, letters: torch.Tensor | np.ndarray, rim: torch.Tensor | np.ndarray
) -> torch.Tensor | np.ndarray:
    """Return images darkened where ``rim`` is 1 and white where ``letters`` is 1; all in [0, 1]."""
    return images * (1 - rim) * (1 - letters) + letters


def lettering(
    text: str,
    shape: tuple[int, int],
    place: tuple[float, float],
    height: float = LETTER_HEIGHT,
    circle: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each pixel a text covers, and its dark rim: two arrays (H, W) in [0, 1].

    Args:
        text: one line.
        shape: (H, W) of the image.
        place: (x, y), see :func:`stamp`.
        height: of a capital, as a share of H.
        circle: draw a ring around the text.

    Raises:
        ValueError: the place lies outside the image, or the text does not fit into it.
    """
    rows, columns = shape
    letters, rim = np.zeros((2, rows, columns), np.float32)
    if not (len(place) == 2 and all(0 <= share <= 1 for share in place)):
        raise ValueError(f"a position is (x, y) with both in [0, 1], got {place!r}.")
    if not text.strip():
        return letters, rim
    drawn = _drawn(text, circle)
    # The text is drawn with a margin of half a capital's height all around.
    scale = height * rows / _FINE
    h, w = max(1, round(drawn.height * scale)), max(1, round(drawn.width * scale))
    if h > rows or w > columns:
        raise ValueError(
            f"the text {text!r} takes {w} x {h} pixels, more than the image of {columns} x {rows} has. Take a shorter "
            "text or a smaller height."
        )
    small = np.asarray(drawn.resize((w, h), Image.Resampling.BOX), np.float32) / 255
    x, y = round(place[0] * (columns - w)), round(place[1] * (rows - h))
    letters[y : y + h, x : x + w] = small
    wide = small.copy()
    for axis in (0, 1):
        wide = np.maximum(wide, np.maximum(np.roll(wide, 1, axis), np.roll(wide, -1, axis)))
    rim[y : y + h, x : x + w] = 0.6 * wide
    return letters, rim


@lru_cache(maxsize=64)
def _drawn(text: str, circle: bool) -> Image.Image:
    """Draw a text large: white on black, capitals of ``_FINE`` pixels, with a margin of a quarter of that."""
    # A regular capital is 0.73 of the font's size high.
    path = assets.package_file("matplotlib", "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf")
    font = ImageFont.truetype(str(path), round(_FINE / 0.73))
    left, top, right, bottom = font.getbbox(text)
    margin = _FINE // 4 + (_FINE // 3 if circle else 0)
    wide = right - left + 2 * margin
    high = bottom - top + 2 * margin
    if circle:
        wide = high = max(wide, high)
    canvas = Image.new("L", (wide, high), 0)
    draw = ImageDraw.Draw(canvas)
    draw.text(((wide - right - left) / 2, (high - bottom - top) / 2), text, fill=255, font=font)
    if circle:
        draw.ellipse((2, 2, wide - 3, high - 3), outline=255, width=_FINE // 6)
    # Letters as narrow as those that are printed on radiographs.
    return canvas if circle else canvas.resize((round(0.8 * wide), high), Image.Resampling.BOX)
