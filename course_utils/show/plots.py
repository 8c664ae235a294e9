"""What is drawn into axes, in one visual grammar: photographs, maps, numbers, boxes, outlines.

Activations are blue, gradients orange, weights green. Positive maps are drawn in inferno (black where
there is nothing), signed maps in a diverging map that is white at zero, gradients with respect to an image in
colors around mid-gray. What is true has a solid white outline, what a method found a dashed yellow one. Colors are
Okabe and Ito's, which people with any kind of color vision can tell apart.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import Explanation

from .figures import panels, without_axes
from .letters import plain, written

__all__ = [
    "ACTIVATIONS",
    "FOUND",
    "GRADIENTS",
    "PALETTE",
    "SIGNED_MAP",
    "TRUTH",
    "WEIGHTS",
    "as_image",
    "color_limit",
    "compare_maps",
    "draw_box",
    "draw_cell",
    "draw_channel",
    "draw_gradient",
    "draw_heatmap",
    "draw_marked",
    "draw_numbers",
    "draw_outline",
    "draw_photo",
    "draw_seeds",
    "draw_segmentation",
    "draw_signed",
    "gradient_limit",
    "gradient_picture",
    "in_digits",
    "wrapped",
]

PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000"]
ACTIVATIONS, GRADIENTS, WEIGHTS = PALETTE[0], PALETTE[1], PALETTE[2]
FOUND, TRUTH = "#F0E442", "white"
SIGNED_MAP = "PuOr_r"  # negative purple, positive orange, white at zero

# White at zero, blue above; below zero (layers without a ReLU at their end) gray.
ACTIVATION_MAP = LinearSegmentedColormap.from_list("activations", ["#4D4D4D", "white", ACTIVATIONS])
OBJECT_SEED, BACKGROUND_SEED, OTHER_CLASS = PALETTE[1], PALETTE[0], PALETTE[3]
PERCENTILE = 99.0  # of |v|, where a scale ends: one value in a hundred may lie beyond

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


def wrapped(words: str, width: int) -> str:
    """Return words in lines of at most ``width`` letters, as a title has room for; a longer word stays whole."""
    return textwrap.fill(words, width, break_long_words=False)


def draw_photo(ax: Axes, image: object, title: str = "") -> None:
    """Draw an image without axes."""
    ax.imshow(as_image(image), cmap="gray", vmin=0, vmax=1)
    written(ax.set_title(title))
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
    written(ax.set_title(title))
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
    _write_across(ax, f"no positive evidence\nfor {name}")


def _write_across(ax: Axes, words: str) -> None:
    """Say in the middle of a picture what it cannot show."""
    across = ax.text(
        0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "boxstyle": "round"},
    )  # fmt: skip
    written(across)


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
    written(ax.set_title(title))
    without_axes(ax)
    if bar:
        ax.figure.colorbar(picture, ax=ax, shrink=0.7)


def color_limit(values: Tensor | np.ndarray) -> float:
    """Return the absolute value at which the colors of a channel end: 1% of its cells may lie beyond.

    Early layers have a few gradients many times as large as all others, which would leave the rest of
    the picture white.
    """
    return _scale(np.abs(np.asarray(values)))


def _scale(sizes: np.ndarray, percentile: float = PERCENTILE) -> float:
    """A percentile of sizes; where that is zero (nearly empty maps) the maximum, and 1 where all is zero."""
    # A value that is there, not one between two: the limit of two images is then one of their values.
    return float(np.percentile(sizes, percentile, method="higher")) or float(sizes.max()) or 1.0


def draw_channel(ax: Axes, values: Tensor | np.ndarray, title: str = "", *, gradient: bool = False) -> None:
    """Draw one channel (h, w) of a layer, cell by cell, on a scale that is white at zero.

    Activations are blue where positive and gray where negative; gradients orange and purple. Each
    picture has its own scale, which ends at :func:`color_limit`.
    """
    array = as_image(values)
    if array.ndim != 2:
        raise ValueError(f"one channel has shape (h, w), got {array.shape}: pick one, `activations[0, k]`.")
    limit = color_limit(array)
    colors = SIGNED_MAP if gradient else ACTIVATION_MAP
    ax.imshow(array, cmap=colors, vmin=-limit, vmax=limit)
    written(ax.set_title(title))
    # A frame, because a channel that is zero at its border would melt into the page.
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="0.7")


def gradient_limit(*images: Tensor | np.ndarray, percentile: float = PERCENTILE) -> float:
    """Return one limit for all the images given: a percentile of |v| over all their values.

    Give it all images that are to be compared, and draw them with the limit that it returns. A few pixels have
    values many times as large as all others; measured by the maximum, everything else would be gray.

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
    return _scale(np.concatenate([np.abs(_array(image)).ravel() for image in images]), percentile)


def gradient_picture(values: Tensor | np.ndarray, limit: float | None = None) -> np.ndarray:
    """Return a gradient image as a picture (H, W, 3) in [0, 1] whose mid-gray, 0.5, is zero.

        picture = 1/2 + v / (2 limit), cut off at 0 and 1

    A channel above 0.5 is one whose increase would raise the score, below 0.5 one whose decrease would. The limit is
    the same above and below zero: a picture stretched from its minimum to its maximum would move zero away from
    mid-gray, and then "no influence" looks like an influence.

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
    written(ax.set_title(title))
    without_axes(ax)
    if not _array(values).any():
        _write_across(ax, "zero\neverywhere")


def _array(values: Tensor | np.ndarray) -> np.ndarray:
    array = values.detach().cpu().double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            "a gradient image needs at least one value, and only finite ones. Check how it was computed."
        )
    return array.astype(float, copy=False)


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
        draw_cell(ax, (column, row), (1, 1), f"{value:g}", color if value >= 0 else "0.4", shade)
    ax.set(xlim=(0, array.shape[1]), ylim=(array.shape[0], 0), aspect="equal")
    written(ax.set_title(title))
    without_axes(ax)


def draw_cell(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], words: str, color: str, shade: float
) -> None:
    """Draw a cell with words in its middle, framed in gray, and tinted by a share ``shade`` of a color.

    Args:
        ax: where to draw.
        corner: (x, y) at which the cell begins.
        size: (width, height).
        words: a number, mostly.
        color: of the tint.
        shade: from 0, white, to 1.
    """
    (x, y), (width, height) = corner, size
    ax.add_patch(patches.Rectangle(corner, width, height, facecolor=color, alpha=shade, edgecolor="none"))
    ax.add_patch(patches.Rectangle(corner, width, height, fill=False, edgecolor="0.5"))
    ax.text(x + width / 2, y + height / 2, words, ha="center", va="center")


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
        words = ax.text(
            x0, y0, label, va="bottom", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        )
        written(words)


def draw_outline(ax: Axes, mask: Tensor | np.ndarray, found: bool = False) -> None:
    """Outline a mask (H, W): solid white for the truth, dashed yellow if found. An empty mask has no outline."""
    inside = np.pad(np.asarray(mask, dtype=float), 1)  # so that an outline closes at the edge of the picture
    if inside.max() == 0:
        return
    places = np.arange(-1, inside.shape[1] - 1), np.arange(-1, inside.shape[0] - 1)
    for color, width in (("black", 3.5), (FOUND if found else TRUTH, 1.8)):
        ax.contour(
            *places, inside, [0.5], colors=[color], linewidths=width, linestyles="--" if found else "-"
        )
    height, width = np.shape(mask)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def draw_marked(ax: Axes, image: object, marked: Tensor | np.ndarray, title: str = "") -> None:
    """Draw an image in color where a mask (H, W) is True, and grayed and paler elsewhere."""
    photo = as_image(image)
    gray = np.repeat(0.5 + 0.4 * photo.mean(2, keepdims=True), 3, axis=2)
    draw_photo(ax, np.where(np.asarray(marked)[..., None], photo, gray), title)


def draw_seeds(ax: Axes, image: object, seeds: Tensor, title: str = "", blend: float = 0.65) -> None:
    """Tint an image by its seeds (h, w), which may be coarser: objects orange, background blue, unlabeled as it is."""
    photo = as_image(image)
    labels = np.asarray(seeds)
    factor = photo.shape[0] // labels.shape[0]
    labels = labels.repeat(factor, 0).repeat(factor, 1)
    if labels.shape != photo.shape[:2]:
        raise ValueError(
            f"seeds {tuple(np.shape(seeds))} do not divide an image of {photo.shape[:2]} into cells."
        )
    tinted = photo[..., :3].copy()
    for chosen, color in ((labels > 0, OBJECT_SEED), (labels == 0, BACKGROUND_SEED)):
        tinted[chosen] = (1 - blend) * tinted[chosen] + blend * np.array(to_rgb(color))
    draw_photo(ax, tinted, title)


def draw_segmentation(ax: Axes, image: object, found: Tensor, truth: Tensor, title: str = "") -> None:
    """Outline the one object of an image and what was found of its class; tint what was given another class.

    Args:
        ax: where to draw.
        image: (3, H, W) in [0, 1].
        found: (H, W) class numbers, 0 for the background.
        truth: likewise, with one object's class.
        title: say, the IoU.
    """
    own = int(truth.max())
    photo = as_image(image)[..., :3].copy()
    other = np.asarray((found > 0) & (found != own))
    photo[other] = 0.35 * photo[other] + 0.65 * np.array(to_rgb(OTHER_CLASS))
    draw_photo(ax, photo, title)
    draw_outline(ax, np.asarray(truth == own))
    draw_outline(ax, np.asarray(found == own), found=True)


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
        probabilities: (classes,), printed beside the names.
        blend: see :func:`draw_heatmap`.
        n: which image of the batch.
    """
    heatmaps = explanation.heatmaps(as_image(image).shape[:2])[n]
    figure, axes = panels(1 + len(heatmaps))
    draw_photo(axes[0], image, "the photograph")
    for k, (ax, heatmap) in enumerate(zip(axes[1:], heatmaps, strict=True)):
        index = int(explanation.classes[n, k])
        title = plain(explanation.names[n][k]) if explanation.names else f"class {index}"
        if probabilities is not None:
            title += f" {in_digits(probabilities[index].item())}"
        draw_heatmap(ax, heatmap, image, title, blend)
    return figure
