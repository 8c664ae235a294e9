"""Exercises of notebook 00: chance, the share of energy, the most probable classes."""

from __future__ import annotations

import math

from .engine import exercise, value_exercise
from .inputs import tensor_of
from .progress import progress as progress

chance = value_exercise(
    "The share of an even map that lies in a box of 112 x 56 pixels of 224 x 224.",
    0.125,
    "A blind map has the area's share: 112 * 56 / (224 * 224) = 1/8.",
    reference=lambda: sum(1 for x in range(112) for y in range(56)) / 224**2,
    hints="""
        With an even map, energy is proportional to area.
        The area of the box, 112 * 56, divided by the area of the picture, 224 * 224.
    """,
    mistakes="""
        0.25
            0.25 is the chance of a quarter, 112 x 112 pixels. This box has half as many.
        0.5
            Half of the width, but only a quarter of the height: the two shares multiply.
        0.75
            You added the shares of width and height. For an area they multiply.
        6272
            That is the number of pixels in the box. Divide it by the number in the picture.
        12.5
            That is the percentage; asked for is a number between 0 and 1.
    """,
)


def _share_by_loop(heat, mask):
    values = zip(heat.flatten().tolist(), mask.flatten().tolist(), strict=True)
    inside = sum(value for value, marked in values if marked)
    return inside / sum(heat.flatten().tolist())


@exercise(
    "The sum of a map inside a mask, divided by its sum over the whole picture.",
    inputs=lambda rng: [
        (tensor_of(rng.random(size)), tensor_of(rng.random(size) < 0.4)) for size in [(3, 3), (4, 7), (1, 9)]
    ],
    reference=_share_by_loop,
    hints="""
        heat[mask] holds the values where mask is True.
        Two sums and a division.
    """,
    mistakes="""
        heat[mask].sum()
            That is the energy inside, not yet its share: divide by the energy of the whole map.
        heat[mask].mean()
            That is the mean brightness inside. The share compares the sum inside with the sum over everything.
        heat[mask].sum() / heat[~mask].sum()
            You divided by the energy outside. The share is of the whole: inside plus outside.
        heat[~mask].sum() / heat.sum()
            That is the share outside: ~ turns the mask around.
        heat[mask].mean() / heat.mean()
            You compared mean brightness inside with that of the picture, which is the share divided by its chance.
            Asked for is the share itself: sums, not means.
        heat * mask / heat.sum()
            You have each pixel's share. Add them up.
        mask.double().mean()
            That is the mask's share of the area: what a blind map would have. The values of heat must come in.
    """,
)
def share_of_energy(heat, mask):
    return heat[mask].sum() / heat.sum()


def _most_probable_by_hand(logits, names, top):
    powers = [math.exp(y) for y in logits.tolist()]
    pairs = [(name, power / sum(powers)) for name, power in zip(names, powers, strict=True)]
    return sorted(pairs, key=lambda pair: -pair[1])[:top]


def _draw_logits(rng):
    return [
        (tensor_of(rng.normal(size=k)), [f"class {i}" for i in range(k)], top)
        for k, top in [(3, 1), (6, 3), (9, 9)]
    ]


@exercise(
    "The most probable classes with their softmax probabilities.",
    inputs=_draw_logits,
    reference=_most_probable_by_hand,
    hints="""
        logits.softmax(0) gives the probabilities of all classes.
        probabilities.argsort(descending=True)[:top] gives the positions of the largest ones.
        names[i] and float(probabilities[i]) make one tuple.
    """,
    mistakes="""
        _most_probable_by_hand(-logits, names, top)
            You have the least probable classes: sort in descending order.
        [(names[i], float(logits[i])) for i in logits.argsort(descending=True)[:top].tolist()]
            The order is right, but these are the scores. Turn them into probabilities with softmax first.
        most_probable(logits.sort(descending=True).values[:top], names[:top], top)
            You cut to the top scores before applying softmax, and lost which names they belong to. Softmax needs the
            scores of all classes.
        [(names[i], float(logits.softmax(0)[i])) for i in range(min(top, len(names)))]
            These are the first classes in the list, not the most probable ones. Sort by probability.
    """,
)
def most_probable(logits, names, top):
    probabilities = logits.softmax(0)
    best = probabilities.argsort(descending=True)[:top]
    return [(names[i], float(probabilities[i])) for i in best.tolist()]
