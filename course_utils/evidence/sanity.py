"""Weights shuffled from the top: does a map notice? The study behind section 9 of notebook 05.

Adebayo et al. 2018 (arXiv 1810.03292) destroy a network from the output down and compare each map with the one before.
Every map is measured in the same two ways, because the answer hangs on it: with its signs, and by its size alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.explain import (
    grad_cam,
    guided_backprop,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from course_utils.networks import Classifier
from course_utils.pictures import balanced_mosaics, list_photos, load_photo

from .measurements import NETWORKS, Measurement
from .parts import in_parts
from .quarters import ENERGY, energy_in
from .ranks import rank_correlation

__all__ = [
    "SHUFFLED",
    "averaged_study",
    "guided_study",
    "sanity_maps",
    "sanity_study",
    "shuffle_weights",
]

SHUFFLED = {
    "classifier": ("classifier",),
    "blocks 5": ("classifier", "conv_head", "blocks.6", "blocks.5"),
    "all": ("classifier", "conv_head", "blocks", "conv_stem"),
}
"""Parts of an EfficientNet-Lite that are shuffled, by the name of the lowest: 28%, 85% and all weights of Lite0."""
SIGNS: dict[str, Callable[[Tensor], Tensor]] = {"signed": torch.positive, "absolute": torch.abs}
"""Two ways to read a map before it is compared."""
SEEDS = (0, 1, 2)
PART = 9  # photographs at a time
SAMPLES = 16  # steps of Integrated Gradients, noisy copies of SmoothGrad


def shuffle_weights(module: nn.Module, seed: int = 0) -> int:
    """Shuffle the weights inside each convolution and linear layer of ``module``, in place; return how many there are.

    Inside a layer, so that each keeps the distribution of its weights. Biases and normalizations stay.
    """
    draw, count = torch.Generator().manual_seed(seed), 0
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            weight = part.weight
            order = torch.randperm(weight.numel(), generator=draw).to(weight.device)
            with torch.no_grad():
                weight.copy_(weight.flatten()[order].view_as(weight))
            count += weight.numel()
    return count


def sanity_maps(
    model: nn.Module, images: Tensor, classes: Tensor, side: int = 4
) -> dict[tuple[str, str], Tensor]:
    """Return the maps that the study compares, (N, h, w), by (map, "signed" or "absolute").

    Grad-CAM's L^c and the class-free sum of A^k have the cells of the layer. For the gradient, guided backprop and its
    product with the heat-map, a cell is the sum over colors and ``side`` x ``side`` pixels: of the numbers, or of their
    absolute values.

    Args:
        model, images: as for :func:`course_utils.explain.grad_cam`.
        classes: (N, 1), each image's own.
        side: a divisor of the image's sides.
    """
    e = grad_cam(model, images, classes)
    guided = guided_backprop(model, images, classes)[:, 0]
    cells = {"Grad-CAM": e.maps[:, 0], "class-free sum": e.activations.sum(1)}
    pixels = {
        "gradient": saliency(model, images, classes)[:, 0],
        "guided backprop": guided,
        "Guided Grad-CAM": guided * e.heatmaps(),
    }
    found = {}
    for sign, read in SIGNS.items():
        found |= {(name, sign): read(values) for name, values in cells.items()}
        for name, values in pixels.items():
            sums = F.avg_pool2d(read(values).sum(1, keepdim=True), side, divisor_override=1)
            found[name, sign] = sums[:, 0]
    return found


def sanity_study(
    classifier: Classifier,
    progress: bool = False,
    photos: Sequence[str] | None = None,
    seeds: Sequence[int] = SEEDS,
    shuffled: Mapping[str, Sequence[str]] = SHUFFLED,
) -> Iterator[Measurement]:
    """Compare the maps of each photograph's own class before and after shuffling, by rank correlation.

    Measures: ``"signed: classifier"``, ``"absolute: blocks 5"`` and so on, the mean over ``seeds`` of shuffling (those
    in which the map is not flat); and, as a bound from outside, ``"signed: another photo"``: the intact network's
    maps of this photograph and the next.

    Args:
        classifier: an EfficientNet-Lite; it is left as it was.
        progress: show a bar.
        photos: two names or more; by default all 27 labeled ones.
        seeds: one shuffling each.
        shuffled: parts of ``classifier.net``, by the name of the step.
    """
    chosen = [load_photo(name) for name in photos or list_photos(labeled=True)]
    images = torch.cat([photo.tensor(classifier.size) for photo in chosen])
    classes = torch.tensor([[classifier.class_index(photo.labels[0])] for photo in chosen])
    before = in_parts(sanity_maps, classifier, images, classes, PART)
    names, network = [photo.name for photo in chosen], classifier.name

    def rows(step: str, after: Iterable[dict]) -> Iterator[Measurement]:
        others = list(after)
        for (name, sign), maps in before.items():
            for i, photo in enumerate(names):
                found = [rank_correlation(maps[i], other[name, sign][i]) for other in others]
                known = [value for value in found if not math.isnan(value)]
                value = sum(known) / len(known) if known else math.nan
                yield Measurement(network, photo, f"{sign}: {step}", name, value)

    yield from rows("another photo", [{key: maps.roll(-1, 0) for key, maps in before.items()}])
    with tqdm(total=len(shuffled) * len(seeds), disable=not progress, desc=network) as bar:
        for step, parts in shuffled.items():
            after = []
            for seed in seeds:
                damaged = copy.deepcopy(classifier)
                for part in parts:
                    shuffle_weights(damaged.net.get_submodule(part), seed)
                after.append(in_parts(sanity_maps, damaged, images, classes, PART))
                bar.update()
            yield from rows(step, after)


def averaged_study(
    classifier: Classifier,
    progress: bool = False,
    photos: Sequence[str] | None = None,
    samples: int = SAMPLES,
) -> Iterator[Measurement]:
    """Measure the share of energy in the right quarter of mosaics for gradients, plain and averaged.

    Measure: :data:`ENERGY`, of absolute values, summed over colors and pixels; chance is 1/4. Each
    photograph is asked for in one mosaic, each quarter about equally often.

    Args:
        classifier, progress, photos: as for :func:`sanity_study`; four photographs or more.
        samples: steps of Integrated Gradients, and noisy copies of SmoothGrad.
    """
    names = list(photos or list_photos(labeled=True))
    mosaics = balanced_mosaics(names, seed=0, size=classifier.size)
    network = classifier.name
    for i, name in enumerate(tqdm(names, disable=not progress, desc=network)):
        m = next(m for m in mosaics if m.names[i % 4] == name)
        image, inside = m.tensor(), torch.tensor(m.quarter(name))
        c = torch.tensor([[classifier.class_index(m.photos[i % 4].labels[0])]])
        found = {
            "gradient": saliency(classifier, image, c),
            "Integrated Gradients": integrated_gradients(classifier, image, c, samples),
            "SmoothGrad": smooth_grad(classifier, image, c, samples),
        }
        for method, values in found.items():
            share = float(energy_in(values[0, 0].abs().sum(0), inside))
            yield Measurement(network, name, ENERGY, method, share)


def guided_study(classifier: Classifier, progress: bool = False) -> Iterator[Measurement]:
    """Measure what notebook 05 reads: :func:`sanity_study`, and on the first network :func:`averaged_study`.

    The averages take as long as all the rest, and no verdict of the notebook hangs on them.
    """
    yield from sanity_study(classifier, progress)
    if classifier.name == NETWORKS[0]:
        yield from averaged_study(classifier, progress)
