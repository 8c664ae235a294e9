"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

Nothing that a learner's kernel imports imports this room.
"""

from .building import Site, build_site
from .explorer import write_explorer
from .links import heading_slug

__all__ = ["Site", "build_site", "heading_slug", "write_explorer"]
