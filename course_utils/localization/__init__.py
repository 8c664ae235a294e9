"""Localization without boxes in training: from heat-maps to boxes, and the measures of ILSVRC and others. Notebook 07.

``python -m course_utils.localization --help`` evaluates a folder in ImageNet's layout; in Python that is
:func:`course_utils.localization.evaluation.evaluate`. ``photographs`` is the study of the course's own photographs.
"""

from . import photographs
from .measures import (
    as_share,
    box_from_heatmap,
    classification_error,
    energy_inside,
    iou,
    is_flat,
    localization_error,
    mask_iou,
    pointing_game,
)
from .photographs import photo_study

__all__ = [
    "as_share",
    "box_from_heatmap",
    "classification_error",
    "energy_inside",
    "iou",
    "is_flat",
    "localization_error",
    "mask_iou",
    "photo_study",
    "photographs",
    "pointing_game",
]
