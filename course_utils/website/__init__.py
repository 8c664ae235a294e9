"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

Nothing that a learner's kernel imports imports this room.
"""

from .glossary import Entry, Mark, find_marks, link_terms, read_glossary, write_places
from .links import heading_slug
from .papers import cited_papers, listed_papers, write_papers
from .places import Section, sections_of

__all__ = [
    "Entry",
    "Mark",
    "Section",
    "cited_papers",
    "find_marks",
    "heading_slug",
    "link_terms",
    "listed_papers",
    "read_glossary",
    "sections_of",
    "write_papers",
    "write_places",
]
