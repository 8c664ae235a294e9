"""Figures of notebook 12: a network's map with its two answers, twins in the plane, doses, and repairs compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils.explain import grad_cam
from course_utils.show import PALETTE, draw_heatmap, draw_outline, in_digits, panels

from .films import Radiographs
from .study import FINDING

__all__ = ["draw_answer", "draw_doses", "draw_repairs", "draw_twins"]

COLORS = {"normal": PALETTE[0], "finding": PALETTE[4]}


def draw_answer(ax: Axes, net: nn.Module, films: Radiographs, n: int, words: str) -> tuple[float, float]:
    """Draw the map for "finding" over stamped radiograph n, with the finding's outline if it has one.

    The title says ``words`` and the probability of a finding with the stamp and without it, which are returned.
    """
    image = films.stamped[n : n + 1]
    with torch.no_grad():
        stamped, clean = net(torch.cat([image, films.clean[n : n + 1]])).softmax(1)[:, FINDING].tolist()
    title = f"{words}\nstamp {in_digits(stamped)}, none {in_digits(clean)}"
    draw_heatmap(ax, grad_cam(net, image, FINDING).heatmaps()[0, 0], image, title)
    if films.has_finding[n]:
        draw_outline(ax, films.masks["finding"][n])
    return stamped, clean


def draw_twins(clean: Tensor, stamped: Tensor, has_finding: Tensor) -> Figure:
    """Return a figure of d(x) with the stamp over d(x) without it, a dot for each radiograph; all are (N,)."""
    figure, (ax,) = panels(1, width=8, height=4.2)
    for words, mask in (("normal", ~has_finding), ("finding", has_finding)):
        ax.plot(clean[mask], stamped[mask], "o", color=COLORS[words], alpha=0.5, label=words)
    ends = (float(clean.min()) - 1, float(stamped.max()) + 1)
    ax.plot(ends, ends, ":", color="0.4")
    ax.axhline(0, color="0.4")
    ax.axvline(0, color="0.4")
    ax.set(xlim=ends, ylim=ends, xlabel="d(x) without the stamp", ylabel="d(x) with the stamp")
    ax.text(0.02, 0.97, "the stamp turns the answer\nto 'finding'", va="top", transform=ax.transAxes)
    ax.legend(loc="lower right")
    return figure


def draw_doses(doses: Sequence[float], rows: Mapping[str, Tensor], area: float) -> Figure:
    """Return a figure of ``flip_rate``, ``biased``, ``flipped`` and ``corner``, (doses, runs) each, over the doses.

    Lines are means, bands go from the lowest to the highest run; ``area`` is that of the corner.
    """
    figure, (ax,) = panels(1, width=8, height=4)
    for name, words, color in (
        ("flip_rate", "flip rate", PALETTE[4]),
        ("biased", "accuracy, stamp as in (1)", PALETTE[2]),
        ("flipped", "accuracy where the stamp lies", PALETTE[0]),
        ("corner", "energy in the corner", PALETTE[1]),
    ):
        values = rows[name]
        ax.plot(list(doses), values.mean(1), "o-", color=color, label=words)
        ax.fill_between(list(doses), values.amin(1), values.amax(1), color=color, alpha=0.2)
    ax.axhline(area, color=PALETTE[1], linestyle=":", label="area of the corner")
    ax.set(xlabel="P(stamp | finding) in training", ylim=(-0.02, 1.02))
    ax.legend(loc="center left")
    return figure


def draw_repairs(box: Mapping[str, Tensor], flips: Mapping[str, Tensor], area: float) -> Figure:
    """Return a figure of the flip rate over the energy in the corner, a dot for each training of each repair.

    Args:
        box: by the repair's name, energies in the corner (runs,).
        flips: likewise, flip rates (runs,).
        area: of the corner: the energy of an even map.
    """
    figure, (ax,) = panels(1, width=8, height=4.2)
    marks = ["o", "s", "^", "D", "v", "P", "X"]
    colors = [PALETTE[4], PALETTE[5], PALETTE[3], PALETTE[2], PALETTE[1], PALETTE[0], PALETTE[7]]
    for (name, values), mark, color in zip(box.items(), marks, colors, strict=False):
        ax.plot(values, flips[name], mark, color=color, markersize=9, alpha=0.8, label=name)
    ax.axvline(area, color="0.4", linestyle=":")
    ax.text(area, 0.5, " area of the corner", rotation=90, va="center", ha="right")
    ax.set(xlabel="energy of the map in the corner", ylabel="flip rate", ylim=(-0.03, 1.03))
    ax.legend(loc="center right", bbox_to_anchor=(0.9, 0.5))
    return figure
