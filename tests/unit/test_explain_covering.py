"""Covering parts of images, and deletion and insertion curves, against loops and numbers computed by hand."""

import math

import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_images
from scipy.ndimage import gaussian_filter
from torch import nn

from course_utils.explain import (
    FILLS,
    batched_logits,
    cover,
    covering,
    deletion_curve,
    insertion_curve,
    occlusion,
    stand_in,
    top_share_mask,
)


class Sum(nn.Module):
    """Two classes: the sum of the pixels, and its negative. Each pixel counts by itself: curves are known."""

    def forward(self, images):
        total = images.sum((1, 2, 3))
        return torch.stack([total, -total], 1)


FOUR = torch.tensor([[[[1.0, 0.5], [0.0, 0.75]]]])  # one image of one channel, four pixels


def reading_order(h, w):
    return -torch.arange(float(h * w)).view(h, w)


# --- what stands in


def test_mean_is_each_images_own_color():
    images = tiny_images(3)
    filled = stand_in(images, "mean")
    for n in range(3):
        for channel in range(3):
            expected = sum(images[n, channel].flatten().tolist()) / 64
            assert filled[n, channel].flatten().tolist() == pytest.approx([expected] * 64, abs=1e-6)


def test_gray_is_a_half_everywhere():
    assert stand_in(tiny_images(), "gray").eq(0.5).all()


@pytest.mark.parametrize("size", [(224, 224), (48, 96), (40, 31)])
def test_blur_is_a_gaussian_of_ten_pixels_in_224(size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    sigma = min(size) * 10 / 224
    expected = np.empty(images.shape)
    for n in range(2):
        for channel in range(3):
            expected[n, channel] = gaussian_filter(
                images[n, channel].double().numpy(), sigma, mode="mirror", radius=math.ceil(3 * sigma)
            )
    torch.testing.assert_close(stand_in(images, "blur"), torch.tensor(expected).float(), rtol=0, atol=1e-5)


def test_a_constant_image_is_its_own_mean_and_blur():
    images = torch.full((1, 3, 9, 5), 0.3)
    for fill in ("mean", "blur"):
        torch.testing.assert_close(stand_in(images, fill), images)


# --- cover


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("cells", [(8, 8), (4, 4), (2, 8), (3, 5)])
def test_cover_against_a_loop_over_pixels(fill, cells):
    images = tiny_images(2)
    masks = torch.rand(2, *cells, generator=torch.Generator().manual_seed(3)) < 0.4
    filled = stand_in(images, fill)
    found = cover(images, masks, fill)
    for n in range(2):
        for row in range(8):
            for column in range(8):
                inside = masks[n, row * cells[0] // 8, column * cells[1] // 8]
                expected = filled if inside else images
                assert torch.equal(found[n, :, row, column], expected[n, :, row, column])


def test_cells_that_divide_the_image_are_squares_of_equal_size():
    covered = cover(torch.ones(1, 3, 224, 224), torch.eye(7).bool(), "gray")[0, 0]
    blocks = covered.view(7, 32, 7, 32)
    assert (blocks == torch.where(torch.eye(7).bool(), 0.5, 1.0)[:, None, :, None]).all()


def test_one_image_many_masks_and_many_images_one_mask():
    images, masks = tiny_images(3), torch.rand(3, 4, 4) < 0.5
    many = cover(images[:1], masks, "gray")
    assert all(torch.equal(many[i], cover(images[:1], masks[i], "gray")[0]) for i in range(3))
    same = cover(images, masks[0], "blur")
    assert all(torch.equal(same[i], cover(images[i : i + 1], masks[0], "blur")[0]) for i in range(3))
    assert torch.equal(same, cover(images, masks[:1], "blur"))


def test_the_image_itself_stays():
    images = tiny_images()
    before = images.clone()
    covered = cover(images, torch.ones(4, 4).bool(), "gray")
    covered += 1
    assert torch.equal(images, before)
    untouched = cover(images, torch.zeros(4, 4).bool(), "blur")
    assert torch.equal(untouched, before) and untouched.data_ptr() != images.data_ptr()


# --- masks of the largest values


@pytest.mark.parametrize("share", [0, 0.1, 5 / 49, 0.25, 0.5, 0.99, 1])
def test_the_area_is_exact_and_the_values_are_the_largest(share):
    maps = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    masks = top_share_mask(maps, share)
    assert masks.shape == maps.shape and masks.dtype == torch.bool
    count = int(share * 49 + 0.5)
    for values, mask in zip(maps.flatten(0, 1), masks.flatten(0, 1), strict=True):
        expected = sorted(values.flatten().tolist(), reverse=True)[:count]
        assert sorted(values[mask].tolist(), reverse=True) == expected


def test_halves_are_rounded_up():
    assert top_share_mask(torch.rand(1, 2), 0.25).sum() == 1
    assert top_share_mask(torch.rand(7, 7), 0.5).sum() == 25


def test_equal_values_are_taken_in_reading_order():
    values = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]])
    assert top_share_mask(values, 0.5).int().tolist() == [[0, 1, 0], [1, 0, 1]]
    assert top_share_mask(values, 4 / 6).int().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert top_share_mask(torch.zeros(40, 40), 0.5).flatten()[:800].all()


# --- curves


def test_a_curve_known_by_hand():
    # Gray replaces 1, 0.5, 0, 0.75, one after the other, by 0.5: the sum goes 2.25, 1.75, 1.75, 2.25, 2.
    curve = deletion_curve(Sum(), FOUR, reading_order(2, 2), 0, "gray", steps=4, score="logit")
    assert curve.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.values[0, 0].tolist() == [2.25, 1.75, 1.75, 2.25, 2.0]
    # Trapezoids: (2 + 1.75 + 2 + 2.125) / 4.
    assert curve.area.tolist() == [[1.96875]]


def test_an_insertion_known_by_hand():
    # From four times 0.5: 2, 2.5, 2.5, 2, 2.25.
    curve = insertion_curve(Sum(), FOUR, reading_order(2, 2), [0, 1], "gray", steps=4, score="logit")
    assert curve.values[0].tolist() == [[2, 2.5, 2.5, 2, 2.25], [-2, -2.5, -2.5, -2, -2.25]]
    assert curve.area.tolist() == [[2.28125, -2.28125]]


def test_steps_that_do_not_divide_the_cells_have_their_true_shares():
    # Five cells in two steps: 2.5 is rounded up, so that the steps are 3/5 and 2/5 wide.
    images = torch.tensor([[[[1.0, 0, 0, 0, 0]]]])
    curve = deletion_curve(Sum(), images, reading_order(1, 5), 0, "gray", steps=2, score="logit")
    assert curve.shares.tolist() == pytest.approx([0, 0.6, 1])
    assert curve.values[0, 0].tolist() == [1, 1.5, 2.5]
    assert curve.area.item() == pytest.approx(0.6 * 1.25 + 0.4 * 2)


def by_loop(model, images, ranking, chosen, fill, counts, shown):
    """Scores (N, K, S + 1): one image, one step, one covered cell at a time."""
    values = torch.zeros(len(images), len(chosen[0]), len(counts))
    h, w = ranking.shape[1:]
    for n in range(len(images)):
        order = sorted(range(h * w), key=lambda cell, n=n: -ranking[n].flatten()[cell].item())
        for t, count in enumerate(counts):
            mask = torch.zeros(h, w, dtype=torch.bool)
            for cell in order[:count]:
                mask[cell // w, cell % w] = True
            picture = cover(images[n : n + 1], ~mask if shown else mask, fill)
            with torch.no_grad():
                probabilities = model(picture)[0].softmax(0)
            values[n, :, t] = probabilities[chosen[n]]
    return values


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shown", [False, True])
def test_curves_against_a_loop(fill, shown):
    model, images = TinyNet(), tiny_images(3)
    ranking = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(5))
    chosen = torch.tensor([[0, 3], [1, 2], [4, 0]])
    curve = (insertion_curve if shown else deletion_curve)(model, images, ranking, chosen, fill, steps=8)
    expected = by_loop(model, images, ranking, chosen, fill, range(0, 17, 2), shown)
    torch.testing.assert_close(curve.values, expected)
    area = sum((expected[..., t] + expected[..., t + 1]) / 2 / 8 for t in range(8))
    torch.testing.assert_close(curve.area, area)


def test_insertion_is_deletion_from_the_other_end():
    model, images = TinyNet(), tiny_images(2)
    ranking = torch.randn(2, 4, 4)
    shown = insertion_curve(model, images, ranking, 1, steps=4)
    covered = deletion_curve(model, images, -ranking, 1, steps=4)
    torch.testing.assert_close(shown.values, covered.values.flip(-1))
    torch.testing.assert_close(shown.area, covered.area)


def test_one_ranking_for_all_images_and_the_predicted_class():
    model, images = TinyNet(), tiny_images(3)
    ranking = torch.randn(4, 4)
    predicted = model(images).argmax(1)
    assert len(set(predicted.tolist())) > 1 or predicted[0] != 0
    for curve in (deletion_curve, insertion_curve):
        found = curve(model, images, ranking, steps=4)
        expected = curve(model, images, ranking.expand(3, 4, 4), predicted[:, None], steps=4)
        torch.testing.assert_close(found.values, expected.values)


@pytest.mark.parametrize("curve", [deletion_curve, insertion_curve])
def test_each_class_by_its_own_ranking(curve):
    model, images = TinyNet(), tiny_images(3)
    rankings = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    chosen = torch.tensor([[0, 3], [1, 1], [4, 0]])
    found = curve(model, images, rankings, chosen, steps=5)
    assert found.values.shape == (3, 2, 6)
    for k in range(2):
        alone = curve(model, images, rankings[:, k], chosen[:, k : k + 1], steps=5)
        torch.testing.assert_close(found.values[:, k], alone.values[:, 0])


# --- logits in batches


def test_many_images_in_batches_are_the_same_as_one_by_one(monkeypatch):
    model, images = TinyNet(), tiny_images(7)
    monkeypatch.setattr(covering, "BATCH", 3)
    one_by_one = torch.cat([model(image[None]) for image in images]).detach()
    torch.testing.assert_close(batched_logits(model, images), one_by_one)


def test_nothing_is_left_changed():
    model, images = TinyNet().train(), tiny_images(2)
    before, copy = {k: v.clone() for k, v in model.state_dict().items()}, images.clone()
    logits = batched_logits(model, images)
    curve = deletion_curve(model, images, torch.rand(4, 4), steps=2)
    with pytest.raises(ValueError, match="no class"):
        deletion_curve(model, images, torch.rand(4, 4), 99)
    assert not logits.requires_grad and not curve.values.requires_grad
    assert all(part.training for part in model.modules()) and torch.is_grad_enabled()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert torch.equal(images, copy)


# --- occlusion


def test_occlusion_of_a_sum_is_what_each_square_adds():
    falls = occlusion(Sum(), FOUR, [0, 1], cells=2)
    mean = FOUR.mean()
    torch.testing.assert_close(falls[0, 0], FOUR[0, 0] - mean)
    torch.testing.assert_close(falls[0, 1], mean - FOUR[0, 0])


@pytest.mark.parametrize("fill", FILLS)
def test_occlusion_is_the_fall_of_each_logit_when_one_square_is_painted_over(fill):
    net, images = TinyNet(), tiny_images(2)
    falls = occlusion(net, images, torch.tensor([[1, 3], [0, 2]]), cells=4, fill=fill)
    filled = stand_in(images, fill)
    with torch.no_grad():
        whole = net(images)
        for i in range(4):
            for j in range(4):
                painted = images.clone()
                square = (..., slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
                painted[square] = filled[square]
                fall = whole - net(painted)
                torch.testing.assert_close(falls[0, :, i, j], fall[0, [1, 3]], atol=1e-5, rtol=1e-4)
                torch.testing.assert_close(falls[1, :, i, j], fall[1, [0, 2]], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("cells", "words"), [(0, "at least 1"), (9, "at most 8")])
def test_squares_are_at_least_a_pixel(cells, words):
    with pytest.raises(ValueError, match=words):
        occlusion(TinyNet(), tiny_images(1), 0, cells)
