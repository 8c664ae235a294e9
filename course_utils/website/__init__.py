"""The course as a website, for whoever publishes it: pages made of the stored notebooks, with nothing executed.

``python -m course_utils site`` runs ``building``: ``pages`` turns a stored notebook into a page, ``landing`` README
into the first one, ``reference`` the rooms' faces into pages on the package (read by ``sources``), ``explorer`` makes
the one page that lives, ``printing`` one PDF. ``python -m course_utils index`` writes into ``data/pages`` where
notebooks define the terms of the ``glossary``, and which ``papers`` they cite; ``places`` are sections, and ``links``
lead there. Nothing that a learner's kernel imports imports this room.
"""

from .building import Site, build_site
from .explorer import write_explorer
from .glossary import (
    Entry,
    Mark,
    find_marks,
    glossary_page,
    link_terms,
    name_entries,
    read_glossary,
    write_places,
)
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
    "glossary_page",
    "heading_slug",
    "link_terms",
    "listed_papers",
    "name_entries",
    "print_course",
    "read_glossary",
    "reference_anchor",
    "reference_pages",
    "sections_of",
    "write_explorer",
    "write_papers",
    "write_places",
]
