"""Figures as HTML: a picture small enough to store, and its caption, which is its alternative text."""

from __future__ import annotations

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["figure_html", "show"]

# A drawing has few colors, and a palette stores it in a third of the space. Above this size a PNG is a
# photograph, which JPEG stores in a fifth of the space.
MOST_COLORS = 4096
LARGEST_PNG = 40_000


def figure_html(figure: Figure, caption: str, width: str = "100%", dpi: int | None = None) -> str:
    """Return a figure as HTML with its caption, which is the picture's alternative text too.

    The figure is closed. It is stored as PNG, or as JPEG where that is much smaller.
    """
    if not caption.strip():
        raise ValueError(
            "a figure needs a caption that says in words what there is to see: it is its alt text."
        )
    if dpi is not None:
        figure.set_dpi(dpi)
    kind, data = _encoded(figure)
    plt.close(figure)
    words = html.escape(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    # The caption is hidden from screen readers, which have read the same words as the image's text.
    return (
        f'<figure style="margin: 0.5em 0; max-width: {width}"><img src="{source}" alt="{words}" '
        f'style="max-width: 100%"><figcaption aria-hidden="true"><i>{words}</i></figcaption></figure>'
    )


def _encoded(figure: Figure) -> tuple[str, bytes]:
    """Draw the figure once; return the kind of picture and its bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawing = picture.getcolors(MOST_COLORS) is not None  # lines, cells and letters, no photograph
    # The smallest PNG of a photograph takes 0.3 s of an explorer's answer: see first whether it may be small.
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


def show(figure: Figure, caption: str) -> None:
    """Display a figure under its caption; the caption is also the picture's alternative text."""
    display(HTML(figure_html(figure, caption)))
