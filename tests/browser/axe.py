"""axe-core, which finds faults of accessibility in a page: https://github.com/dequelabs/axe-core"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Page

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # of axe.min.js
FILE = Path("node_modules") / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


class MissingAxe(Exception):
    """axe-core is not there and could not be fetched."""


def fetch_axe(cache: Path, scratch: Path) -> str:
    """Return the script: from ``cache``, or fetched with npm the first time. Raises MissingAxe."""
    kept = cache / f"axe-{VERSION}.min.js"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingAxe("found no npm to fetch axe-core with")
        command = [npm, "install", "--prefix", str(scratch), "--ignore-scripts", "--no-save", "--no-audit"]
        done = subprocess.run(
            [*command, f"axe-core@{VERSION}"], cwd=scratch, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not (scratch / FILE).exists():
            raise MissingAxe(f"npm could not fetch axe-core {VERSION} ({done.stderr.strip()[-200:]})")
        # Two processes may do this at once: each puts a whole file in its place.
        shutil.copy(scratch / FILE, cache / f"{os.getpid()}.js")
        os.replace(cache / f"{os.getpid()}.js", kept)
    script = kept.read_bytes()
    if hashlib.sha256(script).hexdigest() != SHA256:
        kept.unlink()
        raise MissingAxe(f"the file of axe-core {VERSION} is not the one expected")
    return script.decode()


def violations(
    page: Page,
    axe: str,
    include: str,
    exclude: dict[str, str],
    off: dict[str, str],
    only: tuple[str, ...] = (),
) -> list[str]:
    """Sentences about serious and critical faults in the parts of a page that match ``include``.

    Args:
        page: loaded.
        axe: the script.
        include: a CSS selector.
        exclude: selectors of parts left out, with the reason.
        off: rules left out, with the reason.
        only: the rules asked for; none named: all.
    """
    page.evaluate(axe)
    options = {"resultTypes": ["violations"], "rules": {rule: {"enabled": False} for rule in off}}
    if only:
        options["runOnly"] = list(only)
    context = {"include": [include], "exclude": list(exclude)}
    found = page.evaluate("([context, options]) => axe.run(context, options)", [context, options])
    return [
        f"{fault['impact']} {fault['id']}: {node['html'][:160]} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]
