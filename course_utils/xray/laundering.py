"""Can a heat-map be cleaned and the network left as it is? Trainings with a penalty on the map; what notebook 12 reads.

``python -m course_utils measure 12`` writes ``data/measurements/12_laundering.csv``. Each line is one training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tqdm.auto import tqdm

from course_utils.evidence import Measurement
from course_utils.networks import RUNS

from .study import corner_of_decision, measure, train
from .trained import training_films, unseen_films

__all__ = ["STRENGTHS", "TRAININGS", "measure_laundering"]

STRENGTHS = {"box": (10.0,), "corner": (10.0, 100.0), "corner, map of d": (10.0,)}
"""Weights lambda of the penalty in the loss, for each place of ``PUNISHED``; the stored networks are the last ones."""
TRAININGS = tuple(f"training {run}" for run in range(RUNS))
MEASURES = ("flip_rate", "logit_change", "unbiased", "worst_group", "box", "corner", "finding", "empty")


def measure_laundering(training: str, progress: bool = True) -> Iterator[Measurement]:
    """Train with the penalty in each place at each of its ``STRENGTHS``, and yield what
    :class:`course_utils.xray.study.Reliance` says of it on :func:`unseen_films`.

    Args:
        training: one of ``TRAININGS``: its radiographs, stamps and first weights are those of the stored networks.
        progress: show a progress bar.
    """
    run = TRAININGS.index(training)
    films, unseen = training_films(run), unseen_films()
    kinds = [(place, strength) for place, strengths in STRENGTHS.items() for strength in strengths]
    for place, strength in tqdm(kinds, desc=training, disable=not progress, leave=False):
        net = train(films, "penalty on the map", seed=run, strength=strength, punished=place)
        found = asdict(measure(net, unseen))
        numbers = {name: found[name] for name in MEASURES}
        numbers["corner, map of d"], numbers["change in the corner"] = corner_of_decision(net, unseen)
        for name, number in numbers.items():
            yield Measurement("radiograph reader", training, name, f"{place}: {strength:.0f}", number)
