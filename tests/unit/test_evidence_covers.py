"""The study behind notebook 06, on a tiny network, against loops over pixels."""

import math

import numpy as np
import pytest
import torch
from helpers import MAP_LAYER, TinyNet
from scipy.stats import rankdata

from course_utils.evidence import Measurements, blind_maps, mosaic_orders, rank_correlation, study_covers
from course_utils.explain import deletion_curve, grad_cam, insertion_curve
from course_utils.networks import Classifier
from course_utils.pictures import balanced_mosaics, load_photo, mosaic

NAMES = ["cat", "coffee", "camera", "flower"]
LABELS = ["tabby", "espresso", "tripod", "daisy"]
SIZE, CELLS = 16, 8  # pixels of an image, cells of its map: two pixels a cell
COUNTS = {5: 7, 10: 13, 16: 21}  # of 49, and of 64


@pytest.fixture(scope="module")
def classifier():
    net = TinyNet(n_classes=5)
    made = Classifier(net, [*LABELS, "else"], target_layer=MAP_LAYER, size=SIZE)
    made.name = "tiny"
    return made


@pytest.fixture(scope="module")
def table(classifier):
    return Measurements(study_covers(classifier, names=NAMES))


def painted(image, order, count):
    """The image (1, 3, H, W) with its mean color in the ``count`` highest cells of an order (h, w), pixel by pixel."""
    image, color = image.clone(), [float(image[0, channel].mean()) for channel in range(3)]
    for cell in sorted(range(CELLS**2), key=lambda cell: -float(order.flatten()[cell]))[:count]:
        for pixel in range(4):
            y, x = 2 * (cell // CELLS) + pixel // 2, 2 * (cell % CELLS) + pixel % 2
            image[0, :, y, x] = torch.tensor(color)
    return image


@torch.no_grad()
def change(classifier, image, order, count, score):
    return float(score(classifier(painted(image, order, count))[0]) - score(classifier(image)[0]))


@pytest.mark.parametrize("count", [5, 10, 16])
@pytest.mark.parametrize("name", ["Grad-CAM", "lowest cells", "class-free sum", "another class"])
def test_changes_on_photographs_are_those_of_a_loop(classifier, table, count, name):
    images = torch.cat([load_photo(photo).tensor(SIZE) for photo in NAMES])
    raw = grad_cam(classifier, images, torch.arange(4)).maps[:, 0]
    maps = {"Grad-CAM": raw, "lowest cells": -raw, **blind_maps(classifier, images, range(4))}
    found = table.values(f"{count} cells: mean", name, "tiny")
    for n, photo in enumerate(NAMES):
        expected = change(classifier, images[n : n + 1], maps[name][n], COUNTS[count], lambda y, n=n: y[n])
        assert found[photo] == pytest.approx(expected, abs=1e-5)


def test_the_lead_is_that_over_the_highest_other_class(classifier, table):
    for n, photo in enumerate(NAMES):
        image = load_photo(photo).tensor(SIZE)
        scores = classifier(image)[0].tolist()
        rival = max((c for c in range(5) if c != n), key=lambda c: scores[c])
        maps = grad_cam(classifier, image, [n, rival]).maps[0]
        expected = change(classifier, image, maps[0] - maps[1], 7, lambda y, n=n, r=rival: y[n] - y[r])
        found = table.values("lead: 5 cells", "difference", "tiny")
        assert found[photo] == pytest.approx(expected, abs=1e-5)


def test_areas_are_those_of_the_curves(classifier, table):
    for n, photo in enumerate(NAMES):
        image = load_photo(photo).tensor(SIZE)
        raw = grad_cam(classifier, image, n).maps[:, 0]
        for measure, curve in [("deletion area", deletion_curve), ("insertion area", insertion_curve)]:
            expected = float(curve(classifier, image, raw, n).area)
            assert table.values(measure, "Grad-CAM", "tiny")[photo] == pytest.approx(expected, abs=1e-5)


def test_rank_correlation_with_single_squares_is_that_of_the_ranks(classifier, table):
    for n, photo in enumerate(NAMES):
        image = load_photo(photo).tensor(SIZE)
        raw = grad_cam(classifier, image, n).maps[0, 0]
        falls = []
        for cell in range(64):
            alone = torch.zeros(64).index_fill(0, torch.tensor(cell), 1.0)
            falls.append(-change(classifier, image, alone, 1, lambda y, n=n: y[n]))
        expected = np.corrcoef(rankdata(raw.flatten().numpy()), rankdata(falls))[0, 1]
        found = table.values("rank correlation: mean", "Grad-CAM", "tiny")
        assert found[photo] == pytest.approx(
            expected, abs=0.02
        )  # falls that are nearly equal may change ranks


def test_equal_values_share_a_rank_and_a_flat_map_has_no_order():
    a = torch.tensor([[[0.0, 0, 0, 1]], [[1, 2, 3, 4]], [[5, 5, 5, 5]]])
    b = torch.tensor([[[1.0, 2, 3, 4]], [[1, 3, 2, 4]], [[1, 2, 3, 4]]])
    first, second, flat = map(rank_correlation, a, b)
    expected = np.corrcoef(rankdata(a[0, 0].numpy()), rankdata(b[0, 0].numpy()))[0, 1]
    assert first == pytest.approx(expected) and second == pytest.approx(0.8) and math.isnan(flat)


def test_in_mosaics_a_photograph_counts_once_for_each_of_its_four_places(classifier, table):
    expected = {name: [] for name in NAMES}
    for picture in balanced_mosaics(NAMES, size=SIZE):
        image = picture.tensor()
        for photo in picture.photos:
            c = NAMES.index(photo.name)
            raw = grad_cam(classifier, image, c).maps[0, 0]
            expected[photo.name].append(change(classifier, image, raw, 7, lambda y, c=c: y[c]))
    found = table.values("mosaics: 5 cells", "Grad-CAM", "tiny")
    for name, values in expected.items():
        assert len(values) == 4 and found[name] == pytest.approx(sum(values) / 4, abs=1e-5)


@pytest.mark.parametrize(("size", "cells"), [(224, 7), (240, 8), (260, 9), (16, 8)])
@pytest.mark.parametrize("place", range(4))
def test_orders_stay_where_they_say(size, cells, place):
    quarter = mosaic(NAMES, size).quarter(place)
    draw = torch.Generator().manual_seed(0)
    raw, total = torch.randn(2, cells, cells, generator=draw)
    orders = mosaic_orders(quarter, raw, total, draw)
    own, others = set(), set()
    for cell in range(cells**2):
        rows, columns = ([p for p in range(size) if p * cells // size == at] for at in divmod(cell, cells))
        inside = quarter[np.ix_(rows, columns)]
        own |= {cell} if inside.all() else set()
        others |= set() if inside.any() else {cell}
    count = math.floor(5 / 49 * cells**2 + 0.5)
    first = {
        name: order.flatten().argsort(descending=True, stable=True)[:count].tolist()
        for name, order in orders.items()
    }
    for name, chosen in first.items():
        if name.startswith("own"):
            assert set(chosen) <= own, name
        if name.startswith("other"):
            assert set(chosen) <= others, name
    assert torch.equal(orders["Grad-CAM"], raw) and torch.equal(orders["counterfactual"], -raw)
    ranked = sorted(own, key=lambda cell: -float(total.flatten()[cell]))[:count]
    assert first["own: class-free sum"] == ranked
    middle = [(place // 2 + 0.5) / 2, (place % 2 + 0.5) / 2]
    far = [math.dist([(at + 0.5) / cells for at in divmod(cell, cells)], middle) for cell in range(cells**2)]
    nearest = sorted(far[cell] for cell in own)[:count]
    assert [far[cell] for cell in first["own: nearest center"]] == pytest.approx(nearest)
