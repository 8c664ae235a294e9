"""Segmentation from image labels alone: seeds out of heat-maps, the three losses of SEC, and IoU by class.

SEC, "seed, expand and constrain" (Kolesnikov & Lampert 2016, arXiv 1603.06098), trains a network that gives each
pixel u a probability f_uc for each class c. It is told

    seed       which class a few pixels have, marked by a heat-map,
    expand     which classes are on the image, and nothing about where,
    constrain  that borders between classes lie where the colors change.

Pixels are numbered 0 for the background and 1 + c for class c; -1 says that nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "UNLABELED",
    "class_ious",
    "color_affinity",
    "constraint_loss",
    "expansion_loss",
    "rank_pooling",
    "seeding_loss",
    "seeds_from_maps",
    "smooth_by_color",
]

UNLABELED = -1
DECAYS = {"present": 0.996, "absent": 0.0, "background": 0.999}
"""d_+, d_- and d_bg of the paper, for its maps of 41 x 41 = 1681 cells."""
PAPER_CELLS = 41 * 41


def seeds_from_maps(
    heatmaps: Tensor, classes: Tensor, foreground: float = 0.5, background: float = 0.05
) -> Tensor:
    """Return which pixels a heat-map is sure enough about, and as what.

        S_u = 1 + c  where H^c_u >= foreground * max H^c   (claimed by several: the one that claims fewest pixels)
            = 0      where H^c_u <  background * max H^c   for all c
            = -1     elsewhere: unlabeled

    SEC takes 0.2 of the maximum for the foreground, and gives pixels claimed by several classes to the one with the
    smallest area. Its background comes from another map (the gradient); here it is where the same maps are low.
    A class whose map is empty claims nothing; an image whose maps are all empty has no seeds, background neither.

    Args:
        heatmaps: (N, K, H, W), not negative.
        classes: (N, K) integer, the numbers of the maps' classes, from 0 on.
        foreground: share of the maximum, 0 < foreground <= 1.
        background: share of the maximum, 0 <= background <= foreground.

    Returns:
        (N, H, W) int64.

    Raises:
        TypeError, ValueError: shapes that do not fit, negative or infinite values, thresholds out of order.
    """
    if heatmaps.ndim != 4 or classes.shape != heatmaps.shape[:2] or 0 in heatmaps.shape:
        raise ValueError(
            "seeds need heat-maps (N, K, H, W) and their classes (N, K), got "
            f"{tuple(heatmaps.shape)} and {tuple(classes.shape)}."
        )
    if classes.is_floating_point() or classes.dtype == torch.bool or classes.min() < 0:
        raise TypeError(f"classes are whole numbers from 0 on, got {classes.dtype}, {classes.flatten()[:4]}.")
    if not heatmaps.isfinite().all() or heatmaps.min() < 0:
        raise ValueError(
            "the heat-maps have negative, infinite or NaN values. Take what speaks for the class: `e.heatmaps()`."
        )
    if not (0 < foreground <= 1 and 0 <= background <= foreground):
        raise ValueError(
            "thresholds are shares of the maximum with 0 <= background <= foreground, 0 < foreground <= 1; got "
            f"background {background} and foreground {foreground}."
        )
    peaks = heatmaps.amax((2, 3), keepdim=True)
    claimed = (heatmaps >= foreground * peaks) & (heatmaps > 0)  # (N, K, H, W)
    low = ((heatmaps < background * peaks) | (peaks == 0)).all(1) & (peaks > 0).any(1)
    areas = claimed.sum((2, 3), keepdim=True).expand_as(claimed)
    smallest = torch.where(claimed, areas, heatmaps[0, 0].numel() + 1).argmin(1)  # (N, H, W), a place in K
    names = classes.gather(1, smallest.flatten(1)).view_as(smallest) + 1
    seeds = torch.where(low, 0, UNLABELED)
    return torch.where(claimed.any(1), names, seeds)


def seeding_loss(logits: Tensor, seeds: Tensor) -> Tensor:
    """Return how badly the network fits the seeds; pixels without one do not count (eq. 2 of SEC).

        L_seed = - 1 / |S| sum_(u in S) log f_(u, S_u),    f = softmax(logits),  averaged over the images

    S are the labeled pixels of one image, of all classes together. Images without any contribute 0.

    Args:
        logits: (N, 1 + classes, H, W).
        seeds: (N, H, W) int64, -1 where unlabeled.
    """
    _check(logits, seeds)
    losses = F.cross_entropy(logits, seeds, ignore_index=UNLABELED, reduction="none")
    return (losses.sum((1, 2)) / (seeds != UNLABELED).sum((1, 2)).clamp(min=1)).mean()


def rank_pooling(probabilities: Tensor, decay: float) -> Tensor:
    """Global weighted rank pooling (eq. 3 of SEC): the weighted mean of the sorted values of each map.

        G(f; d) = 1/Z sum_j d^(j-1) f_(j),    f_(1) >= f_(2) >= ...,    Z = sum_j d^(j-1)

    d = 0 takes the maximum, d = 1 the mean.

    Args:
        probabilities: (..., H, W).
        decay: d, 0 <= d <= 1.

    Returns:
        (...): one number for each map.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay lies between 0 (maximum) and 1 (mean), got {decay}.")
    ranked = probabilities.flatten(-2).sort(dim=-1, descending=True).values
    weights = decay ** torch.arange(ranked.shape[-1], dtype=ranked.dtype, device=ranked.device)
    return ranked @ (weights / weights.sum())


def expansion_loss(logits: Tensor, present: Tensor) -> Tensor:
    """Return how badly the pooled answer fits the image's labels (eq. 4 of SEC), averaged over the images.

        L_expand = - 1/|T'|      sum_(c on the image)     log G_c(f; d_+)
                   - 1/|C' - T'| sum_(c not on the image) log (1 - G_c(f; d_-))   -   log G_0(f; d_bg)

    d_+ = 0.996 and d_bg = 0.999 are meant for maps of 1681 cells; for n cells each is raised to the power 1681/n, so
    that the same share of the image gets the same weight. d_- = 0: of an absent class, the maximum counts.

    Args:
        logits: (N, 1 + classes, H, W).
        present: (N, classes) bool, which classes are on the image.
    """
    if present.dtype != torch.bool or present.shape != (len(logits), logits.shape[1] - 1):
        raise ValueError(
            f"present has shape (N, classes) = {(len(logits), logits.shape[1] - 1)} and holds True and False, got "
            f"{tuple(present.shape)} of {present.dtype}."
        )
    f = logits.softmax(1)
    power = PAPER_CELLS / f[0, 0].numel()
    tiny = torch.finfo(f.dtype).tiny
    found = rank_pooling(f[:, 1:], DECAYS["present"] ** power).clamp(min=tiny).log()
    missed = torch.log1p(-rank_pooling(f[:, 1:], DECAYS["absent"]).clamp(max=1 - 1e-6))
    ground = rank_pooling(f[:, 0], DECAYS["background"] ** power).clamp(min=tiny).log()
    there = (found * present).sum(1) / present.sum(1).clamp(min=1)
    absent = (missed * ~present).sum(1) / (~present).sum(1).clamp(min=1)
    return -(there + absent + ground).mean()


def color_affinity(images: Tensor, size: int, color: float = 0.08, space: float = 4.0) -> Tensor:
    """Return how much each cell of an image listens to each other one: near ones of similar color most.

        k_uv = exp( -|x_u - x_v|^2 / (2 space^2) - |I_u - I_v|^2 / (2 color^2) ),  k_uu = 0,   rows divided by their sum

    Args:
        images: (N, 3, H, W) in [0, 1]; averaged over the cells.
        size: the image has size x size cells.
        color: width in color, in [0, 1] as the images.
        space: width in space, in cells.

    Returns:
        (N, size^2, size^2).
    """
    cells = F.adaptive_avg_pool2d(images, size).flatten(2).transpose(1, 2)  # (N, n, 3)
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    places = torch.stack([row, column], -1).view(1, -1, 2).to(cells)
    far = torch.cdist(places, places).square() / (2 * space**2)
    unlike = torch.cdist(cells, cells).square() / (2 * color**2)
    kernel = torch.exp(-far - unlike) * (1 - torch.eye(size * size, device=cells.device))
    return kernel / kernel.sum(2, keepdim=True).clamp(min=1e-12)


def smooth_by_color(logits: Tensor, affinity: Tensor, strength: float = 8.0, steps: int = 5) -> Tensor:
    """Return probabilities Q that agree with f and, among cells of similar color, with each other.

        Q_u <- softmax( log f_u + strength * sum_v k_uv Q_v ),   starting at Q = f

    These are mean-field steps of a fully connected CRF, as in SEC, in its simplest form: one kernel, each cell's
    neighbors weighted to a sum of 1, Potts compatibility, at the resolution of the network's output.

    Args:
        logits: (N, C, h, w).
        affinity: (N, h * w, h * w) from :func:`color_affinity`.
        strength: how much the neighbors count; 0 returns f.
        steps: how many times.

    Returns:
        (N, C, h, w).
    """
    unary = logits.log_softmax(1).flatten(2)  # (N, C, n)
    q = unary.exp()
    for _ in range(steps):
        q = (unary + strength * q @ affinity.transpose(1, 2)).softmax(1)
    return q.view_as(logits)


def constraint_loss(logits: Tensor, affinity: Tensor, strength: float = 8.0, steps: int = 5) -> Tensor:
    """Return how far the answer is from its smoothed self (eq. 5 of SEC): mean KL divergence over pixels and images.

    L_constrain = 1/n sum_u sum_c Q_uc log (Q_uc / f_uc),    Q from :func:`smooth_by_color`, held constant
    """
    with torch.no_grad():
        q = smooth_by_color(logits, affinity, strength, steps)
    return F.kl_div(logits.log_softmax(1), q, reduction="none").sum(1).mean()


def class_ious(found: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Return the IoU of each class over all images together, as PASCAL VOC counts.

        IoU_c = sum_images |found_c and truth_c| / sum_images |found_c or truth_c|

    Args:
        found: (N, H, W) integer, 0 to ``classes``.
        truth: the same shape.
        classes: how many there are beside the background.

    Returns:
        (1 + classes,) float64, the background first; NaN for a class that is in neither.
    """
    if found.shape != truth.shape:
        raise ValueError(f"found {tuple(found.shape)} and truth {tuple(truth.shape)} differ in shape.")
    for name, labels in (("found", found), ("truth", truth)):
        if labels.is_floating_point() or labels.min() < 0 or labels.max() > classes:
            raise ValueError(
                f"{name} consists of class numbers from 0 to {classes}, got {labels.dtype} from {labels.min()} to "
                f"{labels.max()}."
            )
    pairs = torch.bincount((truth.long() * (classes + 1) + found).flatten(), minlength=(classes + 1) ** 2)
    pairs = pairs.view(classes + 1, classes + 1).double()
    both = pairs.diagonal()
    return both / (pairs.sum(0) + pairs.sum(1) - both)


def _check(logits: Tensor, seeds: Tensor) -> None:
    if logits.ndim != 4 or seeds.shape != (len(logits), *logits.shape[2:]):
        raise ValueError(
            f"logits (N, C, H, W) and seeds (N, H, W) do not fit: {tuple(logits.shape)} and {tuple(seeds.shape)}."
        )
    values: Sequence[int] = seeds.unique().tolist()
    if seeds.is_floating_point() or values[0] < UNLABELED or values[-1] >= logits.shape[1]:
        raise ValueError(
            f"seeds are whole numbers from -1 (unlabeled) to {logits.shape[1] - 1}, got {values[:12]}."
        )
