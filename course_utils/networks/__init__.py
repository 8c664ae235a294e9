"""Networks with one interface: real ones with ImageNet weights, and small ones that the course trained itself.

``load_classifier()`` serves all notebooks. The networks of one topic (segmentation, radiographs, language) lie in that
topic's room; how networks are trained, stored and loaded again, is here.
"""

from .classifier import (
    Classifier,
    imagenet_classes,
    is_installed,
    list_classifiers,
    load_classifier,
    with_head,
)
from .named import named_classifier, named_function
from .probes import fit_linear, linear_probe, pooled_features
from .small import (
    RUNS,
    SMALL_NETS,
    TRAINING_SEED,
    scene_classifier,
    small_net,
    train_classifiers,
    unseen_scenes,
)
from .training import (
    descend,
    evaluate,
    fit,
    load_or_train,
    one_cycle,
    one_thread,
    standardize,
    train_and_store,
)
from .weights import WEIGHTS, load_into, load_weights, save_weights

__all__ = [
    "RUNS",
    "SMALL_NETS",
    "TRAINING_SEED",
    "WEIGHTS",
    "Classifier",
    "descend",
    "evaluate",
    "fit",
    "fit_linear",
    "imagenet_classes",
    "is_installed",
    "linear_probe",
    "list_classifiers",
    "load_classifier",
    "load_into",
    "load_or_train",
    "load_weights",
    "named_classifier",
    "named_function",
    "one_cycle",
    "one_thread",
    "pooled_features",
    "save_weights",
    "scene_classifier",
    "small_net",
    "standardize",
    "train_and_store",
    "train_classifiers",
    "unseen_scenes",
    "with_head",
]
