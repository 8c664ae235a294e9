"""Masks from class labels alone: seeds, the three losses of SEC, small networks trained with them. Notebook 08.

``photographs`` is the study of the course's own photographs.
"""

from . import photographs
from .losses import (
    UNLABELED,
    class_ious,
    color_affinity,
    constraint_loss,
    expansion_loss,
    rank_pooling,
    seeding_loss,
    seeds_from_maps,
    smooth_by_color,
)
from .nets import fit_segmentation, segment, segmentation_net
from .photographs import photo_study
from .trained import SEGMENTERS, TRAININGS, scene_segmenter, sow, train_segmenters

__all__ = [
    "SEGMENTERS",
    "TRAININGS",
    "UNLABELED",
    "class_ious",
    "color_affinity",
    "constraint_loss",
    "expansion_loss",
    "fit_segmentation",
    "photo_study",
    "photographs",
    "rank_pooling",
    "scene_segmenter",
    "seeding_loss",
    "seeds_from_maps",
    "segment",
    "segmentation_net",
    "smooth_by_color",
    "sow",
    "train_segmenters",
]
