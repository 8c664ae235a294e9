"""grad_cam against captum, pytorch-grad-cam and torch-cam, on networks with random weights."""

import numpy as np
import pytest
import torch
from helpers import TinyNet, random_net, relative_error, tiny_images

from course_utils.explain import grad_cam, grad_cam_pp

LAYERS = {
    "vgg16": "features.29",
    "resnet50": "layer4",
    "googlenet": "inception5b",
    "mobilenet_v2": "features",
}


@pytest.fixture(scope="module", params=LAYERS)
def case(request):
    """(network, dotted name of its layer, two images)."""
    return random_net(request.param), LAYERS[request.param], tiny_images(2, size=128)


@pytest.fixture(scope="module")
def ours(case):
    """One class an image, whose map has both signs: a ReLU too many or too few is seen."""
    net, layer, images = case
    maps = grad_cam(net, images, range(200), layer).maps
    both = (maps.amin((2, 3)) < 0) & (maps.amax((2, 3)) > 0)
    assert both.any(1).all()
    return grad_cam(net, images, both.int().argmax(1, keepdim=True), layer)


class RawGradCAM:
    """pytorch-grad-cam's GradCAM, which also keeps its map before normalization and upsampling."""

    def __new__(cls, model, layer, kind="GradCAM"):
        import pytorch_grad_cam

        class Keeping(getattr(pytorch_grad_cam, kind)):
            def get_cam_image(self, *args, **kwargs):
                self.raw = super().get_cam_image(*args, **kwargs)
                return self.raw

        return Keeping(model=model, target_layers=[layer])


def run_pytorch_grad_cam(model, layer, images, classes, kind="GradCAM"):
    """Its raw signed map, and the finished one (N, H, W)."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with RawGradCAM(model, model.get_submodule(layer), kind) as method:
        finished = method(input_tensor=images, targets=[ClassifierOutputTarget(c) for c in classes])
        return torch.from_numpy(np.asarray(method.raw)), torch.from_numpy(finished)


def test_captum(case, ours):
    from captum.attr import LayerGradCam

    net, layer, images = case
    expected = LayerGradCam(net, net.get_submodule(layer)).attribute(images, target=ours.classes[:, 0])
    assert relative_error(ours.maps, expected.detach()) < 1e-5


def test_pytorch_grad_cam(case, ours):
    net, layer, images = case
    raw, finished = run_pytorch_grad_cam(net, layer, images, ours.classes[:, 0].tolist())
    assert relative_error(ours.maps[:, 0], raw) < 1e-5
    # It divides by maximum + 1e-7 before and after enlarging. Its minimum, zero here, it subtracts.
    assert (ours.heatmaps()[:, 0] - finished).abs().max() < 1e-5 + 2e-7 / ours.positive.amax((1, 2, 3)).min()


def test_torch_cam(case, ours):
    from torchcam.methods import GradCAM

    net, layer, images = case
    with GradCAM(net, layer) as method:
        (expected,) = method(ours.classes[:, 0].tolist(), net(images), normalized=False)  # after its ReLU
    assert relative_error(ours.positive[:, 0], expected.detach()) < 1e-5


def test_several_classes(case):
    from captum.attr import LayerGradCam

    net, layer, images = case
    e = grad_cam(net, images, [0, 500, 999], layer)
    method = LayerGradCam(net, net.get_submodule(layer))
    for k, c in enumerate([0, 500, 999]):
        assert relative_error(e.maps[:, [k]], method.attribute(images, target=c).detach()) < 1e-5


@pytest.mark.parametrize("is_pooled", [True, False])
def test_grad_cam_pp(is_pooled):
    # pytorch-grad-cam has the paper's (sum A) g^3; it adds 1e-6 to the denominator, so gradients must be
    # large. torch-cam is left out: it follows another formula.
    net, images = TinyNet(is_pooled), tiny_images()
    with torch.no_grad():
        net.head[-1].weight.mul_(1e4)
    raw, _ = run_pytorch_grad_cam(net, "features", images, [0, 2], "GradCAMPlusPlus")
    e = grad_cam_pp(net, images, torch.tensor([[0], [2]]), "features")
    assert relative_error(e.maps[:, 0], raw) < 1e-4
