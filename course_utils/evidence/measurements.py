"""What takes longer than a notebook may: measured by a command, one number for each photograph, and read here.

``python -m course_utils measure 06`` measures what notebook 06 reads from ``data/measurements/06_*.csv``: one line for
each network, photograph, measure and map. The notebook measures a part of it again, and compares.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from course_utils.assets import data_file

from .intervals import Interval, interval

__all__ = [
    "NETWORKS",
    "Measurement",
    "Measurements",
    "load_measurements",
    "save_measurements",
]

NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""The networks on which a headline claim is measured."""


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        network: such as "efficientnet_lite0".
        photo: the photograph's name. The value is the mean of all that was measured on it, mosaics or crops.
        measure: what was measured, in words, such as "fall of the logit, 10 cells, mean fill".
        map: whose map, such as "Grad-CAM" or "centre blob".
        value: NaN where the map says nothing (it is flat, or the object is not in the picture).
    """

    network: str
    photo: str
    measure: str
    map: str
    value: float


class Measurements:
    """A table of :class:`Measurement`, looked up by measure, map and network."""

    def __init__(self, rows: Iterable[Measurement]) -> None:
        """Keep the rows, and refuse two values for one place."""
        self.rows = tuple(rows)
        self._values: dict[tuple[str, str, str], dict[str, float]] = {}
        for row in self.rows:
            found = self._values.setdefault((row.measure, row.map, row.network), {})
            if row.photo in found:
                raise ValueError(
                    f"two values for {row.measure!r} of {row.map!r} on {row.photo!r} with {row.network}: average them."
                )
            found[row.photo] = row.value

    def __len__(self) -> int:
        """How many numbers there are."""
        return len(self.rows)

    def values(self, measure: str, map: str, network: str = NETWORKS[0]) -> dict[str, float]:
        """Return the value of each photograph by its name, without those on which the map says nothing.

        Raises:
            KeyError: nothing of the kind was measured.
        """
        key = (measure, map, network)
        if key not in self._values:
            near = (
                sorted({m for m, _, n in self._values if n == network}),
                sorted({m for _, m, _ in self._values}),
            )
            raise KeyError(
                f"there is no {measure!r} of {map!r} with {network}. Measures there: {', '.join(near[0]) or 'none'}; "
                f"maps: {', '.join(near[1]) or 'none'}."
            )
        return {photo: value for photo, value in self._values[key].items() if not math.isnan(value)}

    def interval(self, measure: str, map: str, network: str = NETWORKS[0]) -> Interval:
        """Return the mean by photograph, with its interval."""
        return interval(list(self.values(measure, map, network).values()))

    def difference(self, measure: str, map: str, other: str, network: str = NETWORKS[0]) -> Interval:
        """Return the paired difference of two maps, map - other, over the photographs that have both."""
        first, second = (self.values(measure, name, network) for name in (map, other))
        return interval([value - second[photo] for photo, value in first.items() if photo in second])


def save_measurements(rows: Iterable[Measurement], path: Path) -> None:
    """Write rows as CSV, values with four decimals, NaN as an empty place."""
    rows = Measurements(rows).rows
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Measurement)])
        for row in rows:
            *words, value = astuple(row)
            writer.writerow([*words, "" if math.isnan(value) else f"{value:.4f}"])


def load_measurements(name: str) -> Measurements:
    """Read ``data/measurements/NAME.csv``, such as "06_counterfactuals".

    Raises:
        AssetError: there is no such file.
    """
    with open(data_file(f"measurements/{name}.csv"), encoding="utf-8", newline="") as file:
        lines: Sequence[dict[str, str]] = list(csv.DictReader(file))
    return Measurements(
        Measurement(
            line["network"], line["photo"], line["measure"], line["map"], float(line["value"] or "nan")
        )
        for line in lines
    )
