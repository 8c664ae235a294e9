"""The small networks: what they are made of, what shape their maps have, and that the methods accept them."""

import itertools

import pytest
import torch
from torch import nn

from course_utils.explain import LayerError, cam, grad_cam
from course_utils.networks import SMALL_NETS, small, small_net

NAMES = [f"kind {i}" for i in range(10)]
ALLOWED = (
    nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear, nn.Dropout,
    nn.Sequential, nn.ModuleList, small.Branches,
)  # fmt: skip
each = pytest.mark.parametrize("name", SMALL_NETS)


@each
def test_made_of_nothing_else(name):
    net = small_net(name, NAMES).net
    assert all(isinstance(part, ALLOWED) for part in net.modules())
    assert [key for key, _ in net.named_children()] == ["features", "head"]
    # Every convolution is followed by a ReLU, which works on a tensor of its own.
    parts = [part for part in net.modules() if not list(part.children())]
    for part, following in itertools.pairwise(parts):
        assert not isinstance(part, nn.Conv2d) or isinstance(following, nn.ReLU)
        assert not getattr(part, "inplace", False)


@each
def test_maps_and_logits(name):
    net = small_net(name, NAMES)
    images = torch.rand(3, 3, 64, 64)
    explained = grad_cam(net, images, [0, 4])
    assert explained.maps.shape == (3, 2, 8, 8)
    assert net(images).shape == (3, 10)
    assert net.target_layer is net.net.features
    assert (net.net.features(images) >= 0).all()
    assert net.classes == NAMES and not net.training and net.size == 64


@pytest.mark.parametrize("name", ["googlenet", "vgg_gap"])
def test_cam_is_64_times_grad_cam_on_the_pooled_nets(name):
    net, images = small_net(name, NAMES), torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(cam(net, images, [1, 2]), 64 * grad_cam(net, images, [1, 2]).maps)


@pytest.mark.parametrize("name", ["vgg", "alexnet"])
def test_cam_refuses_the_nets_with_a_dense_head(name):
    with pytest.raises(LayerError, match="global average pooling"):
        cam(small_net(name, NAMES), torch.rand(1, 3, 64, 64), 0)


def test_the_vgg_likes_share_their_features_layer_by_layer():
    shapes = [
        [tuple(p.shape) for p in small_net(n, NAMES).net.features.parameters()] for n in ("vgg", "vgg_gap")
    ]
    assert shapes[0] == shapes[1]


def test_three_trainings_of_each_fit_into_three_megabytes():
    parameters = sum(p.numel() for name in SMALL_NETS for p in small_net(name, NAMES).parameters())
    assert 3 * 2 * parameters < 2.9e6


@each
def test_weights_come_from_the_seed_alone(name):
    state = torch.random.get_rng_state()
    one, same, other = (small_net(name, NAMES, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)
    for (key, a), b, c in zip(one.state_dict().items(), same.state_dict().values(), other.state_dict().values(),
                              strict=True):  # fmt: skip
        assert torch.equal(a, b)
        assert torch.equal(a, c) == key.endswith("bias")


def test_branches_stack_channels():
    maps = torch.rand(2, 3, 4, 4)
    both = small.Branches(nn.Identity(), nn.ReLU())(maps)
    assert torch.equal(both, torch.cat([maps, maps], dim=1))
