"""The data set with a shortcut: twins, halves of textures, heads, and groups."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from course_utils.backgrounds import (
    CLASSES,
    GROUNDS,
    REPAIRS,
    TESTED,
    biased_head,
    choose_grounds,
    empty_ground,
    feature_maps,
    group_accuracy,
    head_maps,
    labels_of,
    pictures,
    scene,
    scenes,
    study,
    train_head,
    training_features,
)
from course_utils.explain import cam, grad_cam
from course_utils.networks import load_classifier, with_head
from course_utils.pictures import pixels


@pytest.fixture(scope="module")
def clf():
    return load_classifier(device="cpu")


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    features = torch.randn(60, 5, generator=generator)
    features[:, 0] += 2 * labels
    return features, labels


def test_twins_differ_in_the_ground_alone():
    for number in range(6):
        twins = [scene(number, ground, "test") for ground in (*GROUNDS, "brick", "plain")]
        masks = [twin.objects[0].mask for twin in twins]
        assert all((mask == masks[0]).all() for mask in masks)
        inside = -F.max_pool2d(-torch.as_tensor(masks[0].copy())[None].float(), 7, 1, 3)[0] > 0
        shown = [np.asarray(twin.image)[inside.numpy()] for twin in twins]
        assert all((colors == shown[0]).all() for colors in shown)
        assert (np.asarray(twins[0].image) != np.asarray(twins[1].image)).mean() > 0.8


def test_scenes_name_their_ground_among_their_photographs():
    assert [scene(1, ground).photos for ground in ("grass", "brick", "plain")] == [
        ["cat", "grass"],
        ["cat", "brick"],
        ["cat"],
    ]


def test_classes_and_objects_take_turns():
    names = [scene(number, "plain").objects[0].name for number in range(12)]
    assert names[:6] == names[6:]
    for number, name in enumerate(names):
        assert name in scenes.OBJECTS[number % 2]
    assert set(names) == set(scenes.OBJECTS[0] + scenes.OBJECTS[1])
    assert labels_of(range(4)).tolist() == [0, 1, 0, 1]


def test_nothing_was_chosen_on_the_reported_test_scenes():
    """Settings were chosen on scenes 0 to 59; the reported ones show each object eight times."""
    assert min(TESTED) >= 60
    names = [scene(number, "plain", "test").objects[0].name for number in TESTED]
    assert sorted(names) == sorted(8 * (scenes.OBJECTS[0] + scenes.OBJECTS[1]))


def test_training_and_test_put_the_object_elsewhere():
    boxes = {part: [scene(n, "plain", part).objects[0].box for n in range(6)] for part in ("train", "test")}
    assert all(one != other for one, other in zip(boxes["train"], boxes["test"], strict=True))


def test_objects_are_small_and_plain_is_the_mean_gray_of_the_textures():
    for number in range(60, 84):
        x0, y0, x1, y1 = scene(number, "plain", "test").objects[0].box
        assert 0.1 < max(x1 - x0, y1 - y0) / 224 < 0.26
    grays = [np.asarray(pixels(name)).mean() for name in (*GROUNDS, "brick")]
    assert np.asarray(empty_ground(0, "plain")).mean() == pytest.approx(np.mean(grays), abs=2)


def test_training_and_test_show_different_halves_of_a_texture(monkeypatch):
    texture = pixels("grass")
    halves = texture.copy()
    halves.paste((255, 0, 0), (texture.width // 2, 0, texture.width, texture.height))
    monkeypatch.setattr(scenes, "pixels", lambda name: halves)
    red = {
        part: [np.asarray(empty_ground(n, "grass", part))[..., 1] for n in range(30)]
        for part in ("train", "test")
    }
    assert all(green.max() == 0 for green in red["test"])
    assert all((green[:, :-3] > 0).mean() > 0.9 for green in red["train"])


def test_the_empty_ground_is_what_surrounds_the_object():
    shown = scene(7, "gravel", "test")
    empty = np.asarray(empty_ground(7, "gravel", "test"))
    differs = (np.asarray(shown.image) != empty).any(2)
    x0, y0, x1, y1 = shown.objects[0].box
    differs[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
    assert not differs.any()


@pytest.mark.parametrize("p", [0, 0.5, 0.75, 0.9, 1])
def test_the_share_on_the_usual_ground_is_exact(p):
    labels = torch.arange(80) % 2
    grounds = choose_grounds(labels, p, seed=3)
    for c in (0, 1):
        assert (grounds[labels == c] == c).double().mean().item() == p
    assert torch.equal(grounds, choose_grounds(labels, p, seed=3))
    assert p in (0, 1) or not torch.equal(grounds, choose_grounds(labels, p, seed=4))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_head_is_that_of_scikit_learn(data, weighted):
    features, labels = data
    weights = 1 + 5.0 * (torch.arange(60) % 7 == 0) if weighted else torch.ones(60)
    head = train_head(features, labels, weights if weighted else None, decay=0.05)
    # Two outputs w and -w: |W|^2 = 2 |w|^2, and the difference of the logits has the weights u = 2 w, so
    # decay |W|^2 = decay / 2 |u|^2. Theirs is C sum_n v_n loss_n + |u|^2 / 2.
    theirs = LogisticRegression(C=1 / (0.05 * weights.sum().item()), tol=1e-8, max_iter=1000)
    theirs.fit(features.numpy(), labels.numpy(), sample_weight=weights.numpy())
    difference = (head.weight[1] - head.weight[0]).numpy()
    np.testing.assert_allclose(difference, theirs.coef_[0], atol=2e-3)
    assert not any(p.requires_grad for p in head.parameters())
    assert float(head.bias[1] - head.bias[0]) == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_training_leaves_the_grad_mode_and_the_data(data):
    features, labels = data
    before = features.clone()
    with torch.no_grad():
        head = train_head(features, labels)
        assert not torch.is_grad_enabled()
    assert torch.equal(features, before)
    assert torch.equal(head.weight, train_head(features, labels).weight)


def test_group_accuracy_by_counting(data):
    generator = torch.Generator().manual_seed(1)
    right, labels, grounds = (torch.randint(0, 2, (50,), generator=generator) for _ in range(3))
    table = group_accuracy(right.bool(), labels, grounds)
    for c in (0, 1):
        for g in (0, 1):
            cases = [
                r
                for r, label, ground in zip(right, labels, grounds, strict=True)
                if (label, ground) == (c, g)
            ]
            assert float(table[c, g]) == pytest.approx(float(sum(cases)) / len(cases))
    nothing = group_accuracy(torch.tensor([True, False]), torch.tensor([0, 0]), torch.tensor([1, 1]))
    assert nothing.isnan().tolist() == [[True, False], [True, True]] and nothing[0, 1] == 0.5


def test_each_group_has_the_same_sum_of_weights():
    labels, grounds = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1])
    assert study.group_weights(labels, grounds).tolist() == [0.5, 0.5, 1, 0.5, 0.5]


def test_the_map_of_a_head_is_grad_cam_on_the_network(clf):
    images = pictures([0, 1], "grass", "test")
    head = biased_head(0)
    model = with_head(clf, head, CLASSES)
    assert clf(images[:1]).shape == (1, 1000)  # the network itself stays as it is
    maps = feature_maps(clf, images)
    torch.testing.assert_close(model(images), head(maps.mean((2, 3))), rtol=1e-3, atol=1e-4)
    classes = torch.tensor([1, 0])
    found = head_maps(head, maps, classes)
    torch.testing.assert_close(
        found, grad_cam(model, images, classes[:, None]).maps[:, 0], rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(49 * found, cam(model, images, classes[:, None])[:, 0], rtol=1e-3, atol=1e-3)
    total = found.sum((1, 2)) + head.bias[classes]
    torch.testing.assert_close(total, model(images)[[0, 1], classes], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("repair", list(REPAIRS))
def test_a_biased_head_is_the_head_of_its_scenes(repair):
    """By hand for run 1: grounds drawn from the run's own seed, weights of 1 / size, penalty of 0.1."""
    features, labels = training_features(1)
    grounds = choose_grounds(labels, 0.5 if repair == "ground by coin" else 0.9, seed=1)
    sizes = {(c, g): int(((labels == c) & (grounds == g)).sum()) for c in (0, 1) for g in (0, 1)}
    pairs = zip(labels.tolist(), grounds.tolist(), strict=True)
    weights = torch.tensor([1 / sizes[pair] for pair in pairs]) if repair == "group weights" else None
    chosen = torch.stack([features[i, g] for i, g in enumerate(grounds.tolist())])
    expected = train_head(chosen, labels, weights, decay=0.1)
    torch.testing.assert_close(biased_head(1, 0.9, repair).weight, expected.weight)


def test_repairs_do_what_they_say():
    """On the training scenes themselves: how many scenes get another answer on the other ground."""
    rates = {}
    for repair in REPAIRS:
        found = []
        for run in range(3):
            answers = biased_head(run, repair=repair)(training_features((run + 1) % 3)[0]).argmax(2)
            found.append((answers[:, 0] != answers[:, 1]).double().mean().item())
        rates[repair] = sum(found) / 3
    assert (
        rates["none"] > 0.5 > rates["group weights"] > rates["ground by coin"]
        and rates["ground by coin"] < 0.05
    )


LABELS = torch.arange(60) % 2
FEATURES = torch.randn(60, 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scene(0, "sand"), "gravel, grass, brick, plain"),
        (lambda: empty_ground(0, "grass", "left"), '"train" or "test"'),
        (lambda: scene(-1, "grass"), "number"),
        (lambda: choose_grounds(LABELS, 1.2), "between 0 and 1"),
        (lambda: train_head(FEATURES, LABELS[:5]), "shape"),
        (lambda: train_head(FEATURES, LABELS, -torch.ones(60)), "negative"),
        (lambda: train_head(FEATURES, LABELS, decay=-1), "negative"),
        (lambda: biased_head(0, repair="hope"), "group weights"),
        (lambda: biased_head(3), "run"),
    ],
)
def test_what_the_room_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()
