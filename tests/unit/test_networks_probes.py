"""Linear probes: features of a network that stays as it is, a layer trained on them, a classifier of both."""

import pytest
import torch
from helpers import TinyNet, relative_error, tiny_images
from torch import nn

from course_utils.explain import cam, grad_cam
from course_utils.networks import Classifier, fit_linear, linear_probe, pooled_features, with_head

NAMES = ["gray", "without red", "without green"]
LABELS = torch.arange(60) % 3
IMAGES = tiny_images(60)
IMAGES[LABELS == 1, 0] *= 0.2
IMAGES[LABELS == 2, 1] *= 0.2


def backbone():
    net = TinyNet()
    return nn.Sequential(net.features, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def test_features_are_what_the_last_linear_layer_takes():
    net = TinyNet()
    expected = net.features((IMAGES - 0.5) / 0.5).mean((2, 3)).detach()
    ending = nn.Sequential(net, nn.Softmax(1))
    for clf in (
        Classifier(net, list("abcde")),
        Classifier(ending, list("abcde")),
        Classifier(backbone(), []),
    ):
        torch.testing.assert_close(pooled_features(clf, IMAGES), expected)


@pytest.mark.parametrize("named", [True, False])
def test_a_probe_learns_is_explained_and_leaves_the_backbone(named):
    clf = Classifier(TinyNet(), list("abcde")) if named else Classifier(backbone(), [], target_layer="0.5")
    before = {key: value.clone() for key, value in clf.state_dict().items()}
    probe = linear_probe(clf, IMAGES[:45], LABELS[:45], NAMES, decay=1e-5)
    assert (probe(IMAGES[45:]).argmax(1) == LABELS[45:]).float().mean() > 0.9
    assert all(torch.equal(value, before[key]) for key, value in clf.state_dict().items())
    assert probe.classes == NAMES and clf.classes == (list("abcde") if named else [])
    maps = grad_cam(probe, IMAGES[:2], NAMES).maps
    assert relative_error(16 * maps, cam(probe, IMAGES[:2], NAMES)) < 1e-5
    assert linear_probe(clf, IMAGES, LABELS, {0: "a", 1: "b", 2: "c"}).predict(IMAGES[:1])[0][0][0] in "abc"


def test_the_layer_is_at_the_minimum_of_its_loss():
    torch.manual_seed(0)
    features, weights = torch.randn(60, 6), torch.rand(60)
    head = fit_linear(features, LABELS, 3, weights, decay=0.05)
    w, b = (p.clone().requires_grad_() for p in (head.weight, head.bias))
    each = nn.functional.cross_entropy(features @ w.T + b, LABELS, reduction="none")
    loss = (weights * each).sum() / weights.sum() + 0.05 * w.square().sum()
    assert max(float(g.abs().max()) for g in torch.autograd.grad(loss, (w, b))) < 1e-3


def test_a_head_behind_features_and_then_another_one():
    clf = with_head(Classifier(backbone(), [], target_layer="0.5"), nn.Linear(8, 2), ["a", "b"])
    assert clf.target_layer is clf.net.backbone[0][5]
    again = with_head(clf, nn.Linear(8, 3), NAMES)
    assert again(IMAGES).shape == (60, 3) and clf(IMAGES).shape == (60, 2)


def test_a_new_head_has_scores_of_its_own():
    clf = Classifier(nn.Sequential(TinyNet(), nn.Sigmoid()).eval(), list("abcde"))
    clf.predict(IMAGES)
    assert clf.scores == "independent"
    plain = Classifier(TinyNet(), list("abcde"), scores="independent")
    assert with_head(plain, nn.Linear(8, 3), NAMES).scores == "exclusive"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda clf: linear_probe(clf, IMAGES, LABELS, ["a", "b"]),
            "labels must be class numbers from 0 to 1",
        ),
        (
            lambda clf: linear_probe(clf, IMAGES, LABELS.float(), NAMES),
            "labels must be class numbers from 0 to 2",
        ),
        (
            lambda clf: linear_probe(clf, IMAGES, LABELS[:9], NAMES),
            r"labels and weights \(n,\), got \(60, 8\), \(9,\)",
        ),
        (lambda clf: linear_probe(clf, IMAGES * 255, LABELS, NAMES), r"must lie in \[0, 1\]"),
        (
            lambda _: pooled_features(Classifier(TinyNet().features, []), IMAGES),
            r"features must have shape \(60, C\), got \(60, 8, 4, 4\).*AdaptiveAvgPool2d",
        ),
        (lambda _: pooled_features(Classifier(nn.Conv2d(3, 2, 1), ["a"]), IMAGES), "no linear layer"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call(Classifier(backbone(), []))


def test_the_layer_that_is_replaced_puts_out_the_classes_wherever_it_was_made():
    class MadeFirst(nn.Module):
        """A head that is made before a gate of the same input."""

        def __init__(self):
            super().__init__()
            self.fc, self.conv, self.gate = nn.Linear(4, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

        def forward(self, images):
            f = self.conv(images).relu().mean((2, 3))
            return self.fc(f * self.gate(f).sigmoid())

    clf, head = Classifier(MadeFirst(), ["a", "b", "c"]), nn.Linear(4, 4)
    changed = with_head(clf, head, ["d", "e", "f", "g"])
    assert changed.net.fc is head
    assert changed.net.gate.weight.equal(clf.net.gate.weight)
