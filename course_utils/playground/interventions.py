"""What an auditor does to a picture, to see whether the answer hangs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from course_utils.explain import batched_logits
from course_utils.networks import Classifier
from course_utils.pictures import Picture

__all__ = ["Change", "Intervention", "changed_images", "flips"]

Change = Callable[[Tensor], Tensor] | Sequence[Picture]
"""A function from an image (1, C, S, S), in [0, 1], as the network sees it, to the changed image; or the changed
pictures themselves, one for each picture of the audit and in their order."""
LEAST = 1 / 510  # half a step of 8 bits: a smaller difference is rounding


@dataclass(frozen=True)
class Intervention:
    """What an auditor fears that the answer hangs on, as a change that leaves the right answer what it was.

    >>> Intervention("upper corner black", lambda x: torch.where(corner, 0, x), lambda x: torch.where(lower, 0, x))

    Attributes:
        name: of the change, such as "text taken out".
        change: see :data:`Change`.
        control: a change of the same kind and size that is feared by nobody, such as as much ink that is no text.
            Without one, what the change does is not told apart from what any change would do.
    """

    name: str
    change: Change
    control: Change | None = None


def changed_images(
    change: Change, classifier: Classifier, pictures: Sequence[Picture], name: str = "the change"
) -> list[Tensor | None]:
    """Return what the network sees of each picture after a change, (1, C, S, S); None where no pixel changes.

    What changes no pixel cannot flip an answer: such a picture says nothing of the network.

    Raises:
        TypeError: neither a function nor pictures, or a function that returns no images.
        ValueError: another number of pictures, another size, values that are NaN or outside [0, 1], or a change that
            changes no pixel of any picture.
    """
    if not callable(change):
        if not isinstance(change, Sequence) or not all(isinstance(one, Picture) for one in change):
            raise TypeError(
                f"{name!r} must be a function from image to image, or the changed pictures as read_picture returns "
                f"them, got {type(change).__name__}."
            )
        if len(change) != len(pictures):
            raise ValueError(f"{name!r} has {len(change)} changed pictures for {len(pictures)} pictures.")
    found: list[Tensor | None] = []
    for number, picture in enumerate(pictures):
        image = classifier.preprocess(picture.image)
        if callable(change):
            after = _checked(change(image.clone()), image, f"{name!r}, on {picture.name}")
        else:
            after = classifier.preprocess(change[number].image)
        found.append(after if (after - image).abs().max() > LEAST else None)
    if all(after is None for after in found):
        raise ValueError(
            f"{name!r} changes no pixel of any of the {len(pictures)} pictures. What changes nothing cannot flip an "
            "answer, and no flips would speak for nothing."
        )
    return found


def _checked(after: object, image: Tensor, what: str) -> Tensor:
    if not isinstance(after, Tensor) or not after.is_floating_point():
        kind = after.dtype if isinstance(after, Tensor) else type(after).__name__
        raise TypeError(
            f"{what}: the function must return an image as it got one, a tensor of floats; got {kind}."
        )
    if after.shape != image.shape:
        raise ValueError(
            f"{what}: the image had the shape {tuple(image.shape)}, and has {tuple(after.shape)} now. A change must "
            "keep the size, or the network would see more or less of the picture."
        )
    after = after.detach().to(image)
    if not after.isfinite().all():
        raise ValueError(f"{what}: {int((~after.isfinite()).sum())} values are NaN or infinite now.")
    if after.min() < 0 or after.max() > 1:
        raise ValueError(
            f"{what}: the values lie between {after.min():.2f} and {after.max():.2f} now, not in [0, 1]. "
            "`.clamp(0, 1)` keeps them there."
        )
    return after


def flips(
    classifier: Classifier, pictures: Sequence[Picture], change: Change, name: str = "the change"
) -> tuple[float, ...]:
    """Return for each picture whether the first answer is another one after a change: 1 or 0; NaN where it is the same.

    No label takes part: whether the answer was right is another question.

    Args:
        classifier: the network.
        pictures: as they are.
        change: see :data:`Change`.
        name: for messages.

    Raises:
        TypeError, ValueError: as for :func:`changed_images`.
    """
    found = []
    for picture, after in zip(pictures, changed_images(change, classifier, pictures, name), strict=True):
        if after is None:
            found.append(float("nan"))
            continue
        pair = batched_logits(classifier, torch.cat([classifier.preprocess(picture.image), after]))
        found.append(float(any(a != b for a, b in pairwise(pair.argmax(1).tolist()))))
    return tuple(found)
