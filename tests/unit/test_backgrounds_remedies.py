"""What takes the watermark's effect away: pixels and directions of the features."""

import pytest
import torch

from course_utils.backgrounds import (
    PIXELS,
    held_out_directions,
    measure_remedies,
    remove_direction,
    watermark_remedies,
)
from course_utils.backgrounds import stamped_photographs as stamped
from course_utils.networks import load_classifier
from course_utils.pictures import list_photos, load_photo


@pytest.mark.parametrize("size", [224, 240, 260])
@pytest.mark.parametrize("remedy", ["covered", "cropped"])
def test_what_is_covered_or_cut_off_cannot_be_seen(remedy, size):
    images = torch.cat([load_photo(name).tensor(size) for name in ("cat", "rocket")])
    plain, marked = (PIXELS[remedy](some) for some in (images, stamped(images, "shortcut")))
    # The band is filled with the picture's mean, which the writing moves a little; nothing else differs.
    assert plain.shape == images.shape and (plain - marked).abs().max() < 0.02
    if remedy == "cropped":
        assert torch.equal(plain, marked)
    assert not torch.equal(plain, images)


def test_directions_are_learned_on_the_others():
    changes = torch.randn(5, 7)
    found = held_out_directions(changes)
    for i in range(5):
        others = [changes[j] for j in range(5) if j != i]
        torch.testing.assert_close(found[i], sum(others) / 4)
    other = changes.clone()
    other[2] = 100.0  # what happens on a photograph has no part in its own direction
    torch.testing.assert_close(held_out_directions(other)[2], found[2])


def test_removing_a_direction_is_the_formula():
    features, directions, centers = torch.randn(3, 4, 6).unbind()
    found = remove_direction(features, directions, centers)
    for F, d, m, new in zip(features, directions, centers, found, strict=True):
        u = d / d.square().sum().sqrt()
        torch.testing.assert_close(new, F - ((F - m) @ u) * u)
        assert new @ u == pytest.approx((m @ u).item(), abs=1e-5)  # there it has the center's


@pytest.mark.parametrize("draw", [watermark_remedies._of_covariance, watermark_remedies._of_pairs])
def test_random_directions_know_nothing_of_the_photograph_judged(draw):
    clean = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    other = clean.clone()
    other[3] = 50.0
    rows = [draw(some, torch.Generator().manual_seed(1)) for some in (clean, other)]
    torch.testing.assert_close(rows[0][3], rows[1][3])
    assert not torch.allclose(rows[0][1], rows[1][1]) or draw is watermark_remedies._of_pairs


def test_random_directions_have_the_features_covariance():
    scale = torch.tensor([5.0, 1.0, 0.1])
    clean = scale * torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    drawn = watermark_remedies._of_covariance(clean, torch.Generator().manual_seed(2))
    spread = drawn.std(0) / drawn.std(0)[1]
    torch.testing.assert_close(spread, scale, rtol=0.25, atol=0)


def test_the_study_is_what_a_loop_finds(monkeypatch):
    names = list_photos()[:3]
    monkeypatch.setattr("course_utils.backgrounds.watermark_remedies.list_photos", lambda: names)
    monkeypatch.setattr("course_utils.backgrounds.watermark_remedies.DIRECTIONS", ("shortcut",))
    clf = load_classifier(device="cpu")
    rows = {(row.measure, row.map, row.photo): row.value for row in measure_remedies(clf, progress=False)}
    carton = clf.class_index("carton")
    photo = load_photo(names[1])
    image = photo.tensor()
    with torch.no_grad():
        clean, marked = clf(PIXELS["cropped"](image))[0], clf(stamped(image, "shortcut"))[0]
        untouched = clf(image)[0]
    label = clf.class_index(photo.labels[0])
    assert rows["rise", "cropped", names[1]] == pytest.approx(0, abs=1e-4)
    assert rows["rise", "as it is", names[1]] == pytest.approx((marked - untouched)[carton].item(), abs=1e-3)
    assert rows["right, clean", "cropped", names[1]] == float(clf.classes[clean.argmax()] in photo.labels)
    if len(photo.labels) == 1:
        assert rows["cost in logits", "cropped", names[1]] == pytest.approx(
            (untouched - clean)[label].item(), abs=1e-3
        )
    assert {name for measure, name, _ in rows if measure == "share of the change"} == {"without shortcut"}
