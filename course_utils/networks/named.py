"""What a command line names as MODULE:FUNCTION: somebody's own network, or another function of theirs."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import torch
from torch import nn

from .classifier import Classifier, load_classifier

__all__ = ["named_classifier", "named_function"]


def named_classifier(model: str, weights: str = "imagenet", device: str | None = None) -> Classifier:
    """Return the classifier that ``--model`` names, in evaluation mode; random weights are the same each time.

    Args:
        model: one of :func:`list_classifiers`, or MODULE:FUNCTION. The module is imported (by ``python -m`` from the
            current folder, too), and the function, which takes no argument, returns a Classifier; or is one.
        weights: "imagenet", or "none" for random ones; a function of one's own brings its weights along.
        device: by default a GPU where there is one.

    Raises:
        ValueError: there is no such network, module or function, or one of these fails.
        TypeError: what the function returned is no Classifier.
        course_utils.assets.AssetError: weights are missing, or damaged.
    """
    torch.manual_seed(0)
    if ":" not in model:
        return load_classifier(model, None if weights == "none" else weights, device)
    if weights == "none":
        raise ValueError(f"--weights none is for the course's networks; {model} brings its own weights.")
    function = named_function(model, "--model")
    try:
        made = function if isinstance(function, nn.Module) else function()
    except Exception as error:
        raise ValueError(f"--model {model}: the function failed ({_told(error)}).") from error
    if not isinstance(made, Classifier):
        raise TypeError(
            f"--model {model} must return a Classifier, not {type(made).__name__}. Wrap a network: "
            "`Classifier(net, classes, mean, std)`."
        )
    return made.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def named_function(text: str, option: str) -> Callable:
    """Return what an option names as MODULE:FUNCTION. The module is imported, the function is not called.

    Raises:
        ValueError: there is no such module or function, or its import fails; the sentence begins with the option.
    """
    name, _, attribute = text.rpartition(":")
    if name.endswith(".py") or "/" in name or "\\" in name:
        stem = PureWindowsPath(name).name.removesuffix(".py")  # its paths have both kinds of slash
        raise ValueError(
            f"{option} {text}: {name} is a file. Name the module as `import` would, without .py, from within its "
            f"folder: `{stem}:{attribute}`."
        )
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a module of somebody's own raises what it likes
        raise ValueError(f"{option} {text}: {name!r} cannot be imported ({_told(error)}).") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        found = f"but {function!r}" if hasattr(module, attribute) else f"in {name} there is no {attribute!r}"
        raise ValueError(f"{option} {text} names no function that could be called, {found}.")
    return function


def _told(error: Exception) -> str:
    """What went wrong, and where in whose file."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if last.filename.startswith("<") else f"; {Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__}: {error}{where}"
