"""Names that the command line must know before PyTorch is loaded, so that a typing error is answered at once."""

from __future__ import annotations

__all__ = ["CLASSIFIERS", "METHOD_NAMES"]

METHOD_NAMES = ("grad-cam", "grad-cam++", "cam", "counterfactual", "guided-backprop", "guided-grad-cam")
"""What ``course_utils.playground.METHODS`` offers."""

CLASSIFIERS = (
    "efficientnet_lite0",
    "resnet18",
    "resnet50",
    "vgg16",
    "alexnet",
    "googlenet",
    "mobilenet_v2",
    "densenet121",
)
"""What ``course_utils.models.list_classifiers()`` lists."""
