"""The diagrams show the cells that PyTorch really reads: counted among what was drawn."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from torch import ones
from torch.nn.functional import conv1d, conv2d, conv_transpose1d, max_pool1d, pad

from course_utils.show import ACTIVATIONS, WEIGHTS, draw_grids, draw_pyramid, draw_sliding, draw_transposed


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def cells(figure, color):
    """(column, line) of all cells of a color, the line rounded."""
    return [
        (round(patch.get_x() - 0.04), round(patch.get_y(), 2))
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle) and patch.get_facecolor() == to_rgba(color)
    ]


def hatched(figure):
    """(column, line) of all hatched cells, the line rounded down."""
    patches = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]
    return {(round(p.get_x() - 0.04), int(p.get_y())) for p in patches}


def lines_of(figure, color):
    """The columns of the cells of a color, line by line from the top."""
    found = {}
    for column, line in cells(figure, color):
        found.setdefault(line, []).append(column)
    return [sorted(found[line]) for line in sorted(found)]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("n", "f", "p", "s", "d"),
    [
        (7, 3, 0, 1, 1),
        (8, 3, 0, 2, 1),
        (5, 3, 1, 1, 1),
        (9, 3, 1, 2, 2),
        (4, 1, 3, 2, 1),
        (5, 5, 0, 1, 1),
        (14, 3, 3, 3, 1),
    ],
)
def test_sliding_windows_are_where_the_gradient_is(n, f, p, s, d):
    figure = draw_sliding(n, f, p, s, d)
    row = ones(1, 1, n + 2 * p, requires_grad=True)  # the padded row, so that padding has a gradient too
    out = conv1d(row, ones(1, 1, f), stride=s, dilation=d)
    drawn = lines_of(figure, WEIGHTS)
    assert len(drawn) == out.shape[-1]
    for i, window in enumerate(drawn):
        row.grad = None
        out[0, 0, i].backward(retain_graph=True)
        assert window == [x - p for x in row.grad[0, 0].nonzero().flatten().tolist()]
    assert f"output, {out.shape[-1]}" in texts(figure)
    assert texts(figure).count("p") == 2 * p
    read = {x for window in drawn for x in window}
    blue = {column for column, line in cells(figure, ACTIVATIONS) if line == 0}
    assert blue == read & set(range(n))
    assert hatched(figure) == {(x, 0) for x in range(-p, n + p) if x not in read}


def test_pooling_windows_may_hang_over():
    figure = draw_sliding(6, 3, s=2, pool=True, ceil_mode=True)
    assert lines_of(figure, WEIGHTS) == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert max_pool1d(ones(1, 1, 6), 3, 2, ceil_mode=True).shape[-1] == 3
    figure = draw_sliding(5, 2, p=1, s=3, pool=True, ceil_mode=True)
    assert lines_of(figure, WEIGHTS) == [[-1, 0], [2, 3]]


@pytest.mark.parametrize(
    ("n", "f", "p", "s", "extra"), [(3, 3, 0, 2, 0), (3, 3, 1, 2, 1), (2, 2, 0, 3, 2), (4, 1, 0, 1, 0)]
)
def test_transposed_windows_are_where_the_values_are(n, f, p, s, extra):
    figure = draw_transposed(n, f, p, s, output_padding=extra)
    out = conv_transpose1d(ones(1, 1, n), ones(1, 1, f), stride=s, padding=p, output_padding=extra)
    windows = lines_of(figure, WEIGHTS)
    assert len(windows) == n
    counts = [sum(x in window for window in windows) for x in range(out.shape[-1])]
    assert counts == out[0, 0].int().tolist()
    assert f"output, {out.shape[-1]}" in texts(figure)
    assert max(cells(figure, ACTIVATIONS))[0] == out.shape[-1] - 1


def test_the_pyramid_shows_what_a_cell_sees():
    layers = [(3, 1), (3, 2), (3, 1)]
    row = ones(1, 1, 15, requires_grad=True)
    maps = [row]
    for f, s in layers:
        maps.append(conv1d(maps[-1], ones(1, 1, f), stride=s))
        maps[-1].retain_grad()
    maps[-1][0, 0, 2].backward()
    expected = [int(m.grad[0, 0].count_nonzero()) for m in reversed(maps[:-1])]
    blue = lines_of(draw_pyramid(layers, 15, 2), ACTIVATIONS)
    assert [len(line) for line in blue] == [1, *expected] == [1, 3, 7, 9]


def test_the_grid_shows_each_axis():
    figure = draw_grids(5, 7, (3, 2), s=2, p=1)
    assert "output, 3 × 4" in texts(figure)
    assert {"0,0", "2,3"} <= set(texts(figure))
    assert "3,0" not in texts(figure)


@pytest.mark.parametrize(("height", "width", "f", "s", "p"), [(5, 7, (3, 2), 2, 1), (6, 5, (2, 1), 3, 2)])
def test_the_grid_hatches_what_no_window_reads(height, width, f, s, p):
    padded = pad(ones(1, 1, height, width), (p, p, p, p)).requires_grad_()
    conv2d(padded, ones(1, 1, *f), stride=s).sum().backward()
    unread = (padded.grad[0, 0] == 0).nonzero().tolist()
    assert unread
    assert hatched(draw_grids(height, width, f, s, p)) == {(x - p, y) for y, x in unread}


@pytest.mark.parametrize("n", [1, 7, 14, 40])
def test_figures_are_at_most_ten_inches_wide(n):
    for figure in (draw_sliding(n, 1), draw_transposed(n, 1), draw_pyramid([(1, 1)], n, 0)):
        assert figure.get_figwidth() <= 10.01
