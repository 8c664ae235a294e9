"""Explorers of heat-maps on photographs: any class of a photograph, and any layer of a network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import cam, grad_cam, heatmaps
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo
from course_utils.show import draw_heatmap, draw_marked, draw_photo, in_digits, panels

from .explorer import Explorer, choice, picture_places, slider, typed

__all__ = ["any_class_explorer", "layer_explorer"]


def any_class_explorer(classifier: Classifier) -> Explorer:
    """Explore the heat-map of any class on any of the course's photographs.

    The maps of all classes of a photograph come from one forward pass (:func:`course_utils.explain.cam`),
    so a new class is answered at once.
    """

    @lru_cache(maxsize=2)  # 1,000 maps and the logits of a photograph take 200 KB
    def all_maps(name: str) -> tuple[Tensor, Tensor, Tensor]:
        image = load_photo(name).tensor(classifier.size)
        with torch.no_grad():
            probabilities = classifier.probabilities(classifier(image))[0].cpu()
        return image, cam(classifier, image, range(len(classifier.classes)))[0].cpu(), probabilities

    def draw(photo: str, name: str) -> tuple[Figure, str]:
        index = classifier.class_index(name)
        image, maps, probabilities = all_maps(photo)
        heat = heatmaps(maps[index], image.shape[2:])
        figure, axes = panels(2, width=7, height=3.8, places=picture_places(7, 3.8))
        draw_photo(axes[0], image, photo)
        draw_heatmap(axes[1], heat, image, f"{classifier.classes[index]} {in_digits(probabilities[index])}")
        rank = int((probabilities > probabilities[index]).sum()) + 1
        words = (
            f"{classifier.classes[index]} (class {index}): probability {_chance(probabilities[index])}, rank {rank} "
            f"of {len(probabilities)}. "
        )
        first = ", ".join(
            f"{classifier.classes[i]} {probabilities[i]:.2f}" for i in probabilities.topk(3).indices
        )
        return figure, words + _in_words(
            maps[index]
        ) + f" The network's first three for this picture: {first}."

    return Explorer(
        draw,
        photos=lambda photo, name: [photo],
        photo=choice("photograph", list_photos(), "cat"),
        name=typed("class", sorted(set(classifier.classes)), "tabby"),
    )


def layer_explorer(classifier: Classifier, image: Tensor, layers: Mapping[str, str], start: str) -> Explorer:
    """Explore Grad-CAM for any class at several layers, with the blend and threshold of the picture.

    Args:
        classifier: the network.
        image: (1, 3, H, W) in [0, 1].
        layers: what to call each layer in the list, and its dotted name.
        start: the class shown first.
    """
    with torch.no_grad():
        probabilities = classifier.probabilities(classifier(image))[0].cpu()

    @lru_cache(maxsize=64)
    def raw_map(index: int, layer: str) -> Tensor:
        return grad_cam(classifier, image, index, layers[layer]).maps[0, 0].cpu()

    def draw(name: str, layer: str, blend: float, threshold: int) -> tuple[Figure, str]:
        index = classifier.class_index(name)
        raw = raw_map(index, layer)
        heat = heatmaps(raw, image.shape[2:])
        figure, axes = panels(2, width=7, height=3.8, places=picture_places(7, 3.8))
        title = f"{classifier.classes[index]} {in_digits(probabilities[index])}"
        draw_heatmap(axes[0], heat, image, title, blend)
        marked = heat >= threshold / 100
        shown = marked if heat.max() > 0 else torch.zeros_like(marked)
        draw_marked(axes[1], image, shown, f"at least {threshold}% of the maximum")
        share = float(marked.float().mean()) if heat.max() > 0 else 0.0
        words = (
            f"{classifier.classes[index]} (probability {_chance(probabilities[index])}), layer: {layer}. "
            f"{share:.0%} of the picture reaches {threshold}% of the maximum. "
        )
        return figure, words + _in_words(raw)

    return Explorer(
        draw,
        name=typed("class", sorted(set(classifier.classes)), start),
        layer=choice("layer", list(layers), list(layers)[-1]),
        blend=slider("blend", 0, 1, 0.6, 0.1),
        threshold=slider("threshold (%)", 5, 95, 15, 5),
    )


def _in_words(raw: Tensor) -> str:
    """Say where the maximum is, and what share of the cells is positive."""
    if raw.max() <= 0:
        return "No cell of the map is positive: nothing in this picture speaks for the class."
    row, column = divmod(int(raw.argmax()), raw.shape[1])
    positive = float((raw > 0).float().mean())
    return (
        f"The largest of its {raw.shape[0]} x {raw.shape[1]} cells is in row {row + 1}, column {column + 1}; "
        f"{positive:.0%} of the cells are positive."
    )


def _chance(probability: Tensor) -> str:
    return f"{probability:.4f}" if probability >= 0.0001 else "below 0.0001"
