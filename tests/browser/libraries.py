"""reveal.js and MathJax, which decks and site carry, where the product looks for them first."""

import re
import shutil
import subprocess

from lab import left_out

from course_utils.assets import cache_folder
from course_utils.authoring import slides


def fetch_libraries(scratch):
    """Put reveal.js and MathJax into the cache, where they are looked for first: the tests' own Python may not.

    ``npm pack`` brings the very archives, and their hashes are checked when they are used.
    """
    for address in slides.LIBRARIES:
        package, version = re.search(r"/([\w.]+)/-/\1-([\d.]+)\.tgz$", address).groups()
        archive = f"{package}-{version}.tgz"
        if (cache_folder() / archive).is_file():
            continue
        npm = shutil.which("npm")
        if npm is None:
            left_out("npm, which fetches reveal.js and MathJax", "Install it")
        done = subprocess.run(
            [npm, "pack", f"{package}@{version}", "--pack-destination", str(scratch)],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            left_out(
                f"way to fetch {package} with npm ({done.stderr.strip()[-200:]})", "Connect to the network"
            )
        cache_folder().mkdir(parents=True, exist_ok=True)
        shutil.move(scratch / archive, cache_folder() / archive)
