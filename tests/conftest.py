"""Settings for all tests. What keeps them off the network and on one thread is authoring.sandbox (see pyproject)."""

import os
from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest
from hypothesis import settings

# Figures are drawn to memory, also in the tests' own process.
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples in every run, and no time limit for one: a test that fails on a slow day says nothing.
settings.register_profile("course", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("course")

MANY = 1_000  # reports, three a test: a shorter run is over before one asks where its time went
SLOWEST = 6


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests left to be read at the end: properties of their reports, ("summary: TITLE", [lines]).

    And in a line for each reason, how many tests were left out.

    Here, because with xdist the process that prints the summary reads no conftest.py in subfolders.
    """
    titles: dict[str, dict[str, None]] = {}
    reports = [report for group in terminalreporter.stats.values() for report in group]
    for report in sorted(reports, key=lambda report: getattr(report, "nodeid", "")):
        for name, lines in getattr(report, "user_properties", ()):
            if name.startswith("summary: "):  # once, although the report of the teardown has it, too
                titles.setdefault(name.removeprefix("summary: "), {}).update(dict.fromkeys(lines))
    for title, lines in titles.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    reasons = Counter(why[2].removeprefix("Skipped: ") for why in skipped if isinstance(why, tuple))
    for reason, number in reasons.items():
        terminalreporter.write_line(f"Left out, {number} tests: {reason}")
    if len(reports) > MANY:
        _where_the_time_went(terminalreporter, reports)


def _where_the_time_went(terminalreporter: pytest.TerminalReporter, reports: list) -> None:
    """Print the minutes of each folder and of its slowest files; two workers spend them side by side."""
    seconds: dict[str, Counter] = defaultdict(Counter)
    for report in reports:
        path = PurePosixPath(getattr(report, "nodeid", "").split("::")[0])
        seconds[str(path.parent)][path.name] += getattr(report, "duration", 0.0)
    terminalreporter.section("where the time went (minutes of work, all workers together)")
    for folder, files in sorted(seconds.items(), key=lambda item: -item[1].total()):
        slowest = ", ".join(f"{name} {spent / 60:.1f}" for name, spent in files.most_common(SLOWEST))
        terminalreporter.write_line(f"{files.total() / 60:5.1f}  {folder}: {slowest}")
