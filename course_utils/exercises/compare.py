"""Compare two results, whatever they are made of, and say in a sentence how they differ."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

__all__ = ["in_short", "mismatch", "same"]


def in_short(value: object) -> str:
    """Return a value in at most a line."""
    if isinstance(value, Tensor) and value.numel() > 6:
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"an array of shape {value.shape}"
    if isinstance(value, Tensor):
        return _in_four_digits(value.tolist())
    if isinstance(value, nn.Module):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_four_digits(value: object) -> str:
    """Numbers in (nested) lists; sixteen digits of each would hide what differs."""
    if isinstance(value, list):
        return "[" + ", ".join(_in_four_digits(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _as_array(value: object) -> np.ndarray | None:
    """Return numbers in any wrapping as an array, or None if the value is something else."""
    if isinstance(value, Tensor):
        return value.detach().double().cpu().numpy() if not value.is_complex() else None
    if isinstance(value, bool | int | float | np.generic | np.ndarray):
        array = np.asarray(value)
        return array.astype(float) if array.dtype.kind in "biuf" else None
    if isinstance(value, tuple | list):
        # Loops make lists of numbers, rows of such lists, and lists of tensors with one number each.
        rows = [_as_array(item) for item in value]
        if value and all(
            row is not None and _is_made_of_numbers(item) for row, item in zip(rows, value, strict=True)
        ):
            return np.stack(rows) if len({row.shape for row in rows}) == 1 else None
    return None


def _is_made_of_numbers(value: object) -> bool:
    """Numbers one by one, in lists or not: several arrays in a tuple are several results, not one."""
    return isinstance(value, tuple | list) or np.ndim(value) == 0


def mismatch(found: object, expected: object, tolerance: float) -> str:
    """Return a sentence on how two results differ, or an empty string if they agree."""
    a, b = _as_array(found), _as_array(expected)
    if a is not None and b is not None:
        if a.shape != b.shape:
            return f"the result has shape {a.shape}, expected {b.shape}."
        if np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            return ""
        if a.size > 6:
            worst = np.unravel_index(np.abs(np.nan_to_num(a - b, nan=np.inf)).argmax(), a.shape)
            place = tuple(int(i) for i in worst)
            return f"at position {place} the result is {a[worst]:.4g}, expected {b[worst]:.4g}."
        return f"the result is {in_short(found)}, expected {in_short(expected)}."
    if isinstance(expected, tuple | list) and isinstance(found, tuple | list):
        if len(found) != len(expected):
            return f"{len(found)} results were returned, expected {len(expected)}."
        for position, (x, y) in enumerate(zip(found, expected, strict=True)):
            difference = mismatch(x, y, tolerance)
            if difference:
                return f"in result {position + 1}, {difference}"
        return ""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            return f"the keys are {sorted(map(str, found))}, expected {sorted(map(str, expected))}."
        return "".join(
            f"at {k!r}, {m}" for k in expected if (m := mismatch(found[k], expected[k], tolerance))
        )
    if isinstance(expected, nn.Module) and isinstance(found, nn.Module):
        return mismatch(dict(found.state_dict()), dict(expected.state_dict()), tolerance)
    if a is not None or b is not None:
        return f"the result is {in_short(found)} ({type(found).__name__}), expected {in_short(expected)}."
    try:
        equal = bool(found == expected)
    except Exception:
        equal = found is expected
    return "" if equal else f"the result is {in_short(found)}, expected {in_short(expected)}."


def same(found: object, expected: object, tolerance: float) -> bool:
    """Whether two results agree within a tolerance."""
    return not mismatch(found, expected, tolerance)
