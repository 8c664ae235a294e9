import pytest
import torch
from helpers import CONVOLUTION, TinyNet, tiny_images
from torch import nn
from torch.nn import functional as F

from course_utils.explain import BackwardHook, ForwardHook, LayerError, evaluation_mode, graph_from, hooked


class Doubled(nn.Module):
    """Returns a tuple."""

    def forward(self, x):
        return x, 2 * x


class TwoSteps(nn.Module):
    """A module of two operations: its whole gradient is not its last operation's."""

    def forward(self, x):
        return (3 * x) ** 2


def hooks_on(model):
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, name)) for part in model.modules() for name in names)


# --- ForwardHook -------------------------------------------------------------------------------------


def test_forward_hook_stores_what_the_module_puts_out():
    net, images = TinyNet(), tiny_images()
    with ForwardHook(net.features[0]) as hook:
        assert hook.stored is None
        net(images)
    expected = F.conv2d(images, net.features[0].weight, net.features[0].bias, padding=1)
    torch.testing.assert_close(hook.stored, expected)
    assert not hook.stored.requires_grad


def test_stored_activations_survive_an_inplace_relu_behind():
    net, images = TinyNet(inplace=True), tiny_images()
    with ForwardHook(net.get_submodule(CONVOLUTION)) as hook:
        net(images)
    assert (hook.stored < 0).any()


def test_without_detach_the_output_itself_is_stored():
    net, images = TinyNet(), tiny_images()
    outputs = []
    net.features[0].register_forward_hook(lambda module, inputs, output: outputs.append(output))
    with ForwardHook(net.features[0], detach=False) as hook:
        net(images)
    assert hook.stored is outputs[0]
    assert hook.stored.requires_grad


@pytest.mark.parametrize("as_list", [False, True])
def test_several_modules_at_once(as_list):
    net, images = TinyNet(), tiny_images()
    first, last = net.features[0], net.features[4]
    with ForwardHook([last, first]) if as_list else ForwardHook(last, first) as hook:
        net(images)
    assert hook.stored.shape == (2, 8, 4, 4)
    assert [tuple(stored.shape) for stored in hook.all_stored] == [(2, 8, 4, 4), (2, 6, 8, 8)]
    assert hook[first] is hook.all_stored[1]
    assert hook[1] is hook[first]


def test_a_module_that_runs_several_times_leaves_its_last_output():
    relu = nn.ReLU()
    with ForwardHook(relu) as hook:
        relu(torch.tensor([1.0]))
        relu(torch.tensor([2.0]))
    assert hook.stored.item() == 2


@pytest.mark.parametrize("kind", [ForwardHook, BackwardHook])
def test_hooks_are_removed(kind):
    net = TinyNet()
    with kind(net.features, net.head) as hook:
        assert hooks_on(net) == 2
    assert hooks_on(net) == 0
    hook.remove()
    with hook:  # once removed, the object can be used again
        assert hooks_on(net) == 2
    assert hooks_on(net) == 0


@pytest.mark.parametrize("kind", [ForwardHook, BackwardHook])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_hooks_are_removed_after_an_exception(kind, error):
    net = TinyNet()
    with pytest.raises(error), kind(net.features, net.head):
        raise error
    assert hooks_on(net) == 0


@pytest.mark.parametrize(
    ("kind", "method"),
    [(ForwardHook, "register_forward_hook"), (BackwardHook, "register_full_backward_hook")],
)
def test_hooks_are_removed_when_a_later_registration_fails(kind, method, monkeypatch):
    net = TinyNet()

    def refuse(*args, **kwargs):
        raise RuntimeError("no hooks here")

    monkeypatch.setattr(net.head, method, refuse)
    with pytest.raises(RuntimeError, match="no hooks here"), kind(net.features, net.head):
        pass
    assert hooks_on(net) == 0


def test_one_function_for_several_modules_and_another_before_them(monkeypatch):
    net, seen = TinyNet(), []
    with hooked(
        net.features, lambda m, i, o: seen.append(("after", m)), lambda m, i: seen.append(("before", m))
    ):
        net(tiny_images())
    assert seen == [(when, part) for part in net.features for when in ("before", "after")]
    assert hooks_on(net) == 0

    def refuse(*args, **kwargs):
        raise RuntimeError("no hooks here")

    monkeypatch.setattr(net.head, "register_forward_hook", refuse)
    with pytest.raises(RuntimeError, match="no hooks here"), hooked([net.features, net.head], print):
        pass
    assert hooks_on(net) == 0


def test_other_peoples_hooks_stay():
    net = TinyNet()
    net.features.register_forward_hook(lambda module, inputs, output: None)
    with ForwardHook(net.features):
        pass
    assert hooks_on(net) == 1


def test_forward_hook_refuses_a_tuple():
    model = Doubled()
    with pytest.raises(TypeError, match="Doubled returns tuple, not one tensor: put"), ForwardHook(model):
        model(torch.ones(1))
    assert hooks_on(model) == 0


# --- BackwardHook ------------------------------------------------------------------------------------


def test_backward_hook_stores_the_gradient():
    net, images = TinyNet(pooled=False).double(), tiny_images(1).double()
    layer = net.features[4]
    with BackwardHook(layer) as hook:
        net(images)[0, 3].backward()
    with torch.no_grad():
        a = layer(net.features[:4](images))

        def score(a):
            return net.head(F.relu(a))[0, 3].item()

        assert hook.stored.shape == a.shape
        for position in [(0, 0, 0, 0), (0, 2, 1, 3), (0, 7, 3, 3), (0, 5, 2, 0)]:  # finite differences
            step = torch.zeros_like(a)
            step[position] = 1e-6
            slope = (score(a + step) - score(a - step)) / 2e-6
            assert hook.stored[position].item() == pytest.approx(slope, abs=1e-7)


def test_backward_hook_sees_the_whole_module():
    module, x = TwoSteps(), torch.tensor([2.0], requires_grad=True)
    with BackwardHook(module) as hook:
        (5 * module(x)).backward()
    assert hook.stored.item() == 5  # dy/d(output), not the 5 * 2 * 3x of the module's last operation
    assert x.grad.item() == 5 * 2 * 3 * 6


def test_backward_hook_on_several_modules():
    net, images = TinyNet(), tiny_images()
    with BackwardHook(net.features[4], net.head[-1]) as hook:
        net(images)[:, 1].sum().backward()
    assert hook[0].shape == (2, 8, 4, 4)
    torch.testing.assert_close(hook[net.head[-1]], F.one_hot(torch.tensor([1, 1]), 5).float())


def test_an_inplace_relu_behind_a_backward_hook_is_refused_and_graph_from_has_no_such_limit():
    net, images = TinyNet(inplace=True), tiny_images()
    layer = net.get_submodule(CONVOLUTION)
    with pytest.raises(RuntimeError, match="modified inplace"), BackwardHook(layer):
        net(images)
    with graph_from(layer) as graph:
        y = net(images)[:, 0].sum()
        (found,) = torch.autograd.grad(y, graph.activations)
    plain = TinyNet(inplace=False)
    with BackwardHook(plain.get_submodule(CONVOLUTION)) as hook:
        plain(images)[:, 0].sum().backward()
    torch.testing.assert_close(found, hook.stored)


def test_backward_hook_refuses_a_tuple():
    model, x = Doubled(), torch.ones(1, requires_grad=True)
    with pytest.raises(TypeError, match="Doubled returns 2 tensors, not one"), BackwardHook(model):
        model(x)[1].backward()
    assert hooks_on(model) == 0


# --- graph_from --------------------------------------------------------------------------------------


def test_the_graph_starts_at_the_layer():
    net, images = TinyNet(pooled=False), tiny_images()
    layer = net.features[4]
    with graph_from(layer) as graph, ForwardHook(net.features[3], net.features[5], detach=False) as hook:
        scores = net(images)[:, 2]
        gradient = torch.autograd.grad(scores.sum(), graph.activations)[0]
    assert graph.activations.is_leaf
    assert hook[0].grad_fn is None  # in front of the layer nothing is recorded
    assert hook[1].grad_fn is not None
    with BackwardHook(layer) as full:
        net(images)[:, 2].sum().backward()
    torch.testing.assert_close(gradient, full.stored)


def test_activations_are_the_layers_output_whatever_works_in_place():
    images = tiny_images()
    plain, inplace = TinyNet(inplace=False), TinyNet(inplace=True)
    with graph_from(inplace.get_submodule(CONVOLUTION)) as graph:
        inplace(images)
    expected = plain.features[:5](images)
    assert (expected < 0).any()
    torch.testing.assert_close(graph.activations, expected)


def test_activations_survive_an_inplace_operation_on_the_layers_input():
    class Skip(nn.Module):  # in evaluation mode dropout hands on its input: one memory, two names
        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout().eval()

        def forward(self, x):
            dropped = self.dropout(x)
            return dropped + x.mul_(100)

    net = Skip()
    with graph_from(net.dropout) as graph:
        result = net(torch.ones(1, 1, 2, 2))
        (gradient,) = torch.autograd.grad(result.sum(), graph.activations)
    assert (graph.activations == 1).all()
    assert (gradient == 1).all()


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("fails", [False, True])
def test_grad_mode_comes_back(mode, fails):
    net, images = TinyNet(), tiny_images()
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        try:
            with graph_from(net.features) as graph:
                y = net(images)
                assert torch.is_grad_enabled()
                assert torch.autograd.grad(y.sum(), graph.activations)[0].any()
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert hooks_on(net) == 0


def test_layers_that_no_graph_can_start_from():
    relu, doubled = nn.ReLU(), Doubled()
    with pytest.raises(LayerError, match=r"\(ReLU\) is used more than once"), graph_from(relu):
        relu(relu(torch.ones(1)))
    with pytest.raises(LayerError, match=r"\(Doubled\) returns tuple, not one"), graph_from(doubled):
        doubled(torch.ones(1))
    with (
        pytest.raises(LayerError, match=r"\(Flatten\) returns torch.int64"),
        graph_from(flat := nn.Flatten()),
    ):
        flat(torch.ones(1, 2, 2, dtype=torch.long))
    for module in (relu, doubled, flat):
        assert hooks_on(module) == 0
    assert torch.is_grad_enabled()


def test_a_layer_that_does_not_run_leaves_no_activations():
    with graph_from(nn.ReLU()) as graph:
        pass
    assert graph.activations is None


# --- evaluation_mode ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_mixed_training_flags_come_back(fails):
    net = TinyNet().train()
    net.features[1].eval()  # as in fine-tuning with frozen normalization
    before = [part.training for part in net.modules()]
    assert len(set(before)) == 2
    try:
        with evaluation_mode(net):
            assert not any(part.training for part in net.modules())
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert [part.training for part in net.modules()] == before


def test_a_networks_own_eval_is_not_called():
    class Merging(nn.Module):  # LoRA layers merge their weights when they leave training mode
        merged = False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

    net = Merging().train()
    with evaluation_mode(net):
        assert not net.training
        assert not net.merged
    assert net.training
    assert not net.merged
