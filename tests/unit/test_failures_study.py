"""Covers of mistakes, the area under a ROC curve, and what notebook 09's table holds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from course_utils.evidence import NETWORKS, centre_blob, load_measurements
from course_utils.explain import grad_cam
from course_utils.failures import (
    COVERED,
    DOUBTFUL,
    VIEWS,
    all_logits,
    auc,
    auc_interval,
    cover_mistake,
    crop_cases,
    explain_mistakes,
    held_out,
    right_labels,
)
from course_utils.networks import load_classifier
from course_utils.pictures import list_photos

TABLE = load_measurements("09_failure_modes")


@pytest.fixture(scope="module")
def clf():
    return load_classifier(device="cpu")


@pytest.fixture(scope="module")
def mistake(clf):
    case = next(c for c in crop_cases(["rocket"]) if c.family == "top left")
    (found,) = explain_mistakes(clf, [case], all_logits(clf, [case]))
    return found


def test_auc_against_scikit_learn_and_by_hand():
    assert auc([1, 2, 2, 3], [False, False, True, True]) == (0.5 + 1 + 1 + 1) / 4
    draw = np.random.default_rng(0)
    values, truth = draw.random(60).round(1), draw.random(60) < 0.4
    assert auc(values, truth) == pytest.approx(roc_auc_score(truth, values))
    assert auc(-values, truth) == pytest.approx(1 - auc(values, truth))


def test_an_interval_of_the_auc_draws_photographs():
    draw = np.random.default_rng(1)
    truth = draw.random(300) < 0.5
    values = truth + 2 * draw.normal(size=300)
    alone = auc_interval(values, truth, [str(n) for n in range(300)], draws=400)
    assert alone.mean == auc(values, truth) and alone.low < alone.mean < alone.high and alone.n == 300
    # Each case ten times over is no more evidence, if its copies are drawn with it.
    copies = auc_interval(
        np.repeat(values, 10),
        np.repeat(truth, 10),
        [str(n) for n in range(300) for _ in range(10)],
        draws=400,
    )
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.15)
    by_hand = []
    drawing, names = np.random.default_rng(0), sorted({"a", "b", "c"})
    v, t, photos = np.array([1.0, 2, 0, 3, 1]), np.array([True, False, False, True, True]), list("abbca")
    for _ in range(50):
        chosen = [names[n] for n in drawing.integers(3, size=3)]
        rows = [n for name in chosen for n in range(5) if photos[n] == name]
        pairs = [(v[i], v[j]) for i, j in itertools.product(rows, rows) if t[i] and not t[j]]
        if pairs:
            by_hand.append(np.mean([1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs]))
    found = auc_interval(v, t, photos, draws=50)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_a_cover_against_direct_computation(clf, mistake):
    found = cover_mistake(clf, mistake)
    assert tuple(found) == COVERED
    image = mistake.case.tensor()
    p, r, plausible = mistake.classes[:3]
    e = grad_cam(clf, image, [p, r, plausible])
    maps = {
        "predicted - right": e.maps[0, 0] - e.maps[0, 1],
        "predicted": e.maps[0, 0],
        "right": e.maps[0, 1],
        "plausible": e.maps[0, 2],
        "class-free sum": e.activations[0].sum(0),
        "centre blob": centre_blob(7, 7),
    }
    names = right_labels(clf, [mistake.case])[0]
    with torch.no_grad():
        before = clf(image)[0]
        for kind, ranking in maps.items():
            covered = image.clone()
            for cell in ranking.flatten().argsort(descending=True, stable=True)[:10].tolist():
                rows, columns = (slice(32 * n, 32 * n + 32) for n in divmod(cell, 7))
                covered[0, :, rows, columns] = image.mean((2, 3))[0][:, None, None]
            after = clf(covered)[0]
            fall = (before[p] - before[r] - after[p] + after[r]).item()
            assert found[kind][0] == pytest.approx(fall, abs=1e-3), kind
            assert found[kind][1] == (int(after.argmax()) in names), kind


def test_the_table_holds_every_crop_and_agrees_with_a_few_measured_here(clf):
    rows = [row for row in TABLE.rows if row.measure.startswith("answer: ")]
    assert len(rows) == len(NETWORKS) * 27 * 11
    cases = crop_cases(["palace", "spoonbill"])
    probabilities = clf.probabilities(all_logits(clf, cases))
    kept = {(row.photo, row.measure[8:]): row for row in rows if row.network == NETWORKS[0]}
    for case, row in zip(cases, probabilities, strict=True):
        stored = kept[case.name, case.family]
        assert row[clf.class_index(stored.map)].item() == pytest.approx(stored.value, abs=0.01)


def test_the_table_is_whole():
    photos = list_photos(labeled=True)
    for network in NETWORKS:
        for measure in ("right", "confidence", "scaled", "temperature"):
            assert set(TABLE.values(measure, "crops", network)) == set(photos)
        wrong = set(TABLE.values("lead falls", COVERED[0], network))
        assert wrong and wrong == {
            photo for photo, share in TABLE.values("right", "crops", network).items() if share < 1
        }
        composites = {name.rsplit(" ", 1)[0] for name in TABLE.values("context", "cause", network)}
        assert composites <= set(held_out())
    assert not set(held_out()) & {*DOUBTFUL, "cat", "palace"} and len(VIEWS) == 10
