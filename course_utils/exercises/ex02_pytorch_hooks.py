"""Exercises of notebook 02: hooks that store, listen, silence, and clean up after themselves."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial

import torch

from . import hook_trials as trials
from .engine import exercise
from .progress import progress as progress

__all__ = ["gradient_at", "silence", "store_output", "stored_outputs"]


# ---------------------------------------------------------------- Exercise 1
@exercise(
    "Write a forward hook that keeps the module's output in module.seen: values that nothing changes later, and no "
    "graph. It returns nothing.",
    inputs=trials.store_cases,
    reference=trials.store_reference,
    run=trials.try_store,
    hints="""
        Two things can go wrong with a stored output: it keeps the graph alive, and it shares its memory. Each has its
            own remedy.
        The graph is left behind by detach(), the shared memory by clone(). You need both.
        module.seen = output.detach() and then one more call on that.
    """,
    mistakes="""
        setattr(module, "seen", output)
            You kept the output itself: the in-place ReLU that runs next has overwritten it, and it holds on to the
            whole graph.
        setattr(module, "seen", output.detach())
            detach() leaves the graph but shares the memory: the in-place ReLU that runs next has set your negative
            values to zero.
        setattr(module, "seen", output.clone())
            clone() has its own memory, so the values are right; but a clone is still part of the graph and keeps all of
            it alive.
        setattr(module, "seen", inputs[0].detach().clone())
            That is what went into the module: inputs is a tuple of its arguments. The third argument, output, is what
            came out.
        setattr(module, "seen", output.detach().clone()) or module.seen
            You stored a copy and then returned it: what a hook returns takes the output's place, so the in-place ReLU
            wrote over your copy after all, and the gradient stops here. Return nothing.
        setattr(module, "seen", output.detach().clone()) or output
            The stored values are right, but the hook returns the output: what a hook returns takes the output's place.
            A hook that only looks returns nothing.
    """,
)
def store_output(module, inputs, output):
    module.seen = output.detach().clone()


# ---------------------------------------------------------------- Exercise 2
def _gradient_not_retained(trunk, head, image, c):
    activations = trunk(image)
    head(activations)[0, c].backward()
    return activations.grad


def _gradient_of_image(trunk, head, image, c):
    image = image.clone().requires_grad_()
    return torch.autograd.grad(head(trunk(image))[0, c], image)[0]


def _gradient_of(score, trunk, head, image):
    activations = trunk(image)
    return torch.autograd.grad(score(head(activations)), activations)[0]


def _gradient_without_backward(trunk, head, image, c):
    activations, found = trunk(image), {}
    activations.register_hook(lambda gradient: found.update(g=gradient))
    head(activations)
    return found["g"]


@exercise(
    "Return the gradient of the logit of class c of the first image with respect to A = trunk(image).",
    inputs=trials.gradient_cases,
    reference=trials.gradient_reference,
    run=trials.try_gradient,
    hints="""
        Run the two halves one after the other, so that you hold A in your hand before the head runs.
        A.register_hook(f) calls f with the gradient during backward. f can put it into a list.
        found = []; A.register_hook(found.append); then head(A)[0, c].backward().
    """,
    mistakes="""
        _gradient_not_retained(trunk, head, image, c)
            A lies in the middle of the graph, and backward fills .grad only at its ends (parameters, images): in the
            middle .grad stays None. Have the gradient handed to you by A.register_hook.
        _gradient_of_image(trunk, head, image, c)
            That is the gradient with respect to the image. Wanted is the one with respect to A = trunk(image).
        _gradient_of(lambda logits: logits[0].sum(), trunk, head, image)
            That is the gradient of the sum of all logits. Pick the logit of class c, [0, c], before backward.
        _gradient_of(lambda logits: logits.softmax(1)[0, c], trunk, head, image)
            That is the gradient of a probability: the softmax mixes in all other classes. Start from the logit.
        _gradient_of(lambda logits: logits[:, c].sum(), trunk, head, image)
            You summed the logit over all images of the batch, so A of the second image gets a gradient, too. Wanted is
            the first image's logit, [0, c].
        _gradient_without_backward(trunk, head, image, c)
            The hook never ran: registering only asks for the gradient. A backward pass from the logit of class c calls
            it.
    """,
)
def gradient_at(trunk, head, image, c):
    activations = trunk(image)
    found = []
    activations.register_hook(found.append)  # append returns None, so the gradient passes unchanged
    head(activations)[0, c].backward()
    return found[0]


# ---------------------------------------------------------------- Exercise 3
@exercise(
    "silence(k) returns a forward hook that sets channel k of the module's output to zero for what follows.",
    inputs=trials.silence_cases,
    reference=trials.silence_reference,
    run=trials.try_silence,
    hints="""
        silence(k) makes a function and returns it; the inner function has the three arguments of a forward hook.
        Work on a copy of the output, shape (N, C, h, w): channel k of every image is [:, k].
        The inner function ends in `return silenced`, the outer one in `return hook`.
    """,
    mistakes="""
        lambda module, inputs, output: None
            The network did not notice: a hook changes the output only by returning the new one. Without return it
            returns None, which means: leave it.
        lambda module, inputs, output: output.index_fill_(1, torch.tensor(k), 0)
            What follows is right, but you wrote into the module's own output: another hook that holds it sees zeros,
            too. Write into a clone and return that.
        lambda module, inputs, output: output.index_fill(0, torch.tensor(k), 0)
            You silenced image k of the batch: the output has shape (N, C, h, w), and channels are its second axis.
        lambda module, inputs, output: silence(k)(module, inputs, output.detach())
            The numbers are right, but detach() cut the graph: no gradient reaches what lies before the module. What
            stays in the network is cloned, not detached.
        lambda module, inputs, output: output - silence(k)(module, inputs, output)
            You silenced all channels but k. It is k that should become zero.
    """,
)
def silence(k):
    def hook(module, inputs, output):
        silenced = output.clone()
        silenced[:, k] = 0
        return silenced

    return hook


# ---------------------------------------------------------------- Exercise 4
def _hooked(model, names, found):
    """Register hooks that fill ``found``; return their handles."""

    def store(name, module, inputs, output):
        found[name] = output.detach().clone()

    return [model.get_submodule(name).register_forward_hook(partial(store, name)) for name in names]


@contextmanager
def _no_finally(model, names):
    found = {}
    handles = _hooked(model, names, found)
    yield found
    for handle in handles:
        handle.remove()


@contextmanager
def _swallows(model, names):
    with stored_outputs(model, names) as found, suppress(Exception):
        yield found


@contextmanager
def _emptied(model, names):
    with stored_outputs(model, names) as found:
        yield found
    found.clear()


@contextmanager
def _last_name(model, names):
    found, handles = {}, []
    for name in names:

        def hook(module, inputs, output):
            found[name] = output.detach().clone()  # noqa: B023

        handles.append(model.get_submodule(name).register_forward_hook(hook))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _last_name_in_try(model, names):
    found, handles = {}, []
    try:
        for name in names:
            hook = lambda module, inputs, output: found.update({name: output.detach().clone()})  # noqa: B023, E731
            handles.append(model.get_submodule(name).register_forward_hook(hook))
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _except_exception(model, names):
    found = {}
    handles = _hooked(model, names, found)
    try:
        yield found
    except Exception:
        for handle in handles:
            handle.remove()
        raise
    for handle in handles:
        handle.remove()


@contextmanager
def _another_error(model, names):
    with stored_outputs(model, names) as found:
        try:
            yield found
        except Exception as error:
            raise RuntimeError("the block failed") from error


@contextmanager
def _removes_all(model, names, everywhere=False):
    with stored_outputs(model, names) as found:
        try:
            yield found
        finally:
            for module in model.modules() if everywhere else map(model.get_submodule, names):
                module._forward_hooks.clear()


@contextmanager
def _never_removed(model, names):
    found = {}
    _hooked(model, names, found)
    yield found


@contextmanager
def _with_graph(model, names):
    found = {}

    def store(name, module, inputs, output):
        found[name] = output.clone()

    handles = [model.get_submodule(name).register_forward_hook(partial(store, name)) for name in names]
    yield found
    for handle in handles:
        handle.remove()


@contextmanager
def _registers_outside_try(model, names):
    found = {}
    handles = _hooked(model, names, found)
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _not_empty(model, names):
    with stored_outputs(model, names) as found:
        found.update(dict.fromkeys(names))
        yield found


@contextmanager
def _filled_late(model, names):
    found = {}
    with stored_outputs(model, names) as kept:
        yield found
    found.update(kept)


@contextmanager
def _no_clone(model, names):
    with stored_outputs(model, names) as found:
        yield found
    for value in found.values():
        value.clamp_(min=0)


@exercise(
    "Write a context manager that stores the outputs of several modules under their names and removes its hooks, "
    "whatever happens.",
    inputs=trials.stored_cases,
    reference=trials.stored_reference,
    run=trials.try_stored,
    hints="""
        The plan: an empty dictionary and an empty list of handles; register one hook a name; yield the dictionary;
            remove the handles.
        model.get_submodule(name) finds a module by its dotted name. A function store_as(name) that returns the hook
            gives each hook its own name.
        try: register and yield. finally: for handle in handles: handle.remove().
    """,
    mistakes="""
        _no_finally(model, names)
            After an exception inside the block your hooks are still there: the lines after yield never ran. Put the
            yield into try and the removal into finally.
        _swallows(model, names)
            The hooks are gone, but so is the error: an exception raised inside the block never came out. Use finally
            without except, so that it travels on.
        _last_name(model, names)
        _last_name_in_try(model, names)
            Everything was stored under the last name: a function reads a loop's variable when it runs, and by then the
            loop has ended. Make each hook in a function of its own that takes the name.
        _no_clone(model, names)
            The stored maps have lost their negative values: an in-place ReLU runs behind these convolutions. Store a
            clone.
        _emptied(model, names)
            After the block the dictionary is empty. Remove the hooks at the end, but keep what they stored.
        _registers_outside_try(model, names)
            If one of the names does not exist, the hooks registered before it are left on the model: the error comes
            before the try. Register inside it.
        _except_exception(model, names)
            After a KeyboardInterrupt, as when a cell is stopped, your hooks are still there: it is no Exception, so
            `except Exception` does not see it. Remove them in finally.
        _another_error(model, names)
            An exception raised inside the block came out as another one. The exception itself travels on: use finally
            without except.
        _removes_all(model, names)
        _removes_all(model, names, everywhere=True)
            You removed all hooks of the modules, other people's among them. Remove your own: register_forward_hook
            returns a handle, and handle.remove() takes away that one.
        _never_removed(model, names)
            There are hooks left at the end: yours are never removed. Keep the handles that register_forward_hook
            returns, and call remove() of each behind yield.
        _with_graph(model, names)
            The stored tensors belong to a graph and keep all of it alive: clone() alone stays part of it. detach()
            first.
        _not_empty(model, names)
            The dictionary has entries before anything has run. Begin with an empty one, so that a name in it means:
            this module has run.
        _filled_late(model, names)
            Inside the block the dictionary is still empty after the forward pass: it is filled only when the block
            ends. Let the hooks write into the dictionary that you yield.
    """,
)
@contextmanager
def stored_outputs(model, names):
    found, handles = {}, []

    def store_as(name):
        def hook(module, inputs, output):
            found[name] = output.detach().clone()

        return hook

    try:
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook(store_as(name)))
        yield found
    finally:
        for handle in handles:
            handle.remove()
