"""CITATION.cff: where a copy that is published says how to cite it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["UNPUBLISHED", "cited"]

UNPUBLISHED = "OWNER/REPO"
"""The address of a course that has none yet."""
_LINE = re.compile(r"(?m)^repository-code:.*\n")
_BEFORE = re.compile(r"(?m)^version:")


def cited(path: Path, address: str) -> str | None:
    """Return the new text of CITATION.cff with the repository "OWNER/REPO" as the home of the code.

    The placeholder is no address: with it, and before a course is published, no address stands there.

    Returns:
        None where the file says so already, or where there is no such file.

    Raises:
        ValueError: the file has no line ``version:``, above which the address is written.
    """
    if not path.exists():
        return None
    before = path.read_text(encoding="utf-8")
    text = _LINE.sub("", before)
    if not _BEFORE.search(text):
        raise ValueError(
            "CITATION.cff lacks the line `version:`, above which the repository's address belongs."
        )
    if address != UNPUBLISHED:
        text = _BEFORE.sub(f'repository-code: "https://github.com/{address}"\nversion:', text, count=1)
    return None if text == before else text
