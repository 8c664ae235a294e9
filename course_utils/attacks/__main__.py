"""``python -m course_utils.attacks`` measures the study of notebook 10 anew, in about seven minutes of one core."""

from __future__ import annotations

import torch

from course_utils.assets import DATA
from course_utils.networks import load_classifier

from . import study


def main() -> None:
    """Measure everything on one thread, and write the file."""
    torch.set_num_threads(1)  # how many there are decides about the last digits
    rows = study.measure(load_classifier(), study.cases())
    path = DATA / study.FILE
    study.save(rows, path)
    print(f"{path.name}: {len(rows)} lines")


if __name__ == "__main__":
    main()
