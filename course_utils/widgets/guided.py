"""Explorer of gradient images: a rule at the ReLUs, a class, and the layer of the Grad-CAM it is multiplied by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import deconvnet, evaluation_mode, grad_cam, guided_backprop, saliency
from course_utils.networks import Classifier
from course_utils.show import draw_gradient, draw_heatmap, draw_photo, in_digits, panels

from .explorer import Explorer, choice

__all__ = ["guided_explorer"]

METHODS = {"gradient": saliency, "deconvnet": deconvnet, "guided": guided_backprop}
"""By the rule at the ReLUs, as :func:`course_utils.explain.relu_rule` names it: no choice of methods in general."""
_PLACES = {"left": 0.005, "right": 0.995, "bottom": 0.01, "top": 0.9, "wspace": 0.03}
QUARTERS = ("top left", "top right", "bottom left", "bottom right")


def guided_explorer(
    classifier: Classifier, image: Tensor, classes: Sequence[str], layers: Mapping[str, str]
) -> Explorer:
    """Explore the three rules at a ReLU for several classes, and their product with Grad-CAM at several layers.

    Shown are the photograph, the gradient image v of the rule, Grad-CAM, and the product of the two, which for the
    guided rule is Guided Grad-CAM (arXiv 1610.02391); in words, the share of energy, sum |v|, in each quarter of
    the picture. Each picture of gradients has its own limit. What has been computed once is kept.

    Args:
        classifier: a network with ReLUs.
        image: (1, 3, H, W) in [0, 1], H and W even.
        classes: names, for the list; the first is shown first.
        layers: what to call each layer in the list, and its dotted name; the last is shown first.

    Raises:
        ValueError: not one image, sides that are not even, an unknown class, no class or no layer.
        course_utils.explain.ActivationError: the network has no ReLU, or smooth activations.
    """
    if image.ndim != 4 or len(image) != 1 or image.shape[2] % 2 or image.shape[3] % 2:
        raise ValueError(
            f"the explorer takes one image (1, 3, H, W) with even sides, got shape {tuple(image.shape)}."
        )
    if not classes or not layers:
        raise ValueError(
            f"the explorer needs at least one class and one layer, got {len(classes)} and {len(layers)}."
        )
    numbers = {name: classifier.class_index(name) for name in classes}
    with torch.no_grad(), evaluation_mode(classifier):
        probabilities = classifier.probabilities(classifier(image))[0].cpu()

    @lru_cache(maxsize=len(METHODS) * len(numbers))
    def gradients(rule: str, name: str) -> Tensor:
        return METHODS[rule](classifier, image, numbers[name])[0, 0].cpu()

    @lru_cache(maxsize=len(layers) * len(numbers))
    def heatmap(layer: str, name: str) -> Tensor:
        return grad_cam(classifier, image, numbers[name], layers[layer]).heatmaps()[0, 0].cpu()

    def draw(rule: str, name: str, layer: str) -> tuple[Figure, str]:
        values, heat = gradients(rule, name), heatmap(layer, name)
        product = values * heat
        figure, axes = panels(4, width=9.6, height=2.65, places=_PLACES)
        draw_photo(axes[0], image, "the photograph")
        draw_gradient(axes[1], values, f"{rule}, {name}")
        draw_heatmap(axes[2], heat, image, f"{name} {in_digits(probabilities[numbers[name]].item())}")
        draw_gradient(axes[3], product, f"{rule} × Grad-CAM")
        words = (
            f"{name}, rule: {rule}, Grad-CAM at: {layer}. Share of energy in the quarters "
            f"({', '.join(QUARTERS)}): {rule} {_shares(values)}; Grad-CAM {_shares(heat)}; the product "
            f"{_shares(product)}. Each picture has its own scale; mid-gray is zero."
        )
        return figure, words

    # Each takes about as long as the network forward and back: computed now, every setting answers at once.
    for name in numbers:
        for rule in METHODS:
            gradients(rule, name)
        for layer in layers:
            heatmap(layer, name)
    return Explorer(
        draw,
        rule=choice("rule at each ReLU", list(METHODS), "guided"),
        name=choice("class", list(numbers)),
        layer=choice("layer of Grad-CAM", list(layers), list(layers)[-1]),
    )


def _shares(values: Tensor) -> str:
    """Shares of sum |v| in the four quarters, in reading order; words where all is zero."""
    energy = values.abs().double().reshape(-1, *values.shape[-2:]).sum(0)
    if not energy.any():
        return "is zero everywhere"
    h, w = (side // 2 for side in energy.shape)
    quarters = energy.reshape(2, h, 2, w).sum((1, 3)).flatten() / energy.sum()
    return ", ".join(f"{share:.2f}" for share in quarters)
