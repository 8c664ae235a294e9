"""Numbers as the notebooks hold them, for an exercise's inputs to be drawn in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["tensor_of"]


def tensor_of(values: object, digits: int = 3) -> Tensor:
    """Return drawn numbers as a tensor: broken ones float32, as a network's are; whole ones and bools as they are.

    Float64 would be refused beside any tensor that a learner makes (``@``, ``einsum``).

    Args:
        values: numbers, as a numpy Generator draws them.
        digits: decimal places that broken numbers keep, so that a message can show them in full.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.round(digits).astype(np.float32)
    return torch.tensor(array)
