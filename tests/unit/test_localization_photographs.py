"""The study of the photographs: against loops over pixels, on a tiny network and made-up pictures."""

from itertools import product

import numpy as np
import pytest
import torch
from helpers import TinyNet, reference_maps

from course_utils.evidence import Measurements
from course_utils.localization import photographs
from course_utils.networks import Classifier
from course_utils.pictures import load_photo

NAMES = ["cat", "strawberry", "goose"]


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    classes = ["goose", "tabby", "strawberry", "tiger cat", "Egyptian cat"]
    return Classifier(TinyNet(seed=3), classes, size=16, target_layer="features.5")


def best_overlap(heat: np.ndarray, threshold: float, boxes: list) -> float:
    """The best IoU by counting pixels: flood from each marked pixel, box, count."""
    marked = {tuple(p) for p in np.argwhere((heat > 0) & (heat >= threshold * heat.max())).tolist()}
    if heat.max() - heat.min() <= 1e-5 * heat.max():
        return 0.0
    parts = []
    while marked:
        front = [min(marked)]
        marked.discard(front[0])
        part = []
        while front:
            y, x = front.pop()
            part.append((y, x))
            for dy, dx in product((-1, 0, 1), repeat=2):
                if (y + dy, x + dx) in marked:
                    marked.discard((y + dy, x + dx))
                    front.append((y + dy, x + dx))
        parts.append(part)
    rows, columns = zip(*max(parts, key=len), strict=True)
    found = set(product(range(min(rows), max(rows) + 1), range(min(columns), max(columns) + 1)))
    truths = [set(product(range(y0, y1), range(x0, x1))) for x0, y0, x1, y1 in boxes]
    return max(len(found & truth) / len(found | truth) for truth in truths)


def test_the_study_against_loops(tiny, monkeypatch):
    monkeypatch.setattr(photographs, "list_photos", lambda labeled: NAMES)
    table = Measurements(photographs.photo_study(tiny))
    photos = [load_photo(name).square(16) for name in NAMES]
    images = torch.cat([photo.tensor(16) for photo in photos])
    logits = tiny(images).detach()
    labels = []
    for name, photo, row in zip(NAMES, photos, logits, strict=True):
        order = row.argsort(descending=True).tolist()
        ranks = {tiny.class_index(label): order.index(tiny.class_index(label)) + 1 for label in photo.labels}
        labels.append(min(ranks, key=ranks.get))
        assert table.values(photographs.RANK, "the network", "")[name] == min(ranks.values())
    assert len(set(labels)) == 3
    for n, (name, photo) in enumerate(zip(NAMES, photos, strict=True)):
        raw = reference_maps(tiny, tiny.target_layer, images[n : n + 1], labels[n])
        heat = torch.nn.functional.interpolate(raw[None].relu(), (16, 16), mode="bilinear")[0, 0].numpy()
        for threshold in photographs.THRESHOLDS:
            found = table.values(photographs.overlap(threshold), "Grad-CAM", "")[name]
            assert found == pytest.approx(best_overlap(heat, threshold, photo.boxes)), (name, threshold)
        assert set(photographs.BOXES) <= {row.map for row in table.rows if row.photo == name}
    several = table.values("IoU with all at 15%", "Grad-CAM", "")
    assert set(several) == {name for name, photo in zip(NAMES, photos, strict=True) if len(photo.boxes) > 1}


def test_the_maps_are_what_they_are_called(tiny):
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = photographs.maps_of(tiny, images, [0, 2])
    assert list(maps) == [kind for kind in photographs.MAPS if kind != "occlusion"]
    assert all(heat.shape == (2, 16, 16) and (heat >= 0).all() for heat in maps.values())
    for n, number in enumerate((0, 2)):
        leaf = images[n : n + 1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(tiny(leaf)[0, number], leaf)
        torch.testing.assert_close(maps["gradient"][n], slope.abs().amax(1)[0])
    another = photographs.maps_of(tiny, images, [2, 0])
    assert torch.equal(maps["class-free sum"], another["class-free sum"])
    assert torch.equal(maps["centre blob"][0], maps["centre blob"][1])
    torch.testing.assert_close(
        maps["another class"][0] * 64, another["Grad-CAM"][0]
    )  # CAM is Z times Grad-CAM


def test_blind_boxes_look_at_nothing():
    whole, middle = photographs.blind_boxes(224).values()
    assert whole == (0, 0, 224, 224)
    side = middle[2] - middle[0]
    assert middle[:2] == (224 - middle[2],) * 2 and abs(side**2 / 224**2 - 0.5) < 0.01
    assert (
        photographs.best_iou(None, [whole]) == 0 and photographs.best_iou(middle, [(0, 0, 3, 3), middle]) == 1
    )


def test_the_threshold_is_chosen_without_the_photographs_it_is_measured_on():
    # At 0.1 the first half of the photographs is right, at 0.2 the second: whoever saw a photograph knows.
    n = 8
    draw = np.random.default_rng(0)
    wrong = {t: (draw.random(n) < 0.5).astype(float) for t in (0.1, 0.2, 0.3)}
    errors, chosen = photographs.choose_on_half(wrong, splits=50, seed=5)
    replay, sums = np.random.default_rng(5), [[] for _ in range(n)]
    for threshold in chosen:
        order = replay.permutation(n).tolist()
        means = {t: np.mean([row[i] for i in order[: n // 2]]) for t, row in wrong.items()}
        assert means[threshold] == min(means.values())
        assert threshold == min(t for t in means if means[t] == means[threshold])
        for i in order[n // 2 :]:
            sums[i].append(wrong[threshold][i])
    assert errors == pytest.approx([np.mean(one) for one in sums])
    with pytest.raises(ValueError, match="with 1 splits a photograph had a part in each choice"):
        photographs.choose_on_half(wrong, splits=1)
