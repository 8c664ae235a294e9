"""The methods that speed.py compares, each in its cheapest correct use.

Making a library's object and registering its hooks is not timed. For ours everything is, the checks of the input
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.explain import cam, grad_cam
from course_utils.networks import Classifier

Call = Callable[[list[int]], Tensor]  # explains these classes of every image: maps (N, K, ., .)


@contextmanager
def forward(clf: Classifier, images: Tensor) -> Iterator[Call]:
    """The measure of all: a plain forward pass. The classifier is in evaluation mode."""

    def call(classes: list[int]) -> Tensor:
        with torch.no_grad():
            return clf(images)

    yield call


@contextmanager
def ours(clf: Classifier, images: Tensor) -> Iterator[Call]:
    yield lambda classes: grad_cam(clf, images, classes).maps


@contextmanager
def all_maps(clf: Classifier, images: Tensor) -> Iterator[Call]:
    """Class activation maps in closed form, for networks that end in pooling and a linear layer."""
    yield lambda classes: cam(clf, images, classes)


@contextmanager
def captum(clf: Classifier, images: Tensor) -> Iterator[Call]:
    """One class of each image a call, forward pass included, so K classes are K calls.

    The maps are detached: otherwise each would keep the graph that it came from.
    """
    from captum.attr import LayerGradCam

    method = LayerGradCam(clf, clf.target_layer)
    yield lambda classes: torch.cat([method.attribute(images, target=c).detach() for c in classes], 1)


@contextmanager
def pytorch_grad_cam(clf: Classifier, images: Tensor) -> Iterator[Call]:
    """One target for each image a call, so K classes are K calls.

    A call backpropagates into all parameters, enlarges the maps to the size of the images and puts them in
    [0, 1]; there is no switch for that. The gradients that it leaves in the parameters are cleared afterwards.
    """
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def call(classes: list[int]) -> Tensor:
        maps = [method(images, [ClassifierOutputTarget(c)] * len(images)) for c in classes]
        return torch.stack([torch.from_numpy(found) for found in maps], 1)

    with GradCAM(model=clf, target_layers=[clf.target_layer]) as method:
        yield call
    clf.zero_grad()


@contextmanager
def torch_cam(clf: Classifier, images: Tensor) -> Iterator[Call]:
    """One forward pass, then for each class one backward pass down to the layer, through the same graph.

    Its scaling to [0, 1] is switched off.
    """
    from torchcam.methods import GradCAM

    def call(classes: list[int]) -> Tensor:
        scores = clf(images)
        left = len(classes)
        maps = []
        for c in classes:
            left -= 1
            maps += method(c, scores, normalized=False, retain_graph=left > 0)
        return torch.stack(maps, 1)

    with GradCAM(clf, clf.target_layer) as method:
        yield call


LIBRARIES = {"captum": captum, "pytorch-grad-cam": pytorch_grad_cam, "torch-cam": torch_cam}
METHODS = {"forward": forward, "ours": ours, **LIBRARIES}
ONE_CLASS_A_CALL = ("captum", "pytorch-grad-cam")


def check_agreement(clf: Classifier, images: Tensor, classes: list[int]) -> None:
    """Raise AssertionError unless each library puts out our maps: those that differ are not worth timing."""
    maps = grad_cam(clf, images, classes).maps
    enlarged = F.interpolate(_unit(maps.relu()), images.shape[2:], mode="bilinear", align_corners=False)
    expected = {"captum": maps, "pytorch-grad-cam": _unit(enlarged), "torch-cam": maps.relu()}
    for name, method in LIBRARIES.items():
        with method(clf, images) as call:
            found = call(classes).to(maps.device)
        largest = expected[name].abs().max().item()
        difference = (found - expected[name]).abs().max().item()
        if not difference <= 1e-3 * largest:
            raise AssertionError(
                f"{name}'s maps differ from ours by {difference:.3g}, with a maximum of {largest:.3g}."
            )


def _unit(maps: Tensor) -> Tensor:
    """Scale to [0, 1] as pytorch-grad-cam does."""
    maps = maps - maps.amin((2, 3), keepdim=True)
    return maps / (1e-7 + maps.amax((2, 3), keepdim=True))
