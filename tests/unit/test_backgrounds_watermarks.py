"""Writing laid over photographs, and what it does to the logits."""

import pytest
import torch

from course_utils.backgrounds import (
    CHANGES,
    DOSES,
    MATCHED,
    SCRIPTS,
    STAMPS,
    measure_watermarks,
    stamp,
    stamped_photographs,
    watermark,
    watermarks,
)
from course_utils.networks import load_classifier
from course_utils.pictures import list_photos, load_photo


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_writing_is_where_it_is_asked_for(script):
    ink = watermark(script)
    assert ink.shape == (224, 224) and ink.min() == 0 and (0.9 < ink.max() <= 1 or script == "plate")
    rows, columns = (ink.sum(dim).nonzero().flatten() for dim in (1, 0))
    # Six characters of 36 pixels in the middle of the width, at two fifths of the height.
    assert abs((rows.min() + rows.max()).item() / 2 - 0.4 * 224) < 6 and rows.max() - rows.min() < 40
    assert abs((columns.min() + columns.max()).item() / 2 - 112) < 6 and columns.max() - columns.min() <= 218


def test_the_bar_has_as_much_ink_as_the_first_writing():
    writing, bar = watermark("shortcut"), watermark("bar")
    assert bar.mean() == pytest.approx(writing.mean().item(), rel=0.05)
    assert bar.amax(1).count_nonzero() < writing.amax(1).count_nonzero() / 2  # far fewer rows


def test_changes_keep_the_ink():
    written = watermark()
    for change in CHANGES:
        found = watermark(change=change)
        assert found.mean() == pytest.approx(written.mean().item(), rel=0.02)
        assert torch.equal(found, written) == (change == "as written")
    torch.testing.assert_close(watermark(change="mirrored").flip(1), written, atol=0.5, rtol=0)
    shuffled = watermark(change="shuffled")
    torch.testing.assert_close(shuffled.sum(1), written.sum(1), atol=6, rtol=0.1)  # each row keeps its ink


def test_size_place_and_what_reaches_out():
    assert watermark(size=448).mean() == pytest.approx(watermark().mean().item(), rel=0.05)
    assert watermark(height=0.08).mean() == pytest.approx(watermark(height=0.16).mean().item() / 4, rel=0.1)
    corner = watermark(place=(0, 0))
    assert corner[20:].max() == 0 and corner[:18, :110].max() > 0.9
    assert watermark(place=(0.5, 1)).sum() < watermark().sum() * 0.7


def test_stamping_is_the_formula():
    images, ink = torch.rand(2, 3, 224, 224), watermark()
    found = stamp(images, ink, 0.25)
    for row, column in ((90, 30), (90, 111), (5, 5)):
        m = ink[row, column]
        expected = images[..., row, column] * (1 - 0.25 * m) + 0.25 * m
        torch.testing.assert_close(found[..., row, column], expected)
    assert torch.equal(stamp(images, ink, 0), images) and stamp(images, ink, 1).max() <= 1


def test_the_plate_is_as_large_as_the_writing_and_even():
    writing, plate = (
        watermark(size=448),
        watermark("plate", size=448),
    )  # not scaled much: 72 pixels in the file
    assert plate.sum() == pytest.approx(writing.sum().item(), rel=0.02)
    assert ((plate > 0) >= (writing > 0.1)).all() and plate[plate > 0.2].std() < 0.02


def test_pieces_keep_their_strokes_and_lose_their_place():
    size = round(224 * 72 / 36)  # one pixel of the file is one of the picture
    for change, side in {"in pieces": 16, "in small pieces": 8}.items():
        written, cut = watermark(size=size), watermark(size=size, change=change)
        top = round(0.4 * size - 40)
        rows = [ink[top : top + 80].unfold(0, side, side).unfold(1, side, side).reshape(-1, side * side)
                for ink in (written, cut)]  # fmt: skip
        order = [sorted(map(tuple, each.tolist())) for each in rows]
        assert order[0] == order[1] and not torch.equal(written, cut)


@pytest.mark.parametrize("script", MATCHED)
def test_as_much_ink_and_as_large_a_change(script):
    images = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0)) ** 2  # not white
    wanted = watermark().sum()
    found = ((stamped_photographs(images, f"{script}, same ink") - images) / (1 - images) / 0.5).mean(
        (1, 2, 3)
    )
    torch.testing.assert_close(found * 224 * 224, wanted.expand(3), rtol=0.05, atol=0)
    changes = [
        (stamped_photographs(images, name) - images).abs().mean((1, 2, 3))
        for name in ("shortcut", f"{script}, same change")
    ]
    torch.testing.assert_close(changes[1], changes[0], rtol=1e-4, atol=0)


def test_where_white_is_not_enough_the_opacity_is_one():
    images = torch.full((2, 3, 224, 224), 0.2)
    opacity = watermarks.opacity_for(images, watermark("Hiragana"), torch.tensor([0.001, 0.5]))
    assert opacity[0] < 0.1 and opacity[1] == 1


def test_each_image_can_have_its_own_opacity():
    images, ink = torch.rand(3, 3, 224, 224), watermark()
    found = stamp(images, ink, torch.tensor([0.0, 0.25, 1.0]))
    for n, opacity in enumerate((0.0, 0.25, 1.0)):
        torch.testing.assert_close(found[n : n + 1], stamp(images[n : n + 1], ink, opacity))


def test_doses_and_small_ones_are_what_their_names_say():
    images = torch.zeros(1, 3, 224, 224)
    shown = {name: stamped_photographs(images, name)[0, 0] for kind in DOSES.values() for name in kind}
    assert torch.equal(shown["opacity 0.3"], 0.3 * watermark())
    assert torch.equal(shown["height 0.08"], 0.5 * watermark(height=0.08))
    assert torch.equal(shown["place 0.9"], 0.5 * watermark(place=(0.5, 0.9)))
    four = stamped_photographs(images, "four small ones")[0, 0]
    assert four.sum() == pytest.approx(0.5 * watermark().sum().item(), rel=0.05) and four.max() <= 0.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: watermark("Cyrillic"), "no writing 'Cyrillic', only shortcut, study"),
        (lambda: watermark(change="italic"), "change must be one of .*got 'italic'"),
        (lambda: watermark(height=36), r"height 36 and place .* are shares"),
        (lambda: watermark(place=(112, 90)), r"place \(112, 90\) are shares"),
        (lambda: watermark(size=0), "size must be .*0"),
        (lambda: stamp(torch.rand(1, 3, 240, 240), watermark()), r"\(224, 224\) .* \(240, 240\).*size=240"),
        (lambda: stamp(torch.rand(1, 3, 224, 224), watermark(), 50), "between 0 and 1, got 50"),
        (lambda: stamp(torch.rand(1, 3, 224, 224), watermark(), float("nan")), "between 0 and 1, got nan"),
        (lambda: stamp(torch.rand(2, 3, 224, 224), watermark(), torch.ones(3)), r"all 2 images.*\(3,\)"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_study_is_what_a_loop_finds(monkeypatch):
    names = list_photos()[:2]
    monkeypatch.setattr("course_utils.backgrounds.watermark_study.list_photos", lambda: names)
    monkeypatch.setattr("course_utils.backgrounds.watermark_study.STAMPS", {"bar": STAMPS["bar"]})
    monkeypatch.setattr("course_utils.backgrounds.watermark_study.MATCHED", ())
    monkeypatch.setattr("course_utils.backgrounds.watermark_study.DOSES", {k: {} for k in DOSES})
    clf = load_classifier(device="cpu")
    rows = list(measure_watermarks(clf, progress=False))
    carton, rises = clf.class_index("carton"), []
    for name in names:
        image = load_photo(name).tensor()
        with torch.no_grad():
            rises.append((clf(stamp(image, watermark("bar"))) - clf(image))[0])
        (found,) = [row.value for row in rows if (row.photo, row.measure, row.map) == (name, "rise", "bar")]
        assert found == pytest.approx(rises[-1][carton].item(), abs=1e-3)
    (above,) = [
        row.value for row in rows if (row.measure, row.map) == ("classes that rise more than carton", "bar")
    ]
    mean = torch.stack(rises).mean(0)
    assert above == (mean > mean[carton]).sum() and {row.network for row in rows} == {"efficientnet_lite0"}
