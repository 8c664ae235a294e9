"""Integrated Gradients and SmoothGrad: their formulas, Captum's versions, and what they refuse."""

import captum.attr
import pytest
import torch
from helpers import TinyNet, tiny_images
from torch import nn

from course_utils.explain import integrated_gradients, saliency, smooth_grad
from course_utils.networks import Classifier


def test_integrated_gradients_add_up_to_the_score_minus_that_of_black():
    net, images = TinyNet(), tiny_images()
    with torch.no_grad():
        rise = net(images) - net(torch.zeros_like(images))
    found = integrated_gradients(net, images, [0, 3], steps=200).sum((2, 3, 4))
    torch.testing.assert_close(found, rise[:, [0, 3]], rtol=2e-3, atol=2e-4)


def test_of_a_linear_network_they_are_weight_times_pixel_in_one_step():
    net, images = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), tiny_images()
    found = integrated_gradients(net, images, 2, steps=1)[:, 0]
    torch.testing.assert_close(found, net[1].weight[2].view(3, 8, 8).detach() * images)


@pytest.mark.parametrize("steps", [2, 7, 32])
def test_integrated_gradients_are_captums(steps):
    net, images = TinyNet(), tiny_images()
    captums = captum.attr.IntegratedGradients(net).attribute(
        images, target=3, n_steps=steps, method="riemann_middle"
    )
    torch.testing.assert_close(integrated_gradients(net, images, 3, steps)[:, 0], captums)


def test_smooth_grad_is_captums_with_the_same_noise():
    net, image = TinyNet(), 0.4 + 0.2 * tiny_images(1)  # one image: Captum draws an image's copies at once
    low, high = image.min(), image.max()
    draw = torch.Generator().manual_seed(7)
    noisy = [image + 0.15 * (high - low) * torch.randn(image.shape, generator=draw) for _ in range(6)]
    gradient = captum.attr.Saliency(net)
    captums = [gradient.attribute(x.clamp(low, high), target=3, abs=False) for x in noisy]
    found = smooth_grad(net, image, 3, samples=6, seed=7)[:, 0]
    torch.testing.assert_close(found, sum(captums) / 6)


def test_smooth_grad_approaches_captums_noise_tunnel():
    # The tunnel draws for itself and cuts nothing off: a smooth network, little noise, many copies.
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.Softplus(), nn.Linear(12, 5))
    image = tiny_images(1)
    torch.manual_seed(0)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(net))
    captums = tunnel.attribute(image, nt_samples=400, stdevs=0.01, target=3, abs=False)
    noise = 0.01 / float(image.max() - image.min())
    found = smooth_grad(net, image, 3, samples=400, noise=noise)[:, 0]
    torch.testing.assert_close(found, captums, rtol=0, atol=float(captums.abs().max()) / 100)


def test_without_noise_it_is_the_gradient_and_a_classifier_takes_the_noisy_images():
    clf = Classifier(TinyNet(), list("abcde"))
    images = tiny_images()
    torch.testing.assert_close(smooth_grad(clf, images, 1, samples=2, noise=0), saliency(clf, images, 1))
    images[0, :, 0, 0], images[0, :, 7, 7] = 0, 1
    assert smooth_grad(clf, images, 1, samples=2, noise=3).isfinite().all()  # cut off at 0 and 1


@pytest.mark.parametrize("method", [integrated_gradients, smooth_grad])
def test_the_predicted_class_is_that_of_the_image_itself(method):
    net, images = TinyNet(), tiny_images(4)
    with torch.no_grad():
        net.head[3].weight.mul_(-30)
        named = net(images).argmax(1, keepdim=True)
        steps = {int(c) for a in (0.05, 0.5, 1.0) for c in net(a * images).argmax(1)}
    assert len(steps) > 1, "the test needs a network that names another class on the way"
    assert torch.equal(method(net, images, None, 4), method(net, images, named, 4))


@pytest.mark.parametrize("method", [integrated_gradients, smooth_grad])
def test_model_images_and_the_global_generator_are_left_alone(method):
    net, images = TinyNet().train(), tiny_images()
    before, drawn = images.clone(), torch.get_rng_state()
    method(net, images, 1, 2)
    assert torch.equal(images, before) and net.training and torch.equal(torch.get_rng_state(), drawn)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda net, x: integrated_gradients(net, x, 1, steps=0), ValueError, "steps must be"),
        (lambda net, x: integrated_gradients(net, x, 1, steps=2.5), TypeError, "steps is a whole number"),
        (lambda net, x: integrated_gradients(net, x, 9), ValueError, "no class 9"),
        (lambda net, x: integrated_gradients(net, x[0], 1), ValueError, "images"),
        (lambda net, x: smooth_grad(net, x, 1, samples=-1), ValueError, "samples must be"),
        (lambda net, x: smooth_grad(net, x, 1, noise=-0.1), ValueError, "got -0.1"),
        (lambda net, x: smooth_grad(net, x, 1, noise=float("nan")), ValueError, "got nan"),
        (lambda net, x: smooth_grad(net, x, 1, seed=-1), ValueError, "seed must be"),
        (lambda net, x: smooth_grad(net, x.numpy(), 1), TypeError, "images"),
    ],
)
def test_what_cannot_be_averaged_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(TinyNet(), tiny_images())
