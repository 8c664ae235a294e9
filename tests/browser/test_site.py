"""The course's site in Chromium: links, search, folds, three widths, both themes, and not one request."""

import functools
import http.server
import io
import posixpath
import re
import threading
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote

import pytest
from axe import violations
from lab import NOTEBOOKS, ROOT
from libraries import fetch_libraries
from pypdf import PdfReader

from course_utils.website import build_site

WIDTHS = (390, 768, 1280)
SOUGHT = ("receptive field", "c-MWP", "laundering")
FORMULAS = {"mjx-container": "MathJax's own, with a text for screen readers beside each picture"}
# One page of each kind.
KINDS = (
    r"index\.html",
    r"search\.html",
    r"explorer\.html",
    r"notebooks/00_.*",
    r"pages/glossary\.html",
    r"pages/when.*",
    r"reference/.*",
)
NETWORK = re.compile(r"(?:https?:)?//")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}

READY = """() => document.readyState === 'complete'
    && (window.MathJax ? window.MathJax.startup?.promise?.then(() => true) : true)"""
OPEN_ALL = "() => document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
# What a reader would stumble over: formulas that are still text (docstrings have none, and may have dollars),
# formulas that failed, pictures that are not there.
FAULTS = r"""notebook => {
    const article = document.querySelector('article').cloneNode(true);
    article.querySelectorAll('pre, code, script, style, mjx-container').forEach(part => part.remove());
    return [
        ...(!notebook ? [] : article.textContent.match(/.{0,30}\$.{0,30}/g) || []),
        ...[...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(part => part.outerHTML.slice(0, 200)),
        ...[...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src),
        ...[...document.images].filter(one => !one.hasAttribute('alt')).map(one => `no alt: ${one.src}`),
        ...(notebook && /widget-view|Javascript object|Interactive explorer/.exec(article.textContent) || []),
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


class Parts(HTMLParser):
    """What a page has, read from its HTML: ids, links, what is loaded; sections that are deeper, and ids in them."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded, self.deeper, self.inside = set(), [], [], [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        classes = (own.get("class") or "").split()
        if "id" in own:
            self.ids.add(own["id"])
        if tag == "section" and "deeper" in classes:
            self.deeper.append(own["id"])
        elif tag == "section" and self.deeper and self.folded:
            self.inside.append(own["id"])
        if tag == "a" and own.get("href"):
            self.links.append((own["href"], classes))
        elif own.get(LOADED.get(tag)):
            self.loaded.append(own[LOADED[tag]])
        if tag == "details" and "deeper-fold" in classes:
            self.folded = self.depth = 1
        elif tag == "details":
            self.depth += self.folded

    folded = depth = 0

    def handle_endtag(self, tag):
        if tag == "details" and self.folded:
            self.depth -= 1
            self.folded = int(self.depth > 0)


@pytest.fixture(scope="module")
def pages(site):
    """Each page, by its path in the site."""
    return {
        path.relative_to(site.folder).as_posix(): Parts(path) for path in sorted(site.folder.rglob("*.html"))
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


def test_every_link_leads_to_a_page_and_an_anchor(site, pages):
    broken, followed = [], 0
    for name, parts in pages.items():
        for link, _ in parts.links:
            address, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", address):
                broken += [f"{name}: {link}"] * ("OWNER/REPO" in address)
                continue
            followed += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), address)) if address else name
            lost = target in pages and anchor and unquote(anchor) not in pages[target].ids
            if lost or not (site.folder / target).is_file():
                broken.append(f"{name}: {link}")
    assert followed > 1000
    assert not broken, broken


def test_nothing_is_loaded_from_another_machine(site, pages):
    found = [f"{name}: {one}" for name, parts in pages.items() for one in parts.loaded if NETWORK.match(one)]
    for style in site.folder.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        found += [
            f"{style.name}: {one}"
            for one in re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", text)
        ]
    assert not found, found


def test_every_page_fits_three_widths_and_reads_well(site, pages, page):
    faults = {}
    for name in pages:
        page.faults.clear()
        page.goto((site.folder / name).as_uri())
        page.wait_for_function(READY)
        page.evaluate(OPEN_ALL)
        found = page.faults + page.evaluate(FAULTS, not name.startswith("reference/"))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found += page.evaluate(SIDEWAYS)
        if found:
            faults[name] = found
    assert not faults, faults


def accessible(site, name, page, axe):
    """What axe finds in a page, all of it unfolded, in the light and in the dark."""
    page.emulate_media(color_scheme="light")
    page.goto((site.folder / name).as_uri())
    page.wait_for_function(READY)
    page.evaluate(OPEN_ALL)
    found = violations(page, axe, "body", FORMULAS, {})
    page.emulate_media(color_scheme="dark")
    return found + violations(page, axe, "body", FORMULAS, {}, ("color-contrast",))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_page_is_accessible(kind, site, pages, page, axe):
    for name in [name for name in pages if re.fullmatch(kind, name)][:1]:
        found = accessible(site, name, page, axe)
        assert not found, "\n".join(found)


@pytest.mark.site
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_each_notebook_is_accessible(name, site, page, axe):
    found = accessible(site, f"notebooks/{name}.html", page, axe)
    assert not found, "\n".join(found)


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
        assert re.search("/(notebooks|pages|reference)/", page.url), page.url
        text = page.evaluate("() => document.querySelector('article').textContent")
        stem = words.lower().removesuffix("ing")  # by which the search finds pages
        assert stem in text.lower(), f"{words} is not in {page.url}"
    assert not [fault for fault in page.faults if "asked" in fault], page.faults


def test_a_link_into_a_fold_opens_it(site, pages, page):
    name = "notebooks/04_grad_cam.html"
    address = (site.folder / name).as_uri()
    for anchor in (pages[name].deeper[0], pages[name].inside[0]):
        page.goto("about:blank")
        page.goto(f"{address}#{anchor}")
        page.wait_for_function(READY)
        fold = "part => (part.querySelector(':scope > details') || part.closest('details')).open"
        assert page.locator(f"[id='{anchor}']").evaluate(fold)
    page.goto(address)
    assert page.locator("details.deeper-fold[open]").count() == 0
    page.evaluate("anchor => { location.hash = anchor; }", pages[name].inside[0])
    page.wait_for_function("document.querySelectorAll('details.deeper-fold[open]').length === 1")


IN_SIGHT = """part => {
    const box = part.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
}"""


def test_a_jump_holds_until_the_reader_scrolls(site, pages, page):
    """Formulas grow late: here when the test says so, in a browser that does not keep the place by itself."""
    slow = "window.MathJax = {startup: {promise: new Promise(done => { window.finish = done; })}};"
    page.route("**/tex-svg.js*", lambda route: route.fulfill(body=slow, content_type="text/javascript"))
    name = "notebooks/04_grad_cam.html"
    place = page.locator(f"[id='{pages[name].deeper[2]}']")
    page.goto(f"{(site.folder / name).as_uri()}#{pages[name].deeper[2]}")
    page.wait_for_load_state("load")
    page.add_style_tag(content="html { overflow-anchor: none; }")
    before = place.bounding_box()["y"]
    grow = """() => new Promise(done => {
        document.querySelector('article').insertAdjacentHTML('afterbegin', '<div style="height: 700px">');
        requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));
    })"""
    page.evaluate(grow)
    assert abs(before) < 100 and abs(place.bounding_box()["y"] - before) < 2
    page.mouse.wheel(0, 1)
    page.wait_for_timeout(50)
    page.evaluate(grow)
    page.evaluate("() => window.finish()")
    assert place.bounding_box()["y"] > before + 600


def test_a_search_hit_shows_the_first_word_found(site, page):
    page.goto(f"{(site.folder / 'notebooks/12_chest_xray_bias.html').as_uri()}?highlight=laundering")
    page.wait_for_function(
        f"() => [document.querySelector('article .highlighted')].filter(Boolean).some({IN_SIGHT})"
    )
    assert page.evaluate("() => scrollY") > 900


def test_code_fits_a_laptop_and_results_a_phone(site, page):
    over = "boxes => boxes.map(box => box.scrollWidth > box.clientWidth + 1)"
    page.goto((site.folder / "notebooks/01_cnn_output_size.html").as_uri())
    page.wait_for_function(READY)
    page.evaluate(OPEN_ALL)
    page.set_viewport_size({"width": 1280, "height": 800})
    code = page.locator(":is(.cell_input, .code-fold) pre").evaluate_all(over)
    assert len(code) > 30 and sum(code) <= 0.1 * len(code)

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site.folder / "notebooks/04_grad_cam.html").as_uri())
    page.wait_for_function(READY)
    page.evaluate(OPEN_ALL)
    sentences = page.locator(".output.sentences pre").evaluate_all(over)
    assert len(sentences) > 5 and not any(sentences)
    for box in (
        page.locator(".output.stream:not(.sentences) pre.more-right").first,
        page.locator("figure.wide > a.more-right").first,
    ):  # it goes on, and says so until one has scrolled to its end
        marked = box.element_handle()
        marked.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
        page.wait_for_function("box => !box.classList.contains('more-right')", arg=marked)
    assert page.locator("figure.wide img").first.bounding_box()["width"] >= 600


def test_a_printed_page_has_text_only_and_keeps_its_answers(site, page):
    page.goto((site.folder / "notebooks/00_start_here.html").as_uri())
    page.wait_for_function(READY)
    sheets = PdfReader(io.BytesIO(page.pdf())).pages
    text = " ".join(" ".join(sheet.extract_text() for sheet in sheets).split())
    assert "Deeper, 10 minutes" in text and "Answer to question 1" in text and "Code: " in text
    assert not [words for words in ("Skip to content", "Back to top", "List of pages") if words in text]
    answers = page.locator("details:has(> summary:text-matches('^Answer to question'))")
    assert answers.count() > 2
    for answer in answers.evaluate_all("all => all.map(one => one.lastElementChild.textContent.trim())"):
        assert answer and " ".join(answer.split())[:30] not in text


def test_what_is_folded_can_be_shown_printed_and_left(site, pages, page):
    name = "notebooks/04_grad_cam.html"
    folds = len(pages[name].deeper)
    page.goto((site.folder / name).as_uri())
    opened = page.locator("details.deeper-fold[open]")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert opened.count() == folds > 5
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert opened.count() == 0
    switch = page.get_by_role("button", name=re.compile(rf"as deeper \({folds} sections and exercises; on"))
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
    link = page.locator(".sidebar-tree a", has_text="04 Grad-CAM").element_handle()
    page.wait_for_function("link => link.getBoundingClientRect().left >= 0", arg=link)
    page.keyboard.press("Escape")
    page.wait_for_function("link => link.getBoundingClientRect().right <= 0", arg=link)


def test_all_notebooks_are_in_the_list_and_follow_each_other(pages):
    names = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
    listed = [link for link, classes in pages["index.html"].links if classes == ["reference", "internal"]]
    assert [link for link in listed if link.startswith("notebooks/")] == names
    for before, after in pairwise(names):
        assert (after.split("/")[1], ["next-page"]) in pages[before].links
        assert (before.split("/")[1], ["prev-page"]) in pages[after].links
