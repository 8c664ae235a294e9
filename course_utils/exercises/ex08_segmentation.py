"""Exercises of notebook 08: IoU, seeds, the seeding loss, rank pooling; a network told the label; blind seeds."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .compare import same
from .engine import NotAsAsked, exercise
from .inputs import tensor_of
from .progress import progress as progress


def _iou_by_sets(found, truth):
    a, b = ({tuple(place) for place in mask.nonzero().tolist()} for mask in (found, truth))
    return len(a & b) / len(a | b) if a | b else float("nan")


def _masks(rng):
    def draw(share):
        return tensor_of(rng.random((5, 6)) < share)

    empty = torch.zeros(5, 6, dtype=torch.bool)
    one, two = torch.tensor([[True, False]]), torch.tensor([[True, True]])
    drawn = [
        (draw(0.4), draw(0.6)),
        (draw(0.1), draw(0.3)),
        (empty, draw(0.2)),
        (draw(0.2), empty),
        (empty, empty.clone()),
    ]
    return [(one, two), (one, one.clone()), (one, ~two), *drawn]


def _unless_empty(union, share):
    """The right answer for two empty masks, so that only the one mistake shows."""
    return float(share) if union.any() else float("nan")


@exercise(
    "Intersection over union of two masks; NaN where both are empty.",
    inputs=_masks,
    reference=_iou_by_sets,
    hints="""
        & and | of two bool tensors are their intersection and union; .sum() counts.
        What is 0 / 0? Look at the union before you divide.
    """,
    mistakes="""
        float((found == truth).float().mean())
            That is pixel accuracy: background that both leave out counts as agreement, so that a small object can be
            missed altogether and the score stays near 1. Divide by the union of the two masks.
        _unless_empty(found | truth, 2 * (found & truth).sum() / (found.sum() + truth.sum()))
            That is the Dice coefficient, 2 |A and B| / (|A| + |B|). It orders pairs of masks as IoU does, but is never
            smaller: 0.5 of IoU is 0.67 of Dice.
        _unless_empty(found | truth, (found & truth).sum() / truth.sum())
            You divided by the true mask alone: that is recall, and a mask of the whole image would get 1.
        _unless_empty(found | truth, (found & truth).sum() / found.sum())
            You divided by the found mask alone: that is precision; a mask of one right pixel would get 1.
        float((found & truth).sum() / (found | truth).sum().clamp(min=1))
            Two empty masks: you answered 0, which says that the masks disagree. Nothing was to be found and nothing
            was: that is no measurement. Return float('nan').
        float((found & truth).sum() / (found | truth).sum()) if (found | truth).any() else 1.0
            Two empty masks: you answered 1. A mean over images would then rise with every image that lacks the class.
            Return float('nan'), and count these cases.
        _unless_empty(found | truth, (found & truth).sum() / (found.sum() + truth.sum()))
            You added the two areas. Pixels that are in both are then counted twice below: |A or B| = |A| + |B| - |A and
            B|.
    """,
)
def iou(found, truth):
    union = (found | truth).sum()
    if union == 0:
        return float("nan")
    return float((found & truth).sum() / union)


def _seeds_by_loop(heat, c, foreground, background):
    values = heat.tolist()
    peak = max(max(row) for row in values)

    def label(value):
        if peak == 0:
            return -1
        return 1 + c if value >= foreground * peak else 0 if value < background * peak else -1

    return torch.tensor([[label(value) for value in row] for row in values])


def _try_seeds(answer, heat, c, foreground, background):
    """The labels, if they are whole numbers; not so it is said once their values are right."""
    found = answer(heat, c, foreground, background)
    kind = found.dtype if isinstance(found, torch.Tensor) else np.asarray(found).dtype
    whole = kind == torch.int64 if isinstance(found, torch.Tensor) else kind.kind in "iu"
    if not whole and same(found, _seeds_by_loop(heat, c, foreground, background), 1e-4):
        raise NotAsAsked(
            f"the values are right, but their type is {kind}. Labels are whole numbers, torch.int64."
        )
    return found


def _labels(heat, label, upper, lower):
    return torch.where(heat >= upper, label, torch.where(heat < lower, 0, -1))


@exercise(
    "Seeds from one heat-map: 1 + c at the top, 0 at the bottom, -1 in between.",
    inputs=lambda rng: [
        *(
            (tensor_of(rng.random((4, 5))) * scale, c, fg, bg)
            for scale, c, fg, bg in [
                (1.0, 0, 0.5, 0.1),
                (3.0, 4, 0.7, 0.3),
                (0.2, 9, 0.4, 0.2),
                (0.0, 2, 0.5, 0.1),
            ]
        ),
        (torch.tensor([[1.0, 0.5], [0.25, 0.0]]), 3, 0.5, 0.125),  # 0.5 lies on the threshold
        (torch.tensor([[4.0, 3.0], [1.0, 0.5]]), 1, 0.5, 0.25),  # 1 lies on the lower one
    ],
    run=_try_seeds,
    reference=_seeds_by_loop,
    called="seeds_of",
    hints="""
        Begin with torch.full(heat.shape, -1): nothing is known.
        Both thresholds are shares of heat.max(); a maximum of 0 means that there are no seeds.
        seeds[heat >= ...] = 1 + c assigns to the pixels where the condition holds.
    """,
    mistakes="""
        seeds(heat, c, foreground, foreground)
            Everything that is not foreground became background (or did you swap the two thresholds?). Between them the
            map is not sure: leave these pixels unlabeled (-1), or the network learns that a good part of the object is
            background.
        _labels(heat, 1 + c, foreground, background)
            You compared with the thresholds themselves. They are shares of the map's maximum, which is not always 1.
        torch.where(seeds(heat, c, foreground, background) == 1 + c, c, seeds(heat, c, foreground, background))
            Class c became c. Number 0 is the background's, so class c is 1 + c: else class 0 *is* background.
        _labels(heat, 1 + c, foreground * heat.max(), background * heat.max())
            An empty map: each of its pixels reaches 50% of a maximum of 0, so you labeled the whole image as the
            object. A map without evidence gives no seeds: -1 everywhere.
        seeds(heat, c, foreground, background) if heat.max() > 0 else torch.zeros_like(heat).long()
            An empty map: it became background everywhere, as it does, too, if its maximum is clamped to a small number.
            The image shows the class, the map only fails to say where: -1 everywhere.
        seeds(heat - heat.min(), c, foreground, background)
            You moved the minimum to 0 first. The thresholds are shares of the maximum; zero means no evidence, and
            stays where it is.
        seeds(heat, c, background, foreground)
            The two thresholds are swapped: `foreground`, the higher one, is where the object begins.
        torch.where(heat >= foreground * heat.max(), 1 + c, 0)
            Two things. What is not foreground became background: between the thresholds the map is not sure, and the
            label is -1. And each pixel of an empty map reaches 50% of a maximum of 0: treat it by itself.
        _labels(heat, c, foreground * heat.max(), background * heat.max())
            Two things. Class c became c, but number 0 is the background's: class c is 1 + c. And each pixel of an empty
            map reaches 50% of a maximum of 0: it needs a case of its own.
        _labels(heat, 1 + c, foreground, background) if heat.max() > 0 else torch.full(heat.shape, -1)
            The empty map is right. For the others, you compared with the thresholds themselves: they are shares of the
            map's maximum, which is not always 1.
        torch.where(heat == foreground * heat.max(), -1, seeds(heat, c, foreground, background))
            A pixel exactly on the upper threshold belongs to the object: equation (2) has >= there, not >.
        torch.where((heat == background * heat.max()) & (heat > 0), 0, seeds(heat, c, foreground, background))
            A pixel exactly on the lower threshold stays unlabeled: equation (2) has < there, not <=.
    """,
)
def seeds(heat, c, foreground, background):
    peak = heat.max()
    seeds = torch.full(heat.shape, -1)
    if peak > 0:
        seeds[heat < background * peak] = 0
        seeds[heat >= foreground * peak] = 1 + c
    return seeds


def _seeding_by_loop(log_f, seeds):
    values = [
        float(log_f[label, i, j])
        for i, row in enumerate(seeds.tolist())
        for j, label in enumerate(row)
        if label != -1
    ]
    return torch.tensor(-sum(values) / max(1, len(values)), dtype=log_f.dtype)


def _seeding_inputs(rng):
    shapes = [(3, 2, 3), (3, 4, 5), (5, 4, 5), (3, 4, 5)]
    log_f = [tensor_of(tensor_of(rng.normal(size=shape)).log_softmax(0).numpy()) for shape in shapes]
    sown = [tensor_of(rng.integers(-1, shape[0], size=shape[1:])) for shape in shapes[:3]]
    return list(zip(log_f, [*sown, torch.full((4, 5), -1)], strict=True))


def _picked(log_f, seeds):
    return log_f.gather(0, seeds.clamp(min=0)[None])[0]


def _class_by_class(log_f, seeds):
    losses = [-log_f[c][seeds == c].mean() for c in range(len(log_f)) if (seeds == c).any()]
    return torch.stack(losses).mean() if losses else log_f.sum() * 0


@exercise(
    "Equation (3): the mean of -log f over the pixels that have a seed, and only those.",
    inputs=_seeding_inputs,
    reference=_seeding_by_loop,
    hints="""
        labeled = seeds != -1 says which pixels count.
        log_f.gather(0, index[None])[0] picks one class for each pixel; the index must not be negative.
        The mean over no pixels at all is NaN: return 0 for an image without seeds.
    """,
    mistakes="""
        -_picked(log_f, seeds).mean()
            Unlabeled pixels were counted as background (-1 was clamped to 0). The loss must not know what the network
            says there: leave them out before you take the mean.
        -torch.where(seeds != -1, _picked(log_f, seeds), 0).mean()
            The sum is right, but you divided by the number of all pixels. Divide by the number of labeled ones, or an
            image with few seeds hardly counts.
        -torch.where(seeds != -1, _picked(log_f, seeds), 0).sum()
            That is the sum. Equation (3) divides by |S|, the number of pixels with a seed.
        -log_f.gather(0, (seeds % len(log_f))[None])[0].mean()
            log_f[-1] is the last class in Python: you trained unlabeled pixels on it. Leave them out.
        _picked(log_f, seeds)[seeds != -1].sum() / (seeds != -1).sum().clamp(min=1)
            The sign: log f is negative, and a loss falls when the network gets better. Put a minus before it.
        _picked(log_f, seeds)[seeds != -1].mean()
            Two things. The sign: log f is negative, and the loss has a minus before it. And the mean over no pixels is
            NaN: return 0 for an image without seeds.
        -_picked(log_f, seeds)[seeds > 0].mean()
            Two things. The background's seeds count, too: only -1 is unlabeled. And the mean over no pixels is NaN:
            return 0 for an image without seeds.
        _class_by_class(log_f, seeds)
            You took the mean for each class, then the mean of these. In equation (3) every labeled pixel counts the
            same, whatever its class.
        -(_picked(log_f, seeds) * (seeds > 0)).sum() / (seeds > 0).sum().clamp(min=1)
            You left out the background's seeds, too. Only -1 is unlabeled; 0 is a class like the others.
        -_picked(log_f, seeds)[seeds != -1].mean()
            An image without any seed: the mean over no pixels is NaN, and one such image would ruin the training.
            Return 0 for it.
    """,
)
def seeding(log_f, seeds):
    labeled = seeds != -1
    if not labeled.any():
        return log_f.sum() * 0
    chosen = log_f.gather(0, seeds.clamp(min=0)[None])[0]  # log f_(u, S_u), where u has a seed
    return -chosen[labeled].mean()


def _rank_pooling_by_loop(f, d):
    total = norm = 0.0
    weight = 1.0
    for value in sorted(f.flatten().tolist(), reverse=True):
        total, norm = total + weight * value, norm + weight
        weight *= d
    return torch.tensor(total / norm, dtype=f.dtype)


def _ranked(f):
    return f.flatten().sort(descending=True).values


def _powers(f, d):
    return d ** torch.arange(f.numel(), dtype=f.dtype)


def _mean(values, weights):
    return (weights * values).sum() / weights.sum()


@exercise(
    "Equation (4): global weighted rank pooling of one map; 0^0 counts as 1.",
    inputs=lambda rng: [
        (tensor_of(rng.normal(-0.3, 0.5, size)), d)
        for size, d in [((2, 3), 0.5), ((4, 4), 0.9), ((3, 5), 0.0), ((3, 3), 1.0)]
    ],
    reference=_rank_pooling_by_loop,
    called="pool",
    hints="""
        x.flatten().sort(descending=True).values
        d ** torch.arange(n) gives 1, d, d^2, ...; 0 ** 0 is 1.
    """,
    mistakes="""
        _mean(f.flatten(), _powers(f, d))
            The values are in reading order: the upper left corner would count most. Sort them first, largest first.
        _mean(f.sort(descending=True).values.flatten(), _powers(f, d))
            sort() alone sorts each row by itself. The rank runs over all cells: flatten first.
        rank_pooling(f, 1 - d)
            You took powers of 1 - d. Equation (4) has powers of d: 0 is the maximum, 1 the mean.
        _mean(f.flatten().sort().values, _powers(f, d))
            You sorted from small to large. The largest value has weight d^0 = 1.
        (_powers(f, d) * _ranked(f)).sum()
            The sum of the weights, Z, is missing: the result is no mean and grows with the map.
        (_powers(f, d) * _ranked(f)).mean()
            You divided by the number of cells. Z is the sum of the weights, which is smaller.
        _mean(_ranked(f), d * _powers(f, d))
            Your weights begin with d^1. For 0 < d that cancels in the division by Z, but d = 0 should give the maximum,
            and 0/0 does not: the first exponent is j - 1 = 0.
    """,
)
def rank_pooling(f, d):
    ranked = f.flatten().sort(descending=True).values
    weights = d ** torch.arange(len(ranked), dtype=f.dtype)
    return (weights * ranked).sum() / weights.sum()


def _drawn(rng, net):
    """The network with weights drawn from ``rng``, in numbers that a message can show."""
    with torch.no_grad():
        for values in net.parameters():
            values.copy_(tensor_of(rng.normal(size=tuple(values.shape))))
    return net.eval()


def _segmenters(rng):
    cases = []
    for classes, side, n in [(2, 4, 2), (4, 8, 3), (3, 8, 4)]:
        net = _drawn(rng, nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 1 + classes, 1)))
        images = tensor_of(rng.normal(size=(n, 3, side, side)))
        cases.append((net, images, tensor_of(rng.integers(0, classes, size=n))))
    return cases


@torch.no_grad()
def _told_by_loop(net, images, labels):
    found = []
    for image, label in zip(images, labels.tolist(), strict=True):
        ground, own = F.interpolate(net(image[None]), image.shape[1:], mode="bilinear")[0, [0, 1 + label]]
        found.append(
            [
                [float(b) > float(a) for a, b in zip(*rows, strict=True)]
                for rows in zip(ground, own, strict=True)
            ]
        )
    return torch.tensor(found)


def _large(net, images):
    return F.interpolate(net(images), images.shape[2:], mode="bilinear")


def _of_class(maps, index):
    return maps[torch.arange(len(maps)), index]


def _decided_first(net, images, labels):
    coarse = _of_class(net(images), 1 + labels) > net(images)[:, 0]
    return F.interpolate(coarse.float()[:, None], images.shape[2:])[:, 0] > 0


@exercise(
    "Masks of a segmentation network that is told the label: where the label's class beats the background.",
    inputs=_segmenters,
    reference=_told_by_loop,
    hints="""
        net(images) has shape (N, 1 + classes, h, w): enlarge it to images.shape[2:], mode="bilinear".
        Two of the classes are allowed: number 0, and 1 + label. Which of the two logits is larger?
        maps[torch.arange(N), index] takes from image i the map index[i].
    """,
    mistakes="""
        _large(net, images).argmax(1) == (1 + labels)[:, None, None]
            You took the best of all classes. Told the label, the network may choose between two only: where a third
            class is highest, the label's can still beat the background.
        _large(net, images).argmax(1) > 0
            That is any object against background: the label has no part in it.
        _of_class(_large(net, images), labels) > _large(net, images)[:, 0]
            You took logit number c for class c. Number 0 is the background's: class c is 1 + c.
        _of_class(_large(net, images).softmax(1), 1 + labels) > 0.5
            You asked for a probability above 1/2 among all classes. With two allowed, it is enough to be the larger.
        _of_class(_large(net, images), 1 + labels) > 0
            A logit means nothing by itself: compare it with the background's.
        _decided_first(net, images, labels)
            You decided in the network's cells and enlarged the decision, which leaves steps. Enlarge the logits
            first, then compare.
        _of_class(_large(net, images), 1 + labels) < _large(net, images)[:, 0]
            That is the background: the comparison is the wrong way round.
    """,
)
def told(net, images, labels):
    logits = F.interpolate(net(images), images.shape[2:], mode="bilinear")
    own = logits[torch.arange(len(labels)), 1 + labels]  # (N, H, W)
    return own > logits[:, 0]


def _pooled_nets(rng):
    cases = []
    for k, c, side, images, n in [(2, 3, 3, 2, 2), (4, 5, 4, 3, 3), (5, 6, 4, 4, 5)]:
        net = _drawn(rng, nn.Sequential(nn.Conv2d(3, c, 1), nn.Softplus()))  # above 0: no two cells are equal
        weight, shown = (
            tensor_of(rng.normal(size=(k, c))),
            tensor_of(rng.normal(size=(images, 3, side, side))),
        )
        labels, masks = rng.integers(0, k, size=images), rng.random((images, side, side)) < 0.4
        cases.append((net, weight, shown, tensor_of(labels), tensor_of(masks), n))
    return cases


@torch.no_grad()
def _seeds_and_blind_by_loop(net, weight, images, labels, masks, n):
    right = [0, 0]
    for image, label, mask in zip(images, labels.tolist(), masks, strict=True):
        a = net(image[None])[0]
        values = [sum(w * m for w, m in zip(weight[label].tolist(), a, strict=True)), sum(a)]
        for which, heat in enumerate(values):
            cells = sorted(np.ndindex(*heat.shape), key=lambda place: -float(heat[place]))[:n]
            right[which] += sum(bool(mask[cell]) for cell in cells)
    return [count / (n * len(images)) for count in right]


def _maps(net, weight, images, labels):
    return torch.einsum("nc,nchw->nhw", weight[labels], net(images))


def _right(heat, masks, n):
    places = heat.flatten(1).topk(n).indices
    return float(masks.flatten(1).gather(1, places).double().mean())


def _above_half(heat, masks):
    return float(masks[heat >= 0.5 * heat.amax((1, 2), keepdim=True)].double().mean())


def _predicted(net, weight, images):
    return (net(images).mean((2, 3)) @ weight.T).argmax(1)


def _mean_map(net, weight, images):
    return torch.einsum("c,nchw->nhw", weight.mean(0), net(images))


def _of_all_together(net, weight, images, labels, masks, n):
    maps = _maps(net, weight, images, labels), net(images).sum(1)
    return [_right(heat.flatten()[None], masks.flatten()[None], n * len(images)) for heat in maps]


@exercise(
    "The share of right seeds among the n highest cells of CAM, and of a map that knows no class.",
    inputs=_pooled_nets,
    reference=_seeds_and_blind_by_loop,
    hints="""
        A = net(images) has shape (N, C, h, w). CAM of the label: the sum over the channels of weight[label] times A.
        torch.einsum("nc,nchw->nhw", weight[labels], A) is that for all images; the blind map is A.sum(1).
        heat.flatten(1).topk(n).indices are the n highest cells of each image; masks.flatten(1).gather(1, ...) looks
            them up.
    """,
    mistakes="""
        [seeds_and_blind(net, weight, images, labels, masks, n)[0], float(masks.double().mean())]
            Your second number is the objects' share of the area: what cells drawn at random would get. The blind map
            is the sum of the activations, which knows where there is something to be seen.
        seeds_and_blind(net, weight, images, _predicted(net, weight, images), masks, n)
            You took CAM of the predicted class. A seed is for the label that is given, right or wrong.
        [_above_half(_maps(net, weight, images, labels), masks), _above_half(net(images).sum(1), masks)]
            You took what reaches half of the maximum. Then one map may have far more seeds than the other: give both
            the same number, n an image.
        _of_all_together(net, weight, images, labels, masks, n)
            You took the highest cells of all images together, so that an image with large values gets most of them.
            Take n of each image.
        seeds_and_blind(net, weight, images, labels, masks, n)[::-1]
            The order: first the label's map, then the blind one.
        [v * n * len(images) / float(masks.sum()) for v in seeds_and_blind(net, weight, images, labels, masks, n)]
            You divided by the objects' cells: that is the share of the object that is seeded. Asked for is the share
            of the seeds that are right.
        [v * n * len(images) for v in seeds_and_blind(net, weight, images, labels, masks, n)]
            These are numbers of seeds. Divide by how many there are: n an image.
        [seeds_and_blind(net, weight, images, labels, masks, n)[0], _right(_mean_map(net, weight, images), masks, n)]
            Your blind map weighs the channels by the mean of all classes' weights. The class-free sum has no weights at
            all: it adds up the activations.
        [_right(_maps(net, weight, images, labels).abs(), masks, n), _right(net(images).sum(1), masks, n)]
            You took absolute values: cells that speak against the label became seeds.
    """,
)
def seeds_and_blind(net, weight, images, labels, masks, n):
    A = net(images)  # (N, C, h, w)
    shares = []
    for heat in (torch.einsum("nc,nchw->nhw", weight[labels], A), A.sum(1)):
        places = heat.flatten(1).topk(n).indices  # (N, n)
        shares.append(float(masks.flatten(1).gather(1, places).double().mean()))
    return shares
