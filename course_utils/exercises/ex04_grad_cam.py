"""Exercises of notebook 04: the weights, the heat-map, energy beside area, the map of a probability."""

from __future__ import annotations

import torch

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress


def _weights_by_loop(gradient):
    n, c, h, w = gradient.shape
    result = torch.zeros(n, c, dtype=gradient.dtype)
    for i in range(n):
        for k in range(c):
            for row in range(h):
                for column in range(w):
                    result[i, k] += gradient[i, k, row, column] / (h * w)
    return result


@exercise(
    "Equation (1): the mean of the gradient over the cells of each channel.",
    inputs=lambda rng: [
        (tensor_of(rng.normal(size=size)),) for size in [(1, 3, 2, 2), (2, 4, 3, 5), (3, 1, 1, 4)]
    ],
    reference=_weights_by_loop,
    hints="""
        The cells i, j are the last two dimensions of the tensor.
        A mean over several dimensions takes a tuple: x.mean((a, b)).
    """,
    mistakes="""
        gradient.sum((2, 3))
            You added up the gradients without dividing by Z, the number of cells: that is CAM's w, Z times alpha.
        gradient.sum((2, 3)) / 49
            You divided by 49, which is Z for a map of 7 x 7 cells. Other layers have other maps: Z = h * w.
        gradient.abs().mean((2, 3))
            You took absolute values first: a channel that speaks against the class would count in its favor.
        gradient.mean((1, 2, 3))
            You averaged over the channels, too. Each channel k keeps a weight of its own: average over i and j only.
        gradient.relu().mean((2, 3))
            You cut off negative gradients before averaging, as Grad-CAM++ does. Grad-CAM averages all of them; its ReLU
            comes last.
        gradient.mean(1)
            You averaged over dimension 1, the channels. The cells are dimensions 2 and 3.
        gradient.amax((2, 3))
            You took the largest gradient of each channel. Equation (1) takes the mean.
    """,
)
def weights(gradient):
    return gradient.mean((2, 3))


def _heatmap_by_loop(activations, alpha):
    c, h, w = activations.shape
    raw = torch.zeros(h, w, dtype=activations.dtype)
    for row in range(h):
        for column in range(w):
            value = sum(float(alpha[k]) * float(activations[k, row, column]) for k in range(c))
            raw[row, column] = max(value, 0.0)
    largest = float(raw.max())
    return raw / largest if largest > 0 else raw


def _raw(activations, alpha):
    return torch.einsum("k,khw->hw", alpha, activations)


def _stretched(raw):
    return (raw - raw.min()) / (raw.max() - raw.min())


def _min_max(activations, alpha):
    return _stretched(_raw(activations, alpha))


def _guarded(activations, alpha, heat):
    """The right answer for a map without a positive cell, so that only the one mistake shows."""
    return heat if (_raw(activations, alpha) > 0).any() else torch.zeros_like(heat)


def _min_max_of_positive(positive):
    spread = positive.max() - positive.min()
    return (positive - positive.min()) / spread if spread > 0 else torch.zeros_like(positive)


def _share(positive):
    return positive / positive.sum() if positive.sum() > 0 else positive


def _draw_heatmaps(rng):
    cases = [
        (tensor_of(rng.random((c, h, w))), tensor_of(rng.normal(size=c)))
        for c, h, w in [(3, 2, 2), (5, 4, 3), (8, 7, 7)]
    ]
    all_positive = (tensor_of(rng.random((3, 2, 4))) + 0.5, tensor_of(rng.random(3)))
    nothing_positive = (tensor_of(rng.random((4, 3, 3))), -tensor_of(rng.random(4)))
    return [*cases, all_positive, nothing_positive]


@exercise(
    "Equations (2) and (3), divided by the maximum; zeros where no cell is positive.",
    inputs=_draw_heatmaps,
    reference=_heatmap_by_loop,
    hints="""
        alpha[:, None, None] has shape (C, 1, 1) and multiplies each channel by its weight.
        Sum over the channels (dimension 0), then .relu(), and only then look at the maximum.
        If the maximum is 0, there is nothing to divide by.
    """,
    mistakes="""
        _raw(activations, alpha).relu() / _raw(activations, alpha).relu().max()
            Right except where no cell is positive: there you divide 0 by 0 and get NaN. Return zeros in that case.
        _min_max(activations, alpha)
        _guarded(activations, alpha, _min_max(activations, alpha))
            You stretched from the minimum to the maximum, so that cells with negative values look positive. Take the
            ReLU, then divide by the maximum.
        _min_max_of_positive(_raw(activations, alpha).relu())
        _stretched(_raw(activations, alpha).relu())
            You stretched from the minimum to the maximum after the ReLU. Where every cell is positive, that paints the
            weakest one black although it speaks for the class. Divide by the maximum only.
        _raw(activations, alpha) / _raw(activations, alpha).max()
            The ReLU of equation (3) is missing: negative cells stay negative, and where no cell is positive the
            division by a negative maximum even turns the signs around.
        _guarded(activations, alpha, _raw(activations, alpha) / _raw(activations, alpha).max())
        _raw(activations, alpha) / (_raw(activations, alpha).max() if (_raw(activations, alpha) > 0).any() else 1)
        _raw(activations, alpha) / _raw(activations, alpha).max().clamp(min=1e-8)
            The ReLU of equation (3) is missing: cells that speak against the class keep their negative values. Take it
            after the sum, before you look at the maximum.
        _share(_raw(activations, alpha).relu())
        _raw(activations, alpha).relu() / _raw(activations, alpha).relu().sum()
            You divided by the sum. A heat-map is divided by its maximum, so that its largest value is 1.
        heatmap(activations, alpha.relu())
        _raw(activations, alpha.relu()) / _raw(activations, alpha.relu()).max()
            The ReLU comes too early: inside the sum, or on the weights, it removes every channel with a negative
            weight. Add first, with signs.
        _raw(activations, alpha).abs() / _raw(activations, alpha).abs().max()
        _guarded(activations, alpha, _raw(activations, alpha).abs() / _raw(activations, alpha).abs().max())
            You took absolute values: evidence against the class is then shown as evidence for it.
        _raw(activations, alpha).relu()
            The map is right but was not divided by its maximum.
    """,
)
def heatmap(activations, alpha):
    positive = (alpha[:, None, None] * activations).sum(0).relu()
    return positive / positive.max() if positive.max() > 0 else positive


def _times_chance_by_loop(heat, mask):
    inside = total = area = 0.0
    for value, marked in zip(heat.flatten().tolist(), mask.flatten().tolist(), strict=True):
        total += value
        inside += value * marked
        area += marked / mask.numel()
    return inside / total / area


@exercise(
    "The share of energy inside a mask, divided by the mask's share of the area.",
    inputs=lambda rng: [
        (tensor_of(rng.random((h, w))), tensor_of(rng.random((h, w)) < 0.3) | (torch.arange(w) == 0))
        for h, w in [(4, 4), (6, 9), (3, 20)]
    ],
    reference=_times_chance_by_loop,
    hints="""
        heat[mask] picks the values where mask is True.
        The mean of a mask, taken as numbers, is its share of the area: mask.float().mean().
    """,
    mistakes="""
        heat[mask].sum() / heat.sum()
            That is the share of energy. A mask over 90% of the picture would score 0.9 with a blind map: divide by the
            mask's share of the area.
        heat[mask].mean() / heat[~mask].mean()
            You compared inside with outside. Asked for is inside compared with the whole picture: chance is the mask's
            share of the area.
        mask.double().mean() / (heat[mask].sum() / heat.sum())
            Upside down: the share of energy belongs above, the share of the area below.
        4 * heat[mask].sum() / heat.sum()
            0.25 is chance for a quarter. Another mask has another chance: its own share of the area.
        (heat[mask].sum() / heat.sum()) / mask.sum()
            You divided by the number of pixels in the mask, not by their share of all pixels.
        (heat[mask].sum() / heat.sum()) - mask.double().mean()
            You subtracted the area's share. As a ratio, 1 means chance whatever the size of the mask.
    """,
)
def times_chance(heat, mask):
    energy = heat[mask].sum() / heat.sum()
    return energy / mask.double().mean()


def _probability_map_by_autograd(maps, logits, c):
    # d p_c / d y_j from autograd, then the linear combination of the maps.
    y = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(torch.softmax(y, 0)[c], y)
    return torch.einsum("j,jhw->hw", slope, maps)


@exercise(
    "Equation (4): the raw map of a softmax probability, from the raw maps of all logits.",
    inputs=lambda rng: [
        (tensor_of(rng.normal(size=(k, 3, 3))), tensor_of(rng.normal(size=k)), int(rng.integers(k)))
        for k in (2, 4, 9)
    ],
    reference=_probability_map_by_autograd,
    hints="""
        Begin with p = logits.softmax(0), a probability for each of the K classes.
        The sum over j has a term for every class, c included: (p[:, None, None] * maps).sum(0).
        Do not forget the factor p_c in front of the bracket.
    """,
    mistakes="""
        logits.softmax(0)[c] * maps[c]
            You scaled the class's own map by its probability. The other classes are in the denominator of the softmax:
            their maps must be subtracted, each weighted by its probability.
        maps[c] - torch.einsum("j,jhw->hw", logits.softmax(0), maps)
            The bracket of equation (4) is right; the factor p_c in front of it is missing. (What you have is the map of
            log p_c.)
        logits.softmax(0)[c] * (1 - logits.softmax(0)[c]) * maps[c]
            p_c (1 - p_c) is the slope for the class's own logit alone. The probability depends on all logits: the other
            classes' maps belong in the sum.
        probability_map(maps, logits, c) + logits.softmax(0)[c] ** 2 * maps[c]
            Your sum skips j = c. In equation (4) it runs over all classes, c included.
        probability_map(maps, logits, c).relu()
            Asked for is the raw map, with its signs: no ReLU.
        logits.softmax(0)[c] * (maps[c] - maps.mean(0))
            You subtracted the plain mean of all maps. Each map counts with its own probability p_j.
        logits[c] * (maps[c] - torch.einsum("j,jhw->hw", logits, maps))
            You used the logits where equation (4) has probabilities: apply softmax first.
    """,
)
def probability_map(maps, logits, c):
    p = logits.softmax(0)
    return p[c] * (maps[c] - (p[:, None, None] * maps).sum(0))
