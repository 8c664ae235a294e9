"""The engine behind the exercises: three states, messages that name a misconception, hints, solutions.

An exercise compares the learner's answer with an independent reference on inputs drawn from a seed.
If the answer is wrong in the very way that a known misconception is wrong, the message names it. A module writes an
exercise as its model answer under ``@exercise(...)``, with hints and mistakes as texts.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from .compare import as_code, in_short, mismatch, same
from .feedback import CORRECT, NOT_ATTEMPTED, WRONG, Feedback, running_cell
from .limits import TookTooLong, time_limit
from .table import as_function, read_hints, read_mistakes

__all__ = ["HANDOUT", "Exercise", "Misconception", "NotAsAsked", "exercise", "value_exercise"]

HANDOUT = "COURSE_HANDOUT"
"""Environment variable that is set in a hand-out: its learners get no hints and solutions."""
_LONGEST = 10  # seconds for one input; the slowest right answers take a tenth of a second
_SHOWN = 600  # characters of an input that a message shows in full


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that learners are likely to give, and the sentence that helps.

    Attributes:
        answer: what such a learner would hand in: a function, or a value.
        message: names the mistake and points at the remedy, without giving the solution away.
        variants: other answers that make the same mistake, and may make a second one beside it.
    """

    answer: object
    message: str
    variants: tuple = ()

    @property
    def answers(self) -> tuple:
        """All answers that are told this message."""
        return (self.answer, *self.variants)


class NotAsAsked(Exception):
    """What an exercise's ``run`` raises if it cannot use what an answer returned; its text says why."""


class Exercise:
    """One exercise. Called, it does what its model answer does, so that other code can use that by its name.

    Args:
        statement: the task in a sentence or two; the notebook's text may say more.
        solution: the model answer, a real function (its source is shown), or a value.
        reference: computes the right result independently of the solution, from the same inputs.
        inputs: draws a list of argument tuples from a numpy Generator; None for a value to find.
        misconceptions: at least three likely wrong answers, or a function without arguments that returns them; it
            is called at the first check, when all of its module is defined.
        hints: from gentle to nearly the answer.
        run: how to get a comparable result from an answer: ``run(answer, *arguments)``. By default the
            answer is called.
        tolerance: relative and absolute tolerance for numbers.
        explain_value: for a value, the source or reason shown by ``.solution()``.
        called: what the solution calls the function, if not by its own name.
    """

    def __init__(
        self,
        statement: str,
        solution: object,
        reference: Callable,
        inputs: Callable[[np.random.Generator], Sequence[tuple]] | None = None,
        misconceptions: Sequence[Misconception] | Callable[[], Sequence[Misconception]] = (),
        hints: Sequence[str] = (),
        run: Callable | None = None,
        tolerance: float = 1e-4,
        explain_value: str = "",
        called: str = "",
    ) -> None:
        self.statement = statement
        self.model_answer = solution
        self.reference = reference
        self.inputs = inputs
        self._misconceptions = misconceptions
        self.hints = list(hints)
        self.run = run
        self.tolerance = tolerance
        self.explain_value = explain_value
        self.called = called
        self.last: Feedback | None = None  # of the last check
        self._hints_given = 0

    def __repr__(self) -> str:
        return f"Exercise: {self.statement}"

    def __call__(self, *arguments: object) -> object:
        """Return what the model answer returns."""
        return self.model_answer(*arguments)

    @cached_property
    def misconceptions(self) -> list[Misconception]:
        """The known wrong answers."""
        return list(self._misconceptions() if callable(self._misconceptions) else self._misconceptions)

    def check(self, answer: object) -> Feedback:
        """Compare an answer with the reference and say what is wrong, if something is."""
        self.last = replace(self._checked(answer), cell=running_cell())
        return self.last

    def _checked(self, answer: object) -> Feedback:
        if _is_untouched(answer):
            return Feedback(NOT_ATTEMPTED, "Replace the ... by your answer, then run this cell again.")
        if self._expects_function and not callable(answer):
            return Feedback(
                WRONG, f"Hand in the function itself, without calling it; this is {in_short(answer)}."
            )
        if not self._expects_function and callable(answer):
            return Feedback(WRONG, "Hand in the value itself, not a function.")
        problem = self._first_problem(answer)
        if problem is None:
            return Feedback(CORRECT, self._praise())
        return problem if problem.state == NOT_ATTEMPTED else self._named(answer) or problem

    def example(self, number: int) -> object:
        """Return the arguments of one of the inputs that answers are tried on, counted from 0.

        Raises:
            IndexError: there are not so many.
        """
        arguments = copy.deepcopy(self._draw()[number])
        return arguments if len(arguments) > 1 else arguments[0]

    def hint(self) -> Feedback:
        """Give the next hint; after the last one they begin anew. A hand-out has none."""
        if os.environ.get(HANDOUT):
            return self._below("no hint", "This is a hand-out, without hints: ask whoever handed it out.")
        if not self.hints:
            return self._below("no hint", "This exercise has no hints: read the section above once more.")
        position = self._hints_given % len(self.hints)
        self._hints_given += 1
        return self._below(f"hint {position + 1} of {len(self.hints)}", self.hints[position])

    def solution(self) -> Feedback:
        """Show the model answer; not in a hand-out."""
        if os.environ.get(HANDOUT):
            return self._below(
                "no solution", "This is a hand-out, without solutions: ask whoever handed it out."
            )
        if callable(self.model_answer):
            return self._below("solution", "One way to write it:", _shown(self.model_answer, self.called))
        return self._below("solution", f"{self.model_answer}. {self.explain_value}".strip())

    def _below(self, state: str, message: str, code: str = "") -> Feedback:
        """Below the answer of a check in the same cell, of which a notebook shows the last line's result only."""
        checked = self.last if self.last and self.last.cell and self.last.cell == running_cell() else None
        return Feedback(state, message, code, above=checked)

    @property
    def _expects_function(self) -> bool:
        return callable(self.model_answer)

    def _praise(self) -> str:
        if not self._expects_function:
            return self.explain_value or "That is it."
        return f"Your answer agrees with an independent reference on {len(self._draw())} inputs."

    def _draw(self) -> list[tuple]:
        return [()] if self.inputs is None else list(self.inputs(np.random.default_rng(0)))

    @cached_property
    def _cases(self) -> list[tuple[tuple, object]]:
        """Each input with the right result."""
        return [(arguments, self.reference(*copy.deepcopy(arguments))) for arguments in self._draw()]

    @cached_property
    def _known(self) -> list[tuple[str, list]]:
        """Each known wrong answer as its message and what comes of it on each input."""
        return [
            (misconception.message, [self._outcome(answer, arguments) for arguments, _ in self._cases])
            for misconception in self.misconceptions
            for answer in misconception.answers
        ]

    def _result(self, answer: object, arguments: tuple) -> object:
        if not callable(answer):
            return answer
        torch.manual_seed(0)
        return self.run(answer, *arguments) if self.run else answer(*arguments)

    def _first_problem(self, answer: object) -> Feedback | None:
        """Return feedback on the first input on which the answer fails, or None."""
        for number, (arguments, expected) in enumerate(self._cases):
            given = copy.deepcopy(arguments)
            try:
                with torch.random.fork_rng(devices=[]), time_limit(_LONGEST):
                    found = self._result(answer, given)
            except TookTooLong:
                return self._wrong(
                    f"Your code was still running after {_LONGEST} seconds: is there a loop that never ends?",
                    number,
                )
            except NotAsAsked as error:
                return self._wrong(f"Not yet: {error}", number)
            except Exception as error:
                # PyTorch raises NotImplementedError, too, but with words.
                if isinstance(error, NotImplementedError) and not error.args:
                    return Feedback(NOT_ATTEMPTED, "Write your answer, then run this cell again.")
                what = f"{type(error).__name__}: {error}"
                if self.run and not _is_from_answer(error):
                    return self._wrong(
                        f"Not yet: what your code left behind made the check fail ({what}).", number
                    )
                return self._wrong(f"Your code raised {what}", number)
            if _is_untouched(found):
                return Feedback(NOT_ATTEMPTED, "Replace the ... by your answer, then run this cell again.")
            if found is None:
                return self._wrong("Your function returned None: does it end in `return ...`?", number)
            if not all(same(before, after, 0) for before, after in zip(arguments, given, strict=True)):
                return self._wrong(
                    "Your function changed its input. Work on a copy: `x.clone()` of a tensor, `list(x)` of a list.",
                    number,
                )
            difference = mismatch(found, expected, self.tolerance)
            if difference and not self._expects_function:
                return Feedback(WRONG, f"Not yet: {in_short(found)} is not it.")  # the right value is no hint
            if difference:
                return self._wrong(f"Not yet: {difference}", number)
        return None

    def _wrong(self, message: str, number: int) -> Feedback:
        return Feedback(WRONG, message, self._input_as_code(number))

    def _named(self, answer: object) -> Feedback | None:
        """Return the message of the known mistake that the answer makes, if it is that one and no other."""
        left = self._known
        for number, (arguments, _) in enumerate(self._cases):
            outcome = self._outcome(answer, arguments)
            left = [(said, known) for said, known in left if same(outcome, known[number], self.tolerance)]
            if not left:
                return None
        messages = {said for said, _ in left}
        return Feedback(WRONG, messages.pop()) if len(messages) == 1 else None

    def _outcome(self, answer: object, arguments: tuple) -> object:
        """What an answer returns, or the name of what it raises."""
        try:
            with torch.random.fork_rng(devices=[]), time_limit(_LONGEST):
                return self._result(answer, copy.deepcopy(arguments))
        except (Exception, TookTooLong) as error:
            return type(error).__name__

    def _input_as_code(self, number: int) -> str:
        """Lines for a cell that give the learner what the answer was given."""
        arguments, _ = self._cases[number]
        if not arguments:
            return ""
        called = list(inspect.signature(self.run or self.model_answer).parameters)[1 if self.run else 0 :]
        names = (
            called if len(called) == len(arguments) else [f"argument_{i + 1}" for i in range(len(arguments))]
        )
        lines = [(name, as_code(value)) for name, value in zip(names, arguments, strict=True)]
        if all(code is not None for _, code in lines) and sum(len(code) for _, code in lines) <= _SHOWN:
            return "\n".join(["# on this input:", *(f"{name} = {code}" for name, code in lines)])
        shapes = [
            f"{name} {tuple(v.shape)}"
            for name, v in zip(names, arguments, strict=True)
            if hasattr(v, "shape")
        ]
        about = f" of shape: {', '.join(shapes)}" if shapes else ":"
        call = f"exercises.{getattr(self.model_answer, '__name__', 'exercise')}.example({number})"
        return f"# on this input{about}\n{', '.join(names)} = {call}"


def exercise(
    statement: str,
    *,
    inputs: Callable[[np.random.Generator], Sequence[tuple]],
    reference: Callable,
    hints: str,
    mistakes: str,
    called: str = "",
    **options: object,
) -> Callable[[Callable], Exercise]:
    """Return a decorator that makes an :class:`Exercise` of its model answer.

    Args:
        statement: the task in a sentence or two.
        inputs: draws a list of argument tuples from a numpy Generator.
        reference: computes the right result independently of the model answer.
        hints: a hint a line, see :mod:`course_utils.exercises.table`.
        mistakes: an expression of the answer's parameters a line, and below it what is said to whoever makes it.
            Names are those of the answer's module; more than an expression can say stands there as a function.
            Several expressions, one below the other, share what is said below the last.
        called: the function's name in the notebook, where that is not the exercise's.
        options: ``run`` and ``tolerance``, as of :class:`Exercise`.

    Raises:
        ValueError: hints or mistakes are not written in that form; at the first check, a mistake uses an unknown name.
    """
    rows = read_mistakes(mistakes)

    def decorate(answer: Callable) -> Exercise:
        parameters = list(inspect.signature(answer).parameters)
        module = inspect.unwrap(answer).__globals__  # a context manager's own are those of contextlib

        def misconceptions() -> list[Misconception]:
            return [
                _misconception([as_function(code, parameters, module) for code in codes], sentence)
                for codes, sentence in rows
            ]

        found = {"misconceptions": misconceptions, "hints": read_hints(hints), "called": called}
        return Exercise(statement, answer, reference, inputs, **found, **options)

    return decorate


def value_exercise(
    statement: str, answer: object, because: str, *, reference: Callable, hints: str, mistakes: str
) -> Exercise:
    """Return an exercise whose answer is a value.

    Args:
        statement: the task in a sentence or two.
        answer: the right value.
        because: the source or reason, shown with the solution and to whoever finds it.
        reference: computes the value in another way.
        hints: a hint a line, see :mod:`course_utils.exercises.table`.
        mistakes: a wrong value a line, written in numbers, and below it what is said about it.

    Raises:
        ValueError: hints or mistakes are not written in that form.
    """
    wrong = [
        _misconception([as_function(code, (), {})() for code in codes], sentence)
        for codes, sentence in read_mistakes(mistakes)
    ]
    return Exercise(
        statement, answer, reference, misconceptions=wrong, hints=read_hints(hints), explain_value=because
    )


def _misconception(answers: Sequence, sentence: str) -> Misconception:
    first, *others = answers
    return Misconception(first, sentence, tuple(others))


_NO_LEARNERS = (
    str(Path(__file__).parent),
    *(str(Path(library.__file__).parent) for library in (torch, np)),
    contextlib.__file__,
)


def _is_from_answer(error: BaseException) -> bool:
    """Whether an error went through code of the learner, and not through the check's and PyTorch's alone."""
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_NO_LEARNERS):
            return True
        trace = trace.tb_next
    return False


def _shown(answer: Callable, called: str) -> str:
    """The source of a model answer as a learner would write it: without what made an exercise of it."""
    source = textwrap.dedent(inspect.getsource(answer)).rstrip()
    (function,) = ast.parse(source).body
    if not isinstance(function, ast.FunctionDef):
        return source
    ends = [
        d.end_lineno for d in function.decorator_list if ast.unparse(d).startswith(f"{exercise.__name__}(")
    ]
    shown = "\n".join(source.splitlines()[max(ends, default=0) :])
    return shown.replace(f"def {function.name}(", f"def {called or function.name}(", 1)


def _is_untouched(answer: object) -> bool:
    if isinstance(answer, tuple | list):
        return any(item is ... for item in answer)
    return answer is ...
