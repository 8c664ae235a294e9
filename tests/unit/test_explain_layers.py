"""What is a map, which one is the last, and what is said where there is none: networks of many kinds."""

import ast
import re
import warnings

import numpy as np
import pytest
import timm
import torch
import torch._dynamo
import torchvision
from helpers import TinyNet, relative_error, tiny_images
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional as F

from course_utils.attacks import fgsm
from course_utils.explain import (
    LayerError,
    cam,
    deletion_curve,
    excitation_backprop,
    explain,
    find_layer,
    grad_cam,
    grad_cam_pp,
    guided_backprop,
    layers,
    map_size,
    saliency,
)
from course_utils.localization import box_from_heatmap, energy_inside, pointing_game

IMAGES = tiny_images(2, size=32)


def name_of(model, layer):
    (name,) = [name for name, part in model.named_modules() if part is layer]
    return name


def torchvision_net(name):
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=5).eval()


def three_by_three(inner, outer):
    return nn.Conv2d(inner, outer, 3, padding=1)


def cnn(convolution=three_by_three, **options):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), convolution(8, 8, **options), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    ).eval()  # fmt: skip


# --- channels last -----------------------------------------------------------------------------------


def by_the_formula(model, images, layer, c, channels_last):
    """Grad-CAM from hooks of PyTorch's own, loops over the cells included."""
    kept = {}

    def keep(module, inputs, output):
        kept["A"] = output
        output.retain_grad()

    handle = layer.register_forward_hook(keep)
    model(images)[:, c].sum().backward()
    handle.remove()
    a, g = kept["A"].detach(), kept["A"].grad
    model.zero_grad()
    if channels_last:
        a, g = a.permute(0, 3, 1, 2), g.permute(0, 3, 1, 2)
    n, channels, h, w = a.shape
    maps = torch.zeros(n, h, w)
    alpha = torch.zeros(n, channels)
    for i in range(h):
        for j in range(w):
            alpha += g[:, :, i, j] / (h * w)
    for k in range(channels):
        maps += alpha[:, k, None, None] * a[:, k]
    return maps


@pytest.mark.parametrize(
    ("network", "layer", "size"),
    [
        ("swin_t", "features.7", (64, 96)),
        ("swin_t", "features.7", (96, 96)),
        ("swin_t", "features.1", (224, 224)),  # (N, 56, 56, 96): both readings would do
        ("swin_t", "features.0.1", (224, 224)),  # a Permute
        ("swin_t", "norm", (96, 128)),
        ("swin_t", "features.5.3.attn", (96, 96)),
        ("swin_t", "features.5.3.mlp.0", (96, 96)),
        ("swin_t", "permute", (96, 96)),
        ("convnext_tiny", "features.7.2.block.0", (160, 160)),
        ("convnext_tiny", "features.7.2.block.1", (160, 160)),
        ("convnext_tiny", "features.7.2.block.2", (160, 160)),
        ("convnext_tiny", "features.7.2.block.4", (96, 160)),
        ("convnext_tiny", "features.7.2.block", (160, 160)),
        ("convnext_tiny", "features.0", (96, 160)),
    ],
)
def test_layers_with_their_channels_last_against_the_formula(network, layer, size):
    model, images = (
        torchvision_net(network),
        torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1)),
    )
    module, first = model.get_submodule(layer), {"permute", "block.0", "block", "features.0"}
    channels_last = not any(layer.endswith(end) for end in first) or layer == "features.0.1"
    expected = by_the_formula(model, images, module, 3, channels_last)
    e = grad_cam(model, images, 3, layer)
    assert relative_error(e.maps[:, 0], expected) < 1e-5
    assert e.activations.shape[2:] == expected.shape[1:] and e.weights.shape[2] == e.activations.shape[1]
    assert e.heatmaps().shape[2:] == size


@pytest.mark.parametrize(
    ("network", "layer"), [("swin_t", "features.7"), ("convnext_tiny", "features.7.2.block.2")]
)
def test_pytorch_grad_cam_agrees_where_it_is_told_the_layout(network, layer):
    model, images = torchvision_net(network), torch.rand(1, 3, 96, 96)
    for name, parameter in model.named_parameters():
        if name.endswith("layer_scale"):  # 1e-6 to begin with, and theirs adds 1e-7 to the maximum
            nn.init.ones_(parameter)
    with GradCAM(
        model, [model.get_submodule(layer)], reshape_transform=lambda t: t.permute(0, 3, 1, 2)
    ) as method:
        theirs = method(images, [ClassifierOutputTarget(2)])[0]
    positive = grad_cam(model, images, 2, layer).maps.relu()
    ours = F.interpolate(positive, 96, mode="bilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(ours / (ours.max() + 1e-7), theirs, atol=2e-3)


def test_a_square_map_alone_tells_its_layout():
    model, images = torchvision_net("swin_t"), torch.rand(1, 3, 96, 96)
    e = explain(model.features[7], lambda: model(images)[:, [3]])
    assert torch.equal(e.maps, grad_cam(model, images, 3, "features.7").maps)


def test_excitation_backprop_with_the_channels_last():
    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    class First(nn.Module):
        def forward(self, x):
            return x.permute(0, 3, 1, 2)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), Last(), First(), nn.Conv2d(16, 4, 3), nn.ReLU(), nn.Flatten(),
                        nn.Linear(4 * 4 * 4, 3)).eval()  # fmt: skip
    images = tiny_images(2)
    assert torch.equal(excitation_backprop(net, images, 1, "2"), excitation_backprop(net, images, 1, "1"))


@pytest.mark.parametrize(
    ("layer", "shape", "image", "size"),
    [
        (nn.ReLU(), (1, 512, 7, 7), (224, 224), (7, 7)),
        (nn.ReLU(), (1, 7, 7, 512), (224, 224), (7, 7)),
        (nn.ReLU(), (1, 16, 16, 16), (64, 64), (16, 16)),  # a CNN unless something says otherwise
        (nn.ReLU(), (1, 64, 16, 125), (128, 1000), (16, 125)),
        (nn.ReLU(), (1, 64, 32, 125), (128, 1000), (32, 125)),  # a stride of 4 x 8
        (nn.Sequential(nn.LayerNorm(96), nn.Linear(96, 96)), (1, 96, 96, 96), (384, 384), (96, 96)),
        (nn.Conv2d(3, 8, 1), (1, 8, 3, 500), (500, 500), (3, 500)),
        (nn.Identity(), (1, 3, 197, 64), (224, 224), None),  # heads, tokens, channels of a head
        (nn.Linear(4, 4), (1, 50, 3, 4), (224, 224), None),
        (nn.Identity(), (1, 197, 768), (224, 224), None),
        (nn.Identity(), (1, 10), (224, 224), None),
    ],
)
def test_sizes_of_maps(layer, shape, image, size):
    assert map_size(layer, shape, image) == size


# --- the last map ------------------------------------------------------------------------------------


class OwnConvolution(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, 3, 3) / 9)

    def forward(self, x):
        return F.conv2d(x, self.weight, padding=1)


class WeightsInAList(nn.Module):
    """A 1 x 1 convolution by einsum, with its weights in a part that is never called."""

    def __init__(self, inner, outer):
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(outer, inner)])

    def forward(self, x):
        return torch.einsum("dc,nchw->ndhw", self.weights[0], x)


class Unfolded(OwnConvolution):
    def forward(self, x):
        columns = F.unfold(x, 3, padding=1)  # (N, 9 C, h w)
        return (self.weight.flatten(1) @ columns).view(len(x), -1, *x.shape[2:])


class Normed(nn.Module):
    """A convolution whose weight is computed anew in each pass."""

    def __init__(self, inner, outer):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(inner, outer, 3, padding=1))

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: torchvision_net("swin_t"), "permute"),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=5), "norm"),
        (lambda: timm.create_model("poolformer_s12", num_classes=5), "stages"),
        (lambda: timm.create_model("resnet50_clip", num_classes=5), "final_conv"),
        (lambda: cnn(OwnConvolution), "4"),
        (lambda: cnn(WeightsInAList), "4"),
        (lambda: cnn(Unfolded), "4"),
        (lambda: cnn(Normed), "4"),
        (lambda: cnn(nn.ConvTranspose2d, kernel_size=2, stride=2), "4"),
    ],
)
def test_networks_of_other_kinds(model, expected):
    torch.manual_seed(0)
    model, images = model().eval(), torch.rand(1, 3, 224, 224)
    layer = find_layer(model, images)
    assert name_of(model, layer) == expected
    e = grad_cam(model, images, 1)
    assert e.maps.shape[2:] == e.activations.shape[2:] and e.maps.abs().max() > 0
    assert relative_error(e.scores, model(images)[:, [1]].detach()) < 1e-6


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "deit_tiny_patch16_224",
        "mixer_s32_224",
        "levit_128s",
        "cait_xxs24_224",
        "resmlp_12_224",
    ],
)
def test_most_of_a_transformer_lies_behind_its_last_map(name):
    model, images = timm.create_model(name, num_classes=5).eval(), torch.rand(1, 3, 224, 224)
    for method in (grad_cam, grad_cam_pp, cam):
        with pytest.raises(
            LayerError, match=r"most of this \w+ lies behind its last map: \d+ of \d+ .*saliency"
        ):
            method(model, images, 1)
    assert saliency(model, images, 1).shape == (1, 1, 3, 224, 224)  # as the sentence says


def test_the_layer_before_a_transformer_can_be_named():
    model = torchvision_net("vit_b_16")
    with pytest.raises(LayerError, match="25 of 26 layers with weights"):
        grad_cam(model, torch.rand(1, 3, 224, 224), 1)
    assert grad_cam(model, torch.rand(1, 3, 224, 224), 1, "conv_proj").maps.shape == (1, 1, 14, 14)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.cell, self.fc = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Linear(8, 5),
        )

    def forward(self, images):
        state = self.stem(images).relu()
        for _ in range(3):
            state = self.cell(state).relu()
        return self.fc(state.mean((2, 3)))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, images):
        return self.fc(self.trunk(images).mean((2, 3)) - self.trunk(images.flip(3)).mean((2, 3)))


def test_a_recurrent_block_in_a_module_of_its_own_is_a_map():
    class Block(Recurrent):
        def forward(self, x):
            for _ in range(3):
                x = self.cell(x).relu()
            return x

    net = nn.Sequential(
        Recurrent().stem, Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    ).eval()
    assert name_of(net, find_layer(net, IMAGES)) == "1"


def test_the_other_branch_of_a_shared_trunk_as_the_sentence_says():
    net = Siamese().eval()
    with pytest.raises(
        LayerError, match=r"\(Conv2d\) that runs 2 times .*two inputs share.*scores\(\) of `explain`"
    ):
        grad_cam(net, IMAGES, 1)
    beside = net.trunk(IMAGES.flip(3)).mean((2, 3)).detach()
    e = explain(net.trunk, lambda: net.fc(net.trunk(IMAGES).mean((2, 3)) - beside)[:, [1]])
    torch.testing.assert_close(e.scores, net(IMAGES)[:, [1]].detach())


# --- the search leaves no trace ----------------------------------------------------------------------


class Hand(nn.Module):
    """A hand-written network: view(N, -1), and what a subclass does with the images first."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.fc, self.batches = cnn()[:5], nn.Linear(8 * 16 * 16, 5), []

    def forward(self, images):
        self.batches.append(len(images))
        x = self.features(self.prepared(images))
        return self.fc(x.view(x.size(0), -1))

    def prepared(self, images):
        return images


class ReadsANumber(Hand):
    def prepared(self, images):
        return images * 2 if (images.mean((1, 2, 3)) > 0.1).all() else images.flip(3)


class LeavesEarly(ReadsANumber):
    """Another way for another image: for none at all, all() is True."""

    def forward(self, images):
        self.batches.append(len(images))
        x = self.features[:2](images)
        if bool((x.mean((1, 2, 3)) > 100).all()):
            return self.fc(x[:, :2, :, :].flatten(1))
        return self.fc(self.features[2:](x).flatten(1))


class RemembersAGrid(Hand):
    grid = None

    def prepared(self, images):
        if self.grid is None:
            self.grid = torch.zeros(len(images), 1, 32, 32)
        return images + self.grid


@pytest.mark.parametrize(
    ("kind", "batches"),
    [(Hand, [0, 2]), (ReadsANumber, [0, 1, 2]), (LeavesEarly, [0, 1, 2]), (RemembersAGrid, [0, 2])],
)
def test_hand_written_networks(kind, batches):
    net = kind().eval()
    found = grad_cam(net, IMAGES, [1, 3])
    assert net.batches == batches
    assert torch.equal(found.maps, grad_cam(net, IMAGES, [1, 3], "features.4").maps)


def test_an_empty_batch_and_a_real_one_find_the_same():
    for name in (
        "resnet18",
        "googlenet",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "efficientnet_b0",
    ):
        options = {"init_weights": False} if name == "googlenet" else {}
        model, images = (
            torchvision.models.get_model(name, weights=None, **options).eval(),
            torch.rand(1, 3, 96, 64),
        )
        empty, real = layers._runs(model, images[:0]), layers._runs(model, images)
        assert [m for m, _ in empty] == [m for m, _ in real]
        assert [shape[1:] for _, shape in empty] == [shape[1:] for _, shape in real]


# --- sentences that are true -------------------------------------------------------------------------


class Cut(nn.Module):
    """A backbone and a trainable head, and between them what a subclass does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.back = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.fc = nn.Linear(8, 5)


class NoGrad(Cut):
    def forward(self, images):
        with torch.no_grad():
            maps = self.back(images)
        return self.fc(maps.mean((2, 3)))


class Detaches(Cut):
    def forward(self, images):
        return self.fc(self.back(images).detach().mean((2, 3)))


class Decorated(Cut):
    @torch.no_grad()
    def features(self, images):
        return self.back(images).mean((2, 3))

    def forward(self, images):
        return self.fc(self.features(images))


@pytest.mark.parametrize("kind", [NoGrad, Detaches, Decorated])
def test_a_backbone_that_is_cut_off(kind):
    net = kind().eval()
    for layer in (None, "back.2", "back"):
        with pytest.raises(
            LayerError, match=r"under torch.no_grad\(\), or detaches .*no layer can serve.*`cam`"
        ):
            grad_cam(net, IMAGES, 1, layer)
    with pytest.raises(LayerError, match="no layer can serve"):
        excitation_backprop(net, IMAGES, 1)
    assert cam(net, IMAGES, 1).shape == (2, 1, 28, 28)  # as the sentence says
    for method in (saliency, guided_backprop, fgsm):
        with pytest.raises(ValueError, match=r"do not depend on the images, .*torch.no_grad\(\)"):
            method(net, IMAGES, 1)


@pytest.mark.parametrize("kind", ["script", "trace", "export", "scripted part"])
def test_scripted_and_exported_networks(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = {
            "script": lambda: torch.jit.script(cnn(OwnConvolution)),
            "trace": lambda: torch.jit.trace(cnn(OwnConvolution), IMAGES),
            "export": lambda: torch.export.export(cnn(OwnConvolution), (IMAGES,)).module(),
            "scripted part": lambda: nn.Sequential(torch.jit.script(cnn()[:5]), *cnn()[5:]),
        }[kind]()
    named = "0.3" if kind == "scripted part" else "3"
    for call in (
        lambda: grad_cam(net, IMAGES, 1),
        lambda: grad_cam(net, IMAGES, 1, named),
        lambda: cam(net, IMAGES, 1),
    ):
        with pytest.raises(LayerError, match=r"scripted or exported code.*Hand over the network"):
            call()
    assert saliency(net, IMAGES, 1).shape == (2, 1, 3, 32, 32)


def test_a_symbolically_traced_network_calls_its_layers():
    net = cnn()
    traced = torch.fx.symbolic_trace(net)
    assert torch.equal(grad_cam(traced, IMAGES, 1).maps, grad_cam(net, IMAGES, 1).maps)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("method", ["named", "default", "explain", "cam"])
def test_a_network_compiled_in_place(warm, method):
    net = cnn()
    call = {
        "named": lambda: grad_cam(net, IMAGES, [1, 2], "4").maps,
        "default": lambda: grad_cam(net, IMAGES, [1, 2]).maps,
        "explain": lambda: explain(net[4], lambda: net(IMAGES)[:, [1, 2]]).maps,
        "cam": lambda: cam(net, IMAGES, [1, 2]),
    }[method]
    expected = call()
    torch._dynamo.reset()  # what earlier tests compiled
    net.compile(backend="eager")
    if warm:
        net(IMAGES)
        with torch.no_grad():
            net(IMAGES)
    assert torch.equal(call(), expected)
    assert net._compiled_call_impl is not None


class Aside(nn.Module):
    """Of its convolutions one counts, one runs beside, one twice, one not at all, and one is used by its weights."""

    def __init__(self):
        super().__init__()
        self.counts, self.aside, self.twice, self.never, self.lent = (
            nn.Conv2d(3, 3, 3, padding=1) for _ in range(5)
        )

    def forward(self, images):
        self.aside(images)
        x = self.counts(self.twice(self.twice(images)))
        return F.conv2d(x, self.lent.weight, padding=1).mean((2, 3))


@pytest.mark.parametrize("layer", ["aside", "twice", "never", "lent", "nowhere"])
def test_layers_that_are_named_can_serve(layer):
    with pytest.raises(LayerError) as refused:
        grad_cam(Aside(), IMAGES, 1, layer)
    (listed,) = re.findall(r"can serve \(the last maps first\): (.*)\.$", str(refused.value))
    assert ast.literal_eval(f"[{listed}]") == ["counts"]
    assert grad_cam(Aside(), IMAGES, 1, "counts").maps.shape == (2, 1, 32, 32)


def test_a_layer_that_splits_its_batch():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(12, 5)

        def forward(self, images):
            return self.fc(self.conv(images.flatten(0, 1)[:, None]).mean((2, 3)).view(len(images), -1))

    with pytest.raises(LayerError, match=r"puts out 6 maps for 2 image\(s\)"):
        grad_cam(Split().eval(), IMAGES, 1)


# --- maps of one cell --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_map_of_one_cell_marks_no_place(name):
    model = torchvision_net(name)
    layer = {"resnet18": "layer4", "mobilenet_v2": "features"}[name]
    e = grad_cam(model, IMAGES, [0, 1, 2, 3, 4], layer)
    assert e.maps.shape[2:] == (1, 1) and not e.empty.all()
    for heatmap in e.heatmaps(224).flatten(0, 1):
        assert box_from_heatmap(heatmap) is None
        assert pointing_game(heatmap, (0, 0, 112, 112)) is None
        assert energy_inside(heatmap, (0, 0, 112, 112)) is None


# --- one meaning for a batch's labels ----------------------------------------------------------------

LABELS = [4, 1]
METHODS = {
    "grad_cam": lambda *a: grad_cam(*a).maps,
    "grad_cam_pp": lambda *a: grad_cam_pp(*a).maps,
    "cam": cam,
    "saliency": saliency,
    "guided_backprop": guided_backprop,
    "deletion_curve": lambda net, images, classes: (
        deletion_curve(net, images, torch.rand(4, 4), classes).values
    ),
    "fgsm": lambda net, images, classes: fgsm(net, images, classes)[:, None],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [torch.tensor, np.array, lambda v: torch.tensor(v, dtype=torch.uint8)])
def test_labels_are_each_images_own_in_every_call(method, kind):
    net, images = TinyNet(), tiny_images()
    torch.manual_seed(0)
    found = METHODS[method](net, images, kind(LABELS))
    assert found.shape[:2] == (2, 1)
    for n, label in enumerate(LABELS):
        torch.manual_seed(0)
        torch.testing.assert_close(
            found[n], METHODS[method](net, images[n : n + 1], label)[0], rtol=1e-4, atol=1e-6
        )
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        METHODS[method](net, images, kind([4, 1, 0]))
