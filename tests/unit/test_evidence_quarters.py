"""The study behind "is it the right quarter?", against loops over cells, channels and mosaics."""

from collections import Counter

import numpy as np
import pytest
import torch
from helpers import MAP_LAYER, TinyNet, reference_maps

from course_utils.evidence import (
    ENERGY,
    MAXIMUM,
    energy_in,
    maximum_in,
    quarter_mosaics,
    quarters_study,
    weighted_maps,
)
from course_utils.explain import guided_grad_cam, heatmaps
from course_utils.networks import Classifier, imagenet_classes


@pytest.fixture(scope="module")
def mosaics():
    return quarter_mosaics(16)[:5]


@pytest.fixture(scope="module")
def tiny():
    return Classifier(TinyNet(n_classes=1000), imagenet_classes(), target_layer=MAP_LAYER, size=16).eval()


def inputs(tiny, mosaics):
    images = torch.cat([m.tensor() for m in mosaics])
    return images, torch.tensor([[tiny.class_index(p.labels[0]) for p in m.photos] for m in mosaics])


def test_each_photograph_stands_in_each_quarter_once_and_no_class_twice_in_a_mosaic():
    made = quarter_mosaics(16)
    places = Counter((photo.name, place) for m in made for place, photo in enumerate(m.photos))
    assert len(made) == 27 and len(places) == 108 and set(places.values()) == {1}
    assert all(len({photo.labels[0] for photo in m.photos}) == 4 for m in made)


def test_energy_and_maximum_against_loops_over_the_pixels():
    draw = np.random.default_rng(0)
    heat, regions = draw.normal(size=(3, 4, 5)), draw.random((3, 4, 5)) < 0.4
    heat[1] = np.where(np.arange(20).reshape(4, 5) % 7 == 0, 2.0, -1.0)  # three equal maxima
    energy, maximum = (
        energy_in(*map(torch.as_tensor, (heat, regions))),
        maximum_in(*map(torch.as_tensor, (heat, regions))),
    )
    for n in range(3):
        pixels = list(zip(heat[n].flatten(), regions[n].flatten(), strict=True))
        inside = sum(value for value, marked in pixels if marked and value > 0)
        assert energy[n].item() == pytest.approx(inside / sum(value for value, _ in pixels if value > 0))
        best = [marked for value, marked in pixels if value == max(heat[n].flatten())]
        assert maximum[n].item() == pytest.approx(sum(best) / len(best))


def test_a_map_without_a_positive_value_points_nowhere():
    for flat in (torch.zeros(2, 2), -torch.ones(2, 2)):
        region = torch.tensor([[True, False], [False, False]])
        assert energy_in(flat, region).isnan() and maximum_in(flat, region).isnan()


def test_the_weights_of_each_method_against_its_definition(tiny, mosaics):
    images, classes = inputs(tiny, mosaics)
    found = weighted_maps(tiny, images, classes)
    features, head = tiny.net.features, tiny.net.head
    for n, (image, own) in enumerate(zip(images, classes.tolist(), strict=True)):
        a = features((image[None] - 0.5) / 0.5).detach().requires_grad_()  # (1, 8, 8, 8)
        plain = a.detach()[0]
        for k, c in enumerate(own):
            (g,) = torch.autograd.grad(head(a)[0, c], a)
            ablation, score = torch.zeros(8, 8), torch.zeros(8, 8)
            weights = []
            for channel in range(8):
                without = a.detach().clone()
                without[:, channel] = 0
                ablation += (head(a) - head(without))[0, c].item() * plain[channel]
                mask = torch.nn.functional.interpolate(plain[None, None, channel], (16, 16), mode="bilinear")
                mask = (mask - mask.min()) / (mask.max() - mask.min()).clamp_min(1e-12)
                weights.append(tiny((image - 0.5) * mask + 0.5)[0, c].item())
            for weight, channel in zip(torch.tensor(weights).softmax(0), plain, strict=True):
                score += weight * channel
            assert_same(found["Grad-CAM"][n, k], reference_maps(tiny, tiny.target_layer, image[None], c)[0])
            assert_same(found["LayerCAM"][n, k], (g.relu() * a)[0].sum(0).detach())
            assert_same(found["Ablation-CAM"][n, k], ablation, scale=False)
            assert_same(found["Score-CAM"][n, k], score)
        # The first eigenvector of the channels' second moments, by the power method.
        cells = plain.flatten(1).T.double()
        direction = torch.ones(8, dtype=torch.float64)
        for _ in range(500):
            direction = cells.T @ (cells @ direction)
            direction /= direction.norm()
        assert_same(found["Eigen-CAM"][n, 0], (cells @ direction).view(8, 8).float())
        assert found["Eigen-CAM"][n].eq(found["Eigen-CAM"][n, :1]).all() and found["Eigen-CAM"][n].sum() > 0


def test_the_probabilitys_map_is_that_of_the_softmax(tiny, mosaics):
    images, classes = inputs(tiny, mosaics[:1])
    found = weighted_maps(tiny, images, classes)["Grad-CAM of the probability"]
    softmax = torch.nn.Sequential(tiny, torch.nn.Softmax(1))
    for k, c in enumerate(classes[0].tolist()):
        assert_same(found[0, k], reference_maps(softmax, tiny.target_layer, images, c)[0])


def assert_same(found, expected, scale=True):
    if not scale:  # a factor that is the same for all cells says nothing
        found, expected = found / found.abs().max(), expected / expected.abs().max()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_the_study_averages_by_photograph_what_loops_measure(tiny, mosaics):
    rows = quarters_study(tiny, mosaics=mosaics, layers=["features.1"])
    found = {(row.measure, row.map, row.photo): row.value for row in rows}
    images, classes = inputs(tiny, mosaics)
    expected: dict[tuple[str, str, str], list[float]] = {}

    def mean(values):
        said = [value for value in values if not np.isnan(value)]
        return sum(said) / len(said) if said else np.nan

    for m, image, own in zip(mosaics, images.split(1), classes.tolist(), strict=True):
        for k, (photo, c) in enumerate(zip(m.photos, own, strict=True)):
            region = torch.tensor(m.quarter(k))
            size = guided_grad_cam(tiny, image, c)[0, 0].abs().sum(0)
            heats = {
                (ENERGY, "Grad-CAM"): reference_maps(tiny, tiny.target_layer, image, c)[0],
                ("energy, features.1", "Grad-CAM"): reference_maps(tiny, tiny.net.features[1], image, c)[0],
                (ENERGY, "Guided Grad-CAM"): size,
                (MAXIMUM, "Guided Grad-CAM"): size,
            }
            for (measure, name), raw in heats.items():
                heat = size if raw is size else heatmaps(raw, 16)
                share = heat[region].sum() / heat.sum()
                hit = region.flatten()[heat.argmax()] if heat.max() > 0 else np.nan
                inside = hit if measure == MAXIMUM else share
                expected.setdefault((measure, name, photo.name), []).append(float(inside))
    for key, values in expected.items():
        assert found[key] == pytest.approx(mean(values), abs=1e-4, nan_ok=True), key


def test_every_map_has_a_value_for_every_photograph_and_the_centre_is_on_chance(tiny, mosaics):
    rows = quarters_study(tiny, mosaics=mosaics, layers=[MAP_LAYER])
    photos = {photo.name for m in mosaics for photo in m.photos}
    by_map = Counter((row.measure, row.map) for row in rows)
    assert set(by_map.values()) == {len(photos)}
    assert {"gradient", "guided backprop", "occlusion", "class-free sum", "another class"} <= {
        m for _, m in by_map
    }
    centre = [row.value for row in rows if row.map == "centre blob"]
    assert centre == pytest.approx([0.25] * len(centre), abs=1e-5)


def test_the_maps_of_others_are_no_maps_of_the_same_mosaic(tiny, mosaics):
    """In the mosaics' own order, each next pair is a class of the same mosaic, whose map would be sure to miss."""
    from course_utils.evidence import quarters

    images, classes = inputs(tiny, mosaics)
    maps = quarters._blind(tiny, images, classes)
    own = weighted_maps(tiny, images, classes)["Grad-CAM"]
    assert maps["another picture"].shape == own.shape
    same = [
        torch.allclose(maps["another picture"][n, k], own[n, j], atol=1e-6)
        for n in range(len(images))
        for k in range(4)
        for j in range(4)
    ]
    assert (
        sum(same) < 0.4 * own.shape[0] * 4
    )  # of a drawn order, about a fifth; of the mosaics' own, three in four
    torch.testing.assert_close(maps["class-free sum"][:, 0], maps["class-free sum"][:, 3])
