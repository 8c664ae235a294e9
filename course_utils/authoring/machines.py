"""Do the notebooks hold on other people's processors, and when people run cells again?

Sums of many numbers are rounded in an order that depends on the processor's instructions and on the number of threads.
What hangs on the last digits (the end of an attack, the winner of a near-tie) comes out otherwise elsewhere. And what
hangs on what earlier runs left in the kernel (a second hook, a list that grew, a generator that was not seeded anew)
comes out otherwise when a cell runs twice. Here such cells are found before learners find them.
"""

from __future__ import annotations

import copy
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from .notebooks import CHECKED, find_notebooks, kernel_client, normalize, read_notebook, started
from .sandbox import confine

__all__ = ["ARITHMETICS", "Arithmetic", "Run", "compare_machines", "run_notebook", "spread"]

PATIENCE = 600  # seconds for a cell: old instructions take up to five times as long
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
COLOR = re.compile(r"\x1b\[[\d;]*m")

_JITTER = """
def _jitter():
    import torch
    load = torch.nn.Module.load_state_dict
    def load_state_dict(self, *arguments, **options):
        result = load(self, *arguments, **options)
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for value in self.parameters():
                value.mul_(1 + 1e-6 * torch.randn(value.shape, generator=noise).to(value.dtype))
        return result
    torch.nn.Module.load_state_dict = load_state_dict
_jitter()
"""


@dataclass(frozen=True)
class Arithmetic:
    """A way of rounding.

    Attributes:
        name: what to call it.
        environment: variables that PyTorch and oneDNN read when they start.
        threads: for PyTorch and NumPy.
        prelude: code that runs before the notebook's first cell.
        needs: a flag that the processor must have (as in Linux's /proc/cpuinfo), or "".
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    prelude: str = ""
    needs: str = ""


# Threads that wait for others sleep: on fewer cores than threads they would take the time of those they wait for.
_SLEEP = {"OMP_WAIT_POLICY": "PASSIVE"}

ARITHMETICS = (
    Arithmetic("1 thread"),
    Arithmetic("2 threads", _SLEEP, threads=2),
    Arithmetic("4 threads", _SLEEP, threads=4),
    Arithmetic("SSE 4.1", {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}),
    Arithmetic("AVX2", {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}, needs="avx2"),
    Arithmetic("AVX-512", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, needs="avx512f"),
    Arithmetic("without oneDNN", prelude="import torch\ntorch.backends.mkldnn.enabled = False"),
    Arithmetic(
        "weights times 1 + 1e-6 noise", prelude=_JITTER
    ),  # for processors that are not here, such as ARM
)
"""What any claim of a notebook has to survive."""


TIMES = ("", " (cell run again)", " (all run again)")
"""Which run of a cell it was, as words after the arithmetic's name: the first, at once again, after the last cell."""


# What an arithmetic sets, and does not inherit from whoever starts the run.
_SETTINGS = {key for arithmetic in ARITHMETICS for key in arithmetic.environment}


@dataclass(frozen=True)
class Run:
    """One notebook under one arithmetic, one time.

    Attributes:
        notebook: its name without suffix.
        circumstances: the arithmetic's name, and which time it was, as in ``TIMES``.
        errors: by the number of the code cell, counted from 1: the last line of its error.
        printed: by the same number, what the cells with checked output printed.
        stored: what they should have printed.
    """

    notebook: str
    circumstances: str
    errors: dict[int, str]
    printed: dict[int, str]
    stored: dict[int, str]

    @property
    def differing(self) -> list[int]:
        """The cells whose checked output is not the stored one, errors aside."""
        return [n for n, text in self.stored.items() if n not in self.errors and self.printed.get(n) != text]


def run_notebook(path: Path, arithmetic: Arithmetic, twice: bool = False) -> list[Run]:
    """Execute a notebook under an arithmetic, in a kernel without network, and go on after errors; write nothing.

    Args:
        path: the notebook.
        arithmetic: a way of rounding.
        twice: run each cell twice in a row, and then, in the same kernel, the notebook once more from the top.

    Returns:
        A run for the first time; with ``twice``, one for each of ``TIMES``.
    """
    notebook = read_notebook(path)
    stored = _checked(notebook.cells)
    first, again, after = times = [copy.deepcopy(notebook.cells) for _ in TIMES]
    prelude = [new_code_cell(arithmetic.prelude)] if arithmetic.prelude else []
    row = [cell for both in zip(first, again, strict=True) for cell in both] + after if twice else first
    notebook.cells = prelude + row
    inherited = {key: value for key, value in os.environ.items() if key not in _SETTINGS}
    environment = inherited | dict(arithmetic.environment)
    confine(environment, arithmetic.threads)
    client = kernel_client(notebook, path.parent, PATIENCE, allow_errors=True)
    try:
        with started(client, environment):
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
    except (CellTimeoutError, DeadKernelError) as error:
        cell.outputs = [new_output("error", ename=type(error).__name__, evalue="the notebook stopped")]
    normalize(notebook)
    return [
        Run(path.stem, arithmetic.name + time, _errors(cells), _checked(cells), stored)
        for time, cells in zip(TIMES[: 3 if twice else 1], times, strict=False)
    ]


def _code(cells: Iterable[NotebookNode]) -> list[tuple[int, NotebookNode]]:
    return list(enumerate((cell for cell in cells if cell.cell_type == "code" and cell.source.strip()), 1))


def _errors(cells: Iterable[NotebookNode]) -> dict[int, str]:
    """The last lines of the errors, by the cell's number."""
    return {
        number: COLOR.sub("", f"{output.ename}: {output.evalue}").strip().split("\n")[0]
        for number, cell in _code(cells)
        for output in cell.outputs
        if output.output_type == "error"
    }


def _checked(cells: Iterable[NotebookNode]) -> dict[int, str]:
    """What the cells with checked output print, by the cell's number; pictures aside."""
    texts = {}
    for number, cell in _code(cells):
        if CHECKED.search(cell.source):
            parts = [
                output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell.outputs
            ]
            texts[number] = "".join(parts)
    return texts


def spread(texts: Sequence[str]) -> str:
    """What several printings of a cell have in common, with "a .. b" for a number that varies.

    >>> spread(["energy 0.47, cat", "energy 0.49, cat"])
    'energy 0.47 .. 0.49, cat'

    Where the words differ, too, the different texts stand one below the other.
    """
    if len({NUMBER.sub("#", text) for text in texts}) != 1:
        return "\n".join(dict.fromkeys(texts))
    columns = iter(zip(*(NUMBER.findall(text) for text in texts), strict=True))

    def between(match: re.Match) -> str:
        found = sorted(set(next(columns)), key=lambda number: float(number.replace(",", "")))
        return match[0] if len(found) == 1 else f"{found[0]} .. {found[-1]}"

    return NUMBER.sub(between, texts[0])


def _flags() -> set[str] | None:
    """What this processor can, or None where the system does not say."""
    try:
        found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        return None
    return set(found[1].split()) if found else None


def compare_machines(
    root: Path, names: Iterable[str] = (), only: Iterable[str] = (), twice: bool = False, jobs: int = 2
) -> int:
    """Execute notebooks under all arithmetics (or those named), and print each cell that does not hold.

    Args:
        root: the course's folder.
        names: of notebooks, such as "03"; default: all.
        only: names of arithmetics; default: all that this processor can.
        twice: run each cell twice, and each notebook once more in the same kernel.
        jobs: kernels at a time.

    Returns:
        0 if every assert held and every checked output was as stored, else 1.

    Raises:
        ValueError: an unknown name.
    """
    only = list(only)
    known = {arithmetic.name: arithmetic for arithmetic in ARITHMETICS}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"there is no arithmetic {unknown[0]!r}, only {', '.join(known)}.")
    flags = _flags()
    chosen = [known[name] for name in only or known]
    left_out = [a for a in chosen if a.needs and flags is not None and a.needs not in flags]
    paths = find_notebooks(root / "notebooks", names)
    tasks = [
        (path, arithmetic, twice) for arithmetic in chosen if arithmetic not in left_out for path in paths
    ]
    with ProcessPoolExecutor(jobs) as pool:
        runs = [run for several in pool.map(run_notebook, *zip(*tasks, strict=True)) for run in several]
    for arithmetic in left_out:
        print(f"left out: {arithmetic.name}, which this processor cannot.")
    return _report(runs)


def _report(runs: Sequence[Run]) -> int:
    """Print, cell by cell, under which circumstances it failed or printed something else, and the spread."""
    faults: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for run in runs:
        for number, words in run.errors.items():
            faults[run.notebook, number][run.circumstances] = words
        for number in run.differing:
            faults[run.notebook, number][run.circumstances] = "prints something else"
    for (notebook, number), where in sorted(faults.items()):
        print(f"{notebook}, code cell {number}:")
        for circumstances, words in where.items():
            print(f"  {circumstances}: {words}")
        texts = [run.printed[number] for run in runs if run.notebook == notebook and number in run.printed]
        texts += [run.stored[number] for run in runs if run.notebook == notebook and number in run.stored][:1]
        if len(set(texts)) > 1:
            print("  printed:", *spread(texts).splitlines(), sep="\n    ")
    notebooks = len({run.notebook for run in runs})
    circumstances = ", ".join(dict.fromkeys(run.circumstances for run in runs))
    print(f"{notebooks} notebooks under: {circumstances}. Cells that do not hold everywhere: {len(faults)}.")
    return int(bool(faults))
