"""Every deck in Chromium at 1280 x 720, without network: all of it shown, nothing cut off; the notes."""

import re

import pytest
from lab import NOTEBOOKS, ROOT
from libraries import fetch_libraries

from course_utils.authoring import build_decks, build_plan, find_plans, read_plan, slides

WIDTH, HEIGHT = 1280, 720
SMALLEST = 0.7  # of the intended size: text of 18 pixels on a page of 720

# Goes through a deck as a lecturer does, key press by key press, and tells of each page what there is to see.
WALK = """async () => {
    const pages = [];
    const seen = new Map();
    for (let more = true; more; ) {
        const page = Reveal.getCurrentSlide();
        if (!seen.has(page)) { seen.set(page, {}); pages.push(page); }
        const out = [...page.querySelectorAll('.content :not(svg *)')].filter(part => {
            if (part.closest('mjx-assistive-mml')) return false; // for screen readers, seen by nobody
            const scrolled = part.parentElement.closest('.jp-OutputArea-output');
            if (scrolled && scrolled.scrollHeight > scrolled.clientHeight) return false;
            const place = part.getBoundingClientRect();
            return place.width && (place.right > innerWidth + 1 || place.bottom > innerHeight + 1);
        });
        seen.set(page, {
            cells: [...page.querySelectorAll('.content [id^="cell-id="]')]
                .filter(cell => !cell.closest('aside')).map(cell => cell.id.slice(8)),
            scale: Number(page.dataset.scale),
            out: out.slice(0, 3).map(part => `${part.tagName} ${part.textContent.slice(0, 40)}`),
            low: [...page.querySelectorAll('.content img')].filter(image => image.src.startsWith('data:'))
                .map(image => [image.getBoundingClientRect().width, image.getBoundingClientRect().height])
                .filter(([width, height]) => height < FIGURE.smallest && width < 0.85 * innerWidth),
            unseen: [...page.querySelectorAll('img')].filter(image => !image.naturalWidth).length,
            fragments: page.querySelectorAll('.fragment:not(.visible)').length,
        });
        const before = JSON.stringify(Reveal.getState());
        Reveal.next();
        more = JSON.stringify(Reveal.getState()) !== before;
    }
    return pages.map(page => seen.get(page));
}"""


NAMES = [path.stem for path in NOTEBOOKS] + find_plans(ROOT)


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """The decks of all notebooks and plans, by their names."""
    fetch_libraries(tmp_path_factory.mktemp("npm"))
    folder = tmp_path_factory.mktemp("slides")
    written = build_decks(ROOT, [], folder) + [build_plan(ROOT, name, folder) for name in find_plans(ROOT)]
    return {deck.name.split(".")[0]: deck for deck in written}


@pytest.fixture
def deck_page(browser, decks):
    """Open a deck where there is no network; gives the page, and a list of requests that would have left."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    context.set_default_timeout(60_000)
    left, errors = [], []

    def open_it(name):
        page = context.new_page()
        context.on("request", lambda request: left.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(decks[name].as_uri())
        page.wait_for_function("document.documentElement.dataset.ready === 'true'")
        return page

    yield open_it, left, errors
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_deck_shows_everything_and_cuts_nothing_off(deck_page, name):
    open_it, left, errors = deck_page
    page = open_it(name)
    shown = page.evaluate(WALK)
    small = [(seen["cells"], seen["scale"]) for seen in shown if seen["scale"] < SMALLEST]
    assert not small, small
    assert not [seen for seen in shown if seen["out"] or seen["unseen"] or seen["fragments"]]
    assert not [(seen["cells"], seen["low"]) for seen in shown if seen["low"]]
    if name in find_plans(ROOT):
        parts = read_plan(ROOT, name).parts
    else:
        parts = slides.notebook_parts(ROOT, ROOT / "notebooks" / f"{name}.ipynb")
    expected = [[cell.id for cell in one.cells("p")][:-1] for part in parts for one in part.pages]
    assert [[re.sub(r"^p\d+-.*-", "", cell) for cell in seen["cells"]] for seen in shown] == [
        [re.sub(r"^p-", "", cell) for cell in cells] for cells in expected
    ]
    assert page.locator("mjx-merror").count() == 0
    assert "$" not in page.locator(".slides .jp-MarkdownOutput").first.inner_text()
    assert not errors
    assert not [url for url in left if not url.startswith(("file:", "data:"))]


def test_the_key_s_opens_the_notes(deck_page):
    open_it, left, _ = deck_page
    page = open_it(NOTEBOOKS[0].stem)
    note = page.evaluate("""() => {
        const aside = document.querySelector('aside.notes');
        const { h, v } = Reveal.getIndices(aside.closest('section'));
        Reveal.slide(h, v);
        return aside.textContent.trim();
    }""")
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    notes.wait_for()
    assert note.split("\n")[0] in notes.inner_text()
    assert not [url for url in left if not url.startswith(("file:", "data:", "about:"))]
