"""What tells two classes apart: maps, covers and falls against loops on a tiny network."""

import pytest
import torch
from helpers import TinyNet

from course_utils.evidence import (
    FALL,
    Measurements,
    fall_of_difference,
    label_and_rival,
    rival_maps,
    rival_study,
    rivals,
)
from course_utils.networks import Classifier
from course_utils.pictures import load_photo


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    classes = ["goose", "tabby", "strawberry", "tiger cat", "Egyptian cat"]
    return Classifier(TinyNet(seed=3), classes, size=16, target_layer="features.5")


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_best_of_the_right_and_the_best_of_the_wrong(tiny):
    logits = torch.tensor([3.0, 1.0, 5.0, 2.0, 0.0])
    assert label_and_rival(tiny, logits, load_photo("cat")) == (3, 2)
    assert label_and_rival(tiny, logits, load_photo("goose")) == (0, 2)
    assert label_and_rival(tiny, logits, load_photo("strawberry")) == (2, 0)


def test_the_map_of_a_difference_adds_up_to_the_difference(tiny, image):
    maps = rival_maps(tiny, image, 1, 4)
    with torch.no_grad():
        logits, bias = tiny(image)[0], tiny.net.head[3].bias
    expected = logits[1] - logits[4] - bias[1] + bias[4]
    torch.testing.assert_close(maps["difference"].sum(), expected)
    assert torch.equal(maps["difference, lowest"], -maps["difference"])
    again = rival_maps(tiny, image, 1, 4)
    assert all(torch.equal(one, again[kind]) for kind, one in maps.items())


def test_the_fall_is_that_of_a_picture_painted_over_by_hand(tiny, image):
    maps = rival_maps(tiny, image, 1, 4)
    falls = fall_of_difference(tiny, image, (1, 4), maps, share=0.25)
    with torch.no_grad():
        for kind, one in maps.items():
            painted = image.clone()
            for cell in one.flatten().argsort(descending=True, stable=True)[:16].tolist():  # of 8 x 8
                row, column = divmod(cell, 8)
                painted[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = image.mean((2, 3))[0][
                    :, None, None
                ]
            (a, b), (c, d) = tiny(image)[0, [1, 4]], tiny(painted)[0, [1, 4]]
            assert falls[kind] == pytest.approx(float((a - b) - (c - d)), abs=1e-5)


def test_the_study_has_a_number_for_each_photograph_and_map(tiny, monkeypatch):
    monkeypatch.setattr(rivals, "list_photos", lambda labeled: ["cat", "goose"])
    table = Measurements(rival_study(tiny))
    assert len(table) == 2 * 6
    photo = load_photo("goose").tensor(16)
    pair = label_and_rival(tiny, tiny(photo)[0], load_photo("goose"))
    falls = fall_of_difference(tiny, photo, pair, rival_maps(tiny, photo, *pair))
    assert table.values(FALL, "difference", "")["goose"] == falls["difference"]
    mean = sum(falls[f"random {n}"] for n in range(3)) / 3
    assert table.values(FALL, "random cells", "")["goose"] == pytest.approx(mean)
