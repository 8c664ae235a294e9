"""What boxes cost: images a second of the localization runner, beside those of plain forward passes.

    python tests/benchmarks/localization_speed.py
    python tests/benchmarks/localization_speed.py --models resnet50 --images 64 --rounds 3 --workers 1

Both decode the same JPEG files (500 x 375, as most of ImageNet's) with the same loader, and classify them in the same
batches; the runner also explains each image's most probable class, boxes its map at one threshold, and writes a row
into its file. The networks have random weights. In each round either has a turn, the first one in turn; the table
shows the medians, and the runner's share of the plain rate. On a busy machine no figure means much: set
OMP_WAIT_POLICY=passive in the environment, or take `--clock cpu --workers 0`, which counts this process's processor
time instead.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from course_utils.localization.evaluation import IlsvrcFolder, evaluate, loading, write_ilsvrc
from course_utils.networks import Classifier, load_classifier

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def files(folder: Path, number: int) -> IlsvrcFolder:
    """Smooth noise with a little grain, which takes about as many bytes and as long to decode as a photograph."""
    draw = np.random.default_rng(0)

    def items():
        for _ in range(number):
            coarse = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
            grain = draw.normal(0, 12, (375, 500, 1))
            pixels = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
            yield Image.fromarray(pixels), int(draw.integers(1000)), [(50, 50, 300, 300)]

    return write_ilsvrc(folder, items())


@torch.no_grad()
def forward(clf: Classifier, folder: IlsvrcFolder, options: argparse.Namespace) -> None:
    """Decode, classify, and look at the result, as an evaluation of accuracy would."""
    images = list(folder.images)
    batches = [images[i : i + options.batch_size] for i in range(0, len(images), options.batch_size)]
    device = next(clf.parameters()).device
    numbers = loading.class_numbers(folder, clf)
    for _, pixels in loading.loader(
        batches, folder, numbers, clf.size, options.workers, pin=device.type == "cuda"
    ):
        clf(pixels.to(device, non_blocking=True)).argmax(1).cpu()


def runner(clf: Classifier, folder: IlsvrcFolder, options: argparse.Namespace) -> None:
    out = folder.root / "rows.csv"
    out.unlink(missing_ok=True)
    evaluate(
        clf,
        folder,
        top=options.top,
        batch_size=options.batch_size,
        workers=options.workers,
        out=out,
        progress=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["resnet50", "vgg16"])
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--top", type=int, default=1, help="classes explained of each image (default: 1)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    print(
        f"{torch.get_num_threads()} threads, {options.workers} loading, {options.images} images, {options.clock} clock"
    )
    print(f"{'':10}{'forward/s':>12}{'runner/s':>12}{'share':>9}   (lowest and highest share of a round)")
    with tempfile.TemporaryDirectory() as temporary:
        folder = files(Path(temporary), options.images)
        for name in options.models:
            clf = load_classifier(name, weights=None)
            forward(clf, folder, options)  # warm-up
            rates: dict = {forward: [], runner: []}
            for number in range(options.rounds):
                for call in (forward, runner) if number % 2 else (runner, forward):
                    start = clock()
                    call(clf, folder, options)
                    rates[call].append(options.images / (clock() - start))
            shares = [r / f for r, f in zip(rates[runner], rates[forward], strict=True)]
            plain, ours, share = (statistics.median(values) for values in (*rates.values(), shares))
            print(
                f"{name:10}{plain:12.2f}{ours:12.2f}{share:9.1%}   ({min(shares):.1%} to {max(shares):.1%})"
            )


if __name__ == "__main__":
    main()
