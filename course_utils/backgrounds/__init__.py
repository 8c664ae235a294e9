"""What gives the label away: writing over a picture, a background; a biased head, its repairs. Notebook 11."""

from .scenes import CLASSES, GROUNDS, TESTED, empty_ground, labels_of, pictures, scene
from .study import (
    REPAIRS,
    biased_head,
    choose_grounds,
    feature_maps,
    group_accuracy,
    head_maps,
    store_features,
    train_head,
    training_features,
)
from .watermark_study import FOLLOWED, STAMPS, measure_watermarks
from .watermarks import CHANGES, SCRIPTS, stamp, watermark

__all__ = [
    "CHANGES",
    "CLASSES",
    "FOLLOWED",
    "GROUNDS",
    "REPAIRS",
    "SCRIPTS",
    "STAMPS",
    "TESTED",
    "biased_head",
    "choose_grounds",
    "empty_ground",
    "feature_maps",
    "group_accuracy",
    "head_maps",
    "labels_of",
    "measure_watermarks",
    "pictures",
    "scene",
    "stamp",
    "store_features",
    "train_head",
    "training_features",
    "watermark",
]
