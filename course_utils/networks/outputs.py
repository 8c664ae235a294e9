"""What a network puts out: logits, or probabilities that its last step made of logits, and those logits again.

A classifier is explained and attacked through its logits y. Many networks end in a softmax, a log-softmax or a sigmoid
instead, whose gradient vanishes where the network is sure. Each can be undone:

    p = softmax(y)    log p_c - mean_k log p_k  =  y_c - mean_k y_k      all that a softmax keeps of its logits
    p = sigmoid(y)    log p - log(1 - p)        =  y
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from numbers import Integral

import torch
from torch import Tensor

from course_utils.explain import Intercepted, row_sums_to_one

__all__ = ["as_names", "last_step", "squashed_numbers", "undo"]

_SQUASHING = {"softmax": "softmax", "sigmoid": "sigmoid", "expit": "sigmoid", "special_expit": "sigmoid"}


@contextmanager
def squashed_numbers() -> Iterator[dict[str, list[Tensor]]]:
    """Collect what softmax and sigmoid return while the block runs; "last" holds the last function that ran.

    Functions are intercepted, not modules, so that any spelling is seen. Attention, whose softmax returns (N, heads,
    T, T), is no candidate for a network's last step and is passed over.
    """
    found: dict[str, list] = {"softmax": [], "sigmoid": [], "last": []}

    def note(func: Callable, name: str, args: tuple, kwargs: dict) -> object:
        result = func(*args, **kwargs)
        name = name.partition(".")[0].strip("_")  # "sigmoid.default" in exported code, "sigmoid_" in place
        found["last"] = [name, result]
        kind = _SQUASHING.get(name)
        if kind and isinstance(result, Tensor) and result.shape[2:].numel() == 1:
            found[kind].append(result.detach())
        return result

    with Intercepted(note):
        yield found


def last_step(values: Tensor, found: Mapping[str, list], unseen: bool = False) -> str:
    """Return which step made a network's output (N, K): "softmax", "log_softmax", "sigmoid", or "" for none of these.

    A step made the output if the very numbers are its own, whatever was then picked, joined or reshaped. A softmax, or
    an average of several, is also known by its rows: they lie in [0, 1] and sum to 1.

    Args:
        values: the output.
        found: from :func:`squashed_numbers`, of the run that made it.
        unseen: whether a step may have been hidden in scripted code.

    Raises:
        ValueError: a softmax over another dimension than the classes, or over a single number; or numbers of unseen
            origin that may be probabilities.
    """
    for kind in ("softmax", "sigmoid"):
        made = torch.cat(
            [values.new_empty(0), *(numbers.flatten().to(values.dtype) for numbers in found[kind])]
        )
        if not torch.isin(values.detach(), made).all():
            continue
        if kind == "softmax" and (values.sum(1).amax() > 1.01 or (made == 1).all()):
            raise ValueError(
                "the network's last softmax does not run over its classes: each image's numbers should sum to 1, and "
                f"here they sum to up to {values.sum(1).amax():.2f}; of one number alone, a softmax is always 1. Give "
                "it dim=1, or a sigmoid in its place."
            )
        return kind
    name, result = found["last"] or ("", None)
    if result is values and name == "linear":
        return ""  # whatever its numbers happen to sum to
    if row_sums_to_one(values):
        return "softmax"
    if unseen and ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            "the network is scripted, which hides its last step, and all that it puts out here lies in [0, 1], as "
            'probabilities of a sigmoid would. Say what it is: `Classifier(..., scores="exclusive")` or '
            '`"independent"` for logits; for probabilities add `output=torch.logit`.'
        )
    return "log_softmax" if bool((values <= 0).all()) and row_sums_to_one(values.exp()) else ""


def undo(values: Tensor, step: str) -> Tensor:
    """Return the logits (N, K) that the last step, as :func:`last_step` names it, made these values of.

    Of a softmax over K > 1 classes they are less their mean over the classes whose p is not 0. Where p was rounded to
    0, or a sigmoid's to 1, the logit is infinite: of that score nothing is left.

    Raises:
        ValueError: gradients are asked for, and of a row of logits nothing is left at all: one p is 1, the others 0.
    """
    if not step:
        return values
    if step == "sigmoid" or values.shape[1] == 1:
        return torch.logit(values.exp() if step == "log_softmax" else values)
    known = values > (0 if step == "softmax" else -torch.inf)
    alone = (known.sum(1) == 1).nonzero().flatten().tolist()
    if alone and torch.is_grad_enabled() and values.requires_grad:
        raise ValueError(
            f"the network is so sure of image(s) {', '.join(map(str, alone))} that its softmax was rounded to 1 and 0, "
            "which leaves nothing to explain or to attack. Hand over the network without its softmax."
        )
    logs = values.where(known, torch.ones_like(values))  # in place of 0, whose logarithm has no gradient
    logs = logs.log() if step == "softmax" else logs
    mean = (logs * known).sum(1, keepdim=True) / known.sum(1, keepdim=True)
    return torch.where(known, logs - mean, -torch.inf)


def as_names(classes: Sequence[object] | Mapping[object, object]) -> list[str]:
    """Return class names in the order of the outputs.

    Args:
        classes: names in order (strings, whole numbers, members of an Enum), or a dictionary from number to name such
            as ``id2label``, whose numbers may be written as strings.

    Raises:
        TypeError: one string, a set, or names of another kind.
        ValueError: a dictionary whose keys are not 0, 1, ..., each once.
    """
    if isinstance(classes, Mapping):
        keys = {int(key) if str(key).isdecimal() else key: key for key in classes}
        if sorted(keys, key=str) != sorted(range(len(classes)), key=str):
            some = ", ".join(map(repr, list(classes)[:3]))
            turned = sorted(classes.values(), key=str) == sorted(range(len(classes)), key=str)
            raise ValueError(
                f"a dictionary of classes leads from the numbers 0 to {len(classes) - 1} to names (id2label); the keys "
                f"of this one are {some}{', ...' if len(classes) > 3 else ''}."
                f"{' Turn it around: `{number: name for name, number in classes.items()}`.' if turned else ''}"
            )
        classes = [classes[keys[number]] for number in range(len(classes))]
    if isinstance(classes, str | bytes | set | frozenset) or not hasattr(classes, "__iter__"):
        raise TypeError(
            f"classes must be a list of names in the order of the outputs, or a dictionary from number to name, got "
            f"{type(classes).__name__}."
        )
    return [_as_name(name) for name in classes]


def _as_name(name: object) -> str:
    if isinstance(name, str):
        return str.__str__(name)  # of an Enum of texts its text
    if isinstance(name, Enum):
        return name.name
    if isinstance(name, Integral) and not isinstance(name, bool):
        return str(name)
    raise TypeError(f"a class name is a string or a whole number, got {name!r} ({type(name).__name__}).")
