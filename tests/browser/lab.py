"""A JupyterLab server of one's own, and a notebook in it as a person sees and uses it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Route

from course_utils.authoring.sandbox import confine

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WATCH = Path(__file__).with_name("watch.js")
START, OPEN, RUN = 120, 120, 400  # seconds to wait at most: for the server, a notebook, all its cells
LOOPBACK = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")

SETTINGS = {
    # All cells are in the page, also those far below.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
ARGUMENTS = [
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port=0",  # any that is free
    "--expose-app-in-browser",
    # Should the tests be killed, kernels and server end by themselves.
    "--MappingKernelManager.cull_idle_timeout=900",
    "--MappingKernelManager.cull_interval=60",
    "--ServerApp.shutdown_no_activity_timeout=900",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]

# What pages of this course may ask of the network, without needing it, and why.
EXPECTED_REQUESTS = {
    "https://colab.research.google.com/assets/colab-badge.svg": "the badge in each header; its alt text stands in",
    "https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-svg.js": "jupyterquiz looks for a MathJax beside JupyterLab's",
}
EXPECTED_ERRORS = {
    "Cannot read properties of undefined (reading '0')": "jupyterquiz reads the version of the MathJax it did not get",
}

READY = """name => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const open = panel?.context?.path === `notebooks/${name}`;
    return open && panel.sessionContext.session?.kernel?.status === 'idle';
}"""
# For each cell: whether it is folded away under a heading, and whether its code is folded.
FOLDS = "() => jupyterapp.shell.currentWidget.content.widgets.map(cell => [cell.isHidden, cell.inputHidden])"
UNFOLD = """async () => {
    await jupyterapp.commands.execute('notebook:expand-all-headings');
    await jupyterapp.commands.execute('notebook:show-all-cell-code');
}"""
OPEN_ANOTHER = "name => { jupyterapp.commands.execute('docmanager:open', { path: `notebooks/${name}` }); }"
CLOSE = """() => {
    courseWatch.stop();
    const panel = jupyterapp.shell.currentWidget;
    panel.sessionContext.shutdown();
    panel.dispose();
}"""


@dataclass
class Lab:
    """A running server: the folder with the notebooks that it serves, and how to address one."""

    folder: Path
    address: str
    token: str

    def url(self, name: str) -> str:
        """The address of a notebook in ``folder``, in a workspace as new."""
        return f"{self.address}lab/tree/notebooks/{name}?reset&token={self.token}"


def environment(scratch: Path) -> dict[str, str]:
    """Return variables for a server: whoever runs this has settings and kernels of their own, which are left out.

    Its kernels reach no network.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    confine(environ)
    environ |= {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    return environ | {"IPYTHONDIR": str(scratch / "ipython")}


def end(server: subprocess.Popen) -> None:
    """Ask a server to end, and make it."""
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()


@contextmanager
def lab_server(notebooks: list[Path], scratch: Path) -> Iterator[Lab]:
    """Serve copies of notebooks from an empty folder."""
    folder = scratch / "course" / "notebooks"
    folder.mkdir(parents=True)
    for path in notebooks:
        shutil.copy(path, folder)
    for name, values in SETTINGS.items():
        file = scratch / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    token = secrets.token_hex(16)
    environ = environment(scratch) | {"JUPYTER_TOKEN": token}
    environ |= {f"JUPYTERLAB_{name}_DIR": str(scratch / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    log = scratch / "server.log"
    with log.open("w") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *ARGUMENTS, f"--ServerApp.root_dir={scratch / 'course'}"],
            cwd=scratch,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Lab(folder, _address(server, scratch / "runtime", log), token)
        finally:
            end(server)


def _address(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """The address that the server writes into a file once it listens."""
    file = runtime / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        if file.exists() and (text := file.read_text()).endswith("}"):
            return json.loads(text)["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {START} s; it wrote:\n{log.read_text()[-3000:]}")


def left_out(what: str, remedy: str) -> None:
    """Skip a test for want of a program; where everything must be there (CI), fail."""
    sentence = f"found no {what}. {remedy}, then run `pytest tests/browser`."
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def new_window(browser: Browser) -> BrowserContext:
    """A browser window, with no page in it yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    return context


class Visit:
    """A page that reaches only this machine, with all that went wrong in it.

    ``faults`` grows with errors on the console or in a script, and with requests for other machines
    (which are refused), unless they are expected.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.page: Page = context.new_page()
        self.page.route(lambda address: not address.startswith(LOOPBACK), self._refuse)
        self.page.on("console", self._console)
        self.page.on("pageerror", self._script_error)

    def _refuse(self, route: Route) -> None:
        if route.request.url not in EXPECTED_REQUESTS:
            self.faults.append(f"the page asked the network for {route.request.url}.")
        route.abort()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and message.location.get("url") not in EXPECTED_REQUESTS:
            self.faults.append(f"the console says: {message.text[:300]}")

    def _script_error(self, error: Error) -> None:
        if not any(words in str(error) for words in EXPECTED_ERRORS):
            self.faults.append(f"a script failed: {error}")


class Notebook:
    """A notebook opened in JupyterLab, with its kernel.

    Opened by its address in a page that shows nothing yet, and as from the file browser in one that shows
    JupyterLab: that takes half the time.
    """

    def __init__(self, visit: Visit, lab: Lab, name: str) -> None:
        self.page, self.faults = visit.page, visit.faults
        self.faults.clear()
        if self.page.url == "about:blank":
            self.page.goto(lab.url(name), wait_until="commit", timeout=1000 * OPEN)
        else:
            self.page.evaluate(OPEN_ANOTHER, name)
        try:
            self.page.wait_for_function(READY, arg=name, timeout=1000 * OPEN)
        except Error as error:
            raise AssertionError(f"{name} did not open with a kernel. {self._dialog()}") from error
        self.folds: list[list[bool]] = self.page.evaluate(FOLDS)
        self.page.evaluate(UNFOLD)
        self.page.add_script_tag(path=WATCH)
        if self._dialog():
            self.faults.append(self._dialog())

    def _dialog(self) -> str:
        dialogs = self.page.locator(".jp-Dialog")
        return f"A dialog stands in the way: {dialogs.first.inner_text()!r}." if dialogs.count() else ""

    def close(self) -> None:
        """End the kernel, which has a network in memory, without waiting for it, and close the tab."""
        self.page.evaluate(CLOSE)

    def run_all(self) -> None:
        """Choose Run > Run All Cells, and wait for the last answer."""
        codes = sum(cell["code"] for cell in self.cells())
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        self._wait_for_answers(codes)

    def run_cell(self, index: int) -> None:
        """Put the cursor into a cell and press Shift+Enter."""
        done = self.page.evaluate("courseWatch.replies")
        self.editor(index).click()
        self.page.keyboard.press("Shift+Enter")
        self._wait_for_answers(done + 1)

    def _wait_for_answers(self, number: int) -> None:
        over = "number => courseWatch.replies >= number && courseWatch.idle() && courseWatch.settled()"
        self.page.wait_for_function(over, arg=number, timeout=1000 * RUN, polling=100)

    def cells(self) -> list[dict]:
        """For each cell: whether it has code, which errors it shows, its source."""
        return self.page.evaluate("courseWatch.cells()")

    def cell(self, index: int) -> Locator:
        """A cell, counted from 0, text included."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def editor(self, index: int) -> Locator:
        """Where a cell's code is typed."""
        return self.cell(index).locator(".jp-Cell-inputWrapper .cm-content")

    def type_into(self, index: int, source: str) -> None:
        """Replace all of a cell's code."""
        self.editor(index).click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        assert self.cells()[index]["source"] == source, "the cell does not hold what was typed."

    def output(self, index: int) -> Locator:
        """What a cell put out."""
        return self.cell(index).locator(".jp-Cell-outputWrapper")

    def failures(self) -> list[str]:
        """Sentences about all that went wrong so far, in cells, explorers, scripts and requests."""
        found = [
            f"cell {i} ({cell['source'][:40]!r}) ended with {error}"
            for i, cell in enumerate(self.cells())
            for error in cell["errors"]
        ]
        outputs = self.page.locator(".jp-Notebook .jp-OutputArea-output")
        words = ("Traceback (most recent call last)", "Error displaying widget", "Javascript Error")
        found += [f"an output says {w!r}." for w in words if outputs.filter(has_text=w).count()]
        views = self.page.locator("[data-mime-type='application/vnd.jupyter.widget-view+json']")
        bare = views.count() - views.filter(has=self.page.locator(".jupyter-widgets")).count()
        found += [f"{bare} widgets are not displayed."] * bool(bare)
        found += [f"an explorer raised {error}" for error in self.page.evaluate("courseWatch.errors")]
        return found + self.faults
