"""Pictures with truth and twins: masks, exactness of the twins, corruptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from course_utils.failures import FAMILIES, PARTS, composite_cases, photo_cases
from course_utils.failures import cases as cases_module
from course_utils.pictures import load_photo

N = 2 * len(FAMILIES)


@pytest.fixture(scope="module")
def cases():
    return composite_cases(N, seed=5)


@pytest.fixture(scope="module")
def photos():
    return photo_cases(seed=5)


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


def test_photographs_whole_and_corrupted(photos):
    assert len(photos) == 7 * 7
    whole = [case for case in photos if case.family == "whole"]
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


@pytest.mark.parametrize("kind", cases_module.CORRUPTIONS)
def test_a_corruption_moves_picture_and_mask_alike(kind):
    """A photograph that is white on its object and black elsewhere shows its mask, whatever is done to it."""
    photo = load_photo("flower").square(224)
    white = np.repeat(255 * photo.mask[..., None].astype(np.uint8), 3, axis=2)
    photo = replace(photo, image=Image.fromarray(white))
    for strength in cases_module.CORRUPTIONS[kind]:
        image, mask = cases_module.corrupt(photo, kind, strength, seed=2)
        bright = pixels(image).mean(2) > (200 if kind == "small" else 127)
        assert (bright == mask).mean() > 0.97 and mask.any()


def test_strengths():
    photo = load_photo("cat").square(224)
    assert (pixels(cases_module.corrupt(photo, "crop", 1.0)[0]) == pixels(photo.image)).all()
    assert (pixels(cases_module.corrupt(photo, "small", 1.0)[0]) == pixels(photo.image)).all()
    image, mask = cases_module.corrupt(photo, "small", 0.25, seed=1)
    assert (pixels(image) != 128).any(2).sum() <= 56**2 and mask.sum() < 56**2
    weak, strong = (pixels(cases_module.corrupt(photo, "blur", s)[0]) for s in (1, 5))
    assert np.abs(np.diff(strong, axis=0)).mean() < np.abs(np.diff(weak, axis=0)).mean()
    assert (pixels(photo.image) == pixels(load_photo("cat").square(224).image)).all()


def test_tensors(cases):
    case = cases[2]
    assert case.tensor().shape == (1, 3, 224, 224) and 0 <= case.tensor().min() <= case.tensor().max() <= 1
    assert (case.tensor("other object")[0].permute(1, 2, 0) * 255).round().int().numpy().tolist() == pixels(
        case.twins["other object"]
    ).tolist()
