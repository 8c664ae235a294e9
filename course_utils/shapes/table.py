"""The rows of ``shapes.trace_shapes`` and how they print. Needs no PyTorch."""

from __future__ import annotations

import html
from dataclasses import dataclass

from .sizes import ReceptiveField

Fields = tuple[ReceptiveField, ReceptiveField] | None  # along height and width; None: no common window
Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How a layer slides, along (height, width); ``p`` holds the padding (before, after) of each."""

    f: Pair
    s: Pair
    p: tuple[Pair, Pair]
    d: Pair


@dataclass(frozen=True)
class ShapeRow:
    """One call of one leaf module. ``fields`` are the receptive fields along height and width."""

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: Window | None
    fields: Fields

    @property
    def receptive_field(self) -> int | Pair | None:
        """Pixels that one cell sees: a number, a pair if height and width differ, None if there is none."""
        return _short(tuple(field.size for field in self.fields)) if self.fields else None

    @property
    def stride(self) -> int | Pair | None:
        """Pixels between neighboring cells, in the same form."""
        return _short(tuple(field.stride for field in self.fields)) if self.fields else None

    def cells(self) -> list[str]:
        """The row as the texts of the table's columns."""
        shapes = [_text(shape[1:]) for shape in (self.input_shape, self.output_shape)]
        letters = ["", "", "", ""]
        if self.window is not None:
            padding = tuple(f"{a}" if a == b else f"{a}|{b}" for a, b in self.window.p)
            letters = [_text(_short(x)) for x in (self.window.f, self.window.s, padding, self.window.d)]
        seen = ["–" if x is None else _text(x) for x in (self.receptive_field, self.stride)]
        return [self.name, self.kind, *shapes, *letters, *seen]


def _short(pair: tuple) -> object:
    """One value instead of two equal ones."""
    return pair[0] if len(set(pair)) == 1 else pair


def _text(value: object) -> str:
    return "×".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


class ShapeTrace(list[ShapeRow]):
    """The rows of ``trace_shapes``; a list that prints as a table."""

    columns = ("layer", "kind", "input", "output", "f", "s", "p", "d", "sees", "stride")

    def windows(self) -> ShapeTrace:
        """Only the layers that slide a window: convolutions and pooling."""
        return ShapeTrace(row for row in self if row.window is not None)

    def __getitem__(self, index):
        """A row; its name finds it too; a slice is again a table."""
        if isinstance(index, str):
            for row in self:
                if row.name == index:
                    return row
            names = ", ".join(dict.fromkeys(row.name for row in self))
            raise KeyError(f"No layer {index!r} ran. The layers that did: {names}.")
        found = super().__getitem__(index)
        return ShapeTrace(found) if isinstance(index, slice) else found

    def __str__(self) -> str:
        """Columns aligned with spaces; shapes without the batch dimension, p as before|after if uneven."""
        lines = [list(self.columns), *(row.cells() for row in self)]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.columns))]
        texts = [
            "  ".join(
                text.ljust(width) if c < 2 else text.rjust(width)
                for c, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row.cells()) + "</tr>"
            for row in self
        )
        note = (
            "Shapes without the batch dimension; what a cell sees, and its stride, in input pixels; "
            "p as before|after where uneven."
        )
        return f"<table><caption>{note}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
