"""Exercises of notebook 09: mistakes, parts taken away, the sorter, the calibration error, a temperature."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.failures import CONTEXT, NEIGHBOR, NOWHERE, OTHER, STRANGER

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["calibration_error", "falls", "sorter", "temperature", "wrong_ones"]


# --- 1. which answers are mistakes


def _mistakes_by_search(logits: Tensor, right: list[list[int]]) -> list[int]:
    found = []
    for n, row in enumerate(logits.tolist()):
        if row.index(max(row)) not in right[n]:
            found.append(n)
    return found


def _draw_right(rng: np.random.Generator) -> list[tuple]:
    # The first by hand: right by its second name; wrong; the highest logit is negative; right; wrong by one place.
    small = torch.tensor([[0.0, 3, 1], [2, 1, 0], [-3, -2, -1], [5, 0, 0], [1, 2, 3]])
    drawn = [(small, [[0, 1], [1, 2], [2], [0], [1]])]
    for n, k in ((12, 5), (20, 8)):
        logits = tensor_of(rng.normal(size=(n, k)))
        names = [
            sorted(rng.choice(k, size=int(rng.integers(1, 4)), replace=False).tolist()) for _ in range(n)
        ]
        drawn.append((logits, names))
    return drawn


@exercise(
    "The numbers of the pictures whose most probable class is none of the names that are right for them.",
    inputs=_draw_right,
    reference=_mistakes_by_search,
    hints="""
        logits.argmax(1) has one class number for each picture; .tolist() makes whole numbers of it.
        enumerate(right) counts the pictures and has the right names of each.
    """,
    mistakes="""
        [n for n, names in enumerate(right) if int(logits[n].argmax()) != names[0]]
            You compared with the first name alone. A picture may have several right names: to say any of them is no
            mistake.
        [n for n, names in enumerate(right) if int(logits[n].argmax()) in names]
            These are the pictures that are named rightly: turn the question round.
        [n for n, names in enumerate(right) if any(c not in names for c in logits[n].topk(2).indices.tolist())]
        [n for n, names in enumerate(right) if any(int(logits[n].argmax()) != c for c in names)]
            You asked whether some name differs from the answer. With several right names one of them always does: a
            mistake is an answer that is *none* of them.
        [n for n, names in enumerate(right) if not set(logits[n].topk(2).indices.tolist()) & set(names)]
            You let the second guess count, too. The answer is the class with the highest logit alone.
        [int(logits[n].argmax()) for n, names in enumerate(right) if int(logits[n].argmax()) not in names]
            You returned what was answered. Asked for is which pictures, by their numbers from 0.
        len([n for n, names in enumerate(right) if int(logits[n].argmax()) not in names])
            You counted them. Asked for is which ones.
    """,
)
def wrong_ones(logits, right):
    answers = logits.argmax(1).tolist()
    return [n for n, names in enumerate(right) if answers[n] not in names]


# --- 2. what a score loses without a part


def _network(rng: np.random.Generator, classes: int) -> nn.Module:
    """A convolution, a ReLU, mean pooling and a linear layer, in evaluation mode."""
    conv, linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, classes)
    with torch.no_grad():
        for weight in (conv.weight, conv.bias, linear.weight, linear.bias):
            weight.copy_(tensor_of(rng.normal(size=tuple(weight.shape))))
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()


def _draw_parts(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for size, classes in ((4, 3), (6, 5)):
        mask = tensor_of(rng.random((size, size)) < 0.4)
        mask[0, 0], mask[-1, -1] = True, False
        other = torch.zeros_like(mask)
        other[-2:, -2:] = ~mask[-2:, -2:]
        masks = {"object": mask, "other object": other, "context": ~(mask | other)}
        image = tensor_of(rng.random((1, 3, size, size)))
        drawn.append((_network(rng, classes), image, masks, int(rng.integers(classes))))
    return drawn


def _filled(image: Tensor, mask: Tensor, fill: object = None) -> Tensor:
    """The image with one color in the mask, by default the mean of what stays."""
    covered = image.clone()
    for channel in range(3):
        stays = [v for v, m in zip(image[0, channel].flatten(), mask.flatten(), strict=True) if not m]
        covered[0, channel][mask] = sum(stays) / len(stays) if fill is None else fill(image, mask, channel)
    return covered


def _fall(
    model: nn.Module, image: Tensor, masks: dict, c: int, fill: object = None, how: object = None
) -> dict:
    """The falls, by another fill, or of another score."""
    score = how or (lambda logits: logits[0, c])
    with torch.no_grad():
        before = score(model(image))
        return {
            part: float(before - score(model(_filled(image, mask, fill)))) for part, mask in masks.items()
        }


@exercise(
    "How far a class's logit falls when one part of the picture after the other is painted over.",
    inputs=_draw_parts,
    reference=_fall,
    hints="""
        covered = image.clone(); covered[:, :, mask] = ... paints one part over: the mask picks pixels of each color.
        image[:, :, ~mask].mean(2, keepdim=True) is the mean color of what stays, (1, 3, 1).
        A dictionary: for each part the logit of c before, less the logit of c after. with torch.no_grad(): no graph.
    """,
    mistakes="""
        _fall(model, image, masks, c, fill=lambda image, mask, channel: image[0, channel].mean())
            You filled with the mean color of the whole picture: the part that is to vanish still colors it. Take the
            mean of what stays, ~mask.
        _fall(model, image, masks, c, fill=lambda image, mask, channel: image[0, channel][mask].mean())
            You filled with the part's own mean color, so that its color stays in the picture. Take the mean of what
            stays, ~mask.
        _fall(model, image, masks, c, fill=lambda image, mask, channel: image[0][:, ~mask].mean())
            You filled with one gray, the mean over all three colors. Take a mean for each color.
        _fall(model, image, masks, c, fill=lambda image, mask, channel: 0)
            You filled with black, which is a strong color of its own. Here the mean of what stays is asked for.
        {part: -fall for part, fall in _fall(model, image, masks, c).items()}
            The sign is turned: a fall is positive where the logit is lower without the part, before - after.
        _fall(model, image, {part: ~mask for part, mask in masks.items()}, c)
            You painted over everything else and kept the part. The fall without the part is asked for.
        _fall(model, image, masks, c, how=lambda logits: logits.softmax(1)[0, c])
            You followed the probability. It also moves when other classes do: take the logit.
        _fall(model, image, masks, c, how=lambda logits: logits.max())
            You followed the highest logit. After the cover another class may have it: follow the class c in both.
    """,
)
def falls(model, image, masks, c):
    found = {}
    with torch.no_grad():
        before = model(image)[:, c]
        for part, mask in masks.items():
            covered = image.clone()
            covered[:, :, mask] = image[:, :, ~mask].mean(2, keepdim=True)
            found[part] = float(before - model(covered)[:, c])
    return found


# --- 3. the sorter


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


# --- 4. the expected calibration error


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


# --- 5. a temperature


def _loss(logits: Tensor, right: Tensor, t: float) -> float:
    return float(nn.functional.cross_entropy(logits.double() / t, right))


def _temperature_by_thirds(logits: Tensor, right: Tensor, low: float = 0.05, high: float = 20.0) -> float:
    """Ternary search: the loss falls and then rises."""
    a, b = math.log(low), math.log(high)
    while b - a > 1e-5:
        first, second = a + (b - a) / 3, b - (b - a) / 3
        lower = _loss(logits, right, math.exp(first)) < _loss(logits, right, math.exp(second))
        a, b = (a, second) if lower else (first, b)
    return math.exp((a + b) / 2)


def _draw_temperatures(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for n, k, scale in ((60, 4, 2.5), (80, 6, 0.3), (60, 5, 1.3)):
        logits = tensor_of(2 * rng.normal(size=(n, k)))
        chances = (logits.double() / scale).softmax(1).numpy()
        drawn.append((logits, tensor_of(np.array([rng.choice(k, p=row) for row in chances]))))
    return drawn


def _searched(goodness: object, low: float = 0.05, high: float = 20.0) -> float:
    """The temperature of a grid that is best by something else."""
    return min((math.exp(v) for v in np.linspace(math.log(low), math.log(high), 1200)), key=goodness)


def _gap(logits: Tensor, right: Tensor, t: float) -> float:
    p, said = (logits / t).softmax(1).max(1)
    return float(((said == right).float().mean() - p.mean()).abs())


@exercise(
    "The temperature, between 0.05 and 20, at which the right classes of some pictures are most probable.",
    inputs=_draw_temperatures,
    reference=_temperature_by_thirds,
    tolerance=0.02,
    hints="""
        F.cross_entropy(logits / t, right) is minus the mean log-probability of the right classes: make it small.
        It falls and then rises with t, so that any search finds its lowest point: try many t, dense enough.
        torch.logspace(-1.3, 1.3, 1000) runs from 0.05 to 20; neighbors differ by 0.6%.
    """,
    mistakes="""
        1 / _temperature_by_thirds(logits, right)
            That is 1 / T: you multiplied the logits by what should divide them.
        _temperature_by_thirds(logits, logits.argmax(1))
            You took the network's own answers for the right classes. They are most probable at the lowest temperature,
            whatever it is worth: compare with `right`.
        _searched(lambda t: -_loss(logits, right, t))
            You looked for the largest loss. The cross-entropy is *minus* the mean log-probability: make it small.
        _searched(lambda t: _gap(logits, right, t))
            You made the mean probability of the answers equal to their accuracy. The answers alone enter there; here
            all right classes do: maximize their log-probability.
        _temperature_by_thirds(logits, right, low=1.0)
            You looked above 1 only. A network that is not sure enough needs a temperature below 1.
        _temperature_by_thirds(logits, right, high=1.0)
            You looked below 1 only. A network that is too sure needs a temperature above 1.
        _searched(lambda t: -float((logits / t).softmax(1)[range(len(right)), right].mean()))
            You made the mean *probability* of the right classes large. One that is all but excluded hardly counts in
            it: take the mean of the logarithms.
        _searched(lambda t: abs(t - 1))
            That leaves the logits as they are. Try other temperatures, and keep the best.
    """,
)
def temperature(logits, right):
    candidates = torch.logspace(-1.3, 1.3, 1000).tolist()
    return min(candidates, key=lambda t: float(nn.functional.cross_entropy(logits / t, right)))
