"""The explorer of notebook 01: what n, f, p, s and d do to the windows on a row and to their number."""

from __future__ import annotations

from matplotlib.figure import Figure

from course_utils.shapes import conv_size
from course_utils.show import draw_sliding

from .explorer import Explorer, slider

__all__ = ["output_size_explorer"]


def output_size_explorer() -> Explorer:
    """Return sliders for input size, window, padding, stride and dilation over a drawing of all windows."""
    return Explorer(
        _draw,
        n=slider("input size n", 1, 14, 7),
        f=slider("window f", 1, 7, 3),
        p=slider("padding p", 0, 3, 0),
        s=slider("stride s", 1, 5, 1),
        d=slider("dilation d", 1, 3, 1),
    )


def _draw(n: int, f: int, p: int, s: int, d: int) -> tuple[Figure, str]:
    out = conv_size(n, f, p, s, d)
    reach = d * (f - 1) + 1
    room = n + 2 * p - reach
    words = (
        f"n = {n}, f = {f}, p = {p}, s = {s}, d = {d}: a window reaches over {reach} of the "
        f"{n + 2 * p} cells of the padded row, so it can move by {room}; in steps of {s} that is "
        f"floor({room} / {s}) + 1 = {out} {'position' if out == 1 else 'positions'}."
    )
    read = {i * s - p + k * d for i in range(out) for k in range(f)}
    missed = [str(x) for x in range(n) if x not in read]
    if missed:
        words += f" No window reads {'cell' if len(missed) == 1 else 'cells'} {', '.join(missed)}."
    unused = sum(x not in read for x in (*range(-p, 0), *range(n, n + p)))
    if unused:
        words += (
            f" {unused} of the {2 * p} cells of padding are read by no window{' either' if missed else ''}."
        )
    return draw_sliding(n, f, p, s, d), words
