"""What a model returns, read as scores: its logits, whether they exclude each other, and their probabilities.

A model may return anything that holds its logits: ``output``, an argument of every method, is then a function from what
the model returns to logits (N, classes), such as ``output=lambda out: out["logits"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor, nn

from .inputs import run

__all__ = ["SCORES", "Output", "check_logits", "logits_of", "probabilities", "row_sums_to_one", "score_kind"]

Output = Callable[[object], Tensor] | None


def logits_of(model: nn.Module, images: Tensor, output: Output = None) -> Tensor:
    """Run the model once and return its logits (N, classes).

    Args:
        model, images: as :func:`prepare` returns them.
        output: a function from what the model returns to the logits; None: the model returns these.

    Raises:
        TypeError: ``output`` is no function.
        ValueError: no tensor (N, classes), or probabilities where the score before the softmax or sigmoid is needed.
    """
    if output is not None and not callable(output):
        raise TypeError(
            f"output must be a function from what the model returns to logits (N, classes), got {output!r}; such as "
            '`output=lambda out: out["logits"]`.'
        )
    returned = run(model, images)
    logits = check_logits(returned if output is None else output(returned), len(images))
    last = "" if states_kind(model) else _squashed_by(logits)
    if last:
        logs = "logarithms of " if last == "log_softmax" else ""
        raise ValueError(
            f"the model returns {logs}probabilities, its last step being a {last}. What is asked for here is the score "
            "before it. Hand over the model without that step, or inside a `Classifier`, which computes logits from "
            "probabilities."
        )
    return logits


def check_logits(logits: object, n_images: int) -> Tensor:
    """Return the logits if they are a tensor (N, n_classes), else raise an error that says what to do."""
    if isinstance(logits, Tensor) and not logits.is_floating_point():
        raise ValueError(
            f"the model must return logits (N, classes), got numbers of {logits.dtype} in shape {tuple(logits.shape)}, "
            "as an argmax leaves them: no gradient goes through that. Hand over the network without its last step."
        )
    if isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == n_images and logits.shape[1]:
        return logits
    found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    held = [] if isinstance(logits, Tensor) else list(_tables(logits, n_images))
    if held:
        several = " and ".join(f"{place} {shape}" for place, shape in held[:4])
        first = next((place for place, _ in held if "logits" in place), held[0][0])
        remedy = f"It holds {several}: say where the logits are, such as `output=lambda out: {first}`."
    elif isinstance(logits, Tensor) and logits.ndim == 1 and len(logits) == n_images:
        remedy = "For one number an image, use `output=lambda out: out[:, None]`."
    elif isinstance(logits, Tensor) and n_images == 1 == 2 - logits.ndim and len(logits):
        remedy = "If these are one image's, use `output=lambda out: out[None]`."
    elif isinstance(logits, Tensor) and logits.ndim == 4 and logits.shape[2:].numel() == 1:
        remedy = "Use `output=lambda out: out.flatten(1)`."
    else:
        remedy = "Make logits of it with `output=`, a function from what the model returns to a tensor (N, classes)."
    raise ValueError(
        f"the model must return logits (N, classes) for {n_images} image(s), got {found}. {remedy}"
    )


def _tables(value: object, n_images: int, place: str = "out") -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield where in a model's output tensors (N, K) lie, as Python writes it, and their shapes."""
    if isinstance(value, Tensor):
        if value.ndim == 2 and len(value) == n_images:
            yield place, tuple(value.shape)
        return
    if isinstance(value, Mapping):
        parts = [(f"{place}[{key!r}]", part) for key, part in value.items()]
    elif is_dataclass(value):
        parts = [(f"{place}.{each.name}", getattr(value, each.name)) for each in fields(value)]
    elif hasattr(value, "_fields"):  # a named tuple
        parts = [(f"{place}.{name}", getattr(value, name)) for name in value._fields]
    elif isinstance(value, list | tuple):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    else:
        parts = [(f"{place}.{name}", part) for name, part in getattr(value, "__dict__", {}).items()]
    for where, part in parts:
        yield from _tables(part, n_images, where)


SCORES = ("exclusive", "independent", "one logit")
"""What the numbers in a row of logits are: of classes of which one is right, of classes of which any may be, or one
number, yes or no."""


def states_kind(model: nn.Module) -> bool:
    """Whether a model says which of ``SCORES`` its logits are, as a ``Classifier`` does: then logits they are."""
    return getattr(model, "scores", None) in SCORES


def score_kind(model: nn.Module, logits: Tensor) -> str:
    """Return which of ``SCORES`` logits (..., classes) are: what a ``Classifier`` says, else exclusive, or one."""
    if states_kind(model):
        return model.scores
    return "one logit" if logits.shape[-1] == 1 else "exclusive"


def probabilities(model: nn.Module, logits: Tensor) -> Tensor:
    """Return the probabilities (..., classes) that a model's logits stand for: a softmax of exclusive classes, else a
    sigmoid of each."""
    return logits.softmax(-1) if score_kind(model, logits) == "exclusive" else logits.sigmoid()


def row_sums_to_one(values: Tensor) -> bool:
    """Whether each row (N, K > 1) lies in [0, 1] and sums to 1, as after a softmax, up to the rounding of its type."""
    tolerance = max(1e-5, 8 * torch.finfo(values.dtype).eps)
    v = values.detach().double()
    return v.shape[1] > 1 and bool((v >= 0).all() and ((v.sum(1) - 1).abs() < tolerance).all())


def _squashed_by(logits: Tensor) -> str:
    """Return which of softmax, log_softmax, sigmoid was the last step, as far as graph and numbers tell; else ""."""
    steps = _made_by(logits.grad_fn)
    for node, last in (("Softmax", "softmax"), ("LogSoftmax", "log_softmax"), ("Sigmoid", "sigmoid")):
        if steps and all(name.startswith(node) for name in steps):
            return last  # a softmax also where it runs over another dimension than the classes
    if any(name.startswith(("Addmm", "Mm")) for name in steps):
        return ""  # linear, whatever its numbers sum to
    if row_sums_to_one(logits):
        return "softmax"
    return "log_softmax" if bool((logits <= 0).all()) and row_sums_to_one(logits.detach().exp()) else ""


_RESHAPING = re.compile(
    "(View|UnsafeView|Reshape|Squeeze|Unsqueeze|Expand|Permute|Transpose|T|ToCopy|Clone|Cat|Stack|Slice|Select|Split|"
    "Unbind|Index|IndexSelect|Gather)Backward"
)


def _made_by(node: object) -> list[str]:
    """Return the names of the operations in a graph whose numbers were then only picked, joined or reshaped."""
    if node is not None and _RESHAPING.match(node.name()):
        return [name for before, _ in node.next_functions for name in _made_by(before)]
    return [] if node is None else [node.name()]
