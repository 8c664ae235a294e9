"""Strip tests: on groups whose difference is known, with scikit-learn and loops as references."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from course_utils.networks import Classifier, load_classifier
from course_utils.xray import (
    PARTS,
    StripTest,
    features,
    fit_head,
    folds_by_patient,
    gray_levels,
    lungs,
    random_halves,
    strip_test,
    strips,
)


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return load_classifier(weights=None)


def test_parts_are_blacked_out():
    images = torch.ones(2, 1, 224, 224)
    without = PARTS["lungs blacked out"](images)
    assert (without[:, :, 30:194, 24:200] == 0).all()
    assert without.sum() == 2 * (224 * 224 - 164 * 176)
    strip = PARTS["top strip alone"](images)
    assert (strip[:, :, :50] == 1).all() and (strip[:, :, 50:] == 0).all()
    frame = PARTS["frame alone"](images)
    assert (frame[:, :, 8:-8, 8:-8] == 0).all() and frame.sum() == 2 * (224**2 - 208**2)
    assert PARTS["whole picture"](images) is images and images.min() == 1
    assert lungs(112).sum() == 82 * 88 and strips.top_strip(112).sum() == 25 * 112


def test_features_are_the_pooled_last_map(clf):
    images = torch.rand(3, 1, 64, 64)
    found = features(clf, images, batch=2)
    with torch.no_grad():
        maps = clf.net.forward_features((images.expand(-1, 3, -1, -1) - 0.5) / 0.5)
    torch.testing.assert_close(found, maps.mean((2, 3)), atol=1e-4, rtol=1e-4)


def test_no_patient_is_in_two_folds():
    labels = torch.tensor([0, 1] * 20)
    patients = [f"p{k // 4 * 2 + k % 2}" for k in range(40)]  # two pictures each, of one group
    seen = []
    for train, test in folds_by_patient(labels, patients, 5):
        assert not {patients[k] for k in train} & {patients[k] for k in test}
        assert set(labels[test].tolist()) == {0, 1}
        seen += test.tolist()
    assert sorted(seen) == list(range(40))


def test_the_head_is_logistic_regression():
    torch.manual_seed(0)
    known, labels = torch.randn(40, 6), torch.tensor([0, 1] * 20)
    head = fit_head(known, labels)
    fitted = LogisticRegression(max_iter=1000).fit(known.numpy(), labels.numpy())
    expected = fitted.predict_proba(known.numpy())
    np.testing.assert_allclose(head(known).softmax(1).numpy(), expected, atol=1e-5)


def test_auc_by_counting_pairs():
    torch.manual_seed(1)
    labels = torch.tensor([0] * 20 + [1] * 20)
    known = torch.randn(40, 3)
    known[:, 0] += labels
    patients = [str(k) for k in range(40)]
    result = strip_test(known, labels, patients)
    aucs = []
    for _, test in folds_by_patient(labels, patients):
        s, y = result.scores[test], labels[test]
        aucs.append(np.mean([float(b > a) for a in s[y == 0] for b in s[y == 1]]))
    assert result.auc == pytest.approx(np.mean(aucs))
    assert (result.lowest, result.highest) == pytest.approx((min(aucs), max(aucs)))
    assert 0.5 < result.auc < 1


def test_scores_are_from_pictures_that_were_not_seen():
    torch.manual_seed(2)
    known, labels = (
        torch.randn(40, 200),
        torch.tensor([0, 1] * 20),
    )  # noise: a head that has seen it is always right
    result = strip_test(known, labels, [str(k) for k in range(40)])
    assert 0.2 < result.auc < 0.8
    seen = fit_head(known, labels)(known).argmax(1)
    assert (seen == labels).all()


def test_ties_count_one_half_and_scores_are_compared_within_a_fold():
    labels, folds = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    test = StripTest(torch.tensor([0.0, 0.0, 100.0, 101.0]), labels, folds)
    assert test.by_fold == [0.5, 1.0] and test.auc == 0.75
    assert (test.lowest, test.highest) == (0.5, 1.0)


def test_the_interval_is_a_bootstrap_in_each_fold_and_group():
    generator = torch.Generator().manual_seed(3)
    labels, folds = torch.tensor([0, 1] * 20), torch.arange(40) // 20
    test = StripTest(torch.randn(40, generator=generator) + 0.8 * labels, labels, folds)
    found = test.interval()
    draw = np.random.default_rng(5)
    drawn = []
    for _ in range(2000):  # by brute force
        aucs = []
        for fold in (0, 1):
            a, b = (test.scores[(folds == fold) & (labels == k)].numpy() for k in (0, 1))
            a, b = draw.choice(a, len(a)), draw.choice(b, len(b))
            aucs.append(np.mean(b[:, None] > a))
        drawn.append(np.mean(aucs))
    assert found.mean == pytest.approx(test.auc) and found.n == 40
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.02)
    assert str(test.interval()) == str(found)  # from a seed


def test_an_interval_of_groups_in_order_is_a_point():
    test = StripTest(torch.arange(10.0), (torch.arange(10) > 4).long(), torch.zeros(10))
    assert str(test.interval()) == "1.00 (1.00 to 1.00)"


def test_gray_levels_are_those_of_numpy_and_know_no_place():
    images = torch.rand(3, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    images[0, 0, 0, 0] = 1.0  # belongs to the last range
    found = gray_levels(images, 8)
    expected = [np.histogram(image.double(), 8, (0, 1))[0] * 8 / 600 for image in images]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    shuffled = images.flatten(2)[..., torch.randperm(600)].reshape(images.shape)
    assert torch.equal(gray_levels(shuffled, 8), found)


def test_random_halves_find_nothing_where_nothing_is_and_nothing_else_is_a_control():
    known = torch.randn(60, 20, generator=torch.Generator().manual_seed(2))
    aucs = random_halves(known, 12)  # multiples of 1/180: some may be equal
    assert len(set(aucs)) > 6 and 0.4 < np.mean(aucs) < 0.6 and min(aucs) < 0.5 < max(aucs)
    assert aucs == random_halves(known, 12) != random_halves(known, 12, seed=1)
