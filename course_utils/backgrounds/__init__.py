"""A background that gives the label away: scenes, a biased head, its repairs. Notebook 11."""

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

__all__ = [
    "CLASSES",
    "GROUNDS",
    "REPAIRS",
    "TESTED",
    "biased_head",
    "choose_grounds",
    "empty_ground",
    "feature_maps",
    "group_accuracy",
    "head_maps",
    "labels_of",
    "pictures",
    "scene",
    "store_features",
    "train_head",
    "training_features",
]
