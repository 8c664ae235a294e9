"""The engine behind the exercises: three states, messages that name a misconception, hints, solutions.

An exercise compares the learner's answer with an independent reference on inputs drawn from a seed.
If the answer is wrong in the very way that a known misconception is wrong, the message names it. A module writes an
exercise as its model answer under ``@exercise(...)``, with hints and mistakes as texts.
"""

from __future__ import annotations

import ast
import copy
import html
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from .compare import in_short, mismatch, same
from .table import as_function, read_hints, read_mistakes

__all__ = ["Exercise", "Feedback", "Misconception", "exercise", "value_exercise"]

NOT_ATTEMPTED, WRONG, CORRECT = "not attempted", "not yet", "correct"
_MARKS = {NOT_ATTEMPTED: ("○", "#595959"), WRONG: ("✗", "#A33F00"), CORRECT: ("✓", "#00664B")}


@dataclass(frozen=True)
class Feedback:
    """What a check, a hint or a solution answers: shown as a box in a notebook, as text elsewhere.

    Attributes:
        state: "not attempted", "not yet" or "correct" for a check; "hint 1 of 3", "solution" else.
        message: sentences for the learner.
        code: source code shown below the message, if any.
    """

    state: str
    message: str
    code: str = ""

    def __repr__(self) -> str:
        mark = _MARKS.get(self.state, ("·", ""))[0]
        return f"{mark} {self.state}: {self.message}" + (f"\n\n{self.code}" if self.code else "")

    def _repr_html_(self) -> str:
        mark, color = _MARKS.get(self.state, ("·", "#0072B2"))
        code = f"<pre style='margin: 0.5em 0 0 0'>{html.escape(self.code)}</pre>" if self.code else ""
        return (
            f"<div role='status' style='border-left: 4px solid {color}; padding: 0.3em 0.8em'>"
            f"<b>{mark} {html.escape(self.state)}.</b> {html.escape(self.message)}{code}</div>"
        )


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that learners are likely to give, and the sentence that helps.

    Attributes:
        answer: what such a learner would hand in: a function, or a value.
        message: names the mistake and points at the remedy, without giving the solution away.
    """

    answer: object
    message: str


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
        if _is_untouched(answer):
            return Feedback(NOT_ATTEMPTED, "Replace the ... by your answer, then run this cell again.")
        if self._expects_function and not callable(answer):
            return Feedback(WRONG, f"Hand in the function itself, without calling it; this is {answer!r}.")
        if not self._expects_function and callable(answer):
            return Feedback(WRONG, "Hand in the value itself, not a function.")
        problem = self._first_problem(answer)
        if problem is None:
            return Feedback(CORRECT, self._praise())
        if problem.state == NOT_ATTEMPTED:
            return problem
        for misconception in self.misconceptions:
            if self._agree(answer, misconception.answer):
                return Feedback(WRONG, misconception.message)
        return problem

    def hint(self) -> Feedback:
        """Give the next hint; after the last one they begin anew."""
        if not self.hints:
            return Feedback("no hint", "This exercise has no hints: read the section above once more.")
        position = self._hints_given % len(self.hints)
        self._hints_given += 1
        return Feedback(f"hint {position + 1} of {len(self.hints)}", self.hints[position])

    def solution(self) -> Feedback:
        """Show the model answer."""
        if callable(self.model_answer):
            return Feedback("solution", "One way to write it:", _shown(self.model_answer, self.called))
        return Feedback("solution", f"{self.model_answer}. {self.explain_value}".strip())

    @property
    def _expects_function(self) -> bool:
        return callable(self.model_answer)

    def _praise(self) -> str:
        if not self._expects_function:
            return self.explain_value or "That is it."
        return f"Your answer agrees with an independent reference on {len(self._draw())} inputs."

    def _draw(self) -> list[tuple]:
        return [()] if self.inputs is None else list(self.inputs(np.random.default_rng(0)))

    def _result(self, answer: object, arguments: tuple) -> object:
        if not callable(answer):
            return answer
        torch.manual_seed(0)
        return self.run(answer, *arguments) if self.run else answer(*arguments)

    def _first_problem(self, answer: object) -> Feedback | None:
        """Return feedback on the first input on which the answer fails, or None."""
        for arguments in self._draw():
            given = copy.deepcopy(arguments)
            where = self._describe(arguments)
            try:
                with torch.random.fork_rng(devices=[]):
                    found = self._result(answer, given)
            except Exception as error:
                # PyTorch raises NotImplementedError, too, but with words.
                if isinstance(error, NotImplementedError) and not error.args:
                    return Feedback(NOT_ATTEMPTED, "Write your answer, then run this cell again.")
                return Feedback(WRONG, f"Your code raised {type(error).__name__}{where}: {error}")
            if _is_untouched(found):
                return Feedback(NOT_ATTEMPTED, "Replace the ... by your answer, then run this cell again.")
            if found is None:
                return Feedback(WRONG, f"Your function returned None{where}: does it end in `return ...`?")
            if not all(same(before, after, 0) for before, after in zip(arguments, given, strict=True)):
                return Feedback(
                    WRONG,
                    f"Your function changed its input{where}. Work on a copy: `x.clone()` of a tensor, "
                    "`list(x)` of a list.",
                )
            expected = self.reference(*copy.deepcopy(arguments))
            difference = mismatch(found, expected, self.tolerance)
            if difference and not self._expects_function:
                return Feedback(WRONG, f"Not yet: {in_short(found)} is not it.")  # the right value is no hint
            if difference:
                return Feedback(WRONG, f"Not yet{where}: {difference}")
        return None

    def _agree(self, answer: object, other: object) -> bool:
        """Whether two answers give the same results on all inputs (or raise the same kind of error)."""
        return all(
            same(self._outcome(answer, arguments), self._outcome(other, arguments), self.tolerance)
            for arguments in self._draw()
        )

    def _outcome(self, answer: object, arguments: tuple) -> object:
        try:
            with torch.random.fork_rng(devices=[]):
                return self._result(answer, copy.deepcopy(arguments))
        except Exception as error:
            return type(error).__name__

    def _describe(self, arguments: tuple) -> str:
        if not arguments:
            return ""
        names = list(inspect.signature(self.model_answer).parameters) if callable(self.model_answer) else []
        names += [f"argument {i + 1}" for i in range(len(names), len(arguments))]
        parts = [f"{name} = {in_short(value)}" for name, value in zip(names, arguments, strict=False)]
        return " for " + ", ".join(parts)


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
            return [Misconception(as_function(code, parameters, module), sentence) for code, sentence in rows]

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
        Misconception(as_function(code, (), {})(), sentence) for code, sentence in read_mistakes(mistakes)
    ]
    return Exercise(
        statement, answer, reference, misconceptions=wrong, hints=read_hints(hints), explain_value=because
    )


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
