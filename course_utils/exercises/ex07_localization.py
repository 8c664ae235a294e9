"""Exercises of notebook 07: the overlap of two boxes, the box of a mask, ILSVRC's error."""

from __future__ import annotations

import numpy as np

from .engine import exercise
from .progress import progress as progress


def _pixels(box):
    x0, y0, x1, y1 = box
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def _overlap_by_counting(a, b):
    first, second = _pixels(a), _pixels(b)
    return len(first & second) / len(first | second)


def _sides(a, b):
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def _ratio(inside, a, b):
    return inside / (_area(a) + _area(b) - inside)


def _inside(a, b):
    width, height = _sides(a, b)
    return max(0, width) * max(0, height)


def _last_pixels_inside(a, b):
    width, height = (max(0, side + 1) for side in _sides(a, b))
    areas = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return width * height / (sum(areas) - width * height)


def _draw_boxes(rng):
    fixed = [
        ((0, 0, 4, 4), (2, 0, 6, 4)),  # shifted by half a side
        ((0, 0, 2, 2), (5, 6, 8, 9)),  # apart in both directions
        ((0, 0, 2, 2), (2, 0, 4, 2)),  # they touch
        ((0, 0, 6, 2), (2, 5, 4, 9)),  # apart in one direction
        ((1, 1, 3, 3), (0, 0, 8, 8)),  # one inside the other
        ((3, 2, 7, 9), (3, 2, 7, 9)),  # the same
    ]
    corners = rng.integers(0, 8, size=(6, 2, 2))
    sizes = rng.integers(2, 9, size=(6, 2, 2))
    drawn = [
        tuple((int(x), int(y), int(x + w), int(y + h)) for (x, y), (w, h) in zip(c, s, strict=True))
        for c, s in zip(corners, sizes, strict=True)
    ]
    return fixed + drawn


@exercise(
    "Equation (2): intersection over union of two half-open boxes (x0, y0, x1, y1).",
    inputs=_draw_boxes,
    reference=_overlap_by_counting,
    hints="""
        The intersection reaches from the larger of the two x0 to the smaller of the two x1; likewise in y.
        max(0, ...) around each of its sides, before they are multiplied.
        The union is the sum of both areas, less the intersection.
    """,
    mistakes="""
        _inside(a, b) / min(_area(a), _area(b))
            You divided by the smaller box. Then a tiny box anywhere inside a large one scores 1: divide by the union.
        _inside(a, b) / (_area(a) + _area(b))
            The intersection is counted twice in your union, once with each box: even two equal boxes score 1/2.
            Subtract it once.
        _inside(a, b) / _area(b)
            You divided by the area of the second box alone: a box around the whole picture would always score 1.
        _ratio(_sides(a, b)[0] * _sides(a, b)[1], a, b)
            Where two boxes do not meet, width or height of the intersection comes out negative, and the product of two
            negative sides even counts as an overlap. Cut each side off at 0.
        _ratio(max(0, _sides(a, b)[0] * _sides(a, b)[1]), a, b)
            You cut off the product instead of the sides: two negative sides still make a positive area. Cut off width
            and height, each at 0.
        _last_pixels_inside(a, b)
            You added 1 to every side. That is right for boxes that name the last pixel inside, as ILSVRC's files do.
            These are half-open: x1 - x0 is the width, and boxes that only touch have nothing in common.
        _inside(a, b) / ((max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1])))
            You divided by the box around both. The union is smaller: it leaves out the corners that neither covers.
    """,
)
def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0, width) * max(0, height)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inside / (area_a + area_b - inside)


def _parts_by_flooding(mask, diagonal=True):
    """All components as lists of (row, column), found by walking from neighbor to neighbor."""
    left = {(int(i), int(j)) for i, j in zip(*np.nonzero(mask), strict=True)}
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if diagonal or i == 0 or j == 0]
    parts = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        part, front = [start], [start]
        while front:
            i, j = front.pop()
            for place in [(i + di, j + dj) for di, dj in steps]:
                if place in left:
                    left.discard(place)
                    part.append(place)
                    front.append(place)
        parts.append(part)
    return parts


def _around(part, beyond=1):
    rows, columns = [place[0] for place in part], [place[1] for place in part]
    return (min(columns), min(rows), max(columns) + beyond, max(rows) + beyond)


def _largest_box_by_flooding(mask, diagonal=True, beyond=1):
    parts = _parts_by_flooding(mask, diagonal)
    return _around(max(parts, key=len), beyond) if parts else "no box"


def _box_area(part):
    x0, y0, x1, y1 = _around(part)
    return (x1 - x0) * (y1 - y0)


def _draw_masks(rng):
    """Random ones, and one each on which a likely mistake shows. No two components share the largest size."""
    diagonal = np.zeros((5, 9), dtype=bool)
    diagonal[[0, 1, 2, 3], [0, 1, 2, 3]] = True  # four pixels that touch by their corners
    diagonal[4, 6:9] = True
    hollow = np.zeros((7, 12), dtype=bool)
    hollow[:, 0] = hollow[6, :6] = True  # 12 pixels, but a box of 42
    hollow[0:4, 8:12] = True  # 16 pixels in a box of 16
    one = np.zeros((4, 6), dtype=bool)
    one[1, 4] = True
    drawn = []
    while len(drawn) < 4:
        mask = rng.random((8, 11)) < 0.28
        sizes = sorted((len(part) for part in _parts_by_flooding(mask)), reverse=True)
        if len(sizes) > 1 and sizes[0] > sizes[1]:
            drawn.append(mask)
    return [(mask,) for mask in (diagonal, hollow, one, *drawn)]


@exercise(
    "The half-open box (x0, y0, x1, y1) around the largest component of a mask.",
    inputs=_draw_masks,
    reference=_largest_box_by_flooding,
    hints="""
        labels, number = ndimage.label(mask, np.ones((3, 3))): 0 is the background, 1 to number the components.
        np.bincount(labels.ravel())[1:] counts the pixels of each component.
        rows, columns = np.nonzero(labels == largest); the box ends one beyond the last row and column.
    """,
    mistakes="""
        _around([place for part in _parts_by_flooding(mask) for place in part])
            That is the box around everything that is marked. One stray pixel in a corner would stretch it over the
            picture: take the largest component alone.
        _largest_box_by_flooding(mask, beyond=0)
            Your x1 and y1 are the last pixels inside. In a half-open box they are the first outside: add 1, or the box
            of a single pixel is empty.
        _largest_box_by_flooding(mask, diagonal=False)
            You counted neighbors by side alone (scipy's default). Here pixels that touch by a corner belong together:
            give ndimage.label a structure of 3 x 3 ones.
        _around(max(_parts_by_flooding(mask), key=_box_area))
            You took the component with the largest box. The largest component is the one with the most pixels: a long
            thin hook has a large box and few pixels.
        _around(_parts_by_flooding(mask)[0])
            You took the first component in reading order. Count the pixels of each: np.bincount(labels.ravel()),
            without the background.
        _around(max([*_parts_by_flooding(mask), [tuple(place) for place in np.argwhere(~mask)]], key=len))
            You counted the background as a component: its number is 0, and it is mostly the largest. Leave it out:
            np.bincount(labels.ravel())[1:].
        tuple(largest_box(mask)[side] for side in (1, 0, 3, 2))
            Rows and columns are exchanged: x counts columns, y counts rows, and a box begins with x.
        (lambda x0, y0, x1, y1: (x0, y0, x1 - x0, y1 - y0))(*largest_box(mask))
            You gave width and height. Here a box is (x0, y0, x1, y1), with two corners.
    """,
)
def largest_box(mask):
    from scipy import ndimage

    components, number = ndimage.label(mask, np.ones((3, 3)))
    if number == 0:
        return None
    largest = 1 + np.bincount(components.ravel())[1:].argmax()
    rows, columns = np.nonzero(components == largest)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def _iou(a, b):
    return _ratio(_inside(a, b), a, b)


def _error_by_counting(guesses, boxes, labels, instances, top):
    hits = 0
    for n in range(len(labels)):
        hit = False
        for j in range(top):
            for one in instances[n]:
                hit |= guesses[n][j] == labels[n] and _overlap_by_counting(boxes[n][j], one) >= 0.5
        hits += hit
    return 1 - hits / len(labels)


def _overlaps(box, truth):
    return [_iou(box, one) for one in truth]


def _error_if(fits, guesses, boxes, labels, instances, top):
    """The error where a box counts if ``fits(box, truth)``."""
    rows = zip(guesses, boxes, labels, instances, strict=True)
    hits = [
        any(guess == label and fits(box, truth) for guess, box in zip(row[:top], found[:top], strict=True))
        for row, found, label, truth in rows
    ]
    return 1 - sum(hits) / len(hits)


def _class_and_box_apart(guesses, boxes, labels, instances, top):
    rows = zip(guesses, boxes, labels, instances, strict=True)
    hits = [
        label in row[:top] and any(max(_overlaps(box, truth)) >= 0.5 for box in found[:top])
        for row, found, label, truth in rows
    ]
    return 1 - sum(hits) / len(hits)


def _draw_results(rng):
    """Six images with three guesses each; the box of each guess is good, half good or bad."""
    truth = (2, 2, 10, 10)
    kinds = {
        "good": (2, 2, 10, 9),
        "exact half": (2, 2, 10, 6),
        "nearly half": (2, 2, 9, 6),
        "bad": (9, 9, 14, 14),
    }
    elsewhere = (20, 20, 26, 26)
    fixed = (
        [[3, 1, 2], [1, 3, 2], [1, 2, 4], [3, 5, 6], [2, 3, 1], [3, 0, 1]],
        [
            [kinds["good"], kinds["bad"], kinds["bad"]],
            [kinds["good"], kinds["bad"], kinds["bad"]],  # right box at the wrong class
            [kinds["good"], kinds["good"], kinds["good"]],  # right box, class nowhere
            [elsewhere, kinds["bad"], kinds["good"]],  # the second instance
            [kinds["bad"], kinds["exact half"], kinds["bad"]],  # exactly one half
            [kinds["bad"], kinds["bad"], kinds["bad"]],  # right class, wrong place
        ],
        [3] * 6,
        [[truth, elsewhere], [truth], [truth], [truth, elsewhere], [truth], [truth]],
    )
    # Small ones, on which one mistake alone shows: the second guess hits; a box hits by exactly one half.
    second = ([[1, 3], [3, 1]], [[kinds["bad"], kinds["good"]], [kinds["good"], kinds["bad"]]], [3, 3])
    half = ([[3, 1]], [[kinds["exact half"], kinds["bad"]]], [3])
    cases = [(*second, [[truth], [truth]], 2), (*half, [[truth]], 1)]
    cases += [(*fixed, top) for top in (1, 2, 3)]
    for top in (1, 3):
        guesses = [rng.permutation(5)[:3].tolist() for _ in range(8)]
        boxes = [[kinds[str(rng.choice(list(kinds)))] for _ in range(3)] for _ in range(8)]
        cases.append((guesses, boxes, rng.integers(0, 5, 8).tolist(), [[truth]] * 8, top))
    return cases


@exercise(
    "Equation (3): ILSVRC's localization error among the first `top` guesses.",
    inputs=_draw_results,
    reference=_error_by_counting,
    hints="""
        An image is a hit if for any guess j < top: guesses[n][j] == labels[n] and its box fits any instance.
        Two nested any(...): over the guesses with their boxes, and over the instances.
        zip(row[:top], found[:top]) keeps each guess beside its own box.
    """,
    mistakes="""
        _class_and_box_apart(guesses, boxes, labels, instances, top)
            You asked for the class and for the box apart: one guess may bring the right name and another the right
            place. One and the same guess must bring both.
        error([[label] * top for label in labels], boxes, labels, instances, top)
            You forgot the class: a good box under the wrong name is a miss.
        error(guesses, [[truth[0]] * top for truth in instances], labels, instances, top)
            That is the classification error. A hit needs an IoU of at least 0.5 with an instance as well.
        error(guesses, boxes, labels, [truth[:1] for truth in instances], top)
            You compared with the first instance only. Any instance of the label is enough.
        _error_if(lambda box, truth: min(_overlaps(box, truth)) >= 0.5, guesses, boxes, labels, instances, top)
            You asked for an overlap with every instance. No single box could do that for two objects: any one is
            enough.
        _error_if(lambda box, truth: max(_overlaps(box, truth)) > 0.5, guesses, boxes, labels, instances, top)
            An IoU of exactly 0.5 is a hit in ILSVRC: >=, not >.
        1 - error(guesses, boxes, labels, instances, top)
            You returned the share of hits. The error is the share of images without one.
        error(guesses, boxes, labels, instances, len(guesses[0]))
            You looked at all guesses. Only the first `top` count.
        error(guesses, boxes, labels, instances, 1)
            You looked at the first guess alone. Any of the first `top` guesses may be the right one.
    """,
)
def error(guesses, boxes, labels, instances, top):
    misses = 0
    for row, found, label, truth in zip(guesses, boxes, labels, instances, strict=True):
        misses += not any(
            guess == label and any(_iou(box, one) >= 0.5 for one in truth)
            for guess, box in zip(row[:top], found[:top], strict=True)
        )
    return misses / len(labels)
