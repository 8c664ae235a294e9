"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

Nothing that a learner's kernel imports imports this room.
"""

from .links import heading_slug
from .reference import FLOORS, SETTINGS, reference_anchor, reference_pages

__all__ = ["FLOORS", "SETTINGS", "heading_slug", "reference_anchor", "reference_pages"]
