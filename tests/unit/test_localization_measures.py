"""Boxes, IoU, error rates and the other measures, against pixel counting, flood fill and numbers worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from course_utils.explain import heatmaps
from course_utils.localization import (
    box_from_heatmap,
    classification_error,
    energy_inside,
    iou,
    localization_error,
    mask_iou,
    pointing_game,
)

# ---------------------------------------------------------------------------------------------- boxes from maps


def components_by_hand(marked):
    """Lists of (row, column): flood fill over the eight neighbors, started in reading order."""
    height, width = marked.shape
    left = {(i, j) for i in range(height) for j in range(width) if marked[i, j]}
    found = []
    for start in [(i, j) for i in range(height) for j in range(width)]:
        if start not in left:
            continue
        left.remove(start)
        component, waiting = [], [start]
        while waiting:
            i, j = waiting.pop()
            component.append((i, j))
            for neighbor in [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if neighbor in left:
                    left.remove(neighbor)
                    waiting.append(neighbor)
        found.append(component)
    return found


def box_by_hand(heatmap, threshold):
    peak = heatmap.max()
    if peak == heatmap.min():
        return None
    # max takes the first of several equally large ones, which were found in reading order
    largest = max(components_by_hand((heatmap >= threshold * peak) & (heatmap > 0)), key=len)
    rows, columns = zip(*largest, strict=True)
    return (min(columns), min(rows), max(columns) + 1, max(rows) + 1)


small_maps = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.integers(0, 8).map(lambda level: level / 8),
)


@given(small_maps, st.sampled_from([0.05, 0.125, 0.15, 0.5, 1.0]))
def test_box_is_that_of_flood_fill(heatmap, threshold):
    assert box_from_heatmap(heatmap, threshold) == box_by_hand(heatmap, threshold)


@given(small_maps, st.sampled_from([0.15, 0.5]), st.sampled_from([2.0**-1060, 2.0**-20, 4.0, 2.0**1000]))
def test_box_does_not_depend_on_the_scale(heatmap, threshold, factor):
    assert box_from_heatmap(heatmap * factor, threshold) == box_from_heatmap(heatmap, threshold)


def test_the_smallest_of_numbers_is_not_taken_for_the_background():
    heatmap = np.zeros((4, 4))
    heatmap[2, 1] = 5e-324  # times 0.15, it is zero
    assert box_from_heatmap(heatmap) == (1, 2, 2, 3)


def test_box_of_a_map_worked_out_by_hand():
    heatmap = np.zeros((6, 8))
    heatmap[0, 0] = 100  # the maximum, alone
    heatmap[2, 3:6] = 16  # 16% of it
    heatmap[3, 6] = 15  # touches by a corner, and is 15% exactly
    heatmap[5, 6:] = 14
    assert box_from_heatmap(heatmap) == (3, 2, 7, 4)
    assert box_from_heatmap(heatmap, 0.16) == (3, 2, 6, 3)
    assert box_from_heatmap(heatmap, 0.14) == (3, 2, 7, 4)  # row 5 does not touch row 3
    assert box_from_heatmap(heatmap, 0.2) == (0, 0, 1, 1)


def test_default_threshold_is_that_of_the_paper():
    heatmap = np.array([[1.0, 0.15, 0.149]])
    assert box_from_heatmap(heatmap) == (0, 0, 2, 1)


def test_of_two_equally_large_components_the_first_in_reading_order_counts():
    heatmap = np.zeros((5, 9))
    heatmap[3, 0:2] = 1  # further left, but lower; the peak as well
    heatmap[1, 7:9] = 0.5
    assert box_from_heatmap(heatmap) == (7, 1, 9, 2)
    assert box_from_heatmap(heatmap[::-1]) == (0, 1, 2, 2)


def test_a_map_that_is_positive_everywhere_may_be_marked_everywhere():
    slope = np.linspace(0.2, 1, 15).reshape(3, 5)
    assert box_from_heatmap(slope) == (0, 0, 5, 3)


@pytest.mark.parametrize(
    "flat",
    [
        *[np.full((3, 5), value) for value in (0.0, 1.0, 1e-30, 7)],
        np.ones((1, 1)),
        np.full((4, 4), 200, np.uint8),
        torch.full((3, 5), 0.3, dtype=torch.bfloat16),
        # one cell, or several equal ones, enlarged: what differs is rounding
        *[heatmaps(torch.full((1, 1, side, side), 0.1), (224, 160))[0, 0] for side in (1, 2, 7)],
        heatmaps(torch.full((1, 1, 7, 7), 0.1), 224)[0, 0].half(),
        (heatmaps(torch.full((1, 1, 3, 3), 0.7), 97) * (1 + 1e-7 * torch.rand(97, 97)))[0, 0],
    ],
)
def test_a_flat_map_marks_no_place(flat):
    mask = np.zeros(tuple(flat.shape), bool)
    mask[0, 0] = True
    assert box_from_heatmap(flat) is None
    assert pointing_game(flat, mask) is None
    assert energy_inside(flat, mask) is None


def test_what_barely_stands_out_is_a_place():
    heatmap = np.ones((4, 4), np.float32)
    heatmap[2, 1] += 1e-3
    assert pointing_game(heatmap, (1, 2, 2, 3)) is True
    assert box_from_heatmap(heatmap, 0.9999) == (1, 2, 2, 3)


def test_single_pixels_and_empty_maps():
    one = np.zeros((4, 7))
    one[3, 6] = 0.3
    assert box_from_heatmap(one) == (6, 3, 7, 4)
    assert box_from_heatmap(np.zeros((4, 7))) is None
    assert box_from_heatmap(-np.zeros((4, 7))) is None


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.bool]
)
def test_tensors_of_every_kind(dtype):
    heatmap = torch.zeros(5, 6)
    heatmap[1:3, 2:5] = 1
    assert box_from_heatmap(heatmap.to(dtype)) == (2, 1, 5, 3)


def test_a_tensor_in_a_graph_is_taken_and_nothing_is_changed():
    heatmap = torch.rand(5, 6, requires_grad=True)
    before = heatmap.detach().clone()
    assert box_from_heatmap(heatmap) == box_from_heatmap(before.numpy())
    assert all(type(edge) is int for edge in box_from_heatmap(heatmap))
    assert torch.equal(heatmap, before)


# --------------------------------------------------------------------------------------------------------- IoU

edges = st.integers(0, 9)
boxes = (
    st.tuples(edges, edges, edges, edges)
    .map(lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]) + 1, max(e[1], e[3]) + 1))
    .filter(lambda box: box[2] <= 10 and box[3] <= 10)
)


def pixels(box):
    x0, y0, x1, y1 = box
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def devkit_overlap(a, b):
    """compute_overlap.m: boxes name the last pixel inside; each width and height gets one more; -1 if they part."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    width = min(ax1, bx1) - max(ax0, bx0) + 1
    height = min(ay1, by1) - max(ay0, by0) + 1
    if not (width > 0 and height > 0):
        return -1
    areas = (ax1 - ax0 + 1) * (ay1 - ay0 + 1) + (bx1 - bx0 + 1) * (by1 - by0 + 1)
    return width * height / (areas - width * height)


def inclusive(box):
    return (box[0], box[1], box[2] - 1, box[3] - 1)


@given(boxes, boxes)
def test_iou_counts_pixels(a, b):
    assert iou(a, b) == len(pixels(a) & pixels(b)) / len(pixels(a) | pixels(b))


@given(boxes, boxes, st.sampled_from([0, 1]))
def test_iou_is_the_development_kits(a, b, first_pixel):
    """To the last digit, and whether its pixels are counted from 0 or from 1."""
    shifted = [tuple(edge + first_pixel for edge in inclusive(box)) for box in (a, b)]
    assert iou(a, b) == max(0, devkit_overlap(*shifted))


@given(boxes, boxes)
def test_iou_is_symmetric_and_one_only_for_equal_boxes(a, b):
    assert iou(a, b) == iou(b, a)
    assert iou(a, a) == 1
    assert (iou(a, b) == 1) == (a == b)


def test_iou_by_hand_also_of_fractions_and_tensors():
    assert iou((0, 0, 4, 4), (2, 2, 6, 6)) == 4 / 28
    assert iou((0, 0, 1, 1), (0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)
    assert iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0  # side by side
    assert iou(torch.tensor([0, 0, 200, 200], dtype=torch.uint8), np.array([0, 0, 200, 100], np.uint8)) == 0.5


# -------------------------------------------------------------------------------------------------- error rates


def devkit_errors(guesses, found, labels, truth, top):
    """eval_clsloc.m, loop for loop, with one label an image: (classification error, localization error)."""
    wrong, lost = 0, 0
    for i, label in enumerate(labels):
        wrong += min(int(label != guess) for guess in guesses[i][:top])
        per_guess = []
        for guess, box in zip(guesses[i][:top], found[i][:top], strict=True):
            d = int(label != guess)
            overlaps = [devkit_overlap(inclusive(box), inclusive(one)) for one in truth[i]]
            f = [int(overlap < 0.50) for overlap in overlaps] if d == 0 else [1]
            per_guess.append(min(max(one, d) for one in f))
        lost += min(per_guess)
    return wrong / len(labels), lost / len(labels)


images = st.tuples(
    st.permutations(range(6)).map(lambda classes: classes[:5]),
    st.lists(boxes, min_size=5, max_size=5),
    st.integers(0, 5),
    st.lists(boxes, min_size=1, max_size=3),
)


@given(st.lists(images, min_size=1, max_size=6), st.sampled_from([1, 2, 5]))
def test_error_rates_are_the_development_kits(drawn, top):
    guesses, found, labels, truth = (list(column) for column in zip(*drawn, strict=True))
    # half of the guessed boxes are true ones, or nothing would ever be hit
    found = [[truth[i][0] if j % 2 else box for j, box in enumerate(row)] for i, row in enumerate(found)]
    wrong, lost = devkit_errors(guesses, found, labels, truth, top)
    assert classification_error(guesses, labels, top) == wrong
    assert localization_error(guesses, found, labels, truth, top) == lost


def test_error_rates_by_hand():
    guesses = [[3, 1], [2, 3], [0, 5], [7, 8]]
    labels = [3, 3, 4, 8]
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    found = [[box, far], [box, box], [box, box], [box, None]]
    truth = [[far, (0, 0, 10, 5)], [box], [box], [box]]
    # first: right, and IoU is exactly 0.5 with the second instance; second: right at the second guess; third: never;
    # fourth: right at the second guess, but with an empty map
    assert classification_error(guesses, labels, top=1) == 3 / 4
    assert classification_error(guesses, labels) == 1 / 4
    assert localization_error(guesses, found, labels, truth, top=1) == 3 / 4
    assert localization_error(guesses, found, labels, truth) == 2 / 4
    assert localization_error(guesses, found, labels, truth, overlap=0.51) == 3 / 4


def test_a_right_box_of_a_wrong_guess_does_not_count():
    assert localization_error([[1, 2]], [[(0, 0, 4, 4), (5, 5, 6, 6)]], [2], [[(0, 0, 4, 4)]]) == 1


def test_tensors_of_guesses():
    guesses = torch.tensor([[3, 1], [2, 3]])
    assert classification_error(guesses, torch.tensor([3, 3]), top=1) == 0.5
    assert (
        localization_error(guesses, [[(0, 0, 1, 1)] * 2] * 2, torch.tensor([3, 3]), [[(0, 0, 1, 1)]] * 2) == 0
    )


# ------------------------------------------------------------------------------------------- pointing and energy


def peak_at(y, x, shape=(6, 8)):
    heatmap = np.full(shape, 0.1)
    heatmap[y, x] = 1
    return heatmap


def test_pointing_at_masks_and_boxes():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:5] = True
    inside, outside = peak_at(3, 4), peak_at(3, 5)
    for target in (
        mask,
        torch.from_numpy(mask),
        mask.astype(int),
        (3, 2, 5, 4),
        [(0, 0, 1, 1), (3, 2, 5, 4)],
    ):
        assert pointing_game(inside, target) is True
        assert pointing_game(outside, target) is False
    assert pointing_game(torch.from_numpy(inside), mask) is True


def test_a_pixel_is_in_a_box_if_its_center_is():
    heatmap = np.array([[1.0, 2.0, 4.0, 8.0]])
    assert energy_inside(heatmap, (0.6, 0, 2.4, 1)) == 2 / 15  # the center 1.5 alone
    assert energy_inside(heatmap, (0.5, 0.4, 2.6, 0.6)) == 7 / 15  # 0.5, 1.5, and 2.5
    assert energy_inside(heatmap, (0, 0, 3.5, 1)) == 7 / 15  # half-open: 3.5 is the first outside
    assert energy_inside(heatmap, (-3, -1, 9, 5)) == 1
    assert (
        pointing_game(heatmap, (3.4, 0, 4, 1)) is True and pointing_game(heatmap, (2.4, 0, 3.4, 1)) is False
    )


def test_pointing_with_tolerance():
    target = (0, 0, 1, 1)
    assert pointing_game(peak_at(3, 4), target, tolerance=5) is True  # 3, 4, 5
    assert pointing_game(peak_at(3, 4), target, tolerance=4.99) is False


def test_pointing_abstains_where_the_map_points_nowhere():
    mask = np.ones((6, 8), bool)
    assert pointing_game(np.zeros((6, 8)), mask) is None
    assert pointing_game(np.full((6, 8), 0.7), mask) is None


def test_of_several_maxima_the_first_counts():
    heatmap = peak_at(3, 4)
    heatmap[3, 5] = heatmap[4, 0] = 1
    assert pointing_game(heatmap, (4, 3, 5, 4)) is True
    assert pointing_game(heatmap, (5, 3, 6, 4)) is False


def test_energy_by_hand():
    heatmap = np.array([[3.0, 1.0], [-5.0, 4.0]])
    mask = np.array([[True, False], [True, False]])
    assert energy_inside(heatmap, mask) == 3 / 8
    assert energy_inside(torch.from_numpy(heatmap), torch.from_numpy(mask)) == 3 / 8
    assert energy_inside(heatmap, (0, 0, 1, 2)) == 3 / 8
    assert energy_inside(heatmap, [(0, 0, 1, 1), (0, 0, 2, 1)]) == 4 / 8  # the union: nothing counts twice
    assert energy_inside(heatmap, np.zeros((2, 2), bool)) == 0
    assert energy_inside(heatmap, np.ones((2, 2), bool)) == 1


def test_energy_of_an_empty_map_is_no_number():
    assert energy_inside(np.zeros((2, 2)), np.ones((2, 2), bool)) is None
    assert energy_inside(-np.ones((2, 2)), np.ones((2, 2), bool)) is None


@given(small_maps, st.data())
def test_energy_inside_and_outside_are_all_of_it(heatmap, data):
    mask = data.draw(arrays.arrays(bool, heatmap.shape))
    inside, outside = energy_inside(heatmap, mask), energy_inside(heatmap, ~mask)
    if heatmap.max() == heatmap.min():
        assert inside is None and outside is None
    else:
        assert inside + outside == pytest.approx(1)
        assert inside == pytest.approx(energy_inside(heatmap * 1e300, mask))


def test_mask_iou_counts_pixels():
    a, b = np.zeros((2, 4, 5), bool)
    a[1:3, 1:4] = True
    b[2:4, 2:5] = True
    assert mask_iou(a, b) == 2 / 10
    assert mask_iou(torch.from_numpy(a), b.astype(np.uint8)) == 2 / 10
    assert mask_iou(a, a) == 1
    assert mask_iou(a, np.zeros_like(a)) == 0
    assert mask_iou(np.zeros_like(a), np.zeros_like(a)) is None
