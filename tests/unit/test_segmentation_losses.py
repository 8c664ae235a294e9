"""Seeds, the three losses of SEC, and IoU: against numbers worked out by hand, and loops written from the equations."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_utils.localization import mask_iou
from course_utils.segmentation import (
    class_ious,
    color_affinity,
    constraint_loss,
    expansion_loss,
    rank_pooling,
    seeding_loss,
    seeds_from_maps,
    smooth_by_color,
)


def drawn(*shape, seed=0, kind=torch.rand):
    return kind(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- seeds
def test_seeds_by_hand():
    heat = torch.tensor([[[[1.0, 0.5, 0.49], [0.05, 0.049, 0.0]]]])
    assert seeds_from_maps(heat, torch.tensor([[3]])).tolist() == [[[4, 4, -1], [-1, 0, 0]]]
    assert seeds_from_maps(heat, torch.tensor([[3]]), 1.0, 0.0).tolist() == [[[4, -1, -1], [-1, -1, -1]]]
    # Thresholds are shares of the maximum, whatever that is.
    assert seeds_from_maps(7 * heat, torch.tensor([[3]])).tolist() == [[[4, 4, -1], [-1, 0, 0]]]


def test_the_smaller_claim_wins_and_background_is_low_for_all():
    first = [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    second = [[0.0, 1.0, 0.0], [0.0, 0.3, 0.0]]
    heat = torch.tensor([[first, second]])
    assert seeds_from_maps(heat, torch.tensor([[0, 8]])).tolist() == [[[1, 9, 1], [0, -1, 0]]]
    assert seeds_from_maps(heat.flip(1), torch.tensor([[8, 0]])).tolist() == [[[1, 9, 1], [0, -1, 0]]]


def test_an_empty_map_claims_nothing_and_tells_nothing_of_the_background():
    heat = torch.zeros(2, 2, 2, 2)
    heat[1, 0] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    seeds = seeds_from_maps(heat, torch.tensor([[0, 1], [0, 1]]))
    assert seeds[0].unique().tolist() == [-1]
    assert seeds[1].tolist() == [[1, 0], [0, 0]]


def seeds_by_loop(heat, classes, fg, bg):
    k, h, w = heat.shape
    peaks = [max(heat[c].flatten().tolist()) for c in range(k)]
    claims = [
        {(i, j) for i in range(h) for j in range(w) if peaks[c] > 0 and heat[c, i, j] >= fg * peaks[c]}
        for c in range(k)
    ]
    result = np.full((h, w), -1)
    for i in range(h):
        for j in range(w):
            claiming = [c for c in range(k) if (i, j) in claims[c]]
            if claiming:
                result[i, j] = 1 + int(classes[min(claiming, key=lambda c: len(claims[c]))])
            elif all(heat[c, i, j] < bg * peaks[c] for c in range(k)):
                result[i, j] = 0
    return result


@pytest.mark.parametrize("fg,bg", [(0.5, 0.05), (0.8, 0.4), (0.3, 0.3)])
def test_seeds_against_a_loop(fg, bg):
    heat, classes = drawn(5, 3, 6, 7), torch.tensor([[4, 0, 9]] * 5)
    seeds = seeds_from_maps(heat, classes, fg, bg)
    for found, maps, names in zip(seeds, heat, classes, strict=True):
        np.testing.assert_array_equal(found, seeds_by_loop(maps, names, fg, bg))
    assert len(seeds.unique()) > 2


# ---------------------------------------------------------------- seeding
def test_seeding_by_hand():
    # Two classes; logit difference d gives the second one probability 1 / (1 + e^-d).
    logits = torch.tensor([[[[0.0, 0.0]], [[0.0, math.log(3)]]]])  # f_1 = 1/2, 3/4
    loss = seeding_loss(logits, torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx(-(math.log(1 / 2) + math.log(3 / 4)) / 2)
    assert seeding_loss(logits, torch.tensor([[[-1, 1]]])).item() == pytest.approx(-math.log(3 / 4))


def test_unlabeled_pixels_get_no_gradient_and_images_count_alike():
    logits = drawn(2, 3, 4, 4, kind=torch.randn).requires_grad_()
    seeds = torch.full((2, 4, 4), -1)
    seeds[0] = 1
    seeds[1, 0, 0] = 2
    loss = seeding_loss(logits, seeds)
    loss.backward()
    assert logits.grad[1, :, 1:].abs().max() == 0
    parts = [seeding_loss(logits[i : i + 1], seeds[i : i + 1]) for i in (0, 1)]
    assert loss.item() == pytest.approx((parts[0] + parts[1]).item() / 2)


def test_without_seeds_the_loss_is_zero():
    loss = seeding_loss(torch.randn(2, 3, 4, 4), torch.full((2, 4, 4), -1))
    assert loss.item() == 0


# ---------------------------------------------------------------- expansion
def test_rank_pooling_by_hand():
    f = torch.tensor([[0.2, 0.8], [0.4, 0.6]])
    assert rank_pooling(f, 0).item() == pytest.approx(0.8)
    assert rank_pooling(f, 1).item() == pytest.approx(0.5)
    assert rank_pooling(f, 0.5).item() == pytest.approx((0.8 + 0.3 + 0.1 + 0.025) / 1.875)


def expansion_by_loop(logits, present):
    """Equation (4) of SEC, value by value."""
    total = 0.0
    for image, there in zip(logits.double().softmax(1), present.tolist(), strict=True):
        n = image[0].numel()

        def pooled(c, decay, image=image, n=n):
            values = sorted(image[c].flatten().tolist(), reverse=True)
            weights = [(decay ** (1681 / n)) ** j if decay or j else 1.0 for j in range(n)]
            return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

        on = [c for c, is_there in enumerate(there) if is_there]
        off = [c for c, is_there in enumerate(there) if not is_there]
        total -= sum(math.log(pooled(1 + c, 0.996)) for c in on) / max(1, len(on))
        total -= sum(math.log(1 - pooled(1 + c, 0)) for c in off) / max(1, len(off))
        total -= math.log(pooled(0, 0.999))
    return total / len(logits)


def test_expansion_against_a_loop():
    logits = drawn(3, 5, 6, 6, kind=torch.randn)
    present = torch.tensor([[True, False, False, True], [False, True, False, False], [False] * 4])
    assert expansion_loss(logits, present).item() == pytest.approx(
        expansion_by_loop(logits, present), rel=1e-5
    )


def test_expansion_stays_finite_where_the_network_is_sure_and_wrong():
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 1] = 1000
    logits.requires_grad_()
    loss = expansion_loss(logits, torch.tensor([[False, True]]))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


# ---------------------------------------------------------------- constraint
def affinity_by_loop(image, size, color, space):
    step = image.shape[-1] // size
    cells = [
        (i, j, image[:, i * step : (i + 1) * step, j * step : (j + 1) * step].mean((1, 2)))
        for i in range(size)
        for j in range(size)
    ]
    rows = []
    for a, (i, j, mine) in enumerate(cells):
        row = [
            0.0
            if a == b
            else math.exp(
                -((i - k) ** 2 + (j - m) ** 2) / (2 * space**2)
                - float(((mine - other) ** 2).sum()) / (2 * color**2)
            )
            for b, (k, m, other) in enumerate(cells)
        ]
        rows.append([value / sum(row) for value in row])
    return rows


def test_affinity_against_a_loop():
    image = drawn(2, 3, 8, 8)
    found = color_affinity(image, 4, 0.3, 2.0)
    for row, one in zip(found, image, strict=True):
        torch.testing.assert_close(
            row, torch.tensor(affinity_by_loop(one, 4, 0.3, 2.0)), atol=1e-5, rtol=1e-4
        )


def test_smoothing_against_a_loop():
    logits, affinity = drawn(1, 3, 2, 2, kind=torch.randn), color_affinity(drawn(1, 3, 4, 4), 2)
    f = logits[0].softmax(0).flatten(1)
    q = f.clone()
    for _ in range(2):
        before = q.clone()
        for u in range(4):
            votes = sum(affinity[0, u, v] * before[:, v] for v in range(4))
            raised = f[:, u] * torch.exp(3 * votes)
            q[:, u] = raised / raised.sum()
    torch.testing.assert_close(smooth_by_color(logits, affinity, 3, 2)[0].flatten(1), q)
    expected = (q * (q / f).log()).sum() / 4
    assert constraint_loss(logits, affinity, 3, 2).item() == pytest.approx(expected.item(), rel=1e-4)


def test_constraint_spreads_to_cells_of_the_same_color_alone():
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1  # black beside white
    logits = torch.zeros(1, 2, 8, 8)
    logits[0, 1, 3, 6] = 4  # one cell in the white half is sure
    q = smooth_by_color(logits, color_affinity(image, 8), 8, 20)[0, 1]
    assert q[:, 4:].mean() > 0.6
    assert q[:, :4].mean() < 0.51


def test_constraint_needs_no_gradient_through_the_target_and_vanishes_without_neighbors():
    logits = drawn(1, 3, 4, 4, kind=torch.randn).requires_grad_()
    affinity = color_affinity(drawn(1, 3, 8, 8), 4)
    assert constraint_loss(logits, affinity, strength=0).item() == pytest.approx(0, abs=1e-6)
    (gradient,) = torch.autograd.grad(constraint_loss(logits, affinity), logits)
    # With Q constant the gradient of KL is (f - Q) / n.
    expected = (logits.softmax(1) - smooth_by_color(logits, affinity)) / 16
    torch.testing.assert_close(gradient, expected.detach(), atol=1e-6, rtol=1e-4)


# ---------------------------------------------------------------- IoU by class
def test_class_ious_against_masks():
    found, truth = (drawn(4, 9, 9, seed=seed).mul(4).long() for seed in (1, 2))
    expected = [mask_iou((found == c).flatten(), (truth == c).flatten()) for c in range(4)]
    result = class_ious(found, truth, 4)
    assert result[:4].tolist() == pytest.approx(expected)
    assert result[4].isnan()


def test_class_ious_count_all_images_together():
    found = torch.tensor([[[1, 1]], [[1, 0]]])
    truth = torch.tensor([[[1, 0]], [[1, 1]]])
    # class 1: both 1 + 1, either 2 + 2; the mean over images would be 0.5 as well, the background's 0.
    assert class_ious(found, truth, 1).tolist() == [0.0, 0.5]
    assert class_ious(F.pad(found, (0, 1)), F.pad(truth, (0, 1)), 1).tolist() == [0.5, 0.5]
