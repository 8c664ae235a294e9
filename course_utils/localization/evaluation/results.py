"""The evaluation's results: one row an image in a CSV file that can be continued, and the table made of the rows.

The file's first line holds the settings, after "# "; `pandas.read_csv(path, skiprows=1)` reads the rest.

| column | |
|---|---|
| image, label | file name; WordNet number of its class |
| fault | what is wrong with the file, in words; then the other columns are empty |
| blacklisted | 1 where the box does not count, as the development kit leaves 1,762 images out of localization |
| guesses | class numbers, the most probable first |
| rank | place of the right class among the guesses, from 1; 0 if it is none of them |
| hit@T | the same, if its box at threshold T has an IoU of at least 0.5 with an instance, else 0 |
| iou@T | that IoU, of the best instance; empty where the right class was not guessed or its map was empty |
| boxes@T | the guesses' boxes in the image's pixels, "x0 y0 x1 y1" separated by ";", or "none" |
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Results", "ResultsFile", "columns"]

Row = dict[str, str]


def columns(thresholds: Sequence[float]) -> list[str]:
    """Return the names of the columns for these thresholds."""
    kinds = [f"{kind}@{threshold:g}" for threshold in thresholds for kind in ("hit", "iou", "boxes")]
    return ["image", "label", "fault", "blacklisted", "guesses", "rank", *kinds]


@dataclass(frozen=True)
class Results:
    """The rows of an evaluation, in the order of the images."""

    settings: dict
    rows: list[Row]
    strays: list[str]
    """Annotations without an image, by name."""

    @property
    def faulty(self) -> list[tuple[str, str]]:
        """(file, what is wrong with it) of all that could not be evaluated."""
        found = [(row["image"], row["fault"]) for row in self.rows if row["fault"]]
        return found + [(name, "there is no image to this annotation.") for name in self.strays]

    @property
    def evaluated(self) -> list[Row]:
        """The rows without a fault."""
        return [row for row in self.rows if not row["fault"]]

    @property
    def tops(self) -> list[int]:
        """The numbers of guesses that errors are given for: 1 and the most."""
        return sorted({1, self.settings["top"]})

    def classification_error(self, top: int) -> float:
        """Return the share of images whose class is not among the first ``top`` guesses, in [0, 1]."""
        return _error([int(row["rank"]) for row in self.evaluated], top)

    def localization_error(self, threshold: float, top: int) -> float:
        """Return the share of images that none of the first ``top`` guesses names and finds, in [0, 1].

        Blacklisted images are left out here, and counted in :meth:`classification_error`, as by the development kit.
        """
        rows = [row for row in self.evaluated if not int(row["blacklisted"])]
        return _error([int(row[f"hit@{threshold:g}"]) for row in rows], top)

    def table(self) -> str:
        """Return the errors in percent, a line for each threshold."""
        kinds = [(kind, top) for kind in ("cls", "loc") for top in self.tops]
        lines = ["threshold" + "".join(f"{f'{kind} top-{top}':>12}" for kind, top in kinds)]
        for threshold in self.settings["thresholds"]:
            errors = [self.classification_error(top) for top in self.tops]
            errors += [self.localization_error(threshold, top) for top in self.tops]
            lines.append(
                f"{f'{100 * threshold:g} %':>9}" + "".join(f"{100 * error:12.2f}" for error in errors)
            )
        return "\n".join(lines)

    def report(self, most: int = 20) -> str:
        """Return the table with its heading, and what was wrong with which files.

        Args:
            most: how many images, and how many annotations without one, are named; of the others, the number is.
        """
        s, faulty = self.settings, self.faulty
        heading = f"{s['model']}, {s['method']}: error in % of {len(self.evaluated)} images"
        excluded = sum(int(row["blacklisted"]) for row in self.evaluated)
        heading += f" ({excluded} of them on the blacklist, and not in loc)" if excluded else ""
        lines = [heading, self.table()] if self.evaluated else ["No image could be evaluated."]
        if faulty:
            lines.append(f"{len(faulty)} faulty files, which are in no figure above:")
            rows = len(faulty) - len(self.strays)
            for found, elsewhere in (
                (faulty[:rows], ": see the column fault"),
                (faulty[rows:], " without an image"),
            ):
                lines += [f"  {name}: {words}" for name, words in found[:most]]
                lines += [f"  and {len(found) - most} more{elsewhere}."] if len(found) > most else []
        return "\n".join(lines)


def _error(ranks: list[int], top: int) -> float:
    return sum(not 1 <= rank <= top for rank in ranks) / len(ranks) if ranks else float("nan")


class ResultsFile:
    """A CSV file that grows by a batch at a time, and from which an interrupted evaluation goes on.

    Without a path, the rows are only kept.

    Raises:
        ValueError: the file holds the results of other settings, or something else.
    """

    def __init__(self, path: Path | None, settings: dict) -> None:
        self.path, self.settings = path, settings
        self.names = columns(settings["thresholds"])
        self.rows: dict[str, Row] = {}
        if path is not None and path.exists() and path.stat().st_size:
            # Faulty files are tried again: they may have been mended meanwhile.
            self.rows = {row["image"]: row for row in self._read() if not row["fault"]}
            self._rewrite()

    def add(self, rows: Iterable[Row]) -> None:
        """Append those rows that are not there yet, so that they outlast whatever happens next."""
        new = [row for row in rows if row["image"] not in self.rows]
        self.rows.update({row["image"]: row for row in new})
        if self.path is not None and new and not self.path.exists():
            self._rewrite()
        elif self.path is not None and new:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(self._as_csv(new))
                file.flush()
                os.fsync(file.fileno())

    def finish(self, order: Sequence[str]) -> list[Row]:
        """Return the rows of these images, and put those in the file into their order."""
        asked = set(order)
        rest = [name for name in self.rows if name not in asked]
        self.rows = {name: self.rows[name] for name in [*order, *rest]}
        if self.path is not None:
            self._rewrite()
        return [self.rows[name] for name in order]

    def _as_csv(self, rows: Iterable[Row]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.names, lineterminator="\n").writerows(rows)
        return text.getvalue()

    def _rewrite(self) -> None:
        """Write all rows anew. Whenever this is cut short, the file under its own name is whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        head = f"# {json.dumps(self.settings)}\n" + ",".join(self.names) + "\n"
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(head + self._as_csv(self.rows.values()), encoding="utf-8", newline="")
        fresh.replace(self.path)

    def _read(self) -> list[Row]:
        first, *lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        found = _settings_in(first)
        if found is None:
            raise ValueError(f"{self.path} exists, but holds no results of this command. Name another file.")
        differing = [key for key in {**found, **self.settings} if found.get(key) != self.settings.get(key)]
        if differing:
            told = "; ".join(
                f"{key} {found.get(key)!r} there, {self.settings.get(key)!r} here" for key in differing
            )
            raise ValueError(
                f"{self.path} holds results of other settings ({told}). They cannot be mixed: name another file, or "
                "delete this one."
            )
        if lines and not lines[-1].endswith("\n"):  # an interruption cut the last row short
            lines.pop()
        rows = csv.DictReader(lines[1:], self.names)
        return [row for row in rows if None not in row.values() and None not in row]


def _settings_in(line: str) -> dict | None:
    try:
        found = json.loads(line.removeprefix("# ")) if line.startswith("# ") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "thresholds" in found else None
