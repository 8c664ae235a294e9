"""Follow shapes and receptive fields through a running network, and list its layers as a table.

Receptive fields travel with the tensors. While the model runs, every PyTorch function that it calls is intercepted:
convolution, pooling and padding change the fields of their output by the rule in ``ReceptiveField``, functions that
keep height and width join the fields of their inputs. So the result does not depend on how a model is written:
functional calls, padding inside a layer and skip connections all count.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from course_utils.explain import Intercepted, evaluation_mode, hooked

from .sizes import ReceptiveField

Fields = tuple[ReceptiveField, ReceptiveField] | None  # along height and width; None: no common window
Pair = tuple[int, int]
Sides = int | Iterable[int]  # PyTorch takes one number, or one for each of height and width


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

    def __getitem__(self, index: int | slice | str) -> ShapeRow | ShapeTrace:
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


def _pair(value: int | Iterable[int]) -> Pair:
    if isinstance(value, int):
        return value, value
    values = tuple(int(v) for v in value)
    return (values[0], values[0]) if len(values) == 1 else values


def _even(p: int | Iterable[int]) -> tuple[Pair, Pair]:
    return tuple((side, side) for side in _pair(p))


# Each takes the arguments of the PyTorch function of that name, so that positions and keywords both work.
def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = 1,
    padding: Sides | str = 0,
    dilation: Sides = 1,
    groups: int = 1,
) -> Window:
    f, d = tuple(weight.shape[-2:]), _pair(dilation)
    if padding == "same":  # PyTorch puts the odd cell after
        total = [d[a] * (f[a] - 1) for a in (0, 1)]
        p = tuple((t // 2, t - t // 2) for t in total)
    else:
        p = _even(0 if padding == "valid" else padding)
    return Window(f, _pair(stride), p, d)


def _max_pool2d(
    input: Tensor,
    kernel_size: Sides,
    stride: Sides | None = None,
    padding: Sides = 0,
    dilation: Sides = 1,
    *args: object,
    **kwargs: object,
) -> Window:
    f = _pair(kernel_size)
    return Window(f, _pair(stride) if stride else f, _even(padding), _pair(dilation))


def _avg_pool2d(
    input: Tensor,
    kernel_size: Sides,
    stride: Sides | None = None,
    padding: Sides = 0,
    *args: object,
    **kwargs: object,
) -> Window:
    return _max_pool2d(input, kernel_size, stride, padding)


def _adaptive_pool2d(input: Tensor, output_size: Sides, *args: object, **kwargs: object) -> Window | None:
    """The windows are alike only if the output size divides the input size."""
    sizes = _pair(output_size) if isinstance(output_size, int) else tuple(output_size)
    shape = tuple(input.shape[-2:])
    out = tuple(n if o is None else o for n, o in zip(shape, sizes, strict=True))
    if any(n % o for n, o in zip(shape, out, strict=True)):
        return None
    f = tuple(n // o for n, o in zip(shape, out, strict=True))
    return Window(f, f, _even(0), (1, 1))


_WINDOWS = {
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "max_pool2d_with_indices": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_pool2d,
    "adaptive_max_pool2d": _adaptive_pool2d,
    "adaptive_max_pool2d_with_indices": _adaptive_pool2d,
}
# These may return a map of the same size whose cells have moved or been mixed.
_MIXING = {"matmul", "bmm", "permute", "roll", "flip", "interpolate", "scaled_dot_product_attention"}


def _tensors(values: object) -> Iterable[torch.Tensor]:
    """All tensors in nested tuples and lists of arguments or results."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


class _Follow:
    """Give each tensor that a function returns the receptive fields of its cells."""

    def __init__(self) -> None:
        self.enter()

    def enter(self) -> None:
        """A leaf module begins: what it pads and slides belongs to its row."""
        self.window: Window | None = None
        self._padded = _even(0)

    def answer(self, func: Callable, name: str, args: tuple, kwargs: dict) -> object:
        """Call the function; what it returns takes its fields from the tensors among the arguments."""
        inputs = [t for t in _tensors((*args, *kwargs.values())) if hasattr(t, "_fields_seen")]
        sizes = [(t.shape[-2:], t._fields_seen) for t in inputs]  # before func: it may work in place
        result = func(*args, **kwargs)
        for tensor in _tensors(result) if inputs else ():
            tensor._fields_seen = self._fields(name, sizes, tensor, args, kwargs)
        return result

    def _fields(self, name: str, sizes: list, output: torch.Tensor, args: tuple, kwargs: dict) -> Fields:
        fields = sizes[0][1]
        if name in _WINDOWS:
            window = _WINDOWS[name](*args, **kwargs)
            if window is None:
                return None
            padded = tuple((a + c, b + d) for (a, b), (c, d) in zip(self._padded, window.p, strict=True))
            self.window = Window(window.f, window.s, padded, window.d)
            return _slide(fields, window)
        if name == "pad":
            return self._pad(fields, *args, **kwargs)
        alike = output.dim() > 2 and all(size == output.shape[-2:] for size, _ in sizes)
        if name in _MIXING or not alike:
            return None
        return _join([field for _, field in sizes])

    def _pad(
        self, fields: Fields, input: Tensor, pad: Sequence[int], *args: object, **kwargs: object
    ) -> Fields:
        left, right, top, bottom = (*pad, 0, 0, 0, 0)[:4]  # F.pad counts from the last axis
        self._padded = ((top, bottom), (left, right))
        if fields is None:
            return None
        return tuple(  # not ReceptiveField.then: F.pad with negative numbers cuts cells off
            replace(field, start=field.start - before * field.stride)
            for field, before in zip(fields, (top, left), strict=True)
        )


def _slide(fields: Fields, window: Window) -> Fields:
    if fields is None:
        return None
    return tuple(
        field.then(window.f[a], window.s[a], window.p[a][0], window.d[a]) for a, field in enumerate(fields)
    )


def _join(found: list[Fields]) -> Fields:
    if any(fields is None for fields in found):
        return None
    joined = found[0]
    for fields in found[1:]:
        if any(a.stride != b.stride for a, b in zip(joined, fields, strict=True)):
            return None
        joined = tuple(a.join(b) for a, b in zip(joined, fields, strict=True))
    return joined


def trace_shapes(model: torch.nn.Module, x: torch.Tensor) -> ShapeTrace:
    """Run ``model`` on ``x`` once and list its layers in the order in which they ran.

    One row for each call of a leaf module (one without submodules): name, kind, input and output shape,
    f, s, p, d if it slides a window, and receptive field and stride of a cell of its output, in pixels of
    ``x``. The list prints as a table, in a notebook as an HTML table.

    Padding is taken as it happens while the model runs, so uneven padding (TensorFlow's "same") comes out
    right. Where branches meet, by addition or concatenation, a cell gets the smallest window that covers
    both. After an operation that gives the cells no common window size (flattening, global pooling,
    upsampling, attention, a product with a globally pooled map) both columns show a dash.

    Args:
        model: any network for images; train or eval mode, left as it was. It runs in eval mode.
        x: ``(N, C, H, W)``, floating point; not changed.

    Raises:
        TypeError, ValueError: ``model`` is no module or ``x`` no batch of images.
        RuntimeError: the model failed; the sentence names the layer and the shape it was given.
    """
    _check(model, x)
    rows = ShapeTrace()
    follow = _Follow()
    names = {module: name for name, module in model.named_modules() if not any(module.children())}
    running: list[tuple[torch.nn.Module, tuple[int, ...]]] = []  # the leaf that is at work, if any

    def begin(module: torch.nn.Module, inputs: tuple) -> None:
        follow.enter()
        running.append((module, _shape(inputs)))

    def end(module: torch.nn.Module, inputs: tuple, output: object) -> None:
        _, input_shape = running.pop()
        tensor = next(iter(_tensors(output)), None)
        fields = getattr(tensor, "_fields_seen", None)
        name, kind = names[module] or "(model)", type(module).__name__
        rows.append(ShapeRow(name, kind, input_shape, _shape(output), follow.window, fields))

    try:
        start = x.detach().clone()  # a first layer may work in place
        start._fields_seen = (ReceptiveField(), ReceptiveField())
        # In evaluation mode no batch statistics are updated and nothing is dropped.
        with evaluation_mode(model), hooked(names, end, begin), torch.no_grad(), Intercepted(follow.answer):
            model(start)
    except Exception as error:
        where = ""
        if running:
            module, shape = running[-1]
            name, kind = names[module] or "(model)", type(module).__name__
            where = f" in {name} ({kind}), which was given the shape {shape}"
        raise RuntimeError(
            f"The network failed on an input of shape {tuple(x.shape)}{where}: {error} "
            "Give it the input size and the number of channels that it is made for."
        ) from error
    return rows


def _check(model: object, x: object) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}. Give a torch.nn.Module.")
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"x is a {type(x).__name__}. Give a batch of images, such as torch.zeros(1, 3, 224, 224)."
        )
    if x.dim() != 4 or 0 in x.shape:
        raise ValueError(
            f"x has the shape {tuple(x.shape)}. Give a batch of images (N, C, H, W); "
            "one image (C, H, W) becomes a batch by x[None]."
        )
    if not x.is_floating_point():
        raise TypeError(f"x holds {x.dtype}. Give floating-point numbers: x.float().")


def _shape(values: object) -> tuple[int, ...]:
    """Shape of the first tensor among arguments or results."""
    return next((tuple(tensor.shape) for tensor in _tensors(values)), ())
