"""How long explorers take to answer: collected by the tests, printed as a table when all are done.

By itself, for some notebooks or all, beside two processes that keep two cores busy, and beside an earlier table:

    python tests/browser/answer_times.py --save before.json 10 14
    python tests/browser/answer_times.py --busy --against before.json 10 14
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

# Reports carry their lines under this name; tests/conftest.py prints them.
TITLE = "answers, ms to the answer (median, longest), ms until all is computed (median, longest)"
PROPERTY = f"summary: answer times of explorers in JupyterLab: notebook, control, {TITLE}"
TARGET = 300  # milliseconds
FAILURE = 10  # times the target: machines that run tests are busy


@dataclass(frozen=True)
class Row:
    """The times of one control, in milliseconds: to the answer, a picture or a bar, and until all is there."""

    notebook: str
    control: str
    times: list[float]
    complete: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def numbers(self) -> str:
        both = [f(times) for times in (self.times, self.complete) for f in (statistics.median, max)]
        return " ".join(f"{number:6.0f}" for number in both)

    def __str__(self) -> str:
        mark = f"  over the target of {TARGET} ms" if self.median > TARGET else ""
        return f"{self.notebook:24} {self.control[:46]:46} {len(self.times):4} {self.numbers}{mark}"


def too_slow(rows: Iterable[Row]) -> list[str]:
    """Sentences about controls whose median is far beyond the target."""
    return [
        f"{row.control} answers in {row.median:.0f} ms, more than {FAILURE} times the target of {TARGET} ms."
        for row in rows
        if row.median > FAILURE * TARGET
    ]


@contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Keep cores busy with loops."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(numbers: list[str], busy: int) -> Iterator[Row]:
    """Drive the explorers of notebooks, whose cells run before the cores are busy."""
    # Here, because these are for browsers, and the tests' reports need none.
    from conftest import CHROMIUM
    from driving import Explorer, find_explorers
    from lab import NOTEBOOKS, Notebook, Visit, lab_server, new_window
    from PIL import Image
    from playwright.sync_api import sync_playwright
    from test_notebooks_in_lab import run

    program = next(filter(None, map(shutil.which, CHROMIUM)))
    paths = [path for path in NOTEBOOKS if not numbers or path.name[:2] in numbers]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        photo, letter = Path(folder, "photo.jpg"), Path(folder, "letter.txt")
        Image.linear_gradient("L").convert("RGB").resize((640, 480)).save(photo)
        letter.write_text("Dear reader")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with lab_server(NOTEBOOKS, Path(folder)) as lab:
            for path in paths:
                notebook = Notebook(Visit(new_window(browser)), lab, path.name)
                run(notebook, path)
                for place, box in enumerate(find_explorers(notebook.page), 1):
                    explorer = Explorer(notebook.page, box, photo, letter)
                    with busy_cores(busy):
                        explorer.drive()
                    for fault in explorer.faults:
                        print(f"{path.stem}: {fault}", file=sys.stderr)
                    for control in explorer.controls:
                        if control.times:
                            yield Row(path.stem, f"{place}: {control.label}", control.times, control.complete)
                notebook.close()
                notebook.page.context.close()


def main() -> None:
    """Print the table, and beside each row the numbers of an earlier one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", metavar="NN", help="of notebooks; by default all")
    parser.add_argument("--busy", action="store_const", const=2, default=0, help="keep two cores busy")
    parser.add_argument("--save", type=Path, help="a file for the numbers")
    parser.add_argument("--against", type=Path, help="a file of --save")
    options = parser.parse_args()
    earlier = [Row(**row) for row in json.loads(options.against.read_text())] if options.against else []
    known = {(row.notebook, row.control): row.numbers for row in earlier}
    print(f"notebook, control, {TITLE}{' | before' if earlier else ''}")
    rows = []
    for row in measure(options.numbers, options.busy):
        rows.append(row)
        beside = f" | {known.get((row.notebook, row.control), 'not there')}" if earlier else ""
        print(f"{row}{beside}", flush=True)
    if options.save:
        options.save.write_text(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
