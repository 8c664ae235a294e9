"""What a heat-map costs, in forward passes: ours beside captum, pytorch-grad-cam and torch-cam.

    python tests/benchmarks/speed.py
    python tests/benchmarks/speed.py --models vgg16 --batches 1 --classes 10 --threads 1 --clock cpu

All of them explain the same classifier at the same layer, the same images, and the same classes of each image;
before anything is timed, their maps are compared with ours. How each is used stands in contenders.py. ResNet-50
and VGG-16 have random weights, so that no network is needed. Bare networks, which name no layer, follow in lines of
their own: there our time includes finding the last map.

**Time.** In each round every method has one turn, in an order drawn anew. A turn repeats the call for at least
--turn seconds, and the median call counts, divided by that of the plain forward pass in the same round. The table
shows the median of these ratios over the rounds. A library that has used up --patience seconds in a cell sits out
the remaining rounds. On a busy machine, PyTorch's threads spin while they wait for one another, and no figure means
much: set OMP_WAIT_POLICY=passive in the environment, or take `--clock cpu --threads 1`, which counts this process's
processor time instead of the wall clock.

**Memory.** The most that a call holds beyond what was in use before it (so without weights and images), after a
warm-up. With a GPU: `torch.cuda.max_memory_allocated`. On Linux: resident memory (VmHWM in /proc/self/status, set
back before the call), in a process of its own in which freed tensors go back to the system at once. Elsewhere it is
not measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision
from contenders import LIBRARIES, METHODS, ONE_CLASS_A_CALL, Call, all_maps, check_agreement
from torch import Tensor

from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import load_photo

MODELS = ["efficientnet_lite0", "resnet50", "vgg16"]
BARE = ["resnet50", "vgg16", "googlenet", "densenet121", "convnext_tiny"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
COLD_START = """
from course_utils.explain import grad_cam
from course_utils.networks import load_classifier
from course_utils.pictures import load_photo
from course_utils.show import draw_heatmap, figure_html, panels
clf = load_classifier()
images = load_photo("cat").tensor()
figure, axes = panels(1)
draw_heatmap(axes[0], grad_cam(clf, images).heatmaps()[0, 0], images)
figure_html(figure, "A cat.")
"""
Rounds = list[dict[str, float]]  # for each round, the seconds of each method that took part
Memory = dict[str, float | None]  # MB of each method


def cells(options: argparse.Namespace) -> Iterator[tuple[str, Classifier, Tensor, list[int]]]:
    """Yield (model's name, model, images, classes) for each line of the table."""
    for name in options.models:
        torch.manual_seed(0)
        clf = load_classifier(name, weights="imagenet" if name == "efficientnet_lite0" else None)
        for batch in options.batches:
            images = torch.rand(batch, 3, 224, 224, device=clf.mean.device)
            for k in options.classes:
                yield name, clf, images, list(range(k))


# --- time --------------------------------------------------------------------------------------------


def time_rounds(
    methods: dict[str, Callable],
    clf: Classifier,
    images: Tensor,
    classes: list[int],
    options: argparse.Namespace,
) -> Rounds:
    """Time all methods in turn, ``options.rounds`` times."""
    used, rounds, order, draw = Counter(), [], list(methods), random.Random(0)
    for _ in range(options.rounds):
        gc.collect()
        draw.shuffle(order)
        rounds.append({})
        for name in order:
            if name in LIBRARIES and used[name] > options.patience:
                continue
            with methods[name](clf, images) as call:
                took = _turn(call, classes, options)
            rounds[-1][name] = statistics.median(took)
            used[name] += sum(took)
    return rounds


def _turn(call: Call, classes: list[int], options: argparse.Namespace) -> list[float]:
    clock, took = CLOCKS[options.clock], []
    while not took or sum(took) < options.turn:
        start = clock()
        call(classes)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        took.append(clock() - start)
    return took


def quotients(rounds: Rounds, above: str, below: str) -> list[float]:
    """Return ``above`` / ``below`` for each round in which both took part, sorted."""
    return sorted(seconds[above] / seconds[below] for seconds in rounds if {above, below} <= seconds.keys())


def time_cold_start(options: argparse.Namespace) -> float | None:
    """Return the seconds from starting Python to the first heat-map drawn: the median of ``options.starts``."""
    environment = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": str(options.threads)}
    took = []
    for _ in range(options.starts):
        start, used = (
            time.perf_counter(),
            sum(os.times()[2:4]),
        )  # 2 and 3: processor time of children that ended
        subprocess.run([sys.executable, "-c", COLD_START], env=environment, check=True)
        wall, cpu = time.perf_counter() - start, sum(os.times()[2:4]) - used
        took.append(wall if options.clock == "wall" else cpu)
    return statistics.median(took) if took else None


def time_bare(options: argparse.Namespace) -> dict[str, float]:
    """Return what one class of one image costs where the last map has to be found, in forward passes, by network."""
    images, methods, found = (
        torch.rand(1, 3, 224, 224),
        {name: METHODS[name] for name in ("forward", "ours")},
        {},
    )
    for name in options.bare:
        settings = {"init_weights": True} if name == "googlenet" else {}  # not to be asked about
        net = torchvision.models.get_model(name, weights=None, **settings).eval()
        if torch.cuda.is_available():
            net, images = net.cuda(), images.cuda()
        time_rounds(
            methods, net, images, [0], argparse.Namespace(**{**vars(options), "rounds": 1})
        )  # warm-up
        found[name] = statistics.median(
            quotients(time_rounds(methods, net, images, [0], options), "ours", "forward")
        )
        print(f"{'bare ' + name:20}{1:4}{1:5}{'':20}{found[name]:{COLUMNS['ours'] + 1}.2f}", flush=True)
    return found


def time_all_maps(options: argparse.Namespace) -> float:
    """Return what the maps of all 1,000 classes of one photograph cost, in forward passes."""
    clf = load_classifier()
    images, classes = load_photo("cat").tensor().to(clf.mean.device), range(1000)
    methods = {"forward": METHODS["forward"], "all": all_maps}
    time_rounds(
        methods, clf, images, classes, argparse.Namespace(**{**vars(options), "rounds": 1})
    )  # warm-up
    return statistics.median(quotients(time_rounds(methods, clf, images, classes, options), "all", "forward"))


# --- memory ------------------------------------------------------------------------------------------


def memory_in_own_process(arguments: list[str]) -> list[Memory]:
    """Measure the memory of all cells where the allocator gives each freed tensor back (a setting of glibc)."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, *arguments, "--memory"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def memory_of_cells(options: argparse.Namespace) -> list[Memory]:
    """Return the MB that each method holds, in the order of :func:`cells`."""
    found = []
    for _, clf, images, classes in cells(options):
        found.append({})
        for name, method in METHODS.items():
            # What repeats the same work for each class holds no more after the second than after the tenth.
            some = classes[:2] if name in ONE_CLASS_A_CALL else classes
            with method(clf, images) as call:
                call(classes[:1] if name in ONE_CLASS_A_CALL else classes)
            with method(clf, images) as call:
                found[-1][name] = _peak(call, some)
    return found


def _peak(call: Call, classes: list[int]) -> float | None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call(classes)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew at what is in use now
    except OSError:
        return None
    before = _resident("VmRSS")
    call(classes)
    return (_resident("VmHWM") - before) / 2**10


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))  # in kB


# --- the table ---------------------------------------------------------------------------------------

COLUMNS = {name: len(name) + 2 for name in ("ours", *LIBRARIES)}


def measure(options: argparse.Namespace, memory: list[Memory]) -> list[dict]:
    """Measure and print one line after the other; return them as dictionaries."""
    head = "".join(f"{name:>{width + 1}}" for name, width in COLUMNS.items())
    times, held = "time, in forward passes", "peak memory, in forward passes"
    print(f"{'':29}{'forward pass':>17}   {times:>{len(head)}}   {held:>{len(head)}}")
    print(f"{'model':20}{'N':>4}{'K':>5}{'ms':>9}{'MB':>8}   {head}   {head}", flush=True)
    rows, checked = [], None
    for (name, clf, images, classes), mb in zip(cells(options), memory, strict=True):
        if checked is not images:
            check_agreement(clf, images, classes[:1])
            checked = images
        with METHODS["ours"](clf, images) as call:
            call(classes)  # the first call with several classes loads more of PyTorch
        rounds = time_rounds(METHODS, clf, images, classes, options)
        rows.append(
            {
                "model": name,
                "batch": len(images),
                "classes": len(classes),
                "forward_ms": 1e3 * statistics.median(seconds["forward"] for seconds in rounds),
                "time": {m: statistics.median(quotients(rounds, m, "forward")) for m in COLUMNS},
                "ours_to": {m: quotients(rounds, "ours", m) for m in LIBRARIES},
                "memory_mb": mb,
            }
        )
        print(_line(rows[-1]), flush=True)
    return rows


def _line(row: dict) -> str:
    memory, base = row["memory_mb"], row["memory_mb"]["forward"]
    text = f"{row['model']:20}{row['batch']:4}{row['classes']:5}{row['forward_ms']:9.1f}"
    text += f"{'-' if base is None else format(base, '.1f'):>8}   "
    text += "".join(f"{row['time'][m]:{width + 1}.2f}" for m, width in COLUMNS.items()) + "   "
    held = {m: f"{memory[m] / base:.2f}" if base and memory[m] is not None else "-" for m in COLUMNS}
    return text + "".join(f"{held[m]:>{width + 1}}" for m, width in COLUMNS.items())


def targets(
    rows: list[dict], cold_start: float | None, all_maps: float, bare: dict[str, float] | None = None
) -> list[tuple[str, bool, str]]:
    """Return (target, whether it is met, what was measured) for all targets that these rows can tell about."""
    found = []
    for k, most in ((1, 1.15), (10, 1.5)):
        values = {_cell(row): row["time"]["ours"] for row in rows if row["classes"] == k}
        found += _at_most(f"ours, {k} class{'es' * (k > 1)}: at most {most} forward passes", values, most)
    found += _at_most("ours, 1 class, the layer to be found: at most 1.25 forward passes", bare or {}, 1.25)
    for name in LIBRARIES:
        # Where both do the same work, noise decides who is ahead: behind means by 5% in three rounds of four.
        values = {_cell(row): row["ours_to"][name][len(row["ours_to"][name]) // 4] for row in rows}
        found += _at_most(f"ours / {name}, time, lower quartile: at most 1.05", values, 1.05)
    ten = {
        _cell(row): statistics.median(row["ours_to"]["pytorch-grad-cam"])
        for row in rows
        if row["classes"] == 10
    }
    found += _at_most("ours / pytorch-grad-cam, time, 10 classes: at most 0.1", ten, 0.1)
    for name in LIBRARIES:
        pairs = {_cell(row): (row["memory_mb"]["ours"], row["memory_mb"][name]) for row in rows}
        values = {
            cell: mine / theirs for cell, (mine, theirs) in pairs.items() if mine is not None and theirs
        }
        found += _at_most(f"ours / {name}, memory: at most 1", values, 1)
    found += _at_most(
        "first heat-map from a cold start: at most 8 s", {"s": cold_start} if cold_start else {}, 8
    )
    return found + _at_most("all 1,000 maps: at most 2 forward passes", {"EfficientNet-Lite0": all_maps}, 2)


def _cell(row: dict) -> str:
    return f"{row['model']}, N={row['batch']}, K={row['classes']}"


def _at_most(target: str, values: dict[str, float], most: float) -> list[tuple[str, bool, str]]:
    if not values:
        return []
    worst = max(values, key=values.get)
    missed = sum(value > most for value in values.values())
    text = f"{values[worst]:.3g} ({worst})" + (
        f", missed in {missed} of {len(values)} cells" if missed else ""
    )
    return [(target, not missed, text)]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8], metavar="N")
    parser.add_argument("--classes", nargs="+", type=int, default=[1, 10], metavar="K")
    parser.add_argument("--bare", nargs="*", default=BARE, choices=BARE, help="networks that name no layer")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turn", type=float, default=0.15, help="least seconds of a turn")
    parser.add_argument("--patience", type=float, default=10, help="a library's seconds in a cell")
    parser.add_argument("--starts", type=int, default=3, help="how many cold starts (may be 0)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if options.memory:
        print(json.dumps(memory_of_cells(options)))
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    print(
        f"PyTorch {torch.__version__} on {device}, {options.threads} threads, {options.rounds} rounds,",
        end=" ",
    )
    print(f"{options.clock} clock. K classes of each of N images.", flush=True)
    rows = measure(options, memory_in_own_process(arguments))
    bare = time_bare(options)
    cold_start, everything = time_cold_start(options), time_all_maps(options)
    if cold_start is not None:
        print(
            f"\nFirst heat-map from a cold start (imports, weights, photograph, figure): {cold_start:.1f} s"
        )
    print(f"All 1,000 class maps of a photograph, EfficientNet-Lite0: {everything:.2f} forward passes\n")
    for target, met, text in targets(rows, cold_start, everything, bare):
        print(f"{'met   ' if met else 'MISSED'}  {target}: {text}")
    if options.json:
        figures = {"rows": rows, "bare": bare, "cold_start_s": cold_start, "all_maps": everything}
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
