"""Figures of notebook 12: what is drawn is what was measured."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_utils.show import plots
from course_utils.xray import draw_answer, draw_doses, draw_repairs, draw_twins, radiographs, xray_net


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_an_answer_says_both_probabilities():
    films, net = radiographs(4, size=64), xray_net(1).eval()
    n = int(films.has_finding.nonzero()[0])
    _, (ax,) = plots.panels(1)
    stamped, clean = draw_answer(ax, net, films, n, "some words")
    with torch.no_grad():
        assert stamped == pytest.approx(float(net(films.stamped[n : n + 1]).softmax(1)[0, 1]), abs=1e-5)
        assert clean == pytest.approx(float(net(films.clean[n : n + 1]).softmax(1)[0, 1]), abs=1e-5)
    assert ax.get_title() == f"some words\nstamp {stamped:.2f}, none {clean:.2f}"


def test_twins_are_dots_by_label():
    clean, stamped = torch.tensor([-1.0, -2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])
    lines = lines_of(draw_twins(clean, stamped, torch.tensor([False, True, True])))
    assert lines["normal"].get_xydata().tolist() == [[-1, 1]]
    assert lines["finding"].get_xydata().tolist() == [[-2, 2], [3, 4]]


def test_doses_are_means_with_bands():
    rows = {
        name: torch.tensor([[0.0, 0.2], [0.4, 0.8]]) for name in ("flip_rate", "biased", "flipped", "corner")
    }
    figure = draw_doses([0.5, 0.9], rows, area=0.25)
    lines = lines_of(figure)
    np.testing.assert_allclose(lines["flip rate"].get_xydata(), [[0.5, 0.1], [0.9, 0.6]], atol=1e-6)
    assert {
        "accuracy, stamp as in (1)",
        "accuracy where the stamp lies",
        "energy in the corner",
    } <= lines.keys()
    assert list(lines["area of the corner"].get_ydata()) == [0.25, 0.25]
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0, 0.8))


def test_repairs_are_dots_by_name():
    box = {"none": torch.tensor([0.2, 0.3]), "balance": torch.tensor([0.0, 0.1])}
    flips = {"none": torch.tensor([0.9, 0.8]), "balance": torch.tensor([0.1, 0.2])}
    lines = lines_of(draw_repairs(box, flips, area=0.05))
    np.testing.assert_allclose(lines["none"].get_xydata(), [[0.2, 0.9], [0.3, 0.8]], atol=1e-6)
    np.testing.assert_allclose(lines["balance"].get_xydata(), [[0.0, 0.1], [0.1, 0.2]], atol=1e-6)
