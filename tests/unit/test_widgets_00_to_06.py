"""What the explorers of notebooks 00 to 06 show and say, against references made here."""

import re
import time
from itertools import pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from explorers import NAMES, staged, tiny, two_relus, words_of
from helpers import tiny_images
from torch import nn, ones
from torch.nn.functional import conv1d

from course_utils import widgets
from course_utils.explain import (
    FILLS,
    BackwardHook,
    ForwardHook,
    deconvnet,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    saliency,
    stand_in,
)
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import list_photos, load_photo, mosaic
from course_utils.widgets import (
    channel_explorer,
    counterfactual,
    counterfactual_explorer,
    guided_explorer,
    toy_cam,
)
from course_utils.widgets import channels as channels_module

# --- 00 and 04: any class, any layer


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


def test_any_class_of_any_photograph(classifier):
    explorer = widgets.any_class_explorer(classifier)
    for photo in list_photos():
        words = words_of(explorer, photo=photo)
        image = load_photo(photo).tensor()
        probability = classifier(image).softmax(1)[0, 281]
        raw = grad_cam(classifier, image, "tabby").maps[0, 0]
        chance = f"{probability:.4f}" if probability >= 0.0001 else "below 0.0001"
        assert f"tabby (class 281): probability {chance}, rank" in words
        assert f"{classifier.predict(image, 1)[0][0][0]} {classifier.predict(image, 1)[0][0][1]:.2f}" in words
        if raw.max() > 0:
            assert f"{(raw > 0).float().mean():.0%} of the cells are positive" in words
            row, column = (raw == raw.max()).nonzero()[0].tolist()
            assert f"in row {row + 1}, column {column + 1}" in words
    assert "class 967" in words_of(explorer, name="espresso")


def test_a_class_without_evidence_is_said_to_have_none(classifier):
    explorer = widgets.any_class_explorer(classifier)
    e = grad_cam(classifier, load_photo("cat").tensor(), range(1000))
    name = classifier.classes[int(e.empty[0].nonzero()[0])]
    explorer.set(name=name)
    assert "nothing in this picture speaks for the class" in explorer.html


def test_any_layer(classifier):
    image = load_photo("coffee").tensor()
    layers = {"stage 4": "net.blocks.4", "last": "net.bn2"}
    explorer = widgets.layer_explorer(classifier, image, layers, "espresso")
    for layer, dotted in layers.items():
        heat = grad_cam(classifier, image, "espresso", dotted).heatmaps()[0, 0]
        for threshold in range(5, 100, 15):
            share = (heat >= threshold / 100).float().mean()
            words = words_of(explorer, layer=layer, threshold=threshold)
            assert f"{share:.0%} of the picture reaches {threshold}%" in words


# --- 01: output sizes


@pytest.fixture(scope="module")
def sizes():
    return widgets.output_size_explorer()


@pytest.mark.parametrize("name", ["n", "f", "p", "s", "d"])
def test_the_number_of_positions_is_that_of_conv1d(sizes, name):
    control = sizes.controls[name]
    for value in range(control.min, control.max + 1):
        at = {**sizes.values, name: value}
        if at["n"] + 2 * at["p"] < at["d"] * (at["f"] - 1) + 1:
            with pytest.raises(ValueError, match="No window fits"):
                sizes.draw(**at)
            continue
        row, window = ones(1, 1, at["n"]), ones(1, 1, at["f"])
        expected = conv1d(row, window, padding=at["p"], stride=at["s"], dilation=at["d"]).shape[-1]
        assert f"+ 1 = {expected} position" in words_of(sizes, **at)


@pytest.mark.parametrize(
    "setting",
    [
        {"n": 8, "f": 3, "s": 2},
        {"n": 9, "f": 3, "p": 1, "s": 2, "d": 2},
        {"n": 10, "f": 2, "s": 4, "d": 3},
        {"n": 7, "f": 7, "p": 3, "s": 5},
        {"n": 6, "f": 1, "p": 2, "s": 5},
        {"n": 14, "f": 3, "p": 3, "s": 3},
    ],
)
def test_the_cells_that_no_window_reads_are_named(sizes, setting):
    at, words = {**sizes.values, **setting}, words_of(sizes, **setting)
    row = ones(1, 1, at["n"] + 2 * at["p"], requires_grad=True)  # with its padding
    conv1d(row, ones(1, 1, at["f"]), stride=at["s"], dilation=at["d"]).sum().backward()
    positions = [x - at["p"] for x in (row.grad[0, 0] == 0).nonzero().flatten().tolist()]
    unread = [x for x in positions if 0 <= x < at["n"]]
    padding = len(positions) - len(unread)
    told = re.search(r"(\d+) of the (\d+) cells of padding are read by no window", words)
    assert (int(told[1]), int(told[2])) == (padding, 2 * at["p"]) if told else padding == 0
    found = re.search(r"No window reads cells? ([\d, ]+)\.", words)
    assert ([int(x) for x in found[1].split(",")] if found else []) == unread


def test_output_sizes_answer_at_once():
    explorer = widgets.output_size_explorer()
    explorer.draw(**explorer.values)
    start = time.process_time()
    for n in range(5, 15):
        explorer.set(n=n, f=1, p=3)
    assert (time.process_time() - start) / 12 < 0.4  # processor time: another process does not count


# --- 02: channels


def stages_by_hand(classifier, image):
    """A and dy/dA at StagedNet's stages, by running it step by step out of place, without a hook."""
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


def test_stages_activations_and_gradients_behind_in_place_relus():
    expected, logits = stages_by_hand(*staged())
    stages = channels_module.capture_stages(*staged())
    assert list(stages.layers) == list(expected)
    for name, (activations, gradients) in expected.items():
        torch.testing.assert_close(stages.layers[name].activations, activations)
        torch.testing.assert_close(stages.layers[name].gradients, gradients)
    assert stages.name == staged()[0].classes[int(logits.argmax())]
    assert stages.probability == pytest.approx(float(logits.softmax(0).max()))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_nothing_is_left_changed_by_looking_at_stages(mode):
    classifier, image = staged()
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


def test_nothing_is_left_changed_after_an_error():
    classifier, image = staged()
    with pytest.raises(ValueError, match="0"):
        channels_module.capture_stages(classifier, image * 300)
    assert not any(part._forward_hooks for part in classifier.modules())
    assert torch.is_grad_enabled()


def test_every_channel_of_every_layer_has_its_own_words():
    explorer, words = channel_explorer(*staged()), set()
    for layer, count in {"norm": 4, "blocks.0": 6, "blocks.1": 5}.items():
        explorer.set(layer=layer)
        assert explorer.controls["channel"].max == count - 1
        for channel, gradient in product(range(count), (False, True)):
            words.add(words_of(explorer, channel=channel, gradient=gradient))
    assert len(words) == 2 * (4 + 6 + 5)


def test_the_slider_follows_the_layer():
    explorer = channel_explorer(*staged())
    explorer.set(layer="blocks.0", channel=5)
    explorer.set(layer="norm")
    assert explorer.values["channel"] == 3
    assert "norm has 4 channels of 16 x 16 cells. Channel 3" in explorer.html


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(("layer", "channel"), [("norm", 0), ("blocks.0", 4), ("blocks.1", 4)])
def test_the_numbers_in_the_words(layer, channel, gradient):
    explorer = channel_explorer(*staged())
    words = words_of(explorer, layer=layer, channel=channel, gradient=gradient)
    values = stages_by_hand(*staged())[0][layer][int(gradient)].numpy()
    cells = values[channel]
    place = np.unravel_index(cells.argmax(), cells.shape)
    order = sorted(range(len(values)), key=lambda k: -values[k].mean())
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
    words = words_of(explorer, gradient=True)
    assert "the same in every cell" in words and "maximum" not in words


def test_channels_with_equal_means_have_different_ranks():
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Flatten(), nn.Linear(64, 2))
    nn.init.zeros_(net[0].weight)
    explorer = channel_explorer(Classifier(net, ["a", "b"]).eval(), torch.rand(1, 3, 4, 4))
    numbers = [re.search(r"number (\d) of 4", words_of(explorer, channel=k))[1] for k in range(4)]
    assert numbers == ["1", "2", "3", "4"]


def test_the_real_network_has_nine_stages():
    torch.manual_seed(0)
    explorer = channel_explorer(load_classifier(), torch.rand(1, 3, 224, 224))
    assert list(explorer.controls["layer"].options) == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    for layer, channels in (("bn1", 32), ("blocks.3", 80), ("bn2", 1280)):
        for channel in (0, channels - 1):
            words = words_of(explorer, layer=layer, channel=channel)
            assert f"{layer} has {channels} channels" in words


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
def test_other_networks_have_stages(name):
    stages = channels_module.capture_stages(load_classifier(name, weights=None), torch.rand(1, 3, 224, 224))
    sizes = [tuple(captured.activations.shape) for captured in stages.layers.values()]
    assert len(sizes) >= 5
    assert all(a != b for a, b in pairwise(sizes))
    assert all(captured.gradients.shape == captured.activations.shape for captured in stages.layers.values())


# --- 03: CAM and Grad-CAM of a toy net


A1 = [[4, 0, 1], [2, 2, 0], [0, 3, 1]]
A2 = [[0, 4, 0], [0, 8, 2], [1, 0, 5]]


def toy_by_hand(cell, w1, w2, pooling, size, bias=1):
    """Logit, CAM and Grad-CAM as nested lists, from the formulas alone: no torch, no gradient."""
    side = int(size[0])
    z = side * side
    first = [[cell if i == j == 0 else A1[i][j] for j in range(side)] for i in range(side)]
    cam = [[w1 * first[i][j] + w2 * A2[i][j] for j in range(side)] for i in range(side)]
    divisor = z if pooling == "mean" else 1
    pooled = [sum(map(sum, first)) / divisor, sum(sum(row[:side]) for row in A2[:side]) / divisor]
    logit = w1 * pooled[0] + w2 * pooled[1] + bias
    return logit, cam, [[value / divisor for value in row] for row in cam]


def texts_of(explorer, **setting) -> list[str]:
    figure, _ = explorer.draw(**{**explorer.values, **setting})
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    plt.close(figure)
    return texts


@pytest.fixture(scope="module")
def toy():
    return widgets.toy_cam_explorer()


SETTINGS = list(product([0, 4, 8], [-3, 0, 1.5], [-1, 0, 2.5], ["mean", "sum"], ["2 x 2", "3 x 3"]))


@pytest.mark.parametrize(("cell", "w1", "w2", "pooling", "size"), SETTINGS)
def test_the_maps_are_those_computed_by_hand(cell, w1, w2, pooling, size):
    side = int(size[0])
    a = torch.tensor([A1, A2], dtype=torch.float32)[:, :side, :side].clone()
    a[0, 0, 0] = cell
    maps = toy_cam.toy_maps(a, torch.tensor([w1, w2], dtype=torch.float32), 1, pooling)
    logit, cam, grad_cam = toy_by_hand(cell, w1, w2, pooling, size)
    assert maps.logit == pytest.approx(logit)
    torch.testing.assert_close(maps.cam, torch.tensor(cam, dtype=torch.float32))
    torch.testing.assert_close(maps.grad_cam, torch.tensor(grad_cam, dtype=torch.float32))
    assert maps.factor == (side * side if pooling == "mean" else 1)
    torch.testing.assert_close(maps.cam, maps.factor * maps.grad_cam)


@pytest.mark.parametrize("setting", SETTINGS[::7])
def test_the_numbers_shown_are_those_computed_by_hand(toy, setting):
    named = dict(zip(("cell", "w1", "w2", "pooling", "size"), setting, strict=True))
    logit, cam, grad_cam = toy_by_hand(**named)
    words = words_of(toy, **named)
    found = re.search(r"The logit is (\S+) = .* = Grad-CAM's sum \+ bias = (\S+) \+ 1\.", words)
    assert float(found[1]) == pytest.approx(logit, abs=6e-4)
    assert float(found[2]) + 1 == pytest.approx(logit, abs=6e-4)
    total = sum(map(sum, cam))
    addition = re.search(r"CAM's sum( / Z)? \+ bias = (\S+)(?: / (\d+))? \+ 1", words)
    assert float(addition[2]) == pytest.approx(total, abs=6e-4)
    assert float(addition[2]) / float(addition[3] or 1) + 1 == pytest.approx(logit, abs=6e-4)

    texts = texts_of(toy, **named)
    for name, expected in (("raw CAM", cam), ("raw Grad-CAM", grad_cam)):
        start = next(n for n, text in enumerate(texts) if text.startswith(name + "\n")) + 1
        shown = [float(text) for text in texts[start : start + len(cam) ** 2]]
        assert shown == pytest.approx([value for row in expected for value in row], abs=6e-4)
    alphas = [float(value) for text in texts for value in re.findall(r"α. = (\S+)", text)]
    divisor = len(cam) ** 2 if named["pooling"] == "mean" else 1
    assert alphas == pytest.approx([named["w1"] / divisor, named["w2"] / divisor], abs=6e-4)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize("bias", [-3, 0, 2])
def test_the_bias_moves_the_logit_and_neither_map(toy, bias, pooling):
    named = {"cell": 5, "w1": 1.5, "w2": -1, "pooling": pooling, "size": "3 x 3"}
    logit, _, grad_cam = toy_by_hand(**named, bias=bias)
    words = words_of(toy, **named, bias=bias)
    found = re.search(
        r"The logit is (\S+) = .* ([+-]) (\d) = Grad-CAM's sum \+ bias = (\S+) ([+-]) (\d)\.", words
    )
    assert float(found[1]) == pytest.approx(logit, abs=6e-4)
    assert int(found[2] + found[3]) == int(found[5] + found[6]) == bias
    assert float(found[4]) == pytest.approx(sum(map(sum, grad_cam)), abs=6e-4)
    assert texts_of(toy, **named, bias=bias) == texts_of(toy, **named)


def test_the_words_say_which_factor_lies_between_the_maps(toy):
    assert "every cell of CAM is 4 times" in words_of(toy, pooling="mean", size="2 x 2")
    assert "every cell of CAM is 9 times" in words_of(toy, pooling="mean", size="3 x 3")
    assert "the same numbers" in words_of(toy, pooling="sum")


def test_an_empty_map_is_named_in_words_and_picture(toy):
    setting = {"w1": -3, "w2": -1, "pooling": "mean"}
    assert "both heat-maps are empty" in words_of(toy, **setting)
    assert sum("no positive evidence" in text for text in texts_of(toy, **setting)) == 2
    assert "heat-maps are equal" in words_of(toy, w1=3)


def test_it_works_where_gradients_are_off_and_leaves_its_inputs_alone():
    a = torch.ones(2, 2, 2)
    with torch.no_grad():
        maps = toy_cam.toy_maps(a, torch.tensor([3.0, -1.0]))
    assert isinstance(maps, toy_cam.ToyMaps)
    assert maps.alphas.tolist() == [0.75, -0.25]
    assert not a.requires_grad


# --- 05: rules at ReLUs


CLASSES = ["a", "b", "c"]
LAYERS = {"first": "net.0", "second": "net.2"}
METHODS = {"gradient": saliency, "deconvnet": deconvnet, "guided": guided_backprop}


def quarters(values) -> list[float]:
    """Shares of sum |v| in the quarters of (3, 12, 16) or (12, 16), pixel by pixel."""
    sums = [0.0] * 4
    for row, column in product(range(12), range(16)):
        sums[2 * (row >= 6) + (column >= 8)] += values[..., row, column].abs().sum().item()
    return [value / sum(sums) for value in sums]


def told(words: str) -> list[list[float]]:
    """The three lists of shares in the words: gradient image, Grad-CAM, product."""
    found = re.search(
        r"bottom right\): \w+ ([^;]+); Grad-CAM ([^;]+); the product ([^.]+\.\d\d[^.]*(?:\.\d\d[^.]*)*)\.",
        words,
    )
    return [[float(number) for number in re.findall(r"\d\.\d\d", part)] for part in found.groups()]


def test_the_shares_of_every_setting():
    explorer = guided_explorer(*two_relus(), CLASSES, LAYERS)
    for rule, name, layer in product(METHODS, CLASSES, LAYERS):
        words = words_of(explorer, rule=rule, name=name, layer=layer)
        values = METHODS[rule](*two_relus(), name)[0, 0]
        e = grad_cam(*two_relus(), name, LAYERS[layer])
        heat = e.heatmaps()[0, 0]
        if e.empty.any():
            assert "is zero everywhere" in words
            continue
        for shares, expected in zip(told(words), (values, heat, values * heat), strict=True):
            assert shares == pytest.approx(quarters(expected), abs=0.0051)


def test_the_product_of_the_guided_rule_is_guided_grad_cam():
    explorer = guided_explorer(*two_relus(), CLASSES, LAYERS)
    for name in CLASSES:
        expected = guided_grad_cam(*two_relus(), name, "net.2")[0, 0]
        if expected.any():
            words = words_of(explorer, rule="guided", name=name, layer="second")
            assert told(words)[2] == pytest.approx(quarters(expected), abs=0.0051)


def test_a_map_without_anything_positive_is_said_to_be_zero():
    classifier, image = two_relus()
    with torch.no_grad():
        classifier.net[-1].weight[0] = -1.0  # no channel, none of them negative after the ReLU, speaks for a
    explorer = guided_explorer(classifier, image, CLASSES, {"last": "net.3"})
    assert "Grad-CAM is zero everywhere; the product is zero everywhere" in words_of(explorer, name="a")


def test_rules_begin_with_the_guided_rule_the_first_class_and_the_last_layer():
    explorer = guided_explorer(*two_relus(), ["b", "c"], LAYERS)
    assert explorer.values == {"rule": "guided", "name": "b", "layer": "second"}


def test_once_it_is_there_no_setting_runs_the_network():
    classifier, image = two_relus()
    explorer, calls = guided_explorer(classifier, image, CLASSES, LAYERS), []
    classifier.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    for rule, name, layer in product(METHODS, CLASSES, LAYERS):
        words_of(explorer, rule=rule, name=name, layer=layer)
    assert not calls


def test_the_rules_leave_model_and_image_alone():
    classifier, image = two_relus()
    classifier.train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    copy = image.clone()
    guided_explorer(classifier, image, CLASSES, LAYERS).set(rule="deconvnet", layer="first")
    assert classifier.training
    assert torch.equal(image, copy) and not image.requires_grad
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert not any(part._forward_hooks for part in classifier.modules())
    assert all(parameter.grad is None for parameter in classifier.parameters())


# --- 06: covered cells


def covered_by_hand(classifier, image, which, cells, fill):
    """Logits after covering, with loops: the cells sorted by value, then each pixel of each cell."""
    maps = grad_cam(classifier, image, ["bee", "dog"]).maps[0]
    raw = {
        counterfactual.AGAINST: -maps[0],
        counterfactual.FOR: maps[0],
        counterfactual.RATHER: maps[0] - maps[1],
    }[which]
    order = sorted(range(16), key=lambda cell: -raw.flatten()[cell].item())
    picture, filled = image.clone(), stand_in(image, fill)
    for cell in order[:cells]:
        row, column = cell // 4 * 2, cell % 4 * 2
        place = (0, slice(None), slice(row, row + 2), slice(column, column + 2))
        picture[place] = filled[place]
    with torch.no_grad():
        return classifier(picture)[0], raw


def test_every_way_to_cover_and_its_numbers():
    classifier, image = tiny(), tiny_images(1)
    explorer = counterfactual_explorer(classifier, image, "bee", "dog")
    before = classifier(image)[0].detach()
    assert explorer.controls["cells"].max == 16
    for which in (counterfactual.AGAINST, counterfactual.FOR, counterfactual.RATHER):
        for fill in FILLS:
            for cells in (0, 1, 5, 11, 16):
                words = words_of(explorer, which=which, fill=fill, cells=cells)
                after, raw = covered_by_hand(classifier, image, which, cells, fill)
                for name, i in (("bee", 1), ("dog", 3)):
                    found = re.search(
                        rf"{name}: logit (\S+) to (\S+), probability (\S+) to (\S+); .*?by (\S+) ", words
                    )
                    expected = [before[i], after[i], before.softmax(0)[i], after.softmax(0)[i]]
                    assert list(map(float, found.groups()[:4])) == pytest.approx(
                        [float(value) for value in expected], abs=0.0051
                    )
                count = int((raw > 0).sum())
                assert f"Of 16 cells, {count} are" in words
                kind, side = ("lowest", "below") if which == counterfactual.AGAINST else ("highest", "above")
                if cells:
                    told = (
                        f"the {cells} {kind} cells are covered"
                        if cells > 1
                        else f"the {kind} cell is covered"
                    )
                    told += f", {cells - count} of them not {side} zero" if cells > count else ""
                    assert f"{told}. " in words
                assert f"{NAMES[before.argmax()]} to {NAMES[after.argmax()]}." in words


def test_nothing_covered_changes_nothing_and_everything_is_the_fill():
    explorer = counterfactual_explorer(tiny(), tiny_images(1), "bee", "dog")
    words = words_of(explorer, cells=0)
    assert words.count("changes by +0.00") >= 2 and "-0.00" not in words
    assert "no cell is covered." in words
    expected = float((tiny()(torch.full((1, 3, 8, 8), 0.5)) - tiny()(tiny_images(1)))[0, 1].detach())
    words = words_of(explorer, cells=16, fill="gray")
    assert f"changes by {expected:+.2f} (mean of {counterfactual.DRAWS} draws: rough)" in words


def test_the_real_network_on_a_mosaic(classifier):
    image = mosaic(["cat", "coffee", "motorcycle", "camera"]).tensor()
    explorer = counterfactual_explorer(classifier, image, "moped", "tabby")
    changes = {}
    for which in (counterfactual.AGAINST, counterfactual.FOR, counterfactual.RATHER):
        words = words_of(explorer, which=which)
        before, after = re.search(r"moped: logit (\S+) to (\S+),", words).groups()
        changes[which] = float(after) - float(before)
    assert changes[counterfactual.FOR] < -0.5 and changes[counterfactual.AGAINST] > 0
