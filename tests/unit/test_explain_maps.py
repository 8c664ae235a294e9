"""CAM, Grad-CAM and Grad-CAM++ against numbers worked out by hand, loops, and the identities between them."""

import math
import weakref

import pytest
import torch
from helpers import CONVOLUTION, MAP_LAYER, Counter, TinyNet, reference_maps, relative_error, tiny_images
from torch import nn

from course_utils.explain import Explanation, cam, enlarged, explain, grad_cam, grad_cam_pp, heatmaps
from course_utils.explain import maps as cam_module
from course_utils.networks import load_classifier

NAMES = ["resnet50", "googlenet", "mobilenet_v2", "efficientnet_lite0"]


@pytest.fixture(scope="module", params=NAMES)
def pooled(request):
    """A network that ends in average pooling and one linear layer, which it also returns."""
    torch.manual_seed(0)
    weights = "imagenet" if request.param == "efficientnet_lite0" else None
    clf = load_classifier(request.param, weights=weights, device="cpu")
    linear = [part for part in clf.modules() if isinstance(part, nn.Linear)][-1]
    with torch.no_grad():  # evidence and bias of the same size: neither can hide behind the other
        linear.bias.zero_()
        linear.weight /= clf(tiny_images(1, size=96)).std()
        linear.bias.normal_()
    return clf, linear


# --- by hand -----------------------------------------------------------------------------------------


def net_by_hand(relu=False):
    """A^1 = x and A^2 = 10 - 2x, their averages, and two classes."""
    conv, linear = nn.Conv2d(1, 2, 1), nn.Linear(2, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, -2.0]).view(2, 1, 1, 1))
        conv.bias.copy_(torch.tensor([0.0, 10.0]))
        linear.weight.copy_(torch.tensor([[3.0, -1.0], [-2.0, 4.0]]))
        linear.bias.copy_(torch.tensor([0.5, -1.0]))
    return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


X = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])  # so A^1 = [[1, 2], [3, 4]] and A^2 = [[8, 6], [4, 2]]


def test_two_by_two_by_hand():
    e = grad_cam(net_by_hand(), X, [0, 1])
    # Averages 2.5 and 5: y^0 = 7.5 - 5 + 0.5, y^1 = -5 + 20 - 1.
    assert e.scores.tolist() == [[3, 14]]
    assert e.classes.tolist() == [[0, 1]]
    assert e.weights.tolist() == [[[0.75, -0.25], [-0.5, 1]]]  # w_k^c / Z with Z = 4
    assert e.maps.tolist() == [[[[-1.25, 0], [1.25, 2.5]], [[7.5, 5], [2.5, 0]]]]
    assert e.positive.tolist() == [[[[0, 0], [1.25, 2.5]], [[7.5, 5], [2.5, 0]]]]
    assert e.negative[0, 0].tolist() == [[1.25, 0], [0, 0]]
    assert e.activations.tolist() == [[[[1, 2], [3, 4]], [[8, 6], [4, 2]]]]
    assert e.heatmaps().tolist() == [
        [[[0, 0], [0.5, 1]], [[1, pytest.approx(2 / 3)], [pytest.approx(1 / 3), 0]]]
    ]
    assert cam(net_by_hand(), X, [0, 1]).tolist() == [[[[-5, 0], [5, 10]], [[30, 20], [10, 0]]]]


def test_grad_cam_pp_by_hand():
    e = grad_cam_pp(net_by_hand(), X, [0, 1])
    # g = w/4 at every pixel; sum A^1 = 10, sum A^2 = 20. Channels with g < 0 drop out.
    w1 = 4 * 0.75 / (2 + 0.75 * 10)
    w2 = 4 * 1.0 / (2 + 1.0 * 20)
    torch.testing.assert_close(e.weights, torch.tensor([[[w1, 0.0], [0.0, w2]]]))
    torch.testing.assert_close(e.maps[0, 0], w1 * X[0, 0])
    torch.testing.assert_close(e.maps[0, 1], w2 * (10 - 2 * X[0, 0]))


# --- against loops -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_pooled", [True, False])
@pytest.mark.parametrize("layer", ["features.0", "features.3", CONVOLUTION, MAP_LAYER])
def test_any_layer_against_a_loop(is_pooled, layer):
    net, images = TinyNet(pooled=is_pooled), tiny_images(3)
    e = grad_cam(net, images, range(5), layer)
    for k in range(5):
        expected = reference_maps(net, net.get_submodule(layer), images, k)
        assert relative_error(e.maps[:, k], expected) < 1e-5


def exponential_by_loop(head, activations, class_index):
    """Grad-CAM++ as the paper writes it (equations 10, 11 and 19), one pixel after the other.

    Y = exp(y^c) is differentiated three times by autograd at each pixel, nothing is simplified.
    """
    weights = torch.zeros(activations.shape[1], dtype=activations.dtype)
    for k, i, j in torch.cartesian_prod(*map(torch.arange, activations.shape[1:])).tolist():
        pixel = activations[0, k, i, j].clone().requires_grad_()
        a = activations.clone()
        a[0, k, i, j] = pixel
        y = head(a)[0, class_index].exp()
        (first,) = torch.autograd.grad(y, pixel, create_graph=True)
        (second,) = torch.autograd.grad(first, pixel, create_graph=True)
        (third,) = torch.autograd.grad(second, pixel)
        denominator = 2 * second + activations[0, k].sum() * third
        if denominator != 0:
            weights[k] += (second / denominator * first.relu()).detach()
    return torch.einsum("k,khw->hw", weights, activations[0])


@pytest.mark.parametrize("is_pooled", [True, False])
def test_grad_cam_pp_against_the_papers_equations(is_pooled):
    net, images = TinyNet(pooled=is_pooled).double(), tiny_images(1).double()
    with torch.no_grad():  # gradients that are large enough to tell the terms of the denominator apart
        net.head[-1].weight.mul_(20)
    e = grad_cam_pp(net, images, [0, 3], MAP_LAYER)
    activations = net.features(images).detach()
    for k, class_index in enumerate([0, 3]):
        expected = exponential_by_loop(net.head, activations, class_index)
        # exp(y^c) is common to all weights and vanishes in the heat-map; ours leave it out.
        assert relative_error(e.maps[0, k] * e.scores[0, k].exp(), expected) < 1e-10


def test_grad_cam_pp_does_not_overflow():
    net, images = TinyNet(), tiny_images()
    with torch.no_grad():
        net.head[-1].bias += 1000  # exp(1000) is infinite in every precision
    assert relative_error(grad_cam_pp(net, images, 1).maps, grad_cam_pp(TinyNet(), images, 1).maps) < 1e-6


def test_grad_cam_pp_has_no_negative_evidence():
    e = grad_cam_pp(TinyNet(pooled=False), tiny_images(), range(5))
    assert (e.weights >= 0).all()
    assert not e.negative.any()


# --- identities --------------------------------------------------------------------------------------


def test_cam_is_z_times_raw_grad_cam(pooled):
    clf, _ = pooled
    images = tiny_images(2, size=96)
    e = grad_cam(clf, images, [281, 7, 404])
    z = e.maps.shape[2] * e.maps.shape[3]
    assert z == 9
    assert relative_error(z * e.maps, cam(clf, images, [281, 7, 404])) < 1e-5


def test_the_map_sums_to_the_logit_less_the_bias(pooled):
    clf, linear = pooled
    e = grad_cam(clf, tiny_images(2, size=96), [281, 7, 404])
    evidence = e.scores - linear.bias[[281, 7, 404]]
    assert relative_error(e.maps.sum((2, 3)), evidence) < 1e-5


def test_alphas_are_the_linear_layers_weights_over_z(pooled):
    clf, linear = pooled
    e = grad_cam(clf, tiny_images(2, size=96), [281, 7])
    expected = (linear.weight[[281, 7]] / 9).expand(2, -1, -1)
    torch.testing.assert_close(e.weights, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("is_pooled", [True, False])
def test_the_map_of_a_difference_is_the_difference_of_the_maps(is_pooled):
    net, images = TinyNet(pooled=is_pooled), tiny_images()
    each = grad_cam(net, images, [4, 1]).maps
    e = explain(net.features, lambda: -net(images)[:, [1, 4]].diff(dim=1))
    torch.testing.assert_close(e.maps[:, 0], each[:, 1] - each[:, 0])
    torch.testing.assert_close(e.scores, net(images)[:, [1]] - net(images)[:, [4]])


@pytest.mark.parametrize("is_pooled", [True, False])
def test_the_map_of_a_probability(is_pooled):
    net, images = TinyNet(pooled=is_pooled), tiny_images()
    with torch.no_grad():
        net.head[-1].weight.mul_(10)
    maps = grad_cam(net, images, range(5)).maps
    e = explain(net.features, lambda: net(images).softmax(1))
    p = net(images).softmax(1).detach()
    torch.testing.assert_close(e.scores, p)
    mixture = (p[:, :, None, None] * maps).sum(1, keepdim=True)
    torch.testing.assert_close(e.maps, p[:, :, None, None] * (maps - mixture), rtol=1e-4, atol=1e-6)


def test_scaling_a_score_scales_its_map():
    net, images = TinyNet(pooled=False), tiny_images()
    doubled = explain(net.features, lambda: 2 * net(images))
    torch.testing.assert_close(doubled.maps, 2 * grad_cam(net, images, range(5)).maps)


def test_positive_and_negative_are_the_two_halves_of_the_map():
    e = grad_cam(TinyNet(pooled=False), tiny_images(), range(5), CONVOLUTION)
    assert (e.maps > 0).any()
    assert (e.maps < 0).any()
    assert torch.equal(e.positive - e.negative, e.maps)
    assert not (e.positive * e.negative).any()
    # The counterfactual by its own definition: negate the gradients first.
    against = explain_negated(TinyNet(pooled=False), tiny_images())
    torch.testing.assert_close(e.negative, against)


def explain_negated(net, images):
    return explain(net.get_submodule(CONVOLUTION), lambda: -net(images)).positive


# --- heat-maps ---------------------------------------------------------------------------------------


def explanation(maps, **more):
    n, k = maps.shape[:2]
    nothing = torch.zeros(n, k)
    return Explanation(maps, nothing, nothing.long(), nothing[..., None], nothing, **more)


def enlarged_by_loop(grid, height, width):
    """Bilinear interpolation with pixels as areas: pixel i of H covers (i, i + 1) * h / H of the grid."""
    h, w = grid.shape
    result = torch.zeros(height, width)

    def neighbors(position, size):
        position = min(max(position, 0), size - 1)
        low = min(int(position), size - 1)
        return low, min(low + 1, size - 1), position - low

    for i in range(height):
        for j in range(width):
            y0, y1, v = neighbors((i + 0.5) * h / height - 0.5, h)
            x0, x1, u = neighbors((j + 0.5) * w / width - 0.5, w)
            top = (1 - u) * grid[y0, x0] + u * grid[y0, x1]
            bottom = (1 - u) * grid[y1, x0] + u * grid[y1, x1]
            result[i, j] = (1 - v) * top + v * bottom
    return result


@pytest.mark.parametrize("size", [(7, 5), (4, 4), (9, 16), (3, 2)])
def test_heatmaps_against_an_explicit_bilinear_loop(size):
    maps = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = explanation(maps).heatmaps(size)
    assert found.shape == (2, 3, *size)
    for n in range(2):
        for k in range(3):
            expected = enlarged_by_loop(maps[n, k].relu(), *size)
            torch.testing.assert_close(found[n, k], expected / expected.max())


def test_each_heatmap_lies_in_0_1_with_its_own_maximum_at_1():
    e = grad_cam(TinyNet(pooled=False), tiny_images(3), range(5))
    found = e.heatmaps()
    assert found.shape == (3, 5, 8, 8)  # the images' size
    assert e.empty.any()
    assert not e.empty.all()
    assert found.min() >= 0
    assert torch.equal(found.amax((2, 3)), (~e.empty).float())


def test_an_empty_map_is_zero_and_says_so():
    maps = torch.tensor([[[[-1.0, -2], [-3, 0]], [[-1, -2], [-3, 1e-30]]]])
    e = explanation(maps)
    assert e.empty.tolist() == [[True, False]]
    found = e.heatmaps(4)
    assert not found.isnan().any()
    assert not found[0, 0].any()
    assert found[0, 1].max() == 1
    assert repr(e) == "Explanation(1 image(s), 2 score(s) each, maps of 2 x 2, 1 empty)"


@pytest.mark.parametrize("size", [6, torch.tensor(6), (6, 6), torch.Size([6, 6])])
def test_sizes_of_heatmaps(size):
    assert explanation(torch.ones(1, 1, 2, 2)).heatmaps(size).shape == (1, 1, 6, 6)


def test_heatmaps_have_the_images_size_by_default():
    assert explanation(torch.ones(1, 1, 2, 2), image_size=(3, 5)).heatmaps().shape == (1, 1, 3, 5)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (2, 3, 4, 4)])
def test_maps_without_an_explanation_of_any_number_of_dimensions(shape):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = explanation(maps.expand(2, 3, 4, 4) if len(shape) != 3 else maps[:, None]).heatmaps((7, 5))
    found = heatmaps(maps, (7, 5))
    assert found.shape == (*shape[:-2], 7, 5)
    assert torch.equal(found.expand_as(expected) if len(shape) != 3 else found[:, None], expected)
    signed = enlarged(maps, (7, 5))
    torch.testing.assert_close(signed, enlarged(maps.double(), (7, 5)).float())
    assert (signed < 0).any() and torch.equal(enlarged(-maps, (7, 5)), -signed)


# --- several classes, several images -----------------------------------------------------------------


@pytest.mark.parametrize("is_pooled", [True, False])
def test_classes_together_are_as_one_by_one(is_pooled):
    net, images = TinyNet(pooled=is_pooled), tiny_images(3)
    for method in (grad_cam, grad_cam_pp):
        together = method(net, images, [3, 0, 3, 1])
        for k, c in enumerate([3, 0, 3, 1]):
            alone = method(net, images, c)
            torch.testing.assert_close(together.maps[:, [k]], alone.maps)
            torch.testing.assert_close(together.weights[:, [k]], alone.weights)
            assert torch.equal(together.scores[:, [k]], alone.scores)
    torch.testing.assert_close(cam(TinyNet(), images, [3, 0])[:, [1]], cam(TinyNet(), images, 0))


def test_each_image_may_have_its_own_classes():
    net, images = TinyNet(pooled=False), tiny_images(3)
    asked = torch.tensor([[0, 4], [2, 2], [3, 1]])
    e = grad_cam(net, images, asked)
    assert torch.equal(e.classes, asked)
    assert torch.equal(e.scores, net(images).detach().gather(1, asked))
    every = grad_cam(net, images, range(5)).maps
    maps = cam(TinyNet(), images, asked)
    for n in range(3):
        torch.testing.assert_close(e.maps[n], every[n, asked[n]])
        torch.testing.assert_close(maps[n], cam(TinyNet(), images[[n]], asked[n].tolist())[0])


@pytest.mark.parametrize("is_pooled", [True, False])
@pytest.mark.parametrize("method", [grad_cam, grad_cam_pp])
def test_each_image_gets_the_map_that_it_gets_alone(is_pooled, method):
    net, images = TinyNet(pooled=is_pooled).train(), tiny_images(4)
    together = method(net, images, [1, 2])
    for n in range(4):
        alone = method(net, images[[n]], [1, 2])
        torch.testing.assert_close(together.maps[[n]], alone.maps)
        torch.testing.assert_close(together.heatmaps()[[n]], alone.heatmaps())
    torch.testing.assert_close(cam(TinyNet(), images, 1)[[2]], cam(TinyNet(), images[[2]], 1))


def test_the_predicted_class_is_the_default():
    net, images = TinyNet(), tiny_images(4)
    with torch.no_grad():
        net.head[-1].weight.mul_(30)
    predicted = net(images).argmax(1, keepdim=True)
    assert torch.equal(grad_cam(net, images).classes, predicted)
    torch.testing.assert_close(grad_cam(net, images).maps, grad_cam(net, images, predicted).maps)
    torch.testing.assert_close(cam(net, images), cam(net, images, predicted))


def test_names_come_with_the_explanation(pooled):
    clf, _ = pooled
    e = grad_cam(clf, tiny_images(2, size=64), ["tabby", 404])
    assert e.names == [["tabby", "airliner"]] * 2
    assert e.image_size == (64, 64)
    assert grad_cam(TinyNet(), tiny_images(), 0).names is None


# --- one pass ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [grad_cam, grad_cam_pp])
def test_one_forward_pass_for_all_classes(method):
    net, images = TinyNet(), tiny_images()
    counter = Counter(net)
    method(net, images, range(5), MAP_LAYER)
    assert counter.calls == 1
    method(net, images, range(5))  # the last map of a bare network has to be found first
    assert counter.calls == 3
    cam(net, images, range(5))
    assert counter.calls == 5


def test_one_forward_pass_of_a_classifier():
    clf = load_classifier(weights=None, device="cpu")
    counter = Counter(clf.net)
    images = tiny_images(1, size=64)
    grad_cam(clf, images, range(10))
    grad_cam_pp(clf, images, range(10))
    assert cam(clf, images, range(1000)).shape == (1, 1000, 2, 2)
    assert counter.calls == 3


def count_backward_passes(monkeypatch):
    calls, grad = [], torch.autograd.grad

    def counting(*args, **kwargs):
        calls.append(kwargs.get("is_grads_batched"))
        return grad(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    return calls


def test_one_backward_pass_for_all_classes(pooled, monkeypatch):
    calls = count_backward_passes(monkeypatch)
    grad_cam(pooled[0], tiny_images(1, size=64), range(4))
    assert calls == [True]


def test_one_backward_pass_through_fully_connected_layers(monkeypatch):
    calls = count_backward_passes(monkeypatch)
    grad_cam(TinyNet(pooled=False, inplace=True), tiny_images(), range(4), "features.0")
    assert calls == [True]


def test_many_classes_go_in_portions(monkeypatch):
    net, images = TinyNet(pooled=False), tiny_images()
    expected = grad_cam(net, images, range(5)).maps
    calls = count_backward_passes(monkeypatch)
    for bound, passes in [(1, 5), (2 * 2 * 8 * 16, 3), (5 * 2 * 8 * 16, 1)]:
        monkeypatch.setattr(cam_module, "MAX_GRADIENT_VALUES", bound)
        calls.clear()
        torch.testing.assert_close(grad_cam(net, images, range(5)).maps, expected)
        assert len(calls) == passes


def test_each_portion_is_averaged_and_gone_before_the_next_is_computed(monkeypatch):
    calls, portions = [], []
    gradient, weighting = cam_module._batched_gradient, cam_module._mean_of_gradients

    def noting_gradient(*args):
        assert all(portion() is None for portion in portions)
        calls.append("gradient")
        result = gradient(*args)
        portions.append(weakref.ref(result))
        return result

    def noting_weighting(*args):
        calls.append("weighting")
        return weighting(*args)

    monkeypatch.setattr(cam_module, "_batched_gradient", noting_gradient)
    monkeypatch.setattr(cam_module, "_mean_of_gradients", noting_weighting)
    monkeypatch.setattr(cam_module, "MAX_GRADIENT_VALUES", 2 * 2 * 8 * 16)
    grad_cam(TinyNet(pooled=False), tiny_images(), range(5))
    assert calls == ["gradient", "weighting"] * 3


class OneAtATime(torch.autograd.Function):
    """An operation whose backward looks at its numbers, which no batched backward can."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (1 if math.isfinite(gradient.sum().item()) else 0)


def test_operations_without_a_batched_backward_pass():
    class Net(TinyNet):
        def forward(self, images):
            return self.head(OneAtATime.apply(self.features(images)))

    images = tiny_images()
    expected = grad_cam(TinyNet(), images, range(5)).maps
    torch.testing.assert_close(grad_cam(Net(), images, range(5)).maps, expected)


# --- CAM's architecture ------------------------------------------------------------------------------


class Head(nn.Module):
    """A 2-channel map, pooled as ``pool`` says, and one linear layer."""

    def __init__(self, pool):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.pool, self.fc = nn.Conv2d(3, 2, 3), pool, nn.Linear(2, 5)

    def forward(self, images):
        return self.fc(self.pool(self.conv(images)))


@pytest.mark.parametrize(
    ("pool", "maps"),
    [
        (lambda a: a.mean((2, 3)), lambda a: a),
        (lambda a: a.sum((2, 3)), lambda a: a),  # as in the CAM paper
        (lambda a: nn.functional.adaptive_avg_pool2d(a, 1).flatten(1), lambda a: a),
        (lambda a: a.relu().mean((2, 3)), torch.relu),  # a ReLU without a module, as in DenseNet
    ],
)
def test_cam_reads_the_maps_off_the_linear_layer(pool, maps):
    net, images = Head(pool), tiny_images()
    with torch.no_grad():
        expected = torch.einsum("kc,nchw->nkhw", net.fc.weight[[4, 2]], maps(net.conv(images)))
    torch.testing.assert_close(cam(net, images, [4, 2]), expected)


# --- explain -----------------------------------------------------------------------------------------


def test_explain_counts_its_scores():
    net, images = TinyNet(), tiny_images()
    e = explain(net.features, lambda: net(images)[:, [3, 1, 1]])
    assert e.classes.tolist() == [[0, 1, 2]] * 2
    assert e.names is None
    assert e.image_size is None
    torch.testing.assert_close(e.maps, grad_cam(net, images, [3, 1, 1]).maps)
