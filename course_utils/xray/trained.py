"""The networks of notebook 12, trained on stamped radiographs: one for each repair, one for each dose of the bias.

``python -m course_utils train 12`` trains them and writes them to ``data/weights/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from torch import nn

from course_utils.arguments import whole_number
from course_utils.networks import RUNS, WEIGHTS, load_or_train, train_and_store

from .films import Radiographs, radiographs
from .study import REPAIRS, XrayNet, measure, train, xray_net

__all__ = [
    "BIAS",
    "DOSES",
    "choosing_films",
    "train_readers",
    "training_films",
    "unseen_films",
    "xray_reader",
]

FILMS, UNSEEN = 1600, 400
TRAINING_SEED, CHOOSING_SEED, UNSEEN_SEED = 100, 12, 412
BIAS = 0.95
"""P(marker | finding) of the biased sets; P(marker | normal) is 1 - BIAS."""
DOSES = (0.8, 0.9, BIAS)
"""P(marker | finding), from a weaker correlation to the biased sets'. (0.5 would be none: "marker at random".)"""


@lru_cache(maxsize=RUNS)
def training_films(run: int = 0) -> Radiographs:
    """Return the radiographs that the networks of a run learn from; drawing them takes some 20 seconds."""
    return radiographs(FILMS, seed=TRAINING_SEED + whole_number(run, "run", 0, RUNS - 1))


@lru_cache(maxsize=2)
def choosing_films(n: int = UNSEEN) -> Radiographs:
    """Return radiographs by which the trainings were set up: no network learned from them, and all were judged by them.

    The net, its repairs and their strengths were chosen by what they score here; a figure that is to be believed comes
    from :func:`unseen_films`.
    """
    return radiographs(n, seed=CHOOSING_SEED)


@lru_cache(maxsize=2)
def unseen_films(n: int = UNSEEN) -> Radiographs:
    """Return radiographs that no network was trained on, and by which nothing was chosen."""
    return radiographs(n, seed=UNSEEN_SEED)


def xray_reader(repair: str = "none", run: int = 0, p: float = BIAS, retrain: bool = False) -> XrayNet:
    """Return a network that looks for a finding on drawn radiographs.

    Args:
        repair: one of :data:`course_utils.xray.REPAIRS`; "none" is the biased network.
        run: which of the trainings, 0 to ``RUNS`` - 1: other radiographs, other stamps, another start.
        p: P(marker | finding) in training, one of ``DOSES``; P(marker | normal) is 1 - p. Other doses than ``BIAS``
            are stored for "none" alone.
        retrain: train it now, some ten seconds, instead of loading the stored weights.

    Raises:
        TypeError, ValueError: unknown repair, run or dose.
        AssetError: stored weights are missing or damaged.
    """
    if repair not in REPAIRS:
        raise ValueError(f"there is no repair {repair!r}: the known ones are {', '.join(REPAIRS)}.")
    run = whole_number(run, "run", 0, RUNS - 1)
    if p not in DOSES or (repair != "none" and p != BIAS):
        doses = ", ".join(map(str, DOSES)) if repair == "none" else f"{BIAS} for a repair"
        raise ValueError(f"no network was stored for p = {p}, only for {doses}. Train one: xray.study.train.")
    if retrain:
        net = train(training_films(run), repair, p, seed=run)
    else:
        net = load_or_train(WEIGHTS / _file(repair, run, p), lambda: xray_net(run), lambda net: None)
    return net.eval()


def _file(repair: str, run: int, p: float) -> str:
    dose = "" if p == BIAS else f"_p{round(100 * p)}"
    return f"12_{repair.replace(' ', '_')}{dose}_{run}.pt"


def train_readers(folder: Path, progress: bool = True) -> Iterator[str]:
    """Train all networks, write them into ``folder``, and yield a line about each, with its scores on
    :func:`choosing_films`.

    ``progress`` is not used: each training is short, and its line follows at once.
    """
    wanted = [(repair, BIAS) for repair in REPAIRS] + [("none", p) for p in DOSES if p != BIAS]

    def trainings() -> Iterator[tuple[str, Callable[[], XrayNet], Callable[[nn.Module, float], str]]]:
        for run in range(RUNS):
            training_films(run)  # drawn and kept here: the time of a training is without it
            for repair, p in wanted:
                read = partial(xray_reader, repair, run, p, retrain=True)
                yield _file(repair, run, p), read, partial(_describe, repair)

    yield from train_and_store(folder, trainings())


def _describe(repair: str, net: XrayNet, seconds: float) -> str:
    found = measure(net, choosing_films(), masked=repair == "mask the strip")
    return (
        f"{seconds:.0f} s, accuracy on the biased test {found.biased:.3f}, unbiased {found.unbiased:.3f}, "
        f"flip rate {found.flip_rate:.3f}, energy in corner {found.corner:.2f}, box {found.box:.3f}, "
        f"finding {found.finding:.2f}"
    )
