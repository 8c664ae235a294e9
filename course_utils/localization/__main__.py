"""``python -m course_utils.localization``: localization errors on ImageNet, or on any folder in its layout."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from course_utils.assets import AssetError
from course_utils.explain import LayerError
from course_utils.localization.evaluation import METHODS, evaluate
from course_utils.networks import list_classifiers, named_classifier

EPILOG = """\
exit status: 0: all well; 1: the table is there, but some files were faulty, and are named; 2: nothing could be
evaluated, or the arguments do not fit; 130: interrupted (the same command goes on where --out ends).

several GPUs or machines: torchrun --standalone --nproc-per-node 4 -m course_utils.localization ... ; the results are
the same. (Of a run with faulty files, torchrun says in its own words that a process ended with status 1.)
"""


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, evaluate, print the table, and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    try:
        if several:
            dist.init_process_group("gloo")
        return _run(options)
    except (ValueError, TypeError, LayerError, AssetError) as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on with what is missing in --out.", file=sys.stderr)
        return 130
    finally:
        if several and dist.is_initialized():
            dist.destroy_process_group()


def _run(options: argparse.Namespace) -> int:
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = options.device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        raise ValueError(f"--device {device} cannot be used here: {error}") from error
    results = evaluate(
        named_classifier(options.model, options.weights, device),
        options.data,
        method=options.method,
        thresholds=options.threshold,
        layer=options.layer,
        top=options.top,
        limit=options.limit,
        batch_size=options.batch_size,
        workers=_workers(device) if options.workers is None else options.workers,
        out=options.out,
        blacklist=options.blacklist,
        name=options.model,
        progress=not options.quiet,
    )
    if results is None:  # the first process has them
        return 0
    # Without a file of rows, the report is the only place to name them.
    print(results.report() if options.out is not None else results.report(len(results.faulty)))
    if options.out is not None:
        print(f"A row for each image: {options.out}")
    if not results.evaluated:
        return 2
    return 1 if results.faulty else 0


def _workers(device: str) -> int:
    share = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(16, share - 1)) if device.startswith("cuda") else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.localization",
        description="Classification and localization error of a network on a folder in ImageNet's layout.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="holds ILSVRC/ and LOC_synset_mapping.txt")
    add(
        "--model",
        required=True,
        help=f"{', '.join(list_classifiers())}; or MODULE:FUNCTION, for a Classifier of yours",
    )
    add(
        "--weights",
        choices=["imagenet", "none"],
        default="imagenet",
        help="none: random ones, for trying out",
    )
    add("--method", choices=list(METHODS), default="grad-cam", help="default: grad-cam")
    add("--threshold", type=float, nargs="+", default=[0.15], help="shares of the maximum (default: 0.15)")
    add("--layer", help="name of the layer for grad-cam (default: the last convolutional map)")
    add("--top", type=int, default=5, help="guesses for each image (default: 5)")
    add("--limit", type=int, help="take only the first images")
    add("--batch-size", type=int, default=16, help="images at once (default: 16)")
    add("--workers", type=int, help="processes that decode images (default: 1, or most cores beside a GPU)")
    add("--out", type=Path, metavar="CSV", help="a row for each image; an interrupted run goes on from it")
    add(
        "--blacklist",
        type=Path,
        help="the development kit's list of images that do not count in localization",
    )
    add("--device", help="such as cpu or cuda:0 (default: a GPU if there is one)")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
