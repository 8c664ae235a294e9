"""The package as its source says it: rooms, the names on their faces, signatures and docstrings. Nothing is imported.

So a default value stands as it was written, ``8 / 255``, and it takes a second, without PyTorch.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

__all__ = [
    "Entry",
    "Face",
    "Module",
    "exists",
    "find_module",
    "public_path",
    "read_face",
    "room_names",
    "room_of",
]

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Entry:
    """A public name and what the source says of it.

    Attributes:
        path: by which others reach it: "course_utils.explain.grad_cam", "course_utils.explain.Explanation.heatmaps".
        kind: "function", "class", "method", "classmethod", "staticmethod", "property" or "data".
        module: where it is written.
        node: its definition; of data the value.
        signature: parameters and result as written; of a property and of data the type, if one is written.
        parameters: the names of the parameters; of a dataclass, those of its fields.
        doc: its docstring without indentation; of data, the string below it or the remark behind it.
        members: of a class, its public methods and properties.
        fields: of a class, the attributes that it declares, or sets when it is made: name -> type, "" if not written.
    """

    path: str
    kind: str
    module: Module
    node: ast.AST
    signature: str
    parameters: tuple[str, ...]
    doc: str
    members: tuple[Entry, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def owner(self) -> str:
        """The path of the class that it is or belongs to, "" for none."""
        if self.kind in ("function", "data"):
            return ""
        return self.path if self.kind == "class" else self.path.rpartition(".")[0]


@dataclass(frozen=True)
class Face:
    """A room as its face shows it.

    Attributes:
        name: "explain", "localization.evaluation".
        doc: the face's docstring.
        parts: each module with public names and these names, in the order in which they are written.
    """

    name: str
    doc: str
    parts: tuple[tuple[Module, tuple[Entry, ...]], ...]


@dataclass(frozen=True, eq=False)
class Module:
    """A file of the package, read and not run.

    Attributes:
        path: of the file.
        name: such as "course_utils.explain.maps".
    """

    path: Path
    name: str

    @cached_property
    def source(self) -> str:
        """The text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.source)

    @cached_property
    def doc(self) -> str:
        """The docstring, without indentation."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def public(self) -> list[str]:
        """What ``__all__`` lists."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return ast.literal_eval(node.value)
        return []

    @cached_property
    def defined(self) -> dict[str, tuple[ast.stmt, ast.expr | None]]:
        """What the module defines: name -> the statement, and of data the value."""
        found: dict[str, tuple[ast.stmt, ast.expr | None]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = (node, None)
            elif isinstance(node, ast.AnnAssign):
                found[ast.unparse(node.target)] = (node, node.value)
            elif isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
                pairs = [(target, value)]
                if isinstance(target, ast.Tuple):  # A, B = 1, 2
                    values = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
                    pairs = list(zip(target.elts, values, strict=True))
                found |= {ast.unparse(name): (node, one) for name, one in pairs}
        return found

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """What it imports from the course: its name here -> (module, name there); the name is "" for a module."""
        found = {}
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join(filter(None, (*above, node.module)))
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                found[alias.asname or alias.name] = (
                    (whole, "") if find_module(whole) else (origin, alias.name)
                )
        return found


@cache
def find_module(name: str) -> Module | None:
    """Return the module of this name, "course_utils.explain.maps", or None."""
    package, *parts = name.split(".")
    place = PACKAGE.joinpath(*parts)
    paths = [place / "__init__.py", place.with_suffix(".py")] if package == PACKAGE.name else []
    return next((Module(path, name) for path in paths if path.is_file()), None)


def locate(module: Module, name: str) -> tuple[Module, str] | None:
    """Return where a name is written that a module defines or imports, and its name there: "" for a module.

    None for what is not the course's.
    """
    while name and name not in module.defined:
        origin, name = module.imported.get(name, ("", ""))
        found = find_module(origin)
        if found is None:
            return None
        module = found
    return module, name


def exists(module: Module, name: str) -> bool:
    """Whether a dotted name, as a docstring of this module uses it, names something: a module, a function, a field."""
    return find_module(name) is not None or _written(module, name) is not None


def _written(module: Module, name: str) -> tuple[Module, str] | None:
    """Where a dotted name is written: (module, "grad_cam"), (module, "Explanation.empty"), (module, "")."""
    parts = name.split(".")
    for n_parts in range(len(parts) - 1, 0, -1):  # from "course_utils.explain" in full
        whole = find_module(".".join(parts[:n_parts]))
        if whole is not None:
            module, parts = whole, parts[n_parts:]
            break
    room = find_module(module.name.rpartition(".")[0])
    place = locate(module, parts[0]) or (locate(room, parts[0]) if room else None)
    if place is None or len(parts) == 1:
        return place
    if not place[1]:  # a module that is handed on
        return _written(place[0], ".".join(parts[1:]))
    entry = read_entry(*place)
    names = {member.name for member in entry.members} | {field for field, _ in entry.fields}
    return (place[0], f"{place[1]}.{parts[1]}") if parts[1] in names else None


@cache
def room_names() -> tuple[str, ...]:
    """Return the rooms whose faces have names: "attacks", ..., "localization.evaluation"."""
    folders = [path.parent.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*/__init__.py"))]
    names = [".".join(folder.parts) for folder in folders]
    return tuple(name for name in names if find_module(f"{PACKAGE.name}.{name}").public)


@cache
def _public_paths() -> dict[tuple[str, str], str]:
    """Where each public name is imported from: (module, name) -> "course_utils.explain.grad_cam".

    So has each class that comes back from one of them and is on no face, "course_utils.explain.covering.Curve".
    """
    paths, handed_on, returned = {}, {}, {}
    for room in room_names():
        face = find_module(f"{PACKAGE.name}.{room}")
        for name in face.public:
            module, there = locate(face, name)
            for one in [there] if there else module.public:
                where, written = locate(module, one)
                kept, origin = (paths, face.name) if there else (handed_on, module.name)
                kept[where.name, written] = f"{origin}.{one}"
                for result in _results(where.defined[written][0]):
                    place = locate(where, result)
                    if place and isinstance(place[0].defined.get(place[1], [None])[0], ast.ClassDef):
                        returned[place[0].name, place[1]] = ".".join((place[0].name, place[1]))
    return returned | handed_on | paths


def _results(node: ast.stmt) -> Iterator[str]:
    """The names in what a function returns, in what a class's functions return, and in a dataclass's fields."""
    for part in ast.walk(node):
        types = part.returns if isinstance(part, ast.FunctionDef) else None
        if isinstance(part, ast.AnnAssign) and part in getattr(node, "body", ()):
            types = part.annotation
        yield from (one.id for one in ast.walk(types) if isinstance(one, ast.Name)) if types else ()


def public_path(module: Module, name: str) -> str | None:
    """Return the path by which others reach what a docstring of this module names, or None if it is on no face.

    Args:
        module: whose docstring it is.
        name: dotted: "grad_cam", "course_utils.explain.grad_cam", "Explanation.empty".
    """
    place = _written(module, name)
    if place is None:
        return None
    owner, _, member = place[1].partition(".")
    path = _public_paths().get((place[0].name, owner))
    return path and f"{path}.{member}".removesuffix(".")


@cache
def read_face(room: str) -> Face:
    """Return a room with what each name of its face is, and the classes of this room that come back from them."""
    face = find_module(f"{PACKAGE.name}.{room}")
    places = [place for place, path in _public_paths().items() if room_of(path) == room]
    order = [module for module, _ in face.imported.values()]
    parts = []
    for name in sorted({module for module, _ in places}, key=lambda name: [*order, name].index(name)):
        module = find_module(name)
        written = [there for there in module.defined if (name, there) in places]
        parts.append((module, tuple(read_entry(module, there) for there in written)))
    return Face(room, face.doc, tuple(parts))


def room_of(path: str) -> str:
    """Return the room of a public name, by its path: "course_utils.explain.grad_cam" -> "explain"."""
    parts = path.split(".")
    inside = (".".join(parts[1:n]) for n in range(len(parts) - 1, 1, -1))  # the deepest folder first
    return next(room for room in inside if room in room_names())


@cache
def read_entry(module: Module, name: str) -> Entry:
    """Return what a module says of a name that it defines."""
    node, value = module.defined[name]
    if isinstance(node, ast.FunctionDef):
        return _read_function(module, node, _path(module, name), "function")
    if isinstance(node, ast.ClassDef):
        return _read_class(module, node)
    following = module.tree.body[module.tree.body.index(node) + 1 :][:1]
    below = following[0].value if following and isinstance(following[0], ast.Expr) else None
    if isinstance(below, ast.Constant) and isinstance(below.value, str):
        doc = textwrap.dedent(below.value)
    else:
        line = module.source.encode().splitlines()[node.end_lineno - 1]
        doc = line[node.end_col_offset :].decode().partition("#")[2].strip()
    written = linked(module, node.annotation) if isinstance(node, ast.AnnAssign) else ""
    return Entry(_path(module, name), "data", module, value, written, (), doc)


def _path(module: Module, name: str) -> str:
    return _public_paths().get((module.name, name), f"{module.name}.{name}")


def _read_function(module: Module, node: ast.FunctionDef, path: str, kind: str) -> Entry:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    doc, result = ast.get_docstring(node) or "", node.returns
    if "contextmanager" in decorators:  # what it returns is said in words: an iterator is no help
        doc, result = _with_sentence(doc, "A context manager, for a ``with`` statement."), None
    written = linked(module, result) if result else ""
    names = [one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)]
    if kind == "property":
        return Entry(path, kind, module, node, written, (), doc)
    arguments = ast.unparse(node.args)
    if kind in ("method", "classmethod"):
        arguments, names = arguments.partition(", ")[2], names[1:]  # without self
        arguments = arguments.removeprefix("/, ")
    signature = f"({_linked_arguments(module, arguments)})" + (f" -> {written}" if written else "")
    return Entry(path, kind, module, node, signature, tuple(names), doc)


def _with_sentence(doc: str, sentence: str) -> str:
    """Put a sentence below a docstring's first paragraph."""
    head, _, rest = doc.partition("\n\n")
    return "\n\n".join(filter(None, (head, sentence, rest)))


def linked(module: Module, annotation: ast.expr) -> str:
    """Write a type as Sphinx links it: ``~course_utils.explain.Explanation`` where it is on a face.

    What only stands for a longer type, ``Layer = str | nn.Module | None``, is written out where it is on no face.
    """

    class Paths(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            path = public_path(module, name.id)
            if path:
                return ast.UnaryOp(ast.Invert(), ast.Name(path))
            where, value = _value(module, name.id)
            is_type = isinstance(value, ast.BinOp | ast.Subscript | ast.Attribute)
            return ast.parse(linked(where, value), mode="eval").body if is_type else name

    copy = ast.parse(ast.unparse(annotation), mode="eval").body  # a transformer changes what it is given
    return ast.unparse(Paths().visit(copy))


def _linked_arguments(module: Module, text: str) -> str:
    arguments = ast.parse(f"def function({text}): ...").body[0].args
    for one in ast.walk(arguments):
        if isinstance(one, ast.arg) and one.annotation:
            one.annotation = ast.parse(linked(module, one.annotation), mode="eval").body
    for defaults in (arguments.defaults, arguments.kw_defaults):
        defaults[:] = [default and _plain(module, default) for default in defaults]
    return ast.unparse(arguments)


def _value(module: Module, name: str) -> tuple[Module, ast.expr | None]:
    """Where a constant is written and what it is; None for what is none, or not the course's."""
    where, there = locate(module, name) or (module, "")
    return where, where.defined[there][1] if there else None


def _plain(module: Module, default: ast.expr) -> ast.expr:
    """A default value, or where it is the name of a number or a text, that."""
    value = _value(module, default.id)[1] if isinstance(default, ast.Name) else None
    return value if isinstance(value, ast.Constant) else default


def _read_class(module: Module, node: ast.ClassDef) -> Entry:
    path = _path(module, node.name)
    made, members, fields, defaults = None, {}, {}, {}
    for where, part in _bodies(module, node):
        if isinstance(part, ast.AnnAssign):
            fields.setdefault(part.target.id, linked(where, part.annotation))
            defaults.setdefault(part.target.id, _default(part.value))
        elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
            made = made or _read_function(where, part, path, "method")
            for target in _set_on_self(part):
                fields.setdefault(target, "")
        elif isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
            decorators = {ast.unparse(one).removeprefix("cached_") for one in part.decorator_list}
            kind = next(iter(decorators & {"property", "classmethod", "staticmethod"}), "method")
            members.setdefault(part.name, _read_function(where, part, f"{path}.{part.name}", kind))
    signature, parameters = (made.signature.removesuffix(" -> None"), made.parameters) if made else ("", ())
    if any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        parameters = tuple(defaults)
        signature = f"({', '.join(f'{name}: {fields[name]}{default}' for name, default in defaults.items())})"
    doc = ast.get_docstring(node) or ""
    bases = [f"``{ast.unparse(base)}``" for base in node.bases if not ast.unparse(base).startswith("_")]
    if bases:
        doc = _with_sentence(doc, f"A kind of {' and '.join(bases)}.")
    shown = tuple((name, written) for name, written in fields.items() if not name.startswith("_"))
    return Entry(path, "class", module, node, signature, parameters, doc, tuple(members.values()), shown)


def _bodies(module: Module, node: ast.ClassDef) -> Iterator[tuple[Module, ast.stmt]]:
    """What a class has in its body, then what those of the course's classes have that it inherits from."""
    yield from ((module, part) for part in node.body)
    for base in node.bases:
        place = locate(module, ast.unparse(base))
        if place is not None:
            yield from _bodies(place[0], place[0].defined[place[1]][0])


def _set_on_self(function: ast.FunctionDef) -> Iterator[str]:
    for line in ast.walk(function):
        if isinstance(line, ast.Assign | ast.AnnAssign):
            for target in line.targets if isinstance(line, ast.Assign) else [line.target]:
                for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "self":
                        yield one.attr


def _default(value: ast.expr | None) -> str:
    """What a field of a dataclass is where it is not given, as part of a signature; "" where it must be."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        options = {one.arg: ast.unparse(one.value) for one in value.keywords}
        written = options.get("default") or (
            f"{options['default_factory']}()" if "default_factory" in options else ""
        )
    else:
        written = ast.unparse(value) if value else ""
    return re.sub(r"^(?=.)", " = ", written)
