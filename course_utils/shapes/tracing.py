"""The engine of ``shapes.trace_shapes``: follow shapes and receptive fields through a running network.

Receptive fields travel with the tensors. While the model runs, every PyTorch function that it calls is
seen by a ``TorchFunctionMode``: convolution, pooling and padding change the fields of their output by the
rule in ``ReceptiveField``, functions that keep height and width join the fields of their inputs. So the
result does not depend on how a model is written: functional calls, padding inside a layer and skip
connections all count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch.overrides import TorchFunctionMode

from .sizes import ReceptiveField
from .table import Fields, Pair, ShapeRow, ShapeTrace, Window


def _pair(value: int | Iterable[int]) -> Pair:
    if isinstance(value, int):
        return value, value
    values = tuple(int(v) for v in value)
    return (values[0], values[0]) if len(values) == 1 else values


def _even(p: int | Iterable[int]) -> tuple[Pair, Pair]:
    return tuple((side, side) for side in _pair(p))


# Each takes the arguments of the PyTorch function of that name, so that positions and keywords both work.
def _conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Window:
    f, d = tuple(weight.shape[-2:]), _pair(dilation)
    if padding == "same":  # PyTorch puts the odd cell after
        total = [d[a] * (f[a] - 1) for a in (0, 1)]
        p = tuple((t // 2, t - t // 2) for t in total)
    else:
        p = _even(0 if padding == "valid" else padding)
    return Window(f, _pair(stride), p, d)


def _max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, *args, **kwargs) -> Window:
    f = _pair(kernel_size)
    return Window(f, _pair(stride) if stride else f, _even(padding), _pair(dilation))


def _avg_pool2d(input, kernel_size, stride=None, padding=0, *args, **kwargs) -> Window:
    return _max_pool2d(input, kernel_size, stride, padding)


def _adaptive_pool2d(input, output_size, *args, **kwargs) -> Window | None:
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


class _Follow(TorchFunctionMode):
    """Give each tensor that a function returns the receptive fields of its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.enter()

    def enter(self) -> None:
        """A leaf module begins: what it pads and slides belongs to its row."""
        self.window: Window | None = None
        self._padded = _even(0)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        inputs = [t for t in _tensors((*args, *kwargs.values())) if hasattr(t, "_fields_seen")]
        sizes = [(t.shape[-2:], t._fields_seen) for t in inputs]  # before func: it may work in place
        result = func(*args, **kwargs)
        if not inputs:
            return result
        name = getattr(func, "__name__", "")
        for tensor in _tensors(result):
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

    def _pad(self, fields: Fields, input, pad, *args, **kwargs) -> Fields:
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


def trace(model: torch.nn.Module, x: torch.Tensor) -> ShapeTrace:
    """See ``shapes.trace_shapes``."""
    _check(model, x)
    rows = ShapeTrace()
    follow = _Follow()
    running: list[tuple[str, torch.nn.Module, tuple[int, ...]]] = []  # the leaf that is at work, if any

    def begin(name):
        def hook(module, inputs):
            follow.enter()
            running.append((name, module, _shape(inputs)))

        return hook

    def end(module, inputs, output):
        name, _, input_shape = running.pop()
        tensor = next(iter(_tensors(output)), None)
        fields = getattr(tensor, "_fields_seen", None)
        rows.append(ShapeRow(name, type(module).__name__, input_shape, _shape(output), follow.window, fields))

    leaves = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    training = {module: module.training for module in model.modules()}
    handles = []
    try:
        for name, module in leaves:
            handles.append(module.register_forward_pre_hook(begin(name or "(model)")))
            handles.append(module.register_forward_hook(end))
        model.eval()  # no batch statistics are updated and nothing is dropped
        start = x.detach().clone()  # a first layer may work in place
        start._fields_seen = (ReceptiveField(), ReceptiveField())
        with torch.no_grad(), follow:
            model(start)
    except Exception as error:
        where = ""
        if running:
            name, module, shape = running[-1]
            where = f" in {name} ({type(module).__name__}), which was given the shape {shape}"
        raise RuntimeError(
            f"The network failed on an input of shape {tuple(x.shape)}{where}: {error} "
            "Give it the input size and the number of channels that it is made for."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
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
