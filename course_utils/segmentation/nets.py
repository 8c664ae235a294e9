"""A small segmentation network made of a small classifier, and its training from seeds or from masks."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn

from course_utils.arguments import whole_number
from course_utils.explain import check_images, enlarged, evaluation_mode
from course_utils.networks import Classifier, descend

from .losses import UNLABELED, color_affinity, constraint_loss, expansion_loss, seeding_loss

__all__ = ["LOSSES", "fit_segmentation", "segment", "segmentation_net"]

LOSSES = ("seed", "expand", "constrain")


def segmentation_net(classifier: Classifier) -> Classifier:
    """Return a network that gives each cell logits: the classifier's trunk with finer cells, and a 1x1 convolution.

    The last halving is undone "a trous" (DeepLab, arXiv 1412.7062): the last pooling moves by one cell instead of
    two, and the convolutions behind it look at every second cell. On every second row and column the last map
    stays what it was. The trunk's weights are copied, and trained on; the new convolution begins at zero, where
    each class is as likely as any other.

    Args:
        classifier: has ``net.features`` of convolutions (stride 1 behind the last pooling) and poolings, as
            those of :func:`course_utils.networks.small_net`. It stays as it was.

    Returns:
        maps (N, 3, H, W) in [0, 1] to logits (N, 1 + classes, h, w), the background first, in evaluation mode.

    Raises:
        ValueError: a trunk of another kind.
    """
    features = copy.deepcopy(classifier.net.features)
    parts = list(features)
    pools = [place for place, part in enumerate(parts) if isinstance(part, nn.MaxPool2d)]
    if not pools or not all(isinstance(part, nn.Conv2d | nn.ReLU) for part in parts[pools[-1] + 1 :]):
        raise ValueError(
            "the trunk needs a pooling, with nothing but convolutions and ReLUs behind the last one: take a "
            'network such as small_net("vgg", ...).'
        )
    # The extra row and column are zeros: after a ReLU, they change no maximum.
    parts[pools[-1]] = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1))
    for part in parts[pools[-1] + 1 :]:
        if isinstance(part, nn.Conv2d):
            part.dilation, part.padding = (2, 2), tuple(2 * side for side in part.padding)
            channels = part.out_channels
    head = nn.Conv2d(channels, 1 + len(classifier.classes), 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    net = nn.Sequential(OrderedDict(features=nn.Sequential(*parts), head=head))
    mean, std = classifier.mean.flatten().tolist(), classifier.std.flatten().tolist()
    names = ["background", *classifier.classes]
    return Classifier(net, names, mean, std, target_layer="features", size=classifier.size).eval()


def segment(net: nn.Module, images: Tensor, batch: int = 100) -> Tensor:
    """Return the class of each pixel, (N, H, W) int64: the largest of the logits, enlarged bilinearly.

    Args:
        net: from :func:`segmentation_net`; runs in evaluation mode and without gradients.
        images: (N, 3, H, W) in [0, 1].
        batch: how many at once.
    """
    check_images(images)
    with torch.no_grad(), evaluation_mode(net):
        parts = [enlarged(net(some), images.shape[2:]).argmax(1) for some in images.split(batch)]
    return torch.cat(parts)


def fit_segmentation(
    net: nn.Module,
    images: Tensor,
    seeds: Tensor,
    present: Tensor,
    losses: Collection[str] = LOSSES,
    epochs: int = 6,
    batch: int = 25,
    lr: float = 2e-3,
    seed: int = 0,
    progress: bool = True,
) -> list[float]:
    """Train ``net`` in place by the sum of the losses named (eq. 1 of SEC), and return each epoch's mean.

    With exact masks as ``seeds`` and ``losses=["seed"]`` this is full supervision. The learning rate rises and falls
    as in :func:`course_utils.networks.fit`; half of the images are mirrored, seeds with them. Order and mirroring
    are drawn from ``seed``.

    Args:
        net: from :func:`segmentation_net`.
        images: (n, 3, H, W) in [0, 1].
        seeds: (n, h, w) int64, at the size of the network's output; -1 where unlabeled.
        present: (n, classes) bool, the labels of the images.
        losses: some of ``LOSSES``.
        epochs: how often each image is shown.
        batch: images a step.
        lr: largest learning rate.
        seed: whole number.
        progress: show a progress bar.

    Raises:
        ValueError: an unknown loss, no seed at all, or lengths that do not fit.
        FloatingPointError: the loss is not finite any more.
    """
    check_images(images)
    unknown = set(losses) - set(LOSSES)
    if unknown or not losses:
        raise ValueError(f"losses are some of {', '.join(LOSSES)}, got {list(losses)}.")
    if not len(images) == len(seeds) == len(present):
        raise ValueError(
            f"{len(images)} images, {len(seeds)} seeds, {len(present)} labels: one each is needed."
        )
    if "seed" in losses and (seeds == UNLABELED).all():
        raise ValueError("no pixel of any image is labeled: there is nothing to learn from.")
    steps = whole_number(epochs, "epochs", 1) * -(-len(images) // whole_number(batch, "batch", 1))
    descent = torch.optim.AdamW(net.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, lr, total_steps=steps + 1, pct_start=0.25)
    draw = torch.Generator().manual_seed(whole_number(seed, "seed", 0))

    def summed() -> Iterator[tuple[Tensor, int]]:
        for chosen in torch.randperm(len(images), generator=draw).split(batch):
            shown, marked = images[chosen], seeds[chosen]
            mirrored = torch.rand(len(chosen), generator=draw) < 0.5
            shown = torch.where(mirrored[:, None, None, None], shown.flip(3), shown)
            marked = torch.where(mirrored[:, None, None], marked.flip(2), marked)
            logits = net(shown.to(memory_format=torch.channels_last))
            yield _loss(logits, shown, marked, present[chosen], losses), len(chosen)

    return descend(descent, schedule, summed, epochs, steps, progress)


def _loss(logits: Tensor, images: Tensor, seeds: Tensor, present: Tensor, losses: Collection[str]) -> Tensor:
    parts = []
    if "seed" in losses:
        parts.append(seeding_loss(logits, seeds))
    if "expand" in losses:
        parts.append(expansion_loss(logits, present))
    if "constrain" in losses:
        parts.append(constraint_loss(logits, color_affinity(images, logits.shape[-1])))
    return torch.stack(parts).sum()
