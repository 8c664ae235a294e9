"""``python -m course_utils audit``: does a network decide by the right thing? A table whose rows can fail."""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.explain_command import CLASSIFIERS, model_name
from course_utils.methods import METHODS

if TYPE_CHECKING:
    from course_utils.pictures import Picture
    from course_utils.playground import Audit, Change

__all__ = ["add_audit"]

EPILOG = """\
The pictures are named after their class: tabby_1.jpg, tabby_2.jpg, tiger cat_1.png. What is feared is either a folder
with a changed version of each picture under its name, or MODULE:FUNCTION of yours, from an image (1, 3, S, S) with
values in [0, 1] to the changed image.

examples:
  python -m course_utils audit test/ --model my_code:network --feared without_text/ --control other_ink/
  python -m course_utils audit test/ --feared my_code:without_text --control my_code:other_ink --card card.md

exit status:
  0    the audit was made, and no row fails
  1    it was made, and a row fails
  2    nothing was begun, or it had to stop
  130  interrupted
"""


def add_audit(commands: argparse._SubParsersAction) -> None:
    """Add the command ``audit`` to a parser's commands."""
    parser = commands.add_parser(
        "audit",
        help="ask whether a network decides by the right thing",
        description="Questions to a network that can be answered with no, each beside a control: do answers flip under "
        "a change that you fear, do maps agree with covering (notebook 14).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="of at least two pictures; some twenty say something")
    add("--model", type=model_name, default=CLASSIFIERS[0], help="as for explain")
    methods = [key for key, how in METHODS.items() if not how.pixels]
    add("--method", choices=methods, default="grad-cam", help="default: grad-cam")
    add("--feared", metavar="CHANGE", help="a folder of changed pictures, or MODULE:FUNCTION")
    add("--control", metavar="CHANGE", help="likewise: a change of the same kind and size that nobody fears")
    add("--card", type=Path, metavar="MD", help="the table as a model card to fill in")
    add("--csv", type=Path, metavar="CSV", help="the numbers: a row for each picture and measure")
    parser.set_defaults(run=lambda options: _audit(options, parser))


def _audit(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if options.control and not options.feared:
        parser.error("--control is the control of a feared change: name that with --feared.")
    for place in (options.card, options.csv):
        if place is not None and (place.is_dir() or not place.parent.is_dir()):
            parser.error(f"{place} cannot be written: it must be a file in a folder that exists.")
    from course_utils.assets import AssetError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, names = _made(options)
        if options.card is not None:
            options.card.write_text(found.card() + "\n", encoding="utf-8")
        if options.csv is not None:
            _write_values(options.csv, found, names)
    except (ValueError, TypeError, AssetError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print(*found.words(), sep="\n")
    return int(any(row.verdict == "fails" for row in found.rows))


def _made(options: argparse.Namespace) -> tuple[Audit, list[str]]:
    from course_utils.networks import named_classifier
    from course_utils.playground import Explainer, Intervention, audit, labeled_pictures

    pictures, labels = labeled_pictures(options.folder)
    intervention = None
    if options.feared:
        feared, control = (
            text and _change(text, option, pictures)
            for text, option in ((options.feared, "--feared"), (options.control, "--control"))
        )
        intervention = Intervention(options.feared, feared, control)
    explainer = Explainer(named_classifier(options.model), options.model)
    found = audit(explainer, pictures, labels, options.method, intervention)
    return found, [picture.name for picture in pictures]


def _change(text: str, option: str, pictures: list[Picture]) -> Change:
    from course_utils.networks import named_function
    from course_utils.playground import twins

    if Path(text).is_dir():
        return twins(text, pictures)
    if ":" not in text:
        raise ValueError(f"{option} {text}: there is no folder of that name, and it is not MODULE:FUNCTION.")
    return named_function(text, option)


def _write_values(place: Path, found: Audit, names: list[str]) -> None:
    with open(place, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["picture", "measure", "map", "value"])
        for (measure, of), values in found.values.items():
            writer.writerows(
                [name, measure, of, f"{value:.6g}"] for name, value in zip(names, values, strict=True)
            )
