"""How large is the output of a layer, and which pixels does one of its cells see?

The letters are those of the usual formula, along one axis (height or width):

    n  input size      f  window (kernel) size      p  padding on each side
    s  stride          d  dilation

Everything here is arithmetic on whole numbers and loads no PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from course_utils.arguments import as_whole


def _whole(name: str, value: object, least: int) -> int:
    """``value`` as an int of at least ``least``; a sentence that names the argument otherwise."""
    kind = "number" if isinstance(value, bool) else "whole number"
    advice = f"Give a whole number, {least} or more."
    number = as_whole(value, f"{name} = {value!r} is no {kind}. {advice}")
    if number < least:
        raise ValueError(f"{name} = {number} is too small. {advice}")
    return number


def _window(n: object, f: object, p: object, s: object, d: object) -> tuple[int, ...]:
    """The five numbers that every layer has, checked."""
    return _whole("n", n, 1), _whole("f", f, 1), _whole("p", p, 0), _whole("s", s, 1), _whole("d", d, 1)


def _no_fit(n: int, f: int, p: int, d: int) -> ValueError:
    reach = d * (f - 1) + 1
    window = f"f = {f}" if d == 1 else f"f = {f} with dilation d = {d} reaches over {reach} cells and"
    return ValueError(
        f"No window fits: {window} is longer than the padded input n + 2p = {n} + {2 * p} = {n + 2 * p}. "
        "Make n or p larger, or f or d smaller."
    )


def conv_size(n: int, f: int, p: int = 0, s: int = 1, d: int = 1) -> int:
    """Output size of a convolution along one axis.

    ``floor((n + 2p - d(f - 1) - 1) / s) + 1``; for d = 1 this is ``floor((n + 2p - f) / s + 1)``.

    Args:
        n: input size, at least 1.
        f: window size, at least 1.
        p: cells added on each side, at least 0.
        s: stride, at least 1.
        d: dilation, at least 1; the window then reaches over ``d(f - 1) + 1`` cells.

    Raises:
        TypeError: an argument is no whole number.
        ValueError: an argument is too small, or no window fits into ``n + 2p``.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html; arXiv 1603.07285.
    """
    n, f, p, s, d = _window(n, f, p, s, d)
    room = n + 2 * p - (d * (f - 1) + 1)  # how far the window can travel
    if room < 0:
        raise _no_fit(n, f, p, d)
    return room // s + 1


def pool_size(
    n: int, f: int, p: int = 0, s: int | None = None, d: int = 1, *, ceil_mode: bool = False
) -> int:
    """Output size of a pooling layer along one axis, by PyTorch's rule.

    Without ``ceil_mode`` it is ``conv_size``. With it the division rounds up, so that a last window may hang
    over the right edge; that window is dropped again if it would begin in the padding on the right or
    beyond it, that is if ``(out - 1) s >= n + p``.

    Args:
        n, f, p, d: as in ``conv_size``; p must not exceed half of f.
        s: stride; ``None`` means ``f``, so that windows tile the input.
        ceil_mode: round up instead of down.

    Raises:
        TypeError, ValueError: as ``conv_size``, and for padding of more than half a window.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html.
    """
    n, f, p, s, d = _window(n, f, p, f if s is None else s, d)
    if 2 * p > f:
        raise ValueError(
            f"p = {p} is more than half of the window f = {f}: a window could lie in the padding alone, "
            f"with nothing to pool. Use p = {f // 2} or less."
        )
    room = n + 2 * p - (d * (f - 1) + 1)
    out = (-(-room // s) if ceil_mode else room // s) + 1
    if ceil_mode and (out - 1) * s >= n + p:
        out -= 1
    if out < 1:
        raise _no_fit(n, f, p, d)
    return out


def transposed_conv_size(
    n: int, f: int, p: int = 0, s: int = 1, d: int = 1, *, output_padding: int = 0
) -> int:
    """Output size of a transposed convolution along one axis.

    ``(n - 1) s - 2p + d(f - 1) + output_padding + 1``: ``conv_size`` solved for its n. Several inputs of a
    convolution share one output size when s > 1; ``output_padding`` says which of them is meant.

    Args:
        n, f, s, d: as in ``conv_size``.
        p: cells cut off on each side (the padding of the convolution that is reversed).
        output_padding: cells added on the right; less than s or less than d.

    Raises:
        TypeError, ValueError: as ``conv_size``, and if nothing is left after cutting 2p cells off.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html.
    """
    n, f, p, s, d = _window(n, f, p, s, d)
    extra = _whole("output_padding", output_padding, 0)
    if extra >= max(s, d):
        raise ValueError(
            f"output_padding = {extra} must be less than the stride s = {s} or the dilation d = {d}: "
            f"use {max(s, d) - 1} or less."
        )
    out = (n - 1) * s - 2 * p + d * (f - 1) + extra + 1
    if out < 1:
        raise ValueError(
            f"Nothing is left: the windows spread over {out + 2 * p} cells and p = {p} cuts off {2 * p}. "
            f"Use p = {(out + 2 * p - 1) // 2} or less."
        )
    return out


@dataclass(frozen=True)
class ReceptiveField:
    """What the cells of a map see along one axis of the input.

    Cell i sees pixels ``start + i * stride`` to ``start + i * stride + size - 1``; going one cell to the
    right moves that window by ``stride`` pixels. A map that is the input itself has size 1, stride 1,
    start 0. Each layer on top adds

        size   <- size + d(f - 1) * stride      (f cells, whose windows lie d * stride apart)
        start  <- start - p * stride            (cell 0 begins p cells outside)
        stride <- stride * s

    with the old stride on the right. Source: https://distill.pub/2019/computing-receptive-fields.
    """

    size: int = 1
    stride: int = 1
    start: int = 0

    @classmethod
    def of(cls, layers: Iterable[Mapping[str, int] | Sequence[int]]) -> ReceptiveField:
        """Receptive field after a list of layers, the first layer first.

        Args:
            layers: each a dict such as ``{"f": 3, "p": 1}`` or a tuple in PyTorch's order ``(f, s, p, d)``,
                of which the last entries may be left out (s = 1, p = 0, d = 1).
        """
        field = cls()
        for number, layer in enumerate(layers):
            try:
                field = field.then(**layer) if isinstance(layer, Mapping) else field.then(*layer)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"Layer {number} of the list, {layer!r}: {error} A layer is (f, s, p, d) "
                    "or a dict with some of these letters and f among them."
                ) from None
        return field

    def then(self, f: int, s: int = 1, p: int = 0, d: int = 1) -> ReceptiveField:
        """Receptive field after one more layer; p counts the cells added before the first one."""
        _, f, p, s, d = _window(1, f, p, s, d)
        return ReceptiveField(
            size=self.size + d * (f - 1) * self.stride,
            stride=self.stride * s,
            start=self.start - p * self.stride,
        )

    def join(self, other: ReceptiveField) -> ReceptiveField:
        """Receptive field where two branches meet: the smallest window that covers both.

        Raises:
            ValueError: the branches have different strides, so that their windows drift apart.
        """
        if self.stride != other.stride:
            raise ValueError(
                f"Branches with strides {self.stride} and {other.stride} have no common window. "
                "Join maps whose cells are equally far apart."
            )
        start = min(self.start, other.start)
        stop = max(self.start + self.size, other.start + other.size)
        return ReceptiveField(size=stop - start, stride=self.stride, start=start)

    def interval(self, i: int, n: int | None = None) -> tuple[int, int]:
        """Pixels ``(first, stop)`` that cell ``i`` sees, half-open as in ``row[first:stop]``.

        Without ``n`` the window as computed, which may begin before pixel 0 and end beyond the input. With
        the input size ``n`` it is clipped to ``0 ... n``; a window wholly in the padding gives an empty
        interval. An interval inside the input is exact from its first to its last pixel (dilation leaves
        holes between); a clipped one can hold a few pixels that no cell reads, where a stride skips the
        last ones or a layer pads by more than its window.
        """
        i = _whole("i", i, 0)
        first = self.start + i * self.stride
        stop = first + self.size
        if n is None:
            return first, stop
        n = _whole("n", n, 1)
        first = min(max(first, 0), n)
        return first, max(first, min(stop, n))

    def center(self, i: int) -> float:
        """Middle of the window of cell ``i``, in pixels whose centers lie at 0, 1, 2, ..."""
        return self.start + _whole("i", i, 0) * self.stride + (self.size - 1) / 2
