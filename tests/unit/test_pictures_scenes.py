"""``scenes``: what is said to be where is compared with the same scenes without their objects."""

import time

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from course_utils.pictures import COLORS, SHAPES, drawn_scenes, drawn_shapes, scenes

# Machado, Oliveira & Fernandes 2009, severity 1: what linear RGB looks like to the color-blind.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def same(a, b, rows=slice(None)):
    assert torch.equal(a.images, b.images[rows])
    assert torch.equal(a.labels, b.labels[rows])
    assert torch.equal(a.masks, b.masks[rows])
    assert a.boxes == b.boxes[rows] and a.backgrounds == b.backgrounds[rows]
    names = [[(t.name, t.color, t.center, t.extent, t.visible) for t in things] for things in a.objects]
    assert names == [[(t.name, t.color, t.center, t.extent, t.visible) for t in x] for x in b.objects[rows]]


def difference(**options):
    """The scenes, and where they differ from the same scenes without objects: (n, H, W), the largest of R, G, B."""
    full, bare = scenes(**options), scenes(**options, empty=True)
    assert full.boxes == bare.boxes
    return full, (full.images - bare.images).abs().amax(dim=1)


def test_shapes_and_types():
    made = scenes(3, size=48, objects=(1, 3))
    assert len(made) == 3 and made.classes == SHAPES and len(SHAPES) == 10 and "hydrant" in SHAPES
    assert made.images.shape == (3, 3, 48, 48) and made.images.dtype == torch.float32
    assert made.images.min() >= 0 and made.images.max() <= 1 and made.images.is_contiguous()
    assert made.masks.shape == (3, 3, 48, 48) and made.masks.dtype == torch.bool
    assert made.labels.shape == (3,) and made.labels.dtype == torch.int64
    assert [SHAPES[i] for i in made.labels] == [things[0].name for things in made.objects]


def test_masks_are_where_the_object_changes_the_picture():
    made, change = difference(n=80, seed=3)
    mask = made.masks[:, 0]
    assert (change[mask] > 0.02).float().mean() > 0.93  # some parts have the background's color
    # Outside only half-transparent pixels at the edge change, and tips too thin to fill half a pixel.
    near, far = (torch.nn.functional.max_pool2d(mask.float(), k, 1, k // 2) > 0 for k in (3, 9))
    assert change[~far].max() == 0
    assert (change[~near] > 0).float().mean() < 2e-4
    assert (change[near & ~mask] > 0.02).float().mean() < 0.5


def test_shapes_are_as_large_as_asked_and_whole():
    for name in SHAPES:
        ink, alpha = drawn_shapes.draw_shape(name, COLORS["red"], drawn_shapes.Pose(40, 0.2, 1.1, False))
        assert ink.shape == (*alpha.shape, 3) and alpha.min() == 0 and alpha.max() == 1
        rows, columns = (np.flatnonzero((alpha >= 0.5).any(axis=axis)) for axis in (1, 0))
        assert abs(max(np.ptp(rows), np.ptp(columns)) + 1 - 40) <= 1.5
        # The four edges of the drawing are empty: nothing was cut off.
        assert alpha[[0, -1]].max() == 0 and alpha[:, [0, -1]].max() == 0


@pytest.mark.parametrize("stretch", [0.85, 1.18])
def test_stretch_and_flip(stretch):
    """The house's roof is 2 wide, and 1.84 from top to bottom; its chimney stands on the right."""
    plain, flipped = (
        drawn_shapes.draw_shape("house", COLORS["blue"], drawn_shapes.Pose(60, 0, stretch, f))
        for f in (False, True)
    )
    rows, columns = (np.flatnonzero((plain[1] >= 0.5).any(axis=axis)) for axis in (1, 0))
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(2 / 1.84 * stretch, rel=0.04)
    solid = plain[1] >= 0.5
    assert np.abs(plain[1][:, columns] - flipped[1][:, columns[::-1]]).mean() < 0.03
    top = solid[rows[: len(rows) // 4]]
    assert top[:, columns[len(columns) // 2 :]].sum() > 1.3 * top[:, columns[: len(columns) // 2]].sum()


def test_boxes_are_the_smallest_half_open_ones():
    made = scenes(40, objects=(1, 4), seed=2)
    for number, boxes in enumerate(made.boxes):
        for place, (x0, y0, x1, y1) in enumerate(boxes):
            ys, xs = torch.nonzero(made.masks[number, place], as_tuple=True)
            assert (x0, y0, x1, y1) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert not made.masks[number, len(boxes) :].any()


def test_several_objects():
    made, change = difference(n=40, objects=(2, 4), seed=5)
    assert {len(things) for things in made.objects} == {2, 3, 4}
    assert made.masks.sum(dim=1).max() == 1  # no pixel belongs to two
    assert (change[made.masks.any(dim=1)] > 0.02).float().mean() > 0.9
    shares = [thing.visible for things in made.objects for thing in things]
    assert drawn_scenes.LEAST_VISIBLE <= min(shares) < 0.95 and max(shares) == 1
    assert all(things[-1].visible == 1 for things in made.objects)
    painted = made.segmentation
    assert torch.equal(painted > 0, made.masks.any(dim=1))
    for number, things in enumerate(made.objects):
        for thing in things:
            assert (painted[number][torch.from_numpy(thing.mask.copy())] == 1 + thing.label).all()
            assert SHAPES[thing.label] == thing.name and thing.color in COLORS


def test_center_and_extent_are_those_of_the_box():
    for things in scenes(20, seed=4).objects:
        x0, y0, x1, y1 = things[0].box
        assert things[0].visible == 1
        assert things[0].center == pytest.approx(((x0 + x1) / 128, (y0 + y1) / 128))
        assert things[0].extent == pytest.approx(max(x1 - x0, y1 - y0) / 64)
        assert 0.35 - 1 / 32 <= things[0].extent <= 0.75 + 1 / 32


def test_colors_are_those_named():
    """The color that prevails among an object's pixels is the nearest to the one in its record."""
    palette = torch.tensor(list(COLORS.values())) / 255
    made = scenes(60, seed=6, shapes=["hydrant", "star", "fish", "key"], scale=(0.5, 0.7))
    right = 0
    for number, things in enumerate(made.objects):
        pixels = made.images[number][:, made.masks[number, 0]].T
        nearest = torch.cdist(pixels, palette).argmin(dim=1).bincount(minlength=6).argmax()
        right += list(COLORS)[nearest] == things[0].color
    assert right >= 54


def test_kind_color_and_background_are_independent():
    made = scenes(900, size=32, scale=(0.4, 0.5), clutter=(0, 0))
    for table, cells in (
        ([(t[0].name, t[0].color) for t in made.objects], 60),
        ([(t[0].name, g) for t, g in zip(made.objects, made.backgrounds, strict=True)], 50),
    ):
        counts = [table.count(pair) for pair in set(table)]
        assert len(counts) == cells
        expected = 900 / cells
        assert sum((c - expected) ** 2 / expected for c in counts) < cells + 4 * (2 * cells) ** 0.5
    assert set(made.backgrounds) == set(drawn_shapes.BACKGROUNDS)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colors_differ_for_everyone(blindness):
    colors = np.array(list(COLORS.values())) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(BLINDNESS[blindness]).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    pairs = [(i, j) for i in range(len(lab)) for j in range(i)]
    assert min(deltaE_ciede2000(lab[i], lab[j]) for i, j in pairs) > 10


def test_number_i_depends_on_seed_and_i_alone():
    options = {"seed": 9, "objects": (1, 3)}
    long = scenes(6, **options)
    same(scenes(4, **options), long, slice(4))
    same(scenes(2, **options, start=4), long, slice(4, 6))
    assert not torch.equal(scenes(1, seed=1).images, scenes(1, seed=2).images)


def test_the_same_under_another_number_of_threads():
    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made.append(scenes(5, seed=3, objects=(1, 3)))
    finally:
        torch.set_num_threads(before)
    same(*made)


def test_choosing():
    made = scenes(30, shapes=["cup", "key"], colors=["blue"], background="wall", size=40)
    assert {things[0].name for things in made.objects} == {"cup", "key"}
    assert {things[0].color for things in made.objects} == {"blue"}
    assert set(made.backgrounds) == {"wall"}
    assert {SHAPES[i] for i in made.labels} == {"cup", "key"}


def test_clutter_is_drawn():
    plain, crowded = (scenes(5, clutter=c, empty=True, background="sand") for c in ((0, 0), (60, 60)))
    steps = [made.images.diff(dim=-1).abs().mean() for made in (plain, crowded)]
    assert steps[1] > 1.3 * steps[0]


def test_masks_of_the_records_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        scenes(1).objects[0][0].mask[0] = True


def test_fast_enough():
    scenes(5)
    start = time.process_time()
    scenes(100)
    assert 100 / (time.process_time() - start) > 200
