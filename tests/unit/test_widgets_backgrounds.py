"""The explorer of the correlation: every value of every control, and its numbers against heads trained here."""

from __future__ import annotations

import re
import time

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.backgrounds import CLASSES, GROUNDS, TESTED, biased_head, feature_maps, labels_of, pictures
from course_utils.networks import load_classifier
from course_utils.widgets import background_explorer


@pytest.fixture(scope="module")
def maps():
    clf = load_classifier(device="cpu")
    return torch.stack([feature_maps(clf, pictures(TESTED[:12], ground, "test")) for ground in GROUNDS], 1)


@pytest.fixture(scope="module")
def explorer(maps):
    return background_explorer(maps)


def words_of(explorer, **setting):
    figure, words = explorer.draw(**{**explorer.values, **setting})
    plt.close(figure)
    return words


@pytest.mark.parametrize("name", ["strength", "repair", "picture"])
def test_every_value_of_every_control_is_drawn_and_said(explorer, name):
    start, control = dict(explorer.values), explorer.controls[name]
    seen = set()
    for value in control.options:
        explorer.set(**{name: value})
        assert 'role="alert"' not in explorer.html and "<figcaption" in explorer.html
        seen.add(explorer.html)
    explorer.set(**start)
    assert len(seen) == len(control.options)


@pytest.mark.parametrize(
    ("strength", "repair"), [(50, "none"), (95, "group weights"), (100, "none"), (95, "none")]
)
def test_the_numbers_are_those_of_the_heads(explorer, maps, strength, repair):
    words = words_of(explorer, strength=strength, repair=repair)
    labels, pooled = labels_of(TESTED[:12]), maps.mean((3, 4))
    tables = []
    for run in range(3):
        head = biased_head(run, strength / 100, repair)
        right = head(pooled).argmax(2) == labels[:, None]
        tables.append(torch.stack([right[labels == c].double().mean(0) for c in (0, 1)]))
    means = torch.stack(tables).mean(0)
    for c, name in enumerate(CLASSES):
        for g, ground in enumerate(GROUNDS):
            said = re.search(rf"{name} on {ground} (\d\.\d+)", words)[1]
            assert float(said) == pytest.approx(float(means[c, g]), abs=0.006)
    assert f"worst group has {means.min():.2f}" in words
    p = biased_head(0, strength / 100, repair)(pooled[0]).softmax(1)[:, 0]
    said = re.search(r"probability is (\S+) on gravel and (\S+) on grass", words)
    for text, value in zip(said.groups(), p, strict=True):
        assert text == "<0.01" or float(text) == pytest.approx(float(value), abs=0.006)


def test_an_empty_map_is_said_to_be_empty(explorer):
    assert any(
        "the map is empty" in words_of(explorer, strength=100, picture=p)
        for p in explorer.controls["picture"].options
    )


def test_an_answer_is_fast(explorer):
    start, times = dict(explorer.values), []
    for strength in (50, 80, 90, 100):
        begin = time.process_time()
        explorer.set(strength=strength)
        times.append(time.process_time() - begin)
    explorer.set(**start)
    assert min(times) < 0.3, times


def test_other_maps_are_refused(maps):
    for wrong in (maps[:, 0], maps[:5], maps[:, :1], maps.repeat(5, 1, 1, 1, 1)):
        with pytest.raises(ValueError, match="at least 12 and at most 48"):
            background_explorer(wrong)
