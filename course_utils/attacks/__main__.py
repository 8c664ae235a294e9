"""``python -m course_utils.attacks`` measures two tables of notebook 10 anew, in about nine minutes of one core."""

from __future__ import annotations

import torch

from course_utils.assets import DATA
from course_utils.evidence import save_measurements
from course_utils.networks import load_classifier

from . import measure_digits, study


def main() -> None:
    """Measure everything on one thread, and write the files."""
    torch.set_num_threads(1)  # how many there are decides about the last digits
    rows = study.measure(load_classifier(), study.cases())
    path = DATA / study.FILE
    study.save(rows, path)
    print(f"{path.name}: {len(rows)} lines")
    save_measurements(measure_digits(), DATA / "measurements/10_digits.csv")
    print("10_digits.csv: networks for digits")


if __name__ == "__main__":
    main()
