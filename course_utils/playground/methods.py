"""The methods on offer, behind one call each: (network, image, classes, layer) -> one signed map for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.explain import cam, enlarged, grad_cam, grad_cam_pp, guided_backprop, guided_grad_cam

__all__ = ["GRID", "METHODS", "Method"]

GRID = 7  # squares to a side: a picture of 224 pixels has squares of 32


@dataclass(frozen=True)
class Method:
    """A method of the playground.

    Attributes:
        title: its name in titles.
        maps: (network, image (1, 3, H, W), K class numbers, layer or None) -> signed maps (K, h, w), or (K, 3, H, W)
            for gradient images.
        takes_layer: whether a layer can be chosen.
        pixels: whether it makes gradient images.
        sign: -1 where what is marked speaks against the class, so that covering it should raise the score.
    """

    title: str
    maps: Callable[[nn.Module, Tensor, Sequence[int], str | None], Tensor]
    takes_layer: bool = True
    pixels: bool = False
    sign: int = 1

    def marks(self, maps: Tensor) -> Tensor:
        """Return what the maps mark, (K, h, w): above zero where something is marked, the more the larger.

        Of a gradient image that is the sum of the sizes |v| of its three colors, averaged over GRID x GRID squares:
        it alternates from pixel to pixel, and its single largest pixels say nothing of a place.
        """
        if not self.pixels:
            return self.sign * maps
        return F.adaptive_avg_pool2d(maps.abs().sum(1), GRID)

    def squares(self, maps: Tensor) -> Tensor:
        """Return the marks averaged over GRID x GRID squares of the picture, (K, GRID, GRID), with their signs."""
        marks = self.marks(maps)
        if marks.shape[1:] == (GRID, GRID):
            return marks
        if min(marks.shape[1:]) >= GRID:
            return F.adaptive_avg_pool2d(marks, GRID)
        return enlarged(marks[None], GRID)[0]


METHODS: dict[str, Method] = {
    "grad-cam": Method("Grad-CAM", lambda net, x, c, layer: grad_cam(net, x, c, layer).maps[0]),
    "grad-cam++": Method("Grad-CAM++", lambda net, x, c, layer: grad_cam_pp(net, x, c, layer).maps[0]),
    "cam": Method("CAM", lambda net, x, c, layer: cam(net, x, c)[0], takes_layer=False),
    "counterfactual": Method(
        "counterfactual", lambda net, x, c, layer: grad_cam(net, x, c, layer).maps[0], sign=-1
    ),
    "guided-backprop": Method(
        "guided backprop",
        lambda net, x, c, layer: guided_backprop(net, x, c)[0],
        takes_layer=False,
        pixels=True,
    ),
    "guided-grad-cam": Method(
        "Guided Grad-CAM", lambda net, x, c, layer: guided_grad_cam(net, x, c, layer)[0], pixels=True
    ),
}
