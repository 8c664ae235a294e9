"""What the room ``explain`` refuses, in one table: the call, the error, and words of its sentence."""

import math

import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_images
from PIL import Image
from torch import nn
from torch.nn import functional as F

from course_utils.explain import (
    ActivationError,
    BackwardHook,
    ForwardHook,
    LayerError,
    batched_logits,
    cam,
    check_images,
    cover,
    deconvnet,
    deletion_curve,
    excitation_backprop,
    explain,
    grad_cam,
    grad_cam_pp,
    guided_backprop,
    heatmaps,
    integrated_gradients,
    relu_rule,
    saliency,
    smooth_grad,
    stand_in,
    top_share_mask,
)
from course_utils.networks import Classifier


class Returns(nn.Module):
    """A convolution, a second one that no forward pass reaches, and a result of one's own."""

    def __init__(self, result, fc=None):
        super().__init__()
        self.conv, self.unused, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), fc or nn.Identity()
        self.result = result

    def forward(self, images):
        return self.fc(self.result(self.conv(images)))


class Lora(nn.Linear):
    """W F + b, and an adapter's A B F."""

    def forward(self, f):
        return super().forward(f) + f @ torch.ones(self.in_features, 1) @ torch.ones(1, self.out_features) / 8


class Cosine(nn.Linear):
    """Cosines of features and weights."""

    def forward(self, f):
        return 5 * F.linear(F.normalize(f), F.normalize(self.weight))


class Masked(nn.Linear):
    """Every second feature."""

    def forward(self, f):
        return super().forward(f * (torch.arange(self.in_features) % 2))


class Packed(nn.Linear):
    """Weights in another form, as quantized heads keep them."""

    def forward(self, f):
        self.real = getattr(self, "real", self.weight.data.clone())
        self.weight = nn.Parameter(torch.zeros(20, 1, dtype=torch.uint8), requires_grad=False)
        return F.linear(f, self.real, self.bias)


BENT = (Lora, Cosine, Masked, Packed)


def with_last(kind):
    net = TinyNet()
    net.head[3] = kind(8, 5)
    return net.eval()


class OneReLU(nn.Module):
    """One ReLU for both convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.ReLU()

    def forward(self, images):
        return self.relu(self.conv2(self.relu(self.conv1(images)))).mean((2, 3))


class Pair(nn.Module):
    """Returns a tuple."""

    def forward(self, x):
        return x, x


class TakesFirst(nn.Module):
    """Goes on with the first of two tensors."""

    def __init__(self):
        super().__init__()
        self.conv, self.pair = nn.Conv2d(3, 4, 3), Pair()

    def forward(self, images):
        return self.pair(self.conv(images))[0].mean((2, 3))


class TwoBranches(nn.Module):
    """The scores rest on one convolution; another runs beside it."""

    def __init__(self):
        super().__init__()
        self.used, self.aside = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, images):
        self.aside(images)
        return self.used(images).mean((2, 3))


class Detached(TinyNet):
    """Its scores do not depend on the images."""

    def forward(self, images):
        return super().forward(images).detach()


IMAGES = tiny_images()
NAMES = ["tabby", "tiger cat", "crane", "crane", "boxer"]
MLP = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
GRADIENTS = (saliency, deconvnet, guided_backprop, integrated_gradients, smooth_grad)


def classifier():
    return Classifier(TinyNet(), NAMES, target_layer="features.5")


def with_pixel(value):
    images = tiny_images()
    images[1, 2, 7, 7] = value
    return images


def spoiled(value, **options):
    net = TinyNet(**options)
    with torch.no_grad():
        net.head[-1].weight.fill_(value)
    return net


def below_zero():
    """A network whose last map is negative everywhere."""
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].bias -= 20
        net[3].weight.fill_(1)
    return net


def explained(scores):
    net = TinyNet()
    return explain(net.features, lambda: scores(net(IMAGES)))


def of_something_else():
    net, other = TinyNet(), torch.zeros(2, 1, requires_grad=True)
    return explain(net.features, lambda: (net(IMAGES), other * 2)[1])


def registered_twice(kind):
    hook = kind(nn.ReLU())
    with hook, hook:
        pass


def within_rule(rule, module):
    with relu_rule(rule):
        module(tiny_images().requires_grad_() * 1)


def unused_linear():
    net = Returns(lambda a: a.mean((2, 3)), nn.Linear(4, 5))
    net.forward = lambda images: net.result(net.conv(images))
    return net


def on(method, model, *arguments, **options):
    return lambda: method(model() if isinstance(model, type) else model, IMAGES, *arguments, **options)


HOOKS = [
    case
    for kind in (ForwardHook, BackwardHook)
    for case in [
        (lambda kind=kind: kind(), ValueError, "at least one module"),
        (lambda kind=kind: kind("features.0"), TypeError, r"needs modules \(torch.nn.Module\), got str"),
        (lambda kind=kind: registered_twice(kind), RuntimeError, "registered already"),
    ]
] + [(lambda: ForwardHook(nn.ReLU())[nn.Linear(1, 1)], KeyError, "does not listen to that Linear")]

# No batch of images: every method says so.
BAD_IMAGES = [
    (Image.new("RGB", (8, 8)), TypeError, r"must be a tensor \(N, C, H, W\), got Image.*preprocess"),
    (np.zeros((1, 3, 8, 8)), TypeError, r"must be a tensor \(N, C, H, W\), got ndarray.*from_numpy"),
    ([[0.5]], TypeError, "got list"),
    (torch.zeros(3, 8, 8), ValueError, r"\(3, 8, 8\): the batch dimension is missing. Pass `images\[None\]`"),
    *[
        (torch.zeros(shape), ValueError, r"three numbers where \(N, C, H, W\) has four.*signals \(N, C, L\)")
        for shape in [(16, 2, 1000), (1, 12, 5000), (2, 28, 28), (8, 28, 28)]
    ],
    (
        torch.zeros(8, 28, 28),
        ValueError,
        r"gray images \(N, H, W\) need one for the channel, `images\[:, None\]`",
    ),
    (torch.zeros(480, 640, 3), ValueError, r"channels last. Pass `images.permute\(2, 0, 1\)\[None\]`"),
    (
        np.zeros((8, 9, 3), np.uint8),
        TypeError,
        r"\(array.astype\('float32'\)\).permute\(2, 0, 1\)\[None\]`\.",
    ),
    (np.full((2, 8, 9, 3), 200), TypeError, r"astype\('float32'\)\).permute\(0, 3, 1, 2\) / 255`"),
    (
        [torch.zeros(3, 8, 8)] * 2,
        TypeError,
        r"got list. Put these 2 tensors together: `torch.stack\(images\)`",
    ),
    (IMAGES.int(), TypeError, r"got torch.int32. For bytes, 0 to 255, use `images.float\(\) / 255`"),
    (IMAGES > 0.5, TypeError, r"got torch.bool. Use `images.float\(\)`"),
    (torch.zeros(8, 8), ValueError, r"must have shape \(N, C, H, W\).*got \(8, 8\)"),
    (torch.zeros(1, 1, 3, 8, 8), ValueError, r"got \(1, 1, 3, 8, 8\)"),
    (torch.zeros(0, 3, 8, 8), ValueError, r"at least one image, got \(0, 3, 8, 8\)"),
    (torch.zeros(1, 3, 0, 8), ValueError, r"got \(1, 3, 0, 8\)"),
    (IMAGES.byte(), TypeError, r"got torch.uint8. For bytes, .*float\(\) / 255"),
    (IMAGES.cfloat(), TypeError, "got torch.complex64"),
    (torch.full((1, 3, 8, 8), torch.nan), ValueError, "NaN or infinite values. Check how"),
    (torch.full((1, 3, 8, 8), torch.inf), ValueError, "NaN or infinite"),
    (torch.full((1, 3, 8, 8), -torch.inf), ValueError, "NaN or infinite"),
    (with_pixel(torch.nan), ValueError, "NaN"),
]
REFUSE_IMAGES = {
    "check_images": check_images,
    "grad_cam": lambda images: grad_cam(TinyNet(), images, 0),
    "grad_cam of a classifier": lambda images: grad_cam(classifier(), images, 0),
    "classifier": classifier(),
    "saliency": lambda images: saliency(TinyNet(), images, 0),
    "deconvnet": lambda images: deconvnet(TinyNet(), images, 0),
    "guided_backprop": lambda images: guided_backprop(TinyNet(), images, 0),
    "cover": lambda images: cover(images, torch.zeros(4, 4).bool()),
    "stand_in": stand_in,
}
ANY_IMAGES = [
    (lambda call=call, images=images: call(images), error, words)
    for call in REFUSE_IMAGES.values()
    for images, error, words in BAD_IMAGES
]
PRECISIONS = [
    (lambda dtype=dtype: check_images(with_pixel(torch.nan).to(dtype)), ValueError, "NaN")
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
]
DIVIDE = "Divide bytes by 255"
GRAY, FOUR = torch.rand(2, 1, 8, 8), torch.rand(2, 4, 8, 8)
OF_A_CLASSIFIER = [
    (lambda: grad_cam(classifier(), IMAGES * 255, 0), ValueError, rf"in \[0, 1\], got values from 2.* to 25.*{DIVIDE}"),
    (lambda: grad_cam(classifier(), IMAGES - 0.5, 0), ValueError, rf"in \[0, 1\], got values from -0..*{DIVIDE}"),
    (
        lambda: grad_cam(classifier(), GRAY, 0),
        ValueError,
        r"3 channels \(RGB\), got 1 .*`images.expand\(-1, 3, -1, -1\)`",
    ),
    (lambda: classifier()(FOUR), ValueError, r"got 4 in shape \(2, 4, 8, 8\).*leave it out: `images\[:, :3\]`"),
    (
        lambda: classifier()(torch.rand(2, 8, 9, 3)),
        ValueError,
        r"got 8 in shape \(2, 8, 9, 3\). They have the channels last: use `images.permute\(0, 3, 1, 2\)`",
    ),
    (lambda: classifier()(IMAGES * 1.05 + 0.01), ValueError, r"to 1.0\d+. Interpolation overshoots .*clamp\(0, 1\)"),
]  # fmt: skip

MODELS = [
    *[
        (
            lambda model=model: grad_cam(model(), IMAGES, 0),
            TypeError,
            f"model must be a torch.nn.Module, got {words}",
        )
        for model, words in [
            (lambda: tiny_images, "function. Hand over the network itself"),
            (lambda: TinyNet, r"the class TinyNet. Make a network of that class: `TinyNet\(...\)`"),
            (lambda: TinyNet().state_dict(), "OrderedDict. These are weights: .*load_state_dict"),
            (
                lambda: torch.export.export(TinyNet().eval(), (IMAGES,)),
                r"ExportedProgram. `program.module\(\)` is",
            ),
            (lambda: "net.pt", r"str\.$"),
        ]
    ],
    *[
        (
            on(method, Returns(result), 0, layer="conv"),
            ValueError,
            "numbers of torch.int64 .*as an argmax leaves them",
        )
        for method in (grad_cam, grad_cam_pp)
        for result in (lambda a: a.mean((2, 3)).argmax(1), lambda a: a.mean((2, 3)).argmax(1, keepdim=True))
    ],
    *[
        (on(method, Returns(lambda a, last=last: last(a.mean((2, 3)))), 0), ValueError, words)
        for method in (grad_cam, saliency)
        for last, words in [
            (nn.LogSoftmax(1), "returns logarithms of probabilities, its last step being a log_softmax"),
            (nn.Softmax(1), "returns probabilities, its last step being a softmax"),
        ]
    ],
    *[  # over the images of the batch: the gradient of their sum is zero
        (on(method, Returns(lambda a: a.mean((2, 3)).softmax(0)), 0), ValueError, "last step being a softmax")
        for method in (grad_cam, saliency)
    ],
    (
        on(grad_cam, Returns(lambda a: a.mean((2, 3)).detach()), 0),
        LayerError,
        "were detached from it.*so no layer can serve; torch.utils.checkpoint does so with use_reentrant=True",
    ),
    (
        on(grad_cam, Returns(lambda a: {"logits": a.mean((2, 3))}), 0, "conv9"),
        LayerError,
        r"no layer named 'conv9'. Its convolutions \(the last first\): 'unused', 'conv'",  # seen to serve is none
    ),
    (
        lambda: grad_cam(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten()), IMAGES[..., :2, :2], 0),
        LayerError,
        "map .* of more than one pixel, .* for images of 2 x 2: .*images that are not too small for it",
    ),
    *[
        (
            on(grad_cam, Returns(result), 0, layer="conv"),
            ValueError,
            rf"logits \(N, classes\) for 2 image\(s\), got {found}",
        )
        for result, found in [
            (lambda a: a, r"shape \(2, 4, 6, 6\)\. Make logits of it with `output="),
            (lambda a: a.sum(), r"shape \(\)\. Make logits of it"),
            (lambda a: a.mean((1, 2, 3)), r"shape \(2,\).*use `output=lambda out: out\[:, None\]`"),
            (
                lambda a: a.mean((2, 3), keepdim=True),
                r"shape \(2, 4, 1, 1\)\. Use `output=lambda out: out.flatten\(1\)",
            ),
            (lambda a: None, "NoneType. Make logits of it"),
            (
                lambda a: [{"s": a.mean((2, 3))}, None],
                r"list. It holds out\[0\]\['s'\] \(2, 4\).*: out\[0\]\['s'\]`",
            ),
            (lambda a: a.mean((0, 2, 3))[None], r"shape \(1, 4\)"),
            (lambda a: a.mean((2, 3))[:, :0], r"shape \(2, 0\)"),
            (
                lambda a: (a.mean((2, 3)), a),
                r"tuple. It holds out\[0\] \(2, 4\): .*output=lambda out: out\[0\]`",
            ),
            (
                lambda a: {"emb": a.mean((2, 3)), "logits": a.mean((2, 3))},
                r"dict. It holds out\['emb'\] \(2, 4\) and out\['logits'\] .*output=lambda out: out\['logits'\]`",
            ),
        ]
    ],
    (on(batched_logits, nn.Conv2d(3, 3, 1)), ValueError, "must return logits"),
    (on(batched_logits, spoiled(torch.nan)), ValueError, "not finite"),
    (on(grad_cam, spoiled(torch.nan), 0), ValueError, "not finite here"),
    *[(on(method, spoiled(torch.inf), 0), ValueError, "not finite") for method in GRADIENTS],
    *[(on(method, Detached, 0), ValueError, "do not depend on the images") for method in GRADIENTS],
    (on(grad_cam_pp, below_zero(), [0, 1]), ValueError, r"divides by 2 \+ g sum\(A\).*comes after a ReLU"),
]
BAD_CLASSES = [
    (5, ValueError, "there is no class 5: this model has 5 classes, 0 to 4"),
    (-1, ValueError, "there is no class -1"),
    (2**70, ValueError, f"there is no class {2**70}"),
    ([0, 7], ValueError, "there is no class 7"),
    (torch.tensor([[0], [9]]), ValueError, "there is no class 9"),
    (3.7, TypeError, r"a class is a number or a name, got 3.7 \(float\)"),
    (True, TypeError, "got True"),
    (np.bool_(True), TypeError, "a class is a number or a name"),
    ([torch.tensor(3.7)], TypeError, r"got tensor\(3.7"),
    ([[1, 2], [3, 4]], TypeError, r"got \[1, 2\] \(list\)"),
    ([None], TypeError, "got None"),
    ({1, 2}, TypeError, "classes must be in an order, got set: use a list"),
    ({"tabby": 1}, TypeError, "classes must be in an order, got dict"),
    (
        torch.eye(5, dtype=torch.long)[[1, 3]],
        ValueError,
        r"shape \(2, 5\) and holds 0 and 1 alone.*`classes.argmax",
    ),
    (np.eye(5, dtype=int)[[1, 1]] | 1, ValueError, "as one-hot labels do"),
    (torch.tensor([0.5]), TypeError, "class numbers .*got a tensor of torch.float32"),
    (np.array([0.5]), TypeError, "got a tensor of torch.float64"),
    (torch.tensor([True, False]), TypeError, "torch.bool"),
    ([], ValueError, r"got shape \(2, 0\)"),
    (torch.zeros(3, 1, dtype=torch.long), ValueError, r"a tensor \(2, K\) .*got shape \(3, 1\)"),
    (torch.tensor([0, 1, 2]), ValueError, r"or \(2,\) with each image's own.*got shape \(3,\) for 2 image"),
    (np.array([], dtype=int), ValueError, r"got shape \(0,\)"),
    (torch.zeros(2, 1, 1, dtype=torch.long), ValueError, r"got shape \(2, 1, 1\)"),
    ("tabby", ValueError, "'tabby' is a name, but this TinyNet has no class names. Give the class number"),
]
CLASSES = [
    (on(method, TinyNet, classes), error, words)
    for method in (grad_cam, *GRADIENTS)
    for classes, error, words in BAD_CLASSES
] + [
    (on(grad_cam, classifier(), "tabi"), ValueError, r"there is no class 'tabi'. Did you mean 'tabby'"),
    (
        on(grad_cam, classifier(), ["tabby", "crane"]),
        ValueError,
        r"'crane' is the name of 2 classes, \[2, 3\]: give the number",
    ),
]

REACHED_NOT = r"never reached the layer \(Conv2d\)"
LAYERS = [
    *[
        (on(grad_cam, TinyNet, 0, name), LayerError, f"no layer named '{name}'.*'features.4', 'features.0'")
        for name in ("features.9", "", "relu")
    ],
    (
        on(grad_cam, TinyNet, 0, TinyNet().features[5]),
        LayerError,
        r"this ReLU is not a layer of the model.*'features.4', 'features.0'",
    ),
    *[
        (on(grad_cam, TinyNet, 0, layer), TypeError, "layer must be a module or its dotted name, got")
        for layer in (4, ["features.4"], torch.zeros(1))
    ],
    (
        on(grad_cam, Returns(lambda a: a.mean((2, 3))), 0, "unused"),
        LayerError,
        rf"{REACHED_NOT}.*first\): 'conv'\.",  # 'unused' could not serve
    ),
    (lambda: explain(nn.Conv2d(1, 1, 1), lambda: TinyNet()(IMAGES)), LayerError, REACHED_NOT),
    (on(grad_cam, OneReLU, 0, "relu"), LayerError, r"\(ReLU\) is used more than once .*'conv2', 'conv1'"),
    *[
        (on(grad_cam, TinyNet, 0, layer), LayerError, rf"shape {shape}, no map \(N, C, h, w\).*'features.4'")
        for layer, shape in [("head.3", r"\(2, 5\)"), ("head.1", r"\(2, 8\)"), ("head", r"\(2, 5\)")]
    ],
    (on(grad_cam, TakesFirst, 0, "pair"), LayerError, r"\(Pair\) returns tuple, not one .*'conv'"),
    (on(grad_cam, TwoBranches, 0, "aside"), LayerError, "do not depend on"),
    (on(grad_cam, TwoBranches().requires_grad_(False), 0, "aside"), LayerError, "do not depend on"),
    (on(grad_cam, MLP, 0), LayerError, "this Sequential has no convolution that puts out a map"),
    (on(grad_cam, MLP, 0, "1"), LayerError, "no layer can serve"),
    (
        on(grad_cam, nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten()), 0),
        LayerError,
        "more than one pixel",
    ),
]

SCORES = [
    (lambda scores=scores: explained(scores), error, words)
    for scores, error, words in [
        (lambda logits: logits[:, 0], ValueError, r"must return a tensor \(N, K\) .*got \(2,\)"),
        (lambda logits: logits.sum(), ValueError, r"got \(\)"),
        (lambda logits: logits[:, :0], ValueError, r"got \(2, 0\)"),
        (lambda logits: logits[None], ValueError, r"got \(1, 2, 5\)"),
        (lambda logits: logits.tolist(), ValueError, "got list"),
        (lambda logits: None, ValueError, "got NoneType"),
        (lambda logits: logits.mean(0, keepdim=True), ValueError, "returned 1 rows for 2 maps: one row an"),
        (lambda logits: logits.detach(), LayerError, r"the layer \(Sequential\), or were detached from it"),
        (lambda logits: logits.argmax(1, keepdim=True), LayerError, "do not depend on the layer"),
        (lambda logits: logits * torch.nan, ValueError, "not finite here, so there is no map. Check the"),
        (lambda logits: logits + torch.inf, ValueError, "not finite"),
    ]
] + [
    (of_something_else, LayerError, "do not depend on this layer's output"),
    (
        lambda: explain("features", lambda: None),
        TypeError,
        r"needs the layer itself.*got 'features'.*get_submodule",
    ),
]
HEADS = [
    *[
        (on(cam, Returns(pool, nn.Linear(4, 5)), 0), LayerError, r"this Returns has another head\. Use grad_cam")
        for pool in (lambda a: a.amax((2, 3)), lambda a: 2 * a.mean((2, 3)), lambda a: a[:, :, 0, 0])
    ],
    (on(cam, TinyNet(pooled=False), 0), LayerError, r"this TinyNet has another head\. Use grad_cam"),
    *[
        (on(method, nn.Sequential(TinyNet(), step).eval(), 0), ValueError, f"its last step being a {name}")
        for method in (grad_cam, grad_cam_pp, saliency, deconvnet, guided_backprop)
        for step, name in [(nn.Softmax(1), "softmax"), (nn.Sigmoid(), "sigmoid")]
    ],
    (on(cam, nn.Sequential(TinyNet(), nn.Softmax(1)), 0), ValueError, "probabilities, its last step being a softmax"),
    (on(cam, nn.Sequential(TinyNet(), nn.Sigmoid()), 0), LayerError, "another head"),
    *[(on(cam, with_last(kind), 0), LayerError, f"not W F \\+ b for its {kind.__name__}.*grad_cam") for kind in BENT],
    (lambda: grad_cam(TinyNet(), IMAGES, output="logits"), TypeError, "output must be a function.*got 'logits'"),
    *[
        (
            on(deletion_curve, nn.Sequential(TinyNet(), step).eval(), torch.ones(2, 2), steps=2),
            ValueError,
            "the model returns probabilities",
        )
        for step in (nn.Softmax(1), nn.Sigmoid())
    ],
    (
        on(cam, nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 0),
        LayerError,
        "a linear layer that ends the network; this Sequential has none",
    ),
    (on(cam, unused_linear(), 0), LayerError, "another head"),
]  # fmt: skip
SIZES = [
    *[
        (lambda size=size, make=make: make(size), ValueError, "at least 1 pixel, got")
        for size in (0, (0, 3), (3, -1))
        for make in (grad_cam(TinyNet(), IMAGES, 0).heatmaps, lambda size: heatmaps(torch.ones(2, 2), size))
    ],
    (
        explained(lambda logits: logits).heatmaps,
        ValueError,
        r"size of the images is not known here: call heatmaps\(size\)",
    ),
    *[
        (lambda size=size: heatmaps(torch.ones(2, 2), size), ValueError, r"is a side or \(H, W\), got")
        for size in ("224", (3, 8, 8))
    ],
    (lambda: explain(nn.ReLU(), torch.ones(2, 5)), TypeError, "a function that runs the model, got Tensor"),
]

PAIRS = [
    lambda z: torch.stack([z, torch.zeros_like(z)]).amax(0),
    lambda z: torch.stack((torch.zeros_like(z), z), -1).max(-1).values,
    lambda z: torch.cat([z[:, :, None], z.new_zeros(z[:, :, None].shape)], 2).amax(2),
    lambda z: -torch.stack([-z, torch.zeros_like(z)]).amin(0),
    lambda z: torch.stack([z, torch.zeros_like(z)]).sort(0).values[1],
    lambda z: torch.stack([z, torch.zeros_like(z)]).topk(1, 0)[0],
    lambda z: F.max_pool1d(torch.stack([z, torch.zeros_like(z)], -1).reshape(2, -1, 2), 2).reshape(z.shape),
    lambda z: torch.stack([torch.zeros_like(z), z], -1).gather(-1, (z > 0).long()[..., None])[..., 0],
]
OTHER_ACTIVATIONS = [
    nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.Mish(), nn.ELU(), nn.ELU(inplace=True), nn.SELU(), nn.CELU(),
    nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.Softplus(), nn.Tanh(), nn.Hardtanh(), nn.Softsign(),
]  # fmt: skip
RULES = [
    (
        lambda: within_rule("Guided", nn.ReLU()),
        ValueError,
        r"no rule 'Guided'.*gradient, deconvnet, guided",
    ),
    *[
        (lambda rule=rule, module=module: within_rule(rule, module), ActivationError, "does something else")
        for rule in ("deconvnet", "guided")
        for module in OTHER_ACTIVATIONS
    ],
    (lambda: within_rule("guided", nn.Threshold(0.1, 0)), ActivationError, "uses threshold"),
    *[
        (
            lambda pair=pair: within_rule("guided", lambda z: pair(z - 0.5)),
            ActivationError,
            r"puts z and zeros side by side, and \w+ takes the larger of each pair.*Write it as torch.relu\(z\)",
        )
        for pair in PAIRS
    ],
]


def positive(net):
    """Weights and biases that hand no negative value on."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    return net


ENDS_POOLED = positive(
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
)
ENDS_IN_RELU = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2), nn.ReLU())
CONTRASTIVE = [
    (on(excitation_backprop, net, 0, "1", contrastive=True), ValueError, "must end in a linear layer")
    for net in (ENDS_POOLED, ENDS_IN_RELU)
]

COVERING = [
    *[
        (lambda masks=masks: cover(tiny_images(3), masks), error, words)
        for masks, error, words in [
            (torch.zeros(4, 4), TypeError, "True and False, got torch.float32"),
            (np.zeros((4, 4), dtype=bool), TypeError, r"got ndarray.*torch.as_tensor\(array.copy"),
            (torch.zeros(2, 4, 4).bool(), ValueError, r"as many masks as images \(3\), got \(2, 4, 4\)"),
            (torch.zeros(1, 1, 4, 4).bool(), ValueError, r"got \(1, 1, 4, 4\)"),
            (torch.zeros(0, 4, 4).bool(), ValueError, r"got \(0, 4, 4\)"),
            (torch.zeros(9, 4).bool(), ValueError, "9 x 4 cells do not fit an image of 8 x 8"),
            (torch.zeros(4, 0).bool(), ValueError, "4 x 0 cells"),
        ]
    ],
    (
        lambda: cover(IMAGES, torch.zeros(4, 4).bool(), "black"),
        ValueError,
        "'mean', 'gray', 'blur', got 'black'",
    ),
    *[
        (lambda values=values, share=share: top_share_mask(values, share), ValueError, words)
        for values, share, words in [
            (torch.rand(3, 3), 10, "between 0 and 1, got 10. For 10% write 0.1"),
            (torch.rand(3, 3), -0.1, "got -0.1"),
            (torch.rand(3, 3), math.nan, "got nan"),
            (torch.rand(9), 0.5, r"must be a tensor \(..., h, w\), got \(9,\)"),
            ([[1.0]], 0.5, "got list"),
            (torch.full((3, 3), math.nan), 0.5, "contains NaN"),
        ]
    ],
]
GOOD = torch.rand(2, 4, 4)
CURVES = [
    (on(deletion_curve, TinyNet, *arguments, **options), ValueError, words)
    for arguments, options, words in [
        ((GOOD,), {"score": "odds"}, '"probability" or "logit", got \'odds\''),
        ((GOOD,), {"fill": "noise"}, "got 'noise'"),
        ((GOOD,), {"steps": 0}, "between 1 and the number of cells, 16, got 0"),
        ((GOOD,), {"steps": 17}, "got 17"),
        ((torch.rand(3, 4, 4),), {}, r"shape \(2, h, w\).*got \(3, 4, 4\)"),
        (
            (torch.rand(2, 3, 4, 4), [0, 1]),
            {},
            r"\(2, 2, h, w\) with one for each of 2 class.*got \(2, 3, 4, 4\)",
        ),
        ((torch.rand(1, 2, 1, 4, 4),), {}, r"got \(1, 2, 1, 4, 4\)"),
        ((torch.rand(16, 16),), {}, "16 x 16 cells do not fit"),
        ((GOOD * torch.nan,), {}, "contains NaN"),
        ((GOOD, 7), {}, "no class 7"),
    ]
]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    HOOKS + ANY_IMAGES + PRECISIONS + OF_A_CLASSIFIER + MODELS + CLASSES + LAYERS + SCORES + HEADS + SIZES
    + RULES + CONTRASTIVE + COVERING + CURVES,
)  # fmt: skip
def test_refused_with_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()
    assert torch.is_grad_enabled()
