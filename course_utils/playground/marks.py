"""What a method makes of a picture: one signed map for each class, and what of it counts as marked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import explain
from course_utils.localization import is_flat
from course_utils.methods import Method

__all__ = ["GRID", "marked_squares", "marks", "marks_a_place", "moved_copies", "signed_maps"]

GRID = 7  # squares to a side: a picture of 224 pixels has squares of 32


def signed_maps(
    how: Method, net: nn.Module, image: Tensor, classes: Sequence[int], layer: str | None = None
) -> Tensor:
    """Return the maps of one image (1, 3, H, W) for K classes: (K, h, w), or (K, 3, H, W) for gradient images."""
    chosen = (layer,) if how.takes_layer else ()
    found = getattr(explain, how.function)(net, image, classes, *chosen)
    return found.maps[0] if isinstance(found, explain.Explanation) else found[0]


def marks(how: Method, maps: Tensor) -> Tensor:
    """Return what maps mark, (K, h, w): above zero where something is marked, the more the larger.

    Of a gradient image that is the sum of the sizes |v| of its three colors, averaged over GRID x GRID squares:
    it alternates from pixel to pixel, and its single largest pixels say nothing of a place.
    """
    if not how.pixels:
        return how.sign * maps
    return F.adaptive_avg_pool2d(maps.abs().sum(1), GRID)


def marks_a_place(how: Method, maps: Tensor) -> bool:
    """Whether anything stands out in what one map marks: it is neither zero nor the same everywhere, up to rounding."""
    return not is_flat(marks(how, maps[None]).relu())


def marked_squares(how: Method, maps: Tensor) -> Tensor:
    """Return the marks averaged over GRID x GRID squares of the picture, (K, GRID, GRID), with their signs."""
    marked = marks(how, maps)
    if marked.shape[1:] == (GRID, GRID):
        return marked
    if min(marked.shape[1:]) >= GRID:
        return F.adaptive_avg_pool2d(marked, GRID)
    return explain.enlarged(marked[None], GRID)[0]


def moved_copies(mask: Tensor, count: int, seed: int = 0) -> Tensor:
    """Return covers of a mask's size and shape elsewhere: (count, h, w), drawn from the seed.

    A copy is the mask, mirrored or not, at any other place of the grid, parts of it over its old place included. No
    copy comes twice as long as there are others. Of a shape with fewer than ``count`` places, what reaches over an edge
    comes in again at the opposite one.

    Args:
        mask: bool, (h, w), not the same everywhere.
        count: how many.
        seed: for the drawing.
    """
    mask = mask.cpu()
    h, w = mask.shape
    rows, columns = (mask.any(1 - axis).nonzero().flatten() for axis in (0, 1))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def places(down: int, right: int) -> Tensor:
        """The shape, mirrored or not, moved to each of the first so many rows and columns."""
        copies = []
        for axes in ((), (0,), (1,), (0, 1)):
            copy = torch.zeros_like(mask)
            copy[: cut.shape[0], : cut.shape[1]] = cut.flip(axes)
            copies += [copy.roll((row, column), (0, 1)) for row in range(down) for column in range(right)]
        different = torch.stack(copies).unique(dim=0)
        return different[(different != mask).flatten(1).any(1)]

    copies = places(h - cut.shape[0] + 1, w - cut.shape[1] + 1)
    if len(copies) < count:
        copies = places(h, w)
    order = torch.randperm(len(copies), generator=torch.Generator().manual_seed(seed))
    return copies[order.repeat(-(-count // len(copies)))[:count]]
