"""A result as a figure, in words, and as a file's content: PNG, numbers (CSV), arrays (NPZ), plain values (JSON).

Each function returns what it makes; whoever wants a file writes one.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.methods import METHODS
from course_utils.show import (
    PALETTE,
    draw_box,
    draw_gradient,
    draw_heatmap,
    draw_photo,
    in_digits,
    panels,
    plain,
    without_axes,
    written,
)

from .marks import GRID
from .results import ClassResult, Result

__all__ = [
    "COLUMNS",
    "MOST_CLASSES",
    "as_document",
    "result_figure",
    "result_words",
    "to_csv",
    "to_npz",
    "to_png",
]

MOST_CLASSES = 5  # a figure has room for
WIDTH, HEIGHT = 2.4, 2.65  # inches of a panel with its title
LINE = 0.19  # inches of a line of a caution


def result_figure(result: Result, cautions: bool = False, reuse: Figure | None = None) -> Figure:
    """Return a figure: above, what the network sees and a map for each class; below, the predictions and the check.

    Args:
        result: of up to MOST_CLASSES classes.
        cautions: write them below, for a figure that leaves the page.
        reuse: a figure from this function that is no longer needed. If it has the same shape it is drawn over:
            making new axes takes as long as all the rest.

    Raises:
        ValueError: more classes than there is room for.
    """
    columns = 1 + len(result.classes)
    if len(result.classes) > MOST_CLASSES:
        raise ValueError(
            f"a figure has room for {MOST_CLASSES} classes, these are {len(result.classes)}: draw several."
        )
    width = WIDTH * columns
    lines = _cautions(result, round(11.5 * width)) if cautions else []
    below = LINE * (len(lines) + bool(lines))
    height = 2 * HEIGHT + below
    places = {
        "left": 0.08 / width,
        "right": 1 - 0.08 / width,
        "bottom": (below + 0.08) / height,
        "top": 1 - 0.3 / height,
        "wspace": 0.06,
        "hspace": 0.15,
    }
    if reuse is not None and (len(reuse.axes), *reuse.get_size_inches()) == (2 * columns, width, height):
        figure = reuse
        _empty(figure)
    else:
        figure, _ = panels(columns, rows=2, width=width, height=height, places=places)
    axes = np.reshape(figure.axes, (2, columns))
    draw_photo(axes[0, 0], result.square.transpose(1, 2, 0), _short(result.picture.name))
    _draw_predictions(axes[1, 0], result)
    for found, above, under in zip(result.classes, axes[0, 1:], axes[1, 1:], strict=True):
        _draw_class(above, under, found, result)
    for ax in axes.flat:
        ax.set_title(ax.get_title(), y=1.0)  # fixed, like the places: letting matplotlib find it takes long
    if lines:
        words = "\n".join(lines).replace("$", r"\$")
        written(figure.text(0.08 / width, (below - 0.05) / height, words, va="top", fontsize=10))
    return figure


def _empty(figure: Figure) -> None:
    """Take away all that was drawn into a figure's axes, and leave these."""
    for drawn in [*figure.texts, *(d for ax in figure.axes for d in (*ax.images, *ax.patches, *ax.texts))]:
        drawn.remove()
    for ax in figure.axes:
        ax.containers.clear()  # the bars, of which nothing is left but the list


def _draw_class(above: Axes, under: Axes, found: ClassResult, result: Result) -> None:
    how, square = METHODS[result.method], result.square.transpose(1, 2, 0)
    title = f"{_short(found.name, 18)} {in_digits(found.probability)}"
    if how.pixels:
        draw_gradient(above, found.raw, title)
    else:
        draw_heatmap(above, found.heat, square, title)
    if found.box is not None:
        draw_box(above, found.box, found=True)
    if found.check is None:
        title = "nothing to cover" if found.empty else "being covered"
        draw_photo(under, 0.35 + 0.3 * square.mean(2), title)
        return
    draw_photo(
        under,
        found.covered.transpose(1, 2, 0),
        f"logit {found.check.before:.1f} → {found.check.after:.1f}",
    )


def _draw_predictions(ax: Axes, result: Result) -> None:
    """Bars without ticks, their names above them."""
    ax.set(xlim=(0, 1), ylim=(len(result.predictions), 0))
    ax.set_title("predictions")
    without_axes(ax)
    for place, (name, _, probability) in enumerate(result.predictions):
        ax.barh(place + 0.72, probability, height=0.28, color=PALETTE[0])
        words = f"{_short(name, 22)} {in_digits(probability)}"
        written(ax.text(0, place + 0.5, words, va="bottom", fontsize=11))


def _short(text: str, most: int = 24) -> str:
    return plain(text if len(text) <= most else text[: most - 1] + "…")


def _cautions(result: Result, width: int) -> list[str]:
    where = f" at {result.layer}" if result.layer else ""
    lines = [
        f"{METHODS[result.method].title}{where}, {result.model}, dashed box at {result.threshold:.0%} of the maximum"
    ]
    for caution in result.all_cautions:
        lines += textwrap.wrap(f"! {caution.text}", width, subsequent_indent="  ")
    return [line for text in lines for line in (textwrap.wrap(text, width) if len(text) > width else [text])]


def result_words(result: Result) -> str:
    """Return what the figure shows, with its numbers: its caption, and its alternative text."""
    how = METHODS[result.method]
    where = f" at {result.layer} ({result.layer_size[0]} x {result.layer_size[1]})" if result.layer else ""
    first = ", ".join(f"{name} {in_digits(p)}" for name, _, p in result.predictions[:3])
    words = [f"{result.picture.name}, seen by {result.model}: {first}. {how.title}{where}."]
    return " ".join(words + [_class_words(found, result) for found in result.classes])


def _class_words(found: ClassResult, result: Result) -> str:
    words = f"{found.name}: probability {in_digits(found.probability)}, rank {found.rank}"
    if found.box is None:
        return f"{words}; the map is {'the same everywhere: it marks no place' if found.heat.max() > 0 else 'empty'}."
    x0, y0, x1, y1 = (round(edge) for edge in found.box_in_file)
    width, height = result.picture.size
    words = f"{words}; box at {result.threshold:.0%}: columns {x0} to {x1}, rows {y0} to {y1} of {width} x {height};"
    if found.check is None:
        return f"{words} what covering the marked squares changes: being computed."
    changes = [value - found.check.before for value in found.check.random]
    beside = (
        f"the same shape elsewhere by {min(changes):+.1f} to {max(changes):+.1f}."
        if changes
        else "the same shape elsewhere: being computed."
    )
    return (
        f"{words} covering {result.squares} of {GRID**2} squares changes the logit by "
        f"{found.check.after - found.check.before:+.1f}, {beside}"
    )


# --- files

COLUMNS = (
    "picture", "model", "method", "layer", "class", "index", "probability", "logit", "rank", "empty", "threshold",
    "x0", "y0", "x1", "y1", "squares_covered", "logit_covered", "logit_random_mean", "logit_random_min",
    "logit_random_max", "prediction_covered", "confirmed", "cautions",
)  # fmt: skip


def to_png(result: Result, dpi: int = 150) -> bytes:
    """Return the figure with the warnings below it.

    Raises:
        ValueError: more classes than a figure has room for.
    """
    figure = result_figure(result, cautions=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return buffer.getvalue()


def to_csv(results: Sequence[Result]) -> str:
    """Return a table with a row for each class of each picture; boxes in the pixels of the picture's file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for found in result.classes:
            writer.writerow(_row(result, found))
    return text.getvalue()


def _row(result: Result, found: ClassResult) -> dict[str, object]:
    row = {
        "picture": result.picture.name,
        "model": result.model,
        "method": result.method,
        "layer": result.layer or "",
        "class": found.name,
        "index": found.index,
        "probability": f"{found.probability:.6g}",
        "logit": f"{found.logit:.6g}",
        "rank": found.rank,
        "empty": found.empty,
        "threshold": result.threshold,
        "cautions": " ".join(c.code for c in (*result.cautions, *found.cautions)),
    }
    if found.box_in_file is not None:
        row |= {
            key: f"{edge:.2f}" for key, edge in zip(("x0", "y0", "x1", "y1"), found.box_in_file, strict=True)
        }
    if found.check is not None:
        random = found.check.random or (float("nan"),)
        row |= {
            "squares_covered": result.squares,
            "logit_covered": f"{found.check.after:.6g}",
            "logit_random_mean": f"{sum(random) / len(random):.6g}",
            "logit_random_min": f"{min(random):.6g}",
            "logit_random_max": f"{max(random):.6g}",
            "prediction_covered": found.check.prediction,
            "confirmed": found.check.confirmed,
        }
    return row


def to_npz(result: Result) -> bytes:
    """Return arrays: what was computed, at its own resolution and enlarged. ``np.load`` reads them, without pickle.

    maps (K, h, w) or (K, 3, S, S), signed; heatmaps (K, S, S) in [0, 1]; square (3, S, S) in [0, 1]; classes, names,
    probabilities, logits (K,); boxes (K, 4), half-open, in the square's pixels, NaN where there is none.
    """
    found = result.classes
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        maps=np.stack([c.raw for c in found]),
        heatmaps=np.stack([c.heat for c in found]),
        square=result.square,
        classes=np.array([c.index for c in found]),
        names=np.array([c.name for c in found]),
        probabilities=np.array([c.probability for c in found]),
        logits=np.array([c.logit for c in found]),
        boxes=np.array([c.box or (np.nan,) * 4 for c in found], dtype=float),
        method=np.array(result.method),
        layer=np.array(result.layer or ""),
        model=np.array(result.model),
    )
    return buffer.getvalue()


def as_document(result: Result) -> dict[str, object]:
    """Return the result as values that JSON knows. Boxes are half-open, in the pixels of the picture's file."""
    return {
        "picture": result.picture.name,
        "size": list(result.picture.size),
        "notes": list(result.picture.notes),
        "model": result.model,
        "method": result.method,
        "layer": result.layer,
        "layer_size": result.layer_size and list(result.layer_size),
        "threshold": result.threshold,
        "predictions": [
            {"class": name, "index": index, "probability": _digits(p)}
            for name, index, p in result.predictions
        ],
        "classes": [
            {
                "class": c.name,
                "index": c.index,
                "probability": _digits(c.probability),
                "logit": _digits(c.logit),
                "rank": c.rank,
                "empty": c.empty,
                "box": c.box_in_file and [round(edge, 2) for edge in c.box_in_file],
                "check": c.check
                and {
                    "squares": result.squares,
                    "logit": _digits(c.check.after),
                    "logit_random": [_digits(value) for value in c.check.random],
                    "prediction": c.check.prediction,
                    "confirmed": c.check.confirmed,
                },
            }
            for c in result.classes
        ],
        "cautions": [{"code": c.code, "class": c.name or None, "text": c.text} for c in result.all_cautions],
    }


def _digits(number: float) -> float:
    return float(f"{number:.6g}")
