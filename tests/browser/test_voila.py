"""Notebook 14 as a web page: Voila serves it; its explorer answers, takes a picture, refuses a text, offers files."""

import csv
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from driving import find_explorers
from lab import ROOT, Visit, end, environment
from PIL import Image
from playwright.sync_api import Page

NOTEBOOK = ROOT / "notebooks" / "14_explain_your_own.ipynb"
START, RENDERED = 120, 400_000  # seconds for the server, milliseconds for a page: all cells run first

# What Voila's own page looks for on the internet and can do without: icons.
ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/**"
# It leaves out parts of JupyterLab that extensions ask for, and its console says so.
VOILAS_OWN = "module-federation.io"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A Voila server on this machine alone, started as the README says, with kernels that reach no network."""
    scratch = tmp_path_factory.mktemp("voila")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", str(NOTEBOOK), _setting(), "--no-browser", f"--port={port}"]
    with (scratch / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--Voila.ip=127.0.0.1"],
            cwd=scratch, env=environment(scratch), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait_for_port(server, port, scratch / "server.log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            end(server)


def _setting() -> str:
    """The option that stands in the README, without which pictures of over 10 MB do not get through."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(r'(--Voila\.tornado_settings=)"([^"]+)"', readme).expand(r"\1\2")


def _wait_for_port(server: subprocess.Popen, port: int, log) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/voila/static/", timeout=5)
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"Voila did not start within {START} s; it wrote:\n{log.read_text()[-3000:]}")


def _wait_for_words(page: Page, words: str) -> None:
    page.wait_for_function(
        "words => document.querySelector('.course-explorer figcaption')?.textContent.includes(words)",
        arg=words,
        timeout=60_000,
    )


def _upload(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(".course-explorer .widget-upload").click()
    chooser.value.set_files(file)


def test_the_page(context, address, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3648, 5472, 3), np.uint8)  # twenty megapixels
    Image.fromarray(noise).save(tmp_path / "mine.jpg", quality=75)
    assert (tmp_path / "mine.jpg").stat().st_size > 11_000_000
    (tmp_path / "letter.txt").write_text("Dear reader")
    visit = Visit(context)
    page = visit.page
    page.route(ICONS, lambda route: route.fulfill(content_type="text/css", body=""))
    page.goto(address, wait_until="commit", timeout=RENDERED)
    page.wait_for_function(
        "() => document.querySelector('.course-explorer .widget-html img') || "
        "document.body?.textContent.includes('There was an error when executing cell')",
        timeout=RENDERED,
    )
    assert page.get_by_text("There was an error when executing cell").count() == 0
    page.wait_for_selector(".course-explorer .widget-html img", timeout=RENDERED)
    assert page.get_by_role("heading", name="Capstone: audit a classifier").count() == 1
    assert page.locator(".jp-CodeCell .cm-content, .jp-InputArea-editor").count() == 0, "code is shown"

    (box,) = find_explorers(page)
    _wait_for_words(page, "Grad-CAM at net.bn2")
    before = box.locator("img").get_attribute("src")
    box.locator("select").nth(2).select_option("Grad-CAM++")
    _wait_for_words(page, "Grad-CAM++ at net.bn2")
    assert box.locator("img").get_attribute("src") != before

    _upload(page, tmp_path / "mine.jpg")
    _wait_for_words(page, "mine.jpg, seen by")
    with page.expect_download() as download:
        box.get_by_role("button", name="prepare downloads").click()
        box.get_by_role("link", name="the numbers (CSV)").click()
    with open(download.value.path(), encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["picture"] == "mine.jpg" and download.value.suggested_filename == "mine_grad-cam_.csv"

    _upload(page, tmp_path / "letter.txt")
    box.locator("[role=alert]").wait_for()
    assert "letter.txt is no picture" in box.locator("[role=alert]").inner_text()
    faults = [fault for fault in visit.faults if VOILAS_OWN not in fault]
    assert not faults, "\n".join(faults)
