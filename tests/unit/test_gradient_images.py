"""Signed gradient images as pictures: mid-gray is zero, one limit on both sides, nothing stretched."""

import numpy as np
import pytest
import torch

from course_utils.show import draw_gradient, gradient_limit, gradient_picture, plots


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_a_picture_worked_out_by_hand():
    values = torch.tensor([[[0.0, 1.0]], [[-1.0, 4.0]], [[2.0, -8.0]]])  # (3, 1, 2)
    expected = [[[0.5, 0.25, 1.0], [0.75, 1.0, 0.0]]]  # 1/2 + v / 4, cut off
    np.testing.assert_allclose(gradient_picture(values, limit=2.0), expected)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 5.0])
def test_zero_is_mid_gray_whatever_minimum_and_maximum_are(shift):
    values = torch.randn(3, 20, 20, generator=torch.Generator().manual_seed(0)) + shift
    values[:, 0, 0] = 0
    np.testing.assert_array_equal(gradient_picture(values)[0, 0], [0.5, 0.5, 0.5])


def test_turning_the_signs_around_mirrors_the_picture_at_mid_gray():
    values = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(1)) + 0.3
    np.testing.assert_allclose(gradient_picture(values) + gradient_picture(-values), 1.0)


def test_the_scale_of_the_numbers_does_not_matter_and_their_order_is_kept():
    values = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(gradient_picture(values), gradient_picture(1e-6 * values), atol=1e-6)
    shown = gradient_picture(values, limit=10.0).transpose(2, 0, 1).ravel()
    assert (np.argsort(shown) == np.argsort(values.numpy().ravel())).all()


def test_the_limit_is_a_percentile_of_the_sizes_over_all_colors_and_images():
    values = torch.arange(-100.0, 100.0)  # sizes 0, 1, 1, 2, 2, ..., 99, 99, 100
    assert gradient_limit(values) == 99
    assert gradient_limit(values, percentile=100) == 100
    assert gradient_limit(values, percentile=50) == 50
    assert gradient_limit(values, 10 * values) == gradient_limit(torch.cat([values, 10 * values]))


def test_a_few_extreme_values_do_not_gray_the_rest():
    values = torch.ones(3, 20, 20)
    values[0, 0, :5] = -1000.0
    assert gradient_limit(values) == 1
    assert gradient_picture(values)[5, 5].tolist() == [1.0, 1.0, 1.0]


def test_nearly_empty_and_empty_images_have_a_limit():
    lonely = torch.zeros(3, 20, 20)
    lonely[1, 2, 3] = -7
    assert gradient_limit(lonely) == 7
    assert gradient_picture(lonely)[2, 3].tolist() == [0.5, 0.0, 0.5]
    assert gradient_limit(torch.zeros(3, 4, 4)) == 1
    assert (gradient_picture(torch.zeros(3, 4, 4)) == 0.5).all()


def test_an_empty_image_is_said_to_be_empty():
    _, axes = plots.panels(2)
    draw_gradient(axes[0], torch.zeros(1, 3, 4, 4), "nothing")
    draw_gradient(axes[1], torch.ones(3, 4, 4), "something")
    assert texts(axes[0]) == ["zero\neverywhere"]
    assert texts(axes[1]) == []
    assert [ax.get_title() for ax in axes] == ["nothing", "something"]


def test_images_with_one_limit_are_drawn_on_one_scale():
    _, axes = plots.panels(2)
    small, large = torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), 2.0)
    for ax, values in zip(axes, (small, large), strict=True):
        draw_gradient(ax, values, limit=gradient_limit(small, large))
    assert [float(ax.images[0].get_array().max()) for ax in axes] == [0.625, 1.0]


def test_averages_of_what_alternates_are_gray_and_no_pattern():
    """More pixels than the panel has: signs that alternate from pixel to pixel must not draw stripes."""
    values = (-1.0) ** (torch.arange(256)[:, None] + torch.arange(256)) * torch.ones(3, 1, 1)
    figure, (ax,) = plots.panels(1, width=1.3)
    draw_gradient(ax, values)
    figure.canvas.draw()
    inside = np.asarray(figure.canvas.buffer_rgba())[50:90, 50:90, :3] / 255
    assert np.abs(inside - 0.5).max() < 0.1


def test_nothing_is_changed_and_gradients_may_be_attached():
    values = torch.randn(3, 4, 4, requires_grad=True)
    before = values.detach().clone()
    gradient_picture(values)
    draw_gradient(plots.panels(1)[1][0], values)
    assert torch.equal(values.detach(), before) and values.requires_grad


@pytest.mark.parametrize(
    ("values", "limit", "words"),
    [
        (torch.ones(2, 3, 4, 4), None, r"shape \(3, H, W\), got \(2, 3, 4, 4\)"),
        (torch.ones(4, 4), None, r"shape \(3, H, W\)"),
        (torch.full((3, 2, 2), torch.nan), None, "only finite ones"),
        (torch.ones(3, 0, 2), None, "at least one value"),
        (torch.ones(3, 2, 2), 0.0, "limit must be a positive number, got 0"),
        (torch.ones(3, 2, 2), float("nan"), "limit must be a positive number"),
    ],
)
def test_what_cannot_be_shown_is_refused(values, limit, words):
    with pytest.raises(ValueError, match=words):
        gradient_picture(values, limit)


def test_a_limit_needs_images_and_a_percentile():
    with pytest.raises(ValueError, match="at least one image"):
        gradient_limit()
    for percentile in (0, 101, -1):
        with pytest.raises(ValueError, match=f"not above 100, got {percentile}"):
            gradient_limit(torch.ones(3), percentile=percentile)


def test_plots_offers_them():
    assert plots.draw_gradient is draw_gradient
    assert plots.gradient_limit is gradient_limit and plots.gradient_picture is gradient_picture
