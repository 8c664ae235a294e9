"""Kinds of mistakes: contrasts and sorting by hand, neighbors by loops, mistakes against direct computation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TinyNet
from torch import nn

from course_utils.explain import grad_cam
from course_utils.failures import (
    CONTEXT,
    KINDS,
    NEIGHBOR,
    NOWHERE,
    OTHER,
    PART_OF_KIND,
    PARTS,
    STRANGER,
    agreement,
    class_similarity,
    composite_cases,
    contrast,
    contrasts,
    explain_mistakes,
    nearest_classes,
    right_labels,
    sort_mistake,
    spread,
)
from course_utils.localization import energy_inside
from course_utils.networks import Classifier, imagenet_classes


@pytest.fixture(scope="module")
def classifier():
    """A tiny network with ImageNet's names, which is wrong about nearly everything."""
    net = TinyNet(n_classes=1000)
    return Classifier(net, imagenet_classes(), target_layer="features.5").eval()


@pytest.fixture(scope="module")
def cases():
    return composite_cases(8, seed=2)


@pytest.fixture(scope="module")
def logits(classifier, cases):
    with torch.no_grad():
        return torch.cat([classifier(case.tensor()) for case in cases])


@pytest.fixture(scope="module")
def mistakes(classifier, cases, logits):
    return explain_mistakes(classifier, cases, logits, seed=1)


def test_contrast_by_hand():
    heat = torch.tensor([[2.0, 1, 6], [2, 1, 1], [2, 2, 1]])
    left, corner = torch.zeros(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool)
    left[:, 0], corner[0, 2] = True, True
    assert contrast(heat, left) == 1 and contrast(heat, corner) == 4
    assert contrast(heat, ~(left | corner)) == pytest.approx(0.4)
    assert contrast(7 * heat, corner) == pytest.approx(4), "a heat-map has no scale"


def test_contrast_is_the_odds_of_the_energy_over_the_odds_of_the_area():
    heat, mask = torch.rand(9, 7), torch.rand(9, 7) < 0.3
    e, a = energy_inside(heat, mask), float(mask.float().mean())
    assert contrast(heat, mask) == pytest.approx(e / (1 - e) / (a / (1 - a)), rel=1e-5)
    assert contrast(heat, mask) == pytest.approx(1 / contrast(heat, ~mask), rel=1e-5)


def test_where_nothing_can_be_compared():
    heat, mask = torch.ones(3, 3), torch.eye(3, dtype=torch.bool)
    assert contrast(torch.zeros(3, 3), mask) is None
    assert contrast(heat, mask | True) is None and contrast(heat, mask & False) is None
    assert contrast(mask.float(), mask) == math.inf and contrast((~mask).float(), mask) == 0


def test_spread():
    assert spread(torch.full((7, 7), 0.3)) == pytest.approx(1) and spread(-torch.ones(7, 7)) is None
    two = torch.tensor([[3.0, 0, -5], [0, 3, 0]])
    assert spread(two) == pytest.approx(2 / 6) and spread(1e-20 * two) == pytest.approx(2 / 6)
    assert spread(torch.tensor([[1.0, 2], [3, 4]])) == pytest.approx(100 / (4 * 30))


def test_a_map_of_zeros_and_a_part_that_is_not_there_are_left_out(cases):
    assert contrasts(torch.full((7, 7), -1.0), cases[0]) == {}
    assert set(contrasts(torch.rand(7, 7), cases[0])) == {"object", "context"}
    assert set(contrasts(torch.rand(7, 7), cases[2])) == set(PARTS)


@pytest.mark.parametrize(
    ("values", "neighbor", "kind"),
    [
        ({"object": 2.0, "context": 0.5}, True, NEIGHBOR),
        ({"object": 2.0, "context": 0.5}, False, STRANGER),
        ({"object": 1.5, "other object": 1.6, "context": 0.5}, True, OTHER),
        ({"object": 0.5, "context": 1.3}, True, CONTEXT),
        ({"object": 1.25, "context": 0.8}, False, STRANGER),
        ({"object": 1.24, "context": 0.8}, False, NOWHERE),
        ({}, True, NOWHERE),
    ],
)
def test_sorting(values, neighbor, kind):
    assert sort_mistake(values, neighbor) == kind and len(set(KINDS)) == 5
    assert sort_mistake(values, neighbor, least=10) == NOWHERE
    assert PART_OF_KIND[kind] == (max(values, key=values.get) if kind != NOWHERE else None)


def test_similarity_and_neighbors_by_loop(classifier):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6))
    weight = net[1].weight.detach().numpy().astype(float)
    mean = weight.mean(0)
    found = class_similarity(net)
    for c in range(6):
        for d in range(6):
            u, v = weight[c] - mean, weight[d] - mean
            assert found[c, d].item() == pytest.approx(u @ v / np.sqrt(u @ u * (v @ v)), abs=1e-5)
        others = sorted((d for d in range(6) if d != c), key=lambda d: -found[c, d])
        assert nearest_classes(found, c, 3) == others[:3]


def test_mistakes_are_those_whose_first_class_is_no_label(classifier, cases, logits, mistakes):
    wrong = [
        c
        for c, row in zip(cases, logits, strict=True)
        if classifier.classes[row.argmax()] not in c.labels + c.also
    ]
    assert [m.case for m in mistakes] == wrong and len(mistakes) >= 6
    raised = logits.clone()
    for row, labels in zip(raised, right_labels(classifier, cases), strict=True):
        row[labels[-1]] = 100  # not the best label, but one of them
    assert explain_mistakes(classifier, cases, raised) == []


def test_to_name_the_other_object_is_no_mistake(classifier, cases, logits):
    number, case = next((n, c) for n, c in enumerate(cases) if c.also)
    raised = logits[number : number + 1].clone()
    raised[0, classifier.class_index(case.also[0])] = 100
    assert explain_mistakes(classifier, [case], raised) == []
    (m,) = explain_mistakes(classifier, [replace(case, also=())], raised)
    assert m.names[0] == case.also[0]
    raised[0, 5] = 200  # a mistake: then the right name is still the object's, however probable the other
    (m,) = explain_mistakes(classifier, [case], raised)
    assert m.names[1] in case.labels and not {*m.names} & {*case.also}


def test_a_mistake_holds_what_direct_computation_gives(classifier, cases, logits, mistakes):
    similarity = class_similarity(classifier)
    for m in mistakes:
        row = logits[cases.index(m.case)]
        labels = [classifier.class_index(name) for name in m.case.labels]
        predicted, right, plausible, arbitrary = m.classes
        assert predicted == int(row.argmax()) and right == max(labels, key=lambda c: row[c])
        shown = right_labels(classifier, [m.case])[0]
        assert shown[: len(labels)] == labels
        assert plausible in row.topk(20).indices and {plausible, arbitrary}.isdisjoint([predicted, *shown])
        assert m.names == tuple(classifier.classes[c] for c in m.classes)
        assert m.probabilities == pytest.approx(row.softmax(0)[list(m.classes)].tolist())
        expected = grad_cam(classifier, m.case.tensor(), list(m.classes)).maps[0]
        torch.testing.assert_close(m.maps, expected, rtol=1e-4, atol=1e-6)
        assert m.neighbor == any(predicted in nearest_classes(similarity, label) for label in labels)
        assert list(m.drops) == list(m.case.twins)
        for part, drop in m.drops.items():
            with torch.no_grad():
                after = classifier(m.case.tensor(part))[0]
            assert drop == pytest.approx(float(row[predicted] - after[predicted]), abs=1e-4)
            assert m.gone[part] == (int(after.argmax()) != predicted)
        assert m.kind == sort_mistake(contrasts(m.maps[0], m.case), m.neighbor)


def test_the_drawn_classes_depend_on_the_seed_alone(classifier, cases, logits, mistakes):
    again = explain_mistakes(classifier, cases, logits, seed=1)
    other = explain_mistakes(classifier, cases, logits, seed=2)
    assert [m.classes for m in again] == [m.classes for m in mistakes]
    assert [m.classes for m in other] != [m.classes for m in mistakes]


def test_the_cause_is_the_largest_drop_of_at_least_one(mistakes):
    m = mistakes[0]
    assert replace(m, drops={"object": 2.0, "context": 3.0}).cause == "context"
    assert replace(m, drops={"object": 1.0, "context": -3.0}).cause == "object"
    assert replace(m, drops={"object": 0.99, "context": 0.5}).cause is None


def test_agreement(mistakes):
    causes = ["object", "other object", "context", None]
    drops = {c: {"object": 0.0, **({c: 5.0} if c else {})} for c in causes}
    four = [replace(m, drops=drops[c]) for m, c in zip(mistakes, causes, strict=False)]
    assert [m.cause for m in four] == causes
    for kind, expected in (
        (STRANGER, 0.25),
        (NEIGHBOR, 0.25),
        (OTHER, 0.25),
        (CONTEXT, 0.25),
        (NOWHERE, 0.25),
    ):
        assert agreement(lambda contrasts, neighbor, kind=kind: kind, four) == expected
    seen = []
    agreement(lambda contrasts, neighbor: seen.append(contrasts) or NOWHERE, four, shown=3)
    assert seen == [contrasts(m.maps[3], m.case) for m in four]
