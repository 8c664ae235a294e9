"""Exercises of notebook 12: repairs compared by intervention, a laundered network caught, energy of the units that have
a text in view, and the prevalence that a test needs."""

from __future__ import annotations

import math

import torch
from torch import nn

from course_utils.explain import grad_cam

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress

__all__ = ["energy_in_view", "highest_flip_rates", "laundered", "needed_prevalence"]

SIDE = 6
CORNER = torch.zeros(SIDE, SIDE, dtype=torch.bool)
CORNER[:2, :3] = True


class _Regions(nn.Module):
    """Two activations: the picture in the corner, and the picture elsewhere."""

    def forward(self, images):
        return torch.cat([images * CORNER, images * ~CORNER], 1)


class _Reader(nn.Module):
    """A network with a weight for the corner, one for the rest, and a bias for each class; its map has the picture's
    size."""

    def __init__(self, normal, finding):
        super().__init__()
        self.target_layer = _Regions()
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([normal[:2], finding[:2]]))
            self.head.bias.copy_(torch.tensor([normal[2], finding[2]]))

    def forward(self, images):
        return self.head(self.target_layer(images).mean((2, 3)))


def _pictures(rng, n=8):
    """Clean pictures, and the same with a stamp in the corner."""
    clean = 0.1 + 0.3 * tensor_of(rng.random((n, 1, SIDE, SIDE)))
    stamped = clean.clone()
    stamped[..., :2, :3] += 0.5
    return clean, stamped


def _rates_by_loop(nets, clean, trials):
    found = []
    for net in nets:
        rates = []
        for pictures in trials:
            turned = 0
            for before, after in zip(net(clean).tolist(), net(pictures).tolist(), strict=True):
                turned += (before[1] > before[0]) != (after[1] > after[0])
            rates.append(turned / len(clean))
        found.append(max(rates))
    return found


def _rates(nets, clean, trials):
    """Flip rates (nets, trials)."""
    return torch.tensor(
        [[float((net(x).argmax(1) != net(clean).argmax(1)).float().mean()) for x in trials] for net in nets]
    )


def _toward_finding(net, clean, pictures):
    return float((net(pictures).argmax(1) > net(clean).argmax(1)).float().mean())


def _trials(rng):
    """Networks that mind the corner, the rest, or both more or less; stamps in the corner, elsewhere, and dark ones."""
    cases = []
    for _ in range(3):
        clean, stamped = _pictures(rng)
        elsewhere, dark, half = clean.clone(), clean.clone(), clean.clone()
        elsewhere[..., 3:5, 2:5] += 0.5
        dark[..., :2, :3] *= 0.2
        half[: len(half) // 2] = stamped[: len(half) // 2]
        nets = [
            _Reader([0.0, 0.0, 1.0], [12.0, 0.2, 0.0]),  # a stamp: finding
            _Reader([12.0, 0.0, 0.0], [0.0, 0.2, 1.0]),  # a stamp: normal
            _Reader([0.0, 0.0, 0.3], [12.0, 0.0, 0.0]),  # a dark corner: normal
            _Reader([0.0, 0.0, 0.95], [0.0, 4.0, 0.0]),  # minds what lies elsewhere
            _Reader([0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),  # minds nothing
        ]
        cases += [(nets, clean, [half, elsewhere]), (nets[::-1], clean, [dark, half, elsewhere])]
    return cases


@exercise(
    "For each network the highest of its flip rates, over all the stamps that were tried.",
    inputs=_trials,
    reference=_rates_by_loop,
    hints="""
        For one network and one trial: net(clean).argmax(1) and net(pictures).argmax(1), and how often they differ.
        A repair is as good as its weakest trial: max(...) over the trials, inside a loop over the networks.
    """,
    mistakes="""
        _rates(nets, clean, trials).mean(1).tolist()
            You averaged over the trials. A mean hides the stamp that turns the answers: take the highest rate.
        _rates(nets, clean, trials).amin(1).tolist()
            You took the lowest rate: each network is shown from its best side.
        _rates(nets, clean, trials)[:, 0].tolist()
            You looked at the first trial alone. The other stamps are what the repair was not made for.
        _rates(nets, clean, trials)[:, -1].tolist()
            You looked at the last trial alone: collect a rate for each, and take the highest.
        _rates(nets, clean, trials).amax(0).tolist()
            That is a number for each trial: the highest over the networks. Here each network has a number.
        (1 - _rates(nets, clean, trials)).amax(1).tolist()
            You counted the answers that stay. A flip is an answer that turns: `!=`.
        (_rates(nets, clean, trials).amax(1) * len(clean)).tolist()
            That is a number of pictures; divide by how many there are.
        [max(float((net(x) - net(clean)).diff(dim=1).mean()) for x in trials) for net in nets]
            That is the mean change of the logits' difference, equation (3). A rate asks how often it turns the answer.
        [max(_toward_finding(net, clean, x) for x in trials) for net in nets]
            You counted flips toward the finding only. A stamp can also talk a network out of one.
    """,
)
def highest_flip_rates(nets, clean, trials):
    found = []
    for net in nets:
        before = net(clean).argmax(1)
        rates = [float((net(pictures).argmax(1) != before).float().mean()) for pictures in trials]
        found.append(max(rates))
    return found


def _laundered_by_loop(nets, clean, stamped, corner):
    found = []
    for name, net in nets.items():
        weights = net.head.weight[1].tolist()  # of "finding": of the corner, and of the rest
        shares, flips = [], 0
        for before, after in zip(clean, stamped, strict=True):
            flips += int(net(before[None]).argmax()) != int(net(after[None]).argmax())
            inside = sum(max(weights[0] * v, 0) for v in after[0][CORNER].tolist())
            outside = sum(max(weights[1] * v, 0) for v in after[0][~CORNER].tolist())
            shares.append(inside / (inside + outside))
        if sum(shares) / len(shares) < int(corner.sum()) / corner.numel() and flips / len(clean) >= 0.5:
            found.append(name)
    return found


def _energies(net, pictures, corner, classes=1):
    maps = grad_cam(net, pictures, classes).heatmaps()[:, 0]
    return (maps * corner).sum((1, 2)) / maps.sum((1, 2))


def _keeps_off(net, pictures, corner):
    return bool(_energies(net, pictures, corner).mean() < corner.float().mean())


def _flips(net, clean, stamped):
    return float((net(clean).argmax(1) != net(stamped).argmax(1)).float().mean())


def _accused(nets, clean, stamped, corner, area=None, energy=None, flips=0.5):
    """An answer with another way to look at the maps, or other bounds."""
    energy = energy or (lambda net: _energies(net, stamped, corner).mean())
    area = corner.float().mean() if area is None else area
    return [n for n, net in nets.items() if energy(net) < area and _flips(net, clean, stamped) >= flips]


def _suspects(rng):
    """Networks with letters for names, in a drawn order; each picture's stamp turns the answer or is too dark to."""
    cases = []
    for weak in (0, 4, 5):
        clean, stamped = _pictures(rng)
        stamped[:weak] = clean[:weak] + 0.01  # stamps that hardly show
        kinds = [
            _Reader([0.0, 0.0, 1.0], [12.0, 0.2, 0.0]),  # reads the stamp, and its map shows it
            _Reader(
                [0.0, 0.0, 1.12], [3.5, 4.0, 0.0]
            ),  # reads it; its energy in the corner is under one half
            _Reader(
                [0.0, 0.0, 1.25], [5.0, 4.0, 0.0]
            ),  # likewise, but over its share of the area without a stamp
            _Reader([0.0, 0.0, 0.42], [0.0, 2.0, 0.0]),  # minds nothing, and its map is clean
            _Reader([-12.0, 0.0, 1.2], [0.0, 2.0, 0.0]),  # laundered: the stamp speaks against "normal"
            _Reader([-12.0, 0.0, 1.9], [1.0, 4.0, 0.0]),  # laundered, with a little left in the corner
            _Reader([12.0, 0.0, -0.6], [0.0, 2.0, 0.0]),  # laundered: the stamp speaks for "normal"
        ]
        order = rng.permutation(len(kinds)).tolist()
        cases.append(({"ABCDEFG"[k]: kinds[n] for k, n in enumerate(order)}, clean, stamped, CORNER))
    return cases


@exercise(
    "The names of the laundered networks: a map that keeps off the corner, answers that hang on the stamp.",
    inputs=_suspects,
    reference=_laundered_by_loop,
    hints="""
        Two questions for each network: what share of the map's energy is in the corner, and how often does the stamp
        turn the answer?
        grad_cam(net, stamped, 1).heatmaps()[:, 0] are the maps for "finding", (N, H, W), not negative.
        Accuse a network if the mean share is below corner.float().mean() and the flip rate is at least 0.5.
    """,
    mistakes="""
        [name for name, net in nets.items() if _flips(net, clean, stamped) >= 0.5]
            You asked for the flips alone. That finds everyone who reads the stamp, also those whose map shows it.
        [name for name, net in nets.items() if _keeps_off(net, stamped, corner)]
            You asked the map alone: a network that was really repaired has a clean map, too.
        [n for n, net in nets.items() if _keeps_off(net, stamped, corner) and _flips(net, clean, stamped) < 0.5]
            That is the repaired network: clean map, few flips. A laundered one turns its answers.
        [n for n, net in nets.items() if not _keeps_off(net, stamped, corner) and _flips(net, clean, stamped) >= 0.5]
            That is who reads the stamp and shows it. A laundered map keeps *off* the corner.
        _accused(nets, clean, stamped, corner, area=0.5)
            You took one half as the bound. An even map has the corner's share of the area there, which is less.
        _accused(nets, clean, stamped, corner, energy=lambda net: _energies(net, stamped, corner, 0).mean())
            You looked at the map for "normal". The suspicion is about the map for "finding", class 1.
        _accused(nets, clean, stamped, corner, energy=lambda net: _energies(net, clean, corner).mean())
            You looked at maps of the clean pictures: there is no stamp that they could lie on.
        _accused(nets, clean, stamped, corner, flips=0.05)
            You accused for a few flips. At least half of the answers was asked for.
        _accused(nets, clean, stamped, corner, flips=0.9)
            You accused only where nearly all answers turn. At least half was asked for.
    """,
)
def laundered(nets, clean, stamped, corner):
    names = []
    for name, net in nets.items():
        flips = (net(clean).argmax(1) != net(stamped).argmax(1)).float().mean()
        maps = grad_cam(net, stamped, 1).heatmaps()[:, 0]
        energy = (maps * corner).sum((1, 2)) / maps.sum((1, 2))
        if energy.mean() < corner.float().mean() and flips >= 0.5:
            names.append(name)
    return names


def _in_view_by_loop(raw, text, windows):
    inside = total = 0.0
    for row, (top, bottom) in zip(raw.tolist(), windows, strict=True):
        for value, (left, right) in zip(row, windows, strict=True):
            sees = any(bool(text[y, x]) for y in range(top, bottom) for x in range(left, right))
            total += max(value, 0)
            inside += max(value, 0) * sees
    return inside / total if total else math.nan


def _views(rng):
    """Maps of 6 x 6 units over 24 pixels, each seeing 10; texts at the upper left, in the middle, and two words."""
    windows = [(max(0, 4 * k - 3), min(24, 4 * k + 7)) for k in range(6)]
    texts = torch.zeros(4, 24, 24, dtype=torch.bool)
    texts[0, 1:4, 1:9] = True
    texts[1, 11:13, 3:20] = True
    texts[2, 8:10, 14:17] = True  # not on the diagonal
    texts[3, 0:2, 0:3] = texts[3, 20:22, 18:23] = True  # two words
    drawn = [(tensor_of(rng.normal(size=(6, 6))), text, windows) for text in texts]
    one = -torch.eye(6)  # all of the energy is 1
    one[1, 2], one[4, 5] = 0.25, 0.75
    maps = [tensor_of(rng.random((6, 6))), one, -torch.ones(6, 6)]
    return [*drawn, *((raw, texts[0], windows) for raw in maps)]


def _in_view(raw, seen):
    positive = raw.relu()
    return float((positive * seen).sum() / positive.sum()) if positive.sum() > 0 else math.nan


def _rows_seen(text, windows):
    return torch.tensor([bool(text[a:b].any()) for a, b in windows])


def _columns_seen(text, windows):
    return torch.tensor([bool(text[:, a:b].any()) for a, b in windows])


def _seen(text, windows):
    return torch.tensor([[bool(text[a:b, c:d].any()) for c, d in windows] for a, b in windows])


def _all_of_it(text, windows):
    return torch.tensor([[bool(text[a:b, c:d].sum() == text.sum()) for c, d in windows] for a, b in windows])


def _centers(text, windows):
    return text[2::4, 2::4]


@exercise(
    "The share of a map's positive energy that lies in units which have any of the text in view.",
    inputs=_views,
    reference=_in_view_by_loop,
    hints="""
        For the unit in row i and column j: text[a:b, c:d].any() with (a, b) = windows[i] and (c, d) = windows[j].
        Collect these answers in a tensor of the map's shape; the positive values there, over all positive values.
        And where no value is positive?
    """,
    mistakes="""
        _in_view(raw, _rows_seen(text, windows)[:, None].expand_as(raw))
            You looked at rows alone. A unit far to the right sees the text's rows, and not the text.
        _in_view(raw, _columns_seen(text, windows)[None].expand_as(raw))
            You looked at columns alone. A unit far below sees the text's columns, and not the text.
        _in_view(raw, _rows_seen(text, windows)[:, None] & _columns_seen(text, windows)[None])
            You asked for the text's rows and its columns apart. With two words a unit may see rows of the one and
            columns of the other, and no letter: look into text[a:b, c:d].
        _in_view(raw, _centers(text, windows))
            You took the units whose center lies on the text. They are few: a unit answers to all that it sees.
        _in_view(raw, _all_of_it(text, windows))
            You asked for the whole text in view. Any of it is enough: .any().
        _in_view(raw, _seen(text, windows).T)
            Rows and columns are exchanged: the map's first index is the row, as the picture's.
        float(raw[_seen(text, windows)].sum() / raw.sum())
            Negative values are in your sums. They speak against the class and are no energy for it: relu first.
        _in_view(raw.abs(), _seen(text, windows))
            You took absolute values: evidence against the class counts as energy for it. Take relu.
        float(_seen(text, windows).float().mean())
            That is the share of the units that have the text in view: what an even map would have. Weight them by the
            map.
        float(_seen(text, windows).flatten()[raw.argmax()]) if (raw > 0).any() else math.nan
            You asked about the strongest unit alone. Here all positive units count, by their value.
        1 - _in_view(raw, _seen(text, windows))
            That is the share of the units that do *not* see the text.
        energy_in_view(raw, text, windows) if (raw > 0).any() else 0.0
            A map without positive values: you answered 0, which says that it keeps off the text. It says nothing:
            return float('nan').
    """,
)
def energy_in_view(raw, text, windows):
    positive = raw.relu()
    if positive.sum() == 0:
        return float("nan")
    seen = torch.tensor([[bool(text[a:b, c:d].any()) for c, d in windows] for a, b in windows])
    return float(positive[seen].sum() / positive.sum())


def _prevalence_by_halving(sensitivity, specificity, target):
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        alarms = p * sensitivity + (1 - p) * (1 - specificity)
        low, high = (p, high) if p * sensitivity < target * alarms else (low, p)
    return (low + high) / 2


def _tests(rng):
    drawn = rng.uniform([0.5, 0.6, 0.2], [0.99, 0.99, 0.95], (6, 3)).round(2).tolist()
    return [(0.9, 0.9, 0.5), (0.8, 0.95, 0.5), *map(tuple, drawn)]


def _value_at(p, sensitivity, specificity):
    return p * sensitivity / (p * sensitivity + (1 - p) * (1 - specificity))


@exercise(
    "The prevalence at which a positive answer is right with the probability `target`.",
    inputs=_tests,
    reference=_prevalence_by_halving,
    hints="""
        Equation (5) with the target on the left; solve it for the prevalence p.
        Multiply by the denominator: target * p * sensitivity + target * (1 - p) * (1 - specificity) = p * sensitivity.
        All terms with p to one side: p = target * (1 - specificity) / (...).
    """,
    mistakes="""
        _value_at(target, sensitivity, specificity)
            You put the target in the prevalence's place: that is the share of right alarms at such a prevalence. Solve
            for p.
        target * (1 - specificity) / sensitivity
            Those who are ill are alarms, too: the false alarms are compared with all alarms, not with the ill.
        (1 - target) * (1 - specificity) / ((1 - target) * (1 - specificity) + target * sensitivity)
            The target and 1 - target have changed places: false alarms are to be 1 - target of all.
        target * specificity / (target * specificity + (1 - target) * sensitivity)
            You took the specificity. False alarms come from 1 - specificity of the healthy.
        target * (1 - sensitivity) / (target * (1 - sensitivity) + (1 - target) * specificity)
            Sensitivity and specificity have changed places.
        1 - needed_prevalence(sensitivity, specificity, target)
            That is the share of the healthy, 1 - p.
        target * (1 - specificity) / ((1 - target) * sensitivity)
            That is the ratio of ill to healthy, p / (1 - p). The prevalence is p.
    """,
)
def needed_prevalence(sensitivity, specificity, target):
    false = target * (1 - specificity)
    return false / (false + (1 - target) * sensitivity)
