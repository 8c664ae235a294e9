"""Explanations at the resolution of the image: gradient, deconvnet, guided backprop, Guided Grad-CAM.

All are dy^c / dx, the gradient of a class's score with respect to the image x; they differ in what each ReLU
hands back on the way, see :mod:`course_utils.explain.relu_rules`. They are signed and have one value a pixel and color:
(N, K, 3, H, W). y^c is the score before softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .excitation import excitation_backprop
from .hooks import evaluation_mode
from .inputs import Classes, check_logits, class_matrix, prepare, run
from .maps import grad_cam
from .relu_rules import ActivationError, activations_used, refuse_by_name, relu_rule

__all__ = [
    "ActivationError",
    "activations_used",
    "deconvnet",
    "excitation_backprop",
    "guided_backprop",
    "guided_grad_cam",
    "relu_rule",
    "saliency",
]


def saliency(model: nn.Module, images: Tensor, classes: Classes = None) -> Tensor:
    """Gradient of the score with respect to the image (arXiv 1312.6034): dy^c / dx, with its signs.

    It answers a question about infinitely small changes: by how much the score would rise for each unit by which
    one color of one pixel is raised. It takes any activation function.

    Args:
        model: any network that maps (N, C, H, W) to logits (N, classes).
        images: (N, C, H, W), floating point; for a :class:`~course_utils.networks.Classifier` in [0, 1].
        classes: None (each image's predicted class), a number, a name (for a ``Classifier``), a list of
            these for all images, or an integer tensor (N, K) with each image's own.

    Returns:
        (N, K, C, H, W), signed. Model and images are left as they were.

    Raises:
        ValueError, TypeError: bad images, unknown classes, logits that are not (N, classes), gradients that are
            not finite.
    """
    model, images = prepare(model, images)
    with evaluation_mode(model):
        return _image_gradients(model, images, classes)


def deconvnet(model: nn.Module, images: Tensor, classes: Classes = None) -> Tensor:
    """Deconvnet (arXiv 1311.2901): on the way back each ReLU passes relu(g), whatever went through it forward.

    Max pooling hands its gradient to the pixel that was the maximum, which is the paper's "switches". Arguments,
    result and errors as for :func:`guided_backprop`.
    """
    return _with_rule("deconvnet", model, images, classes)


def guided_backprop(model: nn.Module, images: Tensor, classes: Classes = None) -> Tensor:
    """Guided backprop (arXiv 1412.6806): each ReLU passes relu(g) [z > 0] back, for ReLU6 relu(g) [0 < z < 6].

    Every ReLU counts, as a module or a function, in place or not; no module is replaced. To see how many there
    are, use :func:`relu_rule` or :func:`activations_used`. Arguments and result as for :func:`saliency`.

    Raises:
        ActivationError: the network uses SiLU, GELU, Hardswish or the like, or no ReLU at all.
        ValueError, TypeError: as :func:`saliency`.
    """
    return _with_rule("guided", model, images, classes)


def guided_grad_cam(
    model: nn.Module, images: Tensor, classes: Classes = None, layer: nn.Module | str | None = None
) -> Tensor:
    """Guided Grad-CAM (arXiv 1610.02391): guided backprop times the Grad-CAM heat-map, pixel by pixel.

        G^c_(color, i, j) = guided backprop^c_(color, i, j) * upsampled(relu(L^c))_ij

    The heat-map is divided by its maximum and enlarged bilinearly; where no cell of the map is positive, the
    result is zero everywhere.

    Args:
        model, images, classes: as for :func:`saliency`.
        layer: Grad-CAM's layer, module or dotted name; by default the last convolutional map.

    Returns:
        (N, K, C, H, W), signed.

    Raises:
        ActivationError: as :func:`guided_backprop`.
        LayerError: as :func:`course_utils.explain.grad_cam`.
    """
    explanation = grad_cam(model, images, classes, layer)
    guided = guided_backprop(model, images, explanation.classes)
    return guided * explanation.heatmaps()[:, :, None]


def _with_rule(rule: str, model: nn.Module, images: Tensor, classes: Classes) -> Tensor:
    model, images = prepare(model, images)
    with evaluation_mode(model), refuse_by_name(model), relu_rule(rule) as rewritten:
        result = _image_gradients(model, images, classes)
    if not rewritten.total:
        raise ActivationError(
            f"this {type(model).__name__} uses no ReLU that could be rewritten, so that the result would be the plain "
            "gradient under another name. (Inside scripted or compiled code a ReLU cannot be seen: hand over the "
            "original network.) Use saliency or grad_cam, which take any activation."
        )
    return result


def _image_gradients(model: nn.Module, images: Tensor, classes: Classes) -> Tensor:
    """Return dy^c / dx for the K classes of each image: one forward pass, K backward passes."""
    with torch.inference_mode(False), torch.enable_grad():
        images = images.requires_grad_()
        logits = check_logits(run(model, images.clone()), len(images))
        scores = logits.gather(1, class_matrix(model, classes, logits))
        if not scores.requires_grad:
            raise ValueError("the scores do not depend on the images: the model detaches them on the way.")
        # Image n's score depends on image n alone: the gradient of the sum over images holds them all.
        last = scores.shape[1] - 1
        gradients = [
            torch.autograd.grad(scores[:, k].sum(), images, retain_graph=k < last)[0] for k in range(last + 1)
        ]
    result = torch.stack(gradients, dim=1)
    if not (result.isfinite().all() and scores.isfinite().all()):
        raise ValueError("scores or gradients are not finite here. Check the model's weights.")
    return result
