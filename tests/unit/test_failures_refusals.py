"""What cases, kinds and calibration refuse, in words."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.failures import (
    Case,
    Mistake,
    agreement,
    auc,
    auc_interval,
    class_similarity,
    composite_cases,
    contrast,
    crop_cases,
    explain_mistakes,
    fit_temperature,
    reliability,
    sort_mistake,
    temperatures_of_others,
)


@cache
def case() -> Case:
    return composite_cases(1, seed=5)[0]


def mistake() -> Mistake:
    maps = torch.rand(4, 7, 7, generator=torch.Generator().manual_seed(0))
    return Mistake(
        case(), (0, 1, 2, 3), tuple("abcd"), (0.25,) * 4, maps, True, {"object": 5.0}, {"object": True}
    )


HEAT, MASK = torch.ones(3, 3), torch.eye(3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: composite_cases(1, families=["on water"]), ValueError, "no family 'on water'"),
        (lambda: composite_cases(1, families=[]), ValueError, "families is empty"),
        (lambda: composite_cases(1, instead="blue"), ValueError, "got 'blue'"),
        (lambda: composite_cases(-1), ValueError, "at least 0"),
        (
            lambda: case().tensor("other object"),
            ValueError,
            "no twin without 'other object', only without 'object', 'context'",
        ),
        (lambda: composite_cases(1, names=["goose"]), ValueError, "two photographs at least, got goose"),
        (lambda: composite_cases(1, names=["goose", "goose"]), ValueError, "two photographs at least"),
        (lambda: composite_cases(1, names=[]), ValueError, "got none"),
        (lambda: composite_cases(1, names=["goose", "astronaut"]), ValueError, "is called 'astronaut'"),
        (lambda: crop_cases(["no such"]), ValueError, "no such"),
        (lambda: crop_cases(["cat"], 0), ValueError, "size"),
        (lambda: auc([1, 2], [True]), ValueError, r"one truth for each value, got \(2,\) and \(1,\)"),
        (lambda: auc([1, np.nan], [True, False]), ValueError, "not finite"),
        (lambda: auc([1, 2], [True, True]), ValueError, "of 2 cases 2 are true"),
        (lambda: auc([1, 2], [False, False]), ValueError, "of 2 cases 0 are true"),
        (lambda: auc_interval([1, 2], [True, False], ["a", "a"]), ValueError, "2 names, 1 different ones"),
        (lambda: auc_interval([1, 2], [True, False], ["a"]), ValueError, "got 1 names"),
        (lambda: auc_interval([1, 2], [True, False], ["a", "b"], draws=0), ValueError, "at least 1"),
        (lambda: fit_temperature(torch.zeros(0, 3), []), ValueError, "as many lists"),
        (lambda: fit_temperature(torch.zeros(2, 3), [[0]]), ValueError, "got 1"),
        (lambda: fit_temperature(torch.zeros(2, 3), [[0], []]), ValueError, "without a right class"),
        (
            lambda: temperatures_of_others(torch.zeros(2, 3), [[0], [1]], ["a", "a"]),
            ValueError,
            "2 names, 1 different ones",
        ),
        (lambda: temperatures_of_others(torch.zeros(2, 3), [[0], [1]], ["a"]), ValueError, "got 1 names"),
        (lambda: contrast(HEAT, MASK[:2]), ValueError, r"one shape \(H, W\), got \(3, 3\), \(2, 3\)"),
        (lambda: contrast(-HEAT, MASK), ValueError, "not negative"),
        (lambda: class_similarity(nn.Conv2d(3, 3, 1)), ValueError, "no linear layer"),
        (
            lambda: explain_mistakes(None, [case()] * 8, torch.zeros(7, 1000)),
            ValueError,
            "7 rows of logits for 8 pictures",
        ),
        (
            lambda: agreement(lambda contrasts, neighbor: "object", [mistake()]),
            ValueError,
            "the sorter returned 'object'; the kinds are",
        ),
        (lambda: agreement(sort_mistake, []), ValueError, "no mistakes"),
        (lambda: reliability([], [], 5), ValueError, "not empty"),
        (
            lambda: reliability([0.5], [True, False], 5),
            ValueError,
            r"one length, not empty, got \(1,\) and \(2,\)",
        ),
        (lambda: reliability([1.2], [True], 5), ValueError, "from 1.2 to 1.2"),
        (lambda: reliability([np.nan], [True], 5), ValueError, "lies in"),
        (lambda: reliability([0.5], [2], 5), ValueError, "True or False"),
        (lambda: reliability([0.5], [True], 0), ValueError, "at least 1"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
