"""Exercises of notebook 11: classes that rise beyond a control, a direction taken away, energy beside area, a table of
groups, weights for groups, and flips between twins.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["energy_and_area", "flip_rate", "group_table", "group_weights", "held_out_rise", "risers"]

NAN = float("nan")


def _energy_by_loop(raw, mask):
    inside = total = pixels = count = 0.0
    for values, truths in zip(raw.tolist(), mask.tolist(), strict=True):
        for value, truth in zip(values, truths, strict=True):
            total += max(0.0, value)
            inside += max(0.0, value) if truth else 0.0
            pixels, count = pixels + truth, count + 1
    return (inside / total if total else NAN), pixels / count


def _masked_maps(rng):
    maps = [tensor_of(rng.normal(size=(5, 6))) for _ in range(3)]
    masks = [tensor_of(rng.random((5, 6)) < share) for share in (0.3, 0.5, 0.2)]
    for mask in masks:
        mask[0, 0] = True
    # All of the energy is 1; there is none.
    one = torch.tensor([[0.25, -1.0], [0.0, 0.75]])
    return [(one, one > 0.5), *zip(maps, masks, strict=True), (-torch.ones(3, 3), torch.eye(3).bool())]


def _unless_empty(raw, mask, energy):
    """An answer with another energy; NaN where the map is empty, as asked for."""
    return float(energy) if (raw > 0).any() else NAN, float(mask.float().mean())


@exercise(
    "The share of a map's positive energy in the mask, and the mask's share of the picture.",
    inputs=_masked_maps,
    reference=_energy_by_loop,
    hints="""
        raw.relu() keeps what speaks for the class; positive[mask] are its values in the mask.
        mask.float().mean() is the mask's share of the picture.
        Look at the sum before you divide by it: it may be 0.
    """,
    mistakes="""
        _unless_empty(raw, mask, raw[mask].sum() / raw.sum())
            You summed negative values, too: they speak against the class and can even make the share negative or larger
            than 1. Take relu first.
        _unless_empty(raw, mask, raw[mask].abs().sum() / raw.abs().sum())
            The absolute value counts evidence against the class as evidence for it. Take relu.
        (float(raw[mask].abs().sum() / raw.abs().sum()), float(mask.float().mean()))
            The absolute value counts evidence against the class as evidence for it, and finds energy in a map that has
            none. Take relu.
        (float(raw[mask].sum() / raw.sum()), float(mask.float().mean()))
            You summed negative values, too: then the share can be negative or larger than 1, and an empty map seems to
            have energy. Take relu first.
        energy_and_area(raw, mask)[::-1]
            Both numbers are right, in the other order: energy first, then area.
        _unless_empty(raw, mask, raw.relu()[~mask].sum() / raw.relu().sum())
            That is the share outside of the mask.
        _unless_empty(raw, mask, raw.relu()[mask].mean() / raw.relu().mean())
            You divided two means: that is energy over area, how many times chance. Return the two shares separately.
        _unless_empty(raw, mask, raw.relu()[mask].mean())
        (float(raw.relu()[mask].mean()), float(mask.float().mean()))
            That is the mean value in the mask. The energy is a share: a sum in the mask over the sum of the map.
        _unless_empty(raw, mask, ((raw > 0) & mask).sum() / (raw > 0).sum())
            You counted positive pixels. Energy weighs each by its value.
        (energy_and_area(raw, mask)[0], float(mask.sum()))
            The area must be a share, so that it can stand beside the energy: divide by the number of pixels.
        (energy_and_area(raw, mask)[0], float(((raw > 0) & mask).sum() / (raw > 0).sum()))
            The area must not depend on the map: it is what a map that is the same everywhere would have in the mask.
        (energy_and_area(raw, mask)[0] if (raw > 0).any() else 0.0, float(mask.float().mean()))
            An empty map: you answered 0, as if it marked something else. It marks nothing; return nan and count these
            maps.
        energy_and_area(raw, mask)[0]
            The energy is right, but it says nothing alone: return the area beside it.
    """,
)
def energy_and_area(raw, mask):
    positive = raw.relu()
    area = mask.float().mean()
    if positive.sum() == 0:
        return float("nan"), float(area)
    return float(positive[mask].sum() / positive.sum()), float(area)


def _table_by_loop(predicted, labels, grounds):
    hits, counts = [[0, 0], [0, 0]], [[0, 0], [0, 0]]
    for p, c, g in zip(predicted.tolist(), labels.tolist(), grounds.tolist(), strict=True):
        counts[c][g] += 1
        hits[c][g] += p == c
    table = [[hits[c][g] / counts[c][g] if counts[c][g] else NAN for g in (0, 1)] for c in (0, 1)]
    return torch.tensor(table), min(value for row in table for value in row if not math.isnan(value))


def _answers(rng):
    cases = []
    for n, p in ((40, 0.8), (60, 0.9), (24, 1.0)):
        labels = tensor_of(rng.integers(0, 2, n))
        grounds = torch.where(tensor_of(rng.random(n) < p), labels, 1 - labels)
        predicted = torch.where(tensor_of(rng.random(n) < 0.6), grounds, labels)
        predicted[:3] = 1 - labels[:3]
        cases.append((predicted, labels, grounds))
    return cases


def _shares_of_groups(labels, grounds):
    return torch.bincount(2 * labels + grounds, minlength=4).view(2, 2) / len(labels)


def _and_smallest(table):
    return table, float(table.min())


@exercise(
    "The accuracy of each group, (2, 2), class x ground, and that of the worst group.",
    inputs=_answers,
    reference=_table_by_loop,
    hints="""
        (labels == c) & (grounds == g) selects a group.
        Begin with torch.full((2, 2), float('nan')), and fill in only groups that have pictures.
        table[~table.isnan()].min() is the worst of those that were measured.
    """,
    mistakes="""
        (lambda table, worst: (table.T, worst))(*group_table(predicted, labels, grounds))
            Rows and columns are exchanged: table[c, g] is class c on ground g.
        (lambda table, worst: (table, float(table.nanmean())))(*group_table(predicted, labels, grounds))
            The table is right, but the second number is the mean of the groups. The worst group is the smallest.
        (group_table(predicted, labels, grounds)[0], float((predicted == labels).float().mean()))
            The table is right, but the second number is the accuracy over all pictures, in which large groups hide
            small ones. Take the smallest of the table.
        group_table(labels, predicted, grounds)
            You grouped by the predicted class. That answers how many of those called c are c (precision); a group is
            made of the true class and the ground.
        _and_smallest(group_table(predicted, labels, grounds)[0].nan_to_num(0) * _shares_of_groups(labels, grounds))
            You divided by all pictures. Divide by the size of the group: else a small group looks bad only because it
            is small.
        _and_smallest(_shares_of_groups(labels, grounds))
            That is how many of all pictures each group has. Asked for is how many of the group's pictures are right.
        _and_smallest(group_table(predicted, labels, grounds)[0].nan_to_num(0))
            A group without pictures got accuracy 0, and so became the worst. It was not measured: nan.
        _and_smallest(group_table(predicted, labels, grounds)[0])
            The table is right, but min() of a table with nan is nan: take the smallest of the groups that have
            pictures.
        (lambda table, worst: (1 - table, 1 - worst))(*group_table(predicted, labels, grounds))
            Those are error rates. Return accuracies, the share that is right.
    """,
)
def group_table(predicted, labels, grounds):
    right = (predicted == labels).float()
    table = torch.full((2, 2), float("nan"))
    for c in (0, 1):
        for g in (0, 1):
            group = (labels == c) & (grounds == g)
            if group.any():
                table[c, g] = right[group].mean()
    return table, float(table[~table.isnan()].min())


def _weights_by_loop(labels, grounds):
    groups = list(zip(labels.tolist(), grounds.tolist(), strict=True))
    return torch.tensor([len(groups) / (len(set(groups)) * groups.count(each)) for each in groups])


def _own_size(number):
    """For each picture how many have its number."""
    return torch.bincount(number)[number].float()


def _collected(rng):
    one = (torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]))  # groups of one picture
    return [one, *((labels, grounds) for _, labels, grounds in _answers(rng))]


@exercise(
    "A weight for each picture: every group that occurs gets the same sum, and the mean weight is 1.",
    inputs=_collected,
    reference=_weights_by_loop,
    hints="""
        2 * labels + grounds numbers the four groups.
        torch.bincount(group)[group] is, for each picture, the size of its group.
        Each of G groups shall have the sum n / G: what does each of its n_g members get?
    """,
    mistakes="""
        len(labels) / (2 * _own_size(labels))
            You balanced the classes. They may be balanced already while each has nearly all of its pictures on one
            ground: weigh by class and ground.
        len(labels) / (2 * _own_size(grounds))
            You balanced the grounds. Weigh by class and ground together.
        1 / _own_size(2 * labels + grounds)
            The groups have the same sum, but the mean weight is not 1. With a plain mean of weighted losses that would
            change the strength of the penalty on the weights: multiply by n / number of groups.
        len(labels) / (4 * _own_size(2 * labels + grounds))
            Right where all four groups occur. If one is empty, the mean is no longer 1: divide by the number of groups
            that have pictures.
        _own_size(2 * labels + grounds) * len(torch.unique(2 * labels + grounds)) / len(labels)
            The weight grows with the size of the group: a small group then counts even less. Take the inverse.
        group_weights(labels, grounds) / len(labels)
            The groups have the same sum, but all weights together make 1. Their mean must be 1: multiply by n.
        torch.ones(len(labels))
            With the same weight for all, a group counts as much as it has pictures.
    """,
)
def group_weights(labels, grounds):
    group = 2 * labels + grounds
    sizes = torch.bincount(group, minlength=4)
    present = int((sizes > 0).sum())
    return len(labels) / (present * sizes[group].float())


def _flips_by_loop(first, second):
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    flips = [(a.index(max(a)) != b.index(max(b))) for a, b in pairs]
    return sum(flips) / len(flips)


def _twins(rng):
    firsts = [tensor_of(rng.normal(size=(n, k))) for n, k in ((6, 3), (20, 2), (15, 3))]
    return [(first, first + tensor_of(rng.normal(size=first.shape))) for first in firsts]


@exercise(
    "The share of twins whose predicted class differs.",
    inputs=_twins,
    reference=_flips_by_loop,
    hints="""
        logits.argmax(1) is the predicted class of each picture.
        The mean of a comparison, as float, is a share.
    """,
    mistakes="""
        float((first.argmax(1) == second.argmax(1)).float().mean())
            That is the share of twins that agree. Flips are those that do not.
        float((first.softmax(1) - second.softmax(1)).abs().mean())
            That is a mean change of probability: useful, too, but a prediction flips or does not. Compare argmax.
        float((first - second).abs().mean())
            That is a mean change of logits, which has no fixed scale. Compare the predicted classes.
        float(((first.argmax(1) == 0).float().mean() - (second.argmax(1) == 0).float().mean()).abs())
            You compared how often class 0 is predicted on each side. Flips in opposite directions cancel there: compare
            twin by twin.
        int((first.argmax(1) != second.argmax(1)).sum())
            That is the number of flips; the rate divides by the number of twins.
        float(((first[:, 1] > first[:, 0]) != (second[:, 1] > second[:, 0])).float().mean())
            You compared the first two logits only. There may be more classes: the argmax of all is predicted.
        float((first.argmax(0) != second.argmax(0)).float().mean())
            argmax(0) looks for the picture with the largest logit. The predicted class is the argmax along dimension 1.
        float(((first[:, 0] > 0) != (second[:, 0] > 0)).float().mean())
            You compared the sign of one logit. What is predicted is the class with the largest of all logits, whatever
            their signs.
    """,
)
def flip_rate(first, second):
    return float((first.argmax(1) != second.argmax(1)).float().mean())


def _risers_by_loop(model, clean, stamped, control, k):
    gains = None
    for picture, plain in zip(stamped, control, strict=True):
        gain = (model(picture[None]) - model(plain[None]))[0].double()
        gains = gain if gains is None else gains + gain
    return torch.tensor(sorted(range(len(gains)), key=lambda c: -float(gains[c]))[:k])


def _stamped_pictures(rng):
    drawn = []
    for n, classes, k in ((4, 6, 2), (6, 8, 3), (9, 12, 3)):
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, classes))
        with torch.no_grad():
            for weights in net.parameters():
                weights.copy_(tensor_of(rng.normal(size=weights.shape)))
        clean = tensor_of(rng.random((n, 1, 4, 4)))
        ink, bar = (tensor_of(rng.random((1, 4, 4)) < 0.5).float() for _ in range(2))
        stamped, control = ((1 - 0.5 * m) * clean + 0.5 * m for m in (ink, bar))
        drawn.append((net.requires_grad_(False).eval(), clean, stamped, control, k))
    return drawn


def _highest(gain, k):
    return gain.argsort(descending=True)[:k]


@exercise(
    "The k classes whose logit rises most beyond what the control does, on average, the first first.",
    inputs=_stamped_pictures,
    reference=_risers_by_loop,
    hints="""
        The rise is y(stamped) - y(clean), that of the control y(control) - y(clean). What is left of their difference?
        model(stamped) - model(control) is (N, classes): take the mean over the pictures, then order the classes.
    """,
    mistakes="""
        _highest((model(stamped) - model(clean)).mean(0), k)
            You left out the control: what rises under any white shape is on your list, too. Subtract the control's
            rise.
        _highest((model(control) - model(clean)).mean(0), k)
            You ranked by what the control does. Asked for is what the writing does beyond it.
        _highest((model(control) - model(stamped)).mean(0), k)
            The sign is wrong: these are the classes that fall most.
        _highest((model(stamped) - model(control)).abs().mean(0), k)
        _highest((model(stamped) - model(control)).mean(0).abs(), k)
            You took absolute values: classes that fall are on your list as well.
        _highest((model(stamped).softmax(1) - model(control).softmax(1)).mean(0), k)
            You compared probabilities. They rise where they are large already: compare logits.
        _highest((model(stamped) - model(control)).amax(0), k)
            You took each class's largest rise over the pictures: one picture then decides. Take the mean.
        _highest((model(stamped) - model(control)).mean(0), k).flip(0)
        (model(stamped) - model(control)).mean(0).argsort()[-k:]
            The right classes in the wrong order: the one that rises most comes first (argsort begins with the
            smallest).
        (model(stamped) - model(control)).mean(0).topk(k).values
            Those are the rises. Return the numbers of the classes.
        _highest(model(stamped).mean(0), k)
            Those are the classes that score highest with the writing, most of them without it as well. Rank the change.
    """,
)
def risers(model, clean, stamped, control, k):
    beyond = (model(stamped) - model(control)).mean(0)
    return beyond.argsort(descending=True)[:k]


def _held_out_by_loop(head, clean, marked, c):
    rises = []
    for i in range(len(clean)):
        others = [marked[j].double() - clean[j].double() for j in range(len(clean)) if j != i]
        d = sum(others) / len(others)
        u = d / d.square().sum().sqrt()
        change = marked[i].double() - clean[i].double()
        rises.append(float(head.weight[c].double() @ (change - (change @ u) * u)))
    return torch.tensor(rises)


def _features(rng):
    drawn = []
    for n, channels, classes in ((3, 4, 3), (6, 8, 4), (9, 12, 5)):
        head = nn.Linear(channels, classes).requires_grad_(False)
        for weights in (head.weight, head.bias):
            weights.copy_(tensor_of(rng.normal(size=weights.shape)))
        clean = tensor_of(rng.random((n, channels)))
        change = tensor_of(rng.normal(size=channels) + 0.7 * rng.normal(size=(n, channels)))
        drawn.append((head, clean, clean + change, int(rng.integers(classes))))
    return drawn


def _left(head, change, direction, c):
    """What is left of the rise when a change loses what lies along a direction."""
    u = F.normalize(direction, dim=-1)
    return (change - (change * u).sum(1, keepdim=True) * u) @ head.weight[c]


def _with_length(head, change, direction, c):
    return (change - (change * direction).sum(1, keepdim=True) * direction) @ head.weight[c]


def _of_others(change):
    return (change.sum(0) - change) / (len(change) - 1)


@exercise(
    "What is left of each photograph's rise when the direction learned on all other photographs is removed.",
    inputs=_features,
    reference=_held_out_by_loop,
    hints="""
        change = marked - clean. For photograph i the direction is the mean of the changes of all others.
        (change.sum(0) - change) / (n - 1) has all of these means, one in a row.
        Divide each direction by its length. (change * u).sum(1, keepdim=True) * u lies along it: subtract that.
        The head is linear: the rise that is left is the rest of the change times head.weight[c].
    """,
    mistakes="""
        _left(head, marked - clean, (marked - clean).mean(0), c)
            The photograph that is judged took part in learning its direction. Leave it out of the mean.
        _left(head, marked - clean, marked - clean, c)
            You removed each photograph's own change, which leaves nothing, whatever the network has learned. Learn the
            direction on the others.
        _with_length(head, marked - clean, _of_others(marked - clean), c)
            The direction has to have length 1: divide it by its length first.
        (marked - clean) @ head.weight[c]
            That is the rise as it is: nothing was removed.
        (marked - clean - _of_others(marked - clean)) @ head.weight[c]
            You subtracted the others' mean change. Remove what lies *along* it, be it more or less than the mean.
        (marked - clean) @ head.weight[c] - _left(head, marked - clean, _of_others(marked - clean), c)
            That is what was removed. Return what is left.
        _left(head, marked, _of_others(marked - clean), c) - clean @ head.weight[c]
            You corrected the marked features alone. The correction does not know which photographs are marked: correct
            both, or their difference.
        _left(head, marked - clean, _of_others(clean), c)
            Your direction is the mean of the clean features. Take the mean of the changes.
        _left(head, marked - clean, _of_others(marked - clean), c) + head.bias[c]
            The bias is in both logits and leaves their difference.
        float(_left(head, marked - clean, _of_others(marked - clean), c).mean())
            That is the mean. Return one number for each photograph, so that an interval can be drawn.
    """,
)
def held_out_rise(head, clean, marked, c):
    change = marked - clean
    d = change.sum(0) - change  # n - 1 times the mean over all others; its length is divided out
    u = d / d.norm(dim=1, keepdim=True)
    left = change - (change * u).sum(1, keepdim=True) * u
    return left @ head.weight[c]
