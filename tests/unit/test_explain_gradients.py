"""The three rules at one ReLU in any spelling; gradient images against loops, captum, and hooked activations."""

import copy
import importlib

import numpy as np
import pytest
import timm
import torch
from helpers import TinyNet, random_net, relative_error, tiny_images
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from course_utils.explain import (
    ActivationError,
    activations_used,
    deconvnet,
    grad_cam,
    gradients,
    guided_backprop,
    guided_grad_cam,
    relu_rule,
    saliency,
)
from course_utils.networks import Classifier

Z = torch.tensor([2.0, -1.0, 3.0, -4.0])
G = torch.tensor([1.0, 5.0, -6.0, -7.0])
# By hand: [z > 0] = 1 0 1 0, and relu(g) = 1 5 0 0.
BY_HAND = {"gradient": [1, 0, -6, 0], "deconvnet": [1, 5, 0, 0], "guided": [1, 0, 0, 0]}


def overwritten(function):
    """Work in place and go on with the argument itself, as ``self.relu_(x); return x`` does."""

    def run(z):
        function(z)
        return z

    return run


WRITTEN = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "nn.ReLU in place, result unused": overwritten(nn.ReLU(inplace=True)),
    "F.relu": F.relu,
    "F.relu by keyword": lambda z: F.relu(input=z),
    "F.relu(z, True)": lambda z: F.relu(z, True),
    "F.relu_": F.relu_,
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "z.relu()": lambda z: z.relu(),
    "z.relu_(), result unused": overwritten(lambda z: z.relu_()),
    "z.clamp(min=0)": lambda z: z.clamp(min=0),
    "z.clamp(0)": lambda z: z.clamp(0.0),
    "z.clamp_(0)": overwritten(lambda z: z.clamp_(0)),
    "z.clip(min=0)": lambda z: z.clip(min=0),
    "torch.clamp_min(z, 0)": lambda z: torch.clamp_min(z, 0),
    "z.clamp_min_(0)": overwritten(lambda z: z.clamp_min_(0)),
    "z.clamp(min=tensor)": lambda z: z.clamp(min=torch.tensor(0.0)),
    "z.clamp_(min=tensor)": overwritten(lambda z: z.clamp_(min=torch.zeros(4))),
    "torch.clamp_min(z, tensor)": lambda z: torch.clamp_min(z, torch.zeros_like(z)),
    "torch.maximum(z, 0)": lambda z: torch.maximum(z, torch.tensor(0.0)),
    "torch.maximum(0, z)": lambda z: torch.maximum(torch.zeros_like(z), z),
    "z.maximum(0)": lambda z: z.maximum(torch.zeros(4)),
    "F.threshold": lambda z: F.threshold(z, 0, 0),
    "nn.Threshold in place": nn.Threshold(0, 0, inplace=True),
    "nn.Hardtanh(0, inf)": nn.Hardtanh(0, float("inf")),
}


def on_a_copy(change):
    """Work in place on a copy of z."""

    def run(z):
        z = z.clone()
        change(z)
        return z

    return run


def negative_to_zero(z):
    z[z < 0] = 0


def positive_into_zeros(z):
    y, mask = torch.zeros_like(z), z > 0
    y[mask] = z[mask]
    return y


def mask_outside_the_graph(z):
    with torch.no_grad():
        mask = (z > 0).float()
    return z * mask


# Spelled out: only what comes out tells that these are ReLUs.
WRITTEN |= {
    "torch.max(z, zeros)": lambda z: torch.max(z, torch.zeros_like(z)),
    "torch.max(zero, z)": lambda z: torch.max(torch.zeros(()), z),
    "z.max(zero)": lambda z: z.max(torch.tensor(0.0)),
    "torch.fmax": lambda z: torch.fmax(z, torch.zeros(4)),
    "torch.max(z, 0 z)": lambda z: torch.max(z, 0 * z),
    "where": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "where, the other way round": lambda z: torch.where(z <= 0, 0.0, z),
    "z.where": lambda z: z.where(z > 0, 0.0),
    "z * (z > 0)": lambda z: z * (z > 0),
    "(z > 0).float() * z": lambda z: (z > 0).float() * z,
    "z * ~(z < 0)": lambda z: z * ~(z < 0),
    "z * (z.detach() > 0)": lambda z: z * (z.detach() > 0),
    "z * mask without a graph": mask_outside_the_graph,
    "z *= z > 0": on_a_copy(lambda z: z.mul_(z > 0)),
    "(z + |z|) / 2": lambda z: (z + z.abs()) / 2,
    "|z| / 2 + z / 2": lambda z: z.abs() * 0.5 + z * 0.5,
    "lerp": lambda z: torch.lerp(z, z.abs(), 0.5),
    "masked_fill": lambda z: z.masked_fill(z < 0, 0),
    "masked_fill_": on_a_copy(lambda z: z.masked_fill_(z < 0, 0)),
    "z[z < 0] = 0": on_a_copy(negative_to_zero),
    "zeros[z > 0] = z[z > 0]": positive_into_zeros,
    "masked_scatter": lambda z: torch.zeros_like(z).masked_scatter(z > 0, z[z > 0]),
    "index_put": lambda z: z.index_put((z < 0,), torch.tensor(0.0)),
    "addcmul": lambda z: torch.addcmul(torch.zeros_like(z), z, (z > 0).float()),
    "einsum": lambda z: torch.einsum("i,i->i", z, (z > 0).float()),
    "-min(-z, 0)": lambda z: -torch.minimum(-z, torch.tensor(0.0)),
    "-(-z).clamp(max=0)": lambda z: -(-z).clamp(max=0),
    "nn.LeakyReLU(0)": nn.LeakyReLU(0.0),
    "nn.PReLU(init=0)": nn.PReLU(init=0.0),
    "F.elu(z, 0)": lambda z: F.elu(z, 0.0),
    "F.rrelu(z, 0, 0)": lambda z: F.rrelu(z, 0.0, 0.0),
    "torch.ops": torch.ops.aten.relu.default,
}
UP_TO_SIX = {
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6 in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "F.relu6 in place": lambda z: F.relu6(z, inplace=True),
    "F.hardtanh": lambda z: F.hardtanh(z, 0, 6),
    "F.hardtanh_": lambda z: F.hardtanh_(z, 0.0, 6.0),
    "z.clamp(0, 6)": lambda z: z.clamp(0, 6),
    "torch.clip(z, 0, 6)": lambda z: torch.clip(z, min=0, max=6),
    "z.clamp(tensor, tensor)": lambda z: z.clamp(torch.tensor(0), torch.tensor(6)),
}
each_rule = pytest.mark.parametrize("rule", gradients.RULES)
each_new_rule = pytest.mark.parametrize("rule", ["deconvnet", "guided"])


def passed_back(rule, function, z, g):
    leaf = z.clone().requires_grad_()
    with relu_rule(rule) as rewritten:
        y = function(leaf * 1)
    (gradient,) = torch.autograd.grad(y, leaf, g)
    return y.detach(), gradient.tolist(), rewritten


@each_rule
@pytest.mark.parametrize("function", WRITTEN.values(), ids=WRITTEN)
def test_a_relu_in_any_spelling_follows_the_rule(function, rule):
    y, gradient, rewritten = passed_back(rule, function, Z, G)
    assert y.tolist() == [2, 0, 3, 0]
    assert gradient == BY_HAND[rule]
    assert rewritten.total == 1


@each_rule
@pytest.mark.parametrize("function", UP_TO_SIX.values(), ids=UP_TO_SIX)
def test_above_six_nothing_passes_except_in_a_deconvnet(function, rule):
    y, gradient, rewritten = passed_back(rule, function, torch.tensor([2.0, 7.0, -1.0, 8.0]), torch.ones(4))
    assert y.tolist() == [2, 6, 0, 6]
    assert gradient == {"gradient": [1, 0, 0, 0], "deconvnet": [1, 1, 1, 1], "guided": [1, 0, 0, 0]}[rule]
    assert rewritten.total == 1


MADE_OF_ANOTHER = {
    "z - z.clamp(max=0)": lambda z: z - z.clamp(max=0),
    "z sign(z).clamp(min=0)": lambda z: z * z.sign().clamp(min=0),
    "z (sign z + 1) / 2": lambda z: z * (z.sign() + 1) / 2,
    "z + relu(-z)": lambda z: z + (-z).relu(),
}


@each_rule
@pytest.mark.parametrize("function", MADE_OF_ANOTHER.values(), ids=MADE_OF_ANOTHER)
def test_a_relu_made_of_another_takes_its_place(function, rule):
    y, gradient, _ = passed_back(rule, function, Z, G)
    assert y.tolist() == [2, 0, 3, 0]
    assert gradient == BY_HAND[rule]


@pytest.mark.parametrize(
    "spelled", ["z * (z > 0)", "where", "masked_fill", "torch.max(z, zeros)", "z * ~(z < 0)"]
)
def test_a_relu_that_stops_nothing_is_one_still(spelled):
    assert passed_back("guided", WRITTEN[spelled], torch.ones(4), G)[1] == [1, 5, 0, 0]


@pytest.mark.parametrize("z", [0.0, -0.0])
def test_at_zero_nothing_passes_as_in_pytorch(z):
    for function in (F.relu, F.relu6, lambda z: z.clamp(min=0)):
        assert passed_back("guided", function, torch.tensor([z]), torch.ones(1))[1] == [0]


def test_at_six_nothing_passes_as_in_pytorch():
    assert passed_back("guided", F.relu6, torch.tensor([6.0]), torch.ones(1))[1] == [0]


def test_the_rule_is_applied_to_the_whole_gradient_of_a_value_used_twice():
    # From the two uses arrive +3 and -1: relu(3 - 1), not relu(3) + relu(-1).
    def both(z):
        y = z.relu()
        return 3 * y - y

    assert passed_back("guided", both, torch.ones(1), torch.ones(1))[1] == [2]


def test_the_graph_keeps_its_rule_after_the_block():
    z = Z.clone().requires_grad_()
    with relu_rule("guided"):
        inside = z.relu()
    outside = z.relu()
    assert torch.autograd.grad(inside, z, G)[0].tolist() == BY_HAND["guided"]
    assert torch.autograd.grad(outside, z, G)[0].tolist() == BY_HAND["gradient"]


def others(z):
    clamped = z.clamp(min=1e-6) + z.clamp(-1, 1) + z.clamp(max=1e-6) + z.clamp(0, 0)
    return clamped + z.clamp(min=torch.tensor([0.0, 0, 4, 0])) + z.maximum(-z) + z.maximum(z.roll(1))


def test_what_is_no_activation_is_left_alone():
    z = Z.clone().requires_grad_()
    with relu_rule("guided") as rewritten:
        guard = others(z)
        labels = torch.arange(4).clamp(min=0) + torch.rand(4).relu()  # not on the way from the image
        gate = z.sigmoid() * z.softmax(0)
    assert rewritten.total == 0
    found = torch.autograd.grad((guard + 0 * labels).sum(), z)[0]
    assert torch.equal(found, torch.autograd.grad(others(z).sum(), z)[0])
    assert gate.requires_grad


def test_after_an_exception_pytorch_is_as_it_was():
    z = Z.clone().requires_grad_()
    with pytest.raises(KeyboardInterrupt), relu_rule("guided"):
        raise KeyboardInterrupt
    assert type(z.relu().grad_fn).__name__ == "ReluBackward0"


def test_activations_are_counted():
    net, images = TinyNet(pooled=False), tiny_images()
    assert activations_used(net, images) == {"relu": 3}
    assert activations_used(nn.Sequential(nn.Conv2d(3, 2, 3), nn.SiLU(), nn.ReLU6()), images) == {
        "silu": 1,
        "hardtanh": 1,
    }
    assert not activations_used(nn.Conv2d(3, 2, 3), images)
    with torch.inference_mode():
        assert activations_used(net, images) == {"relu": 3}


def attended(z):
    """Attention among the columns, with a mask, and what else may stand in a network."""
    scores = (z.T @ z).masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
    z = z @ scores.softmax(1) + z.cumsum(1)
    z = z * (torch.arange(5) < 4)  # padding
    z = z.masked_fill(z < z.topk(3, dim=1).values[:, -1:], 0)  # the three largest
    z = torch.where(z.isnan(), torch.zeros_like(z), z)
    z = F.dropout(z, training=False) + F.embedding(torch.arange(4), torch.ones(4, 5))
    z = F.layer_norm(z, (5,)) * z.mean(1, keepdim=True).sigmoid()
    z = torch.cat([z, -z]) / z.norm(dim=1).clamp(min=1e-6).repeat(2)[:, None]
    z = F.max_pool1d(z[None], 3, 1, 1)[0] + (z * z).sum().clamp(min=1e-12).sqrt() - z.abs()
    return F.hardsigmoid(z) * z.flip(0)


def test_no_false_alarm():
    torch.manual_seed(0)
    z = torch.randn(4, 5, requires_grad=True)
    with relu_rule("guided") as rewritten:
        found = torch.autograd.grad(attended(z).sum(), z)[0]
    assert rewritten.total == 0
    assert torch.equal(found, torch.autograd.grad(attended(z).sum(), z)[0])


METHODS = {"gradient": saliency, "deconvnet": deconvnet, "guided": guided_backprop}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


# --- against loops


def convolved(x, weight, bias):
    """A convolution without padding, by loops: x (C, H, W), weight (O, C, f, f)."""
    out, _, f, _ = weight.shape
    size = x.shape[1] - f + 1
    y = np.zeros((out, size, size))
    for o in range(out):
        for i in range(size):
            for j in range(size):
                y[o, i, j] = bias[o] + (weight[o] * x[:, i : i + f, j : j + f]).sum()
    return y


def handed_back(g, weight, shape):
    """The transposed convolution, by loops: each output cell hands its gradient to its window."""
    x = np.zeros(shape)
    f = weight.shape[2]
    for o, i, j in np.ndindex(g.shape):
        x[:, i : i + f, j : j + f] += g[o, i, j] * weight[o]
    return x


def at_relu(g, z, rule):
    forward, backward = z > 0, g > 0
    return g * {"gradient": forward, "deconvnet": backward, "guided": forward & backward}[rule]


def by_loops(net, image, c, rule):
    """dy^c / dx of convolution, ReLU, convolution, ReLU, mean, linear, without PyTorch."""
    first, second, last = net[0], net[2], net[6]
    w1, b1, w2, b2, w = (
        t.detach().numpy() for t in (first.weight, first.bias, second.weight, second.bias, last.weight)
    )
    z1 = convolved(image.numpy(), w1, b1)
    z2 = convolved(z1.clip(0), w2, b2)
    g = np.broadcast_to(w[c][:, None, None] / z2[0].size, z2.shape)
    g = handed_back(at_relu(g, z2, rule), w2, z1.shape)
    return handed_back(at_relu(g, z1, rule), w1, image.shape)


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("inplace", [False, True])
def test_a_small_network_by_loops(rule, inplace):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace), nn.Conv2d(8, 16, 2), nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    ).double()  # fmt: skip
    images = tiny_images(2).double()
    found = METHODS[rule](net, images, range(3))
    assert found.shape == (2, 3, 3, 8, 8)
    for n in range(2):
        for c in range(3):
            expected = torch.from_numpy(by_loops(net, images[n], c, rule))
            assert relative_error(found[n, c], expected) < 1e-12


# --- against captum, and against hooks on the outputs of the activations


def test_captum_on_vgg16():
    from captum.attr import Deconvolution, GuidedBackprop, Saliency

    net, images = random_net("vgg16"), tiny_images(1, size=64)
    assert activations_used(net, images) == {"relu": 15}
    for ours, theirs in ((guided_backprop, GuidedBackprop), (deconvnet, Deconvolution)):
        found = ours(net, images, [3, 700])
        for k, c in enumerate([3, 700]):
            expected = theirs(copy.deepcopy(net)).attribute(images.clone().requires_grad_(), target=c)
            assert relative_error(found[:, k], expected.detach()) < 1e-6
    expected = Saliency(net).attribute(images.clone().requires_grad_(), target=3, abs=False)
    assert relative_error(saliency(net, images, 3)[:, 0], expected) < 1e-6


def relu_after(z, rule, high):
    """A ReLU whose output has a hook that cuts negative gradients off; the rest is PyTorch's own derivative."""
    y = z.clamp(0, high)
    if rule == "deconvnet":
        y = z + (y - z).detach()  # its own derivative is 1 everywhere
    y.register_hook(lambda g: g.clamp(min=0))
    return y


class HookedActivation(nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def forward(self, z):
        return relu_after(z, self.rule, 6)


def with_modules_replaced(net, rule):
    net = copy.deepcopy(net)
    for part in list(net.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(part, name, HookedActivation(rule))
    return net


def gradient_of(net, images, c):
    images = images.clone().requires_grad_()
    return torch.autograd.grad(net(images)[:, c].sum(), images)[0]


@each_new_rule
def test_mobilenet_v2_with_its_relu6(rule):
    net, images = random_net("mobilenet_v2"), tiny_images(2, size=64)
    assert activations_used(net, images).total() == 35
    found = METHODS[rule](net, images, 7)[:, 0]
    assert relative_error(found, gradient_of(with_modules_replaced(net, rule), images, 7)) < 1e-6
    assert relative_error(found, saliency(net, images, 7)[:, 0]) > 0.1


@each_new_rule
def test_googlenet_with_its_functional_relu(rule, monkeypatch):
    net, images = random_net("googlenet"), tiny_images(2, size=64)
    assert not any(isinstance(part, nn.ReLU) for part in net.modules())
    assert activations_used(net, images) == {"relu": 57}
    found = METHODS[rule](net, images, 7)[:, 0]
    plain = saliency(net, images, 7)[:, 0]
    source = importlib.import_module(type(net).__module__)
    monkeypatch.setattr(source.F, "relu", lambda z, inplace=False: relu_after(z, rule, float("inf")))
    assert relative_error(found, gradient_of(net, images, 7)) < 1e-6
    assert relative_error(found, plain) > 0.1


class Mixed(nn.Module):
    """A network with one activation of any kind, and an nn.ReLU behind it."""

    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        self.activation = activation
        self.last = nn.Sequential(
            nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        )

    def forward(self, images):
        return self.last(self.activation(self.first(images)))


OF_FOUR_NUMBERS = {"einsum", "torch.fmax", "z.clamp_(min=tensor)", "z.maximum(0)"}


@each_new_rule
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("spelled", sorted(WRITTEN.keys() - OF_FOUR_NUMBERS))
def test_a_network_is_that_of_its_relus(spelled, layout, rule):
    images = tiny_images(2).contiguous(memory_format=layout)
    expected = METHODS[rule](Mixed(nn.ReLU()), images, [0, 3])
    assert relative_error(METHODS[rule](Mixed(WRITTEN[spelled]), images, [0, 3]), expected) < 1e-6
    assert relative_error(saliency(Mixed(nn.ReLU()), images, [0, 3]), expected) > 0.1


def leaky(z):
    return torch.where(z > 0, z, 0.1 * z)


class OwnReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g * (ctx.saved_tensors[0] > 0)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(8, 8, nonlinearity="relu", batch_first=True)

    def forward(self, maps):
        return self.rnn(maps.flatten(2).mT)[0].mT.reshape(maps.shape)


UNSEEN = {
    "an autograd function": (OwnReLU.apply, r"uses OwnReLU of test_explain_gradients, an autograd function"),
    "a scripted part": (torch.jit.script(nn.ReLU()), "part 'activation' of the network is scripted"),
    "a scripted function": (
        torch.jit.script(F.relu),
        r"uses Relu inside code that hides its calls \(scripted",
    ),
    "vmap": (torch.vmap(torch.relu), "uses Relu inside code that hides its calls"),
    "a recurrent network of ReLUs": (Recurrent(), "uses Relu inside code that hides its calls"),
    "where, leaky": (
        leaky,
        r"uses where, whose slope is 0.1 below zero and 1 above \(in Mixed, test_explain_g",
    ),
    "max, leaky": (lambda z: torch.max(z, z / 4), "uses max, whose slope is 0.25 below zero and 1 above"),
    "GELU": (lambda z: z * (1 + torch.erf(z / 2**0.5)) / 2, "uses erf"),
}


@each_new_rule
@pytest.mark.parametrize(("activation", "sentence"), UNSEEN.values(), ids=UNSEEN)
def test_what_cannot_be_rewritten_is_refused_although_there_are_other_relus(activation, sentence, rule):
    with pytest.raises(ActivationError, match=sentence):
        METHODS[rule](Mixed(activation), tiny_images(2), 0)
    assert saliency(Mixed(activation), tiny_images(2), 0).any()


def test_an_autograd_function_counts_no_relu_that_it_calls_itself():
    z = Z.clone().requires_grad_()
    with relu_rule("guided") as rewritten:
        OwnReLU.apply(z)
    assert rewritten.total == 0


@each_method
def test_an_operation_without_a_derivative_is_refused(method):
    net = torch.ao.quantization.quantize_dynamic(TinyNet(), {nn.Linear})
    with pytest.raises(ValueError, match=r"no derivative \(quantized layers"):
        method(net, tiny_images(), 0)
    with pytest.raises(ValueError, match=r"no derivative \(quantized layers"):
        grad_cam(net, tiny_images(), 0)


class Checkpointed(nn.Module):
    def __init__(self, net, use_reentrant):
        super().__init__()
        self.net = net
        self.use_reentrant = use_reentrant

    def forward(self, images):
        maps = checkpoint(self.net.first, images, use_reentrant=self.use_reentrant)
        maps = checkpoint(self.net.activation, maps, use_reentrant=self.use_reentrant)
        return checkpoint(self.net.last, maps, use_reentrant=self.use_reentrant)


@each_method
@pytest.mark.parametrize("spelled", ["nn.ReLU", "where", "z[z < 0] = 0"])
def test_a_checkpointed_network(method, spelled):
    net = Mixed(WRITTEN[spelled])
    expected = method(net, tiny_images(2), [0, 3])
    assert relative_error(method(Checkpointed(net, False), tiny_images(2), [0, 3]), expected) < 1e-6
    with pytest.raises(ValueError, match=r"with use_reentrant=True.*Set use_reentrant=False"):
        method(Checkpointed(net, True), tiny_images(2), 0)
    assert all(parameter.grad is None for parameter in net.parameters())


# --- what is refused


REFUSED = {
    "efficientnet_b0": lambda: random_net("efficientnet_b0"),
    "mobilenet_v3_small": lambda: random_net("mobilenet_v3_small"),
    "timm's HardSwish, made of relu6": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), timm.layers.activations.HardSwish(), nn.Flatten(), nn.LazyLinear(3)
    ),
    "only a linear layer": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
    "only sigmoids": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Flatten(), nn.LazyLinear(3)),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", [deconvnet, guided_backprop, guided_grad_cam])
def test_networks_without_a_rule_are_refused_and_keep_their_gradient(make, method):
    net = make()
    images = tiny_images(1, size=32)
    net(images)  # lazy layers take their shape
    before = saliency(net, images, 0)
    if method is guided_grad_cam and not any(isinstance(part, nn.Conv2d) for part in net.modules()):
        with pytest.raises(ValueError, match="no convolution"):
            method(net, images, 0)
    else:
        with pytest.raises(ActivationError, match=r"under another name.*Use saliency or grad_cam"):
            method(net, images, 0)
    assert torch.equal(saliency(net, images, 0), before)
    assert not any(part._forward_hooks for part in net.modules())


# --- classes, and Guided Grad-CAM


@each_method
def test_several_classes_are_those_of_one_at_a_time(method):
    net, images = TinyNet(pooled=False), tiny_images(3)
    found = method(net, images, [4, 0])
    for k, c in enumerate([4, 0]):
        for n in range(3):
            assert relative_error(found[n, k], method(net, images[[n]], c)[0, 0]) < 1e-6


@each_method
def test_without_classes_it_is_the_predicted_one(method):
    net, images = TinyNet(pooled=False), tiny_images(4)
    predicted = net(images).argmax(1, keepdim=True)
    assert len(predicted.unique()) > 1
    assert torch.equal(method(net, images), method(net, images, predicted))


@each_method
def test_names_of_a_classifier(method):
    clf = Classifier(TinyNet(), list("abcde"))
    assert torch.equal(method(clf, tiny_images(), ["c", "a"]), method(clf, tiny_images(), [2, 0]))


def test_guided_grad_cam_is_the_product():
    net, images = TinyNet(pooled=False), tiny_images(3)
    found = guided_grad_cam(net, images, [1, 2], "features.0")
    heat = F.interpolate(
        grad_cam(net, images, [1, 2], "features.0").maps.relu(), (8, 8), mode="bilinear", align_corners=False
    )
    assert heat.amax((2, 3)).min() > 0
    heat = heat / heat.amax((2, 3), keepdim=True)
    guided = guided_backprop(net, images, [1, 2])
    for color in range(3):
        assert torch.allclose(found[:, :, color], guided[:, :, color] * heat, rtol=1e-6, atol=0)


def test_guided_grad_cam_explains_the_predicted_class_with_both():
    net, images = TinyNet(pooled=False), tiny_images(4)
    assert torch.equal(
        guided_grad_cam(net, images), guided_grad_cam(net, images, net(images).argmax(1)[:, None])
    )


def test_guided_grad_cam_of_an_empty_map_is_zero():
    net, images = TinyNet(), tiny_images()
    with torch.no_grad():
        net.head[-1].weight[3] = -1
    assert not guided_grad_cam(net, images, 3).any()
    assert guided_grad_cam(net, images, [3, 0])[:, 0].isfinite().all()


# --- what is left behind: nothing


class Trouble(Exception):
    """What goes wrong in the middle."""


class Failing(TinyNet):
    fails = False

    def forward(self, images):
        maps = self.features(images)
        if self.fails:
            raise Trouble
        return self.head(maps)


SETTINGS = [(inplace, training) for inplace in (False, True) for training in (False, True)]


@pytest.mark.parametrize(("inplace", "training"), SETTINGS)
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ["saliency", "deconvnet", "guided_backprop", "guided_grad_cam"])
def test_nothing_is_left_changed(name, fails, inplace, training):
    method = getattr(gradients, name)
    net, images = Failing(pooled=False, inplace=inplace).train(training), tiny_images()
    cam_before = grad_cam(net, images, 1, "features.4").maps
    first = method(net, images, 1)
    modules = {key: (id(part), type(part), part.training) for key, part in net.named_modules()}
    state = copy.deepcopy(net.state_dict())
    given = images.clone()
    net.fails = fails
    if fails:
        with pytest.raises(Trouble):
            method(net, images, 1)
    else:
        method(net, images, 1)
    net.fails = False
    assert {key: (id(part), type(part), part.training) for key, part in net.named_modules()} == modules
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert torch.equal(images, given)
    assert not images.requires_grad
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert torch.equal(method(net, images, 1), first)
    assert torch.equal(grad_cam(net, images, 1, "features.4").maps, cam_before)


@each_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_grad_mode_does_not_matter_and_comes_back(method, mode):
    net, images = TinyNet(pooled=False), tiny_images()
    expected = method(net, images, [0, 1])
    with mode():
        assert torch.equal(method(net, images, [0, 1]), expected)
        assert not torch.is_grad_enabled()


@each_method
def test_frozen_weights_and_wrappers(method):
    net, images = TinyNet(pooled=False), tiny_images()
    expected = method(net, images, 2)
    assert torch.equal(method(nn.DataParallel(net), images, 2), expected)
    assert torch.equal(method(net.requires_grad_(False), images, 2), expected)


@each_method
def test_a_network_that_begins_in_place(method):
    net, images = nn.Sequential(nn.ReLU(inplace=True), TinyNet()), tiny_images() - 0.5
    given = images.clone()
    assert torch.equal(method(net, images, 2), method(nn.Sequential(nn.ReLU(), net[1]), images, 2))
    assert torch.equal(images, given)


def test_the_values_of_the_forward_pass_stay_the_same():
    net, images = random_net("mobilenet_v2"), tiny_images(1, size=64).requires_grad_()
    with torch.no_grad():
        expected = net(images)
    with relu_rule("guided"):
        assert torch.equal(net(images), expected)
