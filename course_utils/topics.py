"""Which notebooks have networks that the course trained itself, and what trains them again.

``python -m course_utils train 07`` writes the networks of notebook 07 to ``data/weights/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from course_utils import trained
from course_utils.background_bias import store_features
from course_utils.trained_language import train_language
from course_utils.trained_segmentation import train_segmenters
from course_utils.trained_xray import train_readers

__all__ = ["TOPICS", "train_topic"]

TOPICS: dict[str, Callable[[Path, bool], Iterator[str]]] = {
    "07": trained.train_classifiers,
    "08": train_segmenters,
    "11": store_features,
    "12": train_readers,
    "13": train_language,
}
"""By the notebook's number: a function that trains into a folder, with a progress bar or without, and yields a line
about each network."""


def train_topic(topic: str, folder: Path | None = None, progress: bool = True) -> Iterator[str]:
    """Train a notebook's networks on one thread, write them into ``folder`` (``data/weights``), and yield a line
    about each.

    One thread, because the last digits depend on how many there are.

    Raises:
        ValueError: no such notebook, or none that has trained networks.
    """
    if topic not in TOPICS:
        raise ValueError(f"there is nothing to train for {topic!r}, only for {', '.join(TOPICS)}.")
    return TOPICS[topic](Path(folder or trained.WEIGHTS), progress)
