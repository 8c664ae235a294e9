"""Execute the notebooks and store them so that a second run changes nothing but the times.

The tests ask whether stored notebooks have this form and keep these limits; readers never need this module.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_utils.authoring.sandbox import confine

__all__ = [
    "DATA_URI",
    "HEADER_SECONDS",
    "MAX_IMAGE",
    "MAX_NOTEBOOK",
    "find_notebooks",
    "image_sizes",
    "read_notebook",
    "read_quiz",
    "refresh_notebooks",
]

NOT_HERE = "Not on this machine: "
"""How a cell tagged ``optional`` begins what it prints where the data that it is about cannot be had."""
CELL_TIMEOUT = 120  # seconds, as in pyproject.toml for nbval

MAX_NOTEBOOK = 700_000  # bytes of the stored file
MAX_IMAGE = 110_000  # bytes of one decoded picture
CHECKED = re.compile(r"^\s*# NBVAL_CHECK_OUTPUT\s*$", re.M)  # the mark of a cell whose output is compared
HEADER_SECONDS = re.compile(r"(about )(\d+)( seconds to run)")

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/=\s]+)")
PROGRESS_BAR = re.compile(r"\d+%\||\bit/s\b|\bs/it\b|\?it/s")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook and give each cell without a unique id one made from the notebook's name and the cell's text.

    The ids are set before nbformat sees the cells, because nbformat would draw random ones.
    """
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("nbformat") != 4:
        raise ValueError(f"{path.name} has notebook format {raw.get('nbformat')}; save it as format 4 first.")
    seen: set[str] = set()
    for cell in raw["cells"]:
        copy = 0
        while not cell.get("id") or cell["id"] in seen:
            content = f"{path.stem}\n{copy}\n{''.join(cell['source'])}"
            cell["id"] = hashlib.sha256(content.encode()).hexdigest()[:8]
            copy += 1
        seen.add(cell["id"])
    raw["nbformat_minor"] = max(5, raw.get("nbformat_minor", 0))
    return nbformat.reads(json.dumps(raw), as_version=4)


def read_quiz(root: Path, name: str) -> list[dict]:
    """Return the questions of a notebook's quiz, as data/quizzes has them; none if it has no quiz."""
    file = root / "data" / "quizzes" / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def _outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield index, output


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join printed text that the kernel happened to send in several pieces."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def normalize(notebook: NotebookNode) -> list[str]:
    """Take out of an executed notebook what would differ next time or on another machine.

    Removed are widget state and views (the text of such an output stays), progress bars and all else on stderr,
    timings, versions in the metadata. Returns remarks for the author: the warnings removed, memory addresses printed.
    """
    remarks = []
    for index, output in _outputs(notebook):
        if output.get("name") == "stderr":
            lines = [
                line for line in re.split(r"[\r\n]+", output.text) if line and not PROGRESS_BAR.search(line)
            ]
            remarks += [f"cell {index} warns: {line}" for line in lines]
        elif ADDRESS.search(output.get("text", "") + output.get("data", {}).get("text/plain", "")):
            remarks.append(f"cell {index} prints a memory address, which changes with every run.")
    count = 0
    for cell in notebook.cells:
        for key in ("execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        for output in cell.outputs:
            if output.get("data", {}).pop(WIDGET_VIEW, None) and PROGRESS_BAR.search(
                output.data.get("text/plain", "")
            ):
                output.data.clear()
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
        kept = [o for o in cell.outputs if o.get("name") != "stderr" and o.get("data") != {}]
        cell.outputs = _joined_streams(kept)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    return remarks


def image_sizes(notebook: NotebookNode) -> list[tuple[int, int]]:
    """All pictures among the outputs, also those inside HTML, as (index of the cell, bytes when decoded)."""
    sizes = []
    for index, output in _outputs(notebook):
        data = output.get("data", {})
        encoded = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        encoded += DATA_URI.findall(data.get("text/html", ""))
        sizes += [(index, len(base64.b64decode(picture))) for picture in encoded]
    return sizes


def write_seconds(notebook: NotebookNode, seconds: int) -> bool:
    """Put ``seconds`` in the header's "about NN seconds to run"; False if the first text cell has no such words."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, changes = HEADER_SECONDS.subn(rf"\g<1>{seconds}\g<3>", cell.source)
            return changes > 0
    return False


def store_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write in one step, so that an interruption leaves the old file whole."""
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)


@dataclass
class Report:
    """What one execution of a notebook was like; sizes in bytes, memory in MB (None where it cannot be read)."""

    seconds: float
    memory: float | None
    threads: int
    size: int = 0
    largest_image: int = 0

    @property
    def faults(self) -> list[str]:
        """Sentences about the limits that the notebook exceeds."""
        found = []
        if self.size > MAX_NOTEBOOK:
            found.append(f"the file has {self.size // 1000} KB; the limit is {MAX_NOTEBOOK // 1000} KB.")
        if self.largest_image > MAX_IMAGE:
            found.append(
                f"a picture has {self.largest_image // 1000} KB; the limit is {MAX_IMAGE // 1000} KB."
            )
        return found

    def __str__(self) -> str:
        """One line for the terminal."""
        memory = "?" if self.memory is None else f"{self.memory:.0f}"
        return (
            f"{self.seconds:.1f} s with {self.threads} threads, {memory} MB at the peak, {self.size / 1000:.0f} KB, "
            f"largest picture {self.largest_image / 1000:.0f} KB"
        )


def find_notebooks(folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """The notebooks in ``folder`` in order, or those named: by number ("03"), name or path.

    Raises:
        ValueError: for a name that fits no notebook; the message lists those there are.
    """
    known = sorted(folder.glob("*.ipynb"))
    chosen = []
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        fits = [path for path in known if path.stem == stem or path.stem.startswith(f"{stem}_")]
        if not fits:
            there = ", ".join(path.stem for path in known) or "none"
            raise ValueError(f"No notebook is called {name!r}. In {folder.name}/ there are: {there}.")
        chosen += [path for path in fits if path not in chosen]
    return chosen or known


def _peak_memory(pid: int | None) -> float | None:
    """Peak resident memory of a process in MB, where /proc tells (Linux)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else None


def kernel_client(
    notebook: NotebookNode, folder: Path, timeout: int = CELL_TIMEOUT, **options: bool
) -> NotebookClient:
    """Return what executes a notebook's cells one by one, with ``folder`` as working directory.

    Args:
        notebook: its cells get the outputs.
        folder: the kernel's working directory.
        timeout: seconds for a cell.
        options: what becomes of errors: ``force_raise_errors`` or ``allow_errors``, as of nbclient.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=40"],  # errors only: no remarks of the kernel on its transport
        resources={"metadata": {"path": str(folder)}},
        **options,
    )
    client.reset_execution_trackers()
    return client


def started(client: NotebookClient, environment: Mapping[str, str]) -> ExitStack:
    """Start the client's kernel, to be used in a ``with`` statement, which ends it.

    Ports are looked up before the kernel takes them: of two kernels that start at once, one may find its port taken
    and die. So there is a second try.

    Raises:
        RuntimeError: the kernel died twice.
    """
    stack = ExitStack()
    try:
        stack.enter_context(client.setup_kernel(env=environment))
    except RuntimeError:
        stack.enter_context(client.setup_kernel(env=environment))
    return stack


def execute(notebook: NotebookNode, folder: Path, threads: int = 2) -> Report:
    """Run all cells from top to bottom in a fresh kernel that reaches no network, and store their outputs.

    Args:
        notebook: changed in place.
        folder: the kernel's working directory.
        threads: for PyTorch and NumPy in the kernel.

    Returns:
        A report in which ``size`` and ``largest_image`` are still 0. The time counts the cells, imports included,
        not the start of the kernel.

    Raises:
        CellExecutionError: a cell raised an error. CellTimeoutError, DeadKernelError: it took over CELL_TIMEOUT
        seconds; the kernel died.
    """
    from course_utils.show import STORING  # loads PyTorch and matplotlib

    environment = dict(os.environ) | {STORING: "1"}
    confine(environment, threads)
    client = kernel_client(notebook, folder, force_raise_errors=True)
    with started(client, environment):
        start = time.perf_counter()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        memory = _peak_memory(getattr(client.km.provisioner, "pid", None))
    return Report(seconds, memory, threads)


def rounded_seconds(seconds: float) -> int:
    """Seconds rounded up to a multiple of 5, so that the figure in a header seldom changes."""
    return max(5, 5 * math.ceil(seconds / 5))


def write_seconds_in_table(readme: Path, name: str, seconds: int) -> bool:
    """Put ``seconds`` in the last column ("NN s") of the README's row that links to the notebook ``name``."""
    lines = readme.read_text(encoding="utf-8").splitlines(keepends=True) if readme.exists() else []
    found = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("|") and f"(notebooks/{name})" in line:
            lines[number], changes = re.subn(
                r"\b\d+ s(?=[ \t]*\|?[ \t]*$)", f"{seconds} s", line, flags=re.MULTILINE
            )
            found = found or changes > 0
    if found:
        readme.write_text("".join(lines), encoding="utf-8")
    return found


def keep_optional(notebook: NotebookNode, stored: Mapping[str, list[NotebookNode]]) -> list[str]:
    """Give cells tagged ``optional`` their stored outputs back where they had nothing to run on.

    Such cells are about data that not every machine has, pictures to download, say. Without them they print a sentence
    that begins with ``NOT_HERE``; it would take the place of the results that the author's machine once gave.

    Args:
        notebook: as executed; changed in place.
        stored: outputs before that, by the cells' ids.

    Returns:
        A remark about each cell that kept its outputs, because nobody has checked them now.
    """
    remarks = []
    for index, cell in enumerate(notebook.cells):
        before = stored.get(cell.id, [])
        if "optional" in cell.metadata.get("tags", []) and _not_here(cell.outputs) and not _not_here(before):
            cell.outputs = before
            remarks.append(f"cell {index} could not run here and keeps the outputs that were stored.")
    return remarks


def _not_here(outputs: list[NotebookNode]) -> bool:
    """Whether a cell said that its data are missing; one without outputs counts, too."""
    return not outputs or any(output.get("text", "").startswith(NOT_HERE) for output in outputs)


def refresh_notebook(path: Path, readme: Path, threads: int = 2) -> Report:
    """Execute, normalize and store one notebook, and write its seconds in its header and in ``readme``.

    The file changes only after all cells have run. Raises what `execute` raises.
    """
    notebook = read_notebook(path)
    stored = {cell.id: copy.deepcopy(cell.get("outputs", [])) for cell in notebook.cells}
    report = execute(notebook, path.parent, threads)
    remarks = normalize(notebook) + keep_optional(notebook, stored)
    seconds = rounded_seconds(report.seconds)
    if not write_seconds(notebook, seconds):
        remarks.append('the first text cell does not say "about NN seconds to run".')
    if not write_seconds_in_table(readme, path.name, seconds):
        remarks.append(f'{readme.name} has no table row that links to it and ends in "NN s".')
    store_notebook(notebook, path)
    report.size = path.stat().st_size
    report.largest_image = max((size for _, size in image_sizes(notebook)), default=0)
    for remark in remarks:
        print(f"  {path.stem}: {remark}")
    return report


def refresh_notebooks(root: Path, names: Iterable[str] = (), threads: int = 2) -> int:
    """Refresh the notebooks of the course in ``root``; returns 1 if one fails or exceeds a limit, else 0."""
    failed = False
    for path in find_notebooks(root / "notebooks", names):
        try:
            report = refresh_notebook(path, root / "README.md", threads)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"FAILED {path.stem}, file left as it was: {error}")
            failed = True
            continue
        print(f"{'EXCEEDS' if report.faults else 'ok'} {path.stem}: {report}", flush=True)
        for fault in report.faults:
            print(f"  {path.stem}: {fault}")
        failed = failed or bool(report.faults)
    return int(failed)
