"""The course's site in Chromium: links, search, folds, three widths, both themes, and not one request."""

import functools
import http.server
import posixpath
import re
import threading
from itertools import pairwise
from urllib.parse import unquote

import pytest
from axe import violations
from bs4 import BeautifulSoup
from lab import NOTEBOOKS, ROOT
from libraries import fetch_libraries

from course_utils.website import build_site

WIDTHS = (390, 768, 1280)
SOUGHT = ("receptive field", "c-MWP", "laundering")
FURO = {"region": "the theme puts its link to the content before the landmarks"}
NETWORK = re.compile(r"(?:https?:)?//")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}

READY = """() => document.readyState === 'complete'
    && (window.MathJax ? window.MathJax.startup?.promise?.then(() => true) : true)"""
OPEN_ALL = "() => document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
# What a reader would stumble over: formulas that are still text, formulas that failed, pictures that are not there.
FAULTS = r"""() => {
    const article = document.querySelector('article').cloneNode(true);
    article.querySelectorAll('pre, code, script, style, mjx-container').forEach(part => part.remove());
    return [
        ...(article.textContent.match(/.{0,30}\$.{0,30}/g) || []),
        ...[...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(part => part.outerHTML.slice(0, 200)),
        ...[...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src),
        ...[...document.images].filter(one => !one.alt).map(one => `no alt: ${one.src}`),
        ...(/widget-view|Javascript object|Interactive explorer/.exec(article.textContent) || []),
    ];
}"""
SIDEWAYS = """() => {
    const page = document.scrollingElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    return [...document.querySelectorAll('body *')].filter(part => part.getBoundingClientRect().right > innerWidth + 1)
        .slice(0, 5).map(part => `${innerWidth}: ${part.tagName}.${part.className} ${part.textContent.slice(0, 40)}`);
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once."""
    fetch_libraries(tmp_path_factory.mktemp("npm"))
    return build_site(ROOT, tmp_path_factory.mktemp("site") / "course")


@pytest.fixture(scope="module")
def soups(site):
    """Each page's HTML, by its path in the site."""
    return {
        path.relative_to(site.folder).as_posix(): BeautifulSoup(
            path.read_text(encoding="utf-8"), "html.parser"
        )
        for path in sorted(site.folder.rglob("*.html"))
    }


@pytest.fixture(scope="module")
def served(site):
    """The address of a server for the site."""
    handler = functools.partial(_Quiet, directory=site.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def page(context, site):
    """A page without network, and what it asked other machines for, or could not do."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.faults = []

    def asked(request):
        if not request.url.startswith((site.folder.as_uri(), "http://127.0.0.1:", "data:", "blob:")):
            page.faults.append(f"asked for {request.url}")

    page.on("request", asked)
    page.on("requestfailed", lambda request: page.faults.append(f"not there: {request.url}"))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.emulate_media(reduced_motion="reduce")
    return page


def test_sphinx_finds_nothing_wrong(site):
    assert not site.warnings, "\n".join(site.warnings)


def test_every_link_leads_to_a_page_and_an_anchor(site, soups):
    there = {name: {part["id"] for part in soup.find_all(id=True)} for name, soup in soups.items()}
    broken, followed = [], 0
    for name, soup in soups.items():
        for link in soup.find_all("a", href=True):
            address, _, anchor = link["href"].partition("#")
            if re.match(r"[a-z]+:", address):
                if "OWNER/REPO" in address:
                    broken.append(f"{name}: {link['href']}")
                continue
            followed += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), address)) if address else name
            found = (site.folder / target).is_file()
            if not found or (target in there and anchor and unquote(anchor) not in there[target]):
                broken.append(f"{name}: {link['href']}")
    assert followed > 1000
    assert not broken, broken


def test_nothing_is_loaded_from_another_machine(site, soups):
    found = [
        f"{name}: {part}"
        for name, soup in soups.items()
        for tag, key in LOADED.items()
        for part in soup.find_all(tag, attrs={key: NETWORK.match})
        if part.get("rel") != ["canonical"]
    ]
    for style in site.folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        found += [
            f"{style.name}: {one}"
            for one in re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", text)
        ]
    assert not found, found


def test_every_page_on_three_widths_in_both_themes(site, soups, page, axe):
    faults = {}
    for name in soups:
        page.faults.clear()
        page.emulate_media(color_scheme="light")
        page.goto((site.folder / name).as_uri())
        page.wait_for_function(READY)
        page.evaluate(OPEN_ALL)
        found = [f"{name}: {fault}" for fault in page.faults + page.evaluate(FAULTS)]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found += page.evaluate(SIDEWAYS)
        found += violations(page, axe, "body", {}, FURO)
        page.emulate_media(color_scheme="dark")
        found += violations(page, axe, "body", {}, FURO, ("color-contrast",))
        if found:
            faults[name] = found
    assert not faults, faults


@pytest.mark.parametrize("where", ["served", "folder"])
def test_the_search_leads_to_a_page_that_has_the_words(where, served, site, page):
    base = served if where == "served" else site.folder.as_uri()
    for words in SOUGHT:
        page.goto(f"{base}/index.html")
        page.locator(".sidebar-search").first.fill(words)
        page.locator(".sidebar-search").first.press("Enter")
        result = page.locator("#search-results li a").first
        result.wait_for()
        result.click()
        page.wait_for_load_state()
        assert words.lower() in page.locator(
            "article"
        ).inner_text().lower() or words.lower() in page.evaluate(
            "() => document.querySelector('article').textContent.toLowerCase()"
        )
        assert "/notebooks/" in page.url or "/pages/" in page.url, page.url
    assert not [fault for fault in page.faults if "asked" in fault], page.faults


def test_a_link_into_a_fold_opens_it(site, soups, page):
    name = "notebooks/04_grad_cam.html"
    deeper = soups[name].select_one("section.deeper")
    inside = next(part["id"] for part in deeper.select("details.deeper-fold [id]"))
    for anchor in (deeper["id"], inside):
        page.goto("about:blank")
        page.goto(f"{(site.folder / name).as_uri()}#{anchor}")
        page.wait_for_function(READY)
        assert page.locator(f"[id='{anchor}']").evaluate(
            "part => (part.querySelector(':scope > details') || part.closest('details')).open"
        )
    page.goto((site.folder / name).as_uri())
    assert page.locator("details.deeper-fold[open]").count() == 0
    page.evaluate("anchor => { location.hash = anchor; }", inside)
    page.wait_for_function("document.querySelectorAll('details.deeper-fold[open]').length === 1")


def test_what_is_folded_can_be_shown_printed_and_left(site, soups, page):
    name = "notebooks/04_grad_cam.html"
    folds = len(soups[name].select("details.deeper-fold"))
    page.goto((site.folder / name).as_uri())
    opened = page.locator("details.deeper-fold[open]")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert opened.count() == folds > 5
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert opened.count() == 0
    switch = page.get_by_role("button", name=f"Show the {folds} deeper sections")
    switch.focus()
    page.keyboard.press("Enter")
    assert opened.count() == folds
    page.reload()  # remembered
    assert opened.count() == folds
    switch.click()
    assert opened.count() == 0


def test_the_lists_open_with_the_keyboard_on_a_phone(site, page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site.folder / "index.html").as_uri())
    page.get_by_role("button", name="List of pages").focus()
    page.keyboard.press("Enter")
    link = page.locator(".sidebar-tree a", has_text="04 Grad-CAM")
    link.wait_for()
    page.wait_for_function("link => link.getBoundingClientRect().left >= 0", arg=link.element_handle())
    page.keyboard.press("Escape")
    page.wait_for_function("link => link.getBoundingClientRect().right <= 0", arg=link.element_handle())


def test_all_notebooks_are_in_the_list_and_follow_each_other(soups):
    links = [link["href"] for link in soups["index.html"].select(".sidebar-tree a")]
    names = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
    assert [link for link in links if link.startswith("notebooks/")] == names
    for before, after in pairwise(names):
        assert soups[before].select_one("a.next-page")["href"] == after.split("/")[1]
        assert soups[after].select_one("a.prev-page")["href"] == before.split("/")[1]
