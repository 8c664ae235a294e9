"""The channel explorer: every setting draws, its words are right, and the network is left as it was."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.explain import BackwardHook, ForwardHook, LayerError
from course_utils.networks import Classifier, load_classifier
from course_utils.show import color_limit, draw_chain, draw_channel, panels
from course_utils.widgets import channel_explorer
from course_utils.widgets import channels as channels_module


class SmallNet(nn.Module):
    """Three stages of different shape, in-place ReLUs, and a ReLU that runs twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)  # runs twice: no stage
        self.blocks = nn.Sequential(nn.Conv2d(4, 6, 2, stride=2), nn.Conv2d(6, 5, 2, stride=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        x = self.relu(self.norm(self.stem(x)))
        x = self.relu(self.blocks(x))
        return self.head(self.pool(x).flatten(1))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Classifier(SmallNet(), ["a", "b", "c"]).eval(), torch.rand(1, 3, 16, 16)


def by_hand(classifier, image):
    """A and dy/dA at SmallNet's stages, by running it step by step out of place, without a hook."""
    net = classifier.net
    norm = net.norm(net.stem((image - classifier.mean) / classifier.std))
    first = net.blocks[0](norm.relu())
    second = net.blocks[1](first)
    logits = net.head(second.relu().mean((2, 3)))[0]
    activations = {"norm": norm, "blocks.0": first, "blocks.1": second}
    gradients = torch.autograd.grad(logits.max(), list(activations.values()))
    return {
        name: (a[0].detach(), g[0]) for (name, a), g in zip(activations.items(), gradients, strict=True)
    }, logits.detach()


def test_stages_activations_and_gradients_behind_in_place_relus(small):
    expected, logits = by_hand(*small)
    stages = channels_module.capture_stages(*small)
    assert list(stages.layers) == list(expected)
    for name, (activations, gradients) in expected.items():
        torch.testing.assert_close(stages.layers[name].activations, activations)
        torch.testing.assert_close(stages.layers[name].gradients, gradients)
    assert stages.name == small[0].classes[int(logits.argmax())]
    assert stages.probability == pytest.approx(float(logits.softmax(0).max()))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_nothing_is_left_changed(small, mode):
    classifier, image = small
    classifier.train()
    classifier.net.stem.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    copy = image.clone()
    with mode():
        grad_mode = torch.is_grad_enabled()
        channels_module.capture_stages(classifier, image)
        assert torch.is_grad_enabled() == grad_mode
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert all(part.training and not part._forward_hooks for part in classifier.modules())
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert not classifier.net.stem.weight.requires_grad
    assert torch.equal(copy, image)
    assert not image.requires_grad


def test_nothing_is_left_changed_after_an_error(small):
    classifier, image = small
    with pytest.raises(ValueError, match="0"):
        channels_module.capture_stages(classifier, image * 300)
    assert not any(part._forward_hooks for part in classifier.modules())
    assert torch.is_grad_enabled()


def test_every_setting_draws_and_the_words_change(small):
    explorer = channel_explorer(*small)
    expected, _ = by_hand(*small)
    pictures = set()
    for layer in explorer.controls["layer"].options:
        explorer.set(layer=layer)
        count = len(expected[layer][0])
        assert explorer.controls["channel"].max == count - 1
        for gradient in (False, True):
            for channel in range(count):
                explorer.set(gradient=gradient, channel=channel)
                assert 'role="alert"' not in explorer.html
                pictures.add(explorer.html)
    assert len(pictures) == 2 * (4 + 6 + 5)


def test_the_slider_follows_the_layer(small):
    explorer = channel_explorer(*small)
    explorer.set(layer="blocks.0", channel=5)
    explorer.set(layer="norm")
    assert explorer.values["channel"] == 3
    assert "norm has 4 channels of 16 x 16 cells. Channel 3" in explorer.html


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(("layer", "channel"), [("norm", 0), ("blocks.0", 4), ("blocks.1", 4)])
def test_the_numbers_in_the_words(small, layer, channel, gradient):
    explorer = channel_explorer(*small)
    explorer.set(layer=layer, channel=channel, gradient=gradient)
    values = by_hand(*small)[0][layer][int(gradient)].numpy()
    cells = values[channel]
    place = np.unravel_index(cells.argmax(), cells.shape)
    order = sorted(range(len(values)), key=lambda k: -values[k].mean())
    words = explorer.html
    found = re.search(r"mean (\S+), maximum (\S+) in row (\d+), column (\d+); number (\d+) of (\d+)", words)
    mean, maximum, row, column, number, count = map(float, found.groups())
    assert mean == pytest.approx(cells.mean(), rel=5e-3)
    assert maximum == pytest.approx(cells.max(), rel=5e-3)
    assert (row - 1, column - 1) == place
    assert (number - 1, count) == (order.index(channel), len(values))
    share = (cells > 0).mean() if gradient else (cells < 0).mean()
    sentence = r"(\d+)% of the cells push" if gradient else r"(\d+)% negative"
    assert int(re.search(sentence, words)[1]) == pytest.approx(100 * share, abs=0.51)


def test_a_gradient_that_is_the_same_everywhere_is_said_to_be():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    explorer = channel_explorer(Classifier(net, ["a", "b"]).eval(), torch.rand(1, 3, 6, 6))
    explorer.set(gradient=True)
    assert "the same in every cell" in explorer.html
    assert "maximum" not in explorer.html


def test_equal_means_have_different_ranks():
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Flatten(), nn.Linear(64, 2))
    nn.init.zeros_(net[0].weight)
    explorer = channel_explorer(Classifier(net, ["a", "b"]).eval(), torch.rand(1, 3, 4, 4))
    numbers = []
    for channel in range(4):
        explorer.set(channel=channel)
        numbers.append(re.search(r"number (\d) of 4", explorer.html)[1])
    assert numbers == ["1", "2", "3", "4"]


def test_the_real_network_has_nine_stages():
    torch.manual_seed(0)
    explorer = channel_explorer(load_classifier(), torch.rand(1, 3, 224, 224))
    assert list(explorer.controls["layer"].options) == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    for layer, channels in (("bn1", 32), ("blocks.3", 80), ("bn2", 1280)):
        explorer.set(layer=layer)
        for channel in (0, channels - 1):
            explorer.set(channel=channel)
            assert f"{layer} has {channels} channels" in explorer.html


def test_the_real_networks_numbers_are_those_of_module_hooks():
    torch.manual_seed(0)
    classifier, image = load_classifier(), torch.rand(1, 3, 224, 224)
    stages = channels_module.capture_stages(classifier, image)
    modules = [classifier.net.get_submodule(name) for name in stages.layers]
    with ForwardHook(*modules) as forward, BackwardHook(*modules) as backward:
        logits = classifier(image)[0]
        torch.autograd.grad(logits.max(), classifier.net.conv_stem.weight)
    for captured, activations, gradients in zip(
        stages.layers.values(), forward.all_stored, backward.all_stored, strict=True
    ):
        torch.testing.assert_close(captured.activations, activations[0])
        torch.testing.assert_close(captured.gradients, gradients[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_other_networks(name):
    stages = channels_module.capture_stages(load_classifier(name, weights=None), torch.rand(1, 3, 224, 224))
    sizes = [tuple(captured.activations.shape) for captured in stages.layers.values()]
    assert len(sizes) >= 5
    assert all(a != b for a, b in pairwise(sizes))
    assert all(captured.gradients.shape == captured.activations.shape for captured in stages.layers.values())


def test_bad_input(small):
    classifier, image = small
    with pytest.raises(ValueError, match=r"one image.*\(2, 3, 16, 16\)"):
        channel_explorer(classifier, torch.cat([image, image]))
    with pytest.raises(ValueError, match="one image"):
        channel_explorer(classifier, image[0])
    linear = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), ["a", "b"])
    with pytest.raises(LayerError, match="no layer that puts out a map"):
        channel_explorer(linear, image)
    explorer = channel_explorer(classifier, image)
    with pytest.raises(ValueError, match="norm has 4 channels, 0 to 3"):
        explorer.draw("norm", 4, False)


def test_drawings_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="no module 'pool'"):
        draw_chain(["conv", "relu"], forward=["pool"])
    with pytest.raises(ValueError, match="one to six"):
        draw_chain([])
    _, axes = panels(1)
    with pytest.raises(ValueError, match=r"one channel has shape \(h, w\)"):
        draw_channel(axes[0], torch.rand(3, 4, 4))


def test_one_channel_is_white_at_zero():
    _, axes = panels(2)
    draw_channel(axes[0], torch.tensor([[0.0, 2.0]]))
    draw_channel(axes[1], torch.tensor([[0.0, -3.0]]), gradient=True)
    assert [ax.images[0].get_clim() for ax in axes] == [(-2, 2), (-3, 3)]


def test_a_few_large_values_do_not_bleach_the_rest():
    cells = torch.ones(20, 20)
    cells[0, :3] = -100.0
    assert color_limit(cells) == 1
    assert color_limit(cells[:1]) == 100  # of so few cells, none may lie beyond
    assert color_limit(torch.zeros(20, 20)) == 1
    lonely = torch.zeros(20, 20)
    lonely[3, 3] = 5
    assert color_limit(lonely) == 5


def test_a_hook_is_drawn_behind_its_module():
    figure = draw_chain(["conv", "relu"], forward=["conv"], backward=["conv", "relu"])
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("forward hook gets A") == 1
    assert words.count("backward hook gets ∂y/∂A") == 2
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["conv"] < places["forward hook gets A"] < places["relu"]
