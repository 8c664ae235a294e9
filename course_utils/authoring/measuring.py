"""Which notebooks read measurements that take longer than a notebook may, and what measures them again.

``python -m course_utils measure 06`` writes what notebook 06 reads to ``data/measurements/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

__all__ = ["measure_topic", "studies"]


def studies() -> dict[str, tuple]:
    """By the notebook's number, with a word where it reads two tables: the table's name, and a function that takes a
    classifier and a progress flag and yields :class:`course_utils.evidence.Measurement`.

    Where a study is of no ImageNet network, a third entry names its cases, and the function takes such a name in place
    of a classifier.
    """
    # Imported here: the other commands of this room need no PyTorch.
    from course_utils.attacks import measure_jpeg, measure_transfer
    from course_utils.backgrounds import measure_remedies, measure_watermarks
    from course_utils.evidence import guided_study, quarters_study, rival_study, study_covers
    from course_utils.failures import measure_failures
    from course_utils.localization import photo_study
    from course_utils.playground import measure_audits
    from course_utils.segmentation import photo_study as mask_study
    from course_utils.xray import TRAININGS, measure_hospitals, measure_laundering

    return {
        "03": ("03_cam_to_grad_cam", rival_study),
        "04": ("04_grad_cam", quarters_study),
        "05": ("05_guided_backprop", guided_study),
        "06": ("06_counterfactuals", study_covers),
        "07": ("07_localization", photo_study),
        "08": ("08_segmentation", mask_study),
        "09": ("09_failure_modes", measure_failures),
        "10": ("10_transfer", measure_transfer),
        "10 JPEG": ("10_jpeg", measure_jpeg),
        "11": ("11_dataset_bias", measure_watermarks),
        "11 remedies": ("11_remedies", measure_remedies),
        "12": ("12_hospitals", measure_hospitals),
        "12 laundering": ("12_laundering", measure_laundering, TRAININGS),
        "14": ("14_explain_your_own", measure_audits),
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
    tables = [table for key, table in known.items() if topic in (key, key.split()[0])]
    if not tables:
        raise ValueError(f"there is nothing to measure for {topic!r}, only for {', '.join(known)}.")
    for name, study, *cases in tables:
        rows: list = []
        for case in cases[0] if cases else networks or NETWORKS:
            start, before = perf_counter(), len(rows)
            with one_thread():
                rows += study(case if cases else load_classifier(case), progress)
            yield f"{name}: {case}, {len(rows) - before} numbers in {perf_counter() - start:.0f} s"
        save_measurements(rows, Path(folder or DATA / "measurements") / f"{name}.csv")
