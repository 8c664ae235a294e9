"""Forward and backward hooks as context managers, autograd graphs that start at one layer, intercepted functions.

A hook is a function that PyTorch calls when a module has run (forward hook) or when backpropagation has passed through
it (full backward hook). Both kinds stay registered until their handle's ``remove()`` is called, so whatever registers
one here is used in a ``with`` statement, which removes it whatever happens.

Several threads may explain one model at a time (Voila serves people so). A module's hooks and its mode belong to all
threads, so a forward hook of this room answers the thread that registered it alone, and :func:`evaluation_mode` holds
until the last thread has left it. Nothing waits for anything.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = [
    "BackwardHook", "ForwardHook", "Intercepted", "LayerError", "evaluation_mode", "graph_from", "hooked",
]  # fmt: skip


Result = TypeVar("Result")

# Held while the tables of modules are written, never while a model runs: PyTorch's handles are numbered by a counter
# that two threads can read at once, and a module's mode is read and written in two steps.
_WRITING = threading.RLock()


class LayerError(ValueError):
    """The layer cannot be explained with; the message says why."""


class OwnThread:
    """A hook that answers the thread that made it, and is deaf to other threads' passes through the same module."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.thread = threading.get_ident()

    def __call__(self, *arguments: object) -> object:
        """Hand the arguments on, if this is the thread."""
        return self.function(*arguments) if threading.get_ident() == self.thread else None


def hooks_of_others(model: nn.Module) -> bool:
    """Whether a model carries hooks that this room did not put there: its owner's, for a Grad-CAM made by hand, say."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    tables = (getattr(part, kind) for part in model.modules() for kind in kinds)
    return any(not isinstance(hook, OwnThread) for table in tables for hook in list(table.values()))


def spared_graph(function: Callable[..., Result], *inputs: Tensor) -> Result:
    """Call a function in the grad mode that is set; where that is off, and something asks for a graph, with one.

    A hook that the model's owner left may call ``output.register_hook`` or ``output.retain_grad``. PyTorch refuses both
    outside a graph, although nobody would run backward through it. The graph begins at the inputs, since all
    parameters may be frozen.
    """
    try:
        return function(*inputs)
    except RuntimeError as error:
        if torch.is_grad_enabled() or not re.search(r"requires?[ _]grad", str(error)):
            raise
    with torch.enable_grad():
        return function(*(value.detach().requires_grad_().clone() for value in inputs))


class _Hooks:
    """Common part of the two hooks: several modules, what was stored for each, removal."""

    def __init__(self, *modules: nn.Module) -> None:
        if len(modules) == 1 and isinstance(modules[0], Sequence) and not isinstance(modules[0], nn.Module):
            modules = tuple(modules[0])
        for module in modules:
            if not isinstance(module, nn.Module):
                raise TypeError(f"a hook needs modules (torch.nn.Module), got {type(module).__name__}")
        if not modules:
            raise ValueError("a hook needs at least one module to listen to, got none")
        self.modules: tuple[nn.Module, ...] = modules
        self._stored: list[Tensor | None] = [None] * len(modules)
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    @property
    def stored(self) -> Tensor | None:
        """What the last pass left at the (first) module; None before any pass."""
        return self._stored[0]

    @property
    def all_stored(self) -> list[Tensor | None]:
        """What the last pass left at each module, in the order in which they were given."""
        return list(self._stored)

    def __getitem__(self, module: nn.Module | int) -> Tensor | None:
        """Return what was stored for one of the modules, named by itself or by its position."""
        if isinstance(module, int):
            return self._stored[module]
        for position, candidate in enumerate(self.modules):
            if candidate is module:
                return self._stored[position]
        raise KeyError(f"this hook does not listen to that {type(module).__name__}")

    def remove(self) -> None:
        """Take the hooks off their modules. Safe to call twice."""
        while self._handles:
            self._handles.pop().remove()

    def __enter__(self) -> _Hooks:
        """Register the hooks; they are removed again if a later registration fails."""
        if self._handles:
            raise RuntimeError("these hooks are registered already: use each object in one `with` at a time")
        try:
            with _WRITING:
                for position, module in enumerate(self.modules):
                    self._handles.append(self._register(module, position))
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the hooks, with or without an exception on its way."""
        self.remove()

    def _register(self, module: nn.Module, position: int) -> torch.utils.hooks.RemovableHandle:
        raise NotImplementedError


class ForwardHook(_Hooks):
    """Store the outputs of one or several modules while a ``with`` block runs.

    >>> with ForwardHook(model.conv) as hook:
    ...     model(images)
    >>> hook.stored            # the activations A, a copy outside the graph

    ``detach()`` cuts the copy off autograd's graph, so that keeping it does not keep the graph; ``clone()`` gives it
    memory of its own, so that an in-place ReLU later in the network cannot change it. A module that runs several times
    leaves the output of its last run.

    Args:
        modules: the modules to listen to.
        detach: False stores the output itself, still part of the graph and of the model's memory.
    """

    def __init__(self, *modules: nn.Module, detach: bool = True) -> None:
        super().__init__(*modules)
        self.detach = detach

    def _register(self, module: nn.Module, position: int) -> torch.utils.hooks.RemovableHandle:
        def store(module: nn.Module, inputs: tuple, output: object) -> None:
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"the {type(module).__name__} returns {type(output).__name__}, not one tensor: "
                    "put the hook on a module inside it"
                )
            self._stored[position] = output.detach().clone() if self.detach else output

        return module.register_forward_hook(OwnThread(store))


class BackwardHook(_Hooks):
    """Store the gradient with respect to the outputs of one or several modules.

    >>> with BackwardHook(model.conv) as hook:
    ...     model(images)[0, 281].backward()
    >>> hook.stored            # dy/dA, the same shape as the module's output A

    It is a full backward hook (``register_full_backward_hook``): what it receives is the gradient of the whole module,
    however many operations the module's forward consists of. The older ``register_backward_hook`` saw the last
    operation alone. PyTorch may call it from a thread of its own, so that it hears every thread's backward pass.

    The forward pass must run inside the ``with`` block, too: that is when PyTorch prepares the graph for these hooks.
    An operation that changes the module's output in place (an in-place ReLU behind it) is refused by PyTorch;
    :func:`graph_from` has no such limit.
    """

    def _register(self, module: nn.Module, position: int) -> torch.utils.hooks.RemovableHandle:
        def store(module: nn.Module, grad_inputs: tuple, grad_outputs: tuple) -> None:
            if len(grad_outputs) != 1:
                raise TypeError(
                    f"the {type(module).__name__} returns {len(grad_outputs)} tensors, not one: put the hook "
                    "on a module inside it"
                )
            self._stored[position] = grad_outputs[0].detach().clone()

        return module.register_full_backward_hook(store)


@contextmanager
def hooked(
    modules: Iterable[nn.Module], function: Callable, before: Callable | None = None
) -> Iterator[None]:
    """Call one forward-hook function for several modules while the block runs; ``before`` as a forward pre-hook.

    Passes of other threads through these modules are not heard.
    """
    handles = []
    try:
        with _WRITING:
            for module in modules:
                handles.append(module.register_forward_hook(OwnThread(function)))
                if before is not None:
                    handles.append(module.register_forward_pre_hook(OwnThread(before)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def nodes_between(scores: Tensor, leaf: Tensor) -> list[torch.autograd.graph.Node]:
    """Return the nodes of autograd's graph that a gradient passes on its way from ``scores`` back to ``leaf``."""
    above: dict[torch.autograd.graph.Node, list] = {scores.grad_fn: []}
    todo = [scores.grad_fn]
    while todo:
        node = todo.pop()
        for below, _ in node.next_functions:
            if below is not None:
                if below not in above:
                    above[below] = []
                    todo.append(below)
                above[below].append(node)
    found, todo = set(), [node for node in above if getattr(node, "variable", None) is leaf]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += above[node]
    return list(found)


def check_derivatives(nodes: Iterable[torch.autograd.graph.Node]) -> None:
    """Refuse a way back on which an operation has no derivative: autograd would only warn, and hand back zeros."""
    if any("NotImplemented" in node.name() for node in nodes):
        raise ValueError(
            "an operation on the way to the scores has no derivative (quantized layers have none): the gradient would "
            "come out as zero. Hand over the network in floating point."
        )


class Graph:
    """What :func:`graph_from` found: ``activations``, the leaf (N, C, h, w) at which the graph starts."""

    def __init__(self) -> None:
        self.activations: Tensor | None = None
        self.runs = 0


@contextmanager
def graph_from(layer: nn.Module) -> Iterator[Graph]:
    """Run a model inside this block with an autograd graph that starts at the output of ``layer``.

    Everything before the layer runs without a graph. A hook detaches the layer's output, makes it a leaf and turns
    gradients on, so that only what lies behind the layer is recorded: that is all that ``dy/dA`` needs, and it costs
    hardly more than a plain forward pass. The leaf is a copy, and the model goes on with a copy of the leaf: whatever
    an in-place operation does to the layer's output, before or after, the stored activations stay what they were.

    It works whatever the caller's grad mode is (``no_grad`` and ``inference_mode`` included) and restores that mode at
    the end. Frozen parameters do not matter, since none of them is a leaf here.

    Raises:
        LayerError: the layer ran more than once, so that there is no single map A; or its output is not one
            floating-point tensor.
    """
    graph = Graph()

    def start_here(module: nn.Module, inputs: tuple, output: object) -> Tensor:
        graph.runs += 1
        if graph.runs > 1:
            raise LayerError(
                f"the layer ({type(module).__name__}) is used more than once in one forward pass, so "
                "there is no single map A to explain with. Take a layer that runs once."
            )
        if not isinstance(output, Tensor) or not output.is_floating_point():
            kind = output.dtype if isinstance(output, Tensor) else type(output).__name__
            raise LayerError(
                f"the layer ({type(module).__name__}) returns {kind}, not one floating-point tensor. Take another."
            )
        # A copy also where the output is an inference tensor, which can never require gradients.
        graph.activations = output.detach().clone().requires_grad_()
        torch.set_grad_enabled(True)
        return graph.activations.clone()

    with torch.inference_mode(False), torch.no_grad(), hooked([layer], start_here):
        yield graph


class Intercepted(TorchFunctionMode):
    """Let ``answer`` stand in for every PyTorch function that is called while a ``with`` block runs.

    Functions are intercepted while they are called, not modules: a network may use nn.ReLU, F.relu, ``x.relu_()`` or
    ``x.clamp(min=0)``, and none of its modules is touched. What ``answer`` itself calls is not intercepted.

    Args:
        answer: (function, its name, positional arguments, keyword arguments) -> what the caller gets. The name is as
            written: "relu_" works in place.
    """

    def __init__(self, answer: Callable[[Callable, str, tuple, dict], object]) -> None:
        super().__init__()
        self.answer = answer

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        return self.answer(func, getattr(func, "__name__", ""), args, kwargs or {})


def on_the_way(value: object) -> bool:
    """Whether a gradient will flow back through this value: labels, and what runs before a graph begins, need none."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.requires_grad
        and torch.is_grad_enabled()
    )


# The modes that each evaluation_mode in force has found, of all threads, the oldest first.
_FOUND: list[dict[nn.Module, bool]] = []


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules in evaluation mode, and every submodule back as it was afterwards.

    In training mode, batch normalization would mix the images of a batch and update its running averages, and dropout
    would draw a new network for every call: no explanation could be repeated.

    Only the flags are set. A network's own ``eval()`` may do more (merge its weights, say) that could not be undone.
    Where several threads, or several models, share a module, it goes back when the last of them has finished.
    """
    found: dict[nn.Module, bool] = {}
    try:
        with _WRITING:
            _FOUND.append(found)
            for part in (part for module in modules for part in module.modules()):
                found.setdefault(part, part.training)
                _set_training(part, False)
        yield
    finally:
        with _WRITING:
            position = next(i for i, other in enumerate(_FOUND) if other is found)
            later = _FOUND[position + 1 :]
            del _FOUND[position]
            for part, training in found.items():
                heir = next((other for other in later if part in other), None)
                if heir is None:
                    _set_training(part, training)
                else:  # it needs the evaluation mode still, and hands back what was found here
                    heir[part] = training


def _set_training(part: nn.Module, training: bool) -> None:
    # Reading a module's attribute costs far less than writing it, and most networks come in evaluation mode.
    if part.training != training:
        part.training = training
