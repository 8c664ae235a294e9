"""The study of photographs' masks and seeds: against loops over pixels, on a tiny network."""

import pytest
import torch
from helpers import TinyNet, reference_maps
from torch.nn import functional as F

from course_utils.evidence import BLIND, Measurements
from course_utils.networks import Classifier
from course_utils.pictures import load_photo
from course_utils.segmentation import color_affinity, photographs, seeds_from_maps, smooth_by_color

NAMES = ["cat", "strawberry", "goose", "leafhopper"]
SIZE = 16


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    classes = ["goose", "leafhopper", "strawberry", "tabby", "Egyptian cat"]
    return Classifier(TinyNet(seed=3), classes, size=SIZE, target_layer="features.5")


def iou(found: set, truth: set) -> float:
    return len(found & truth) / len(found | truth)


def highest(heat: torch.Tensor, count: int) -> set:
    places = [(y, x) for y in range(SIZE) for x in range(SIZE)]
    return set(sorted(places, key=lambda place: -float(heat[place]))[:count])


def test_the_study_against_loops(tiny, monkeypatch):
    monkeypatch.setattr(photographs, "list_photos", lambda labeled: NAMES)
    table = Measurements(photographs.photo_study(tiny))
    photos = [load_photo(name).square(SIZE) for name in NAMES]
    images = torch.cat([photo.tensor(SIZE) for photo in photos])
    truths = [{tuple(p) for p in torch.tensor(photo.mask).nonzero().tolist()} for photo in photos]
    labels = [tiny.class_index(photo.labels[0]) for photo in photos]
    layer, each = tiny.target_layer, zip(images, labels, strict=True)
    raw = torch.cat([reference_maps(tiny, layer, image[None], label) for image, label in each])
    own = F.interpolate(raw[:, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]
    assert own.relu().amax((1, 2)).gt(0).all()

    for name, truth, heat in zip(NAMES, truths, own, strict=True):
        assert table.values("area", "object", "")[name] == pytest.approx(len(truth) / SIZE**2)
        expected = iou(highest(heat, len(truth)), truth)
        assert table.values(photographs.OWN_AREA, "Grad-CAM", "")[name] == pytest.approx(expected)
        for share in photographs.SHARES:
            count = int((heat >= share * heat.max()).sum())
            expected = len(highest(heat, count) & truth) / count
            found = table.values(photographs.right_seeds(share), "Grad-CAM", "")[name]
            assert found == pytest.approx(expected)

    def at(threshold: float, k: int) -> float:
        heat = own[k].relu()
        places = ((heat > 0) & (heat >= threshold * heat.max())).nonzero().tolist()
        return iou({tuple(p) for p in places}, truths[k])

    for k, name in enumerate(NAMES):
        others = [j for j in range(len(NAMES)) if j != k]
        best = max(photographs.THRESHOLDS, key=lambda t: sum(at(t, j) for j in others))
        assert table.values(photographs.CHOSEN, "Grad-CAM", "")[name] == pytest.approx(at(best, k))


def test_blind_maps_have_as_many_seeds_and_know_less(tiny, monkeypatch):
    monkeypatch.setattr(photographs, "list_photos", lambda labeled: NAMES)
    table = Measurements(photographs.photo_study(tiny))
    blob = table.values(photographs.OWN_AREA, "centre blob", "")
    for name in NAMES:
        photo = load_photo(name).square(SIZE)
        y, x = torch.meshgrid(*[torch.arange(SIZE) - (SIZE - 1) / 2] * 2, indexing="ij")
        truth = {tuple(p) for p in torch.tensor(photo.mask).nonzero().tolist()}
        round_one = iou(highest(-(y**2 + x**2), len(truth)), truth)  # the same but for the enlargement
        assert blob[name] == pytest.approx(round_one, abs=0.1)
    assert {row.map for row in table.rows} == {"object", "Grad-CAM", *BLIND}


def test_seeds_as_masks_are_the_drawn_scenes_recipe():
    draw = torch.Generator().manual_seed(0)
    heat, images = torch.rand(2, 32, 32, generator=draw), torch.rand(2, 3, 32, 32, generator=draw)
    found = photographs.seeds_as_masks(heat, images)
    cells = F.avg_pool2d(heat[:, None], 2)
    sown = seeds_from_maps(cells, torch.zeros(2, 1, dtype=torch.long), 0.5, 0.1)
    logits = torch.stack([(sown == 0) * 3.0, (sown == 1) * 3.0], 1)
    smooth = smooth_by_color(logits, color_affinity(images, 16))
    for name, answer in ((photographs.SEEDS, logits.softmax(1)), (photographs.SMOOTHED, smooth)):
        large = F.interpolate(answer, (32, 32), mode="bilinear")
        assert torch.equal(found[name], large[:, 1] > large[:, 0])
    assert not torch.equal(found[photographs.SEEDS], found[photographs.SMOOTHED])


def test_a_threshold_is_chosen_without_the_photograph_itself():
    table = torch.tensor([[0.9, 0.0, 0.0], [0.1, 0.5, 0.6]])  # the first is good for one photograph only
    assert photographs.chosen_on_others(table).tolist() == pytest.approx([0.1, 0.0, 0.0])
    assert photographs.chosen_on_others(torch.tensor([[0.5, 0.5], [0.5, 0.5]])).tolist() == [0.5, 0.5]


def test_nothing_found_has_an_iou_of_0():
    found, truth = torch.zeros(2, 3, 3).bool(), torch.eye(3).bool().expand(2, -1, -1)
    assert photographs.ious(found, truth).tolist() == [0, 0]
    assert photographs.ious(truth, truth).tolist() == [1, 1]
