"""Checks of plain arguments: whole numbers, and ranges given as a pair. They end in a sentence, not in a surprise."""

from __future__ import annotations

import math
import operator
from numbers import Integral, Real

__all__ = ["as_whole", "number_range", "positive_int", "whole_number"]


def as_whole(value: object, otherwise: str) -> int:
    """Return ``value`` as an int; NumPy's integers are whole numbers, 3.0, "3" and True are none.

    Raises:
        TypeError: it is no whole number; ``otherwise`` is what the error says.
    """
    try:
        if str(getattr(value, "dtype", type(value).__name__)) in (
            "bool",
            "torch.bool",
        ):  # True is none, NumPy's neither
            raise TypeError
        return operator.index(value)  # unlike int(), it does not cut 3.7 down to 3
    except TypeError:
        raise TypeError(otherwise) from None


def whole_number(value: int, name: str, least: int | None = None, most: int | None = None) -> int:
    """Return ``value`` as an int.

    Raises:
        TypeError: it is no whole number; 3.0 and True are none.
        ValueError: it is smaller than ``least`` or larger than ``most``.
    """
    number = as_whole(value, f"{name} is a whole number, not {value!r}.")
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}.")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, not {number}.")
    return number


def positive_int(value: int, name: str) -> int:
    """Return a number of pixels as an int.

    Raises:
        TypeError, ValueError: it is not a positive whole number.
    """
    number = as_whole(value, f"{name} is a whole number of pixels, not {value!r}.")
    if number < 1:
        raise ValueError(f"{name} must be at least 1 pixel, not {number}.")
    return number


def number_range(value: object, name: str, whole: bool = False) -> tuple:
    """Return a range (lowest, highest), both included; of whole numbers, one alone stands for both ends.

    Raises:
        TypeError: not a pair of numbers.
        ValueError: the lowest does not come first, or an end is not finite.
    """
    single = whole and isinstance(value, Integral) and not isinstance(value, bool)
    pair = (value, value) if single else value
    kind = Integral if whole else Real
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(end, kind) for end in pair)):
        what = "a whole number or a pair of them" if whole else "a pair of numbers"
        raise TypeError(f"{name} is {what}, (lowest, highest), not {value!r}.")
    if not all(math.isfinite(end) for end in pair):
        raise ValueError(f"{name} must be finite, got {value!r}.")
    if pair[0] > pair[1]:
        raise ValueError(f"{name} is {value!r}, but the lowest comes first.")
    return tuple(pair)
