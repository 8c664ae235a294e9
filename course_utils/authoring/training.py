"""Which notebooks have networks that the course trained itself, and what trains them again.

``python -m course_utils train 07`` writes the networks of notebook 07 to ``data/weights/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["topics", "train_topic"]


def topics() -> dict[str, Callable[[Path, bool], Iterator[str]]]:
    """By the notebook's number: a function that trains into a folder, with a progress bar or without, and yields a
    line about each network.
    """
    # Imported here: the other commands of this room need no PyTorch.
    from course_utils.backgrounds import store_features
    from course_utils.language import train_language
    from course_utils.networks import train_classifiers
    from course_utils.segmentation import train_segmenters
    from course_utils.xray import train_readers

    return {
        "07": train_classifiers,
        "08": train_segmenters,
        "11": store_features,
        "12": train_readers,
        "13": train_language,
    }


def train_topic(topic: str, folder: Path | None = None, progress: bool = True) -> Iterator[str]:
    """Train a notebook's networks on one thread, write them into ``folder`` (``data/weights``), and yield a line
    about each.

    One thread, because the last digits depend on how many there are.

    Raises:
        ValueError: no such notebook, or none that has trained networks.
    """
    from course_utils.networks import WEIGHTS

    known = topics()
    if topic not in known:
        raise ValueError(f"there is nothing to train for {topic!r}, only for {', '.join(known)}.")
    return known[topic](Path(folder or WEIGHTS), progress)
