"""Weights shuffled from the top: each step against a loop that says what it means."""

import copy
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_images
from torch import nn

from course_utils.evidence import (
    SHUFFLED,
    Measurements,
    averaged_study,
    rank_correlation,
    sanity_maps,
    sanity_study,
    shuffle_weights,
)
from course_utils.explain import (
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from course_utils.networks import Classifier, imagenet_classes, load_classifier
from course_utils.pictures import balanced_mosaics, load_photo

PHOTOS = ["cat", "coffee", "rocket", "camera"]


def classifier():
    net = TinyNet(n_classes=1000)
    made = Classifier(net, imagenet_classes(), target_layer="features.5", size=24)
    made.name = "tiny"
    return made


def test_shuffling_moves_the_weights_of_each_layer_inside_it_and_nothing_else():
    net = TinyNet()
    before, objects = copy.deepcopy(net.state_dict()), list(net.parameters())
    count = shuffle_weights(net, seed=3)
    layers = [name for name, part in net.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert count == sum(before[f"{name}.weight"].numel() for name in layers)
    for name, after in net.state_dict().items():
        if name.removesuffix(".weight") in layers:
            assert not torch.equal(after, before[name]), f"{name} should be shuffled"
            assert torch.equal(after.flatten().sort().values, before[name].flatten().sort().values)
        else:
            assert torch.equal(after, before[name]), f"{name} should stay"
    assert all(a is b and b.requires_grad for a, b in zip(net.parameters(), objects, strict=True))


def test_a_seed_is_one_shuffling_and_a_single_layer_counts_too():
    made = []
    for seed in (5, 5, 6):
        layer = TinyNet().head[3]
        assert shuffle_weights(layer, seed) == 40
        made.append(layer.weight.clone())
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def by_counting(a, b):
    """Spearman's correlation by its definition: a rank is the mean place among equals."""

    def ranks(values):
        return [sum(u < v for u in values) + (sum(u == v for u in values) - 1) / 2 for v in values]

    return np.corrcoef(ranks(a.flatten().tolist()), ranks(b.flatten().tolist()))[0, 1]


def test_the_rank_correlation_shares_the_rank_of_ties():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 7, 7, generator=draw)
    assert rank_correlation(a, b) == pytest.approx(by_counting(a, b))
    assert rank_correlation(a.relu(), b.relu()) == pytest.approx(by_counting(a.relu(), b.relu()))
    assert rank_correlation(a, a.exp()) == pytest.approx(1) == -rank_correlation(a, -a)
    pairs = torch.randn(400, 2, 7, 7, generator=draw).relu()
    found = np.array([rank_correlation(*pair) for pair in pairs])
    # Independent maps: 0. A double argsort, which ranks ties by their place, gives +0.17 here.
    assert abs(found.mean()) < 4 * found.std() / 20


def test_a_flat_map_says_nothing_and_maps_of_two_shapes_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(rank_correlation(torch.zeros(3, 3), torch.arange(9.0).view(3, 3)))
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(9,\)"):
        rank_correlation(torch.ones(3, 3), torch.ones(9))


def test_the_maps_are_sums_over_squares_of_the_numbers_or_of_their_sizes():
    net, images, classes = TinyNet(), tiny_images(), torch.tensor([[1], [4]])
    maps = sanity_maps(net, images, classes)
    e = grad_cam(net, images, classes)
    for sign, read in (("signed", lambda v: v), ("absolute", abs)):
        torch.testing.assert_close(maps["Grad-CAM", sign], read(e.maps[:, 0]))
        torch.testing.assert_close(maps["class-free sum", sign], e.activations.sum(1))
        for name, method in (
            ("gradient", saliency),
            ("guided backprop", guided_backprop),
            ("Guided Grad-CAM", guided_grad_cam),
        ):
            values = method(net, images, classes)
            for n in (0, 1):
                for row in (0, 1):
                    for column in (0, 1):
                        square = values[n, 0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                        found = maps[name, sign][n, row, column]
                        torch.testing.assert_close(found, read(square).sum(), rtol=1e-4, atol=1e-6)
    assert len(maps) == 10


def test_the_study_is_a_loop_over_photographs_seeds_and_parts():
    clf, before = classifier(), copy.deepcopy(classifier().state_dict())
    parts = {"head": ("head",), "all": ("head", "features")}
    table = Measurements(sanity_study(clf, photos=PHOTOS, seeds=(0, 4), shuffled=parts))
    assert len(table) == 4 * 10 * 3
    torch.testing.assert_close(clf.state_dict(), before, rtol=0, atol=0)  # left as it was
    for i, name in enumerate(PHOTOS):
        image, label = load_photo(name).tensor(24), clf.class_index(load_photo(name).labels[0])
        one = sanity_maps(clf, image, torch.tensor([[label]]))
        following = load_photo(PHOTOS[(i + 1) % 4])
        label_2 = torch.tensor([[clf.class_index(following.labels[0])]])
        after = {"another photo": [sanity_maps(clf, following.tensor(24), label_2)]}
        for step, damaged in parts.items():
            for seed in (0, 4):
                other = copy.deepcopy(clf)
                for part in damaged:
                    shuffle_weights(other.net.get_submodule(part), seed)
                after.setdefault(step, []).append(sanity_maps(other, image, torch.tensor([[label]])))
        for step, others in after.items():
            for (method, sign), map_ in one.items():
                found = [rank_correlation(map_[0], other[method, sign][0]) for other in others]
                known = [value for value in found if not np.isnan(value)]
                value = table.values(f"{sign}: {step}", method, "tiny").get(name)
                # Batched sums end differently in the last digit, which can swap two neighbors in rank.
                assert value == (pytest.approx(np.mean(known), abs=0.05) if known else None), (step, method)


def test_nothing_shuffled_is_a_correlation_of_one():
    table = Measurements(sanity_study(classifier(), photos=PHOTOS, seeds=(0,), shuffled={"nothing": ()}))
    for method in ("gradient", "guided backprop", "class-free sum"):
        for sign in ("signed", "absolute"):
            values = table.values(f"{sign}: nothing", method, "tiny").values()
            assert list(values) == pytest.approx([1] * len(values))


def test_the_steps_go_down_and_cover_every_convolution_of_the_networks():
    clf = load_classifier(weights=None)
    total = sum(p.numel() for p in clf.net.parameters() if p.ndim > 1)
    shares = [
        sum(shuffle_weights(clf.net.get_submodule(part)) for part in parts) / total
        for parts in SHUFFLED.values()
    ]
    assert shares[-1] == 1 and all(a < b for a, b in pairwise(shares))
    assert [round(share, 2) for share in shares] == [0.28, 0.85, 1]  # as the docstring says


def test_the_energy_of_averaged_gradients_is_that_of_the_quarter():
    clf = classifier()
    table = Measurements(averaged_study(clf, photos=PHOTOS, samples=3))
    mosaics = balanced_mosaics(PHOTOS, seed=0, size=24)
    for i, name in enumerate(PHOTOS):
        place = i % 4
        (m,) = [m for m in mosaics if m.names[place] == name]
        label = clf.class_index(load_photo(name).labels[0])
        x0, y0, x1, y1 = m.box(place)
        for method, values in {
            "gradient": saliency(clf, m.tensor(), label),
            "Integrated Gradients": integrated_gradients(clf, m.tensor(), label, 3),
            "SmoothGrad": smooth_grad(clf, m.tensor(), label, 3),
        }.items():
            sizes = values[0, 0].abs()
            share = float(sizes[:, y0:y1, x0:x1].sum() / sizes.sum())
            found = table.values("energy in the right quarter", method, "tiny")[name]
            assert found == pytest.approx(share, rel=1e-4)
