"""Sort a classifier's mistakes by where the map of the predicted class lies, and test the sorting by intervention.

With H the heat-map of the predicted class, enlarged to pixels, and m the mask of a part of the picture,

    contrast(m) = mean of H inside m / mean of H outside m                       (1 if the map ignores the part)

A part is looked at if its contrast is at least LEAST; of several, the one with the largest. The kind says where the
map lies. What the mistake depends on is another question, asked of the twins: the **cause** is the part whose removal
lowers the logit of the predicted class most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.explain import batched_logits, enlarged, grad_cam
from course_utils.networks import Classifier

from .cases import PARTS, Case

__all__ = [
    "CONTEXT",
    "KINDS",
    "LEAST",
    "NEIGHBOR",
    "NOWHERE",
    "OTHER",
    "PART_OF_KIND",
    "SHOWN",
    "STRANGER",
    "Mistake",
    "agreement",
    "class_similarity",
    "contrast",
    "contrasts",
    "explain_mistakes",
    "nearest_classes",
    "right_labels",
    "sort_mistake",
    "spread",
]  # fmt: skip

NEIGHBOR, STRANGER = "right thing, neighbor's name", "right thing, another name"
OTHER, CONTEXT, NOWHERE = "another object", "the context", "nowhere in particular"
KINDS = (NEIGHBOR, STRANGER, OTHER, CONTEXT, NOWHERE)
PART_OF_KIND = dict(zip(KINDS, ("object", *PARTS, None), strict=True))
"""The part of the picture that each kind names as what the network looked at."""
LEAST = 1.25
"""A part is looked at if the map is at least this many times as bright inside as outside."""
CLOSE = 10
"""A class is a neighbor of another if it is among the ten of the 999 others that are most similar to it."""
LEAST_DROP = 1.0
"""If no removal lowers the logit by as much as this, no single part is called the cause."""
SHOWN = ("predicted", "right", "plausible", "arbitrary")
"""The classes whose maps a mistake carries, in this order."""
BATCH = 8


# --- which class is near which


def class_similarity(model: nn.Module) -> Tensor:
    """Return the cosine similarity (K, K) of the classes' weight vectors in the last linear layer, less their mean.

        s_cd = cos(w^c - w, w^d - w),   w = (1/K) sum_c w^c

    Raises:
        ValueError: the model has no linear layer.
    """
    linear = [part for part in model.modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ValueError(f"this {type(model).__name__} has no linear layer to compare classes by.")
    weight = linear[-1].weight.detach().float()
    unit = F.normalize(weight - weight.mean(0), dim=1)
    return unit @ unit.T


def nearest_classes(similarity: Tensor, index: int, n: int = CLOSE) -> list[int]:
    """Return the n classes most similar to a class, the nearest first, without itself."""
    row = similarity[index].clone()
    row[index] = -math.inf
    return row.topk(n).indices.tolist()


# --- where a map lies


def contrast(heat: Tensor, mask: Tensor) -> float | None:
    """Return the mean of a heat-map (H, W) inside a mask (H, W) over its mean outside.

    None if the map is zero everywhere, or the mask is empty or full: there is nothing to compare. Infinite if only
    the outside is zero.

    Raises:
        ValueError: two shapes, or negative values.
    """
    heat, mask = torch.as_tensor(heat).float(), torch.as_tensor(mask).bool()
    if heat.ndim != 2 or heat.shape != mask.shape:
        raise ValueError(
            f"map and mask must have one shape (H, W), got {tuple(heat.shape)}, {tuple(mask.shape)}."
        )
    if not (heat >= 0).all():
        raise ValueError(
            f"a heat-map is not negative, this one goes down to {heat.min():.3g}: take its ReLU."
        )
    if heat.max() == 0 or mask.all() or not mask.any():
        return None
    outside = heat[~mask].mean()
    return float(heat[mask].mean() / outside) if outside > 0 else math.inf


def contrasts(raw: Tensor, case: Case) -> dict[str, float]:
    """Return the contrast of each part of a picture under a raw map (h, w); parts without one are left out."""
    size = case.masks["object"].shape
    heat = enlarged(raw.relu(), size)
    found = {part: contrast(heat, torch.from_numpy(mask.copy())) for part, mask in case.masks.items()}
    return {part: value for part, value in found.items() if value is not None}


def spread(raw: Tensor) -> float | None:
    """Return how evenly a raw map's positive part is spread: 1 if it is the same everywhere, 1 / n for one cell of n.

    S = (sum_ij H_ij)^2 / (n sum_ij H_ij^2),   H = relu(L)        (participation ratio); None for an empty map
    """
    heat = raw.relu().double()
    if heat.max() == 0:
        return None
    heat = heat / heat.max()
    return float(heat.sum() ** 2 / (heat.numel() * (heat**2).sum()))


def sort_mistake(contrasts: Mapping[str, float], neighbor: bool, least: float = LEAST) -> str:
    """Return the kind of a mistake, one of KINDS.

    Args:
        contrasts: of the parts that there are, under the map of the predicted class.
        neighbor: whether the predicted class is a neighbor of a right one.
        least: a part with less contrast is not looked at.
    """
    part = max(contrasts, key=contrasts.get, default=None)
    if part is None or contrasts[part] < least:
        return NOWHERE
    if part == "object":
        return NEIGHBOR if neighbor else STRANGER
    return OTHER if part == "other object" else CONTEXT


# --- mistakes


@dataclass(frozen=True, eq=False)
class Mistake:
    """A picture whose most probable class names nothing that it shows, with maps and interventions."""

    case: Case
    classes: tuple[int, ...]
    """The numbers of the classes of SHOWN."""
    names: tuple[str, ...]
    """Their names."""
    probabilities: tuple[float, ...]
    """Their probabilities."""
    maps: Tensor = field(repr=False)
    """(4, h, w), their raw maps, from one pass."""
    neighbor: bool
    """Whether the predicted class is among the nearest ten of one of the labels."""
    drops: dict[str, float]
    """How far the predicted class's logit falls without each part."""
    gone: dict[str, bool]
    """Whether another class is predicted without each part."""

    @cached_property
    def contrasts(self) -> dict[str, float]:
        """Contrast of each part under the map of the predicted class."""
        return contrasts(self.maps[0], self.case)

    @property
    def kind(self) -> str:
        """Where the map of the predicted class lies: one of KINDS."""
        return sort_mistake(self.contrasts, self.neighbor)

    @property
    def cause(self) -> str | None:
        """The part whose removal lowers the predicted class's logit most; None if none lowers it by LEAST_DROP."""
        part = max(self.drops, key=self.drops.get)
        return part if self.drops[part] >= LEAST_DROP else None


def right_labels(classifier: Classifier, cases: Sequence[Case]) -> list[list[int]]:
    """Return the numbers of each picture's right classes: of its object's labels first, then of what else it shows.

    A prediction is a mistake if it is none of them.
    """
    return [[classifier.class_index(name) for name in (*case.labels, *case.also)] for case in cases]


def explain_mistakes(
    classifier: Classifier, cases: Sequence[Case], logits: Tensor, seed: int = 0
) -> list[Mistake]:
    """Return the mistakes among some pictures, each with the maps of four classes and its interventions.

    The right class is that of the object's labels which has the highest logit. The plausible class is drawn from the
    20 most probable ones, the arbitrary one from all; neither is the predicted class or a name of what is shown.

    Args:
        classifier: the network.
        cases: the pictures.
        logits: (N, K), what the network says of them.
        seed: draws the classes.

    Raises:
        ValueError: logits of another number of pictures.
    """
    if len(logits) != len(cases):
        raise ValueError(f"there are {len(logits)} rows of logits for {len(cases)} pictures.")
    labels, similarity = right_labels(classifier, cases), class_similarity(classifier)
    wrong = [n for n in range(len(cases)) if int(logits[n].argmax()) not in labels[n]]
    draw = torch.Generator().manual_seed(seed)
    chosen = [_shown(logits[n], labels[n], len(cases[n].labels), draw) for n in wrong]
    chosen = torch.tensor(chosen).view(-1, len(SHOWN))
    made = []
    for first in range(0, len(wrong), BATCH):
        batch = wrong[first : first + BATCH]
        some = chosen[first : first + BATCH]
        maps = grad_cam(classifier, torch.cat([cases[n].tensor() for n in batch]), some).maps.cpu()
        for n, classes, raw in zip(batch, some.tolist(), maps, strict=True):
            parts = list(cases[n].twins)
            after = batched_logits(classifier, torch.cat([cases[n].tensor(part) for part in parts])).cpu()
            made.append(
                Mistake(
                    cases[n],
                    tuple(classes),
                    tuple(classifier.classes[c] for c in classes),
                    tuple(classifier.probabilities(logits[n])[classes].tolist()),
                    raw.detach(),
                    any(
                        classes[0] in nearest_classes(similarity, label)
                        for label in labels[n][: len(cases[n].labels)]
                    ),
                    dict(zip(parts, (logits[n, classes[0]] - after[:, classes[0]]).tolist(), strict=True)),
                    dict(zip(parts, (after.argmax(1) != classes[0]).tolist(), strict=True)),
                )
            )
    return made


def _shown(logits: Tensor, labels: list[int], of_object: int, draw: torch.Generator) -> list[int]:
    """Draw the four classes of SHOWN for one picture; the first ``of_object`` labels are its object's."""
    order = logits.argsort(descending=True).tolist()
    free = [c for c in order if c not in labels and c != order[0]]
    plausible = [c for c in order[:20] if c in free]
    drawn = [pool[int(torch.randint(len(pool), (1,), generator=draw))] for pool in (plausible, free)]
    return [order[0], max(labels[:of_object], key=lambda c: float(logits[c])), *drawn]


def agreement(
    sorter: Callable[[Mapping[str, float], bool], str], mistakes: Sequence[Mistake], shown: int = 0
) -> float:
    """Return the share of mistakes whose cause is the part that the sorter's kind names.

    Args:
        sorter: as :func:`sort_mistake`.
        mistakes: with their interventions.
        shown: which of the four maps the sorter is told the contrasts of; 0 is the predicted class's.

    Raises:
        ValueError: no mistakes, or a kind that there is not.
    """
    if not mistakes:
        raise ValueError("there are no mistakes to sort.")
    hits = 0
    for mistake in mistakes:
        kind = sorter(contrasts(mistake.maps[shown], mistake.case), mistake.neighbor)
        if kind not in KINDS:
            raise ValueError(f"the sorter returned {kind!r}; the kinds are {', '.join(map(repr, KINDS))}.")
        hits += PART_OF_KIND[kind] == mistake.cause
    return hits / len(mistakes)
