"""Intervals by photograph, and maps that are blind to the class."""

import numpy as np
import pytest
import torch
from helpers import MAP_LAYER, TinyNet, tiny_images
from scipy import stats

from course_utils.assets import AssetError
from course_utils.evidence import (
    BLIND,
    Measurement,
    Measurements,
    blind_maps,
    centre_blob,
    interval,
    load_measurements,
    save_measurements,
)
from course_utils.explain import ForwardHook, grad_cam


def test_the_interval_is_the_percentile_bootstrap_of_scipy():
    values = np.random.default_rng(3).normal(1, 2, 28)
    found = interval(values)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile"
    ).confidence_interval
    assert found.mean == pytest.approx(values.mean()) and found.n == 28
    # Two sets of drawings differ by their own error: a tenth of the interval's length is far outside it.
    tolerance = (found.high - found.low) / 10
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=tolerance)


def test_it_covers_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(0)
    hits = [(found := interval(draw.exponential(1, 28))).low < 1 < found.high for _ in range(200)]
    assert 0.85 < np.mean(hits) < 0.98  # of a skewed quantity, somewhat less than 0.95


def test_mosaics_of_one_photograph_are_no_further_evidence():
    values, photos = [1, 2, 4, 0], ["cat", "dog", "fox", "bee"]
    once = interval(values, photos)
    assert interval(values * 9, photos * 9) == once and once.n == 4
    assert interval([1, 1, 1, 5], ["cat", "cat", "cat", "dog"]).mean == 3


def test_it_prints_itself():
    found = interval([1, 2, 3, 4, 5])
    assert str(found) == "3.00 (1.80 to 4.20)" and f"{found:+.1f}" == "+3.0 (+1.8 to +4.2)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0],), "at least two photographs, got 1"),
        (([1.0, 2.0], ["cat", "cat"]), "at least two photographs, got 1"),
        (([1.0, float("nan")],), "value 1 is nan"),
        (([1.0, 2.0], ["cat"]), "2 values cannot belong to 1"),
        (([1.0, 2.0], None, 95), "write 0.95"),
    ],
)
def test_what_gives_no_interval_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        interval(*arguments)


def test_blind_maps_are_what_they_are_called():
    net, images, labels = TinyNet(), tiny_images(3), torch.tensor([1, 1, 4])
    maps = blind_maps(net, images, labels, MAP_LAYER)
    assert list(maps) == list(BLIND) and all(m.shape == (3, 4, 4) for m in maps.values())
    with torch.no_grad(), ForwardHook(net.get_submodule(MAP_LAYER)) as hook:
        net(images)
    torch.testing.assert_close(maps["class-free sum"], hook.stored.sum(1))
    others, of = [4, 4, 1], [2, 2, 0]  # the next image with another class, and its class
    for i in range(3):
        expected = grad_cam(net, images[i : i + 1], others[i], MAP_LAYER).maps[0, 0]
        torch.testing.assert_close(maps["another class"][i], expected)
        expected = grad_cam(net, images[of[i]][None], others[i], MAP_LAYER).maps[0, 0]
        torch.testing.assert_close(maps["another picture"][i], expected)


def test_blind_maps_need_two_classes():
    with pytest.raises(ValueError, match="all images show one class"):
        blind_maps(TinyNet(), tiny_images(2), [3, 3], MAP_LAYER)


def test_the_blob_is_highest_in_the_middle_and_even():
    blob = centre_blob(5, 8)
    assert blob.shape == (5, 8) and torch.equal(blob, blob.flip(0)) and torch.equal(blob, blob.flip(1))
    assert blob.argmax() // 8 == 2 and blob[2, 3] > blob[2, 1] > blob[2, 0] > blob[0, 0] > 0


ROWS = [
    Measurement("net", photo, "fall", map, value)
    for map, values in {"Grad-CAM": [1.0, 3.0, 2.0], "blind": [0.5, float("nan"), 1.0]}.items()
    for photo, value in zip(("cat", "dog", "fox"), values, strict=True)
]


def test_measurements_are_stored_and_read_with_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("course_utils.assets.DATA", tmp_path)
    (tmp_path / "measurements").mkdir()
    save_measurements(ROWS, tmp_path / "measurements" / "99_test.csv")
    read = load_measurements("99_test")
    assert len(read) == 6
    assert read.values("fall", "blind", "net") == {"cat": 0.5, "fox": 1.0}
    assert read.interval("fall", "Grad-CAM", "net") == interval([1, 3, 2])
    assert read.difference("fall", "Grad-CAM", "blind", "net") == interval([0.5, 1.0])  # pairs alone
    with pytest.raises(AssetError, match="98_test"):
        load_measurements("98_test")


def test_a_measure_that_is_not_there_and_two_values_for_one_place():
    with pytest.raises(KeyError, match=r"no 'rise' of 'blind'.*fall.*Grad-CAM, blind"):
        Measurements(ROWS).values("rise", "blind", "net")
    with pytest.raises(ValueError, match="two values for 'fall' of 'blind' on 'fox'"):
        Measurements([*ROWS, ROWS[-1]])
