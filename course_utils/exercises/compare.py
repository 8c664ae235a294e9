"""Compare two results, whatever they are made of, and say in a sentence how they differ.

Numbers count, not what they are wrapped in: a list of rows is as good as a tensor, a pair stacked into one tensor as
good as a tuple, and a tensor with one number as good as the number.
"""

from __future__ import annotations

import numbers

import numpy as np
from torch import Tensor, nn

__all__ = ["as_code", "in_short", "mismatch", "same"]

_MOST = 17  # digits tell any two numbers apart


def in_short(value: object, digits: int = 4) -> str:
    """Return a value in at most a line, its numbers with a few digits."""
    array = _as_array(value)
    if array is not None and array.size > 6:
        kind = {Tensor: "a tensor", np.ndarray: "an array"}.get(type(value), f"a {type(value).__name__}")
        return f"{kind} of shape {array.shape}"
    if array is not None:
        return _with_digits(value, digits)
    if isinstance(value, nn.Module):
        return f"a {type(value).__name__}"
    if isinstance(value, tuple | list):
        text = ", ".join(in_short(item, digits) for item in value)
        text = f"({text})" if isinstance(value, tuple) else f"[{text}]"
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _with_digits(value: object, digits: int) -> str:
    """Numbers in (nested) lists; sixteen digits of each would hide what differs."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list | range):
        return "[" + ", ".join(_with_digits(item, digits) for item in value) + "]"
    return f"{float(value):.{digits}g}" if not isinstance(value, int) else str(value)


def as_code(value: object) -> str | None:
    """Return an expression that gives the value in a cell where torch and numpy (as np) are imported, or None."""
    if isinstance(value, Tensor):
        return f"torch.tensor({_digits_kept(value.detach().cpu().numpy())})"
    if isinstance(value, np.ndarray):
        return f"np.array({_digits_kept(value)})"
    if isinstance(value, bool | int | float | str | None):
        return repr(value)
    if isinstance(value, dict):
        items = [(as_code(key), as_code(item)) for key, item in value.items()]
        return (
            None if any(None in pair for pair in items) else f"{{{', '.join(': '.join(i) for i in items)}}}"
        )
    if isinstance(value, tuple | list):
        parts = [as_code(item) for item in value]
        if None in parts:
            return None
        text = ", ".join(parts)
        if isinstance(value, list):
            return f"[{text}]"
        return f"({text},)" if len(parts) == 1 else f"({text})"
    return None


def _digits_kept(array: np.ndarray) -> str:
    """Each number with as many digits as its own precision needs: 0.1, not 0.10000000149011612."""
    if array.ndim:
        return "[" + ", ".join(_digits_kept(part) for part in array) + "]"
    return str(array[()])


def _as_array(value: object) -> np.ndarray | None:
    """Return numbers in any wrapping as an array, or None if the value is something else."""
    if isinstance(value, Tensor):
        return value.detach().double().cpu().numpy() if not value.is_complex() else None
    if isinstance(value, np.ndarray) and value.dtype == object:
        return _as_array(list(value)) if value.ndim else _as_array(value.item())
    if isinstance(value, bool | np.generic | np.ndarray):
        array = np.asarray(value)
        return array.astype(float) if array.dtype.kind in "biuf" else None
    if isinstance(value, numbers.Real):  # fractions, too
        return np.asarray(float(value))
    if isinstance(value, tuple | list | range):
        rows = [_as_array(item) for item in value]
        if all(row is not None for row in rows) and len({row.shape for row in rows}) <= 1:
            return np.stack(rows) if rows else np.zeros(0)
    return None


def _apart(found: object, expected: object) -> str:
    """Two values that differ, in a sentence, with as many digits as it takes to see that they do."""
    for digits in range(4, _MOST + 1):
        a, b = in_short(found, digits), in_short(expected, digits)
        if a != b:
            return f"the result is {a}, expected {b}."
    kinds = type(found).__name__, type(expected).__name__
    if kinds[0] != kinds[1]:
        return f"the result is {a}, a {kinds[0]}, expected {b}, a {kinds[1]}."
    return f"the result, {a}, looks like what is expected, but is not equal to it."


def mismatch(found: object, expected: object, tolerance: float) -> str:
    """Return a sentence on how two results differ, or an empty string if they agree."""
    a, b = _as_array(found), _as_array(expected)
    if a is not None and b is not None and not _side_by_side(found, expected, a, b):
        return _mismatch_of_numbers(found, expected, a, b, tolerance)
    if isinstance(expected, tuple | list) and (_has_parts(found) or (a is not None and a.ndim)):
        parts = list(found)
        if len(parts) != len(expected):
            some = "1 result was" if len(parts) == 1 else f"{len(parts)} results were"
            return f"{some} returned, expected {len(expected)}."
        for position, (x, y) in enumerate(zip(parts, expected, strict=True)):
            difference = mismatch(x, y, tolerance)
            if difference:
                return f"in result {position + 1}, {difference}"
        return ""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            return f"the keys are {sorted(map(str, found))}, expected {sorted(map(str, expected))}."
        differences = [
            f"at {k!r}, {m}" for k in expected if (m := mismatch(found[k], expected[k], tolerance))
        ]
        return " ".join(differences[:1] + [f"A{difference[1:]}" for difference in differences[1:]])
    if isinstance(expected, nn.Module) and isinstance(found, nn.Module):
        return mismatch(dict(found.state_dict()), dict(expected.state_dict()), tolerance)
    if a is not None or b is not None:
        return f"the result is {in_short(found)} ({type(found).__name__}), expected {in_short(expected)}."
    try:
        equal = bool(found == expected)
    except Exception:
        equal = found is expected
    return "" if equal else _apart(found, expected)


def _has_parts(value: object) -> bool:
    """Whether a value is some results side by side."""
    return isinstance(value, tuple | list | type({}.items()) | type({}.keys()) | type({}.values()))


def _side_by_side(found: object, expected: object, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two rows of numbers are better compared one by one: several arrays, or numbers in brackets each."""
    if not (isinstance(expected, tuple | list) and _has_parts(found)):
        return False
    if any(isinstance(part, Tensor | np.ndarray) and part.ndim for part in expected):
        return True
    return len(found) == len(expected) and a.shape != b.shape


def _mismatch_of_numbers(
    found: object, expected: object, a: np.ndarray, b: np.ndarray, tolerance: float
) -> str:
    if a.size == 1 and b.ndim == 0:
        a = a.reshape(())  # one number in brackets
    if a.shape != b.shape:
        return f"the result has shape {a.shape}, expected {b.shape}."
    wrong = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not wrong.any():
        return ""
    if a.size <= 6:
        return _apart(found, expected)
    with np.errstate(invalid="ignore"):
        distance = np.where(wrong, np.nan_to_num(np.abs(a - b), nan=np.inf), -1)
    worst = np.unravel_index(distance.argmax(), a.shape)
    return f"at position {tuple(int(i) for i in worst)} {_apart(a[worst], b[worst])}"


def same(found: object, expected: object, tolerance: float) -> bool:
    """Whether two results agree within a tolerance."""
    return not mismatch(found, expected, tolerance)
