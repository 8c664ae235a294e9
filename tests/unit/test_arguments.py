"""``arguments``: what passes, and the sentences."""

import numpy as np
import pytest

from course_utils.arguments import as_whole, number_range, positive_int, whole_number


def test_what_passes():
    assert whole_number(np.int64(3), "n", 0) == 3 and type(whole_number(np.int64(3), "n")) is int
    assert positive_int(1, "size") == 1
    assert number_range(2, "objects", whole=True) == (2, 2)
    assert number_range([1, 3], "objects", whole=True) == (1, 3)
    assert number_range((0.5, 1), "scale") == (0.5, 1)
    assert number_range((np.float64(0.5), np.int64(1)), "scale") == (0.5, 1)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: as_whole("3", "give a number"), TypeError, "give a number"),
        (lambda: as_whole(np.True_, "give a number"), TypeError, "give a number"),
        (lambda: whole_number(3.0, "n"), TypeError, "n is a whole number, not 3.0"),
        (lambda: whole_number(True, "n"), TypeError, "not True"),
        (lambda: whole_number(-1, "n", 0), ValueError, "n must be at least 0, not -1"),
        (lambda: whole_number(9, "n", 0, 8), ValueError, "n must be at most 8, not 9"),
        (lambda: positive_int(0, "size"), ValueError, "at least 1 pixel, not 0"),
        (lambda: positive_int("8", "size"), TypeError, "whole number of pixels, not '8'"),
        (lambda: positive_int(True, "size"), TypeError, "whole number of pixels, not True"),
        (lambda: number_range(0.5, "scale"), TypeError, "scale is a pair of numbers"),
        (lambda: number_range((1, 2.5), "objects", whole=True), TypeError, "or a pair of them"),
        (lambda: number_range(True, "objects", whole=True), TypeError, "not True"),
        (lambda: number_range((1, 2, 3), "scale"), TypeError, "pair"),
        (lambda: number_range((3, 1), "objects", whole=True), ValueError, "the lowest comes first"),
        (lambda: number_range((0.1, float("nan")), "scale"), ValueError, "must be finite"),
    ],
)
def test_bad_input(call, kind, says):
    with pytest.raises(kind, match=says):
        call()
