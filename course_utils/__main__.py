"""``python -m course_utils explain`` explains pictures, ``audit`` audits a network; the others are for lecturers.

Each command loads what it needs when it runs, so that a typing error is answered at once.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TextIO

from course_utils.assets import ROOT
from course_utils.audit_command import add_audit
from course_utils.explain_command import add_explain


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils",
        description="explain: maps of your own pictures; audit: does a network of yours decide by the right thing? "
        "handout, collect, slides and wheelhouse are for lecturers, the others for authors of the course.",
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
    tracks = commands.add_parser(
        "tracks",
        help="mark what is core and what deeper, as the headings say, fold the latter, and write down the minutes",
    )
    tracks.add_argument("names", nargs="*", metavar="NAME", help='such as "03"; default: all of notebooks/')
    tracks.set_defaults(run=_tracks)
    index = commands.add_parser(
        "index",
        help="write into the glossary where notebooks define its terms, and into the list of papers who cites them",
    )
    index.set_defaults(run=_index)
    _add_publish(commands)
    decks = commands.add_parser(
        "slides", help="make a lecture of each notebook: one HTML file, for any browser"
    )
    decks.add_argument("names", nargs="*", metavar="NAME", help='such as "03"; default: all of notebooks/')
    decks.add_argument(
        "--to", type=Path, default=Path("build/slides"), metavar="FOLDER", help="default: build/slides"
    )
    decks.add_argument(
        "--plan",
        metavar="PLAN",
        help="instead: one deck of sections of several notebooks, as data/plans/PLAN.toml, or a file of yours, says",
    )
    decks.add_argument("--deeper", action="store_true", help="with the deeper sections, too")
    decks.set_defaults(run=_slides)
    site = commands.add_parser(
        "site", help="make a website of the stored notebooks, to publish or to read from a folder"
    )
    site.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write it into")
    site.add_argument(
        "--pdf", action="store_true", help="also print all of it as DIR/course.pdf, with Chromium"
    )
    site.set_defaults(run=_site)
    _add_handout(commands)
    _add_collect(commands)
    _add_wheelhouse(commands)
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


def _add_publish(commands: argparse._SubParsersAction) -> None:
    publishing = commands.add_parser(
        "publish", help="make OWNER/REPO the course's address, in badges and set-up cells"
    )
    publishing.add_argument(
        "repository", nargs="?", metavar="OWNER/REPO", help="default: the one that is there"
    )
    publishing.add_argument(
        "--version", metavar="NAME", help="branch or tag, such as v1.0; default: the one that is there"
    )
    publishing.add_argument(
        "--check",
        action="store_true",
        help="instead: change nothing, say what is not so, with exit status 1",
    )
    publishing.set_defaults(run=_publish)


def _add_handout(commands: argparse._SubParsersAction) -> None:
    handout = commands.add_parser(
        "handout",
        help="make notebooks to hand out: without hints, solutions and the stored outputs of answers",
        description="Make notebooks to hand out. They run and check as the course's do; hints and solutions, and the "
        "stored outputs of exercises and quizzes, are left out.",
    )
    handout.add_argument("names", nargs="*", metavar="NAME", help='such as "04"; default: all of notebooks/')
    handout.add_argument("--core", action="store_true", help="leave out the cells tagged deeper")
    handout.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write them into")
    handout.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    handout.set_defaults(run=_handout)


COLLECT_NOTES = """\
A notebook is told by what it imports, a learner by the path of the file: what Moodle, Classroom, Canvas and Colab
write into it, or a folder with the learner's name. Nothing that was handed in is run: results are read from the
outputs that are stored below the exercises. So they are as honest as the file. Told are edited checks, cells changed
after their check, and the course's own answer handed in; not told is an output that somebody wrote into the file with
care. Next to class.csv, class-mistakes.csv counts the mistakes, and class.png shows who is stuck where.

exit status:
  0    all files were read
  1    some were not, and are named on standard error; the others were
  2    the arguments do not fit: no such folder, nothing in it, a table that is there already
"""


def _add_collect(commands: argparse._SubParsersAction) -> None:
    collecting = commands.add_parser(
        "collect",
        help="read what learners handed in, without running it: who is stuck where, and by which mistake",
        epilog=COLLECT_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    collecting.add_argument("folder", type=Path, metavar="FOLDER", help="a folder, a zip, or one notebook")
    collecting.add_argument(
        "--out", type=Path, required=True, metavar="CSV", help="table to write: class.csv"
    )
    collecting.add_argument(
        "--overwrite", action="store_true", help="replace tables and picture of that name"
    )
    collecting.set_defaults(run=_collect)


WHEELHOUSE_NOTES = """\
Names of systems are linux-x86_64, linux-aarch64, windows-amd64, macos-arm64 and macos-x86_64; several may share a
folder, as their files have different names. pip fetches with its own settings (`pip config list`): index, proxy,
certificates. On Linux, PyTorch's CPU build is taken from download.pytorch.org if that answers. INSTALL.txt has the line
that installs from the folder, and is there only when the folder is whole.

exit status:
  0    the folder is whole
  1    it is not, and standard error says why; what was fetched is kept, and the same command goes on from there
  2    the arguments do not fit
"""


def _add_wheelhouse(commands: argparse._SubParsersAction) -> None:
    wheelhouse = commands.add_parser(
        "wheelhouse",
        help="fetch all packages that the course needs into a folder, for a room without internet",
        epilog=WHEELHOUSE_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    wheelhouse.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to fetch into")
    wheelhouse.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME",
        help="for such machines (repeatable); default: this one, as it is",
    )
    wheelhouse.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="VERSION",
        help="such as 3.12 (repeatable); default: this one",
    )
    wheelhouse.set_defaults(run=_wheelhouse)


def _notebooks(options: argparse.Namespace) -> int:
    if options.threads < 1:
        raise ValueError(f"--threads must be at least 1, not {options.threads}.")
    from course_utils.authoring import compare_machines, refresh_notebooks, write_tracks

    if options.only and not options.machines:
        raise ValueError("--only goes with --machines.")
    if options.machines or options.twice:
        only = options.only if options.machines else ["1 thread"]
        return compare_machines(ROOT, options.names, only, options.twice)
    status = refresh_notebooks(ROOT, options.names, threads=options.threads)
    write_tracks(ROOT, options.names)
    return status


def _index(options: argparse.Namespace) -> int:
    from course_utils.website import write_papers, write_places

    faults = [*write_places(ROOT), *write_papers(ROOT)]
    for line in faults:
        print(line)
    return 1 if faults else 0


def _tracks(options: argparse.Namespace) -> int:
    from course_utils.authoring import write_tracks

    for line in write_tracks(ROOT, options.names):
        print(line)
    return 0


def _publish(options: argparse.Namespace) -> int:
    from course_utils.authoring import check_published, publish

    if options.check:
        faults = check_published(ROOT, options.repository, options.version)
        for fault in faults:
            print(fault, file=sys.stderr)
        return int(bool(faults))
    changed = publish(ROOT, options.repository, options.version)
    print(f"changed: {', '.join(changed)}" if changed else "nothing to change")
    return 0


def _slides(options: argparse.Namespace) -> int:
    if options.to.exists() and not options.to.is_dir():
        raise ValueError(f"--to names a folder, but {options.to} is a file.")
    if options.plan and (options.names or options.deeper):
        raise ValueError("--plan stands alone: the plan says which sections of which notebooks are shown.")
    from course_utils.assets import AssetError
    from course_utils.authoring import build_decks, build_plan

    try:
        if options.plan:
            decks = [build_plan(ROOT, options.plan, options.to)]
        else:
            decks = build_decks(ROOT, options.names, options.to, options.deeper)
    except AssetError as error:
        print(f"No deck was built: {error}", file=sys.stderr)
        return 1
    for deck in decks:
        print(f"{deck}: {deck.stat().st_size / 1e6:.1f} MB")
    return 0


def _site(options: argparse.Namespace) -> int:
    missing = [name for name in ("sphinx", "myst_nb", "furo") if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"No site was built: {' and '.join(missing)} must be installed. In the folder of the course, run "
            "`pip install -e '.[site]'`.",
            file=sys.stderr,
        )
        return 1
    from course_utils.assets import AssetError
    from course_utils.website import build_site

    try:
        site = build_site(ROOT, options.out, options.pdf)
    except AssetError as error:
        print(f"No site was built: {error}", file=sys.stderr)
        return 1
    for warning in site.warnings:
        print(warning, file=sys.stderr)
    page, size = site.largest
    print(
        f"{site.folder / 'index.html'}: {site.files} files, {site.size / 1e6:.1f} MB; "
        f"the largest page is {page}, {size / 1e6:.2f} MB"
    )
    return int(bool(site.warnings))


def _handout(options: argparse.Namespace) -> int:
    from course_utils.classroom import write_handouts

    for path in write_handouts(ROOT, options.names, options.out, options.core, options.overwrite):
        print(path)
    return 0


def _collect(options: argparse.Namespace) -> int:
    table = options.out
    if table.suffix.lower() != ".csv" or table.is_dir():
        raise ValueError(f"--out {table} must be a file that ends in .csv.")
    if not table.parent.is_dir():
        raise ValueError(f"--out {table} cannot be written: there is no folder {table.parent}.")
    mistakes, picture = table.with_name(f"{table.stem}-mistakes.csv"), table.with_suffix(".png")
    there = [str(path) for path in (table, mistakes, picture) if path.exists()]
    if there and not options.overwrite:
        raise ValueError(f"{', '.join(there)} is there already: name another --out, or add --overwrite.")
    from course_utils.classroom import (
        collect,
        draw_class,
        fault_lines,
        mistakes_csv,
        results_csv,
        table_lines,
    )

    result = collect(options.folder, (table, mistakes, picture))
    for line in fault_lines(result.faults):
        _say(line, sys.stderr)
    if not result.submissions:
        _say(
            f"No notebook of this course could be read in {options.folder}; nothing was written.", sys.stderr
        )
        return 1
    table.write_text(results_csv(result), encoding="utf-8-sig")  # the mark tells Excel that it is UTF-8
    mistakes.write_text(mistakes_csv(result), encoding="utf-8-sig")
    remarks = draw_class(result, picture)
    for line in [*table_lines(result), "", *result.notes, *remarks]:
        _say(line)
    _say(f"written: {table}, {mistakes}, {picture}")
    return int(bool(result.faults))


def _wheelhouse(options: argparse.Namespace) -> int:
    from course_utils.classroom import WheelhouseError, make_wheelhouse

    try:
        for line in make_wheelhouse(ROOT, options.out, options.system, options.python):
            print(line, flush=True)
    except WheelhouseError as error:
        print(f"{options.out} is not whole: {error}", file=sys.stderr)
        return 1
    return 0


def _say(line: str, stream: TextIO | None = None) -> None:
    """Print a line that others wrote parts of: no control characters, and ? for letters that the terminal lacks."""
    from course_utils.pictures import readable

    stream, line = stream or sys.stdout, readable(line)
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding), file=stream)


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
