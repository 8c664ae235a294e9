"""What may be handed over: images, wrapped models, logits, classes; and the layer to explain with."""

from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import torchvision
from helpers import MAP_LAYER, Counter, TinyNet, relative_error, tiny_images
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations as PZ

from course_utils.explain import (
    LayerError,
    batched_logits,
    cam,
    candidates,
    check_images,
    check_logits,
    class_matrix,
    deconvnet,
    deletion_curve,
    excitation_backprop,
    find_layer,
    grad_cam,
    grad_cam_pp,
    guided_backprop,
    guided_grad_cam,
    inputs,
    insertion_curve,
    integrated_gradients,
    layers,
    occlusion,
    prepare,
    run,
    saliency,
    scores,
    smooth_grad,
)
from course_utils.networks import Classifier

METHODS = (
    grad_cam, grad_cam_pp, cam, saliency, deconvnet, guided_backprop, guided_grad_cam, excitation_backprop,
    integrated_gradients, smooth_grad,
)  # fmt: skip
NAMES = ["tabby", "tiger cat", "crane", "crane", "boxer"]


def classifier():
    return Classifier(TinyNet(), NAMES, target_layer="features.5")


# --- images ------------------------------------------------------------------------------------------


def test_a_bare_network_takes_what_it_likes_and_rounding_is_forgiven():
    for images in (tiny_images() * 255, tiny_images() - 0.5):
        assert grad_cam(TinyNet(), images, 0).maps.shape == (2, 1, 4, 4)
    check_images(torch.tensor([-1e-7, 1 + 1e-7]).view(1, 1, 1, 2), unit_range=True)


def test_gray_images_are_colored_as_the_error_says():
    gray = torch.rand(2, 1, 8, 8)
    assert grad_cam(classifier(), gray.expand(-1, 3, -1, -1), 0).maps.shape == (2, 1, 4, 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_images_of_every_precision_are_checked(dtype):
    check_images(tiny_images().to(dtype), unit_range=True, channels=3)


# --- the model ---------------------------------------------------------------------------------------


def test_wrappers_that_run_copies_or_compiled_code_are_looked_through():
    net = TinyNet()
    compiled = nn.Module()
    compiled._orig_mod = net  # where torch.compile keeps the network
    assert inputs.unwrap(net) is net
    assert inputs.unwrap(nn.DataParallel(net)) is net
    assert inputs.unwrap(compiled) is net
    assert inputs.unwrap(nn.DataParallel(nn.DataParallel(net))) is net
    wrapper = nn.Module()
    wrapper.module = net
    assert inputs.unwrap(wrapper) is wrapper


def test_prepare_copies_the_images():
    net, images = TinyNet(), tiny_images().requires_grad_()
    model, copy = prepare(nn.DataParallel(net), images)
    assert model is net
    assert copy.data_ptr() != images.data_ptr()
    assert not copy.requires_grad
    assert torch.equal(copy, images)
    with torch.inference_mode():
        assert not prepare(net, tiny_images())[1].is_inference()
    assert prepare(nn.ReLU(), images)[1].device == images.device  # no parameters, no device to move to


def test_a_model_made_in_inference_mode_runs_with_copies():
    with torch.inference_mode():
        net = TinyNet()
    parameters = list(net.parameters())
    expected = TinyNet()(tiny_images())
    with torch.enable_grad():
        logits = run(net, tiny_images())
    assert torch.equal(logits, expected)
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))


# --- logits ------------------------------------------------------------------------------------------


def test_check_logits_hands_on_good_ones():
    logits = torch.zeros(2, 5)
    assert check_logits(logits, 2) is logits


# --- classes -----------------------------------------------------------------------------------------

LOGITS = torch.tensor([[0.0, 3, 1, 2, -1], [5.0, 3, 1, 2, -1]])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (None, [[1], [0]]),
        (3, [[3], [3]]),
        (np.int64(3), [[3], [3]]),
        (np.uint8(3), [[3], [3]]),
        (np.array(3), [[3], [3]]),
        (torch.tensor(3), [[3], [3]]),
        ([4, 0, 4], [[4, 0, 4], [4, 0, 4]]),
        ((4, np.int32(0), torch.tensor(2)), [[4, 0, 2], [4, 0, 2]]),
        (range(2), [[0, 1], [0, 1]]),
        (torch.tensor([3]), [[3], [3]]),
        (torch.tensor([4, 0]), [[4], [0]]),  # as many as there are images: the labels of a batch
        (torch.tensor([4, 0], dtype=torch.int16), [[4], [0]]),
        (np.array([4, 0]), [[4], [0]]),
        (torch.tensor([[4, 0, 1], [2, 2, 3]]), [[4, 0, 1], [2, 2, 3]]),
        (np.array([[4], [2]]), [[4], [2]]),
    ],
)
def test_ways_to_ask_for_classes(classes, expected):
    matrix = class_matrix(nn.ReLU(), classes, LOGITS)
    assert matrix.tolist() == expected
    assert matrix.dtype == torch.long


def test_classes_by_name():
    assert class_matrix(classifier(), "boxer", LOGITS).tolist() == [[4], [4]]
    assert class_matrix(classifier(), ["boxer", 1, "Tabby"], LOGITS).tolist() == [[4, 1, 0]] * 2
    assert class_matrix(classifier(), np.array(["boxer", "tabby"]), LOGITS).tolist() == [[4], [0]]
    assert class_matrix(classifier(), np.array(["boxer", "tabby"]), LOGITS[:1]).tolist() == [[4, 0]]


def test_class_names():
    matrix = torch.tensor([[4, 0], [1, 1]])
    assert inputs.class_names(classifier(), matrix, 5) == [["boxer", "tabby"], ["tiger cat", "tiger cat"]]
    net = TinyNet()
    assert inputs.class_names(net, matrix, 5) is None
    for other in (
        5,
        ["one", "two"],
        list("abcdef"),
        {"a": 1},
    ):  # some networks keep something else under that name
        net.classes = other
        assert inputs.class_names(net, matrix, 5) is None


def name_of(model, layer):
    (name,) = [name for name, part in model.named_modules() if part is layer]
    return name


class OneReLU(nn.Module):
    """The usual hand-written network: one ReLU for all convolutions."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(6, 5)
        self.unused = nn.Conv2d(6, 6, 3)

    def forward(self, images):
        x = self.relu(self.conv2(self.relu(self.conv1(images))))
        return self.fc(x.mean((2, 3)))


class Wrapper(nn.Module):
    """A wrapper of one's own, with something to do before the network runs."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, images):
        return self.module(2 * images - 1)


# --- by name, by module ------------------------------------------------------------------------------


def test_by_module_or_dotted_name():
    net, images = TinyNet(), tiny_images()
    assert find_layer(net, images, "features.5") is net.features[5]
    assert find_layer(net, images, net.features[5]) is net.features[5]
    assert find_layer(net, images, "module.features.5") is net.features[5]  # the name DataParallel gives it
    wrapper, clf = Wrapper(net), Classifier(net, list("abcde"))
    assert find_layer(wrapper, images, "features.5") is net.features[5]
    assert find_layer(wrapper, images, "module.features.5") is net.features[5]
    assert find_layer(clf, images, "features.5") is net.features[5]
    assert find_layer(clf, images, "net.features.5") is net.features[5]


def test_a_layer_given_in_its_wrapper_is_found():
    net = TinyNet()
    assert find_layer(net, tiny_images(), nn.DataParallel(net.features)) is net.features


def test_same_maps_by_name_and_by_module():
    net, images = TinyNet(), tiny_images()
    assert torch.equal(
        grad_cam(net, images, 1, layer="features.4").maps, grad_cam(net, images, 1, net.features[4]).maps
    )


def test_a_container_that_ends_in_the_map_is_as_good_as_its_last_module():
    assert grad_cam(TinyNet(), tiny_images(), 0, layer="features").maps.shape == (2, 1, 4, 4)


def test_a_layer_that_returns_several_tensors_is_passed_over():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pair = nn.Conv2d(3, 4, 3), Pair()

        def forward(self, images):
            return self.pair(self.conv(images))[0].mean((2, 3))

    assert grad_cam(Net(), tiny_images(), 0).maps.shape == (2, 1, 6, 6)


def test_candidates_start_with_the_target_layer():
    clf = Classifier(TinyNet(), list("abcde"), target_layer="features.5")
    assert candidates(clf).endswith("'net.features.5', 'net.features.4', 'net.features.0'.")
    many = nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(20)])
    assert candidates(many).endswith("'19', '18', '17', '16', '15', '14'.")


# --- the default layer -------------------------------------------------------------------------------


def test_tiny_nets_and_wrappers():
    net, images = TinyNet(), tiny_images()
    assert name_of(net, layers.default_layer(net, images)) == "features"
    flat = nn.Sequential(*net.features, *net.head)
    assert name_of(flat, layers.default_layer(flat, images)) == "5"
    bare = grad_cam(net, images, [0, 3]).maps
    assert torch.equal(grad_cam(flat, images, [0, 3]).maps, bare)
    assert torch.equal(grad_cam(nn.DataParallel(net), images, [0, 3]).maps, bare)
    wrapped = grad_cam(Wrapper(net), (images + 1) / 2, [0, 3])
    assert relative_error(wrapped.maps, bare) < 1e-5
    clf = Classifier(net, list("abcde"), mean=[0] * 3, std=[1] * 3)  # no target layer named
    assert clf.target_layer is None
    assert torch.equal(grad_cam(clf, images, [0, 3]).maps, bare)


def test_the_model_itself_is_no_layer():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())  # puts out a map
    assert layers.default_layer(net, tiny_images()) is net[1]


def test_a_target_layer_that_the_model_names_is_taken_without_a_search():
    net, images = TinyNet(), tiny_images()
    net.target_layer = net.features[2]
    counter = Counter(net)
    assert grad_cam(net, images, 0).maps.shape == (2, 1, 8, 8)
    assert counter.calls == 1


def test_the_search_runs_no_image():
    net, seen = TinyNet(), []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    grad_cam(net, tiny_images(4), 0)
    assert seen == [0, 4]


def test_one_relu_for_all_convolutions():
    net, images = OneReLU(), tiny_images()
    assert layers.default_layer(net, images) is net.conv2
    e = grad_cam(net, images, 2)
    # The identities hold for the map behind the ReLU, so cam finds that one.
    expected = torch.einsum("c,nchw->nhw", net.fc.weight[2], F.relu(e.activations))
    torch.testing.assert_close(cam(net, images, 2)[:, 0], expected)


def test_pooling_and_single_pixels_behind_the_map_are_no_maps():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(4, 4, 1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ).eval()
    assert name_of(net, layers.default_layer(net, tiny_images())) == "1"


@pytest.mark.parametrize(
    ("name", "expected", "shape"),
    [
        ("vgg16", "features.29", (512, 14, 14)),
        ("alexnet", "features.11", (256, 13, 13)),
        ("resnet50", "layer4", (2048, 7, 7)),
        ("googlenet", "inception5b", (1024, 7, 7)),
        ("mobilenet_v2", "features", (1280, 7, 7)),
        ("densenet121", "features", (1024, 7, 7)),
    ],
)
def test_torchvision(name, expected, shape):
    with torch.device("meta"):  # shapes are enough: no weights, no arithmetic
        options = {"init_weights": False} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, **options).eval()
        images = torch.empty(1, 3, 224, 224)
    layer = layers.default_layer(model, images)
    assert name_of(model, layer) == expected
    shapes = []
    layer.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(images)
    assert shapes == [shape]


# The logit identity needs average pooling directly in front of the last linear layer.
POOLED = {
    "tinynet_e": True,
    "mnasnet_small": True,
    "edgenext_xx_small": False,
    "resnet10t": True,
    "mobilenetv3_small_050": False,
    "efficientnet_b0": True,
    "regnety_002": True,
    "convnext_atto": False,
    "ghostnet_050": False,
    "densenet121": True,
    "repvgg_a0": True,
    "rexnet_100": True,
}


@pytest.mark.parametrize("name", POOLED)
def test_timm(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7).eval()
    images = tiny_images(2, size=96)
    with torch.no_grad():
        logits = model(images)
    e = grad_cam(model, images, [2, 5])
    assert e.maps.shape[2:] == (3, 3)
    assert torch.equal(e.scores, logits[:, [2, 5]])
    assert e.maps.abs().amax((2, 3)).min() > 0
    if POOLED[name]:
        head = model.get_classifier()
        evidence = logits[:, [2, 5]] - head.bias[[2, 5]]
        assert (e.maps.sum((2, 3)) - evidence).abs().max() < 1e-5 * logits.abs().max() + 1e-6
        assert relative_error(cam(model, images, [2, 5]), 9 * e.maps) < 1e-5
    else:
        with pytest.raises(LayerError, match=r"has another head\. Use grad_cam"):
            cam(model, images, [2, 5])


def test_default_layer_of_tinynet_is_its_map():
    net, images = TinyNet(), tiny_images()
    assert torch.equal(grad_cam(net, images, 0).maps, grad_cam(net, images, 0, MAP_LAYER).maps)


# --- what a model returns ----------------------------------------------------------------------------


class Packed(nn.Module):
    """Its logits lie in what it returns, beside other things."""

    def __init__(self, pack):
        super().__init__()
        self.net, self.pack = TinyNet(), pack
        self.eval()

    def forward(self, images):
        return self.pack(self.net(images))


@pytest.mark.parametrize(
    ("pack", "output"),
    [
        (lambda y: (y, y[:, :2]), lambda out: out[0]),
        (lambda y: {"head": {"logits": y}, "loss": None}, lambda out: out["head"]["logits"]),
        (lambda y: [y[:, :2], y], lambda out: out[-1]),  # deep supervision
        (lambda y: SimpleNamespace(logits=y), lambda out: out.logits),
    ],
)
def test_every_method_takes_its_logits_through_output(pack, output):
    net, model, images = TinyNet(), Packed(pack), tiny_images()
    for method in METHODS:
        found, expected = method(model, images, [2, 0], output=output), method(net, images, [2, 0])
        assert torch.equal(getattr(found, "maps", found), getattr(expected, "maps", expected)), (
            method.__name__
        )
    assert torch.equal(batched_logits(model, images, output), batched_logits(net, images))
    assert torch.equal(occlusion(model, images, [2, 0], 2, output=output), occlusion(net, images, [2, 0], 2))
    for curve in (deletion_curve, insertion_curve):
        found = curve(model, images, torch.ones(2, 2), [2, 0], steps=2, output=output)
        assert torch.equal(found.values, curve(net, images, torch.ones(2, 2), [2, 0], steps=2).values)


def test_curves_follow_a_sigmoid_where_classes_do_not_exclude_each_other():
    clf = Classifier(TinyNet(), list("abcde"), scores="independent")
    curve = deletion_curve(clf, tiny_images(), torch.ones(2, 2), range(5), steps=2)
    torch.testing.assert_close(curve.values[:, :, 0], clf(tiny_images()).sigmoid().detach())
    one = TinyNet(n_classes=1)
    curve = insertion_curve(one, tiny_images(), torch.ones(2, 2), steps=2)
    torch.testing.assert_close(curve.values[:, :, -1], one(tiny_images()).sigmoid().detach())


@pytest.mark.parametrize(
    "function",
    [
        torch.sigmoid,
        lambda y: y[:, :, None, None].sigmoid().flatten(1),
        lambda y: torch.cat([y[:, :2].sigmoid(), y[:, 2:].sigmoid()], 1),
        lambda y: torch.stack([y[:, k].sigmoid() for k in range(5)], 1),
        lambda y: y.softmax(1),
        lambda y: y.exp() / y.exp().sum(1, keepdim=True),
    ],
)
def test_probabilities_are_told_from_logits(function):
    with pytest.raises(ValueError, match="the model returns probabilities"):
        saliency(Packed(function), tiny_images())


def test_logits_that_sum_to_one_are_logits():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        net[3].weight[1] = -net[3].weight[0]
        net[3].bias.copy_(torch.tensor([0.5, 0.5]))
    logits = net(tiny_images())
    assert scores.row_sums_to_one(logits)
    assert torch.equal(grad_cam(net, tiny_images(), 0).scores, logits[:, :1])


@pytest.mark.parametrize("norm", [PZ.weight_norm, PZ.spectral_norm, PZ.orthogonal])
def test_cam_takes_parametrized_heads(norm):
    net = TinyNet()
    net.head[3] = norm(nn.Linear(8, 5, bias=False))
    net.eval()
    maps = grad_cam(net, tiny_images(), range(5)).maps
    torch.testing.assert_close(cam(net, tiny_images(), range(5)), 16 * maps)
