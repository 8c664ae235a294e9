"""The references of notebook 02's exercises, and its context manager written wrong in full, as a learner would."""

import warnings
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch

from course_utils.exercises import ex02_pytorch_hooks as exercises
from course_utils.exercises import hook_trials as trials


def test_the_gradient_by_the_chain_rule_is_autograds():
    for trunk, head, image, c in trials.gradient_cases(np.random.default_rng(3)):
        activations = trunk(image).detach()
        jacobian = torch.autograd.functional.jacobian(lambda a, head=head, c=c: head(a)[0, c], activations)
        assert not jacobian[1].any()  # a second image is there, and gets nothing
        torch.testing.assert_close(trials.gradient_reference(trunk, head, image, c), jacobian)


def test_the_stored_maps_by_sums_are_the_networks():
    for model, _, image in trials.stored_cases(np.random.default_rng(3)):
        both = trials.stored_reference(model, ["stem.conv", "conv"], image)["stored outputs"]
        torch.testing.assert_close(both["stem.conv"], model.stem.conv(image))
        torch.testing.assert_close(both["conv"], model.conv(model.stem(image)))


@contextmanager
def no_finally(model, names):
    found = {}

    def store_as(name):
        return lambda module, inputs, output: found.update({name: output.detach().clone()})

    handles = [model.get_submodule(name).register_forward_hook(store_as(name)) for name in names]
    yield found
    for handle in handles:
        handle.remove()


@contextmanager
def never_removed(model, names):
    found = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: found.update({name: output.detach().clone()})
        )
    yield found


@contextmanager
def late_binding(model, names):
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


def careless(keep, swallow=False):
    @contextmanager
    def stored_outputs(model, names):
        found, handles = {}, []
        for name in names:
            handles.append(
                model.get_submodule(name).register_forward_hook(
                    lambda module, inputs, output, name=name: found.update({name: keep(output)})
                )
            )
        try:
            yield found
        except Exception:
            if not swallow:
                raise
        finally:
            for handle in handles:
                handle.remove()

    return stored_outputs


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (no_finally, "the lines after yield never ran"),
        (late_binding, "under the last name"),
        (careless(lambda t: t.detach()), "Store a clone"),
        (careless(lambda t: t.detach().clone(), swallow=True), "never came out"),
        (never_removed, "hooks left at the end"),
        (careless(lambda t: t.detach().clone()), "Register inside it"),
        (careless(lambda t: t.clone()), "belong to a graph"),
        (lambda model, names: {}, "keep the line @contextmanager"),
    ],
)
def test_a_wrong_context_manager_is_named(answer, words):
    feedback = exercises.stored_outputs.check(answer)
    assert feedback.state == "not yet"
    assert words in feedback.message


class OnEntering:
    """A right answer without @contextmanager."""

    def __init__(self, model, names):
        self.model, self.names, self.stack = model, names, ExitStack()

    def __enter__(self):
        found = {}
        with self.stack as stack:
            for name in self.names:

                def hook(module, inputs, output, name=name):
                    found[name] = output.clone().detach()

                stack.callback(self.model.get_submodule(name).register_forward_hook(hook).remove)
            self.stack = stack.pop_all()
        return found

    def __exit__(self, *exception):
        self.stack.close()


def test_other_right_answers_pass():
    assert exercises.stored_outputs.check(OnEntering).state == "correct"
    assert exercises.silence.check(
        lambda k: lambda module, inputs, output: output.index_fill(1, torch.tensor(k), 0)
    ).state == ("correct")

    def by_retain_grad(trunk, head, image, c):
        activations = trunk(image)
        activations.retain_grad()
        head(activations)[0, c].backward()
        return activations.grad

    assert exercises.gradient_at.check(by_retain_grad).state == "correct"


def test_answers_that_store_nothing_or_no_hook_are_told_so():
    nothing = exercises.store_output.check(lambda module, inputs, output: None)
    assert "module.seen holds NoneType" in nothing.message
    assert "must return a function" in exercises.silence.check(lambda k: 3).message


@pytest.mark.parametrize("name", exercises.__all__)
def test_a_stub_that_only_passes_is_not_correct(name):
    assert getattr(exercises, name).check(lambda *arguments: None).state == "not yet"


def test_a_hook_that_never_ran_is_told_so_but_another_lookup_error_is_not():
    def into_a_list(trunk, head, image, c):
        activations, found = trunk(image), []
        activations.register_hook(found.append)
        return found[0]

    def wrong_key(trunk, head, image, c):
        activations, found = trunk(image), {}
        activations.register_hook(lambda gradient: found.update(g=gradient))
        head(activations)[0, c].backward()
        return found["gradient"]

    assert "The hook never ran" in exercises.gradient_at.check(into_a_list).message
    assert "KeyError" in exercises.gradient_at.check(wrong_key).message


def test_wrong_answers_print_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for misconception in exercises.gradient_at.misconceptions:
            exercises.gradient_at.check(misconception.answer)


def test_a_silenced_channel_has_to_let_gradients_through():
    def under_no_grad(k):
        def hook(module, inputs, output):
            with torch.no_grad():
                return output.index_fill(1, torch.tensor(k), 0)

        return hook

    assert "cut the graph" in exercises.silence.check(under_no_grad).message


def test_the_gradient_behind_a_silenced_channel_is_autograds():
    for k, weight, images in trials.silence_cases(np.random.default_rng(3)):
        expected = trials.silence_reference(k, weight, images)
        leaf = weight.clone().requires_grad_()
        maps = torch.einsum("oc,nchw->nohw", leaf, images)
        kept = [channel for channel in range(len(weight)) if channel != k]
        (gradient,) = torch.autograd.grad(maps[:, kept].sum(), leaf)
        torch.testing.assert_close(expected["the gradient that reaches the weights before"], gradient)
