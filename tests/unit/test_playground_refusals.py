"""What the audit refuses, in words that are true of the case."""

import numpy as np
import pytest
import torch
from helpers import TinyNet
from PIL import Image

from course_utils.networks import Classifier
from course_utils.pictures import Picture
from course_utils.playground import Explainer, Intervention, audit, audited_case, flips

NAMES = ["ant", "bee", "cat", "dog", "elk"]


def picture(seed=0):
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (28, 28, 3), np.uint8))
    return Picture(f"p{seed}.png", image, image.size)


def tiny():
    return Classifier(TinyNet(), NAMES, size=28)


PICTURES = [picture(seed) for seed in range(3)]


def audited(labels=(0, 1, 2), **options):
    return audit(Explainer(tiny()), PICTURES, labels, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": [0]}, "two pictures or more and a label for each, got 3 and 1"),
        ({"labels": [0, 1, "bea"]}, "Did you mean 'bee'"),
        ({"labels": [0, 1, 7]}, "no class 7"),
        ({"method": "guided-backprop"}, "guided backprop makes gradient images"),
        ({"method": "lime"}, "no method 'lime'"),
        ({"photos": ["a", "b"]}, "3 pictures need the name of a photograph each"),
        ({"photos": ["a", "a", "a"]}, "two different ones at least"),
    ],
)
def test_an_audit_that_cannot_be_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        audited(**options)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda x: x,
            ValueError,
            "changes no pixel of any of the 3 pictures.*no flips would speak for nothing",
        ),
        (lambda x: x * 1.0001, ValueError, "changes no pixel"),
        (PICTURES, ValueError, "changes no pixel"),
        (lambda x: x[..., :14], ValueError, r"had the shape \(1, 3, 28, 28\), and has \(1, 3, 28, 14\) now"),
        (lambda x: x[0], ValueError, r"has \(3, 28, 28\) now"),
        (lambda x: torch.cat([x, x]), ValueError, r"has \(2, 3, 28, 28\) now"),
        (lambda x: torch.nn.functional.interpolate(x, 56), ValueError, "must keep the size"),
        (lambda x: x.log(), ValueError, "NaN or infinite"),
        (lambda x: x * torch.nan, ValueError, "2352 values are NaN or infinite now"),
        (lambda x: x / 0, ValueError, "NaN or infinite"),
        (lambda x: x * 255, ValueError, r"between 0.00 and 254.00 now, not in \[0, 1\]"),
        (lambda x: x - 0.5, ValueError, r"between -0.50"),
        (lambda x: (x * 255).byte(), TypeError, "a tensor of floats; got torch.uint8"),
        (lambda x: x.numpy(), TypeError, "got ndarray"),
        (lambda x: None, TypeError, "got NoneType"),
        (lambda x: Image.new("RGB", (28, 28)), TypeError, "got Image"),
        (PICTURES[:2], ValueError, "'x' has 2 changed pictures for 3 pictures"),
        ([p.image for p in PICTURES], TypeError, "or the changed pictures as read_picture returns"),
        ("twins/", TypeError, "must be a function from image to image.*got str"),
        (7, TypeError, "got int"),
    ],
)
def test_a_change_that_cannot_be_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        flips(tiny(), PICTURES, change, "x")
    for intervention in (Intervention("x", change), Intervention("x", lambda x: 1 - x, change)):
        with pytest.raises(error, match="x'" if "'x'" not in words else "x"):
            audited(intervention=intervention)


def test_a_change_that_fails_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        flips(tiny(), PICTURES, lambda x: 1 / 0)


def test_an_unknown_network_to_audit_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="no network '11 fair' to audit, only 11 biased, "):
        audited_case("11 fair")


@pytest.mark.parametrize("crop", [0, -0.5, 1.01, 256, float("nan")])
def test_a_crop_is_a_share(crop):
    with pytest.raises(ValueError, match="crop is a share"):
        Classifier(TinyNet(), NAMES, crop=crop)
