"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

Nothing that a learner's kernel imports imports this room.
"""

from .links import heading_slug
from .printing import find_chromium, print_course
from .reference import FLOORS, SETTINGS, reference_anchor, reference_pages

__all__ = [
    "FLOORS",
    "SETTINGS",
    "find_chromium",
    "heading_slug",
    "print_course",
    "reference_anchor",
    "reference_pages",
]
