"""Exercises of notebook 12: the flip rate, energy beside area, the worst group, weights that balance the groups."""

from __future__ import annotations

import torch

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress


def _flips_by_loop(clean, stamped):
    pairs = list(zip(clean.tolist(), stamped.tolist(), strict=True))
    return sum((a[1] > a[0]) != (b[1] > b[0]) for a, b in pairs) / len(pairs)


def _twins(rng):
    clean = tensor_of(rng.normal(size=(12, 2)))
    up, down = clean.clone(), clean.clone()
    up[:6, 1] += 3  # the stamp adds to the finding's logit of some,
    up[6:8, 1] -= 3  # and takes from others
    down[:, 1] -= 1
    return [(clean, tensor_of(stamped.numpy())) for stamped in (up, down, clean + 5)]


@exercise(
    "The share of pictures whose prediction changes when the stamp is put on.",
    inputs=_twins,
    reference=_flips_by_loop,
    hints="""
        The prediction is the larger logit: argmax along dimension 1.
        `!=` of two tensors is True where they differ; the mean of .float() is a share.
    """,
    mistakes="""
        float((stamped.argmax(1) - clean.argmax(1)).float().mean())
            You averaged a signed difference: flips toward the finding and flips away from it cancel each other. Count
            both: compare with `!=`.
        float(((clean.argmax(1) == 0) & (stamped.argmax(1) == 1)).float().mean())
            You counted flips toward the finding only. A stamp can also talk a network out of one.
        float((clean.argmax(1) == stamped.argmax(1)).float().mean())
            That is the share that stays the same, 1 minus the flip rate.
        float((stamped - clean).diff(dim=1).mean())
            That is the mean change of the logits' difference, equation (3). The flip rate asks how often it was enough
            to change the answer.
        float((clean.argmax(1) != stamped.argmax(1)).sum())
            That is the number of flips; divide by the number of pictures.
        float((clean.softmax(1) != stamped.softmax(1)).any(1).float().mean())
            You compared probabilities: nearly all change a little. A flip is another predicted class.
        float(((clean[:, 1] > 0) != (stamped[:, 1] > 0)).float().mean())
            You looked at the sign of the finding's logit. The answer is the larger of the two logits: d(x) is their
            difference.
        float((clean.argmax(0) != stamped.argmax(0)).float().mean())
            argmax(0) looks for the largest picture of each class. The prediction is the larger logit of each picture:
            argmax(1).
        float((clean.sign() != stamped.sign()).float().mean())
            You compared the signs of single logits. The answer is the larger of the two: d(x) is their difference.
    """,
)
def flip_rate(clean, stamped):
    return float((clean.argmax(1) != stamped.argmax(1)).float().mean())


def _lift_by_loop(heat, mask):
    inside = total = cells = 0.0
    for values, marks in zip(heat.tolist(), mask.tolist(), strict=True):
        for value, mark in zip(values, marks, strict=True):
            total += max(value, 0)
            inside += max(value, 0) * mark
            cells += mark
    return inside / total / (cells / heat.numel()) if total else float("nan")


def _maps(rng):
    mask = torch.zeros(6, 8, dtype=torch.bool)
    mask[:2, :4] = True
    draw = tensor_of(rng.normal(size=(6, 8)))
    one = torch.tensor([[0.25, -1.0], [0.0, 0.75]])  # all of the energy is 1
    drawn = [(draw, mask), (draw.abs() + 4 * mask, mask), (torch.ones(6, 8), mask), (-draw.abs(), mask)]
    return [(one, one > 0.5), *drawn]


def _energy(heat, mask):
    return heat.clamp(min=0)[mask].sum() / heat.clamp(min=0).sum()


@exercise(
    "A map's energy in a mask, as a multiple of what an even map would have there.",
    inputs=_maps,
    reference=_lift_by_loop,
    hints="""
        Three steps: clamp at 0, the share of the sum that lies in the mask, divide by the mask's share of the area.
        heat.clamp(min=0), then energy[mask].sum() / energy.sum(), then / mask.float().mean(). What if the sum is 0?
    """,
    mistakes="""
        float(_energy(heat, mask))
            That is the energy alone. In a corner of a fifth of the picture, an even map has a fifth of its energy, too:
            divide by the mask's share of the area.
        float(heat[mask].sum() / heat.sum() / mask.float().mean()) if (heat > 0).any() else float("nan")
            Negative values are in your sums. They speak against the class and are no energy for it: clamp them to 0.
        float(heat[mask].sum() / heat.sum() / mask.float().mean())
            Negative values are in your sums. They speak against the class and are no energy for it: clamp them to 0,
            and then think of the map in which nothing is left.
        float(heat.abs()[mask].sum() / heat.abs().sum() / mask.float().mean())
            You took absolute values: evidence against the class counts as energy for it. Clamp at 0 instead.
        float(heat.clamp(min=0)[mask].mean() / heat.clamp(min=0)[~mask].mean())
            You compared the inside with the outside. Equation (2) compares the inside with the whole map.
        float(_energy(heat, mask) - mask.float().mean())
            You subtracted the area. A multiple was asked for: 1 is what an even map has.
        float(_energy(heat, mask) / mask.sum())
            You divided by the number of pixels in the mask; divide by its share of all pixels, mask.float().mean().
        float(_energy(heat, mask) * mask.float().mean())
            You multiplied by the area. How many *times* an even map's share it is: divide by it.
        lift(heat, mask) if (heat > 0).any() else 0.0
            A map without positive values: you answered 0, which says that it avoids the mask. It says nothing: return
            float('nan').
    """,
)
def lift(heat, mask):
    energy = heat.clamp(min=0)
    if energy.sum() == 0:
        return float("nan")
    share = energy[mask].sum() / energy.sum()
    return float(share / mask.float().mean())


def _worst_by_counting(predicted, labels, has_marker):
    right: dict[tuple, list[int]] = {}
    for p, y, m in zip(predicted.tolist(), labels.tolist(), has_marker.tolist(), strict=True):
        right.setdefault((y, m), []).append(int(p == y))
    return min(sum(found) / len(found) for found in right.values())


def _groups(rng):
    labels = tensor_of(rng.integers(0, 2, 80))
    marker = tensor_of(rng.random(80) < 0.2 + 0.6 * labels.numpy())
    some = tensor_of(rng.random(80) < 0.3)
    missed = torch.where(some & marker, 0, labels)  # wrong in one group alone, and that a large one
    few = torch.tensor([0, 0, 0, 1, 1, 1])
    guessed = torch.tensor([0, 0, 1, 1, 0, 1])
    stamps = torch.tensor([0, 1, 1, 0, 0, 1]).bool()
    return [
        (torch.tensor([0, 0, 1, 1, 1, 1]), few, stamps),  # the worst: a normal one with the stamp
        (torch.tensor([1, 0, 0, 1, 0, 1]), few, stamps),  # a normal one without
        (torch.tensor([0, 0, 0, 0, 1, 1]), few, stamps),  # a finding without
        (marker.long(), labels, marker),
        (missed, labels, marker),
        (guessed, few, few.bool()),
        (guessed, few, torch.tensor([1, 1, 1, 0, 0, 1]).bool()),  # no normal one is without the stamp
    ]


def _worst_of(right, number):
    """The lowest accuracy of groups by another number."""
    return float(min(right[number == k].float().mean() for k in number.unique()))


def _by_group(predicted, labels, has_marker):
    right = (predicted == labels).float()
    return [right[(labels == y) & (has_marker == m)] for y in (0, 1) for m in (False, True)]


@exercise(
    "The lowest accuracy of the four groups, label x stamp.",
    inputs=_groups,
    reference=_worst_by_counting,
    hints="""
        right = (predicted == labels).float(); then four means, of which you want the smallest.
        A group is right[(labels == y) & (has_marker == m)]. One of them may be empty: leave it out.
    """,
    mistakes="""
        float((predicted == labels).float().mean())
            That is the accuracy of all pictures together: groups with many pictures drown the ones with few, and the
            few are those on which the stamp misleads.
        _worst_of(predicted == labels, labels)
            You grouped by the label alone: the worse of sensitivity and specificity. Each label has pictures with and
            without the stamp.
        _worst_of(predicted == labels, has_marker)
            You grouped by the stamp alone. Findings and normals react to it in opposite ways; keep them apart.
        _worst_of(predicted == labels, predicted + 2 * has_marker)
            You grouped by what was predicted. The groups are made by the truth, `labels`, and the stamp.
        min(float(group.sum()) for group in _by_group(predicted, labels, has_marker)) / len(labels)
            You divided by the number of all pictures: that is each group's share of the right answers. Divide by the
            size of the group.
        min(float(group.sum()) for group in _by_group(predicted, labels, has_marker) if len(group)) / len(labels)
            Leaving out the empty group is right, but you divided by the number of all pictures. Divide by the size of
            each group.
        min(float(group.sum()) / max(len(group), 1) for group in _by_group(predicted, labels, has_marker))
            A group without pictures counted as 0 right. Nothing is known of it: leave it out.
        min(float(group.mean()) for group in _by_group(predicted, labels, has_marker))
            The mean of a group without pictures is nan, and it went into your minimum. Leave such a group out.
        float(torch.stack([group.mean() for group in _by_group(predicted, labels, has_marker)]).nanmean())
            That is the mean of the groups' accuracies. A mean hides whom the network fails: take the lowest.
        1 - worst_group(predicted, labels, has_marker)
            That is the highest error, 1 minus the accuracy of the worst group.
        float(min(filter(len, _by_group(predicted, labels, has_marker)), key=len).mean())
            You took the smallest group. It is often the worst one, and need not be: take the lowest accuracy.
    """,
)
def worst_group(predicted, labels, has_marker):
    right = (predicted == labels).float()
    groups = [right[(labels == y) & (has_marker == m)] for y in (0, 1) for m in (False, True)]
    return float(min(group.mean() for group in groups if len(group)))


def _balanced_by_loop(labels, has_marker):
    groups = list(zip(labels.tolist(), has_marker.tolist(), strict=True))
    return torch.tensor([1 / len(set(groups)) / groups.count(group) for group in groups])


def _group_sizes(group):
    """For each picture the number of those in its group."""
    return torch.bincount(group)[group].float()


def _to_sum_1(weights):
    return weights / weights.sum()


@exercise(
    "Weights with which the four groups, label x stamp, are drawn equally often.",
    inputs=lambda rng: [(labels, marker) for _, labels, marker in _groups(rng)],
    reference=_balanced_by_loop,
    called="balanced_weights",
    hints="""
        group = 2 * labels + has_marker.long() numbers the groups 0 to 3; torch.bincount counts.
        sizes[group] is the size of each picture's own group. One over that, then divide by the sum.
    """,
    mistakes="""
        torch.full((len(labels),), 1 / len(labels))
            All weights are the same: the groups are drawn as often as they are large, which is the bias.
        _to_sum_1(1 / _group_sizes(labels))
            You balanced the labels. They were balanced already; what is rare is a finding *without* the stamp, and a
            normal one *with* it: use the groups.
        _to_sum_1(_group_sizes(2 * labels + has_marker))
            Upside down: pictures of large groups got large weights. A picture's weight is 1 / the size of its group.
        1 / _group_sizes(2 * labels + has_marker)
            Right up to a factor: divide by the sum, so that the weights are probabilities.
        1 / _group_sizes(2 * labels + has_marker) / 4
            You divided by four groups. Where some do not occur, the weights no longer sum to 1: divide by their sum.
        _to_sum_1(1 / _group_sizes(has_marker.long()))
            You balanced the stamp alone. Rare are a finding without it and a normal one with it: use the groups.
    """,
)
def balance(labels, has_marker):
    group = 2 * labels + has_marker.long()
    sizes = torch.bincount(group, minlength=4)
    weights = 1 / sizes[group].float()
    return weights / weights.sum()
