"""The explorer of the three rules: every setting draws, its words are measured, and answers come from what is kept."""

import html
import re
from itertools import product

import pytest
import torch
from torch import nn

from course_utils.explain import (
    ActivationError,
    deconvnet,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    saliency,
)
from course_utils.networks import Classifier
from course_utils.widgets import guided, guided_explorer

CLASSES = ["a", "b", "c"]
LAYERS = {"first": "net.0", "second": "net.2"}
METHODS = {"gradient": saliency, "deconvnet": deconvnet, "guided": guided_backprop}


def network(activation=nn.ReLU) -> Classifier:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), activation(), nn.Conv2d(6, 5, 2, stride=2), activation(),
        nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip
    return Classifier(net, CLASSES).eval()


@pytest.fixture
def small():
    return network(), torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(1))


def quarters(values) -> list[float]:
    """Shares of sum |v| in the quarters of (3, 12, 16) or (12, 16), pixel by pixel."""
    sums = [0.0] * 4
    for row, column in product(range(12), range(16)):
        sums[2 * (row >= 6) + (column >= 8)] += values[..., row, column].abs().sum().item()
    return [value / sum(sums) for value in sums]


def told(explorer) -> list[list[float]]:
    """The three lists of shares in the words: gradient image, Grad-CAM, product."""
    words = html.unescape(explorer.html)
    found = re.search(
        r"bottom right\): \w+ ([^;]+); Grad-CAM ([^;]+); the product ([^.]+\.\d\d[^.]*(?:\.\d\d[^.]*)*)\.",
        words,
    )
    return [[float(number) for number in re.findall(r"\d\.\d\d", part)] for part in found.groups()]


def test_every_setting_draws_and_tells_the_shares(small):
    explorer = guided_explorer(*small, CLASSES, LAYERS)
    pictures = set()
    for rule, name, layer in product(METHODS, CLASSES, LAYERS):
        explorer.set(rule=rule, name=name, layer=layer)
        assert 'role="alert"' not in explorer.html
        pictures.add(explorer.html)
        values = METHODS[rule](*small, name)[0, 0]
        e = grad_cam(*small, name, LAYERS[layer])
        heat = e.heatmaps()[0, 0]
        if e.empty.any():
            assert "is zero everywhere" in explorer.html
            continue
        for shares, expected in zip(told(explorer), (values, heat, values * heat), strict=True):
            assert shares == pytest.approx(quarters(expected), abs=0.0051)
    assert len(pictures) == len(METHODS) * len(CLASSES) * len(LAYERS)


def test_the_product_of_the_guided_rule_is_guided_grad_cam(small):
    explorer = guided_explorer(*small, CLASSES, LAYERS)
    for name in CLASSES:
        explorer.set(rule="guided", name=name, layer="second")
        expected = guided_grad_cam(*small, name, "net.2")[0, 0]
        if expected.any():
            assert told(explorer)[2] == pytest.approx(quarters(expected), abs=0.0051)


def test_nothing_positive_is_said_in_words(small):
    classifier, image = small
    with torch.no_grad():
        classifier.net[-1].weight[0] = -1.0  # no channel, none of them negative after the ReLU, speaks for a
    explorer = guided_explorer(classifier, image, CLASSES, {"last": "net.3"})
    explorer.set(name="a")
    assert "Grad-CAM is zero everywhere; the product is zero everywhere" in explorer.html


def test_it_begins_with_the_guided_rule_the_first_class_and_the_last_layer(small):
    explorer = guided_explorer(*small, ["b", "c"], LAYERS)
    assert explorer.values == {"rule": "guided", "name": "b", "layer": "second"}


def test_a_second_visit_runs_no_network(small):
    classifier, image = small
    explorer = guided_explorer(classifier, image, CLASSES, LAYERS)
    settings = list(product(METHODS, CLASSES, LAYERS))
    for rule, name, layer in settings:
        explorer.set(rule=rule, name=name, layer=layer)
    calls = []
    classifier.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    for rule, name, layer in settings:
        explorer.set(rule=rule, name=name, layer=layer)
    assert not calls


def test_gradient_images_are_there_before_the_first_question(small, monkeypatch):
    explorer = guided_explorer(*small, CLASSES, LAYERS)
    for name in list(guided.METHODS):
        monkeypatch.setitem(guided.METHODS, name, None)
    for rule, name in product(METHODS, CLASSES):
        explorer.set(rule=rule, name=name)
        assert "<img" in explorer.html


def test_model_and_image_are_left_alone(small):
    classifier, image = small
    classifier.train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    copy = image.clone()
    guided_explorer(classifier, image, CLASSES, LAYERS).set(rule="deconvnet", layer="first")
    assert classifier.training
    assert torch.equal(image, copy) and not image.requires_grad
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert not any(part._forward_hooks for part in classifier.modules())
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_bad_input(small):
    classifier, image = small
    with pytest.raises(ValueError, match=r"one image.*\(2, 3, 12, 16\)"):
        guided_explorer(classifier, torch.cat([image, image]), CLASSES, LAYERS)
    with pytest.raises(ValueError, match="even sides"):
        guided_explorer(classifier, image[..., :15], CLASSES, LAYERS)
    with pytest.raises(ValueError, match="no class 'd'"):
        guided_explorer(classifier, image, ["d"], LAYERS)
    with pytest.raises(ActivationError, match=r"(?i)silu"):
        guided_explorer(network(nn.SiLU), image, CLASSES, LAYERS)
    for classes, layers in (([], LAYERS), (CLASSES, {})):
        with pytest.raises(ValueError, match="at least one class and one layer"):
            guided_explorer(classifier, image, classes, layers)
