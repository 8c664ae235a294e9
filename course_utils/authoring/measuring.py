"""Which notebooks read measurements that take longer than a notebook may, and what measures them again.

``python -m course_utils measure 06`` writes what notebook 06 reads to ``data/measurements/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

__all__ = ["measure_topic", "studies"]


def studies() -> dict[str, tuple[str, Callable]]:
    """By the notebook's number, with a word where it reads two tables: the table's name, and a function that takes a
    classifier and a progress flag and yields :class:`course_utils.evidence.Measurement`.
    """
    # Imported here: the other commands of this room need no PyTorch.
    from course_utils.attacks import measure_jpeg, measure_transfer
    from course_utils.backgrounds import measure_remedies, measure_watermarks
    from course_utils.evidence import guided_study, quarters_study, rival_study, study_covers
    from course_utils.localization import photo_study

    return {
        "03": ("03_cam_to_grad_cam", rival_study),
        "04": ("04_grad_cam", quarters_study),
        "05": ("05_guided_backprop", guided_study),
        "06": ("06_counterfactuals", study_covers),
        "07": ("07_localization", photo_study),
        "10": ("10_transfer", measure_transfer),
        "10 JPEG": ("10_jpeg", measure_jpeg),
        "11": ("11_dataset_bias", measure_watermarks),
        "11 remedies": ("11_remedies", measure_remedies),
    }


def measure_topic(
    topic: str, folder: Path | None = None, networks: Sequence[str] | None = None, progress: bool = True
) -> Iterator[str]:
    """Measure what a notebook reads, on one thread, write it into ``folder`` (``data/measurements``), and yield a line
    about each network.

    One thread, because the last digits depend on how many there are.

    Raises:
        ValueError: no such notebook, or none that reads measurements.
    """
    from course_utils.assets import DATA
    from course_utils.evidence import NETWORKS, save_measurements
    from course_utils.networks import load_classifier, one_thread

    known = studies()
    tables = [table for key, table in known.items() if key.split()[0] == topic]
    if not tables:
        raise ValueError(
            f"there is nothing to measure for {topic!r}, only for {', '.join(k for k in known if ' ' not in k)}."
        )
    for name, study in tables:
        rows: list = []
        for network in networks or NETWORKS:
            start, before = perf_counter(), len(rows)
            with one_thread():
                rows += study(load_classifier(network), progress)
            yield f"{name}: {network}, {len(rows) - before} numbers in {perf_counter() - start:.0f} s"
        save_measurements(rows, Path(folder or DATA / "measurements") / f"{name}.csv")
