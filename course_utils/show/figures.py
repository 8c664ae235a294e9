"""A figure as a whole: its axes laid out, and its HTML, a small picture with a caption that is its alternative text.

What is drawn into the axes is in ``plots`` and, for whole diagrams, in ``diagrams`` and ``windows``.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_utils.pictures import Photo, credited, shown_photos

__all__ = ["STORING", "canvas", "figure_html", "panels", "show", "without_axes"]

# A drawing has few colors, and a palette stores it in a third of the space. Above this size a PNG is a
# photograph, which JPEG stores in a fifth of the space.
MOST_COLORS = 4096
LARGEST_PNG = 40_000

STORING = "COURSE_STORING"
"""Environment variable that is set where a notebook is executed to be stored: see ``Photo.stored_at_most``."""


def panels(
    columns: int,
    rows: int = 1,
    width: float = 10,
    height: float | None = None,
    places: Mapping[str, object] | None = None,
) -> tuple[Figure, list]:
    """Return a figure of ``rows`` x ``columns`` panels, square unless a height is given, and the flat list of its axes.

    Args:
        columns, rows: how many panels.
        width, height: of the figure, in inches.
        places: margins, gaps and ratios as :class:`matplotlib.gridspec.GridSpec` takes them. By default matplotlib
            finds them, which takes as long as drawing the rest: an explorer fixes them.
    """
    height = height or rows * (width / columns + 0.3)
    how = {"layout": "constrained"} if places is None else {"gridspec_kw": places}
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **how)
    return figure, list(axes.flat)


def canvas(
    width: float, height: float, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
) -> tuple[Figure, Axes]:
    """Return a figure and one pair of axes, not shown, that fill it: to draw a diagram by coordinates.

    Args:
        width, height: of the figure, in inches.
        x, y: coordinates of its left and right, and of its lower and upper edge. By default one unit is one inch,
            from the lower left corner.
    """
    edges = {"left": 0, "right": 1, "bottom": 0, "top": 1}
    figure, ax = plt.subplots(figsize=(width, height), gridspec_kw=edges)
    ax.set(xlim=x or (0, width), ylim=y or (0, height))
    without_axes(ax)
    return figure, ax


def without_axes(ax: Axes) -> None:
    """Draw no axes. An axis that is only switched off still has its ticks laid out, which takes most of the time."""
    ax.set_axis_off()
    ax.xaxis.set_visible(False)
    ax.yaxis.set_visible(False)


def figure_html(
    figure: Figure,
    caption: str,
    width: str = "100%",
    dpi: int | None = None,
    small: bool = True,
    photos: object = (),
) -> str:
    """Return a figure as HTML with its caption, which is the picture's alternative text too.

    The figure is closed. A drawing is stored as PNG, a photograph as JPEG where that is much smaller.

    Args:
        figure: what to show.
        caption: what there is to see, in words.
        width: at most, in CSS.
        dpi: pixels an inch, if others than the figure's.
        small: take the time to make the picture small, for it is stored in a notebook.
        photos: what is to be seen of the course's photographs, by names, photographs, mosaics or composites: their
            credits end the caption.

    Raises:
        ValueError: no caption; or a notebook is being stored (:data:`STORING`), and a photograph may not be, or not
            at this size.
    """
    if not caption.strip():
        raise ValueError(
            "a figure needs a caption that says in words what there is to see: it is its alt text."
        )
    if dpi is not None:
        figure.set_dpi(dpi)
    photos = shown_photos(photos)
    if os.environ.get(STORING):
        _check_stored(figure, photos)
    kind, data = _encoded(figure, small)
    plt.close(figure)
    words = html.escape(credited(caption, photos))
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    # The caption is hidden from screen readers, which have read the same words as the image's text.
    return (
        f'<figure style="margin: 0.5em 0; max-width: {width}"><img src="{source}" alt="{words}" '
        f'style="max-width: 100%"><figcaption aria-hidden="true"><i>{words}</i></figcaption></figure>'
    )


def _check_stored(figure: Figure, photos: list[Photo]) -> None:
    limits = {photo.name: photo.stored_at_most for photo in photos if photo.stored_at_most is not None}
    never = [name for name, limit in limits.items() if limit == 0]
    if never:
        raise ValueError(
            f"{' and '.join(never)} may be looked at, and measured, but not stored in a notebook: leave it out of "
            "this figure."
        )
    if not limits:
        return
    figure.draw_without_rendering()  # the sizes are known once the panels are laid out
    extents = [ax.get_window_extent() for ax in figure.axes if ax.images]
    largest = max((max(extent.width, extent.height) for extent in extents), default=0)
    if largest > (side := min(limits.values())) + 0.5:
        raise ValueError(
            f"the largest picture of this figure has {largest:.0f} pixels a side, and {', '.join(limits)} may be "
            f"stored at {side} at most: give the figure more columns, or fewer inches, `panels(4, width=9)`."
        )


def _encoded(figure: Figure, small: bool) -> tuple[str, bytes]:
    """Draw the figure once; return the kind of picture and its bytes."""
    drawn = FigureCanvasAgg(figure)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)  # drawing does it once more: one pass alone cuts off titles of two lines
    drawn.draw()
    picture = Image.fromarray(np.asarray(drawn.buffer_rgba())).convert("RGB")
    drawing = picture.getcolors(MOST_COLORS) is not None  # lines, cells and letters, no photograph
    if not small:  # an explorer waits for it: the smallest PNG of a photograph takes 0.3 s
        return (
            ("png", _bytes(picture, "png", compress_level=1))
            if drawing
            else ("jpeg", _bytes(picture, "jpeg"))
        )
    if drawing or len(_bytes(picture, "png", compress_level=1)) <= 2 * LARGEST_PNG:
        stored = picture.quantize(256, dither=Image.Dither.NONE) if drawing else picture
        data = _bytes(stored, "png", optimize=True)
        if len(data) <= LARGEST_PNG:
            return "png", data
    return "jpeg", _bytes(picture, "jpeg", quality=75, optimize=True, progressive=True)


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def show(figure: Figure, caption: str, photos: object = ()) -> None:
    """Display a figure under its caption; the caption is also the picture's alternative text.

    Args:
        figure: what to show.
        caption: what there is to see, in words.
        photos: the photographs in it, of which the caption ends with the credits: see :func:`figure_html`.
    """
    display(HTML(figure_html(figure, caption, photos=photos)))
