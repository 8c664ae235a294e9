"""How far does writing raise the score of carton? Photographs with and without it; what notebook 11 reads.

``python -m course_utils measure 11`` writes ``data/measurements/11_dataset_bias.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm

from course_utils.evidence import Measurement
from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo

from .watermarks import HEIGHT, as_much_ink, opacity_for, stamp, watermark

__all__ = ["DOSES", "MATCHED", "STAMPS", "measure_watermarks", "stamped_photographs"]

STAMPS: dict[str, dict] = {
    "shortcut": {},
    "mirrored": {"change": "mirrored"},
    "upside down": {"change": "upside down"},
    "in pieces": {"change": "in pieces"},
    "in small pieces": {"change": "in small pieces"},
    "columns shuffled": {"change": "shuffled"},
    "study": {"script": "study"},
    "Hangul": {"script": "Hangul"},
    "Hiragana": {"script": "Hiragana"},
    "Latin": {"script": "Latin"},
    "bar": {"script": "bar"},
    "plate": {"script": "plate"},
}
"""What is laid over the photographs at half opacity, by name: the settings of :func:`watermark`."""
MATCHED = ("study", "Hangul", "Hiragana", "Latin")
"""Which of them, having less ink, are laid on again with as much ink as the first, and once more with as large a
change."""
OPACITIES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
HEIGHTS = (0.04, 0.06, 0.08, 0.12, HEIGHT)
PLACES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.9)
DOSES = {
    "opacity": {f"opacity {value:g}": value for value in OPACITIES},
    "height": {f"height {value:.2f}": value for value in HEIGHTS},
    "place": {f"place {value:g}": value for value in PLACES},
}
"""What is varied about the first writing, and each name's value: the opacity; the side of a character, and how far down
its middle is, as shares of the picture."""
ALL = "all photographs"


def stamped_photographs(images: Tensor, name: str) -> Tensor:
    """Return images (N, 3, size, size) with one of the writings of the study.

    Args:
        images: RGB in [0, 1].
        name: one of ``STAMPS``; one of ``MATCHED`` with ", same ink" or ", same change" behind it; one of the names in
            ``DOSES``; or "four small ones": the first at half its size, four times over.

    Raises:
        KeyError: another name.
    """
    size = images.shape[-1]
    if name == "four small ones":
        places = [(across, 0.4 + down * HEIGHT / 4) for across in (0.25, 0.75) for down in (-1, 1)]
        return stamp(images, sum(watermark(size=size, height=HEIGHT / 2, place=place) for place in places))
    if name in DOSES["opacity"]:
        return stamp(images, watermark(size=size), DOSES["opacity"][name])
    if name in DOSES["height"]:
        return stamp(images, watermark(size=size, height=DOSES["height"][name]))
    if name in DOSES["place"]:
        return stamp(images, watermark(size=size, place=(0.5, DOSES["place"][name])))
    script, _, matched = name.partition(", ")
    ink = watermark(size=size, **STAMPS[script])
    if matched == "same ink":
        ink = as_much_ink(script, size)
    if matched == "same change":
        change = (stamp(images, watermark(size=size)) - images).mean((1, 2, 3))
        return stamp(images, ink, opacity_for(images, ink, change))
    return stamp(images, ink)


def measure_watermarks(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Lay writing over all photographs, and yield what it does to the logits.

    For each photograph the rise of carton, y(stamped) - y(clean), and for the first writing and the bar whether the
    first answer changes (1 or 0); for all together the mean absolute change of a value in percent, and how many of the
    other classes rise more than carton on average.
    """
    names, carton = list_photos(), classifier.class_index("carton")
    images = torch.cat([load_photo(name).tensor(classifier.size) for name in names])
    clean = batched_logits(classifier, images)
    matched = [f"{name}, same {what}" for name in MATCHED for what in ("ink", "change")]
    varied = [name for each in DOSES.values() for name in each]
    for title in tqdm(
        [*STAMPS, *matched, *varied, "four small ones"], desc="writing", disable=not progress, leave=False
    ):
        stamped = stamped_photographs(images, title)
        found = batched_logits(classifier, stamped)
        rises = found - clean
        measured = {"rise": rises[:, carton]}
        if title in ("shortcut", "bar"):
            measured["first answer changes"] = (found.argmax(1) != clean.argmax(1)).float()
        for measure, values in measured.items():
            for photo, value in zip(names, values.tolist(), strict=True):
                yield Measurement(classifier.name, photo, measure, title, value)
        change = 100 * (stamped - images).abs().mean().item()
        yield Measurement(classifier.name, ALL, "change (%)", title, change)
        mean = rises.mean(0)
        above = (mean > mean[carton]).sum().item()
        yield Measurement(classifier.name, ALL, "classes that rise more than carton", title, float(above))
