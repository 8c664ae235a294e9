"""``python -m course_utils explain`` explains pictures, ``audit`` audits a network; the others are for lecturers.

Each command loads what it needs when it runs, so that a typing error is answered at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course_utils.assets import ROOT
from course_utils.audit_command import add_audit
from course_utils.explain_command import add_explain


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils",
        description="explain: maps of your own pictures; audit: does a network of yours decide by the right thing? "
        "The others are tools for authors of the course.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_explain(commands)
    add_audit(commands)
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
    notebooks.add_argument(
        "--machines",
        action="store_true",
        help="instead: execute them under the arithmetics of other processors, and list the cells that do not hold",
    )
    notebooks.add_argument(
        "--twice",
        action="store_true",
        help="instead: run each cell twice, then all once more in the same kernel, and list the cells that do not hold",
    )
    notebooks.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ARITHMETIC",
        help="with --machines: this one (repeatable)",
    )
    notebooks.set_defaults(run=_notebooks)
    publishing = commands.add_parser(
        "publish", help="make OWNER/REPO the course's address, in badges and set-up cells"
    )
    publishing.add_argument("repository", metavar="OWNER/REPO")
    publishing.set_defaults(run=_publish)
    decks = commands.add_parser(
        "slides", help="make a lecture of each notebook: one HTML file, for any browser"
    )
    decks.add_argument("names", nargs="*", metavar="NAME", help='such as "03"; default: all of notebooks/')
    decks.add_argument(
        "--to", type=Path, default=Path("build/slides"), metavar="FOLDER", help="default: build/slides"
    )
    decks.set_defaults(run=_slides)
    training = commands.add_parser(
        "train", help="train a notebook's small networks anew and write them to data/weights"
    )
    training.add_argument("topic", metavar="NN", help='number of the notebook, such as "07"')
    training.set_defaults(run=_train)
    measuring = commands.add_parser(
        "measure", help="measure anew what a notebook reads from data/measurements, on three networks"
    )
    measuring.add_argument("topic", metavar="NN", help='number of the notebook, such as "06"')
    measuring.set_defaults(run=_measure)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        parser.error(str(error))


def _notebooks(options: argparse.Namespace) -> int:
    if options.threads < 1:
        raise ValueError(f"--threads must be at least 1, not {options.threads}.")
    from course_utils.authoring import compare_machines, refresh_notebooks

    if options.only and not options.machines:
        raise ValueError("--only goes with --machines.")
    if options.machines or options.twice:
        only = options.only if options.machines else ["1 thread"]
        return compare_machines(ROOT, options.names, only, options.twice)
    return refresh_notebooks(ROOT, options.names, threads=options.threads)


def _publish(options: argparse.Namespace) -> int:
    from course_utils.authoring import publish

    changed = publish(ROOT, options.repository)
    print(f"changed: {', '.join(changed)}" if changed else "nothing to change")
    return 0


def _slides(options: argparse.Namespace) -> int:
    if options.to.exists() and not options.to.is_dir():
        raise ValueError(f"--to names a folder, but {options.to} is a file.")
    from course_utils.assets import AssetError
    from course_utils.authoring import build_decks

    try:
        decks = build_decks(ROOT, options.names, options.to)
    except AssetError as error:
        print(f"No deck was built: {error}", file=sys.stderr)
        return 1
    for deck in decks:
        print(f"{deck}: {deck.stat().st_size / 1e6:.1f} MB")
    return 0


def _train(options: argparse.Namespace) -> int:
    from course_utils.authoring import train_topic

    for line in train_topic(options.topic, progress=sys.stderr.isatty()):
        print(line, flush=True)
    return 0


def _measure(options: argparse.Namespace) -> int:
    from course_utils.authoring import measure_topic

    for line in measure_topic(options.topic, progress=sys.stderr.isatty()):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
