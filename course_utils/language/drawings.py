"""Drawings for captions and questions: a row of words with their maps, and the likeliest answers as bars."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.show import PALETTE, draw_heatmap, draw_outline, draw_photo, panels, without_axes

__all__ = ["draw_answers", "word_maps"]


def word_maps(
    image: Tensor, words: Sequence[str], heatmaps: Tensor, masks: Sequence[Tensor | None], columns: int = 6
) -> Figure:
    """Return a figure: a heat-map for each word, in reading order, the picture first.

    Args:
        image: (3, H, W) in [0, 1].
        words: T titles.
        heatmaps: (T, H, W) in [0, 1].
        masks: for each word the (H, W) mask to outline, or None.
        columns: panels a row.
    """
    rows = -(-(1 + len(words)) // columns)
    figure, axes = panels(columns, rows=rows, width=10)
    draw_photo(axes[0], image, "the picture")
    for ax, word, heat, mask in zip(axes[1:], words, heatmaps, masks, strict=False):
        draw_heatmap(ax, heat, image, word)
        if mask is not None:
            draw_outline(ax, mask)
    for ax in axes[1 + len(words) :]:
        without_axes(ax)
    return figure


def draw_answers(ax: Axes, logits: Tensor, answers: Sequence[str], marked: str = "", most: int = 4) -> None:
    """Draw the likeliest answers as bars of probability, one of them marked in orange.

    Args:
        ax: where to draw.
        logits: (answers,).
        answers: their names.
        marked: the answer whose map is shown beside; it gets a bar in any case.
        most: how many bars.
    """
    p = logits.detach().softmax(0)
    shown = torch.topk(p, most).indices.tolist()
    if marked and list(answers).index(marked) not in shown:
        shown[-1] = list(answers).index(marked)
    colors = [PALETTE[1] if answers[i] == marked else PALETTE[0] for i in shown]
    ax.barh(range(len(shown)), p[shown].tolist(), color=colors)
    ax.set(
        yticks=range(len(shown)), yticklabels=[answers[i] for i in shown], xlim=(0, 1), xlabel="probability"
    )
    ax.invert_yaxis()
