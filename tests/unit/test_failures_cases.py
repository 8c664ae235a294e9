"""Pictures with truth and twins: masks, exactness of the twins, plain crops."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from course_utils.failures import (
    ALSO_SHOWN,
    DOUBTFUL,
    FAMILIES,
    PARTS,
    VIEWS,
    WHOLE,
    composite_cases,
    crop_cases,
)
from course_utils.pictures import list_photos, list_textures, load_photo

N = 2 * len(FAMILIES)


@pytest.fixture(scope="module")
def cases():
    return composite_cases(N, seed=5)


@pytest.fixture(scope="module")
def photos():
    return crop_cases(["palace", "flower", "spoonbill"])


def pixels(image):
    return np.asarray(image).astype(int)


def test_the_parts_tile_the_picture(cases, photos):
    for case in cases + photos:
        total = sum(case.masks[part].astype(int) for part in PARTS)
        assert (total == 1).all() and case.masks["object"].any()
        assert set(case.twins) == {part for part in PARTS if case.masks[part].any()}
        assert case.image.size == (224, 224) and all(twin.size == (224, 224) for twin in case.twins.values())


def test_families_take_turns_and_numbers_do_not_depend_on_n(cases):
    assert [case.family for case in cases] == [*FAMILIES, *FAMILIES]
    again = composite_cases(1, seed=5, start=6)[0]
    assert (pixels(again.image) == pixels(cases[6].image)).all() and again.name == cases[6].name
    assert (pixels(composite_cases(1, seed=6)[0].image) != pixels(cases[0].image)).any()


def inner(mask, steps=4):
    """The mask less a margin, into which softened edges do not reach."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def test_a_twin_differs_where_its_part_was_and_nowhere_else(cases):
    for case in cases:
        for part, twin in case.twins.items():
            differs = np.abs(pixels(twin) - pixels(case.image)).max(2) > 1  # 1: a pixel may be 99.9% object
            assert differs[inner(case.masks[part])].mean() > (0.9 if part != "context" else 0.8)
            for other in PARTS:
                if other != part:
                    # Thin legs that make up less than half of their pixels are context by the mask.
                    stays = inner(case.masks[other])
                    assert differs[stays].sum() <= 0.003 * stays.sum(), (case.family, part, other)


def test_the_context_can_be_gray_or_a_texture():
    gray, texture = (composite_cases(4, seed=5, instead=kind) for kind in ("gray", "texture"))
    for one, two in zip(gray, texture, strict=True):
        assert (pixels(one.image) == pixels(two.image)).all()
        where = inner(one.masks["context"])
        assert (pixels(one.twins["context"])[where] == 128).all()
        assert pixels(two.twins["context"])[where].std() > 5
        assert (pixels(two.twins["context"])[where] != pixels(one.image)[where]).any(1).mean() > 0.9


def test_small_objects_are_small_and_others_stay_visible():
    for case in composite_cases(12, seed=1):
        longer = max(np.ptp(axis) + 1 for axis in np.nonzero(case.masks["object"]))
        low, high = (0.12, 0.3) if case.family == FAMILIES[1] else (0.3, 0.9)
        assert low * 224 - 4 <= longer <= high * 224 + 4
        assert case.masks["other object"].any() == (case.family in FAMILIES[2:])


def test_composites_of_other_photographs_name_what_they_show():
    names = ["goose", "eagle", "yurt"]
    made = composite_cases(8, seed=3, names=names)
    for case in made:
        assert case.name in names and list(case.labels) == load_photo(case.name).labels
        assert bool(case.also) == (case.family in FAMILIES[2:])
        if case.also:
            assert case.also in {tuple(load_photo(name).labels) for name in names if name != case.name}
    default = composite_cases(4, seed=5)
    seven = composite_cases(4, seed=5, names=list_photos("skimage", "sklearn", labeled=True))
    assert all((pixels(a.image) == pixels(b.image)).all() for a, b in zip(default, seven, strict=True))


def test_each_picture_names_the_photographs_that_are_seen_in_it(cases, photos):
    assert all(case.photos == (case.name,) for case in photos)
    for case in composite_cases(16, seed=7, names=["goose", "eagle", "yurt"]):
        beside, within = (case.family == family for family in FAMILIES[2:])
        others, grounds = (
            (set(case.photos) - {case.name}) - set(list_textures()),
            set(case.photos) & set(list_textures()),
        )
        assert case.photos[0] == case.name and len(others) == beside + within
        assert len(grounds) == (not within)
        if others:
            assert list(case.also) == load_photo(others.pop()).labels


def test_the_whole_picture_and_what_its_twins_lose(photos):
    whole = [case for case in photos if case.family == WHOLE]
    assert [case.name for case in whole] == ["palace", "flower", "spoonbill"]
    for case in whole:
        square = load_photo(case.name).square(224)
        assert (pixels(case.image) == pixels(square.image)).all()
        assert (case.masks["object"] == square.mask).all() and list(case.labels) == square.labels
        twin = pixels(case.twins["object"])
        inside = twin[square.mask]
        assert (inside == inside[0]).all() and (twin[~square.mask] == pixels(case.image)[~square.mask]).all()
        mean = pixels(case.image)[~square.mask].mean(0)
        assert np.abs(inside[0] - mean).max() <= 0.5 + 1e-9
        assert (pixels(case.twins["context"])[square.mask] == pixels(case.image)[square.mask]).all()


@pytest.mark.parametrize("size", [224, 240])
def test_ten_crops_as_an_evaluation_takes_them(size):
    """Against torchvision's own ten crops, of a photograph that is wider than high."""
    from torchvision.transforms import functional

    cases = crop_cases(["palace"], size)
    assert [case.family for case in cases] == [WHOLE, *VIEWS] and len(VIEWS) == 10
    photo = load_photo("palace")
    short = round(size * 256 / 224)
    long = round(short * photo.image.width / photo.image.height)
    image = photo.image.convert("RGB").resize((long, short), Image.Resampling.BICUBIC)
    five = functional.five_crop(image, size)
    for n, crop in enumerate(five):
        plain, mirrored = cases[1 + 2 * n], cases[2 + 2 * n]
        # Torchvision rounds the place of the center, so that it may lie one pixel off.
        near = [crop]
        if n == 4:
            y, x = ((side - size) // 2 for side in (short, long))
            near = [functional.crop(image, y + dy, x + dx, size, size) for dy in (0, 1) for dx in (0, 1)]
        assert any((pixels(plain.image) == pixels(one)).all() for one in near)
        assert (pixels(mirrored.image) == pixels(plain.image)[:, ::-1]).all()
        assert (mirrored.masks["object"] == plain.masks["object"][:, ::-1]).all()


def test_crops_move_picture_and_mask_alike(monkeypatch):
    """A photograph that is white on its object and black elsewhere shows its mask, however it is cut."""
    from dataclasses import replace

    photo = load_photo("palace")
    white = Image.fromarray(np.repeat(255 * photo.mask[..., None].astype(np.uint8), 3, axis=2))
    monkeypatch.setattr("course_utils.failures.cases.load_photo", lambda name: replace(photo, image=white))
    for case in crop_cases(["palace"]):
        assert ((pixels(case.image).mean(2) > 127) == case.masks["object"]).mean() > 0.98


def test_a_crop_without_its_object_has_no_twin_without_it(monkeypatch):
    from dataclasses import replace

    photo = load_photo("palace")
    corner = np.zeros_like(photo.mask)
    corner[:20, :20] = True
    monkeypatch.setattr("course_utils.failures.cases.load_photo", lambda name: replace(photo, mask=corner))
    found = {case.family: set(case.twins) for case in crop_cases(["palace"])}
    assert found["top left"] == {"object", "context"} and found["bottom right"] == {"context"}


def test_what_is_also_shown_and_what_is_in_doubt():
    photos = list_photos(labeled=True)
    assert set(DOUBTFUL) <= set(photos) and set(ALSO_SHOWN) <= set(photos)
    for case in crop_cases(["palace", "jeep"]):
        assert case.also == ALSO_SHOWN.get(case.name, ())
    assert all(load_photo(name).label_note for name in DOUBTFUL)
    assert {case.name for case in crop_cases()} == set(photos)


def test_tensors(cases):
    case = cases[2]
    assert case.tensor().shape == (1, 3, 224, 224) and 0 <= case.tensor().min() <= case.tensor().max() <= 1
    assert (case.tensor("other object")[0].permute(1, 2, 0) * 255).round().int().numpy().tolist() == pixels(
        case.twins["other object"]
    ).tolist()
