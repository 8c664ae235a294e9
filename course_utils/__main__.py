"""``python -m course_utils notebooks``: what authors of the course run; readers never need it."""

from __future__ import annotations

import argparse
import sys

from .authoring import ROOT, refresh_notebooks


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils", description="Tools for authors of the course."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    notebooks = commands.add_parser(
        "notebooks",
        help="execute notebooks without network, normalize them and write down how long each takes",
    )
    notebooks.add_argument(
        "names", nargs="*", metavar="NAME", help='such as "03"; default: all of notebooks/'
    )
    notebooks.add_argument(
        "--threads", type=int, default=2, help="threads for PyTorch and NumPy (default: 2)"
    )
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error(f"--threads must be at least 1, not {options.threads}.")
    try:
        return refresh_notebooks(ROOT, options.names, threads=options.threads)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
