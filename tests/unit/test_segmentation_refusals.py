"""What the room refuses, and in which words."""

import pytest
import torch
from torch.nn import functional as F

from course_utils.networks import small_net
from course_utils.pictures import SHAPES, scenes
from course_utils.segmentation import (
    TRAININGS,
    class_ious,
    expansion_loss,
    fit_segmentation,
    rank_pooling,
    scene_segmenter,
    seeding_loss,
    seeds_from_maps,
    segmentation_net,
)

HEAT, CLASSES = torch.rand(2, 1, 4, 4), torch.zeros(2, 1, dtype=torch.long)
LOGITS, ONE = torch.randn(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long)
SEEDS = torch.full((24, 16, 16), -1)


def fitted(seeds, *losses):
    shown = scenes(24, seed=11, shapes=SHAPES[:2])
    present = F.one_hot(shown.labels, len(SHAPES)).bool()
    net = segmentation_net(small_net("vgg", SHAPES))
    return fit_segmentation(net, shown.images, seeds, present, *losses, progress=False)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: seeds_from_maps(HEAT[0], CLASSES), ValueError, "heat-maps"),
        (lambda: seeds_from_maps(-HEAT, CLASSES), ValueError, "negative"),
        (lambda: seeds_from_maps(HEAT, CLASSES, 0.2, 0.3), ValueError, "thresholds"),
        (lambda: seeds_from_maps(HEAT, CLASSES.float()), TypeError, "whole numbers"),
        (lambda: seeding_loss(LOGITS, torch.full((1, 2, 2), 3)), ValueError, "-1"),
        (lambda: seeding_loss(LOGITS, torch.zeros(1, 4, 4, dtype=torch.long)), ValueError, "fit"),
        (lambda: rank_pooling(torch.tensor([[0.2, 0.8], [0.4, 0.6]]), 1.2), ValueError, "decay"),
        (lambda: expansion_loss(torch.zeros(1, 3, 4, 4), torch.tensor([1])), ValueError, "present"),
        (lambda: class_ious(ONE - 1, ONE, 3), ValueError, "found"),
        (lambda: class_ious(ONE, ONE[0], 3), ValueError, "shape"),
        (lambda: segmentation_net(small_net("googlenet", SHAPES)), ValueError, "trunk"),
        (lambda: fitted(SEEDS), ValueError, "nothing to learn"),
        (lambda: fitted(SEEDS, ["expnad"]), ValueError, "losses"),
        (lambda: fitted(SEEDS[:3]), ValueError, "one each"),
        (lambda: scene_segmenter("mask"), ValueError, "masks"),
        (lambda: scene_segmenter("masks", TRAININGS), ValueError, "run"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
