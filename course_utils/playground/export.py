"""A result as a file's content: figure (PNG), numbers (CSV), arrays (NPZ), and a document of plain values (JSON).

Each function returns bytes, text or plain values; whoever wants a file writes one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from .figure import result_figure
from .results import ClassResult, Result

__all__ = ["COLUMNS", "as_document", "to_csv", "to_npz", "to_png"]

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
