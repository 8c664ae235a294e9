"""Addresses of sections: what comes after # in a link to a heading of a page."""

from __future__ import annotations

from myst_parser.mdit_to_docutils.base import default_slugify

__all__ = ["heading_slug"]


def heading_slug(heading: str) -> str:
    """Return the anchor that a page of the site gives to a heading, as GitHub gives it, too.

    Args:
        heading: the Markdown after the marks, such as "3. What does *one* channel know? (deeper)".
    """
    return default_slugify(heading)
