"""CITATION.cff: where a copy that is published says how to cite it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PLACEHOLDER", "write_citation"]

PLACEHOLDER = "OWNER/REPO"
_LINE = re.compile(r"(?m)^repository-code:.*\n")
_BEFORE = re.compile(r"(?m)^version:")


def write_citation(root: Path, address: str) -> bool:
    """Make CITATION.cff name the repository "OWNER/REPO" as the home of the code; return whether that changed it.

    The placeholder is no address: with it, and before a course is published, no address stands there. A course
    without the file stays without.

    Raises:
        ValueError: the file has no line ``version:``, above which the address is written.
    """
    path = root / "CITATION.cff"
    if not path.exists():
        return False
    before = path.read_text(encoding="utf-8")
    text = _LINE.sub("", before)
    if not _BEFORE.search(text):
        raise ValueError(
            "CITATION.cff lacks the line `version:`, above which the repository's address belongs."
        )
    if address != PLACEHOLDER:
        text = _BEFORE.sub(f'repository-code: "https://github.com/{address}"\nversion:', text, count=1)
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before
