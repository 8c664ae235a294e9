"""The error of all that read pictures."""

from __future__ import annotations

__all__ = ["PictureError"]


class PictureError(ValueError):
    """This file cannot be shown right; the message says why, and what to do."""
