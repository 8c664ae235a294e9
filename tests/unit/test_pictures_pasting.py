"""``composites``: what is said to be where is compared with what black and white backgrounds show through."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from course_utils.networks import imagenet_classes, load_classifier
from course_utils.pictures import composites, list_photos, list_textures, load_photo, pasting

SHARP = {"flower": 1, "cat": 6}  # of 255; the cat's box may differ by a pixel
BLACK, WHITE = (Image.new("RGB", (8, 8), color) for color in ("black", "white"))


def opacity(**options):
    """Opacity of what was pasted, (H, W): how little of a white and a black background shows through."""
    dark, light = (composites(1, background=ground, **options)[0] for ground in (BLACK, WHITE))
    difference = np.asarray(light.image, dtype=float) - np.asarray(dark.image, dtype=float)
    return dark, 1 - difference.mean(axis=2) / 255


def same(a, b):
    assert np.array_equal(np.asarray(a.image), np.asarray(b.image))
    assert a.background == b.background and len(a.objects) == len(b.objects)
    for one, other in zip(a.objects, b.objects, strict=True):
        assert (one.name, one.box, one.visible, one.flipped) == (
            other.name,
            other.box,
            other.visible,
            other.flipped,
        )
        assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("name", list_photos())
def test_mask_is_what_hides_the_background(name):
    for number in range(3):
        made, alpha = opacity(names=[name], start=number, seed=5, scale=(0.3, 1.0))
        (thing,) = made.objects
        assert np.array_equal(thing.mask, alpha >= 0.5)
        assert thing.name == name and thing.labels == load_photo(name).labels
        assert thing.visible == 1
        # Solid inside, nothing outside, and a soft edge of few pixels between.
        soft = (alpha > 0.02) & (alpha < 0.98)
        length = np.count_nonzero(thing.mask[1:] != thing.mask[:-1]) + np.count_nonzero(
            thing.mask[:, 1:] != thing.mask[:, :-1]
        )
        assert 0 < soft.sum() < 4 * length


def test_box_is_the_smallest_half_open_one_around_the_mask():
    for made in composites(12, objects=(1, 3), scale=(0.3, 0.6)):
        for thing in made.objects:
            ys, xs = np.nonzero(thing.mask)
            assert thing.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_scale_is_the_longer_side():
    for made in composites(20, scale=(0.5, 0.6), size=200):
        x0, y0, x1, y1 = made.objects[0].box
        assert 100 - 3 <= max(x1 - x0, y1 - y0) <= 120 + 3


def error(made, thing, mirrored=False):
    """Mean difference of an object's pixels from the photograph, cut out, scaled and mirrored with Pillow alone."""
    x0, y0, x1, y1 = thing.box
    photo = load_photo(thing.name)
    expected = photo.image.crop(photo.box).resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC)
    expected = ImageOps.mirror(expected) if thing.flipped != mirrored else expected
    found = np.asarray(made.image.crop(thing.box), dtype=float)
    return np.abs(found - np.asarray(expected))[thing.mask[y0:y1, x0:x1]].mean()


@pytest.mark.parametrize("name", ["flower", "cat"])
def test_pixels_are_those_of_the_photograph(name):
    for made in composites(4, names=[name], scale=(0.8, 0.9)):
        (thing,) = made.objects
        assert error(made, thing) < SHARP[name]
        assert error(made, thing, mirrored=True) > 10


def test_the_topmost_object_is_seen_whole():
    covering = [
        made
        for made in composites(12, names=["flower", "cat"], objects=2, scale=(0.6, 0.8))
        if made.objects[0].visible < 0.9
    ]
    assert len(covering) >= 4
    for made in covering:
        assert error(made, made.objects[1]) < SHARP[made.objects[1].name]


def test_the_later_object_covers_the_earlier_one():
    for number in range(8):
        options = {"objects": 3, "scale": (0.5, 0.7), "seed": 2, "start": number}
        made, alpha = opacity(**options)
        masks = np.stack([thing.mask for thing in made.objects])
        assert masks.sum(axis=0).max() == 1  # no pixel belongs to two
        assert not (masks.any(axis=0) & (alpha < 0.49)).any()
        # At an edge two half-transparent objects may hide more than half together.
        assert ((alpha >= 0.5) & ~masks.any(axis=0)).mean() < 0.005
        assert made.objects[-1].visible == 1
        assert all(pasting.LEAST_VISIBLE <= thing.visible <= 1 for thing in made.objects)
        assert len({thing.name for thing in made.objects}) == 3


def test_some_do_overlap():
    shares = [made.objects[0].visible for made in composites(20, objects=2, scale=(0.6, 0.8))]
    assert min(shares) < 0.8 and max(shares) == 1


def test_cut_off_by_the_edge_only_if_asked():
    def touches(thing):
        return thing.mask[[0, -1]].any() or thing.mask[:, [0, -1]].any()

    cut = composites(25, names=["flower"], overhang=0.4, scale=(0.6, 0.8), seed=1)
    assert sum(made.objects[0].visible < 0.95 for made in cut) > 8
    assert all(touches(made.objects[0]) for made in cut if made.objects[0].visible < 1)
    assert all(made.objects[0].visible >= pasting.LEAST_VISIBLE for made in cut)
    assert all(thing.visible == 1 for made in composites(10) for thing in made.objects)


def test_the_same_object_twice():
    for made in composites(3, names=["cat"], objects=2, scale=(0.3, 0.4)):
        assert [thing.name for thing in made.objects] == ["cat", "cat"]


def test_number_i_depends_on_seed_and_i_alone():
    long = composites(7, seed=4, objects=(1, 2), scale=(0.4, 0.6))
    short = composites(3, seed=4, objects=(1, 2), scale=(0.4, 0.6))
    for a, b in zip(short, long, strict=False):
        same(a, b)
    same(long[6], composites(1, seed=4, objects=(1, 2), scale=(0.4, 0.6), start=6)[0])
    first, other = composites(1)[0], composites(1, seed=1)[0]
    assert not np.array_equal(np.asarray(first.image), np.asarray(other.image))


def test_nothing_is_shared_with_the_caller():
    made = composites(1)[0]
    with pytest.raises(ValueError, match="read-only"):
        made.objects[0].mask[0, 0] = True
    made.image.paste("red", (0, 0, 224, 224))
    made.objects[0].labels.clear()
    again = composites(1)[0]
    assert np.asarray(again.image).std() > 10 and again.objects[0].labels


def test_all_objects_and_textures_come_up():
    made = composites(60, size=64)
    assert {m.objects[0].name for m in made} == set(list_photos("skimage", "sklearn")) - {"astronaut"}
    assert all(m.photos == [m.objects[0].name, m.background] for m in made), "whom a caption credits"
    assert {m.background for m in made} == set(list_textures())
    assert {m.objects[0].flipped for m in made} == {False, True}
    assert {label for m in made for label in m.objects[0].labels} <= set(imagenet_classes())


def test_tensor_and_sizes():
    made = composites(1, size=96, background="brick")[0]
    assert made.background == "brick"
    assert made.image.size == (96, 96) and made.objects[0].mask.shape == (96, 96)
    tensor = made.tensor()
    assert tensor.shape == (1, 3, 96, 96) and tensor.dtype == torch.float32
    assert np.array_equal((tensor[0].permute(1, 2, 0) * 255).round().byte().numpy(), np.asarray(made.image))
    assert composites(0) == []


def test_own_background():
    ground = load_photo("palace").image
    made = composites(1, background=ground, names=["cat"], scale=(0.3, 0.4))[0]
    expected = np.asarray(ImageOps.fit(ground, (224, 224), Image.Resampling.BICUBIC))
    away = ~made.objects[0].mask
    assert made.background == "own" and made.photos == ["cat"]
    assert np.abs(np.asarray(made.image).astype(int) - expected)[away].mean() < 1


def test_the_network_recognizes_a_good_share():
    """Over 200 with seed 0: 49% right at first guess, 68% within five; never the rocket, taken for a matchstick."""
    classifier = load_classifier()
    made = composites(24, seed=8)
    with torch.no_grad():
        best = classifier(torch.cat([m.tensor() for m in made])).topk(5).indices.tolist()
    right = [
        [bool({classifier.classes[i] for i in row[:k]} & set(m.objects[0].labels)) for k in (1, 5)]
        for row, m in zip(best, made, strict=True)
    ]
    first, five = np.mean(right, axis=0)
    assert 0.4 < first < 0.8 and 0.6 < five < 0.95
