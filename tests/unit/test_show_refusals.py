"""What the figures refuse, in words; a figure that is refused is not left open."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_utils.show import (
    draw_gradient,
    draw_grids,
    draw_heatmap,
    draw_pooled_head,
    draw_pyramid,
    draw_relu_rules,
    draw_seeds,
    draw_signed,
    draw_sliding,
    figure_html,
    gradient_limit,
    gradient_picture,
    panels,
    plots,
)


@pytest.fixture
def ax():
    figure, (ax,) = panels(1)
    yield ax
    plt.close(figure)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda ax: figure_html(ax.figure, ""), ValueError, "caption"),
        (lambda ax: figure_html(ax.figure, "  "), ValueError, "caption"),
        (lambda ax: plots.as_image(torch.rand(2, 3, 4, 4)), ValueError, "one image"),
        (lambda ax: draw_heatmap(ax, np.array([[2.0]])), ValueError, r"\[0, 1\]"),
        (lambda ax: draw_heatmap(ax, np.array([[-1.0]])), ValueError, "draw_signed"),
        (lambda ax: draw_heatmap(ax, np.array([[np.nan]])), ValueError, "nan"),
        (lambda ax: draw_heatmap(ax, np.zeros((2, 2, 3))), ValueError, "shape"),
        (lambda ax: draw_heatmap(ax, np.ones((2, 2)), np.ones((4, 4, 3))), ValueError, "differ in size"),
        (lambda ax: draw_heatmap(ax, np.ones((2, 2)), blend=2), ValueError, "blend must lie .*, got 2"),
        (lambda ax: draw_signed(ax, np.ones((2, 2, 3))), ValueError, r"shape \(h, w\), got \(2, 2, 3\)"),
        (
            lambda ax: gradient_picture(torch.ones(2, 3, 4, 4)),
            ValueError,
            r"shape \(3, H, W\), got \(2, 3, 4, 4\)",
        ),
        (lambda ax: draw_gradient(ax, torch.ones(4, 4)), ValueError, r"shape \(3, H, W\)"),
        (lambda ax: gradient_picture(torch.ones(4, 4)), ValueError, r"shape \(3, H, W\)"),
        (lambda ax: gradient_picture(torch.full((3, 2, 2), torch.nan)), ValueError, "only finite ones"),
        (lambda ax: gradient_picture(torch.ones(3, 0, 2)), ValueError, "at least one value"),
        (
            lambda ax: gradient_picture(torch.ones(3, 2, 2), 0.0),
            ValueError,
            "limit must be a positive number, got 0",
        ),
        (
            lambda ax: gradient_picture(torch.ones(3, 2, 2), np.nan),
            ValueError,
            "limit must be a positive number",
        ),
        (lambda ax: gradient_limit(), ValueError, "at least one image"),
        (lambda ax: gradient_limit(torch.ones(3), percentile=0), ValueError, "not above 100, got 0"),
        (lambda ax: gradient_limit(torch.ones(3), percentile=101), ValueError, "not above 100, got 101"),
        (lambda ax: gradient_limit(torch.ones(3), percentile=-1), ValueError, "not above 100, got -1"),
        (lambda ax: draw_seeds(ax, torch.zeros(3, 4, 4), torch.zeros(3, 3)), ValueError, "cells"),
        (lambda ax: draw_pooled_head(torch.ones(3, 2, 2), torch.ones(3), 0), ValueError, r"\(3, 2, 2\)"),
        (lambda ax: draw_relu_rules([], []), ValueError, "got 0 and 0"),
        (lambda ax: draw_relu_rules([1.0] * 5, [1.0] * 5), ValueError, "got 5 and 5"),
        (lambda ax: draw_relu_rules([1.0, 2.0], [1.0]), ValueError, "got 2 and 1"),
        (lambda ax: draw_pyramid([(3, 1), (3, 2), (3, 1)], 15, 4), ValueError, "cells 0 to 3"),
        (lambda ax: draw_sliding(3, 5), ValueError, "No window fits"),
        (lambda ax: draw_grids(3, 3, (5, 1)), ValueError, "No window fits"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, call, error, words):
    open_before = plt.get_fignums()
    with pytest.raises(error, match=words):
        call(ax)
    assert plt.get_fignums() == open_before
