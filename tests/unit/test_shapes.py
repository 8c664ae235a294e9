"""``shapes`` against PyTorch itself: every size from a real layer, every receptive field from gradients."""

import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils.shapes import (
    ReceptiveField,
    ShapeTrace,
    conv_size,
    pool_size,
    trace_shapes,
    transposed_conv_size,
)


# ---------------------------------------------------------------- sizes
def torch_or_none(function, *args, **kwargs):
    """Length of PyTorch's output, or None where PyTorch refuses the setting."""
    try:
        return function(*args, **kwargs).shape[-1]
    except RuntimeError:
        return None


def ours_or_none(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except ValueError:
        return None


def test_conv_size_equals_pytorch_on_a_grid():
    tried = 0
    for n in range(1, 15):
        for f in range(1, 6):
            kernel = torch.ones(1, 1, f)
            for p in range(4):
                for s in range(1, 4):
                    for d in range(1, 4):
                        expected = torch_or_none(
                            F.conv1d, torch.ones(1, 1, n), kernel, padding=p, stride=s, dilation=d
                        )
                        assert ours_or_none(conv_size, n, f, p, s, d) == expected, (n, f, p, s, d)
                        tried += 1
    assert tried == 2520


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pool_size_equals_pytorch_on_a_grid(ceil_mode):
    dropped = 0
    for n in range(1, 15):
        row = torch.ones(1, 1, n)
        for f in range(1, 6):
            for p in range(4):
                for s in range(1, 5):
                    for d in range(1, 3):
                        options = {"padding": p, "stride": s, "dilation": d, "ceil_mode": ceil_mode}
                        expected = torch_or_none(F.max_pool1d, row, f, **options)
                        ours = ours_or_none(pool_size, n, f, p, s, d, ceil_mode=ceil_mode)
                        assert ours == expected, (n, f, p, s, d)
                        if ceil_mode and ours is not None:
                            room = n + 2 * p - d * (f - 1) - 1
                            dropped += ours < -(-room // s) + 1
    assert bool(dropped) == ceil_mode  # the grid holds settings whose last window is dropped again


def test_the_dropped_window_by_hand():
    # n = 5, f = 2, p = 1, s = 3: the padded row has 7 cells and ceil((7 - 2) / 3) + 1 = 3 windows, but the
    # third would begin at padded cell 6 = n + p, in the padding on the right.
    assert pool_size(5, 2, p=1, s=3, ceil_mode=True) == 2
    assert pool_size(6, 2, s=3, ceil_mode=True) == 2  # the third would begin at cell 6, beyond the row
    # n = 6, f = 3, s = 2: the third begins at cell 4 and hangs over by one: kept, and only with ceil_mode.
    assert pool_size(6, 3, s=2, ceil_mode=True) == 3
    assert pool_size(6, 3, s=2) == 2


def test_pool_stride_defaults_to_the_window():
    assert pool_size(9, 3) == nn.MaxPool1d(3)(torch.ones(1, 1, 9)).shape[-1] == 3


def test_transposed_conv_size_equals_pytorch_on_a_grid():
    for n in range(1, 8):
        for f in range(1, 5):
            kernel = torch.ones(1, 1, f)
            for p in range(4):
                for s in range(1, 4):
                    for d in range(1, 4):
                        for extra in range(3):
                            expected = torch_or_none(
                                F.conv_transpose1d,
                                torch.ones(1, 1, n),
                                kernel,
                                padding=p,
                                stride=s,
                                dilation=d,
                                output_padding=extra,
                            )
                            ours = ours_or_none(transposed_conv_size, n, f, p, s, d, output_padding=extra)
                            assert ours == expected, (n, f, p, s, d, extra)


SIZES = {"n": st.integers(1, 300), "f": st.integers(1, 15), "p": st.integers(0, 20), "s": st.integers(1, 9)}


@settings(max_examples=300, deadline=None)
@given(**SIZES, d=st.integers(1, 6))
def test_conv_size_equals_pytorch_on_large_numbers(n, f, p, s, d):
    expected = torch_or_none(
        F.conv1d, torch.ones(1, 1, n), torch.ones(1, 1, f), padding=p, stride=s, dilation=d
    )
    assert ours_or_none(conv_size, n, f, p, s, d) == expected


@settings(max_examples=300, deadline=None)
@given(**SIZES, d=st.integers(1, 6))
def test_conv_size_equals_counting_windows(n, f, p, s, d):
    """The definition itself: count the start positions whose last cell is still inside."""
    starts = [a for a in range(0, n + 2 * p, s) if a + d * (f - 1) <= n + 2 * p - 1]
    assert (ours_or_none(conv_size, n, f, p, s, d) or 0) == len(starts)


@settings(max_examples=300, deadline=None)
@given(**SIZES, d=st.integers(1, 3))
def test_transposed_convolution_undoes_the_size_of_a_convolution(n, f, p, s, d):
    small = ours_or_none(conv_size, n, f, p, s, d)
    if small is None:
        return
    lost = (n + 2 * p - d * (f - 1) - 1) % s  # cells on the right that no window reached
    assert transposed_conv_size(small, f, p, s, d, output_padding=lost) == n


def test_numpy_integers_are_numbers():
    assert conv_size(np.int64(7), np.int32(3), s=np.int64(2)) == 3


# ---------------------------------------------------------------- receptive field of a list of layers
def seen_by_brute_force(layers, n):
    """For each output cell, the pixels of a row of n whose gradient is not zero (all weights are 1)."""
    row = torch.zeros(1, 1, n, requires_grad=True)
    out = row
    for f, s, p, d in layers:
        out = F.conv1d(out, torch.ones(1, 1, f), stride=s, padding=p, dilation=d)
    for i in range(out.shape[-1]):
        (gradient,) = torch.autograd.grad(out[0, 0, i], row, retain_graph=True)
        yield i, gradient[0, 0].nonzero().flatten().tolist()


LAYERS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


def fits(layers, n):
    for f, s, p, d in layers:
        n = ours_or_none(conv_size, n, f, p, s, d)
        if n is None:
            return False
    return True


@settings(max_examples=200, deadline=None)
@given(layers=LAYERS, n=st.integers(1, 60))
def test_receptive_field_equals_gradients(layers, n):
    if not fits(layers, n):
        return
    field = ReceptiveField.of(layers)
    for i, pixels in seen_by_brute_force(layers, n):
        first, stop = field.interval(i)
        clipped = field.interval(i, n)
        assert all(clipped[0] <= pixel < clipped[1] for pixel in pixels)
        if first >= 0 and stop <= n:  # inside the input: exact, and clipping changes nothing
            assert clipped == (first, stop)
            assert (pixels[0], pixels[-1] + 1) == (first, stop)
            assert field.center(i) == (pixels[0] + pixels[-1]) / 2


TIDY = st.lists(  # no holes (d = 1, f >= s), padding less than a window
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)).filter(lambda w: w[1] <= w[0] > w[2]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(layers=TIDY, n=st.integers(1, 60))
def test_clipped_interval_is_exact_for_ordinary_layers(layers, n):
    size = n
    for f, s, p in layers:
        if size + 2 * p < f or (size + 2 * p - f) % s:
            return  # no window fits, or the last cells are skipped
        size = conv_size(size, f, p, s)
    layers = [(*layer, 1) for layer in layers]
    field = ReceptiveField.of(layers)
    for i, pixels in seen_by_brute_force(layers, n):
        assert pixels == list(range(*field.interval(i, n)))


def test_two_layers_by_hand():
    # Two 3-windows, the first with stride 2 and padding 1: cell 0 of the second reads cells 0, 1, 2 of the
    # first, which begin at pixels -1, 1, 3; so it sees -1 ... 5.
    field = ReceptiveField.of([(3, 2, 1), {"f": 3}])
    assert field == ReceptiveField(size=7, stride=2, start=-1)
    assert field.interval(0) == (-1, 6)
    assert field.interval(0, n=20) == (0, 6)
    assert field.center(0) == 2
    assert ReceptiveField.of([(1, 1, 5)]).interval(0, n=3) == (0, 0)  # wholly in the padding: empty
    assert ReceptiveField.of([(1, 4)]).interval(2, n=5) == (5, 5)


def test_join_covers_both_branches():
    wide, shifted = ReceptiveField(7, 2, -3), ReceptiveField(3, 2, 3)
    assert wide.join(shifted) == ReceptiveField(9, 2, -3)


# ---------------------------------------------------------------- tracing networks
def make_linear_and_positive(model):
    """All weights positive, nothing that hides a gradient: each pixel that counts has a gradient > 0."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.MaxPool2d):  # passes the gradient to one pixel only; a mean to all
            parent = model.get_submodule(name.rpartition(".")[0])
            mean = nn.AvgPool2d(
                module.kernel_size, module.stride, module.padding, module.ceil_mode, divisor_override=1
            )
            setattr(parent, name.rpartition(".")[2], mean)
        elif isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.constant_(module.weight, 0.5 / fan_in)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model.eval()


def rows_and_columns_seen(features, x, cell):
    """The hull (first, stop) along height and width of the pixels with gradient for one cell of the map."""
    x = x.clone().requires_grad_()
    features(x)[0, :, cell[0], cell[1]].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    ranges = []
    for axis in (1, 0):
        pixels = seen.any(axis).nonzero().flatten().tolist()
        assert len(pixels) == pixels[-1] - pixels[0] + 1  # no holes in these networks
        ranges.append((pixels[0], pixels[-1] + 1))
    return ranges


def test_vgg16_relu5_3_sees_196_pixels():
    model = torchvision.models.vgg16(weights=None)
    x = torch.full((1, 3, 224, 224), 0.5)
    row = trace_shapes(model, x)["features.29"]  # relu5_3
    assert (row.kind, row.output_shape) == ("ReLU", (1, 512, 14, 14))
    assert (row.receptive_field, row.stride) == (196, 16)

    features = make_linear_and_positive(model).features[:30]
    seen = rows_and_columns_seen(features, x, (6, 0))
    assert seen[0] == row.fields[0].interval(6) == (6, 202)  # an inner cell: 196 pixels high
    assert seen[1] == row.fields[1].interval(0, 224) == (0, 106)  # the left border: clipped


def test_efficientnet_lite0_last_map():
    model = timm.create_model("tf_efficientnet_lite0")
    trace = trace_shapes(model, torch.full((1, 3, 224, 224), 0.5))
    assert trace["conv_head"].output_shape == (1, 1280, 7, 7)
    assert (trace["conv_head"].receptive_field, trace["conv_head"].stride) == (851, 32)
    assert trace["conv_stem"].window.p == ((0, 1), (0, 1))  # "same" padding: uneven, one cell after
    assert trace["classifier"].output_shape == (1, 1000)
    assert trace["classifier"].receptive_field is None


@pytest.mark.parametrize("height", [1440, 1439])  # even and odd: "same" padding differs
def test_efficientnet_lite0_field_equals_gradients(height):
    """A tall, narrow image: tall enough that the window of a cell in the middle lies inside it."""
    model = make_linear_and_positive(timm.create_model("tf_efficientnet_lite0")).double()
    x = torch.full((1, 3, height, 32), 0.5, dtype=torch.double)
    row = trace_shapes(model, x)["conv_head"]
    middle = row.output_shape[2] // 2
    expected = row.fields[0].interval(middle)
    assert expected[0] > 0 and expected[1] < height and expected[1] - expected[0] == 851
    assert rows_and_columns_seen(model.forward_features, x, (middle, 0))[0] == expected


class Branches(nn.Module):
    """Windows of different shapes side by side, functional calls, uneven padding, a skip connection."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Conv2d(2, 2, (1, 5), padding=(0, 2))
        self.tall = nn.Conv2d(2, 2, (3, 1), padding="same", dilation=2)
        self.last = nn.Conv2d(4, 2, 2, stride=2)
        self.skip = nn.Conv2d(2, 2, 1, stride=2)

    def forward(self, x):
        both = torch.cat([self.flat(x), self.tall(x)], dim=1)
        both = F.avg_pool2d(F.pad(both, (0, 2, 1, 1)), 3, stride=1)
        return self.last(both).add_(self.skip(F.pad(x, (-1, 1))))


def test_branches_and_functional_calls_equal_gradients():
    model = make_linear_and_positive(Branches())
    x = torch.rand(1, 2, 24, 24)
    trace = trace_shapes(model, x)
    assert [row.name for row in trace] == ["flat", "tall", "last", "skip"]
    assert trace["flat"].receptive_field == (1, 5)
    assert trace["tall"].window.p == ((2, 2), (0, 0))
    joined = trace["last"].fields
    assert rows_and_columns_seen(model, x, (5, 5)) == [field.interval(5) for field in joined]


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "googlenet", "inception_v3", "mobilenet_v2"])
def test_every_window_of_real_networks_obeys_the_formula(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **options)
    trace = trace_shapes(model, torch.rand(1, 3, 299, 267))
    assert len(trace.windows()) > 15
    for row in trace.windows():
        module, w = model.get_submodule(row.name), row.window
        for axis in (0, 1):
            n, out = row.input_shape[2 + axis], row.output_shape[2 + axis]
            if row.kind == "MaxPool2d":
                size = pool_size(n, w.f[axis], w.p[axis][0], w.s[axis], ceil_mode=module.ceil_mode)
            else:
                size = conv_size(n, w.f[axis], w.p[axis][0], w.s[axis], w.d[axis])
            assert size == out, row.name
    assert trace[-1].output_shape == (1, 1000)


def test_what_has_no_common_window_shows_a_dash():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3), nn.Flatten())
    trace = trace_shapes(model, torch.rand(2, 1, 8, 8))
    assert [row.receptive_field for row in trace] == [3, None, None, None]
    assert trace[2].cells()[-2:] == ["–", "–"]
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid())

    class Excite(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.after = squeeze, nn.ReLU()

        def forward(self, x):
            return self.after(x * self.gate(x))

    trace = trace_shapes(Excite(), torch.rand(1, 1, 6, 6))
    assert [row.receptive_field for row in trace] == [6, 6, None]  # every cell sees the whole image


def test_a_trace_prints_as_a_table():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
    trace = trace_shapes(model, torch.rand(5, 3, 9, 9))
    lines = str(trace).splitlines()
    assert lines[0].split() == ["layer", "kind", "input", "output", "f", "s", "p", "d", "sees", "stride"]
    assert lines[2].split() == ["0", "Conv2d", "3×9×9", "8×5×5", "3", "2", "1", "1", "3", "2"]
    assert lines[4].split() == ["2", "Flatten", "8×5×5", "200", "–", "–"]
    assert repr(trace) == str(trace)
    page = trace._repr_html_()
    assert page.count("<tr>") == 4 and "<td>3×9×9</td>" in page
    assert isinstance(trace[:1], ShapeTrace) and len(trace.windows()) == 1


class Once(nn.Module):
    """Runs one convolution twice, then fails if told to."""

    def __init__(self, fail=False):
        super().__init__()
        self.conv, self.norm, self.fail = nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), fail

    def forward(self, x):
        x = self.norm(self.conv(self.conv(x)))
        return self.conv(x[:, :0]) if self.fail else x


@pytest.mark.parametrize("fail", [False, True])
def test_nothing_is_left_behind(fail):
    model = Once(fail).train()
    model.norm.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.rand(1, 1, 9, 9)
    before = x.clone()
    if fail:
        with pytest.raises(
            RuntimeError, match=r"in conv \(Conv2d\), which was given the shape \(1, 0, 5, 5\)"
        ):
            trace_shapes(model, x)
    else:
        assert [row.receptive_field for row in trace_shapes(model, x)] == [3, 5, 5]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert (model.training, model.conv.training, model.norm.training) == (True, True, False)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, before) and vars(x) == {}
    assert torch.is_grad_enabled()


def test_a_first_layer_that_works_in_place_leaves_the_image_alone():
    x = torch.full((1, 1, 4, 4), -1.0)
    trace_shapes(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3)), x)
    assert (x == -1).all()


def test_a_single_layer_is_a_model():
    (row,) = trace_shapes(nn.MaxPool2d(3, 2), torch.rand(1, 1, 9, 9))
    assert (row.name, row.output_shape, row.receptive_field) == ("(model)", (1, 1, 4, 4), 3)


# ---------------------------------------------------------------- what is refused
NUMBERS = [
    (lambda size=size, arguments=arguments: size(**arguments), error, f"{words}.*Give a whole number")
    for size in (conv_size, pool_size, transposed_conv_size)
    for arguments, error, words in [
        ({"n": 7.0, "f": 3}, TypeError, "n = 7.0"),
        ({"n": 7, "f": "3"}, TypeError, "f = '3'"),
        ({"n": 7, "f": 3, "p": True}, TypeError, "p = True"),
        ({"n": 0, "f": 3}, ValueError, "n = 0"),
        ({"n": 7, "f": 0}, ValueError, "f = 0"),
        ({"n": 7, "f": 3, "p": -1}, ValueError, "p = -1"),
        ({"n": 7, "f": 3, "s": 0}, ValueError, "s = 0"),
        ({"n": 7, "f": 3, "d": 0}, ValueError, "d = 0"),
    ]
]
WINDOWS = [
    case
    for size in (conv_size, pool_size)
    for case in [
        (lambda size=size: size(4, 9, p=1), ValueError, r"No window fits: f = 9 .* n \+ 2p = 4 \+ 2 = 6"),
        (lambda size=size: size(6, 3, d=3), ValueError, r"f = 3 with dilation d = 3 reaches over 7 cells"),
    ]
] + [
    (lambda: pool_size(8, 3, p=2), ValueError, r"p = 2 is more than half .* Use p = 1 or less"),
    (
        lambda: transposed_conv_size(4, 3, s=2, output_padding=2),
        ValueError,
        r"output_padding = 2 must be less .* use 1 or less",
    ),
    (
        lambda: transposed_conv_size(1, 3, p=2),
        ValueError,
        r"spread over 3 cells and p = 2 cuts off 4\. Use p = 1",
    ),
]
FIELDS = [
    (lambda layer=layer: ReceptiveField.of([(3,), layer]), error, words)
    for layer, error, words in [
        ((3, 0), ValueError, r"Layer 1 .*s = 0"),
        ((3, 1, -1), ValueError, r"Layer 1 .*p = -1"),
        ((2.5,), TypeError, r"Layer 1 .*f = 2.5"),
        ({"p": 1}, TypeError, r"Layer 1 .*A layer is \(f, s, p, d\)"),
        (3, TypeError, r"Layer 1 .*A layer is \(f, s, p, d\)"),
    ]
] + [
    (lambda: ReceptiveField().interval(-1), ValueError, "i = -1"),
    (lambda: ReceptiveField().interval(0, n=0), ValueError, "n = 0"),
    (lambda: ReceptiveField(7, 2, -3).join(ReceptiveField(7, 4, -3)), ValueError, "strides 2 and 4"),
]
TRACES = [
    (lambda model=model, x=x: trace_shapes(model, x), error, words)
    for model, x, error, words in [
        ("vgg16", torch.rand(1, 3, 8, 8), TypeError, "model is a str"),
        (nn.Identity(), np.zeros((1, 3, 8, 8)), TypeError, "x is a ndarray"),
        (nn.Identity(), torch.rand(3, 8, 8), ValueError, r"x\[None\]"),
        (nn.Identity(), torch.rand(1, 3, 0, 8), ValueError, r"\(1, 3, 0, 8\)"),
        (nn.Identity(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, r"x\.float\(\)"),
        (nn.Conv2d(3, 1, 3), torch.rand(1, 1, 8, 8), RuntimeError, r"in \(model\) \(Conv2d\)"),
        (nn.Sequential(nn.Conv2d(3, 1, 9)), torch.rand(1, 3, 8, 8), RuntimeError, r"in 0 \(Conv2d\)"),
    ]
] + [
    (
        lambda: trace_shapes(nn.Sequential(nn.ReLU(), nn.Flatten()), torch.rand(1, 3, 9, 9))["x"],
        KeyError,
        r"No layer 'x' ran\. The layers that did: 0, 1",
    )
]


@pytest.mark.parametrize(("call", "error", "words"), NUMBERS + WINDOWS + FIELDS + TRACES)
def test_refused_with_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_arithmetic_loads_no_torch():
    code = "import sys, course_utils.shapes.sizes as s; s.conv_size(7, 3); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
