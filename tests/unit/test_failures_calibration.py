"""Calibration: sums by hand, borders of bins, and bootstrap samples against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from course_utils.failures import (
    expected_calibration_error,
    fit_temperature,
    reliability,
    resampled_error,
    temperatures_of_others,
)

P = [0.9, 0.9, 0.8, 0.8, 0.6, 0.4, 0.4, 0.3, 0.2, 0.2]
RIGHT = [1, 1, 1, 0, 0, 1, 1, 0, 1, 0]


def error_by_loop(confidence, right, bins):
    total = 0.0
    for m in range(bins):
        rows = [i for i, p in enumerate(confidence) if m / bins < p <= (m + 1) / bins or (m == 0 and p == 0)]
        if rows:
            gap = np.mean([right[i] for i in rows]) - np.mean([confidence[i] for i in rows])
            total += len(rows) / len(confidence) * abs(gap)
    return total


def test_ten_answers_by_hand():
    # (0, 0.5]: 3 of 5 right, said 0.3; (0.5, 1]: 3 of 5 right, said 0.8.
    found = reliability(P, RIGHT, bins=2)
    assert found.counts.tolist() == [5, 5]
    assert found.accuracy == pytest.approx([0.6, 0.6]) and found.confidence == pytest.approx([0.3, 0.8])
    assert found.error == pytest.approx(0.5 * 0.3 + 0.5 * 0.2)
    assert expected_calibration_error(P, RIGHT, bins=1) == pytest.approx(0.6 - 0.55)


@pytest.mark.parametrize("bins", [1, 3, 5, 10])
def test_against_a_loop(bins):
    rng = np.random.default_rng(bins)
    p = np.append(rng.random(60).round(1), [0, 1, 0.1, 0.3, 0.7])  # many on the borders
    right = rng.random(65) < p
    assert expected_calibration_error(p, right, bins) == pytest.approx(error_by_loop(p, right, bins))


def test_bins_are_closed_above_and_empty_ones_have_no_accuracy():
    found = reliability([0.2, 0.3, 0.0], [True, False, False], bins=10)
    assert found.counts.tolist() == [1, 1, 1] + [0] * 7
    assert np.isnan(found.accuracy[3:]).all() and np.isnan(found.confidence[3:]).all()


def test_a_calibrated_classifier_has_a_small_error_and_a_boaster_a_large_one():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    assert expected_calibration_error(p, rng.random(20_000) < p) < 0.02
    assert expected_calibration_error(np.full(100, 0.9), np.zeros(100)) == pytest.approx(0.9)


def test_resampling():
    drawn = resampled_error(P, RIGHT, bins=2, draws=50, seed=3)
    rows = np.random.default_rng(3).integers(10, size=(50, 10))
    loop = [error_by_loop([P[i] for i in row], [RIGHT[i] for i in row], 2) for row in rows]
    assert drawn == pytest.approx(loop) and drawn.std() > 0
    assert (resampled_error(P, RIGHT, bins=2, draws=50, seed=3) == drawn).all()


def drawn(n, scale, seed=0):
    """Logits, and right classes drawn from softmax(logits / scale): their temperature is the scale."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 6, generator=draw)
    names = torch.multinomial((logits / scale).softmax(1), 1, generator=draw)
    return logits, names.tolist()


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_answers_is_found(scale):
    logits, right = drawn(20_000, scale)
    assert fit_temperature(logits, right) == pytest.approx(scale, rel=0.05)


def test_a_temperature_against_a_grid_with_several_right_names():
    logits, right = drawn(200, 2.0, seed=1)
    right = [[*names, (names[0] + 1) % 6] for names in right]
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 2001))

    def loss(t):
        p = (logits.double() / t).softmax(1)
        return -np.mean([np.log(sum(p[n, c].item() for c in names)) for n, names in enumerate(right)])

    best = min(grid, key=loss)
    assert fit_temperature(logits, right) == pytest.approx(best, rel=0.01)
    before = logits.clone()
    fit_temperature(logits, right)
    assert torch.equal(logits, before)


def test_each_photograph_gets_the_temperature_of_the_others():
    (a, of_a), (b, of_b), (c, of_c) = (drawn(300, scale, seed) for seed, scale in enumerate((0.5, 2.0, 4.0)))
    photos = ["a"] * 300 + ["b"] * 300 + ["c"] * 300
    found = temperatures_of_others(torch.cat([a, b, c]), of_a + of_b + of_c, photos)
    assert found == {
        "a": fit_temperature(torch.cat([b, c]), of_b + of_c),
        "b": fit_temperature(torch.cat([a, c]), of_a + of_c),
        "c": fit_temperature(torch.cat([a, b]), of_a + of_b),
    }
    changed = temperatures_of_others(torch.cat([9 * a, b, c]), of_a + of_b + of_c, photos)
    assert changed["a"] == found["a"] and changed["b"] != found["b"]
