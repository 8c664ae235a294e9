"""What notebook 09 reads: the mistakes of three networks on unmodified photographs, and on composites.

``python -m course_utils measure 09`` writes ``data/measurements/09_failure_modes.csv``, in few letters each:

- "answer: top left" (one of ``VIEWS``, or ``WHOLE``): the map's place has the answer, the value its probability;
- "right", "confidence", "scaled": of the ten crops of a photograph, the share that is named rightly, the mean
  probability of the answer, and the same with the temperature of the other photographs ("temperature");
- "ECE": of all crops, five bins, before and after scaling;
- "lead falls", "no mistake left": what equal covers do to the mistakes of a photograph, by ``COVERED``;
- "energy": share of a map's energy in the object, of the mistakes, and of an even map: the object's area;
- "alike": rank correlation of two networks' maps of one crop to which they give different answers: for the class that
  this network names ("same class"), for each network's own answer ("own answers"), and without a class;
- of composites "goose 12" of photographs that the notebook's composites do not use, for each mistake: "context" and
  "object" (1 if that is its cause), "names the cause" (1 if the kind of a map does) and "spread" by map, "area",
  "objects".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_utils.evidence import NETWORKS, Measurement, rank_correlation
from course_utils.explain import batched_logits, enlarged, grad_cam
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import list_photos

from .calibration import expected_calibration_error, temperatures_of_others
from .cases import DOUBTFUL, FAMILIES, WHOLE, Case, composite_cases, crop_cases
from .covers import cover_mistake
from .kinds import SHOWN, agreement, explain_mistakes, right_labels, sort_mistake, spread

__all__ = ["BINS", "all_logits", "held_out", "measure_failures"]

BINS = 5
COMPOSITES, SEED = 160, 90
ALL = "all photographs"

Row = tuple[str, str, str, float]  # photograph, measure, map, value


def held_out() -> list[str]:
    """Return the labeled photographs that no composite of the notebook uses, without those of ``DOUBTFUL`` labels."""
    seven = list_photos("skimage", "sklearn", labeled=True)
    return [name for name in list_photos(labeled=True) if name not in seven and name not in DOUBTFUL]


def all_logits(classifier: Classifier, cases: Sequence[Case]) -> Tensor:
    """Return the logits (N, classes) of some cases, twenty at a time: less memory."""
    parts = [cases[n : n + 20] for n in range(0, len(cases), 20)]
    return torch.cat(
        [batched_logits(classifier, torch.cat([case.tensor() for case in part])).cpu() for part in parts]
    )


def measure_failures(classifier: Classifier, progress: bool = False) -> Iterator[Measurement]:
    """Measure one network: see the module's docstring for what the lines are."""
    cases = crop_cases(size=classifier.size)
    logits = all_logits(classifier, cases)
    crops = [n for n, case in enumerate(cases) if case.family != WHOLE]
    steps = {
        "answers": _answers(classifier, cases, logits),
        "calibration": _calibration(classifier, [cases[n] for n in crops], logits[crops]),
        "covers": _covers(classifier, [cases[n] for n in crops], logits[crops]),
        "another network": _alike(classifier, cases, logits),
        "composites": _composites(classifier),
    }
    for rows in tqdm(steps.values(), disable=not progress, desc=classifier.name):
        yield from (Measurement(classifier.name, *row) for row in rows)


def _answers(classifier: Classifier, cases: Sequence[Case], logits: Tensor) -> Iterator[Row]:
    p, said = classifier.probabilities(logits).max(1)
    for case, probability, number in zip(cases, p.tolist(), said.tolist(), strict=True):
        yield case.name, f"answer: {case.family}", classifier.classes[number], probability


def _calibration(classifier: Classifier, cases: Sequence[Case], logits: Tensor) -> Iterator[Row]:
    photos, right = [case.name for case in cases], right_labels(classifier, cases)
    found = temperatures_of_others(logits, right, photos)
    temperature = logits.new_tensor([found[photo] for photo in photos])[:, None]
    p, said = logits.softmax(1).max(1)
    hit = torch.tensor([int(c) in names for c, names in zip(said, right, strict=True)]).float()
    scaled = (logits / temperature).softmax(1).amax(1)
    values = {"right": hit, "confidence": p, "scaled": scaled}
    for photo, of_others in found.items():
        rows = [n for n, name in enumerate(photos) if name == photo]
        yield from ((photo, name, "crops", float(value[rows].mean())) for name, value in values.items())
        yield photo, "temperature", "crops", of_others
    for name in ("confidence", "scaled"):
        yield ALL, "ECE", name, expected_calibration_error(values[name], hit, BINS)


def _covers(classifier: Classifier, cases: Sequence[Case], logits: Tensor) -> Iterator[Row]:
    found: dict[tuple[str, str, str], list[float]] = {}
    for mistake in explain_mistakes(classifier, cases, logits):
        photo, mask = mistake.case.name, torch.from_numpy(mistake.case.masks["object"].copy())
        for kind, (fall, gone) in cover_mistake(classifier, mistake).items():
            found.setdefault((photo, "lead falls", kind), []).append(fall)
            found.setdefault((photo, "no mistake left", kind), []).append(float(gone))
        for kind, heat in zip(SHOWN[:3], enlarged(mistake.maps[:3].relu(), mask.shape), strict=False):
            share = float(heat[mask].sum() / heat.sum()) if heat.max() > 0 else float("nan")
            found.setdefault((photo, "energy", kind), []).append(share)
        found.setdefault((photo, "energy", "the object's area"), []).append(float(mask.float().mean()))
    yield from ((*key, float(np.mean(values))) for key, values in found.items())


def _alike(classifier: Classifier, cases: Sequence[Case], logits: Tensor) -> Iterator[Row]:
    """Compare with the next of NETWORKS: on crops of the same place, each in its own size."""
    following = load_classifier(NETWORKS[(NETWORKS.index(classifier.name) + 1) % len(NETWORKS)])
    theirs = crop_cases(size=following.size)
    answers = [logits.argmax(1).tolist(), all_logits(following, theirs).argmax(1).tolist()]
    found: dict[tuple[str, str], list[float]] = {}
    for case, other, a, b in zip(cases, theirs, *answers, strict=True):
        if a == b:
            continue
        one, two = (grad_cam(clf, c.tensor(), [a, b]) for clf, c in ((classifier, case), (following, other)))
        maps = [torch.cat([e.maps[0], e.activations[0].sum(0)[None]]).cpu() for e in (one, two)]
        first, second = (F.adaptive_avg_pool2d(enlarged(each, 63), 7) for each in maps)
        pairs = {"same class": (0, 0), "own answers": (0, 1), "class-free sum": (2, 2)}
        for kind, (i, j) in pairs.items():
            found.setdefault((case.name, kind), []).append(rank_correlation(first[i], second[j]))
    for (photo, kind), values in found.items():
        yield photo, "alike", kind, float(np.mean(values))
        if kind == "same class":
            yield photo, "alike", "crops", float(len(values))


def _composites(classifier: Classifier) -> Iterator[Row]:
    cases = composite_cases(COMPOSITES, SEED, names=held_out())
    for mistake in explain_mistakes(classifier, cases, all_logits(classifier, cases), SEED):
        case = mistake.case
        name = f"{case.name} {cases.index(case)}"
        yield name, "context", "cause", float(mistake.cause == "context")
        yield name, "object", "cause", float(mistake.cause == "object")
        yield name, "objects", "number", float(1 + (case.family in FAMILIES[2:]))
        yield name, "area", "object", float(case.masks["object"].mean())
        for k, shown in enumerate(SHOWN):
            even = spread(mistake.maps[k])
            yield name, "spread", shown, float("nan") if even is None else even
            yield name, "names the cause", shown, agreement(sort_mistake, [mistake], k)
