"""What the room refuses, and in which words."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils.assets import AssetError
from course_utils.authoring import train_topic
from course_utils.networks import (
    Classifier,
    fit,
    fit_linear,
    linear_probe,
    load_classifier,
    load_weights,
    named_classifier,
    scene_classifier,
    small_net,
    standardize,
    with_head,
)

NAMES = [f"kind {i}" for i in range(10)]
BARE = nn.ReLU()


class Spoiled(nn.Module):
    """Scores that are no numbers."""

    def forward(self, images):
        return images.mean((2, 3)) / 0 * 0


TINY = Classifier(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ["a", "b", "c"], size=8)
TWICE = Classifier(nn.Identity(), ["tabby", "crane", "boxer", "crane"])  # the bird and the machine
LETTERS = Classifier(nn.Identity(), ["Polish", "polish"])


MODULE = "test_networks_refusals"


def wrapped(net=None, **change):
    """A classifier, with one argument changed to a bad one."""
    return Classifier(**{"net": net or nn.Conv2d(3, 3, 1), "classes": NAMES, **change})


def stored(value, tmp=None):
    """What load_weights says of a file that holds this."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(value, Path(folder, "it.pt"))
        return load_weights(Path(folder, "it.pt"))


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
            r"target_layer is 'layer4', but the network has no module of that name. Its convolutions .*: '0'",
        ),
        (lambda: load_classifier(50), ValueError, "no classifier 50. Known: efficientnet"),
        (lambda: load_classifier("ResNet-50"), ValueError, "Did you mean 'resnet50'"),
        *[
            (lambda name=name: named_classifier(f"{name}:lite0"), ValueError, f"{name} is a file. .*`mine:lite0`")
            for name in ("mine.py", "./mine.py", "code/mine")
        ],
        (lambda: named_classifier("C:\\mine.py:lite0"), ValueError, r"mine.py is a file. .*: `mine:lite0`"),
        (lambda: named_classifier(f"{MODULE}:NAMES"), ValueError, "names no function"),
        (lambda: named_classifier(f"{MODULE}:BARE"), TypeError, "must return a Classifier, not ReLU. Wrap a network"),
        # what is put into a classifier
        (lambda: wrapped(nn.ReLU), TypeError, r"got the class ReLU. Make a network of that class: `ReLU\(...\)`"),
        (lambda: wrapped(TINY.state_dict() or {"w": 1}), TypeError, "These are weights: build the network"),
        (lambda: wrapped(size="224"), TypeError, "size is a whole number of pixels, not '224'"),
        (lambda: wrapped(size=0), ValueError, "size must be at least 1 pixel, not 0"),
        (lambda: wrapped(std=0.0), ValueError, "divided by std, which must not be 0, and finite; got 0.5 and 0.0"),
        (lambda: wrapped(std=[0.2, 0.0, 0.2]), ValueError, "must not be 0"),
        (lambda: wrapped(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4]), ValueError, "123.7.* divide both by 255"),
        (lambda: wrapped(mean="imagenet"), TypeError, "mean and std consist of numbers, got 'imagenet' and 0.5"),
        (lambda: wrapped(std=None), TypeError, "mean and std consist of numbers, got 0.5 and None"),
        (lambda: wrapped(classes={"a": 0, "b": 1}), ValueError, r"'a', 'b'. Turn it around: `{number: name for"),
        (lambda: LETTERS.class_index("x"), ValueError, "no class 'x'. The classes are 'Polish', 'polish'"),
        (
            lambda: Classifier(Spoiled(), ["a", "b", "c"]).predict(torch.rand(2, 3, 4, 4)),
            ValueError,
            r"puts out NaN or infinite numbers for 2 of 2 image\(s\)",
        ),
        # weights
        (lambda: load_weights(Path("gone.pt")), AssetError, r"FileNotFoundError\). There is no such file\."),
        (lambda: load_weights(Path(__file__).parent), AssetError, "It is a folder|cannot be read"),
        (
            lambda: stored({"epoch": 3, "state_dict": {"model.fc.weight": torch.ones(1)}}),
            AssetError,
            r"the entry 'state_dict': .* All their names begin with 'model\.': take that off",
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
        *[
            (lambda call=call: call(BARE), TypeError, "a Classifier is wanted here, got ReLU. Wrap a network: `Classi")
            for call in (
                lambda net: with_head(net, nn.Linear(3, 2), ["a", "b"]),
                lambda net: linear_probe(net, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), ["a", "b"]),
            )
        ],
        (
            lambda: linear_probe(lite0(), torch.rand(2, 3, 8, 8), ["a", "b"], ["a", "b"]),
            TypeError,
            r"labels must be a tensor \(N,\) of class numbers, got list",
        ),
        (lambda: fit_linear(torch.rand(2, 3), torch.tensor([1, 2]), 2), ValueError, "got torch.int64 from 1 to 2"),
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
