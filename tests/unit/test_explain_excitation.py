"""Excitation backprop: by hand, by loops, and by the sums that must hold."""

import copy

import numpy as np
import pytest
import torch
from helpers import TinyNet, random_net, relative_error, tiny_images
from torch import nn
from torch.nn import functional as F

from course_utils.explain import LayerError, excitation_backprop
from course_utils.networks import SMALL_NETS, scene_classifier, small, unseen_scenes


def test_three_winners_by_hand():
    # One cell, activations a = (1, 2, 3); two hidden neurons, w = (2, 1, -1) and (1, 0, 1); y = 3 h1 - h2.
    # h1 = 2 + 2 - 3 = 1, h2 = 1 + 3 = 4. The class picks h1 (its only positive weight). h1 picks a1 : a2 as
    # 2 : 2, a3 never. The negated class picks h2 alone, which picks a1 : a3 as 1 : 3.
    net = nn.Sequential(
        nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)
    )
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:, :, None, None])
        net[3].weight.copy_(torch.tensor([[2.0, 1, -1], [1, 0, 1]]))
        net[3].bias.zero_()
        net[5].weight.copy_(torch.tensor([[3.0, -1]]))
    a = torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)
    assert excitation_backprop(net, a, 0, "1")[0, 0, 0, 0] == 1  # the channels' sum
    kept = []
    net[1].register_forward_hook(lambda m, i, o: kept.append(o))
    per_channel = winning(net, a, contrastive=False)
    assert per_channel.flatten().tolist() == pytest.approx([0.5, 0.5, 0])
    assert winning(net, a, contrastive=True).flatten().tolist() == pytest.approx([0.25, 0.5, -0.75])


def winning(net, a, contrastive):
    """Each channel by itself: laid out side by side in space, where the sum over channels adds nothing."""

    class SideBySide(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rest = nn.Identity(), net[2:]

        def forward(self, x):
            return self.rest(self.first(x))

    return excitation_backprop(SideBySide(), a.view(1, 1, 1, 3), 0, "first", contrastive)


def layered(inplace=False):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(inplace), nn.Conv2d(6, 8, 2), nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).double()  # fmt: skip


def by_loops(net, a1, c, sign=1):
    """P at the first ReLU's output a1 (C, h, w), from the definition, one winner after the other."""
    w2, b2, w = (t.detach().numpy() for t in (net[2].weight, net[2].bias, sign * net[6].weight))
    out, _, f, _ = w2.shape
    size = a1.shape[1] - f + 1
    a2 = np.zeros((out, size, size))
    for o, i, j in np.ndindex(a2.shape):
        a2[o, i, j] = max(b2[o] + (w2[o] * a1[:, i : i + f, j : j + f]).sum(), 0)
    pooled = a2.mean((1, 2))
    votes = pooled * w[c].clip(0)
    p_pooled = votes / votes.sum()
    p1 = np.zeros_like(a1)
    for o, i, j in np.ndindex(a2.shape):
        p2 = p_pooled[o] * a2[o, i, j] / a2[o].sum() if pooled[o] else 0
        window = a1[:, i : i + f, j : j + f] * w2[o].clip(0)
        if window.sum() > 0:  # else it fired by its bias alone, and has nobody to pass its share on to
            p1[:, i : i + f, j : j + f] += p2 * window / window.sum()
    return p1.sum(0)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_small_network_by_loops(inplace):
    net, images = layered(inplace), tiny_images(2).double()
    activations = net[:2](images.clone()).detach().numpy()
    mwp = excitation_backprop(net, images, range(3), "1")
    contrastive = excitation_backprop(net, images, range(3), "1", contrastive=True)
    for n in range(2):
        for c in range(3):
            expected = by_loops(net, activations[n], c)
            assert relative_error(mwp[n, c], torch.from_numpy(expected)) < 1e-12
            expected = expected - by_loops(net, activations[n], c, sign=-1)
            assert relative_error(contrastive[n, c], torch.from_numpy(expected)) < 1e-12


def test_one_cell_may_be_indexed_as_well_as_flattened():
    class Indexed(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.features, self.head = net[:5], net[6]

        def forward(self, x):
            return self.head(self.features(x)[:, :, 0, 0])

    net, images = layered(), tiny_images(2).double()
    for contrastive in (False, True):
        expected = excitation_backprop(net, images, range(3), "1", contrastive)
        found = excitation_backprop(Indexed(net), images, range(3), "features.1", contrastive)
        assert found.any() and torch.equal(found, expected)


class TwoBranches(nn.Module):
    """Two branches that are concatenated, overlapping pooling, global pooling by a mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU())
        self.small, self.large = nn.Conv2d(12, 10, 1), nn.Conv2d(12, 10, 3, padding=1)
        self.head = nn.Linear(20, 5)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 3, 2, padding=1)
        x = torch.cat([F.relu(self.small(x)), self.large(x).relu()], dim=1)
        return self.head(F.dropout(x, training=self.training).mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (lambda: random_net("vgg16"), [f"features.{i}" for i in (1, 9, 30)]),
        (lambda: random_net("alexnet"), ["features.2", "features.11"]),
        (TwoBranches, ["stem"]),
        (lambda: TinyNet(pooled=True), ["features.2", "features.3", "features.5"]),
        (lambda: TinyNet(pooled=False), ["features.3", "features.5"]),
    ],
    ids=["vgg16", "alexnet", "branches", "pooled", "flattened"],
)
def test_the_probabilities_of_every_layer_sum_to_one(make, layers):
    net = make()
    images = tiny_images(2, size=8 if isinstance(net, TinyNet) else 64)
    for layer in layers:
        maps = excitation_backprop(net, images, [0, 4], layer)
        assert maps.min() >= 0
        assert torch.allclose(maps.sum((2, 3)), torch.ones(2, 2), atol=1e-4), layer
        contrastive = excitation_backprop(net, images, [0, 4], layer, contrastive=True)
        assert contrastive.min() < 0
        assert contrastive.sum((2, 3)).abs().max() < 1e-4, layer


@pytest.mark.parametrize("name", SMALL_NETS)
def test_in_the_networks_of_notebook_07_every_layer_sums_to_one(name):
    net, unseen = scene_classifier(name), unseen_scenes(3)
    classes = torch.stack([unseen.labels, (unseen.labels + 1) % len(unseen.classes)], 1)
    trunk = list(net.net.features)
    whole = [[part] for part in trunk if isinstance(part, nn.ReLU | nn.MaxPool2d | small.Branches)]
    side_by_side = [[b[-1] for b in part.branches] for part in trunk if isinstance(part, small.Branches)]
    assert len(whole) >= 7
    for layers in whole + side_by_side:  # of an inception block, the branches have a part each
        total = [
            sum(excitation_backprop(net, unseen.images, classes, layer, sign).sum((2, 3)) for layer in layers)
            for sign in (False, True)
        ]
        torch.testing.assert_close(total[0], torch.ones(3, 2), rtol=0, atol=1e-5)
        torch.testing.assert_close(total[1], torch.zeros(3, 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooled", [False, True])
def test_the_contrastive_form_subtracts_that_of_the_negated_class(pooled):
    net, images = TinyNet(pooled), tiny_images()
    negated = copy.deepcopy(net)
    with torch.no_grad():
        negated.head[-1].weight.neg_()
    expected = excitation_backprop(net, images, [1, 3], "features.3")
    expected = expected - excitation_backprop(negated, images, [1, 3], "features.3")
    found = excitation_backprop(net, images, [1, 3], "features.3", contrastive=True)
    assert relative_error(found, expected) < 1e-5


def test_without_classes_it_is_the_predicted_one():
    net, images = TinyNet(pooled=False), tiny_images(4)
    predicted = net(images).argmax(1, keepdim=True)
    assert torch.equal(excitation_backprop(net, images), excitation_backprop(net, images, predicted))


def test_a_class_that_nothing_excites_has_a_map_of_zeros():
    net, images = TinyNet(), tiny_images()
    with torch.no_grad():
        net.head[-1].weight[3] = -1
    assert not excitation_backprop(net, images, 3, "features.3").any()


class WithShortcut(TinyNet):
    def forward(self, images):
        maps = self.features[3:](self.features[:3](images))
        return self.head(maps + maps.relu())


@pytest.mark.parametrize(
    ("net", "layer", "message"),
    [
        (TinyNet(), "features.0", "no rule for 'batch_norm'.*fuse_conv_bn_eval"),
        (WithShortcut(), "features.5", "no rule for 'add'"),
        (TinyNet(), "features.4", None),  # a ReLU follows: nothing negative goes on
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(32, 3)), "0", "not negative"),
        (TinyNet(), "head.3", "no map"),
        (TinyNet(), "gone", "no layer named 'gone'"),
    ],
)  # fmt: skip
def test_what_has_no_rule_is_refused(net, layer, message):
    if message is None:
        assert excitation_backprop(net, tiny_images(), 0, layer).sum() > 0
        return
    with pytest.raises((ValueError, LayerError), match=message):
        excitation_backprop(net, tiny_images(), 0, layer)
    assert not any(part._forward_hooks for part in net.modules())
    assert torch.is_grad_enabled()


def test_without_a_linear_layer_at_the_end_there_is_still_the_plain_form():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    with torch.no_grad():
        net[2].weight.abs_()
        net[2].bias.abs_()
    assert excitation_backprop(net, tiny_images(), 0, "1").sum() == pytest.approx(2, abs=1e-5)


def test_nothing_is_left_changed():
    net, images = TinyNet(pooled=False, inplace=True).train(), tiny_images()
    given, state = images.clone(), copy.deepcopy(net.state_dict())
    first = excitation_backprop(net, images, [0, 1], "features.3", contrastive=True)
    assert torch.equal(excitation_backprop(net, images, [0, 1], "features.3", contrastive=True), first)
    with torch.inference_mode():
        assert torch.equal(excitation_backprop(net, images, [0, 1], "features.3", contrastive=True), first)
    assert torch.equal(images, given)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(part.training for part in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(part._forward_hooks for part in net.modules())
