"""A study of 60 pictures with known objects: where is Grad-CAM for the right class before an attack, and after it?

``python -m course_utils.attacks`` measures all of it anew, about seven minutes of one core, and writes what
notebook 10 reads: ``data/measurements/10_adversarial_examples.csv``, one line for each picture and attack.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.assets import data_file
from course_utils.explain import Explanation, evaluation_mode, explain
from course_utils.networks import Classifier
from course_utils.pictures import composites, list_photos, load_photo, mosaic

from .maps import move_map
from .pixels import pgd, random_noise

__all__ = ["ATTACKS", "TARGET", "Attack", "Case", "Row", "cases", "column", "load", "measure", "save"]

TARGET = "airliner"
FILE = "measurements/10_adversarial_examples.csv"
MOSAICS, COMPOSITES, COMPOSITES_SEED = 25, 28, 10


@dataclass(frozen=True)
class Attack:
    """How a picture is changed: its kind, epsilon in units of 1/255, steps."""

    kind: str
    """"none", "noise", "pgd" (toward the target), "map, right" or "map, target" (see :func:`attacked`)."""
    epsilon: int = 0
    steps: int = 0


ATTACKS = {
    "none": Attack("none"),
    "noise 2": Attack("noise", 2),
    "noise 8": Attack("noise", 8),
    "noise 16": Attack("noise", 16),
    "PGD 2": Attack("pgd", 2, 6),
    "PGD 8": Attack("pgd", 8, 6),
    "PGD 16": Attack("pgd", 16, 6),
    "PGD 8 long": Attack("pgd", 8, 20),
    "map 8, right class": Attack("map, right", 8, 10),
    "map 8, target class": Attack("map, target", 8, 10),
}
"""By name; the number in a name is epsilon in units of 1/255."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture and where the object of its class is."""

    name: str
    kind: str
    """"photograph", "mosaic" or "composite"."""
    image: Tensor
    """(1, 3, 224, 224) in [0, 1]."""
    label: str
    """The right ImageNet class of the object."""
    mask: Tensor
    """(224, 224) bool, True on the object."""


@dataclass(frozen=True)
class Row:
    """What was measured on one picture after one attack."""

    picture: str
    kind: str
    label: str
    area: float
    """The object's share of the picture: the energy that an even map would have in it."""
    attack: str
    predicted: str
    p_label: float
    """Probability of the right class."""
    p_target: float
    """Probability of the target."""
    energy: float
    """Share of the energy of the right class's heat-map that lies in the object; NaN where the map is flat."""
    hit: float
    """1 if the heat-map's maximum lies on the object, 0 if not; NaN where the map is empty."""
    target_energy: float
    """Share of the energy of the target's heat-map that lies in the object; NaN where the map is flat."""
    cosine: float
    """Cosine between the right class's raw maps before and after."""


def cases() -> list[Case]:
    """Return 7 photographs, 25 mosaics of four of them, and 28 composites, always the same and in this order."""
    named = list_photos("skimage", "sklearn", labeled=True)
    found = []
    for name in named:
        photo = load_photo(name).square()
        found.append(
            Case(name, "photograph", load_photo(name).tensor(), photo.labels[0], _tensor(photo.mask))
        )
    for n, names in enumerate(list(combinations(named, 4))[:MOSAICS]):
        four, place = mosaic(names, seed=n), n % 4
        photo = four.photos[place]
        mask = _tensor(four.mask(place))
        found.append(Case(f"{photo.name} in mosaic {n}", "mosaic", four.tensor(), photo.labels[0], mask))
    for n, composite in enumerate(composites(COMPOSITES, seed=COMPOSITES_SEED)):
        thing = composite.objects[0]
        name = f"{thing.name} in composite {n}"
        found.append(Case(name, "composite", composite.tensor(), thing.labels[0], _tensor(thing.mask)))
    return found


def _tensor(mask: object) -> Tensor:
    return torch.tensor(mask, dtype=torch.bool)


def attacked(classifier: Classifier, case: Case, attack: Attack) -> Tensor:
    """Return the case's picture after an attack.

    "pgd" raises the target. "map, right" asks for the right class and "map, target" for the target, both with the
    map of the right class everywhere but on the object.
    """
    image, label, epsilon = case.image, classifier.class_index(case.label), attack.epsilon / 255
    if attack.kind == "none":
        return image
    if attack.kind == "noise":
        return random_noise(image, epsilon, full_size=True)
    if attack.kind == "pgd":
        return pgd(classifier, image, TARGET, epsilon, attack.steps)
    keep = TARGET if attack.kind == "map, target" else label
    return move_map(classifier, image, ~case.mask[None], label, keep, epsilon, attack.steps)


def measure(
    classifier: Classifier,
    chosen: Sequence[Case],
    names: Sequence[str] = tuple(ATTACKS),
    progress: bool = True,
) -> list[Row]:
    """Attack pictures in each of the ways named, and measure the maps.

    Raises:
        ValueError: an attack that is not one of ``ATTACKS``.
    """
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        raise ValueError(f"there is no attack {unknown[0]!r}, only {', '.join(ATTACKS)}.")
    bar = tqdm(list(chosen), desc="pictures", disable=not progress, leave=False)
    return [row for case in bar for row in _rows(classifier, case, names)]


def _rows(classifier: Classifier, case: Case, names: Sequence[str]) -> Iterator[Row]:
    clean = _maps(classifier, case, case.image)[0].maps[0, 0].flatten()
    mask = case.mask.to(clean.device).float()
    for name in names:
        image = attacked(classifier, case, ATTACKS[name])
        explanation, logits = _maps(classifier, case, image)
        heat = explanation.heatmaps(image.shape[-1])[0]
        high, low = heat.amax((1, 2)), heat.amin((1, 2))
        heat[high - low <= 1e-5 * high] = torch.nan  # empty, or the same everywhere: it marks no place
        energy = ((heat * mask).sum((1, 2)) / heat.sum((1, 2))).tolist()
        hit = float("nan") if heat[0].isnan().any() else mask.flatten()[heat[0].argmax()].item()
        p = classifier.probabilities(logits)[0]
        yield Row(
            case.name,
            case.kind,
            case.label,
            mask.mean().item(),
            name,
            classifier.classes[int(p.argmax())],
            p[classifier.class_index(case.label)].item(),
            p[classifier.class_index(TARGET)].item(),
            energy[0],
            hit,
            energy[1],
            F.cosine_similarity(clean, explanation.maps[0, 0].flatten(), dim=0).item(),
        )


def _maps(classifier: Classifier, case: Case, image: Tensor) -> tuple[Explanation, Tensor]:
    """Grad-CAM of the right class and of the target, and all logits (1, classes), from one forward pass."""
    numbers = [classifier.class_index(case.label), classifier.class_index(TARGET)]
    kept = []

    def scores() -> Tensor:
        kept.append(classifier(image))
        return kept[0][:, numbers]

    with evaluation_mode(classifier):
        return explain(classifier.target_layer, scores), kept[0].detach()


def column(rows: Sequence[Row], attack: str, name: str) -> Tensor:
    """Return one measured number of each picture after one attack, (pictures,), in the order of the rows.

    Raises:
        ValueError: no row has this attack.
    """
    values = [getattr(row, name) for row in rows if row.attack == attack]
    if not values:
        known = ", ".join(dict.fromkeys(row.attack for row in rows))
        raise ValueError(f"no row has the attack {attack!r}; there are: {known}.")
    return torch.tensor(values, dtype=torch.float64)


def save(rows: Sequence[Row], path: Path) -> None:
    """Write rows as a table with a line of headings, numbers to five significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__annotations__)
        for row in rows:
            values = [getattr(row, name) for name in Row.__annotations__]
            writer.writerow([f"{value:.5g}" if isinstance(value, float) else value for value in values])
    unfinished.replace(path)


def load(path: Path | None = None) -> list[Row]:
    """Read the stored table.

    Raises:
        AssetError: the file is not there.
        ValueError: it has other columns.
    """
    path = path or data_file(FILE)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(Row.__annotations__):
            raise ValueError(
                f"{path.name} has the columns {reader.fieldnames}, not {list(Row.__annotations__)}: write it anew with "
                "`python -m course_utils.attacks`."
            )
        kinds = Row.__annotations__
        return [
            Row(**{k: float(v) if kinds[k] == "float" else v for k, v in line.items()}) for line in reader
        ]
