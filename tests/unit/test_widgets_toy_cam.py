"""The explorer of the toy net: what it shows, against sums written out in plain Python."""

from __future__ import annotations

import itertools
import re
import time

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.widgets import Explorer, toy_cam, toy_cam_explorer

A1 = [[4, 0, 1], [2, 2, 0], [0, 3, 1]]
A2 = [[0, 4, 0], [0, 8, 2], [1, 0, 5]]


def by_hand(cell, w1, w2, pooling, size, bias=1):
    """Logit, CAM and Grad-CAM as nested lists, from the formulas alone: no torch, no gradient."""
    side = int(size[0])
    z = side * side
    first = [[cell if i == j == 0 else A1[i][j] for j in range(side)] for i in range(side)]
    cam = [[w1 * first[i][j] + w2 * A2[i][j] for j in range(side)] for i in range(side)]
    divisor = z if pooling == "mean" else 1
    pooled = [sum(map(sum, first)) / divisor, sum(sum(row[:side]) for row in A2[:side]) / divisor]
    logit = w1 * pooled[0] + w2 * pooled[1] + bias
    return logit, cam, [[value / divisor for value in row] for row in cam]


def words_of(explorer: Explorer, **setting) -> str:
    figure, words = explorer.draw(**{**explorer.values, **setting})
    plt.close(figure)
    return words


def texts_of(explorer: Explorer, **setting) -> list[str]:
    figure, _ = explorer.draw(**{**explorer.values, **setting})
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    plt.close(figure)
    return texts


def settings_of(name: str, explorer: Explorer) -> list:
    control = explorer.controls[name]
    if hasattr(control, "options"):
        return list(control.options)
    steps = round((control.max - control.min) / control.step)
    return [control.min + n * control.step for n in range(steps + 1)]


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return toy_cam_explorer()


@pytest.mark.parametrize("name", ["cell", "w1", "w2", "bias", "pooling", "size"])
def test_every_value_of_every_control_changes_picture_and_words(explorer, name):
    start = dict(explorer.values)
    seen = set()
    values = settings_of(name, explorer)
    for value in values:
        explorer.set(**{name: value})
        assert 'role="alert"' not in explorer.html
        assert "<figcaption" in explorer.html
        seen.add(explorer.html)
    explorer.set(**start)
    assert len(seen) == len(values)


SETTINGS = list(itertools.product([0, 4, 8], [-3, 0, 1.5], [-1, 0, 2.5], ["mean", "sum"], ["2 x 2", "3 x 3"]))


@pytest.mark.parametrize(("cell", "w1", "w2", "pooling", "size"), SETTINGS)
def test_the_maps_are_those_computed_by_hand(cell, w1, w2, pooling, size):
    side = int(size[0])
    a = torch.tensor([A1, A2], dtype=torch.float32)[:, :side, :side].clone()
    a[0, 0, 0] = cell
    maps = toy_cam.toy_maps(a, torch.tensor([w1, w2], dtype=torch.float32), 1, pooling)
    logit, cam, grad_cam = by_hand(cell, w1, w2, pooling, size)
    assert maps.logit == pytest.approx(logit)
    torch.testing.assert_close(maps.cam, torch.tensor(cam, dtype=torch.float32))
    torch.testing.assert_close(maps.grad_cam, torch.tensor(grad_cam, dtype=torch.float32))
    assert maps.factor == (side * side if pooling == "mean" else 1)
    torch.testing.assert_close(maps.cam, maps.factor * maps.grad_cam)


@pytest.mark.parametrize("setting", SETTINGS[::7])
def test_the_numbers_shown_are_those_computed_by_hand(explorer, setting):
    named = dict(zip(("cell", "w1", "w2", "pooling", "size"), setting, strict=True))
    logit, cam, grad_cam = by_hand(**named)
    words = words_of(explorer, **named)
    found = re.search(r"The logit is (\S+) = .* = Grad-CAM's sum \+ bias = (\S+) \+ 1\.", words)
    assert float(found[1]) == pytest.approx(logit, abs=6e-4)
    assert float(found[2]) + 1 == pytest.approx(logit, abs=6e-4)
    total = sum(map(sum, cam))
    addition = re.search(r"CAM's sum( / Z)? \+ bias = (\S+)(?: / (\d+))? \+ 1", words)
    assert float(addition[2]) == pytest.approx(total, abs=6e-4)
    assert float(addition[2]) / float(addition[3] or 1) + 1 == pytest.approx(logit, abs=6e-4)

    texts = texts_of(explorer, **named)
    for name, expected in (("raw CAM", cam), ("raw Grad-CAM", grad_cam)):
        start = next(n for n, text in enumerate(texts) if text.startswith(name + "\n")) + 1
        shown = [float(text) for text in texts[start : start + len(cam) ** 2]]
        assert shown == pytest.approx([value for row in expected for value in row], abs=6e-4)
    alphas = [float(value) for text in texts for value in re.findall(r"α. = (\S+)", text)]
    divisor = len(cam) ** 2 if named["pooling"] == "mean" else 1
    assert alphas == pytest.approx([named["w1"] / divisor, named["w2"] / divisor], abs=6e-4)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize("bias", [-3, 0, 2])
def test_the_bias_moves_the_logit_and_neither_map(explorer, bias, pooling):
    named = {"cell": 5, "w1": 1.5, "w2": -1, "pooling": pooling, "size": "3 x 3"}
    logit, _, grad_cam = by_hand(**named, bias=bias)
    words = words_of(explorer, **named, bias=bias)
    found = re.search(
        r"The logit is (\S+) = .* ([+-]) (\d) = Grad-CAM's sum \+ bias = (\S+) ([+-]) (\d)\.", words
    )
    assert float(found[1]) == pytest.approx(logit, abs=6e-4)
    assert int(found[2] + found[3]) == int(found[5] + found[6]) == bias
    assert float(found[4]) == pytest.approx(sum(map(sum, grad_cam)), abs=6e-4)
    assert texts_of(explorer, **named, bias=bias) == texts_of(explorer, **named)


def test_the_words_say_which_factor_lies_between_the_maps(explorer):
    assert "every cell of CAM is 4 times" in words_of(explorer, pooling="mean", size="2 x 2")
    assert "every cell of CAM is 9 times" in words_of(explorer, pooling="mean", size="3 x 3")
    assert "the same numbers" in words_of(explorer, pooling="sum")


def test_an_empty_map_is_named_in_words_and_picture(explorer):
    setting = {"w1": -3, "w2": -1, "pooling": "mean"}
    assert "both heat-maps are empty" in words_of(explorer, **setting)
    assert sum("no positive evidence" in text for text in texts_of(explorer, **setting)) == 2
    assert "heat-maps are equal" in words_of(explorer, w1=3)


def test_a_redraw_is_fast(explorer):
    values = dict(explorer.values)
    times = []
    for cell in (0, 1, 2, 3, 5):
        start = time.process_time()
        explorer.set(cell=cell)
        times.append(time.process_time() - start)
    explorer.set(**values)
    assert min(times) < 0.3, times  # of processor time, which counts waiting for a shared core's cache, too


def test_what_does_not_fit_is_refused():
    a = torch.ones(2, 2, 2)
    with pytest.raises(ValueError, match=r"activations \(C, h, w\)"):
        toy_cam.toy_maps(a[0], torch.ones(2))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        toy_cam.toy_maps(a, torch.ones(3))
    with pytest.raises(ValueError, match="'max'"):
        toy_cam.toy_maps(a, torch.ones(2), pooling="max")


def test_it_works_where_gradients_are_off_and_leaves_its_inputs_alone():
    a = torch.ones(2, 2, 2)
    with torch.no_grad():
        maps = toy_cam.toy_maps(a, torch.tensor([3.0, -1.0]))
    assert isinstance(maps, toy_cam.ToyMaps)
    assert maps.alphas.tolist() == [0.75, -0.25]
    assert not a.requires_grad
