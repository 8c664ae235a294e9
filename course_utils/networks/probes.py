"""Linear probes: one linear layer trained on the features of a network that stays as it is.

What a network learned for one task is asked about another: the features in front of its last layer are computed once,
and a linear layer is trained on them (Alain & Bengio 2016, arXiv 1610.01644). In place of the old last layer it makes a
classifier, which can be explained like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.explain import check_images, hooked

from .classifier import Classifier, check_classifier, last_linear, with_head
from .outputs import as_names

__all__ = ["fit_linear", "linear_probe", "pooled_features"]


def pooled_features(clf: Classifier, images: Tensor, batch: int = 4) -> Tensor:
    """Return what the last linear layer of a classifier takes, (N, C); of one without class names, what it puts out.

    Args:
        clf: the network; it is left as it was.
        images: (N, 3, H, W) in [0, 1], as the classifier takes them.
        batch: images at once: on a CPU, few with the channels last take half the time.

    Raises:
        ValueError: bad images, no linear layer, or features of another shape.
    """
    check_classifier(clf)
    check_images(images, unit_range=True)
    trunk = copy.deepcopy(clf).eval().to(memory_format=torch.channels_last)
    layer = trunk.net.get_submodule(last_linear(trunk.net, len(clf.classes))) if clf.classes else trunk
    taken: list[Tensor] = []
    note = (lambda _, i, o: taken.append(i[0])) if clf.classes else (lambda _, i, o: taken.append(o))
    with torch.no_grad(), hooked([layer], note):
        for part in images.split(batch):
            trunk(part.contiguous(memory_format=torch.channels_last))
    known = torch.cat(taken)
    if known.ndim != 2 or len(known) != len(images):
        raise ValueError(
            f"features must have shape ({len(images)}, C), got {tuple(known.shape)}: one vector an image. Behind a "
            "network that puts out maps, put `nn.AdaptiveAvgPool2d(1)` and `nn.Flatten()`."
        )
    return known


def fit_linear(
    features: Tensor, labels: Tensor, n_classes: int, weights: Tensor | None = None, decay: float = 0.1
) -> nn.Linear:
    """Train a linear layer on features; the same data give the same layer.

        loss = sum_n v_n * cross-entropy_n / sum_n v_n + decay * |W|^2

    The loss is convex, and its one minimum is found by L-BFGS; nothing is drawn.

    Args:
        features: (n, C).
        labels: (n,) class numbers from 0 to n_classes - 1.
        n_classes: outputs of the layer.
        weights: (n,) the v_n, not negative; by default all 1.
        decay: strength of the penalty on the weights, 0 or more.

    Raises:
        ValueError: shapes that do not fit, labels out of range, negative weights or decay.
    """
    weights = features.new_ones(len(labels)) if weights is None else weights
    if not (features.ndim == 2 and labels.shape == weights.shape == features.shape[:1]):
        raise ValueError(
            "features must have shape (n, C), labels and weights (n,), got "
            f"{tuple(features.shape)}, {tuple(labels.shape)}, {tuple(weights.shape)}."
        )
    if decay < 0 or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("decay and weights must not be negative, and some weight must be positive.")
    if labels.is_floating_point() or not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ValueError(
            f"labels must be class numbers from 0 to {n_classes - 1}, one for each image; got {labels.dtype} from "
            f"{labels.min()} to {labels.max()}."
        )
    head = nn.Linear(features.shape[1], n_classes, device=features.device, dtype=features.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    search = torch.optim.LBFGS(
        head.parameters(), max_iter=100, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        search.zero_grad()
        each = F.cross_entropy(head(features), labels, reduction="none")
        total = (weights * each).sum() / weights.sum() + decay * head.weight.square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        search.step(loss)
    return head.requires_grad_(False)


def linear_probe(
    clf: Classifier,
    images: Tensor,
    labels: Tensor,
    classes: Sequence[object] | Mapping[object, object],
    decay: float = 0.1,
) -> Classifier:
    """Return a copy of a classifier with another last layer, trained on labeled images; the rest is the same.

    >>> backbone = timm.create_model("resnet18", pretrained=True, num_classes=0)     # features (N, 512)
    >>> backbone = Classifier(backbone, [], mean, std)                               # no class names
    >>> probe = linear_probe(backbone, images, labels, ["healthy", "ill"])
    >>> grad_cam(probe, images[:1], "ill")

    Args:
        clf: a classifier, whose last linear layer is replaced, or a ``Classifier`` without class names around a
            network that puts out features (N, C), behind which the layer is put.
        images: (N, C, H, W) in [0, 1].
        labels: (N,) the numbers of their classes.
        classes: the new names.
        decay: see :func:`fit_linear`.

    Raises:
        TypeError, ValueError: bad images, labels or names, or a network without features.
    """
    names = as_names(classes)
    if not isinstance(labels, Tensor):
        raise TypeError(
            f"labels must be a tensor (N,) of class numbers, got {type(labels).__name__}: `torch.tensor([0, 1, ...])`."
        )
    known = pooled_features(clf, images)
    return with_head(clf, fit_linear(known, labels.to(known.device), len(names), decay=decay), names)
