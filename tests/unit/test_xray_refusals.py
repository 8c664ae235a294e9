"""What the room refuses, and in which words; files that cannot be read are in ``test_xray_real``."""

from functools import cache

import numpy as np
import pytest
import torch

from course_utils.networks import load_classifier
from course_utils.xray import (
    features,
    folds_by_patient,
    physics,
    radiographs,
    stamp,
    study,
    xray_net,
    xray_reader,
)

VALUES = np.linspace(0, 1, 101, dtype=np.float32)[None].repeat(4, 0)
FEW = torch.tensor([0, 0, 0, 1, 1, 1])


@cache
def films():
    return radiographs(2, size=64, seed=5)


def stamped(**options):
    return stamp(radiographs(1, size=96, seed=3).clean, **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        # physics
        (
            lambda: physics.transmission({"soft": np.array([1.0, -1.0])}),
            ValueError,
            "must not be negative, but that through soft",
        ),
        (
            lambda: physics.transmission({"soft": np.array([1.0, float("nan")])}),
            ValueError,
            "must not be negative, but that through soft",
        ),
        (
            lambda: physics.transmission({"fat": 1.0}),
            ValueError,
            "no material 'fat': the known ones are air, lung",
        ),
        (lambda: physics.display(VALUES, VALUES > 2, physics.Exposure()), ValueError, "there are none"),
        # films
        (lambda: radiographs(0), ValueError, "n must be at least 1, got 0"),
        (lambda: radiographs(2, size=32), ValueError, "size must be at least 64, got 32"),
        (lambda: radiographs(2, size=512), ValueError, "size must be at most 224, got 512"),
        (lambda: radiographs(2, seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: radiographs(2.5), TypeError, "must be a whole number"),
        (lambda: radiographs("3"), TypeError, "must be a whole number"),
        (lambda: radiographs(2, 96.0), TypeError, "must be a whole number"),
        (lambda: radiographs(2, 96, 0.5), TypeError, "must be a whole number"),
        (
            lambda: films().biased(1.2),
            ValueError,
            "p_marker_if_finding is a probability between 0 and 1, got 1.2",
        ),
        (lambda: films().biased(0.5, float("nan")), ValueError, "p_marker_if_normal is a probability"),
        # stamps
        (
            lambda: stamped(position="upper left"),
            ValueError,
            "no position 'upper left': the known ones are top left",
        ),
        (lambda: stamped(position=(0.5, 1.2)), ValueError, "both in"),
        (lambda: stamped(opacity=1.5), ValueError, "opacity must lie between 0 .* got 1.5"),
        (lambda: stamped(text="PORTABLE CHEST RADIOGRAPH, SUPINE"), ValueError, "Take a shorter"),
        (lambda: stamp(films().clean[:1].expand(-1, 3, -1, -1)), ValueError, "1 channel "),
        # the network and its trainings
        (
            lambda: xray_net().class_index("pneumonia"),
            ValueError,
            "no class 'pneumonia': the classes are normal and finding",
        ),
        (lambda: xray_net()(torch.rand(1, 3, 64, 64)), ValueError, "1 channel "),
        (
            lambda: study.train(films(), "prayer"),
            ValueError,
            "no repair 'prayer': the known ones are none, no marker",
        ),
        (
            lambda: study.train(films(), "penalty on the map", punished="lungs"),
            ValueError,
            "nothing to punish in 'lungs': the known places are box; corner; corner, map of d",
        ),
        (lambda: study.train(films(), epochs=0), ValueError, "epochs must be at least 1, got 0"),
        (lambda: study.train(films(), p=2), ValueError, "is a probability between 0 and 1, got 2"),
        (lambda: xray_reader("prayer"), ValueError, "no repair 'prayer': the known ones are none"),
        (lambda: xray_reader("none", 3), ValueError, "run must be at most 2, not 3"),
        (
            lambda: xray_reader("none", 0, 0.7),
            ValueError,
            r"no network was stored for p = 0.7, only for 0.8, 0.9, 0.95. Train one",
        ),
        (lambda: xray_reader("balance", 0, 0.9), ValueError, r"p = 0.9, only for 0.95 for a repair"),
        # strip tests
        (lambda: features(load_classifier(weights=None), torch.rand(1, 3, 64, 64)), ValueError, "1 channel "),
        (
            lambda: folds_by_patient(FEW, list("abcdef")),
            ValueError,
            r"at least 5 patients each .* these have 3 and 3",
        ),
        (lambda: folds_by_patient(FEW, list("abcde")), ValueError, "6 labels and 5 patients"),
        (
            lambda: folds_by_patient(torch.arange(30) % 3, [str(k) for k in range(30)]),
            ValueError,
            r"labels are \[0, 1, 2\]",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
