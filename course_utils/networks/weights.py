"""Files of weights: read without running code that they may carry, and the course's own, each with its SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.assets import DATA, AssetError, verify

__all__ = ["WEIGHTS", "load_into", "load_weights", "save_weights"]

WEIGHTS = DATA / "weights"
"""Folder of the networks that the course trained itself."""
SUMS = "SHA256SUMS"
"""File beside the weights with a line for each, as ``sha256sum`` writes and checks it."""


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file, without running any code that the file may carry.

    Raises:
        AssetError: the file cannot be read as one, or holds something else; the message says what.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen kinds for a damaged file
        raise AssetError(
            f"{path} cannot be read as weights ({type(error).__name__}). {_why(error)}"
        ) from error
    if not isinstance(state, dict):
        raise AssetError(
            f"{path} holds a {type(state).__name__}, not a dictionary of weights by their names."
        )
    others = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        inside = [key for key in others if _is_state(state[key])]
        remedy = ""
        if inside:
            remedy = (
                f" Its weights are the entry {inside[0]!r}: "
                f'`torch.load(path, map_location="cpu", weights_only=True)[{inside[0]!r}]`.'
            )
            first = {name.partition(".")[0] for name in state[inside[0]]}
            if len(first) == 1:  # as Lightning and DataParallel store them
                remedy += (
                    f" All their names begin with '{first.pop()}.': take that off where the network has none."
                )
        raise AssetError(
            f"{path} holds more than weights, such as a checkpoint of a training does: {others[0]!r} is of type "
            f"{type(state[others[0]]).__name__}, no tensor.{remedy}"
        )
    return state


def _is_state(value: object) -> bool:
    return (
        isinstance(value, dict) and bool(value) and all(isinstance(part, Tensor) for part in value.values())
    )


def _why(error: Exception) -> str:
    """Return a sentence on a file that torch.load refuses."""
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return "There is no such file." if isinstance(error, FileNotFoundError) else "It is a folder."
    if "safetensor" in type(error).__name__.lower():
        return (
            "It is a file of safetensors, or was one: `safetensors.torch.load_file(path)` reads whole ones."
        )
    if "Unsupported global" in str(error) or "Unsupported class" in str(error):
        return (
            "It holds Python objects beside tensors (a whole model, or a checkpoint of a training), which could run "
            "code and are not read. Where it comes from, store the weights alone: `torch.save(net.state_dict(), path)`."
        )
    if "TorchScript" in str(error):
        return "It is a TorchScript archive, a whole network: `torch.jit.load(path)` reads it."
    return "Either it is not complete, or it is no file that torch.save wrote."


def save_weights(net: nn.Module, path: Path) -> None:
    """Store a network's parameters as float16, half the bytes, and note the file's SHA-256 beside it.

    The notes are one file in the same folder, ``SHA256SUMS``. Rounding to float16 changes a weight by at most
    0.05%: judge the network by what :func:`load_into` brings back.

    Raises:
        ValueError: a value is not finite, or too large for float16 (more than 65504).
    """
    state = {
        key: value.detach().cpu().contiguous().half() if value.is_floating_point() else value.detach().cpu()
        for key, value in net.state_dict().items()
    }
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(
                f"{key} holds values that are not finite as float16, so {path.name} was not written. The training "
                "has probably diverged: lower the learning rate."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    # torch.save writes a file's name into it; through a buffer, the same weights are the same bytes.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    # Complete or not at all: an interruption must not leave half a file under the final name.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(buffer.getvalue())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sums = _sums(path.parent) | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    lines = [f"{digits}  {name}\n" for name, digits in sorted(sums.items())]
    (path.parent / SUMS).write_text("".join(lines), encoding="utf-8")


def load_into(net: nn.Module, path: Path) -> None:
    """Put stored parameters into a network; the file must be the one whose SHA-256 was noted.

    Raises:
        AssetError: the file is missing, not noted, not the one that was noted, or holds the weights of
            another network.
    """
    if not path.is_file():
        raise AssetError(
            f"the weights {path.name} are missing at {path}. Fetch the course again, or train the network anew: "
            "`retrain=True`."
        )
    known = _sums(path.parent)
    if path.name not in known:
        raise AssetError(
            f"{path.name} is not listed in {path.parent / SUMS}, so it cannot be told whether it is complete. Fetch "
            "the course again, or write the file with `save_weights`."
        )
    verify(
        path, known[path.name], remedy="Fetch the course again, or train the network anew: `retrain=True`."
    )
    state = load_weights(path)
    expected = net.state_dict()
    shapes, own = ({key: tuple(value.shape) for key, value in each.items()} for each in (state, expected))
    if shapes != own:
        differing = sorted(key for key in shapes.keys() | own.keys() if shapes.get(key) != own.get(key))
        raise AssetError(
            f"the weights in {path} belong to another network: {len(differing)} of their tensors are missing, new "
            f"or of another shape, among them {differing[0]!r}."
        )
    net.load_state_dict(state)  # copies into the network's own float32 tensors


def _sums(folder: Path) -> dict[str, str]:
    """Return the noted SHA-256 by file name; none if there is no such file."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name.strip().lstrip("*"): digits for digits, name in pairs}
