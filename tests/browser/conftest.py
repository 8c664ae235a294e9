"""What the tests in a browser share: Chromium, a JupyterLab server, pages; screenshots of what failed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe import MissingAxe, fetch_axe
from lab import NOTEBOOKS, Lab, Notebook, Visit, lab_server, left_out, new_window
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from course_utils.website import find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. A module has its own, since a running Playwright is in the way of other tests' event loops."""
    program = find_chromium()
    if program is None:
        left_out("Chromium on PATH", "Install it (Debian, Ubuntu: `apt install chromium`)")
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox itself for root, as whom containers run tests.
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])


@pytest.fixture(scope="session")
def axe(request, tmp_path_factory) -> str:
    """axe-core's script."""
    try:
        return fetch_axe(request.config.cache.mkdir("axe-core"), tmp_path_factory.mktemp("npm"))
    except MissingAxe as error:
        left_out(f"axe-core: {error}", "Install npm (Debian, Ubuntu: `apt install npm`) and be online once")


@pytest.fixture
def context(browser: Browser, request) -> Iterator[BrowserContext]:
    """A browser window of its own for a test."""
    context = request.node.browser_context = new_window(browser)
    yield context
    context.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """A JupyterLab server with copies of all notebooks."""
    with lab_server(NOTEBOOKS, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def desk(browser: Browser) -> Iterator[list[Visit]]:
    """The one page in which a module's tests open JupyterLab, or none yet: to load it anew takes seconds."""
    pages: list[Visit] = []
    yield pages
    for visit in pages:
        visit.page.context.close()


@pytest.fixture
def open_notebook(
    browser: Browser, desk: list[Visit], lab: Lab, request
) -> Iterator[Callable[[str], Notebook]]:
    """Open a notebook, by its file name; after a test that failed, in a new page."""
    opened: list[Notebook] = []

    def open_it(name: str) -> Notebook:
        if not desk:
            desk.append(Visit(new_window(browser)))
        request.node.browser_context = desk[0].page.context
        opened.append(Notebook(desk[0], lab, name))
        return opened[0]

    yield open_it
    try:
        for notebook in opened:
            notebook.close()
    finally:
        if desk and request.node.browser_test_failed:
            desk.pop().page.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    item.browser_test_failed = report.failed
    context = getattr(item, "browser_context", None)
    if report.when == "call" and report.failed and context and context.pages:
        path = item.funcargs.get("tmp_path", Path(tempfile.gettempdir())) / "screenshot.png"
        try:
            context.pages[-1].screenshot(path=path)
            report.sections.append(("Screenshot", str(path)))
        except Exception as error:
            report.sections.append(("Screenshot", f"could not be taken: {error}"))
    return report
