"""An attack on the explanation: the network's answer stays, and the heat-map goes where the attacker wants it.

Where a network ends in mean pooling and one linear layer, the raw Grad-CAM map is a weighted sum of the last
activations with weights alpha_k^c = w_k^c / Z that are the same for every image. So it is as easy to attack as a logit:
one backward pass, no second derivatives. Heat-maps of other kinds of networks and methods can be moved as well
(Ghorbani et al. 2017, arXiv 1710.10547; Dombrowski et al. 2019, arXiv 1906.07983).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.explain import (
    Classes,
    ForwardHook,
    Output,
    as_map,
    cam,
    check_images,
    class_matrix,
    evaluation_mode,
    find_layer,
    grad_cam,
    logits_of,
    prepare,
)

from .pixels import LONG_RUN, answers, check_settings, project, surprise

__all__ = ["move_map", "share_in"]


def share_in(maps: Tensor, regions: Tensor) -> Tensor:
    """Return the share of each map's positive energy that lies in its region, cell by cell, in [0, 1].

        E = sum_ij r_ij relu(L_ij) / sum_ij relu(L_ij),   r_ij the share of cell ij that the region covers

    Args:
        maps: (N, h, w), signed; an empty map has share 0.
        regions: (N, H, W), bool; H and W multiples of h and w.
    """
    covered = F.adaptive_avg_pool2d(regions[:, None].to(maps.dtype), maps.shape[-2:])[:, 0]
    positive = maps.relu()
    return (positive * covered).sum((1, 2)) / positive.sum((1, 2)).clamp_min(1e-12)


def move_map(
    model: nn.Module,
    images: Tensor,
    regions: Tensor,
    classes: Classes = None,
    keep: Classes = None,
    epsilon: float = 8 / 255,
    steps: int = 20,
    step_size: float | None = None,
    weight: float = 1.0,
    progress: bool | None = None,
    output: Output = None,
) -> Tensor:
    """Change images by at most epsilon so that a class's Grad-CAM map lies in a region, and the answer stays.

        minimize  -log E(L^c) + weight J(keep)   by projected gradient steps, as in :func:`course_utils.attacks.pgd`

    E is the share of the map's energy in the region (:func:`share_in`), J the cross-entropy of the class to keep
    (where classes do not exclude each other, of the answer about it).

    Args:
        model: a network that ends in global average pooling and one linear layer.
        images: (N, C, H, W) in [0, 1].
        regions: (N, H, W) bool, where the map is to go.
        classes: the class whose map to move, one for each image in a tensor (N, 1), or one for all; by default
            the predicted ones.
        keep: the class that is to be predicted, given likewise; by default the predicted ones.
        epsilon: largest change of a value, in units of [0, 1].
        steps, step_size, progress, output: as for :func:`course_utils.attacks.pgd`.
        weight: how much keeping the answer counts beside moving the map.

    Returns:
        (N, C, H, W) in [0, 1], within epsilon of the images. Images and model are left as they were.

    Raises:
        LayerError: the network does not end in mean pooling and one linear layer.
        ValueError, TypeError: bad images, regions, classes or settings.
    """
    check_images(images, unit_range=True)
    check_settings(epsilon, "linf", steps, step_size)
    model, images = prepare(model, images)
    images = images.clamp(0, 1)
    n, _, height, width = images.shape
    if not isinstance(regions, Tensor):
        raise TypeError(
            f"regions must be a bool tensor ({n}, {height}, {width}), got {type(regions).__name__}: `torch.as_tensor`."
        )
    if regions.dtype != torch.bool or regions.shape != (n, height, width):
        raise ValueError(
            f"regions must be a bool tensor ({n}, {height}, {width}), a mask for each image; got {regions.dtype} of "
            f"shape {tuple(regions.shape)}."
        )
    if not regions.flatten(1).any(1).all():
        raise ValueError("a region is empty: there is nowhere for the map to go.")
    regions = regions.to(images.device)
    step_size = 2.5 * epsilon / steps if step_size is None else step_size
    cam(model, images[:1], 0, output)  # raises where the head is not mean pooling and one linear layer
    explanation = grad_cam(model, images, classes, output=output)
    alpha = explanation.weights[:, 0, :, None, None]  # w_k^c / Z: (N, C, 1, 1), for any images
    show = progress if progress is not None else steps * n >= LONG_RUN
    with evaluation_mode(model), torch.inference_mode(False):
        layer = find_layer(model, images)
        with torch.no_grad():
            before = logits_of(model, images.clone(), output)
            kept = class_matrix(model, keep, before)[:, 0]
            signs = answers(before, kept)
        x = images.clone()
        for _ in tqdm(range(steps), desc="moving the map", disable=not show, leave=False):
            with torch.enable_grad(), ForwardHook(layer, detach=False) as hook:
                leaf = x.detach().requires_grad_()
                logits = logits_of(model, leaf.clone(), output)
                share = share_in((alpha * as_map(layer, hook.stored, (height, width))).sum(1), regions)
                loss = -share.clamp_min(1e-6).log() + weight * surprise(model, logits, kept, signs)
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            x = project(x - step_size * gradient.sign(), images, epsilon)
    return x.detach()
