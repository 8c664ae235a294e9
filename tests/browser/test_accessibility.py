"""axe-core over each notebook as exported HTML, and over what the course displays in JupyterLab; light and dark."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe import violations
from lab import NOTEBOOKS
from nbconvert import HTMLExporter
from nbformat.v4 import new_notebook
from playwright.sync_api import Page

# Faults that are not the course's, and cannot be mended in a notebook.
TEMPLATE_PARTS = {
    ".highlight": "nbconvert's colors of code: comments and some keywords have contrasts of 3.4 to 4.4",
    ".jp-InputPrompt": "nbconvert's gray of In [1], contrast 2.2",
    ".jp-OutputPrompt": "nbconvert's gray of Out[1]",
}
TEMPLATE_RULES = {"link-in-text-block": "nbconvert shows links by color alone, without a line below"}
LAB_RULES = {
    "aria-input-field-name": "ipywidgets 8 does not tie a slider's label to its handle",
}

# Give a page the head of another, which has the colors, and what its body says of the theme.
DARKEN = """page => {
    const dark = new DOMParser().parseFromString(page, 'text/html');
    document.head.innerHTML = dark.head.innerHTML;
    for (const { name, value } of dark.body.attributes) document.body.setAttribute(name, value);
}"""
# The colors of all parts of a page.
LOOKS = """() => [...document.querySelectorAll('body, body *')].map(part => {
    const { color, backgroundColor } = getComputedStyle(part);
    return `${part.tagName} ${color} ${backgroundColor}`;
})"""


@pytest.fixture(scope="module")
def dark_page() -> str:
    """An empty notebook, exported in the dark."""
    return HTMLExporter(theme="dark").from_notebook_node(new_notebook())[0]


@pytest.fixture
def exported(context, tmp_path) -> Callable[[Path, str], Page]:
    """Open a notebook's export, without network."""
    context.route("http*://**", lambda route: route.abort())

    def open_it(path: Path, theme: str) -> Page:
        file = tmp_path / f"{theme}.html"
        file.write_text(HTMLExporter(theme=theme).from_filename(path)[0], encoding="utf-8")
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    return open_it


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exported_notebook(path, exported, axe, dark_page):
    page = exported(path, "light")
    found = violations(page, axe, "body", TEMPLATE_PARTS, TEMPLATE_RULES)
    assert not found, "in the light:\n" + "\n".join(found)
    # In the dark the page is the same but for its colors.
    page.evaluate(DARKEN, dark_page)
    found = violations(page, axe, "body", TEMPLATE_PARTS, TEMPLATE_RULES, ("color-contrast",))
    assert not found, "in the dark:\n" + "\n".join(found)


def test_the_dark_page_is_the_one_that_nbconvert_exports(exported, dark_page):
    page = exported(NOTEBOOKS[0], "light")
    light = page.evaluate(LOOKS)
    page.evaluate(DARKEN, dark_page)
    assert page.evaluate(LOOKS) == exported(NOTEBOOKS[0], "dark").evaluate(LOOKS) != light


def test_what_is_displayed_in_lab(open_notebook, axe):
    """Explorer, exercise and answered quiz of one notebook: all come from the same few functions."""
    notebook = open_notebook(NOTEBOOKS[0].name)
    notebook.run_all()
    page = notebook.page
    page.locator(".Quiz .MCButton[data-correct=true]").first.click()
    page.locator(".Quiz .MCButton[data-correct=false]").last.click()
    page.wait_for_timeout(1000)  # the buttons fade to their colors
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        for part in (".course-explorer", ".Quiz", "[data-mime-type='text/html'] [role=status]"):
            assert page.locator(part).count()
            found = violations(page, axe, part, {}, LAB_RULES)
            assert not found, f"{part} in {theme}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<img src='data:,'>", "image-alt"),
        ("<p style='color: #aaa'>Words that are hard to read.</p>", "color-contrast"),
        ("<input type='text'>", "label"),
        ("<img src='data:,' alt='a cat'><p>Words.</p>", ""),
    ],
)
def test_axe_finds_what_it_should(context, axe, html, fault):
    page = context.new_page()
    page.set_content(f"<html lang='en'><title>t</title><main>{html}</main></html>")
    found = " ".join(violations(page, axe, "body", {}, {}))
    assert (fault in found) if fault else not found
    assert not violations(page, axe, "body", {"main > *": "all of it"}, {})
    assert bool(fault) == bool(violations(page, axe, "body", {}, {}, (fault or "label",)))
