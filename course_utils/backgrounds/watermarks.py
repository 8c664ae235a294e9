"""Writing laid over photographs: the watermark that ImageNet networks take for evidence of a carton.

Li et al. 2023 (arXiv 2212.04825) found it and made ImageNet-W; Bykov et al. 2023 (arXiv 2303.05498) found more classes
that depend on it. The masks in ``data/watermarks.png`` were drawn once, from the font Noto Serif CJK Regular.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from course_utils.arguments import whole_number
from course_utils.assets import data_file

__all__ = ["CHANGES", "HEIGHT", "SCRIPTS", "as_much_ink", "opacity_for", "stamp", "watermark"]

SCRIPTS = {
    "shortcut": "two Chinese characters for shortcut, three times over",
    "study": "two other Chinese characters, for study, three times over",
    "Hangul": "six Korean syllables",
    "Hiragana": "six Japanese syllables",
    "Latin": "the word SHORTCUT",
    "bar": "a plain bar, as wide as the writing and with as much ink as the first",
    "plate": "a plain plate, as large as the first writing and as faint as gives it as much ink",
}
"""What can be laid over a picture: its name, and what it is. The first five stand in the file, in this order."""
CHANGES = ("as written", "mirrored", "upside down", "shuffled", "in pieces", "in small pieces")
"""What can be done to the writing first. "shuffled": its columns of pixels in a random order, so that each row keeps
its ink, and no stroke is left. "in pieces": cut into squares of two ninths of a character's side, laid in a random
order, so that strokes are left and no character is; "in small pieces": of one ninth."""
PIECES = {"in pieces": 16, "in small pieces": 8}  # pixels of the file
FILE = "watermarks.png"
ROWS = 5
LETTERS = 72  # pixels in the file that a character's side takes
HEIGHT, PLACE = 36 / 224, (0.5, 0.4)


@functools.cache
def _drawn() -> Tensor:
    """All writing (rows, height, width), 1 where there is ink."""
    picture = Image.open(data_file(FILE)).convert("L")
    ink = torch.from_numpy(np.array(picture, dtype=np.float32) / 255)
    return ink.view(ROWS, -1, picture.width)


def watermark(
    script: str = "shortcut",
    size: int = 224,
    height: float = HEIGHT,
    place: Sequence[float] = PLACE,
    change: str = "as written",
) -> Tensor:
    """Return where there is ink: (size, size), from 0 for none to 1.

    Args:
        script: one of ``SCRIPTS``.
        size: side of the picture, in pixels.
        height: side of a character, as a share of the picture's. At 36/224 six of them are as wide as the picture.
        place: of the writing's middle, (across, down), as shares of the picture. What reaches out of it is cut off.
        change: one of ``CHANGES``.

    Raises:
        ValueError: another script or change, or a size, height or place outside the picture.
    """
    if script not in SCRIPTS:
        raise ValueError(f"there is no writing {script!r}, only {', '.join(SCRIPTS)}.")
    if change not in CHANGES:
        raise ValueError(f"change must be one of {', '.join(map(repr, CHANGES))}, got {change!r}.")
    if not 0 < height <= 1 or len(place) != 2 or not all(0 <= share <= 1 for share in place):
        raise ValueError(
            f"height {height} and place {tuple(place)} are shares of the picture: height above 0, all up to 1."
        )
    size = whole_number(size, "size", least=1)
    plain = {"bar": _bar, "plate": _plate}
    ink = _changed(plain[script]() if script in plain else _drawn()[list(SCRIPTS).index(script)], change)
    scale = height * size / LETTERS
    ink = F.interpolate(
        ink[None, None], scale_factor=scale, mode="bilinear", antialias=True, recompute_scale_factor=True
    )[0, 0]
    return _placed(ink.clamp(0, 1), size, place)


def _bar() -> Tensor:
    """A bar as wide as the first writing, and so high that it has as much ink."""
    writing = _drawn()[0]
    columns = _extent(writing, 0)
    rows = round(float(writing.sum()) / (columns.stop - columns.start))
    bar, top = torch.zeros_like(writing), (len(writing) - rows) // 2
    bar[top : top + rows, columns] = 1
    return bar


def _plate() -> Tensor:
    """A plate that covers the first writing evenly, with as much ink."""
    writing = _drawn()[0]
    plate, place = torch.zeros_like(writing), (_extent(writing, 1), _extent(writing, 0))
    plate[place] = writing[place].mean()
    return plate


def _extent(ink: Tensor, along: int) -> slice:
    """From the first to the last row (``along`` 1) or column (0) with ink."""
    found = ink.sum(along).nonzero().flatten()
    return slice(int(found[0]), int(found[-1]) + 1)


def _changed(ink: Tensor, change: str) -> Tensor:
    if change == "mirrored":
        return ink.flip(1)
    if change == "upside down":
        return ink.flip(0)
    if change == "shuffled":
        order = torch.randperm(ink.shape[1], generator=torch.Generator().manual_seed(0))
        return ink[:, order]
    if change in PIECES:
        side = PIECES[change]
        pieces = F.unfold(ink[None, None], side, stride=side)  # (1, side * side, pieces)
        order = torch.randperm(pieces.shape[2], generator=torch.Generator().manual_seed(0))
        return F.fold(pieces[:, :, order], ink.shape, side, stride=side)[0, 0]
    return ink


def _placed(ink: Tensor, size: int, place: Sequence[float]) -> Tensor:
    """Lay ink into an empty picture, its middle at the place."""
    (h, w), picture = ink.shape, torch.zeros(size, size)
    top, left = round(place[1] * size - h / 2), round(place[0] * size - w / 2)
    rows, columns = slice(max(top, 0), min(top + h, size)), slice(max(left, 0), min(left + w, size))
    picture[rows, columns] = ink[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return picture


def as_much_ink(script: str, size: int = 224) -> Tensor:
    """Return a writing (size, size) with as much ink as the first: a second line below it, cut off where it suffices.

    Raises:
        ValueError: another script.
    """
    wanted = watermark(size=size).sum()
    first, second = (watermark(script, size, place=(PLACE[0], PLACE[1] + down)) for down in (0, HEIGHT))
    kept = second.sum(0).cumsum(0) <= wanted - first.sum()  # columns
    return (first + second * kept).clamp(0, 1)


def stamp(images: Tensor, ink: Tensor, opacity: float | Tensor = 0.5) -> Tensor:
    """Lay white ink over images: x' = (1 - a m) x + a m, with m the ink and a the opacity.

    Args:
        images: (N, 3, H, W), RGB in [0, 1].
        ink: (H, W), as :func:`watermark` returns it.
        opacity: 0 leaves the images as they are, 1 is white; one for all images, or a tensor (N,).

    Raises:
        ValueError: ink of another size than the images', or an opacity outside 0 to 1.
    """
    if images.shape[-2:] != ink.shape:
        raise ValueError(
            f"ink of {tuple(ink.shape)} pixels does not fit images of {tuple(images.shape[-2:])}: "
            f"watermark(size={images.shape[-1]})."
        )
    each = torch.as_tensor(opacity, dtype=images.dtype, device=images.device)
    if each.ndim and each.shape != images.shape[:1]:
        raise ValueError(
            f"one opacity for all {len(images)} images, or one for each: got shape {tuple(each.shape)}."
        )
    if not ((each >= 0) & (each <= 1)).all():  # NaN is refused, too
        raise ValueError(f"opacity must lie between 0 and 1, got {opacity}. For 50% write 0.5.")
    share = each.view(-1, 1, 1, 1) * ink.to(images)
    return (1 - share) * images + share


def opacity_for(images: Tensor, ink: Tensor, change: float | Tensor) -> Tensor:
    """Return the opacity (N,) at which stamped images differ from the images by ``change`` on average.

        mean |x' - x| = a mean(m (1 - x)), so a = change / mean(m (1 - x)), at most 1

    Args:
        images: (N, 3, H, W), RGB in [0, 1].
        ink: (H, W).
        change: mean absolute change of the values, one for all images or (N,).
    """
    return (change / (ink.to(images) * (1 - images)).mean((1, 2, 3))).clamp(max=1)
