"""The explorer of masks and seeds: every value of every control, and its numbers against masks made here."""

from __future__ import annotations

import re
import time

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.explain import grad_cam
from course_utils.networks import small_net
from course_utils.pictures import SHAPES, scenes
from course_utils.widgets import segmentation_explorer


@pytest.fixture(scope="module")
def shown():
    return scenes(4, seed=21)


@pytest.fixture(scope="module")
def nets():
    made = {"pooling": small_net("vgg_gap", SHAPES), "dense": small_net("vgg", SHAPES)}
    for net in made.values():
        for part in net.net.head:
            if isinstance(part, torch.nn.Linear):
                part.weight.data.abs_()  # every cell speaks for every class: no map is empty
    return made


@pytest.fixture(scope="module")
def explorer(nets, shown):
    return segmentation_explorer(nets, shown)


def words_of(explorer, **setting):
    figure, words = explorer.draw(**{**explorer.values, **setting})
    plt.close(figure)
    return words


@pytest.mark.parametrize("name", ["source", "scene", "foreground", "background"])
def test_every_value_of_every_control_is_drawn_and_said(explorer, name):
    start = dict(explorer.values)
    control = explorer.controls[name]
    if hasattr(control, "options"):
        values = list(control.options)
    else:
        values = list(range(control.min, control.max + 1, control.step))
    explorer.set(background=0 if name == "foreground" else 10)
    seen = set()
    for value in values:
        explorer.set(**{name: value})
        assert 'role="alert"' not in explorer.html
        assert "<figcaption" in explorer.html and "IoU" in explorer.html
        seen.add(explorer.html)
    explorer.set(**start)
    assert len(seen) > 1
    if name in ("source", "scene"):
        assert len(seen) == len(values)


@pytest.mark.parametrize("source", ["pooling", "dense"])
@pytest.mark.parametrize(
    ("scene", "foreground", "background"), [(1, 50, 10), (2, 20, 20), (3, 80, 0), (4, 5, 5)]
)
def test_the_numbers_are_those_of_the_mask(explorer, nets, shown, source, scene, foreground, background):
    n = scene - 1
    words = words_of(explorer, source=source, scene=scene, foreground=foreground, background=background)
    e = grad_cam(nets[source], shown.images[n : n + 1], [int(shown.labels[n])])
    heat = e.heatmaps()[0, 0]
    mask, truth = heat >= foreground / 100, shown.masks[n, 0]
    found = re.search(r"IoU of (\S+) with.*: (\d+)% of it is right, (\d+)% of the object is in it", words)
    assert float(found[1]) == pytest.approx(float((mask & truth).sum() / (mask | truth).sum()), abs=0.006)
    assert float(found[2]) == pytest.approx(100 * float(truth[mask].float().mean()), abs=0.6)
    assert float(found[3]) == pytest.approx(100 * float(mask[truth].float().mean()), abs=0.6)
    unlabeled = float(((heat < foreground / 100) & (heat >= background / 100)).float().mean())
    assert float(re.search(r"(\d+)% of the picture stays", words)[1]) == pytest.approx(
        100 * unlabeled, abs=0.6
    )
    ground = heat < background / 100
    blue = re.search(r"right in (\d+)% of its pixels", words)
    assert (blue is None) == (not ground.any())
    if blue is not None:
        assert float(blue[1]) == pytest.approx(100 * float((~truth)[ground].float().mean()), abs=0.6)
    best = re.search(r"has (\S+), at (\d+)%", words)
    at = heat >= int(best[2]) / 100
    assert float(best[1]) == pytest.approx(float((at & truth).sum() / (at | truth).sum()), abs=0.006)
    assert float(best[1]) >= float(found[1])


def test_thresholds_out_of_order_are_refused_in_words(explorer):
    explorer.set(foreground=20, background=30)
    assert 'role="alert"' in explorer.html and "30%" in explorer.html
    explorer.set(foreground=50, background=10)
    assert 'role="alert"' not in explorer.html


def test_an_empty_map_is_said_to_be_empty(shown):
    net = small_net("vgg_gap", SHAPES)
    with torch.no_grad():
        net.net.head[2].weight.fill_(-1)
    assert "empty" in words_of(segmentation_explorer({"negative": net}, shown))


def test_a_redraw_is_fast(explorer):
    values = dict(explorer.values)
    times = []
    for foreground in (20, 30, 40, 60, 70):
        start = time.process_time()
        explorer.set(foreground=foreground)
        times.append(time.process_time() - start)
    explorer.set(**values)
    assert min(times) < 0.3, times  # of processor time


def test_without_a_background_there_is_no_blue(explorer):
    assert "blue: none" in words_of(explorer, background=0)
    assert "blue the background (right in" in words_of(explorer, foreground=50, background=50)
