"""Hints and known mistakes written as a text: a line begins an entry, deeper lines below belong to it.

Hints are sentences; those that need more than one line go on four spaces deeper. A mistake is one line of code, an
expression of the answer's parameters, and below it, four spaces deeper, what a learner who made it is told. Lines of
code right below each other are ways to make the same mistake, and share what stands below the last::

    g * (z > 0)
        That is the plain gradient: it looks at the forward sign only. The guided rule stops negative gradients as
        well.
    g.abs() * (z > 0)
    g.abs() * (z >= 0)
        You took the absolute value.
"""

from __future__ import annotations

import builtins
import symtable
from collections.abc import Callable, Sequence

__all__ = ["as_function", "read_hints", "read_mistakes"]

_DEEPER = 4


def read_hints(text: str) -> list[str]:
    """Return the hints of a text, each in one line.

    Args:
        text: a hint a line; what follows four spaces deeper goes on with it.

    Raises:
        ValueError: a line is indented in another way.
    """
    return [" ".join(entry) for entry in _entries(text)]


def read_mistakes(text: str) -> list[tuple[list[str], str]]:
    """Return the mistakes of a text as tuples (lines of code, sentence).

    Args:
        text: an expression a line; what is said about it, and about those right above it, stands below, four spaces
            deeper.

    Raises:
        ValueError: a line is indented in another way, is no expression, or has no sentence below it.
    """
    mistakes, codes = [], []
    for code, *lines in _entries(text):
        try:
            compile(code, "<mistake>", "eval")
        except SyntaxError as error:
            raise ValueError(
                f"`{code}` is not an expression ({error.msg}). A mistake is one; a sentence about it stands below it, "
                f"{_DEEPER} spaces deeper."
            ) from error
        codes.append(code)
        if lines:
            mistakes.append((codes, " ".join(lines)))
            codes = []
    if codes:
        raise ValueError(f"the mistake `{codes[-1]}` has no sentence below it, {_DEEPER} spaces deeper.")
    return mistakes


def as_function(code: str, parameters: Sequence[str], namespace: dict) -> Callable:
    """Return an expression as a function of some parameters.

    Args:
        code: the expression.
        parameters: their names.
        namespace: where its other names are looked up, at each call: of a module, its ``__dict__``.

    Raises:
        ValueError: a name is neither a parameter nor known in the namespace.
    """
    source = f"lambda {', '.join(parameters)}: {code}"
    unknown = sorted(
        _globals_of(symtable.symtable(source, "<mistake>", "eval")) - {*namespace, *vars(builtins)}
    )
    if unknown:
        raise ValueError(
            f"the mistake `{code}` uses {', '.join(unknown)}: neither a parameter ({', '.join(parameters)}) nor a "
            "name of its module."
        )
    return eval(compile(source, "<mistake>", "eval"), namespace)


def _globals_of(scope: symtable.SymbolTable) -> set[str]:
    """The names that a scope and those inside it expect from outside: comprehensions and lambdas are scopes, too."""
    names = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    return names.union(*(_globals_of(inner) for inner in scope.get_children()))


def _entries(text: str) -> list[list[str]]:
    """Each entry's lines without their indentation; blank lines count for nothing."""
    entries: list[list[str]] = []
    margin = None
    for line in text.splitlines():
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip(" "))
        margin = indent if margin is None else margin
        if indent == margin:
            entries.append([line.strip()])
        elif indent == margin + _DEEPER:
            entries[-1].append(line.strip())
        else:
            raise ValueError(
                f"`{line.strip()}` is indented by {indent} spaces. An entry of this text begins at {margin}, and its "
                f"other lines at {margin + _DEEPER}."
            )
    return entries
