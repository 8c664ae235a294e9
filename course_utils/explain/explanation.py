"""The result of CAM-like methods: signed maps, and what they were made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Explanation"]


@dataclass(frozen=True, repr=False)
class Explanation:
    """Signed maps for N images and K classes or scores each, with what they were made of.

    Attributes:
        maps: (N, K, h, w), the raw weighted sums L^c, before any ReLU.
        scores: (N, K), the numbers that were explained, y^c.
        classes: (N, K), the class numbers; 0..K-1 where the scores are no classes.
        weights: (N, K, C), the alpha_k^c.
        activations: (N, C, h, w), the A^k.
        image_size: (H, W) of the images, or None where no images were handed over.
        names: class names, N lists of K, or None where the model has none.
    """

    maps: Tensor
    scores: Tensor
    classes: Tensor
    weights: Tensor
    activations: Tensor
    image_size: tuple[int, int] | None = None
    names: list[list[str]] | None = None

    @property
    def positive(self) -> Tensor:
        """relu(L^c): what speaks for the class. For :func:`grad_cam` this is the Grad-CAM map."""
        return self.maps.relu()

    @property
    def negative(self) -> Tensor:
        """relu(-L^c): what speaks against it, the counterfactual; the same backward pass gives it."""
        return (-self.maps).relu()

    @property
    def empty(self) -> Tensor:
        """(N, K) bool: no pixel speaks for the class, so that its heat-map is zero everywhere."""
        return (self.maps <= 0).flatten(2).all(2)

    def heatmaps(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """Return heat-maps (N, K, H, W) in [0, 1]: relu, bilinear upsampling, divided by their own maximum.

        Corners are not aligned (``align_corners=False``): each cell keeps its share of the image. An
        empty map stays zero everywhere, see :attr:`empty`.

        Args:
            size: side or (H, W); by default that of the images.
        """
        size = self.image_size if size is None else size
        if size is None:
            raise ValueError("the size of the images is not known here: call heatmaps(size) with (H, W).")
        height, width = (size, size) if hasattr(size, "__index__") else size
        if height < 1 or width < 1:
            raise ValueError(f"a heat-map needs a size of at least 1 pixel, got {height} x {width}.")
        enlarged = F.interpolate(self.positive, (height, width), mode="bilinear", align_corners=False)
        largest = enlarged.amax((2, 3), keepdim=True)
        return enlarged / torch.where(largest > 0, largest, 1)

    def __repr__(self) -> str:
        n, k, h, w = self.maps.shape
        return (
            f"Explanation({n} image(s), {k} score(s) each, maps of {h} x {w}, {int(self.empty.sum())} empty)"
        )
