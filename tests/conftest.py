"""Settings for all tests. What keeps them off the network and on one thread is authoring.sandbox (see pyproject)."""

import os
from collections import Counter

import pytest
from hypothesis import settings

# Figures are drawn to memory, also in the tests' own process.
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples in every run, and no time limit for one: a test that fails on a slow day says nothing.
settings.register_profile("course", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("course")


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
