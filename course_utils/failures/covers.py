"""Does a mistake rest on what a map marks? The highest cells are covered, and the lead over the right name followed.

Equal covers: each map loses a fifth of its cells. What speaks for the predicted class p rather than for the right one
r is the difference of their maps (notebook 03), L^p - L^r; the lead is y^p - y^r.
"""

from __future__ import annotations

import torch

from course_utils.evidence import centre_blob
from course_utils.explain import batched_logits, cover, grad_cam, top_share_mask
from course_utils.networks import Classifier

from .kinds import Mistake, right_labels

__all__ = ["COVERED", "cover_mistake"]

SHARE = 0.2
"""Of the cells: 10 of 7 x 7, 13 of 8 x 8, 16 of 9 x 9."""
DRAWS = 3
COVERED = (
    "predicted - right",
    "predicted",
    "right",
    "plausible",
    "class-free sum",
    "centre blob",
    "random cells",
)
"""What :func:`cover_mistake` ranks cells by; the last four know nothing of the two classes."""


def cover_mistake(classifier: Classifier, mistake: Mistake, seed: int = 0) -> dict[str, tuple[float, bool]]:
    """Return by each of COVERED how far the lead y^p - y^r falls, and whether no mistake is left.

    Args:
        classifier: the network that made the mistake.
        mistake: with its maps.
        seed: draws the random cells, three times; the fall is their mean, and two of three decide.
    """
    image, case = mistake.case.tensor(), mistake.case
    predicted, right, plausible = mistake.maps[:3]
    activations = grad_cam(classifier, image, [mistake.classes[0]]).activations[0]
    draw = torch.Generator().manual_seed(seed)
    maps = [
        predicted - right,
        predicted,
        right,
        plausible,
        activations.sum(0),
        centre_blob(*predicted.shape),
        *torch.rand(DRAWS, *predicted.shape, generator=draw),
    ]
    covered = cover(image, torch.stack([top_share_mask(one.cpu(), SHARE) for one in maps]))
    before, after = (batched_logits(classifier, images).cpu() for images in (image, covered))
    p, r = mistake.classes[:2]
    falls = (before[:, p] - before[:, r]) - (after[:, p] - after[:, r])
    gone = torch.isin(after.argmax(1), torch.tensor(right_labels(classifier, [case])[0]))
    last = len(COVERED) - 1
    falls = torch.cat([falls[:last], falls[last:].mean()[None]]).tolist()
    names_right = [*gone[:last].tolist(), bool(gone[last:].sum() * 2 > DRAWS)]
    return dict(zip(COVERED, zip(falls, names_right, strict=True), strict=True))
