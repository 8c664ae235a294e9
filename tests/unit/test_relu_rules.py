"""The three rules at one ReLU, every way to write a ReLU, and what is refused or left behind."""

import pytest
import torch
from helpers import TinyNet, tiny_images
from torch import nn
from torch.nn import functional as F

from course_utils.explain import ActivationError, activations_used, gradients, relu_rule

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
    clamped = z.clamp(min=1e-6) + z.clamp(-1, 1) + z.clamp(max=0) + z.clamp(0, 0)
    return clamped + z.clamp(min=torch.tensor([0.0, 0, 1, 0])) + z.maximum(-z) + z.maximum(0 * z)


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


def test_an_unknown_rule_is_refused():
    with (
        pytest.raises(ValueError, match=r"no rule 'Guided'.*gradient, deconvnet, guided"),
        relu_rule("Guided"),
    ):
        pass


@pytest.mark.parametrize(
    "module",
    [
        nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.Mish(), nn.ELU(), nn.ELU(inplace=True), nn.SELU(), nn.CELU(),
        nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.Softplus(), nn.Tanh(), nn.Hardtanh(), nn.Softsign(),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_other_activations_are_refused_by_name(module, rule):
    with pytest.raises(ActivationError, match="neither"), relu_rule(rule):
        module(tiny_images().requires_grad_() * 1)


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
