"""Explorer: CAM and Grad-CAM of a net small enough to check by hand.

Two channels of 2x2 or 3x3 cells, pooled to one number each, then one linear layer with one class:

    y = w_1 F_1 + w_2 F_2 + b,    F_k = the mean (or the sum) of A^k over its Z cells

CAM reads its weights w_k off the linear layer (arXiv 1512.04150); Grad-CAM takes the mean of the
gradients, alpha_k = (1/Z) sum_ij dy/dA^k_ij, from autograd (arXiv 1610.02391).
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.show import ACTIVATIONS, SIGNED_MAP, canvas

from .explorer import Explorer, choice, slider

__all__ = ["ToyMaps", "toy_cam_explorer", "toy_maps"]

BIAS = 1.0
BLUES = LinearSegmentedColormap.from_list("activations", ["white", ACTIVATIONS])
_A1 = torch.tensor([[4.0, 0.0, 1.0], [2.0, 2.0, 0.0], [0.0, 3.0, 1.0]])
_A2 = torch.tensor([[0.0, 4.0, 0.0], [0.0, 8.0, 2.0], [1.0, 0.0, 5.0]])


@dataclass(frozen=True, eq=False)
class ToyMaps:
    """Both maps of the toy net, and what they were made of."""

    activations: Tensor
    """(2, h, w)"""
    alphas: Tensor
    """(2,), the means of the gradients."""
    cam: Tensor
    """(h, w), sum_k w_k A^k, signed."""
    grad_cam: Tensor
    """(h, w), sum_k alpha_k A^k, signed."""
    logit: float
    factor: float
    """By what CAM's weights exceed Grad-CAM's: Z with mean pooling, 1 with sum pooling."""


def toy_maps(activations: Tensor, weights: Tensor, bias: float = BIAS, pooling: str = "mean") -> ToyMaps:
    """Return CAM and raw Grad-CAM of a net with one class.

    Args:
        activations: (C, h, w).
        weights: (C,), of the linear layer.
        bias: of the linear layer.
        pooling: "mean" or "sum".

    Raises:
        ValueError: shapes that do not fit, or another pooling.
    """
    if activations.ndim != 3 or weights.shape != activations.shape[:1]:
        raise ValueError(
            f"activations (C, h, w) and weights (C,) are needed, got {tuple(activations.shape)} and "
            f"{tuple(weights.shape)}."
        )
    if pooling not in ("mean", "sum"):
        raise ValueError(f'pooling is "mean" or "sum", got {pooling!r}.')
    with torch.enable_grad():
        leaf = activations.detach().clone().requires_grad_()
        pooled = leaf.mean((1, 2)) if pooling == "mean" else leaf.sum((1, 2))
        logit = weights @ pooled + bias
        (gradients,) = torch.autograd.grad(logit, leaf)
    alphas = gradients.mean((1, 2))
    return ToyMaps(
        activations=activations,
        alphas=alphas,
        cam=torch.einsum("k,kij->ij", weights, activations),
        grad_cam=torch.einsum("k,kij->ij", alphas, activations),
        logit=logit.item(),
        factor=float(activations[0].numel()) if pooling == "mean" else 1.0,
    )


def toy_cam_explorer() -> Explorer:
    """Return an explorer: move one activation, both weights, the bias, the pooling and the size of the maps.

    Shown are the two channels, CAM and raw Grad-CAM as numbers in cells (one color scale for both), the
    two heat-maps, each divided by its own maximum, and, in words, how the map adds up to the logit.
    """
    return Explorer(
        _draw,
        cell=slider("A¹, top left cell", 0, 8, 4),
        w1=slider("weight w₁", -3, 3, 3, 0.5),
        w2=slider("weight w₂", -3, 3, -1, 0.5),
        bias=slider("bias b", -3, 3, BIAS),
        pooling=choice("pooling", ["mean", "sum"]),
        size=choice("cells of each map", ["2 x 2", "3 x 3"]),
    )


def _draw(cell: float, w1: float, w2: float, bias: float, pooling: str, size: str) -> tuple[Figure, str]:
    side = int(size[0])
    activations = torch.stack([_A1[:side, :side], _A2[:side, :side]])
    activations[0, 0, 0] = float(cell)
    weights = torch.tensor([w1, w2], dtype=torch.float32)
    maps = toy_maps(activations, weights, bias, pooling)

    # Everything in one pair of axes: six of them would take three times as long to draw.
    figure, ax = canvas(7.5, 5.2, x=(0, 3), y=(2, 0))
    for k in (0, 1):
        title = (
            f"channel A{'¹²'[k]}\nw{'₁₂'[k]} = {_short(weights[k])},  α{'₁₂'[k]} = {_short(maps.alphas[k])}"
        )
        shade = 0.75 * activations[k] / activations.max()
        _draw_block(ax, (k, 0), BLUES(shade.numpy()), title, activations[k])
    limit = float(max(maps.cam.abs().max(), maps.grad_cam.abs().max())) or 1.0
    for row, (name, values) in enumerate((("CAM", maps.cam), ("Grad-CAM", maps.grad_cam))):
        colors = plt.get_cmap(SIGNED_MAP)((values / limit + 1).numpy() / 2)
        _draw_block(ax, (row, 1), colors, f"raw {name}\nsum {_short(values.sum())}", values)
        # Not explain's heatmaps: the cells are shown as they are, with nothing enlarged between them.
        heat = values.relu() / values.max() if values.max() > 0 else None
        colors = np.full((1, 1, 4), 0.8) if heat is None else plt.get_cmap("inferno")(heat.numpy())
        _draw_block(ax, (row, 2), colors, f"heat-map\n{name} / its maximum")
        if heat is None:
            ax.text(2.5, row + 0.6, "no positive evidence\nfor the class", ha="center", va="center")
    return figure, _words(maps, bias, pooling, side * side)


def _words(maps: ToyMaps, bias: float, pooling: str, z: int) -> str:
    total = maps.cam.sum().item()
    added = f"{'-' if bias < 0 else '+'} {_short(abs(bias))}"
    if pooling == "mean":
        sizes = f"Mean pooling over Z = {z} cells: every cell of CAM is {z} times that of raw Grad-CAM."
        addition = f"CAM's sum / Z + bias = {_short(total)} / {z} {added}"
    else:
        sizes = "Sum pooling: CAM and raw Grad-CAM are the same numbers."
        addition = f"CAM's sum + bias = {_short(total)} {added}"
    sums = f"Grad-CAM's sum + bias = {_short(maps.grad_cam.sum())} {added}"
    heat = "The two heat-maps are equal."
    if (maps.cam <= 0).all():
        heat = "No cell speaks for the class, so both heat-maps are empty."
    return f"{sizes} The logit is {_short(maps.logit)} = {addition} = {sums}. {heat}"


def _draw_block(
    ax: Axes, place: tuple[int, int], colors: np.ndarray, title: str, numbers: Tensor | None = None
) -> None:
    """Draw cells (h, w, 4) with a title, and numbers in them, into the unit square at (row, column).

    Cells that are one image are drawn faster than the patches of :func:`course_utils.show.draw_numbers`.
    """
    row, column = place
    left, top, side = column + 0.12, row + 0.2, 0.76
    ax.text(column + 0.5, row + 0.17, title, ha="center", va="bottom")
    ax.imshow(colors, extent=(left, left + side, top + side, top), aspect="auto")
    h, w = colors.shape[:2]
    ax.vlines(np.linspace(left, left + side, w + 1), top, top + side, colors="0.5", linewidth=1)
    ax.hlines(np.linspace(top, top + side, h + 1), left, left + side, colors="0.5", linewidth=1)
    for (i, j), value in np.ndenumerate(np.empty((0, 0)) if numbers is None else numbers.numpy()):
        x, y = left + (j + 0.5) * side / w, top + (i + 0.5) * side / h
        dark = colors[i, j, :3].mean() < 0.45
        ax.text(x, y, _short(value), ha="center", va="center", color="white" if dark else "black")


def _short(value: Tensor | float) -> str:
    """Return a number with at most three decimals, without trailing or negative zeros."""
    text = f"{float(value):.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
