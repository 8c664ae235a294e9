"""Pages about the package: each room with its public names, their signatures and what their docstrings say.

Docstrings are plain text in Google's form, not reStructuredText: in ``F' = F - <F - m, u> u`` or ``d_+`` nothing is
markup. So they are written as Markdown with all that Markdown would take for markup escaped; Sphinx's Python domain
makes the signatures, the anchors and the entries for the search.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from course_utils.authoring import blob_address

from .sources import Entry, Face, Module, find_module, public_path, read_face, room_names, room_of

__all__ = ["FLOORS", "SETTINGS", "reference_anchor", "reference_pages"]

SETTINGS = {
    "add_module_names": False,
    "python_maximum_signature_line_length": 60,
    "smartquotes": False,
    "toc_object_entries_show_parents": "hide",
}
"""What these pages want of Sphinx's conf.py: short names; a parameter a line, where a phone is too narrow for one line;
quotation marks and two hyphens stay as they were written."""
FLOORS = (
    ("The methods", ("explain", "shapes")),
    ("What they are tried on", ("pictures", "networks")),
    ("What is shown, and what is claimed", ("show", "evidence")),
    (
        "What one or two notebooks need",
        ("localization", "segmentation", "failures", "attacks", "backgrounds", "xray", "language"),
    ),
    ("What a learner works with", ("playground", "widgets", "exercises")),
    ("For authors and lecturers", ("authoring", "classroom", "website")),
)
"""The rooms in the order in which they build upon each other, and what the rooms of a floor have in common."""
FLOORS_SENTENCE = """The package `course_utils` is a house of rooms. A name has one path, its room's: \
`from course_utils.explain import grad_cam`. A room builds on those above it in this list, never on those below."""
MAX_VALUE_LINES = 16  # of a constant's source
HEADINGS = {
    "Args": "Parameters",
    "Attributes": "Fields",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
}
SECTION = re.compile(rf"^({'|'.join(HEADINGS)}):$", re.M)
_ENTRY = re.compile(r"(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): ")
_ITEM = re.compile(r"([-*]|\d+\.) +(?=\S)")
_INLINE = re.compile(
    r":(?:func|class|data|mod|meth|attr):`~?(?P<role>[\w.]+)`"
    r"|``(?P<code>.+?)``|`(?P<short>[^`]+)`"
    r"|(?<![\w*])(?P<stars>\*\*?)(?P<stressed>[A-Za-z][a-z]{2,}(?:[ -][A-Za-z]+)*\.?)(?P=stars)(?![\w*])"
    r"|(?P<address>https?://[^\s,;)]*[^\s,;).:])"
    r"|(?P<arxiv>arXiv[ :](?P<number>\d{4}\.\d{4,5}))"
)
_README_ROW = re.compile(r"^\| \[`(\w+)/`\]\([^)]*\) \| (.*?) \| (.*?) \| [\d,]+ \|$", re.M)


def reference_anchor(path: str) -> str:
    """Return the address of a name's entry from the site's front page.

    Args:
        path: "course_utils.explain.grad_cam"; of a method "course_utils.explain.Explanation.heatmaps".

    Raises:
        ValueError: no page has it.
    """
    if path not in _entries():
        raise ValueError(f'"{path}" has no entry in the reference; such are course_utils.ROOM.NAME.')
    return f"reference/{room_of(path)}.html#{path}"


@cache
def _entries() -> set[str]:
    """The paths of all entries, methods and properties included."""
    entries = [entry for room in room_names() for _, part in read_face(room).parts for entry in part]
    return {one.path for entry in entries for one in (entry, *entry.members)}


def reference_pages(root: Path) -> dict[str, str]:
    """Return the pages, as MyST Markdown: "index", and one for each room, such as "explain".

    Args:
        root: the course's folder, whose README says what the rooms are for.
    """
    link = (blob_address(root) or "").rstrip("/")
    readme = (root / "README.md").read_text(encoding="utf-8")
    rows = {room: (what, notebooks) for room, what, notebooks in _README_ROW.findall(readme)}
    order = [room for _, rooms in FLOORS for room in rooms]
    rooms = sorted(room_names(), key=lambda room: order.index(room.partition(".")[0]))
    pages = {"index": _overview(root, rows, rooms)}
    for room in rooms:
        notebooks = rows[room][1] if room in rows else "none"
        pages[room] = "\n".join(_page(read_face(room), _notebook_links(root, notebooks), link))
    return pages


def _overview(root: Path, rows: dict[str, tuple[str, str]], pages: list[str]) -> str:
    lines = ["# Reference", "", FLOORS_SENTENCE]
    for title, rooms in FLOORS:
        lines += ["", f"## {title}", ""]
        for room in rooms:
            what, notebooks = rows[room]
            lines += [f"- [{room}]({room}.md): {what}. {_notebook_links(root, notebooks)}"]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *pages, "```", ""])


def _notebook_links(root: Path, text: str) -> str:
    """What the README says of a room's notebooks, "02 to 07, 10", as a sentence in which each number is a link."""
    if text == "none":
        return ""
    names = {path.stem[:2]: path.stem for path in (root / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    links = re.sub(r"\d\d", lambda found: f"{{doc}}`{found[0]} </notebooks/{names[found[0]]}>`", text)
    return f"{'Notebook' if re.fullmatch('[0-9]+', text) else 'Notebooks'}: {links}."


def _page(face: Face, notebooks: str, link: str) -> Iterator[str]:
    path = f"course_utils.{face.name}"
    module = find_module(path)
    yield f"# {face.name}\n\n```{{py:module}} {path}\n```\n"
    yield from blocks(module, face.doc)
    yield f"\n{notebooks}"
    for module, entries in face.parts:
        yield f"\n({_label(module)})=\n## {module.name.removeprefix(path + '.')}\n"
        yield from blocks(module, module.doc)
        if link:
            yield f"\n[Source]({link}/{'/'.join(module.name.split('.'))}.py)"
        for entry in entries:
            yield from _entry(entry)


@cache
def _sections() -> set[str]:
    """The modules that have a section on the page of their room."""
    return {module.name for room in room_names() for module, _ in read_face(room).parts}


def _label(module: Module) -> str:
    return f"reference-{module.name.removeprefix('course_utils.').replace('.', '-')}"


def _entry(entry: Entry, depth: int = 0) -> Iterator[str]:
    fence = "`" * (7 - 2 * depth)
    kind = {"classmethod": "method", "staticmethod": "method"}.get(entry.kind, entry.kind)
    parent = entry.path.rpartition(".")[0]
    module = parent.rpartition(".")[0] if depth else parent
    signature = "" if entry.kind in ("property", "data") else entry.signature
    shown = entry.path.removeprefix(f"{module}.")
    yield f"\n{fence}{{py:{kind}}} {shown}{signature}\n:module: {module}"
    if kind != entry.kind:
        yield f":{entry.kind}:"
    value = _value(entry) if kind == "data" else []
    if entry.signature and not signature:
        yield f":type: {json.dumps(entry.signature, ensure_ascii=False)}"
    if len(value) == 1:
        yield f":value: {json.dumps(value[0], ensure_ascii=False)}"
    yield ""
    if kind == "class" and module.count(".") > 1 and room_of(entry.path) != module.partition(".")[2]:
        yield "Comes back from functions of this room; it is not imported.\n"
    yield from _docstring(entry)
    if len(value) > 1:
        yield "\n".join(["", "```python", *value, "```"])
    for member in entry.members:
        yield from _entry(member, depth + 1)
    yield fence


def _value(entry: Entry) -> list[str]:
    """A constant's value as it is written, in as many lines; the first ones if it is long."""
    lines = (ast.get_source_segment(entry.module.source, entry.node, padded=True) or "").splitlines()
    lines = textwrap.dedent("\n".join(lines)).splitlines()
    return lines if len(lines) <= MAX_VALUE_LINES else [*lines[:MAX_VALUE_LINES], "..."]


def _docstring(entry: Entry) -> Iterator[str]:
    text, *sections = SECTION.split(entry.doc)
    yield from blocks(entry.module, text, entry)
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        inside, *after = re.split(r"\n(?=\S)", body.strip("\n"), maxsplit=1)
        yield f"\n**{HEADINGS[title]}**\n"
        text = textwrap.dedent(inside)
        yield from (
            blocks(entry.module, text, entry) if title in ("Returns", "Yields") else _list(entry, text)
        )
        for rest in after:
            yield from blocks(entry.module, rest, entry)


def _list(entry: Entry, text: str) -> Iterator[str]:
    """Parameters, fields or errors: an item each, whose further lines are indented."""
    for item in re.split(r"\n(?=\S)", text):
        head, _, more = item.partition("\n")
        found = _ENTRY.match(head)
        names = ", ".join(f"`{name}`" for name in found[1].split(", ")) + ": " if found else ""
        words = "\n".join([head[found.end() :] if found else head, textwrap.dedent(more)])
        body = names + "\n".join(blocks(entry.module, words, entry)).lstrip("\n")
        yield "- " + textwrap.indent(body, "  ").lstrip()


def blocks(module: Module, text: str, entry: Entry | None = None) -> Iterator[str]:
    """A docstring's paragraphs, lists, indented lines and sessions, each as Markdown; sections are not looked for.

    Args:
        module: where names are looked up.
        text: without indentation.
        entry: whose docstring it is; none for that of a face, in which public names are links.
    """
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith(">>>"):
            yield f"\n```pycon\n{block}\n```"
        elif block.startswith("    "):
            yield f"\n```text\n{textwrap.dedent(block)}\n```"
        elif block:
            yield ""
            for item in re.split(r"\n(?=\S)", block) if _ITEM.match(block) else [block]:
                mark = _ITEM.match(item)
                words = " ".join(item[mark.end() :].split()) if mark else " ".join(item.split())
                yield (mark[0] if mark else "") + _inline(module, words, entry)


def _inline(module: Module, text: str, entry: Entry | None) -> str:
    """Plain text with roles, code in backticks, stressed words, addresses and arXiv numbers, as Markdown."""
    made, end = [], 0
    for found in _INLINE.finditer(text):
        made += [_escaped(text[end : found.start()], start=end == 0)]
        code = found["code"] or found["short"]
        if found["role"]:
            made += [_reference(module, found["role"], entry)]
        elif code:
            is_name = entry is None and re.fullmatch(r"[\w.]+", code)
            made += [_reference(module, code, None) if is_name else f"`{code}`"]
        elif found["stars"]:
            made += [found[0]]
        elif found["address"]:
            made += [f"<{found['address']}>"]
        else:
            made += [f"[{found['arxiv']}](https://arxiv.org/abs/{found['number']})"]
        end = found.end()
    return "".join([*made, _escaped(text[end:], start=end == 0)])


def _escaped(text: str, start: bool) -> str:
    """Text in which nothing is markup; at the start of a paragraph, "3." and "-" are no list either."""
    text = re.sub(r"([\\`*_{}\[\]<>|~$#&!^=+:@-])", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", text) if start else text


def _reference(module: Module, name: str, entry: Entry | None) -> str:
    """A name as a link to its entry, or to a room or its part; as code where it has neither."""
    owner = entry.owner if entry else ""
    for candidate in (f"{owner}.{name}",) * bool(owner) + (name,):
        path = public_path(module, candidate)
        if path:
            return f"{{py:obj}}`{name.rpartition('.')[2]} <{path}>`"
    found = find_module(name) or find_module(f"{module.name}.{name}")
    if found and found.name.partition(".")[2] in room_names():
        return f"{{py:mod}}`{name} <{found.name}>`"
    if found and found.name in _sections():
        return f"[`{name}`](#{_label(found)})"
    return f"`{name}`"
