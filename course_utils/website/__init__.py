"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

Nothing that a learner's kernel imports imports this room.
"""

from .building import Site, build_site
from .explorer import write_explorer
from .glossary import Entry, Mark, find_marks, link_terms, read_glossary, write_places
from .links import heading_slug
from .papers import cited_papers, listed_papers, write_papers
from .places import Section, sections_of
from .printing import find_chromium, print_course
from .reference import FLOORS, SETTINGS, reference_anchor, reference_pages

__all__ = [
    "FLOORS",
    "SETTINGS",
    "Entry",
    "Mark",
    "Section",
    "Site",
    "build_site",
    "cited_papers",
    "find_chromium",
    "find_marks",
    "heading_slug",
    "link_terms",
    "listed_papers",
    "print_course",
    "read_glossary",
    "reference_anchor",
    "reference_pages",
    "sections_of",
    "write_explorer",
    "write_papers",
    "write_places",
]
