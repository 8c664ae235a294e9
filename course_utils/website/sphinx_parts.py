"""What Sphinx is taught for this site: folds of deeper sections and of code, and a readable list of pages."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from course_utils.authoring import HIDDEN

__all__ = ["setup"]

DEEPER = re.compile(r"\((?:[^()]*\W)?deeper\)$")  # how the heading of such a section ends

COLUMNS = re.compile(r"\S {2,}\S")  # in a line of output; sentences have none
PICTURE = re.compile(r"<figure(?P<own>[^>]*)>\s*(?P<link><a [^>]*>)?<img (?P<rest>[^>]*)>")
WIDE = 700  # pixels: panels side by side, which fitted to a phone are too small to read
LONG_SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")
DEFINITION = re.compile(r"(?m)(^<|</)dd>")


class Fold(nodes.General, nodes.Element):
    """What a reader opens: ``details`` with ``summary`` as its words."""


class FoldParts(SphinxPostTransform):
    """Fold deeper sections below their headings, and the code of cells that one looks at for what they show.

    Done when a page is written, so that the list of its sections has those inside folds, too.
    """

    default_priority = 198
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Fold them in the document at hand."""
        taken = list(self.config.course_minutes.get(self.env.docname, []))
        for section in [*self.document.findall(nodes.section)]:
            outer = section.parent
            while outer is not None and not isinstance(outer, Fold):
                outer = outer.parent
            if outer is None and DEEPER.search(section[0].astext().strip()):
                number = taken.pop(0) if taken else None
                time = f", {number} minute{'s' * (number != 1)}" if number else ""
                fold = Fold("", *section[1:], summary=f"Deeper{time}", classes=["deeper-fold"])
                section["classes"].append("deeper")
                section.children = [section[0]]
                section.append(fold)
        for cell in [*self.document.findall(nodes.container)]:
            metadata = cell.get("cell_metadata") or {}
            if cell.get("nb_element") == "cell_code" and set(HIDDEN) & set(metadata.get("tags", [])):
                title = metadata.get("title")
                summary = f"Code: {title}" if title else "Code"
                for code in [part for part in cell if part.get("nb_element") == "cell_code_source"]:
                    cell.replace(code, Fold("", code, summary=summary, classes=["code-fold"]))


class MarkSentences(SphinxPostTransform):
    """Mark printed results without columns: they may wrap on a narrow screen."""

    default_priority = 198
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Mark them in the document at hand."""
        for block in self.document.findall(nodes.literal_block):
            if "stream" in block["classes"] and not COLUMNS.search(block.astext()):
                block["classes"].append("sentences")


class WholeFormulas(SphinxPostTransform):
    """Hand formulas to MathJax as they are: Sphinx would put several lines into ``split``, which has no tags."""

    default_priority = 198
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Mark and delimit them in the document at hand."""
        for formula in self.document.findall(nodes.math_block):
            if not formula.get("no-wrap") and not formula.get("number"):
                formula["no-wrap"] = formula["nowrap"] = True
                formula.children = [nodes.Text(f"\\[{formula.astext()}\\]")]


def visit_fold(translator: Any, node: Fold) -> None:
    """Open the element."""
    translator.body.append(f'<details class="{" ".join(node["classes"])}">')
    translator.body.append(f"<summary>{html.escape(node['summary'])}</summary>\n")


def depart_fold(translator: Any, node: Fold) -> None:
    """Close it."""
    translator.body.append("</details>\n")


def skip_fold(translator: Any, node: Fold) -> None:
    """Show what is folded, where nothing can be opened."""


def mend_page(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Mend what screen readers stumble over: captions said to be headings, without a level; terms without a term.

    Sphinx writes a signature of several lines as a list of definitions that define nothing: here it is a list.
    """
    if "furo_navigation_tree" in context:
        context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(' role="heading"', "")
    if "body" in context:
        context["body"] = PICTURE.sub(_mark_wide, LONG_SIGNATURE.sub(_as_list, context["body"]))


def _mark_wide(found: re.Match) -> str:
    width = re.search(r'width="(\d+)"', found["rest"])
    if 'class="cover"' in found["own"]:
        return f'<figure class="cover wide">\n<div><img {found["rest"]}></div>'
    if width and int(width[1]) > WIDE and "class=" not in found["own"]:
        return found[0].replace("<figure", '<figure class="wide"', 1)
    return found[0]


def _as_list(found: re.Match) -> str:
    items = DEFINITION.sub(r"\1li>", found[1])
    return f'<ul class="parameters">\n{items}</ul>'


def choose_dark_code(app: Sphinx) -> None:
    """Set the colors of code in the dark, a setting of the theme's, which Sphinx does not know in time."""
    app.config.pygments_dark_style = "a11y-high-contrast-dark"


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx."""
    app.add_config_value("course_minutes", {}, "env")
    app.add_node(Fold, html=(visit_fold, depart_fold), text=(skip_fold, skip_fold))
    app.add_post_transform(FoldParts)
    app.add_post_transform(MarkSentences)
    app.add_post_transform(WholeFormulas)
    app.connect("builder-inited", choose_dark_code, priority=1)
    app.connect("html-page-context", mend_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
