"""Is it the right quarter? Maps of 2x2 mosaics, for the class of each quarter, beside maps that know nothing of it.

What notebooks 04 and 05 read from ``data/measurements/04_grad_cam.csv``: the share of a map's positive energy that
lies in the quarter of the class (chance: 1/4), and whether its maximum lies there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from course_utils.explain import (
    ForwardHook,
    batched_logits,
    deconvnet,
    enlarged,
    explain,
    grad_cam,
    grad_cam_pp,
    guided_backprop,
    occlusion,
    saliency,
)
from course_utils.networks import Classifier
from course_utils.pictures import Mosaic, balanced_mosaics, list_photos

from .blind import blind_maps
from .measurements import Measurement
from .parts import in_parts

__all__ = [
    "ENERGY",
    "LAYERS",
    "MAXIMUM",
    "energy_in",
    "maximum_in",
    "quarter_mosaics",
    "quarters_study",
    "weighted_maps",
]

ENERGY = "energy in the right quarter"
MAXIMUM = "maximum in the right quarter"
LAYERS = ("blocks.4", "blocks.5", "blocks.6.0.bn1", "blocks.6.0.bn2", "blocks.6")
"""Earlier layers of EfficientNet-Lite; ``blocks.N`` are linear bottlenecks, the two ``bn`` end in a ReLU6."""
SCORE_CAM_CHANNELS = 32
SEED = 0  # with it the two jeeps, one class, never stand in one mosaic
PART = 3  # mosaics at a time: early layers' activations are large


def quarter_mosaics(size: int = 224) -> list[Mosaic]:
    """Return 27 mosaics in which each labeled photograph stands in each quarter once, and no class stands twice."""
    return balanced_mosaics(list_photos(labeled=True), seed=SEED, size=size)


def energy_in(heat: Tensor, regions: Tensor) -> Tensor:
    """Return the shares of energy of maps (..., H, W) inside regions (..., H, W) of True and False.

    The energy is the sum of the positive values; NaN where there are none.
    """
    positive = heat.clamp_min(0)
    return (positive * regions).sum((-2, -1)) / positive.sum((-2, -1))


def maximum_in(heat: Tensor, regions: Tensor) -> Tensor:
    """Return 1 where the maximum of a map (..., H, W) lies inside the region, else 0; NaN where nothing is positive.

    Of several equal maxima, the share inside.
    """
    largest = heat.amax((-2, -1), keepdim=True)
    at = heat == largest.where(largest > 0, torch.nan)
    return (at & regions).sum((-2, -1)) / at.sum((-2, -1))


def weighted_maps(classifier: Classifier, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Return maps (N, K, h, w) of the last layer that differ in the weights of its channels alone.

    With g_k^c the mean gradient (behind a pooled head every cell's), A^k the activations and F_k their means:

        Grad-CAM       g_k^c, signed
        Grad-CAM++     :func:`course_utils.explain.grad_cam_pp`
        LayerCAM       relu(g), cell by cell (Jiang et al. 2021); behind a pooled head relu(g_k^c)
        Ablation-CAM   the fall of y^c without channel k (Desai & Ramaswamy 2020); behind a pooled head Z g_k^c F_k
        Score-CAM      softmax over k of y^c of the image multiplied by channel k (arXiv 1910.01279)
        Eigen-CAM      the first principal component of the cells, without a class (arXiv 2008.00299)

    Score-CAM takes the 32 channels that vary most from cell to cell instead of all 1,280, which would take 40 times as
    long. ``"Grad-CAM of the probability"`` is that of the number after softmax instead of the logit.
    """
    e = grad_cam(classifier, images, classes)
    a, g = e.activations, e.weights

    def weighted(weights: Tensor) -> Tensor:
        return torch.einsum("nkc,nchw->nkhw", weights, a)

    return {
        "Grad-CAM": e.maps,
        "Grad-CAM++": grad_cam_pp(classifier, images, classes).maps,
        "LayerCAM": weighted(g.relu()),
        "Ablation-CAM": weighted(g * a.mean((2, 3))[:, None]),
        "Score-CAM": torch.cat(
            [_score_cam(classifier, *one) for one in zip(images.split(1), classes, a, strict=True)]
        ),
        "Eigen-CAM": _first_component(a)[:, None].expand(e.maps.shape),
        "Grad-CAM of the probability": explain(
            classifier.target_layer, lambda: classifier(images).softmax(1).gather(1, classes)
        ).maps,
    }


@torch.no_grad()
def _score_cam(classifier: Classifier, image: Tensor, classes: Tensor, activations: Tensor) -> Tensor:
    """Score-CAM of one image (1, 3, H, W): its maps (1, K, h, w)."""
    best = activations.var((1, 2)).topk(min(SCORE_CAM_CHANNELS, len(activations))).indices
    chosen = activations[best]
    masks = enlarged(chosen, tuple(image.shape[2:]))[:, None]
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    masks = (masks - low) / (high - low).clamp_min(1e-12)
    # The network's own mean where the mask is 0: so the paper's code, which multiplies normalized images.
    pictures = (image - classifier.mean) * masks + classifier.mean
    scores = batched_logits(classifier, pictures)[:, classes]  # (channels, K)
    return torch.einsum("ck,chw->khw", scores.softmax(0), chosen)[None]


def _first_component(activations: Tensor) -> Tensor:
    """Project the cells of each image onto their first right singular vector: (N, C, h, w) -> (N, h, w)."""
    cells = activations.flatten(2).transpose(1, 2)  # (N, h w, C)
    u, s, _ = torch.linalg.svd(cells, full_matrices=False)
    first = (u[..., 0] * s[:, :1]).unflatten(1, activations.shape[2:])
    # A singular vector has no sign of its own: that of most energy, the only one where no activation is negative.
    return first * first.sum((1, 2), keepdim=True).sign()


def _layer_maps(
    classifier: Classifier, images: Tensor, classes: Tensor, layers: Sequence[str]
) -> dict[tuple[str, str], Tensor]:
    """Grad-CAM, HiResCAM and LayerCAM of several layers, from one graph: maps (N, K, h, w) by method and layer."""
    made: dict[tuple[str, str], list[Tensor]] = {}
    with torch.enable_grad(), ForwardHook(*map(classifier.net.get_submodule, layers), detach=False) as hook:
        scores = classifier(images.clone().requires_grad_()).gather(1, classes)
        activations = hook.all_stored
        for score in scores.sum(0):
            gradients = torch.autograd.grad(score, activations, retain_graph=True)
            for layer, a, g in zip(layers, activations, gradients, strict=True):
                ways = {"Grad-CAM": g.mean((2, 3), keepdim=True), "HiResCAM": g, "LayerCAM": g.relu()}
                for method, weights in ways.items():
                    made.setdefault((method, layer), []).append((weights * a.detach()).sum(1))
    return {key: torch.stack(maps, 1) for key, maps in made.items()}


def _gradient_images(classifier: Classifier, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Size of the gradients, summed over the colors: (N, K, H, W)."""
    heat = grad_cam(classifier, images, classes).heatmaps()
    gradient, guided = (method(classifier, images, classes) for method in (saliency, guided_backprop))
    sizes = {
        "gradient": gradient,
        "deconvnet": deconvnet(classifier, images, classes),
        "guided backprop": guided,
        "Guided Grad-CAM": guided * heat[:, :, None],
        "gradient × Grad-CAM": gradient * heat[:, :, None],
    }
    return {name: values.abs().sum(2) for name, values in sizes.items()}


def _blind(classifier: Classifier, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """:func:`blind_maps` for each image and class, (N, K, h, w), "another" being one drawn from all of them.

    In the mosaics' own order the next picture would have its class in the same quarter, and the next class would
    stand in the same mosaic: neither would be blind.
    """
    order = torch.as_tensor(np.random.default_rng(SEED).permutation(classes.numel()))
    k = classes.shape[1]
    maps = blind_maps(classifier, images[order // k], classes.flatten()[order])
    return {name: values[order.argsort()].unflatten(0, classes.shape) for name, values in maps.items()}


def quarters_study(
    classifier: Classifier,
    progress: bool = False,
    mosaics: Sequence[Mosaic] | None = None,
    layers: Iterable[str] = LAYERS,
) -> list[Measurement]:
    """Measure :data:`ENERGY` and :data:`MAXIMUM` for the class of each quarter, by photograph, and for many maps.

    Maps: those of :func:`weighted_maps`, ``"occlusion"`` (7 x 7 squares), ``"gradient"``, ``"deconvnet"``, ``"guided
    backprop"`` and their products with Grad-CAM (absolute values, summed over the colors), and the blind maps. For the
    earlier ``layers``, Grad-CAM, HiResCAM and LayerCAM, with the energy alone, as ``"energy, blocks.4"`` and so on.

    Args:
        classifier: with a ``target_layer`` in front of pooling and one linear layer.
        progress: print a line a step.
        mosaics: by default :func:`quarter_mosaics` in the classifier's size; of no class twice.
        layers: dotted names inside ``classifier.net``.
    """
    mosaics = list(quarter_mosaics(classifier.size) if mosaics is None else mosaics)
    images = torch.cat([m.tensor() for m in mosaics])
    classes = torch.tensor([[classifier.class_index(p.labels[0]) for p in m.photos] for m in mosaics])
    regions = torch.stack([torch.stack([torch.tensor(m.quarter(k)) for k in range(4)]) for m in mosaics])
    names = np.array([m.names for m in mosaics])
    size = tuple(images.shape[2:])
    rows: list[Measurement] = []

    def add(measure: str, name: str, values: Tensor) -> None:
        for photo in sorted(set(names.flatten())):
            # A photograph's value is the mean of its mosaics in which the map says something.
            found = values[torch.as_tensor(names == photo)].nanmean()
            rows.append(Measurement(classifier.name, str(photo), measure, name, float(found)))

    steps = {
        "weights": lambda: in_parts(weighted_maps, classifier, images, classes, PART),
        "gradients": lambda: in_parts(_gradient_images, classifier, images, classes, PART),
        "occlusion": lambda: {"occlusion": occlusion(classifier, images, classes)},
        "blind": lambda: _blind(classifier, images, classes),
    }
    for step, measure in steps.items():
        for name, maps in measure().items():
            heat = maps if maps.shape[-2:] == size else enlarged(maps.relu(), size)
            add(ENERGY, name, energy_in(heat, regions))
            add(MAXIMUM, name, maximum_in(heat, regions))
        if progress:
            print(f"{classifier.name}: {step}", flush=True)
    earlier = in_parts(_layer_maps, classifier, images, classes, PART, list(layers))
    for (method, layer), maps in earlier.items():
        add(f"energy, {layer}", method, energy_in(enlarged(maps.relu(), size), regions))
    return rows
