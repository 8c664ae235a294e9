import pytest
import timm
import torch
import torchvision
from helpers import MAP_LAYER, Counter, TinyNet, relative_error, tiny_images
from torch import nn
from torch.nn import functional as F

from course_utils.explain import LayerError, cam, candidates, explain, find_layer, grad_cam, inputs
from course_utils.networks import Classifier


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


@pytest.mark.parametrize("layer", ["features.9", "", "relu"])
def test_a_name_that_does_not_exist(layer):
    with pytest.raises(LayerError, match=f"no layer named '{layer}'.*'features.4', 'features.0'"):
        grad_cam(TinyNet(), tiny_images(), 0, layer=layer)


def test_a_layer_of_another_model():
    with pytest.raises(
        LayerError, match=r"this ReLU is not a layer of the model.*'features.4', 'features.0'"
    ):
        grad_cam(TinyNet(), tiny_images(), 0, layer=TinyNet().features[5])


@pytest.mark.parametrize("layer", [4, ["features.4"], torch.zeros(1)])
def test_what_is_no_layer(layer):
    with pytest.raises(TypeError, match="layer must be a module or its dotted name, got"):
        grad_cam(TinyNet(), tiny_images(), 0, layer=layer)


def test_a_layer_that_the_forward_pass_does_not_reach():
    with pytest.raises(LayerError, match=r"never reached the layer \(Conv2d\).*'conv2', 'conv1'"):
        grad_cam(OneReLU(), tiny_images(), 0, layer="unused")
    with pytest.raises(LayerError, match=r"never reached the layer \(Conv2d\)"):
        explain(nn.Conv2d(1, 1, 1), lambda: TinyNet()(tiny_images()))


def test_a_layer_that_is_reached_twice():
    with pytest.raises(LayerError, match=r"\(ReLU\) is used more than once .*'conv2', 'conv1'"):
        grad_cam(OneReLU(), tiny_images(), 0, layer="relu")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [("head.3", r"\(2, 5\)"), ("head.1", r"\(2, 8\)"), ("head", r"\(2, 5\)"), ("features", None)],
)
def test_a_layer_that_puts_out_no_map(layer, shape):
    if shape is None:  # a container that ends in the map is as good as its last module
        assert grad_cam(TinyNet(), tiny_images(), 0, layer=layer).maps.shape == (2, 1, 4, 4)
    else:
        with pytest.raises(LayerError, match=rf"shape {shape}, no map \(N, C, h, w\).*'features.4'"):
            grad_cam(TinyNet(), tiny_images(), 0, layer=layer)


def test_a_layer_that_returns_several_tensors():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pair = nn.Conv2d(3, 4, 3), Pair()

        def forward(self, images):
            return self.pair(self.conv(images))[0].mean((2, 3))

    with pytest.raises(LayerError, match=r"\(Pair\) returns tuple, not one .*'conv'"):
        grad_cam(Net(), tiny_images(), 0, layer="pair")
    assert grad_cam(Net(), tiny_images(), 0).maps.shape == (2, 1, 6, 6)


def test_the_image_itself_or_what_the_scores_do_not_depend_on():
    class TwoBranches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aside = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, images):
            self.aside(images)
            return self.used(images).mean((2, 3))

    with pytest.raises(LayerError, match="do not depend on"):
        grad_cam(TwoBranches(), tiny_images(), 0, layer="aside")
    with pytest.raises(LayerError, match="do not depend on"):
        grad_cam(TwoBranches().requires_grad_(False), tiny_images(), 0, layer="aside")


def test_a_model_with_no_convolution():
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    with pytest.raises(LayerError, match="this Sequential has no convolution that puts out a map"):
        grad_cam(mlp, tiny_images(), 0)
    with pytest.raises(LayerError, match="no layer can serve"):
        grad_cam(mlp, tiny_images(), 0, layer="1")
    one_pixel = nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten())
    with pytest.raises(LayerError, match="more than one pixel"):
        grad_cam(one_pixel, tiny_images(), 0)


def test_candidates_start_with_the_target_layer():
    clf = Classifier(TinyNet(), list("abcde"), target_layer="features.5")
    assert candidates(clf).endswith("'net.features.5', 'net.features.4', 'net.features.0'.")
    many = nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(20)])
    assert candidates(many).endswith("'19', '18', '17', '16', '15', '14'.")


# --- the default layer -------------------------------------------------------------------------------


def test_tiny_nets_and_wrappers():
    net, images = TinyNet(), tiny_images()
    assert name_of(net, inputs.default_layer(net, images)) == "features"
    flat = nn.Sequential(*net.features, *net.head)
    assert name_of(flat, inputs.default_layer(flat, images)) == "5"
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
    assert inputs.default_layer(net, tiny_images()) is net[1]


def test_a_target_layer_that_the_model_names_is_taken_without_a_search():
    net, images = TinyNet(), tiny_images()
    net.target_layer = net.features[2]
    counter = Counter(net)
    assert grad_cam(net, images, 0).maps.shape == (2, 1, 8, 8)
    assert counter.calls == 1


def test_the_search_runs_one_image():
    net, seen = TinyNet(), []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    grad_cam(net, tiny_images(4), 0)
    assert seen == [1, 4]


def test_one_relu_for_all_convolutions():
    net, images = OneReLU(), tiny_images()
    assert inputs.default_layer(net, images) is net.conv2
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
    assert name_of(net, inputs.default_layer(net, tiny_images())) == "1"


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
    layer = inputs.default_layer(model, images)
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
