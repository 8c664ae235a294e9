"""The explorer of the threshold: what it says and draws, against boxes found by a loop of its own."""

from __future__ import annotations

import re
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from skimage.measure import label, regionprops

from course_utils.explain import grad_cam
from course_utils.networks import load_classifier
from course_utils.pictures import load_photo
from course_utils.widgets import Explorer, threshold_explorer

PHOTOS = ["cat", "coffee", "rocket", "camera", "motorcycle", "palace", "flower"]
THRESHOLDS = list(range(5, 100, 5))


@pytest.fixture(scope="module")
def clf():
    return load_classifier()


@pytest.fixture(scope="module")
def explorer(clf) -> Explorer:
    return threshold_explorer(clf)


@pytest.fixture(scope="module")
def heatmaps(clf) -> dict[str, np.ndarray]:
    return {
        name: grad_cam(clf, load_photo(name).tensor(), load_photo(name).labels[0]).heatmaps()[0, 0].numpy()
        for name in PHOTOS
    }


def drawn(explorer: Explorer, **setting) -> tuple[list[tuple], str]:
    """The two boxes of the right panel (the true one, the found one) as (x0, y0, x1, y1), and the words."""
    figure, words = explorer.draw(**{**explorer.values, **setting})
    outlines = [patch for patch in figure.axes[1].patches if isinstance(patch, Rectangle)][1::2]
    boxes = [
        (p.get_x() + 0.5, p.get_y() + 0.5, p.get_x() + p.get_width() + 0.5, p.get_y() + p.get_height() + 0.5)
        for p in outlines
    ]
    plt.close(figure)
    return boxes, words


def overlap(a, b) -> float:
    """IoU by counting pixels."""
    grids = []
    for x0, y0, x1, y1 in (a, b):
        grid = np.zeros((224, 224), dtype=bool)
        grid[int(y0) : int(y1), int(x0) : int(x1)] = True
        grids.append(grid)
    return (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()


def test_it_offers_every_photograph_that_has_a_class(explorer):
    assert list(explorer.controls["photo"].options) == PHOTOS
    control = explorer.controls["threshold"]
    assert list(range(control.min, control.max + 1, control.step)) == THRESHOLDS
    assert control.value == 15


@pytest.mark.parametrize("photo", PHOTOS)
def test_every_threshold_shows_the_box_and_the_iou_that_a_second_library_finds(explorer, heatmaps, photo):
    heat, truth = heatmaps[photo], load_photo(photo).square().box
    for threshold in THRESHOLDS:
        boxes, words = drawn(explorer, photo=photo, threshold=threshold)
        marked = heat >= threshold / 100 * heat.max()
        parts = regionprops(label(marked, connectivity=2))
        y0, x0, y1, x1 = max(parts, key=lambda part: part.num_pixels).bbox
        assert boxes == [truth, (x0, y0, x1, y1)]
        assert f"{marked.mean():.0%} of the picture reaches {threshold}%" in words
        assert ("in one piece" in words) == (len(parts) == 1)
        assert f"in {len(parts)} pieces" in words or len(parts) == 1
        found = overlap(boxes[0], boxes[1])
        assert f"IoU is {found:.3f}" in words
        assert ("enough for a hit" in words) == (found >= 0.5)
        assert ("a miss" in words) == (found < 0.5)


def test_moving_the_controls_draws_anew(explorer):
    start = dict(explorer.values)
    seen = set()
    for photo in PHOTOS[:3]:
        for threshold in (5, 50, 95):
            explorer.set(photo=photo, threshold=threshold)
            assert 'role="alert"' not in explorer.html
            assert re.search(r"<figcaption[^>]*>", explorer.html)
            seen.add(explorer.html)
    explorer.set(**start)
    assert len(seen) == 9


def test_an_empty_map_has_no_box_and_says_so(clf, monkeypatch):
    explorer = threshold_explorer(clf, ["cat"])
    empty = grad_cam(clf, load_photo("cat").tensor(), "tabby")
    object.__setattr__(empty, "maps", torch.zeros_like(empty.maps))
    monkeypatch.setattr("course_utils.widgets.localization.grad_cam", lambda *arguments: empty)
    explorer = threshold_explorer(clf, ["cat"])
    boxes, words = drawn(explorer)
    assert len(boxes) == 1
    assert "no box" in words


def test_photographs_that_do_not_fit_are_refused(clf):
    with pytest.raises(ValueError, match="no class of ImageNet fits the photograph 'astronaut'"):
        threshold_explorer(clf, ["cat", "astronaut"])
    with pytest.raises(ValueError, match="dog"):
        threshold_explorer(clf, ["dog"])


def test_a_redraw_is_fast(explorer):
    start = dict(explorer.values)
    times = []
    for threshold in (20, 40, 60, 80):
        begin = time.process_time()
        explorer.set(threshold=threshold)
        times.append(time.process_time() - begin)
    explorer.set(**start)
    assert min(times) < 0.3, times
