"""The few figures that all notebooks share, in one visual grammar.

Activations are blue, gradients orange, weights green. Positive maps are drawn in inferno (black where
there is nothing), signed maps in a diverging map that is white at zero. What is true has a solid
white outline, what a method found a dashed yellow one. Colors are Okabe and Ito's, which people with
any kind of color vision can tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import Explanation

from .figures import figure_html, show, without_axes
from .gradient_images import draw_gradient, gradient_limit, gradient_picture

__all__ = [
    "ACTIVATIONS",
    "GRADIENTS",
    "PALETTE",
    "WEIGHTS",
    "as_image",
    "compare_maps",
    "draw_box",
    "draw_gradient",
    "draw_heatmap",
    "draw_numbers",
    "draw_photo",
    "draw_signed",
    "figure_html",
    "gradient_limit",
    "gradient_picture",
    "in_digits",
    "panels",
    "show",
    "without_axes",
]

PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]
ACTIVATIONS, GRADIENTS, WEIGHTS = PALETTE[0], PALETTE[1], PALETTE[2]
FOUND, TRUTH = "#F0E442", "white"
SIGNED_MAP = "PuOr_r"  # negative purple, positive orange, white at zero

STYLE = {
    "figure.dpi": 100,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE[:6]),
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
plt.rcParams.update(STYLE)


def panels(
    columns: int, rows: int = 1, width: float = 10, height: float | None = None
) -> tuple[Figure, list]:
    """Return a figure of ``rows`` x ``columns`` square panels and the flat list of its axes."""
    height = height or rows * (width / columns + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)
    return figure, list(axes.flat)


def as_image(image: object) -> np.ndarray:
    """Return an image as an array (H, W, 3) or (H, W) in [0, 1] that matplotlib can draw.

    Takes a tensor (1, 3, H, W), (3, H, W), (1, H, W) or (H, W), an array, or a PIL image.
    """
    if isinstance(image, Tensor):
        image = image.detach().float().cpu()
        if image.ndim == 4:
            if len(image) != 1:
                raise ValueError(
                    f"one image can be drawn at a time, got {len(image)}: pick one, `images[0]`."
                )
            image = image[0]
        if image.ndim == 3:
            image = image.permute(1, 2, 0)
        array = image.numpy()
    else:
        array = np.asarray(image)
    if array.dtype == np.uint8:
        array = array / 255
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"an image has shape (H, W) or (H, W, 3), got {array.shape}.")
    return array


def in_digits(probability: float) -> str:
    """Return a probability with two digits after the point, or "<0.01" where these would be zeros."""
    return f"{probability:.2f}" if probability >= 0.005 else "<0.01"


def draw_photo(ax: Axes, image: object, title: str = "") -> None:
    """Draw an image without axes."""
    ax.imshow(as_image(image), cmap="gray", vmin=0, vmax=1)
    ax.set_title(title)
    without_axes(ax)


def draw_heatmap(
    ax: Axes, heatmap: Tensor | np.ndarray, image: object = None, title: str = "", blend: float = 0.6
) -> None:
    """Draw a heat-map (H, W) in [0, 1] in inferno, over the image if one is given.

    A map that is zero everywhere is drawn as the grayed image with the words "no positive evidence".

    Args:
        ax: where to draw.
        heatmap: values in [0, 1], from ``Explanation.heatmaps()``.
        image: the image the map belongs to, of the same size.
        title: by custom the class and its probability.
        blend: share of the heat-map, from 0 (image alone) to 1 (heat-map alone).
    """
    heat = as_image(heatmap)
    if heat.ndim != 2:
        raise ValueError(f"a heat-map has shape (H, W), got {heat.shape}.")
    if not np.isfinite(heat).all() or heat.min() < 0 or heat.max() > 1 + 1e-5:
        raise ValueError(
            f"a heat-map lies in [0, 1], got values from {heat.min():.3g} to {heat.max():.3g}. Use "
            "`explanation.heatmaps()`, or draw_signed for signed maps."
        )
    if not 0 <= blend <= 1:
        raise ValueError(f"blend must lie between 0 (image alone) and 1 (heat-map alone), got {blend}.")
    ax.set_title(title)
    without_axes(ax)
    if heat.max() == 0:
        _draw_empty(ax, heat, image, title)
        return
    colored = plt.get_cmap("inferno")(heat)[..., :3]
    if image is not None:
        photo = as_image(image)
        photo = photo if photo.ndim == 3 else np.repeat(photo[..., None], 3, axis=2)
        if photo.shape[:2] != heat.shape:
            raise ValueError(
                f"heat-map {heat.shape} and image {photo.shape[:2]} differ in size: use `heatmaps(size)`."
            )
        colored = (1 - blend) * photo[..., :3] + blend * colored
    ax.imshow(colored.clip(0, 1))


def _draw_empty(ax: Axes, heat: np.ndarray, image: object, title: str) -> None:
    background = np.full(heat.shape, 0.5) if image is None else as_image(image)
    if background.ndim == 3:
        background = background[..., :3].mean(2)
    ax.imshow(0.35 + 0.3 * background, cmap="gray", vmin=0, vmax=1)
    name = re.sub(r" <?\d\.\d+$", "", title.split("\n", maxsplit=1)[0]).strip() or "this class"
    ax.text(
        0.5, 0.5, f"no positive evidence\nfor {name}", transform=ax.transAxes, ha="center", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "boxstyle": "round"},
    )  # fmt: skip


def draw_signed(
    ax: Axes, values: Tensor | np.ndarray, title: str = "", limit: float | None = None, bar: bool = True
) -> None:
    """Draw a signed map (h, w): orange above zero, purple below, white at zero, with a color bar.

    Args:
        ax: where to draw.
        values: the raw map.
        title: what the map is.
        limit: the colors end at -limit and +limit; give the same to maps that are to be compared.
        bar: whether to draw the color bar.
    """
    array = as_image(values)
    if array.ndim != 2:
        raise ValueError(f"a signed map has shape (h, w), got {array.shape}.")
    limit = limit or float(np.abs(array).max()) or 1.0
    picture = ax.imshow(array, cmap=SIGNED_MAP, vmin=-limit, vmax=limit)
    ax.set_title(title)
    without_axes(ax)
    if bar:
        ax.figure.colorbar(picture, ax=ax, shrink=0.7)


def draw_numbers(
    ax: Axes,
    values: Tensor | np.ndarray,
    title: str = "",
    color: str = ACTIVATIONS,
    largest: float | None = None,
) -> None:
    """Draw a small matrix (h, w) as numbers in cells, shaded by their size: in one color, negative ones in gray.

    Args:
        ax: where to draw.
        values: the matrix.
        title: what it is.
        color: of the positive numbers.
        largest: the size that gets the full shade; give the same to matrices that are to be compared. By
            default the largest in this one.
    """
    array = np.atleast_2d(np.asarray(values, dtype=float))
    largest = largest or np.abs(array).max() or 1.0
    for (row, column), value in np.ndenumerate(array):
        shade = 0.75 * min(abs(value) / largest, 1)
        face = color if value >= 0 else "0.4"
        ax.add_patch(patches.Rectangle((column, row), 1, 1, facecolor=face, alpha=shade, edgecolor="none"))
        ax.add_patch(patches.Rectangle((column, row), 1, 1, fill=False, edgecolor="0.5"))
        ax.text(column + 0.5, row + 0.5, f"{value:g}", ha="center", va="center")
    ax.set(xlim=(0, array.shape[1]), ylim=(array.shape[0], 0), aspect="equal")
    ax.set_title(title)
    without_axes(ax)


def draw_box(
    ax: Axes, box: Sequence[float], found: bool = False, label: str = "", color: str | None = None
) -> None:
    """Outline a half-open pixel box (x0, y0, x1, y1): solid white for the truth, dashed yellow if found."""
    x0, y0, x1, y1 = box
    color = color or (FOUND if found else TRUTH)
    style = "--" if found else "-"
    # A dark line under the bright one keeps it visible on a bright photograph. Pixel i covers
    # i - 0.5 to i + 0.5 in matplotlib's coordinates.
    for line_color, width in (("black", 4), (color, 2)):
        ax.add_patch(
            patches.Rectangle(
                (x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=line_color,
                linewidth=width, linestyle=style,
            )
        )  # fmt: skip
    if label:
        ax.text(x0, y0, label, va="bottom", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})


def compare_maps(
    image: object,
    explanation: Explanation,
    probabilities: Tensor | None = None,
    blend: float = 0.6,
    n: int = 0,
) -> Figure:
    """Return a figure: the photograph, then the heat-map of each explained class over it.

    Args:
        image: the image that was explained.
        explanation: of this image (or of a batch, with ``n`` its place in the batch).
        probabilities: softmax (classes,), printed beside the names.
        blend: see :func:`draw_heatmap`.
        n: which image of the batch.
    """
    heatmaps = explanation.heatmaps(as_image(image).shape[:2])[n]
    figure, axes = panels(1 + len(heatmaps))
    draw_photo(axes[0], image, "the photograph")
    for k, (ax, heatmap) in enumerate(zip(axes[1:], heatmaps, strict=True)):
        index = int(explanation.classes[n, k])
        title = explanation.names[n][k] if explanation.names else f"class {index}"
        if probabilities is not None:
            title += f" {in_digits(probabilities[index].item())}"
        draw_heatmap(ax, heatmap, image, title, blend)
    return figure
