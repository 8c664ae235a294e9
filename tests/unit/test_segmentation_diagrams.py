"""Masks and seeds as drawn: lines and tints where they belong, and nowhere else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color, to_rgb

from course_utils.show import FOUND, TRUTH, draw_outline, draw_seeds, draw_segmentation, masks


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_seeds_are_tinted_and_the_rest_left_bare(ax):
    image = torch.full((3, 4, 4), 0.5)
    draw_seeds(ax, image, torch.tensor([[3, -1], [0, -1]]), blend=1)
    drawn = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(drawn[:2, :2], np.broadcast_to(to_rgb(masks.OBJECT_SEED), (2, 2, 3)))
    np.testing.assert_allclose(drawn[2:, :2], np.broadcast_to(to_rgb(masks.BACKGROUND_SEED), (2, 2, 3)))
    np.testing.assert_allclose(drawn[:, 2:], 0.5)
    assert image.eq(0.5).all()


def test_seeds_of_another_shape_are_refused(ax):
    with pytest.raises(ValueError, match="cells"):
        draw_seeds(ax, torch.zeros(3, 4, 4), torch.zeros(3, 3, dtype=torch.long))


def test_an_outline_runs_half_a_pixel_outside_the_mask(ax):
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[0:3, 2:5] = True  # touches the upper edge, and is closed there
    draw_outline(ax, mask)
    ends = np.concatenate([path.vertices for line in ax.collections for path in line.get_paths()])
    assert ends.min(0).tolist() == [1.5, -0.5] and ends.max(0).tolist() == [4.5, 2.5]


@pytest.mark.parametrize(("found", "color", "dashed"), [(False, TRUTH, False), (True, FOUND, True)])
def test_truth_is_solid_white_and_what_was_found_dashed_yellow(ax, found, color, dashed):
    draw_outline(ax, torch.ones(4, 4, dtype=torch.bool), found=found)
    beneath, line = ax.collections
    assert same_color(beneath.get_edgecolor()[0], "black") and same_color(line.get_edgecolor()[0], color)
    assert (line.get_linestyle()[0][1] is not None) == dashed


def test_an_empty_mask_has_no_outline(ax):
    draw_outline(ax, torch.zeros(4, 4, dtype=torch.bool))
    assert not ax.collections


def test_pixels_of_another_class_are_tinted_and_own_ones_outlined(ax):
    truth = torch.zeros(6, 6, dtype=torch.long)
    truth[1:4, 1:4] = 3
    found = truth.clone()
    found[5, 5] = 7
    draw_segmentation(ax, torch.full((3, 6, 6), 0.5), found, truth)
    drawn = np.asarray(ax.images[0].get_array())
    changed = np.abs(drawn - 0.5).max(2) > 0.01
    assert changed.sum() == 1 and changed[5, 5]
    assert len(ax.collections) == 4  # two outlines, each with a dark line beneath
