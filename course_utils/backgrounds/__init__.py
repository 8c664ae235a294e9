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
from .watermark_remedies import DIRECTIONS, PIXELS, held_out_directions, measure_remedies, remove_direction
from .watermark_study import DOSES, MATCHED, STAMPS, measure_watermarks, stamped_photographs
from .watermarks import CHANGES, SCRIPTS, stamp, watermark

__all__ = [
    "CHANGES",
    "CLASSES",
    "DIRECTIONS",
    "DOSES",
    "GROUNDS",
    "MATCHED",
    "PIXELS",
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
    "held_out_directions",
    "labels_of",
    "measure_remedies",
    "measure_watermarks",
    "pictures",
    "remove_direction",
    "scene",
    "stamp",
    "stamped_photographs",
    "store_features",
    "train_head",
    "training_features",
    "watermark",
]
