"""What an explanation must leave as it was, also when it fails half-way; and what must not change its maps."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from helpers import CONVOLUTION, MAP_LAYER, TinyNet, relative_error, tiny_images
from torch import nn

from course_utils.explain import (
    ForwardHook,
    cam,
    evaluation_mode,
    excitation_backprop,
    explain,
    grad_cam,
    grad_cam_pp,
    graph_from,
    guided_backprop,
    guided_grad_cam,
    inputs,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from course_utils.networks import Classifier, load_classifier

MODES = {
    "enable_grad": torch.enable_grad,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


class Trouble(Exception):
    """What goes wrong in the middle."""


class BrokenBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise Trouble


class Net(TinyNet):
    """A network that can be told to fail, with BatchNorm, dropout and in-place operations."""

    fails = None

    def forward(self, images):
        a = self.features(images)
        if self.fails == "twice":
            a = self.features(images)
        if self.fails == "head":
            raise Trouble
        if self.fails == "interrupt":
            raise KeyboardInterrupt
        return self.head(BrokenBackward.apply(a) if self.fails == "backward" else a)


def raising_hook(*args):
    raise Trouble


def by_explain(net, images):
    was_training = [part.training for part in net.modules()]
    net.eval()  # its caller's part
    try:
        explain(net.features, lambda: net(images)[:, :2])
    finally:
        for part, training in zip(net.modules(), was_training, strict=True):
            part.training = training


CALLS = {
    "grad_cam": lambda net, images: grad_cam(net, images, [0, 1]),
    "grad_cam, named layer": lambda net, images: grad_cam(net, images, None, CONVOLUTION),
    "grad_cam_pp": lambda net, images: grad_cam_pp(net, images, [0, 1], MAP_LAYER),
    "cam": lambda net, images: cam(net, images, [0, 1]),
    "explain": by_explain,
    "explain itself": lambda net, images: explain(net.features[4], lambda: net(images)),
    "predict": lambda net, images: Classifier(net, list("abcde")).predict(images.detach(), top=2),
}


def failing(how, call):
    def run(net, images):
        handle = net.head[0].register_forward_hook(raising_hook) if how == "hook" else None
        net.fails = how
        try:
            with pytest.raises((Trouble, KeyboardInterrupt, ValueError)):
                call(net, images)
        finally:
            net.fails = None
            if handle:
                handle.remove()

    return run


def bad_class(method):
    return failing(None, lambda net, images: method(net, images, 99))


FAILURES = {
    "class does not exist": bad_class(grad_cam),
    "cam: class does not exist": bad_class(cam),
    "layer does not exist": failing(None, lambda net, images: grad_cam(net, images, 0, "gone")),
    "layer reached twice": failing("twice", CALLS["grad_cam, named layer"]),
    "head raises, no layer named": failing("head", CALLS["grad_cam"]),
    "head raises": failing("head", CALLS["grad_cam, named layer"]),
    "head raises in grad_cam_pp": failing("head", CALLS["grad_cam_pp"]),
    "head raises in cam": failing("head", CALLS["cam"]),
    "head raises in explain": failing("head", CALLS["explain itself"]),
    "a hook raises": failing("hook", CALLS["grad_cam, named layer"]),
    "backward raises": failing("backward", CALLS["grad_cam, named layer"]),
    "backward raises in explain": failing("backward", CALLS["explain itself"]),
    "interrupted": failing("interrupt", CALLS["grad_cam, named layer"]),
    "interrupted in cam": failing("interrupt", CALLS["cam"]),
}
SCENARIOS = CALLS | FAILURES
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)


def hooks_of(module):
    return {
        name: list(hooks.items())
        for name, hooks in vars(module).items()
        if "hooks" in name and isinstance(hooks, dict)
    }


@each_scenario
def test_no_hook_is_left(scenario):
    net = Net(inplace=True)
    net.features[1].register_forward_hook(lambda module, inputs, output: None)  # the caller's own stays
    net.head.register_forward_pre_hook(lambda module, inputs: None)
    before = [hooks_of(module) for module in net.modules()]
    assert any("_forward_hooks" in hooks for hooks in before)
    scenario(net, tiny_images())
    assert [hooks_of(module) for module in net.modules()] == before


@each_scenario
@pytest.mark.parametrize("flags", ["train", "eval", "mixed"])
def test_training_flags_are_as_before(scenario, flags):
    net = Net().train(flags != "eval")
    if flags == "mixed":
        net.features[1].eval()
        net.head[2].eval()
    before = [part.training for part in net.modules()]
    scenario(net, tiny_images())
    assert [part.training for part in net.modules()] == before


@each_scenario
def test_requires_grad_is_as_before(scenario):
    net = Net()
    net.features[0].requires_grad_(False)
    before = [(id(p), p.requires_grad) for p in net.parameters()]
    scenario(net, tiny_images())
    assert [(id(p), p.requires_grad) for p in net.parameters()] == before


@each_scenario
@pytest.mark.parametrize("preset", [False, True])
def test_gradients_of_parameters_are_untouched(scenario, preset):
    net = Net()
    if preset:
        for p in net.parameters():
            p.grad = torch.full_like(p, 3)
    before = [p.grad for p in net.parameters()]
    for p in net.parameters():  # a hook on a parameter fires if autograd as much as computes its gradient
        p.register_hook(raising_hook)
    scenario(net, tiny_images())
    assert all(p.grad is grad for p, grad in zip(net.parameters(), before, strict=True))
    assert all((grad == 3).all() for grad in before if grad is not None)


@each_scenario
def test_modules_and_parameters_are_the_same_objects(scenario):
    net = Net(inplace=True)
    before = [*net.named_modules(), *net.named_parameters(), *net.named_buffers()]
    in_place = [part.inplace for part in net.modules() if hasattr(part, "inplace")]
    scenario(net, tiny_images())
    after = [*net.named_modules(), *net.named_parameters(), *net.named_buffers()]
    assert all(a[0] == b[0] and a[1] is b[1] for a, b in zip(before, after, strict=True))
    assert [part.inplace for part in net.modules() if hasattr(part, "inplace")] == in_place


@each_scenario
@each_mode
def test_grad_mode_is_as_before(scenario, mode):
    net = Net()
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        scenario(net, tiny_images())
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert torch.is_grad_enabled()


@each_scenario
def test_logits_are_bit_identical_afterwards(scenario):
    net, images = Net(inplace=True), tiny_images()
    before = net(images)
    scenario(net, images)
    assert torch.equal(net(images), before)


BUT_EXPLAIN = {name: call for name, call in SCENARIOS.items() if "explain" not in name}


@pytest.mark.parametrize("scenario", BUT_EXPLAIN.values(), ids=BUT_EXPLAIN)
def test_statistics_and_random_numbers_are_untouched_in_training_mode(scenario):
    net = Net().train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    assert "features.1.running_mean" in before
    numbers = torch.get_rng_state()
    scenario(net, tiny_images())
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    assert torch.equal(torch.get_rng_state(), numbers)  # dropout drew none


def starts_in_place():
    """A network that writes into its input."""
    torch.manual_seed(0)
    layers = [nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


IMAGE_CALLS = {
    "grad_cam": lambda net, images: grad_cam(net, images, [0, 1]),
    "grad_cam, named layer": lambda net, images: grad_cam(net, images, 0, "1"),
    "grad_cam, first layer": lambda net, images: grad_cam(net, images, 0, "0"),
    "grad_cam_pp": lambda net, images: grad_cam_pp(net, images, 0),
    "cam": lambda net, images: cam(net, images, 0),
    "fails": bad_class(grad_cam),
}


@pytest.mark.parametrize("call", IMAGE_CALLS.values(), ids=IMAGE_CALLS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_images_are_not_changed(call, requires_grad):
    net, images = starts_in_place(), tiny_images() - 0.5
    net.fails = None
    kept = images.clone()
    images.requires_grad_(requires_grad)
    call(net, images)
    assert torch.equal(images, kept)
    assert images.requires_grad is requires_grad
    assert images.is_leaf
    assert images.grad is None


def test_images_with_a_history():
    source = tiny_images().requires_grad_()
    e = grad_cam(TinyNet(), source * 1, 0)
    assert torch.equal(e.maps, grad_cam(TinyNet(), source.detach(), 0).maps)
    assert source.grad is None


def test_no_graph_hangs_on_the_explanation():
    net = TinyNet()
    e = grad_cam(net, tiny_images().requires_grad_(), [0, 1])
    parts = (e.maps, e.scores, e.weights, e.activations, e.positive, e.heatmaps())
    assert not any(part.requires_grad for part in (*parts, cam(net, tiny_images(), 0)))


def test_the_explanation_has_memory_of_its_own():
    class Keeps(TinyNet):
        def forward(self, images):
            self.kept = self.features(images)
            return self.head(self.kept)

    net = Keeps()
    e = grad_cam(net, tiny_images(), 0)
    before = e.activations.clone()
    with torch.no_grad():
        net.kept.zero_()
    assert torch.equal(e.activations, before)


# --- several threads, and hooks of the model's owner -------------------------------------------------

ALL_METHODS = {
    "grad_cam": lambda net, images: grad_cam(net, images, [0, 1]).maps,
    "grad_cam, named layer": lambda net, images: grad_cam(net, images, [0, 1], CONVOLUTION).maps,
    "grad_cam_pp": lambda net, images: grad_cam_pp(net, images, [0, 1], MAP_LAYER).maps,
    "cam": lambda net, images: cam(net, images, [0, 1]),
    "saliency": lambda net, images: saliency(net, images, [0, 1]),
    "guided_backprop": lambda net, images: guided_backprop(net, images, [0, 1]),
    "guided_grad_cam": lambda net, images: guided_grad_cam(net, images, [0, 1]),
    "integrated_gradients": lambda net, images: integrated_gradients(net, images, [0, 1], 2),
    "smooth_grad": lambda net, images: smooth_grad(net, images, [0, 1], 2),
    "excitation_backprop": lambda net, images: excitation_backprop(net, images, [0, 1]),
}
each_of_all = pytest.mark.parametrize("method", ALL_METHODS.values(), ids=ALL_METHODS)


class Meeting(TinyNet):
    """Two threads' passes wait for each other, before the layers and behind them."""

    meet = staticmethod(lambda: None)

    def forward(self, images):
        self.meet()
        maps = self.features(images)
        self.meet()
        return self.head(maps)


def in_threads(*functions):
    with ThreadPoolExecutor(len(functions)) as pool:
        return [task.result(60) for task in [pool.submit(function) for function in functions]]


@each_of_all
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("made_in", [nullcontext, torch.inference_mode])
def test_two_threads_explain_one_model_at_a_time(method, training, made_in):
    with made_in():
        net = Meeting()
    net.train(training)
    first, second = tiny_images(seed=1), tiny_images(seed=2)
    expected = method(net, first), method(net, second)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    objects = list(map(id, net.parameters()))
    if made_in is nullcontext:  # else one waits for the other: copies stand in for the parameters
        net.meet = threading.Barrier(2, timeout=60).wait
    found = in_threads(lambda: method(net, first), lambda: method(net, second))
    assert all(map(torch.equal, found, expected))
    assert all(part.training is training for part in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert list(map(id, net.parameters())) == objects
    assert not any(hooks for part in net.modules() for hooks in hooks_of(part).values())


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_models_that_share_a_trunk_stay_in_evaluation_mode_until_both_are_done(first_out):
    trunk = TinyNet().features.train()
    nets = [nn.Sequential(trunk, nn.Dropout()).train() for _ in range(2)]
    inside = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]

    def hold(i):
        with evaluation_mode(nets[i]):
            inside[i].set()
            leave[i].wait(60)

    threads = [threading.Thread(target=hold, args=[i]) for i in range(2)]
    for thread, event in zip(threads, inside, strict=True):
        thread.start()
        event.wait(60)
    leave[first_out].set()
    threads[first_out].join()
    assert not any(part.training for part in trunk.modules())
    assert nets[first_out][1].training
    leave[1 - first_out].set()
    threads[1 - first_out].join()
    assert all(part.training for net in nets for part in net.modules())


def test_evaluation_mode_within_evaluation_mode_restores_what_it_found():
    net = TinyNet().train()
    with evaluation_mode(net):
        net.features.train()
        with evaluation_mode(net, net):
            assert not any(part.training for part in net.modules())
        assert net.features.training
        assert not net.head.training
    assert all(part.training for part in net.modules())


def test_a_plain_pass_in_another_thread_is_not_heard():
    net, images = TinyNet(), tiny_images()
    expected = grad_cam(net, images, 0, MAP_LAYER)
    with ForwardHook(net.head) as hook:
        in_threads(lambda: net(images))
        assert hook.stored is None
    with graph_from(net.get_submodule(MAP_LAYER)) as graph:
        (logits,) = in_threads(lambda: net(tiny_images(seed=3)))
        assert graph.activations is None
        net(images)
    assert torch.equal(graph.activations, expected.activations)
    assert torch.equal(logits, net(tiny_images(seed=3)))


def kept_gradient(seen):
    return lambda module, inputs, output: output.register_hook(seen.append) and None


def retained(seen):
    def retain(module, inputs, output):
        output.retain_grad()
        seen.append(output)

    return retain


OWNERS = {
    "output.register_hook": lambda part, seen: part.register_forward_hook(kept_gradient(seen)),
    "output.retain_grad": lambda part, seen: part.register_forward_hook(retained(seen)),
    "input.register_hook": lambda part, seen: part.register_forward_pre_hook(
        lambda module, inputs: inputs[0].register_hook(seen.append) and None
    ),
    "full backward hook": lambda part, seen: part.register_full_backward_hook(
        lambda module, above, below: seen.extend(g for g in (*above, *below) if g is not None)
    ),
    "full backward pre-hook": lambda part, seen: part.register_full_backward_pre_hook(
        lambda module, below: seen.extend(below)
    ),
}


@each_of_all
@pytest.mark.parametrize("register", OWNERS.values(), ids=OWNERS)
@pytest.mark.parametrize("place", ["features", "features.3", "head.3"])
@pytest.mark.parametrize("frozen", [False, True])
def test_hooks_of_the_models_owner_change_nothing_and_see_ordinary_tensors(method, register, place, frozen):
    images, seen = tiny_images(), []
    net = TinyNet().requires_grad_(not frozen)
    expected = method(net, images)
    register(net.get_submodule(place), seen)
    assert relative_error(method(net, images), expected) < 1e-6
    assert all(value.sum().isfinite() for value in seen)  # a tensor of a batched backward is dead by now
    assert not any(part._forward_hooks for part in net.modules() if part is not net.get_submodule(place))


def test_module_hooks_behind_explain_see_ordinary_tensors():
    net, images, seen = TinyNet(), tiny_images(), []
    expected = explain(net.features, lambda: net(images)).maps
    OWNERS["full backward hook"](net.head[3], seen)
    assert relative_error(explain(net.features, lambda: net(images)).maps, expected) < 1e-6
    assert len(seen) == 10  # two gradients for each of five classes
    assert all(value.sum().isfinite() for value in seen)


# --- what must not change the maps -------------------------------------------------------------------

METHODS = {
    "grad_cam": lambda net, images: grad_cam(net, images, range(5), CONVOLUTION).maps,
    "grad_cam_pp": lambda net, images: grad_cam_pp(net, images, range(5), MAP_LAYER).maps,
    "grad_cam, default": lambda net, images: grad_cam(net, images, range(5)).maps,
    "cam": lambda net, images: cam(net, images, range(5)),
    "explain": lambda net, images: explain(net.features[0], lambda: net(images)).maps,
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
each_head = pytest.mark.parametrize("is_pooled", [True, False])


@pytest.mark.parametrize("layer", ["features.0", "features.1", "features.2", CONVOLUTION, MAP_LAYER])
@each_head
def test_an_inplace_relu_behind_the_layer_changes_nothing(layer, is_pooled):
    images = tiny_images()
    plain = grad_cam(TinyNet(is_pooled, inplace=False), images, range(5), layer)
    inplace = grad_cam(TinyNet(is_pooled, inplace=True), images, range(5), layer)
    assert torch.equal(inplace.activations, plain.activations)
    assert torch.equal(inplace.maps, plain.maps)
    if layer in ("features.0", "features.1", CONVOLUTION):
        assert (plain.activations < 0).any()  # the ReLU would have changed them


def test_an_inplace_relu_changes_nothing_for_cam():
    images = tiny_images()
    assert torch.equal(cam(TinyNet(inplace=True), images, [0, 1]), cam(TinyNet(), images, [0, 1]))


@each_method
def test_frozen_parameters_change_nothing(method):
    images = tiny_images()
    frozen = TinyNet().requires_grad_(False)
    assert torch.equal(method(frozen, images), method(TinyNet(), images))


@each_method
@each_mode
@pytest.mark.parametrize("made", ["outside", "images inside", "all inside"])
def test_the_callers_grad_mode_changes_nothing(method, mode, made):
    expected = method(TinyNet(), tiny_images())
    net, images = TinyNet(), tiny_images()
    with mode():
        if made != "outside":
            images = tiny_images()
        if made == "all inside":
            net = TinyNet()
            if mode is torch.inference_mode and method is METHODS["explain"]:
                with pytest.raises(ValueError, match=r"made inside `torch.inference_mode\(\)`.*outside"):
                    method(net, images)
                return
        assert torch.equal(method(net, images), expected)
    assert torch.equal(method(net, images), expected)  # what was made there can be used outside, too


@each_mode
def test_a_classifier_in_any_grad_mode(mode):
    images = tiny_images(1, size=64)
    torch.manual_seed(0)
    expected = grad_cam(load_classifier(weights=None, device="cpu"), images, [1, 2])
    torch.manual_seed(0)
    with mode():
        clf = load_classifier(weights=None, device="cpu")
        e = grad_cam(clf, images, [1, 2])
        assert e.names == expected.names
        assert relative_error(e.maps, expected.maps) < 1e-6
        heatmaps = e.heatmaps()
    assert relative_error(heatmaps, expected.heatmaps()) < 1e-6


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "grad_cam, default", "cam"])
def test_training_mode_changes_nothing(name):
    images = tiny_images()
    assert torch.equal(METHODS[name](TinyNet().train(), images), METHODS[name](TinyNet(), images))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
@each_method
def test_half_precision_is_close(method, dtype, tolerance):
    images = tiny_images().to(dtype)  # the same rounded numbers for both
    net = TinyNet().to(dtype)
    expected = method(TinyNet().to(dtype).float(), images.float())
    found = method(net, images)
    assert found.dtype == torch.float32  # sums are not made in half precision
    assert relative_error(found, expected) < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_a_real_network_in_half_precision_is_close(dtype, tolerance):
    images = tiny_images(1, size=96)
    clf = load_classifier(device="cpu")
    expected, expected_cam = grad_cam(clf, images, [281, 404]), cam(clf, images, [281, 404])
    clf = clf.to(dtype)
    found = grad_cam(clf, images, [281, 404])
    assert relative_error(found.maps, expected.maps) < tolerance
    assert (found.heatmaps() - expected.heatmaps()).abs().max() < tolerance
    assert relative_error(cam(clf, images, [281, 404]), expected_cam) < tolerance


def test_double_precision_stays_double():
    e = grad_cam(TinyNet().double(), tiny_images().double(), 0)
    assert e.maps.dtype == e.scores.dtype == e.weights.dtype == torch.float64


def test_autocast():
    net, images = TinyNet(), tiny_images()
    expected = grad_cam(net, images, range(5)).maps
    with torch.autocast("cpu", torch.bfloat16):
        found = grad_cam(net, images, range(5)).maps
    assert relative_error(found, expected) < 0.05


@pytest.mark.parametrize("context", [nullcontext, torch.no_grad])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu(context):
    images = tiny_images()
    net = TinyNet().cuda()
    for name, method in METHODS.items():
        there = images.cuda() if name == "explain" else images  # images are moved to the model
        with context():
            found = method(net, there)
        assert found.is_cuda
        assert relative_error(found.cpu(), method(TinyNet(), images)) < 1e-3


def test_the_compiler_is_set_back_when_the_last_of_several_threads_leaves():
    import torch._dynamo

    def stance():
        return torch._dynamo.eval_frame._stance.stance

    first, second = inputs.uncompiled(), inputs.uncompiled()
    before = stance()
    first.__enter__()
    second.__enter__()
    assert stance() == "force_eager"
    first.__exit__(None, None, None)
    assert stance() == "force_eager"
    second.__exit__(None, None, None)
    assert stance() == before == "default"
