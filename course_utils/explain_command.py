"""``python -m course_utils explain``: maps of pictures for people who do not open notebooks.

Wrong arguments are told before PyTorch is loaded, as far as that can be.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.methods import METHODS
from course_utils.pictures import find_pictures, read_picture, readable

if TYPE_CHECKING:
    from course_utils.playground import Explainer, Result

__all__ = ["CLASSIFIERS", "add_explain", "model_name"]

CLASSIFIERS = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "resnet18",
    "resnet50",
    "vgg16",
    "alexnet",
    "googlenet",
    "mobilenet_v2",
    "densenet121",
)
"""What ``course_utils.networks.list_classifiers()`` lists; a list of its own, for that would load PyTorch."""

EPILOG = """\
examples:
  python -m course_utils explain cat.jpg
        the predicted class, in words
  python -m course_utils explain cat.jpg --class tabby --method grad-cam --out map.png
  python -m course_utils explain cat.jpg --class tabby --class "tiger cat" --threshold 0.2 --out map.png
  python -m course_utils explain holidays/ more/*.jpg --top 3 --out maps/ --csv numbers.csv
        every picture of a folder; a figure for each into maps/
  python -m course_utils explain scans/ --model my_code:network --out maps/
        a network of yours: in my_code.py, network() returns a course_utils.networks.Classifier
  python -m course_utils explain cat.jpg --json - | jq '.pictures[0].predictions'

Nothing is written unless --out, --npz, --csv or --json names a place for it. In a folder what is no picture, hidden or
a folder is left out, and named on standard error.

exit status:
  0    all pictures were explained (warnings included)
  1    some could not be read or explained, and are named on standard error; the others were explained
  2    nothing was begun, or it had to stop: a file or folder that does not exist, an unknown class or layer,
       arguments that do not fit, a network that is not to be had, a result that cannot be written
  130  interrupted
"""
MOST = 5
"""Classes that a figure has room for: the number in ``playground.output``, which would load PyTorch."""


def add_explain(commands: argparse._SubParsersAction) -> None:
    """Add the command ``explain`` to a parser's commands."""
    parser = commands.add_parser(
        "explain",
        usage="%(prog)s PICTURE [PICTURE ...] [options]",
        help="explain what a network sees in pictures of yours",
        description="Which classes a network sees in pictures, where the evidence for them lies (Grad-CAM and its "
        "relatives), whether covering it changes the score, and what to be wary of.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="files (JPEG, PNG, WebP, DICOM, ...), or folders, whose pictures are taken, whatever their names",
    )
    add(
        "--class", dest="classes", action="append", default=[], metavar="NAME",
        help="class name, such as \"tiger cat\", or number from 0; may be given several times (default: the predicted "
        "class); a name that does not exist is answered with those like it",
    )  # fmt: skip
    add("--top", type=int, metavar="N", help=f"instead: the N most probable classes, up to {MOST}")
    add("--method", choices=METHODS, default="grad-cam", help="default: grad-cam")
    add(
        "--layer",
        metavar="NAME",
        help="dotted name of a layer (default: the last convolutional map); an unknown one is answered with those "
        "there are",
    )
    add(
        "--threshold", type=float, default=0.15, metavar="T",
        help="of the box, as a share of the map's maximum (default: 0.15)",
    )  # fmt: skip
    add(
        "--squares", type=int, default=5, metavar="N",
        help="how many of the 49 squares to cover in the check (default: 5)",
    )  # fmt: skip
    add(
        "--model", type=model_name, default=CLASSIFIERS[0],
        help=f"{', '.join(CLASSIFIERS)} (default: the first; those not called efficientnet are downloaded once); or "
        "MODULE:FUNCTION, for a Classifier of yours",
    )  # fmt: skip
    add("--weights", choices=["imagenet", "none"], default="imagenet", help="none: random ones, to compare")
    add("--out", type=Path, metavar="PNG", help="the figure: a file, or for several pictures a folder")
    add("--npz", type=Path, metavar="NPZ", help="maps as NumPy arrays: a file, or for several a folder")
    add("--csv", type=Path, metavar="CSV", help="the numbers: a row for each class of each picture")
    add(
        "--json",
        metavar="JSON",
        help='everything but the maps, as {"pictures": [...], "failed": [...]}; "-" is standard output, then '
        "nothing else is on it",
    )
    add("--quiet", action="store_true", help="no report and no progress bar")
    parser.set_defaults(run=lambda options: _explain(options, parser))


def model_name(text: str) -> str:
    """Return what ``--model`` names, if it can be a name; argparse tells what is wrong."""
    if text not in CLASSIFIERS and ":" not in text:
        raise argparse.ArgumentTypeError(
            f"invalid choice: {text!r} (choose from {', '.join(CLASSIFIERS)}, or name MODULE:FUNCTION)"
        )
    return text


def _explain(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a name's letters must not end the run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    left_out: list[str] = []
    try:
        paths = find_pictures(options.pictures, left_out)
        _check(options, len(paths))
        figures, arrays = (
            _targets(paths, place, suffix) for place, suffix in ((options.out, ".png"), (options.npz, ".npz"))
        )
        _check_places([*figures, *arrays, options.csv, options.json], paths)
    except ValueError as error:
        parser.error(str(error))
    for sentence in left_out:
        print(sentence, file=sys.stderr)
    from course_utils.assets import AssetError  # from here on PyTorch is loaded

    try:
        with warnings.catch_warnings():  # they become sentences, for as long as it runs
            return _run(options, paths, figures, arrays)
    except (ValueError, TypeError, AssetError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _check(options: argparse.Namespace, pictures: int) -> None:
    if Path("-") in (options.out, options.npz, options.csv):
        raise ValueError('only --json can write to standard output ("-"): name a file for the others.')
    if options.top is not None and options.classes:
        raise ValueError(
            "--top and --class exclude each other: name classes, or take the most probable ones."
        )
    if options.top is not None and not 1 <= options.top <= MOST:
        raise ValueError(f"--top must be between 1 and {MOST}, not {options.top}.")
    if options.out is not None and len(options.classes) > MOST:
        raise ValueError(f"a figure has room for {MOST} classes, these are {len(options.classes)}.")
    if not 0 < options.threshold <= 1:
        raise ValueError(f"--threshold must lie above 0 and not above 1, not {options.threshold:g}.")
    if not 1 <= options.squares <= 48:
        raise ValueError(f"--squares must be between 1 and 48, not {options.squares}.")
    for option, suffix in (("out", ".png"), ("npz", ".npz")):
        place = getattr(options, option)
        if place is None or place.is_dir():
            continue
        if place.suffix and place.suffix.lower() != suffix:
            raise ValueError(f"--{option} writes {suffix} files, but {place} does not end in {suffix}.")
        if place.suffix and pictures > 1:
            raise ValueError(
                f"--{option} {place} is one file, but there are {pictures} pictures: name a folder instead."
            )
        if not place.suffix and place.exists():
            raise ValueError(f"--{option} {place} is a file that does not end in {suffix}.")


def _targets(paths: list[Path], place: Path | None, suffix: str) -> list[Path | None]:
    """Where to write for each picture: in a folder, under its own name, with its old suffix where two would clash."""
    if place is None or (place.suffix and not place.is_dir()):
        return [place] * len(paths)
    stems, names = Counter(path.stem for path in paths), Counter(path.name for path in paths)
    seen: Counter[str] = Counter()
    targets = []
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else path.name
        seen[path.name] += 1
        if names[path.name] > 1:
            name = f"{path.name}-{seen[path.name]}"
        targets.append(place / f"{name}{suffix}")
    return targets


def _check_places(targets: list[Path | str | None], paths: list[Path]) -> None:
    sources = {path.resolve() for path in paths}
    for target in (Path(place) for place in targets if place is not None and str(place) != "-"):
        if target.resolve() in sources:
            raise ValueError(f"{target} is one of the pictures: a result must not overwrite it.")
        if target.is_dir():
            raise ValueError(f"{target} is a folder; a file is needed.")
        folder = target.parent
        if not folder.is_dir() and (folder.exists() or not folder.parent.is_dir()):
            raise ValueError(f"{target} cannot be written: there is no folder {folder}.")


def _run(
    options: argparse.Namespace,
    paths: list[Path],
    figures: list[Path | None],
    arrays: list[Path | None],
) -> int:
    from tqdm import tqdm

    from course_utils.playground import as_document, to_csv, to_npz, to_png, typed_class

    explainer = _explainer(options)
    classes = [typed_class(name, explainer.classifier.classes) for name in options.classes]
    # What fits no picture is told before the first one.
    for name in classes:
        explainer.classifier.class_index(name)
    explainer.check(options.method, options.layer)
    talk = not options.quiet and options.json != "-"
    bar = tqdm(
        paths,
        unit="picture",
        file=sys.stderr,
        disable=options.quiet or len(paths) == 1 or not sys.stderr.isatty(),
    )
    results: list[Result] = []
    explained, failed = [], []
    names = Counter(path.name for path in paths)
    told: set[str] = set()

    def tell(message: Warning, *where: object) -> None:
        if str(message) not in told:
            told.add(str(message))
            bar.write(str(message), file=sys.stderr)

    warnings.showwarning = tell
    try:
        for path, figure, array in zip(bar, figures, arrays, strict=True):
            shown = readable(str(path))
            try:
                picture = read_picture(path, path.name if names[path.name] == 1 else shown)
                asked = classes if options.top is None else explainer.most_probable(picture, options.top)
                result = explainer.explain(
                    picture, asked, options.method, options.layer, options.threshold, options.squares
                )
                made = [(place, make(result)) for place, make in ((figure, to_png), (array, to_npz)) if place]
            except Exception as error:  # whatever is wrong with one picture, the others are explained
                reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                failed.append({"path": shown, "reason": reason})
                bar.write(f"{shown}: {reason}", file=sys.stderr)
                continue
            for place, data in made:
                _write(place, data)
            if talk:
                bar.write(_report(result, [place for place, _ in made]), file=sys.stdout)
            explained.append({"path": shown, **as_document(result)})
            results.append(result)
            explainer.forget()  # folders may be long
    finally:  # what was explained is kept, whatever ends the run
        if options.csv is not None and results:
            _write(options.csv, to_csv(results).encode())
        if options.json is not None and explained + failed:
            _write_json(options.json, {"pictures": explained, "failed": failed})
    return 1 if failed else 0


def _write_json(place: str, document: dict) -> None:
    if place == "-":
        plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
        print(json.dumps(document, indent=2, ensure_ascii=plain))
    else:
        _write(Path(place), (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


def _explainer(options: argparse.Namespace) -> Explainer:
    from course_utils.networks import named_classifier
    from course_utils.playground import Explainer

    classifier = named_classifier(options.model, options.weights)
    return Explainer(classifier, options.model, random_weights=options.weights == "none")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _report(result: Result, written: list[Path]) -> str:
    from course_utils.playground import result_words

    lines = [result_words(result)]
    lines += [f"  note: {note}" for note in result.picture.notes]
    lines += [f"  caution: {caution.text}" for caution in result.all_cautions]
    return "\n".join([*lines, *(f"  written: {path}" for path in written)])
