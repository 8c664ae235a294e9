"""How much memory notebook 14 takes as a web page, per person: `python tests/benchmarks/voila_memory.py`.

Voila runs a kernel for each page that is open. The script serves the notebook, opens it in one page after the other in
Chromium, and reads from Linux what server and kernels hold: their proportional set size (PSS, of memory that several
processes share each counts its part), since the sum of it is what the machine lacks. At the end it waits until kernels
of closed pages are gone. Needs Linux, the packages of the extra `test`, and Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from course_utils.website import find_chromium

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "14_explain_your_own.ipynb"
PATIENCE = 1_800_000  # milliseconds
TOKEN = "measured"
ANSWERED = "words => document.querySelector('.course-explorer figcaption')?.textContent.includes(words)"


def children(pid: int) -> list[int]:
    """The processes below one, all generations."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def megabytes(pid: int) -> float:
    """The proportional set size of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024 / 1e6


def kernels(server: int) -> list[int]:
    """The kernels of a server."""
    found = []
    for pid in children(server):
        if b"ipykernel_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    return found


def serve(folder: Path, port: int, cull: int) -> subprocess.Popen:
    """Start Voila as the README says, on this machine alone, and wait until it answers."""
    options = [
        f"--port={port}",
        "--no-browser",
        f"--token={TOKEN}",
        f"--MappingKernelManager.cull_idle_timeout={cull}",
        "--MappingKernelManager.cull_interval=10",
    ]
    environ = {**os.environ, "OMP_NUM_THREADS": "2"}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(NOTEBOOK), *options],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/voila/static/", timeout=5)
        except urllib.error.HTTPError:
            return server
        except OSError:
            time.sleep(0.2)
        else:
            return server
    sys.exit(f"Voila ended: {(folder / 'server.log').read_text()[-1000:]}")


def explain_once(page: Page) -> None:
    """Have one more explanation made: another method."""
    page.locator(".course-explorer select").nth(2).select_option("Grad-CAM++")
    page.wait_for_function(ANSWERED, arg="Grad-CAM++", timeout=PATIENCE)


def measure(people: int, cull: int) -> None:
    """Print a line a person, and what became of the kernels when all had left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = find_chromium() or sys.exit("found no Chromium on PATH.")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = serve(Path(scratch), port, cull)
        try:
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
            print(f"server alone: {megabytes(server.pid):.0f} MB")
            before = 0.0
            for person in range(1, people + 1):
                page = browser.new_context().new_page()
                start = time.perf_counter()
                page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}", wait_until="commit", timeout=PATIENCE)
                page.wait_for_function(ANSWERED, arg="Grad-CAM at", timeout=PATIENCE)
                seconds = time.perf_counter() - start
                idle = sum(map(megabytes, kernels(server.pid)))
                explain_once(page)
                sizes = [megabytes(pid) for pid in kernels(server.pid)]
                print(
                    f"{person} people: page after {seconds:.0f} s; {len(sizes)} kernels, {idle:.0f} MB; after one "
                    f"explanation {sum(sizes):.0f} MB ({sum(sizes) - before:+.0f}); the server "
                    f"{megabytes(server.pid):.0f} MB",
                    flush=True,
                )
                before = sum(sizes)
            browser.close()
            start = time.perf_counter()
            while kernels(server.pid) and time.perf_counter() - start < cull + 60:
                time.sleep(1)
            left = len(kernels(server.pid))
            print(f"pages closed: {left} kernels left after {time.perf_counter() - start:.0f} s")
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--people", type=int, default=4, help="pages to open (default: 4)")
    parser.add_argument(
        "--cull", type=int, default=60, help="seconds after which idle kernels end (default: 60)"
    )
    options = parser.parse_args()
    measure(options.people, options.cull)


if __name__ == "__main__":
    main()
