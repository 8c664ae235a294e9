"""What the room refuses, and in which words."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils.authoring import train_topic
from course_utils.networks import (
    Classifier,
    fit,
    load_classifier,
    scene_classifier,
    small_net,
    standardize,
    with_head,
)

NAMES = [f"kind {i}" for i in range(10)]
TINY = Classifier(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ["a", "b", "c"], size=8)
TWICE = Classifier(nn.Identity(), ["tabby", "crane", "boxer", "crane"])  # the bird and the machine
LETTERS = Classifier(nn.Identity(), ["Polish", "polish"])


@cache
def lite0():
    return load_classifier(weights=None, device="cpu")


def deep(dtype):
    return Image.fromarray(np.full((8, 8), 1000, dtype))


def fitted(**change):
    """Fit with one argument changed to a bad one."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    images, labels = torch.rand(96, 3, 8, 8), torch.arange(96) % 2
    return fit(**{"net": net, "images": images, "labels": labels, "epochs": 1, "progress": False, **change})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        # classes by name and by number
        (lambda: lite0().class_index("taby"), ValueError, r"no class 'taby'. Did you mean 'tabby'"),
        (
            lambda: lite0().class_index("terrier"),
            ValueError,
            r"no class 'terrier'. Did you mean '\w+ terrier'",
        ),
        (lambda: lite0().class_index("qqqqqq"), ValueError, r"no class 'qqqqqq'. The attribute `classes` lists"),
        (lambda: lite0().class_index(""), ValueError, r"no class ''"),
        (lambda: lite0().class_index(1000), ValueError, r"no class 1000: this classifier has 1000 classes, 0 to 999"),
        (lambda: lite0().class_index(-1), ValueError, r"no class -1"),
        (lambda: lite0().class_index(3.7), TypeError, "float"),
        (lambda: lite0().class_index(None), TypeError, "None"),
        (
            lambda: TWICE.class_index("crane"),
            ValueError,
            r"'crane' is the name of 2 classes, \[1, 3\]: give the number",
        ),
        (
            lambda: TWICE.class_index("Crane"),
            ValueError,
            r"'Crane' is the name of 2 classes, \[1, 3\]: give the number",
        ),
        (lambda: LETTERS.class_index("POLISH"), ValueError, r"'POLISH' is the name of 2 classes, \[0, 1\]"),
        (lambda: TINY.predict(torch.rand(1, 3, 4, 4), top=0), ValueError, "top must be between 1 and 3, got 0"),
        (lambda: TINY.predict(torch.rand(1, 3, 4, 4), top=4), ValueError, "top must be between 1 and 3, got 4"),
        # networks by name
        (
            lambda: load_classifier("vgg-16"),
            ValueError,
            r"no classifier 'vgg-16'. Did you mean 'vgg16'.* Known: efficient",
        ),
        (
            lambda: load_classifier("vgg16", weights="DEFAULT"),
            ValueError,
            r"weights must be \"imagenet\" or None, got 'DEFAULT'",
        ),
        (
            lambda: Classifier(nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU()), ["a"], target_layer="layer4"),
            ValueError,
            r"target_layer is 'layer4', but the network has no module of that",
        ),
        (lambda: small_net("resnet", NAMES), ValueError, "no small network 'resnet', only vgg, alexnet"),
        (lambda: small_net("vgg", ["one"]), ValueError, "at least two names"),
        (lambda: small_net("vgg", "cup"), ValueError, "at least two names"),
        (lambda: small_net("vgg", NAMES, 1.5), TypeError, "seed is a whole number"),
        (lambda: scene_classifier("resnet"), ValueError, "no small network 'resnet', only vgg"),
        (lambda: scene_classifier("vgg", 3), ValueError, "run must be at most 2, not 3"),
        (lambda: scene_classifier("vgg", True), TypeError, "run is a whole number, not True"),
        (lambda: train_topic("04"), ValueError, "nothing to train for '04', only for 07"),
        # another head
        (
            lambda: with_head(Classifier(nn.Conv2d(3, 3, 1), ["x"]), nn.Linear(3, 2), []),
            ValueError,
            "this classifier has no linear layer that a head could replace",
        ),
        (
            lambda: with_head(lite0(), nn.Linear(7, 2), ["a", "b"]),
            ValueError,
            "takes 7 features, but the network has no layer `classifier` that takes as many",
        ),
        # pictures
        (lambda: TINY.preprocess(deep(np.uint16)), ValueError, "mode 'I;16', more than 8 .*Scale its values to 0..25"),
        (lambda: TINY.preprocess(deep(np.int32)), ValueError, "mode 'I', more than 8 bits .*Scale its values to 0..25"),
        (lambda: TINY.preprocess(deep(np.float32)), ValueError, "mode 'F', more than 8 bi.*Scale its values to 0..25"),
        (lambda: TINY.preprocess("cat.jpg"), TypeError, "takes a PIL image, got str. Use `PIL.Image.op"),
        (
            lambda: TINY.preprocess(np.zeros((8, 8, 3))),
            TypeError,
            "takes a PIL image, got ndarray. Use `PIL.Image.op",
        ),
        (
            lambda: TINY.preprocess(torch.zeros(3, 8, 8)),
            TypeError,
            "takes a PIL image, got Tensor. Use `PIL.Image.op",
        ),
        # training
        (lambda: fitted(epochs=0), ValueError, "epochs must be at least 1"),
        (lambda: fitted(epochs=1.5), TypeError, "epochs is a whole number"),
        (lambda: fitted(batch=0), ValueError, "batch must be at least 1"),
        (lambda: fitted(lr=0.0), ValueError, "lr must be positive"),
        (lambda: fitted(optimizer="adam"), ValueError, '"adamw" or "sgd", got \'adam\''),
        (lambda: fitted(seed=-1), ValueError, "seed must be at least 0"),
        (lambda: fitted(labels=torch.zeros(5, dtype=torch.long)), ValueError, r"shape \(96,\).*got \(5,\)"),
        (lambda: fitted(labels=torch.zeros(96)), TypeError, "class numbers \\(integers\\), got torch.float32"),
        (lambda: fitted(labels=[0] * 96), TypeError, "got list"),
        (lambda: fitted(labels=torch.full((96,), -1)), ValueError, "from 0 on, got -1"),
        (lambda: fitted(images=torch.zeros(96, 8, 8)), ValueError, "batch dimension"),
        (lambda: fitted(net=nn.Flatten()), ValueError, "no parameters that require gradients"),
        (lambda: standardize(nn.Linear(3, 2), torch.zeros(3, 8, 8)), ValueError, "batch dimension"),
    ],
)  # fmt: skip
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
