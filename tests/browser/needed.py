"""Which cells of a notebook a cell depends on, found from the names that each binds, changes and reads.

An explorer is driven after these alone: the others have no part in what it shows, and nbval runs them all.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The names of one cell.

    Attributes:
        bound: those that have a new value afterwards, whatever they were before.
        changed: those that may: bound in a branch, added to, written into, or with a method called on them.
        read: those that are looked up while the cell runs.
        functions: for each function that is defined here, what its body looks up when it is called.
    """

    bound: set[str]
    changed: set[str]
    read: set[str]
    functions: dict[str, set[str]]


def _loads(node: ast.AST) -> set[str]:
    """The names that a piece of code looks up, those of Python's own and its functions' parameters left out."""
    parameters = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    names = {
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }
    return names - parameters - set(vars(builtins))


def _base(node: ast.AST) -> str | None:
    """The name that x, x[i], x.y[i].z begin with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def names_of(source: str) -> Names:
    """Read a cell. Lines for the shell and magic commands bind nothing."""
    text = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.split("\n"))
    tree = ast.parse(text)
    bound, changed, read, functions = set(), set(), set(), {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            early = [*statement.decorator_list, *statement.args.defaults, *statement.args.kw_defaults]
            read |= {name for node in early if node is not None for name in _loads(node)}
        else:
            read |= _loads(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            bound.add(statement.name)
            functions[statement.name] = _loads(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                    name = _base(part)
                    (bound if isinstance(part, ast.Name | ast.Starred) else changed).add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            changed.add(
                node.id
            )  # also inside loops, branches and comprehensions: too many rather than too few
        elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed.add(_base(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            changed.add(_base(node.value.func) if isinstance(node.value.func, ast.Attribute) else None)
    return Names(bound, changed - bound - {None}, read, functions)


def needed_cells(sources: Sequence[str], targets: Iterable[int]) -> set[int]:
    """Return the places of the cells that must run, in their order, for those at ``targets`` to be what they are.

    Args:
        sources: the code cells of a notebook, in order.
        targets: places in ``sources``.
    """
    cells = [names_of(source) for source in sources]
    bodies: dict[str, set[str]] = {}
    for cell in cells:
        for name, body in cell.functions.items():
            bodies[name] = bodies.get(name, set()) | body
    needed, wanted, targets = set(), set(), set(targets)

    def want(names: set[str]) -> None:
        new = names - wanted
        wanted.update(new)
        for name in new & bodies.keys():  # what a function looks up, it looks up when it is called
            want(bodies[name])

    for place in range(len(cells) - 1, -1, -1):
        cell = cells[place]
        if place in targets or wanted & (cell.bound | cell.changed):
            needed.add(place)
            wanted.difference_update(cell.bound)
            want(cell.read)
    return needed
