"""How long explorers take to answer: collected by the tests, printed as a table when all are done."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

# Reports carry their lines under this name; tests/conftest.py prints them.
PROPERTY = (
    "summary: answer times of explorers in JupyterLab: notebook, control, answers, median ms, longest ms"
)
TARGET, SLOW_TARGET = 300, 5000  # milliseconds; the second for explorers that attack or train
FAILURE = 10  # times the target: machines that run tests are busy


@dataclass(frozen=True)
class Row:
    """The times of one control, in milliseconds."""

    notebook: str
    control: str
    times: list[float]
    target: int = TARGET

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def __str__(self) -> str:
        mark = f"  over the target of {self.target} ms" if self.median > self.target else ""
        numbers = f"{len(self.times):4} {self.median:6.0f} {max(self.times):6.0f}"
        return f"{self.notebook:24} {self.control[:56]:56} {numbers}{mark}"


def too_slow(rows: Iterable[Row]) -> list[str]:
    """Sentences about controls whose median is far beyond the target."""
    return [
        f"{row.control} answers in {row.median:.0f} ms, more than {FAILURE} times the target of {row.target} ms."
        for row in rows
        if row.median > FAILURE * row.target
    ]
