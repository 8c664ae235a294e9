"""Exercises of notebook 09: the contrast of a part, the sorter of mistakes, the expected calibration error."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from course_utils.failures import CONTEXT, NEIGHBOR, NOWHERE, OTHER, STRANGER

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["calibration_error", "contrast", "sorter"]


# --- 1. the contrast of a part


def _contrast_by_loop(heat: Tensor, mask: Tensor) -> float:
    totals, counts = [0.0, 0.0], [0, 0]
    for value, inside in zip(heat.flatten().tolist(), mask.flatten().tolist(), strict=True):
        totals[inside] += value
        counts[inside] += 1
    return (totals[1] / counts[1]) / (totals[0] / counts[0])


def _draw_maps(rng: np.random.Generator) -> list[tuple]:
    # The first in whole numbers, to be checked by hand: 12 / 2 inside, 6 / 6 outside.
    small = torch.tensor([[6.0, 6, 0, 0], [2, 2, 1, 1]])
    drawn = [(small, small > 5)]
    for share, side in ((0.1, 7), (0.5, 7), (0.8, 12)):
        mask = tensor_of(rng.random((side, side)) < share)
        mask[0, 0], mask[-1, -1] = True, False
        drawn.append((tensor_of(rng.random((side, side)) ** 2), mask))
    return drawn


@exercise(
    "The contrast of a part: mean of the map inside the mask over its mean outside.",
    inputs=_draw_maps,
    reference=_contrast_by_loop,
    hints="""
        heat[mask] has the values inside, heat[~mask] those outside.
        Two means, one division; float(...) makes a number of it.
    """,
    mistakes="""
        float(heat[mask].sum() / heat.sum())
            That is the energy inside the mask. A large part gets much of it by its size alone: compare means, which do
            not grow with the area.
        float(heat[mask].sum() / heat[~mask].sum())
            You divided sums; heat * mask keeps the zeros, so that its mean is a sum as well. Under an even map a part
            of nine tenths of the picture then wins: divide the means of heat[mask] and heat[~mask].
        float(heat[mask].mean() / heat.mean())
            You compared with the whole map, the part itself included. Then a part that fills 95% of the picture cannot
            get more than 1 / 0.95, however dark the rest: compare with the outside alone.
        float(heat[~mask].mean() / heat[mask].mean())
            Upside down: this is large where the map avoids the part. Inside over outside.
        float(heat[mask].mean() - heat[~mask].mean())
            You took the difference. It changes when the map is multiplied by a number, and a heat-map's scale means
            nothing: take the ratio.
        float(heat[mask].max() / heat[~mask].max())
            You compared the brightest pixels. One pixel then decides, and the enlarged map smears it over the edge:
            compare means.
        float(heat[mask].mean())
            That is the mean inside. Whether it is much depends on what is outside: divide by the mean there.
    """,
)
def contrast(heat, mask):
    return float(heat[mask].mean() / heat[~mask].mean())


# --- 2. the sorter


def _sorter_by_cases(contrasts: dict[str, float], neighbor: bool) -> str:
    bright = {part: contrasts.get(part, -math.inf) for part in ("object", "other object", "context")}
    names = {"object": (STRANGER, NEIGHBOR)[bool(neighbor)], "other object": OTHER, "context": CONTEXT}
    for part, value in bright.items():
        if value >= 1.25 and all(value >= another for another in bright.values()):
            return names[part]
    return NOWHERE


def _draw_contrasts(rng: np.random.Generator) -> list[tuple]:
    fixed = [
        ({"object": 2.5, "context": 0.4}, True),
        ({"object": 2.5, "context": 0.4}, False),
        ({"object": 1.6, "other object": 3.1, "context": 0.3}, True),
        ({"object": 0.5, "other object": 1.4, "context": 1.5}, False),
        ({"object": 0.6, "context": 1.7}, False),
        ({"object": 1.1, "context": 0.9}, True),
        ({"object": 1.25, "context": 0.8}, False),  # exactly at the border
        ({"object": 0.7, "other object": 1.2, "context": 1.1}, False),
        ({}, True),  # an empty map, or an object that fills the picture
        ({"context": 1.5}, True),  # the object fills less than a pixel of the map
        ({"other object": 2.0}, True),
        ({"other object": 1.0, "context": 1.3}, False),
    ]
    drawn = []
    for n in range(12):
        parts = ("object", "other object", "context")[:: 1 if n % 2 else 2]
        drawn.append(
            ({part: round(float(rng.uniform(0.3, 2.2)), 2) for part in parts}, bool(rng.integers(2)))
        )
    return fixed + drawn


def _sorted_with(contrasts, neighbor, least=1.25, pick=max, swap=False, strict=False, order=()):
    """A sorter that goes wrong in one way."""
    part = pick(contrasts, key=contrasts.get, default=None)
    for first in order:
        if contrasts.get(first, 0) >= least:
            part = first
            break
    if part is None or contrasts[part] < least or (strict and contrasts[part] == least):
        return NOWHERE
    kinds = {"object": NEIGHBOR if neighbor != swap else STRANGER, "other object": OTHER, "context": CONTEXT}
    return kinds[part]


@exercise(
    "The kind of a mistake, from the contrasts of the parts and whether the predicted class is a neighbor.",
    inputs=_draw_contrasts,
    reference=_sorter_by_cases,
    hints="""
        First the empty dictionary: there is nothing to compare, so the map lies nowhere in particular.
        max(contrasts, key=contrasts.get, default=None) is the part with the largest contrast.
        Then: below 1.25, nowhere; else one kind for each part, two for the object.
    """,
    mistakes="""
        _sorted_with(contrasts, neighbor, least=-math.inf)
            Your sorter always finds something that was looked at, because some part always has the largest contrast. If
            even that is below 1.25 (a border of 1 is none), the map lies nowhere in particular.
        _sorted_with(contrasts, neighbor, order=("object", "other object", "context"))
            You ask about the object first and stop when it is bright enough, although another part may be brighter.
            Compare the parts: the largest contrast decides.
        _sorted_with(contrasts, neighbor, order=("other object", "object", "context"))
            You ask about the other object first and stop when it is bright enough. The largest contrast decides.
        _sorted_with(contrasts, neighbor, pick=min)
            You take the part with the smallest contrast: the one that the map avoids.
        _sorted_with(contrasts, neighbor, swap=True)
            The two names for the right thing are exchanged: where the predicted class is a neighbor, it was named its
            neighbor.
        sorter(contrasts, True)
            You never ask for neighbor, or always find it true: on the object, the name decides between two kinds.
        _sorted_with(contrasts, neighbor, strict=True)
            A contrast of exactly 1.25 counts as looked at: the border belongs to it, >= and not >.
        NEIGHBOR if neighbor else sorter(contrasts, neighbor)
            You call every neighbor's name the right thing. Whether the network looked at the object is told by the map,
            not by the name it gave.
        max(contrasts, key=contrasts.get, default=None) or NOWHERE
            You return the part. Asked for is the kind, one of the five names.
    """,
)
def sorter(contrasts, neighbor):
    part = max(contrasts, key=contrasts.get, default=None)
    if part is None or contrasts[part] < 1.25:
        return NOWHERE
    if part == "object":
        return NEIGHBOR if neighbor else STRANGER
    return OTHER if part == "other object" else CONTEXT


# --- 3. the expected calibration error


def _error_by_groups(confidence: Tensor, right: Tensor, bins: int) -> float:
    groups: dict[int, list[tuple[float, bool]]] = {}
    for p, hit in zip(confidence.tolist(), right.tolist(), strict=True):
        groups.setdefault(math.ceil(p * bins), []).append((p, hit))
    return sum(abs(sum(h for _, h in g) - sum(p for p, _ in g)) for g in groups.values()) / len(confidence)


def _draw_answers(rng: np.random.Generator) -> list[tuple]:
    ten = torch.tensor([0.95, 0.9, 0.85, 0.7, 0.65, 0.4, 0.35, 0.3, 0.15, 0.1])
    hits = torch.tensor([True, True, False, True, False, True, False, False, False, False])
    drawn = [(ten, hits, 2)]
    for n, bins in ((40, 10), (25, 4)):
        # The highest bins stay empty. A last digit of 5 keeps off the borders of bins, where float32 is not exact.
        p = tensor_of(np.floor(rng.uniform(50, 600, n)) / 1000 + 0.0005, digits=4)
        drawn.append((p, tensor_of(rng.random(n) < 0.4), bins))
    # On the borders of the bins, exactly: a border belongs to the bin below it, and 1 to the last bin.
    edges = torch.tensor([0.25, 0.5, 0.5, 0.75, 1.0, 0.1])
    return [*drawn, (edges, torch.tensor([True, False, True, False, True, False]), 4)]


def _error_with(confidence, right, bins, weight=None, gap=None, closed_below=False, skip_empty=True):
    """An ECE with another weight of a bin, another gap, borders in the wrong bin, or empty bins left in."""
    total = []
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if closed_below:
            inside = (confidence >= m / bins) & (confidence < (m + 1) / bins)
        if inside.any() or not skip_empty:
            acc, conf = right[inside].float().mean(), confidence[inside].mean()
            share = weight(inside) if weight else inside.float().mean()
            total.append(float(share * (gap(acc, conf, m) if gap else (acc - conf).abs())))
    return float(sum(total))


@exercise(
    "The expected calibration error of some answers, with bins of equal width.",
    inputs=_draw_answers,
    reference=_error_by_groups,
    hints="""
        A loop over the bins: inside = (confidence > m / bins) & (confidence <= (m + 1) / bins).
        Leave out empty bins. In the others: the share that is right, minus the mean confidence, without its sign.
        Weight: inside.float().mean(), the bin's share of the answers.
    """,
    mistakes="""
        _error_with(confidence, right, bins, gap=lambda acc, conf, m: acc - conf)
            The absolute value is missing: a bin that is too sure and one that is too unsure cancel.
        float((right.float().mean() - confidence.mean()).abs())
            You compared the two means of all answers. A classifier may be right as often as it says on average, and far
            off in every bin: take the gap bin by bin.
        _error_with(confidence, right, bins, weight=lambda inside: 1 / bins)
            Every bin has the same weight in your sum, whether it holds one answer or thirty. Weight each gap by the
            bin's share of the answers.
        _error_with(confidence, right, bins, weight=lambda inside: 1) / len((confidence * bins).ceil().unique())
            You took the plain mean over the bins that hold anything. Weight each gap by the bin's share of the answers.
        _error_with(confidence, right, bins, skip_empty=False)
            The mean of an empty bin is nan, and so is a sum with it: leave out the bins that hold no answer.
        _error_with(confidence, right, bins, closed_below=True)
            Your bins hold their lower border. Here they hold the upper one, p <= m / M: otherwise an answer given with
            probability 1 is in no bin.
        _error_with(confidence, right, bins, gap=lambda acc, conf, m: (acc - (m + 0.5) / bins).abs())
            You compared the accuracy with the middle of the bin. Compare it with the mean confidence of the answers in
            it.
        float((right.float() - confidence).abs().mean())
            You took the distance answer by answer. One answer is right or not, 1 or 0: only the share of a whole bin
            can be compared with a confidence.
        _error_with(confidence, right, bins, gap=lambda acc, conf, m: (acc - conf) ** 2)
            You squared the gaps. ECE takes their absolute value.
        _error_with(confidence, right, bins, weight=lambda inside: inside.sum())
            You weighted each gap by the number of answers in the bin: divide by the number of all answers.
    """,
)
def calibration_error(confidence, right, bins):
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            gap = right[inside].float().mean() - confidence[inside].mean()
            total += float(inside.float().mean() * gap.abs())
    return total
