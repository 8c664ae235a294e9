"""The benchmark compares like with like, reckons as it says, and prints a whole table."""

import itertools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers import MAP_LAYER, TinyNet, tiny_images

from course_utils.networks import Classifier

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
LIBRARIES = ["captum", "pytorch-grad-cam", "torch-cam"]


@pytest.fixture
def contenders(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import contenders

    return contenders


@pytest.fixture
def speed(contenders):
    import speed

    return speed


@pytest.fixture
def tiny():
    return Classifier(TinyNet(pooled=False), list("abcde"), target_layer=MAP_LAYER).eval()


# --- the methods -------------------------------------------------------------------------------------


def test_the_libraries_put_out_our_maps_and_leave_nothing_for_the_next(contenders, tiny):
    contenders.check_agreement(tiny, tiny_images(), [0, 3])
    assert not any(part._forward_hooks or part._backward_hooks for part in tiny.modules())
    assert all(parameter.grad is None for parameter in tiny.parameters())


@pytest.mark.parametrize("name", LIBRARIES)
def test_other_maps_than_ours_are_refused(contenders, tiny, monkeypatch, name):
    method = contenders.LIBRARIES[name]

    @contextmanager
    def next_class(clf, images):
        with method(clf, images) as call:
            yield lambda classes: call([c + 1 for c in classes])

    monkeypatch.setitem(contenders.LIBRARIES, name, next_class)
    with pytest.raises(AssertionError, match=f"{name}'s maps differ"):
        contenders.check_agreement(tiny, tiny_images(), [0, 2])


def test_the_measure_is_one_forward_pass_without_a_graph(contenders, tiny):
    with contenders.forward(tiny, tiny_images()) as call:
        logits = call([0, 1])
    assert not logits.requires_grad
    with torch.no_grad():
        assert torch.equal(logits, tiny(tiny_images()))


# --- the reckoning -----------------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round(speed, monkeypatch):
    """A clock that the methods themselves move: the machine is twice as slow in every second round."""
    now, calls = [0.0], []
    slowness = itertools.cycle([1, 1, 1, 2, 2, 2])  # three methods a round

    def taking(name, seconds):
        @contextmanager
        def method(clf, images):
            factor = next(slowness)

            def call(classes):
                calls.append(name)
                now[0] += factor * seconds

            yield call

        return method

    monkeypatch.setitem(speed.CLOCKS, "wall", lambda: now[0])
    options = speed.parse(["--rounds", "4", "--turn", "0.5", "--patience", "100"])
    methods = {"forward": taking("forward", 0.25), "ours": taking("ours", 0.5), "captum": taking("captum", 2)}
    rounds = speed.time_rounds(methods, None, None, [0], options)
    assert speed.quotients(rounds, "ours", "forward") == [2, 2, 2, 2]
    assert speed.quotients(rounds, "ours", "captum") == [0.25] * 4
    assert (
        calls.count("captum") == 4
    )  # once a turn; the forward pass twice in a fast turn, once in a slow one
    assert calls.count("forward") == 2 + 1 + 2 + 1

    now[0], slowness = 0.0, itertools.repeat(1)
    options.patience = (
        1  # the library uses it up in the first round, ours in the third, which must not matter
    )
    rounds = speed.time_rounds(methods, None, None, [0], options)
    assert ["captum" in seconds for seconds in rounds] == [True, False, False, False]
    assert len(speed.quotients(rounds, "captum", "forward")) == 1
    assert len(speed.quotients(rounds, "ours", "forward")) == 4


def row(k, ours, ours_to, memory):
    libraries = dict.fromkeys(LIBRARIES, ours_to)
    held = {"forward": 1.0, "ours": memory, **dict.fromkeys(LIBRARIES, 4.0)}
    return {
        "model": "m",
        "batch": 1,
        "classes": k,
        "time": {"ours": ours},
        "ours_to": libraries,
        "memory_mb": held,
    }


def test_targets_are_met_missed_or_not_measured(speed):
    rows = [row(1, 1.15, [0.9, 1.05, 1.1, 1.2], 1.2), row(10, 1.5, [0.09, 0.1], 1.2)]
    found = speed.targets(rows, 8.0, 2.0)
    assert len(found) == 2 + 3 + 1 + 3 + 2
    assert all(met for _, met, _ in found)
    rows = [row(1, 1.16, [0.9, 1.06, 1.1, 1.2], 4.1), row(10, 1.51, [1.0, 0.11, 0.12], 1.2)]
    found = speed.targets(rows, 8.1, 2.1)
    assert not any(met for _, met, _ in found)
    assert "missed in 1 of 2 cells" in found[2][2]
    (second,) = (
        one for one in speed.targets(rows, 8.1, 2.1, {"vgg16": 1.2, "resnet50": 1.3}) if one not in found
    )
    assert second[1:] == (False, "1.3 (resnet50), missed in 1 of 2 cells")
    unmeasured = row(1, 1.0, [0.5], None)
    unmeasured["memory_mb"]["forward"] = None
    assert len(speed.targets([unmeasured], None, 1.5)) == 1 + 3 + 1
    line = {**unmeasured, "forward_ms": 1.0, "time": dict.fromkeys(speed.COLUMNS, 1.0)}
    assert speed._line(line).endswith("-")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="resident memory is told by Linux")
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU, the GPU's memory counts")
def test_memory_is_the_peak_of_the_call_alone(speed):
    def call(classes):
        for _ in range(2):  # one after the other: the peak is one of them
            torch.ones(16 * 2**20)  # 64 MB

    torch.ones(32 * 2**20)  # a larger peak, before the call
    assert speed._peak(call, [0]) == pytest.approx(64, abs=4)


# --- the whole of it ---------------------------------------------------------------------------------


def test_table(tmp_path):
    target = tmp_path / "figures.json"
    small = (
        "--models efficientnet_lite0 --batches 1 --classes 2 --rounds 1 --turn 0 --threads 1 --starts 0 "
        "--bare googlenet --json"
    )
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "speed.py", *small.split(), target],
        capture_output=True, text=True, check=False, env={**os.environ, "MKL_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "efficientnet_lite0     1    2 " in done.stdout
    assert "bare googlenet         1    1 " in done.stdout
    assert "All 1,000 class maps" in done.stdout
    assert "ours / torch-cam, time" in done.stdout
    figures = json.loads(target.read_text())
    (line,) = figures["rows"]
    assert set(line["time"]) == set(line["memory_mb"]) - {"forward"} == {"ours", *LIBRARIES}
    assert all(
        ratio > 0 for ratio in [*line["time"].values(), figures["all_maps"], figures["bare"]["googlenet"]]
    )
