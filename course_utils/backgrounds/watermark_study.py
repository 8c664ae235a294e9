"""How far does writing raise the classes' scores? Photographs with and without it; what notebook 11 reads.

``python -m course_utils measure 11`` writes ``data/measurements/11_dataset_bias.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tqdm.auto import tqdm

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

from .watermarks import stamp, watermark

__all__ = ["FOLLOWED", "STAMPS", "measure_watermarks"]

FOLLOWED = ("carton", "monitor", "candle")
"""Classes whose rise is written down: carton is the one that Li et al. 2023 name."""
STAMPS: dict[str, dict] = {
    "shortcut": {},
    "mirrored": {"change": "mirrored"},
    "upside down": {"change": "upside down"},
    "lower": {"place": (0.5, 0.7)},
    "columns shuffled": {"change": "shuffled"},
    "study": {"script": "study"},
    "Hangul": {"script": "Hangul"},
    "Hiragana": {"script": "Hiragana"},
    "Latin": {"script": "Latin"},
    "bar": {"script": "bar"},
}
"""What is laid over the photographs, by name: the settings of :func:`watermark`."""
ALL = "all photographs"


def measure_watermarks(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Lay each of ``STAMPS`` over all photographs, and yield what it does to the logits.

    For each photograph the rise of each class in ``FOLLOWED``, y^c(stamped) - y^c(clean), and whether the first answer
    changes (1 or 0); for all together, how many of the other classes rise more than carton on average.
    """
    names, size = list_photos(), classifier.size
    images = torch.cat([load_photo(name).tensor(size) for name in names])
    clean = batched_logits(classifier, images)
    followed = {name: classifier.class_index(name) for name in FOLLOWED}
    for title, settings in tqdm(STAMPS.items(), desc="writing", disable=not progress, leave=False):
        stamped = batched_logits(classifier, stamp(images, watermark(size=size, **settings)))
        rises = stamped - clean
        changed = (stamped.argmax(1) != clean.argmax(1)).float()
        for number, photo in enumerate(names):
            for name, index in followed.items():
                yield Measurement(
                    classifier.name, photo, f"rise of {name}", title, rises[number, index].item()
                )
            yield Measurement(classifier.name, photo, "first answer changes", title, changed[number].item())
        mean = rises.mean(0)
        above = (mean > mean[followed["carton"]]).sum().item()
        yield Measurement(classifier.name, ALL, "classes that rise more than carton", title, float(above))
