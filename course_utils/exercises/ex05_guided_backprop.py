"""Exercises of notebook 05: the guided rule, two layers of it, Guided Grad-CAM, and an honest picture."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress


def _guided_rule_by_loop(z, g):
    handed_down = [b if a > 0 and b > 0 else 0.0 for a, b in zip(z.tolist(), g.tolist(), strict=True)]
    return torch.tensor(handed_down, dtype=g.dtype)


def _guided_rule_in_place(z, g):
    g[(z <= 0) | (g < 0)] = 0
    return g


def _draw_signs(rng):
    # Whole numbers, so that zeros occur on both sides.
    return [tuple(tensor_of(rng.integers(-3, 4, size=n).astype(float)) for _ in "zg") for n in (9, 16)]


@exercise(
    "What guided backpropagation hands down at one ReLU, from its input z and the gradient g from above.",
    inputs=_draw_signs,
    reference=_guided_rule_by_loop,
    hints="""
        Two conditions must hold for g to be handed down: one on z, one on g.
        A ReLU takes care of one of them; for the other multiply by a condition, which counts as 0 or 1.
    """,
    mistakes="""
        g * (z > 0)
            That is the plain gradient: it looks at the forward sign only. The guided rule stops negative gradients as
            well.
        g.relu()
            That is the deconvnet: it looks at the gradient's sign only. The guided rule also stops what did not pass
            forward, where z is not positive.
        z.relu() * (g > 0)
            You swapped the two: this hands down the activation where the gradient is positive. Handed down is the
            gradient; z decides only whether.
        g.abs() * (z > 0)
            You took the absolute value, so what would lower the score is handed down as if it raised it. Negative
            gradients become zero.
        g.relu() * z.relu()
            You multiplied by the activation itself. z only opens or closes the gate: 1 where z > 0, else 0.
        (z * g).relu()
            A product of two negative numbers is positive, so your ReLU lets through what both signs should stop. Look
            at each sign on its own.
        g.relu() * (z >= 0)
            At z = 0 nothing passed forward, and PyTorch's gradient is 0 there, too: the gate is z > 0.
        g * ((z > 0) | (g > 0))
            One of the two signs is enough for you; the guided rule asks for both.
        ((z > 0) & (g > 0)).to(g)
            You returned the gate, 0 or 1. Handed down is the gradient where the gate is open.
        _guided_rule_in_place(z, g)
            The numbers are right, but you wrote them into the g that you were given. Autograd may still need that
            tensor: return a new one.
    """,
)
def guided_rule(z, g):
    return g.relu() * (z > 0)


class _GuidedReLU(torch.autograd.Function):
    """The reference: autograd walks the layers, only the rule is ours."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        return torch.where((z > 0) & (g > 0), g, torch.zeros_like(g))


def _guided_gradient_by_autograd(x, w1, w2, w3):
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        y = w3 @ _GuidedReLU.apply(w2 @ _GuidedReLU.apply(w1 @ leaf))
        return torch.autograd.grad(y, leaf)[0]


def _draw_nets(rng):
    """The first by hand: z1 = (0, 2, 3) and z2 = (0, 5), so that a gate at zero shows."""
    small = ([1.0, 1], [[1.0, -1], [1, 1], [2, 1]], [[1.0, 3, -2], [1, 1, 1]], [1.0, 2])
    sizes = [(2, 3, 2), (4, 7, 6), (6, 16, 12)]
    drawn = [
        tuple(tensor_of(rng.normal(size=size)) for size in (n, (m, n), (k, m), k))
        for n, m, k in [*sizes, (5, 20, 15)]
    ]
    return [tuple(map(torch.tensor, small)), *drawn]


def _gradient_with(x, w1, w2, w3, between=torch.relu, upper=torch.relu, lower=torch.relu):
    """Another function between the layers on the way up, or other rules at the two ReLUs on the way down."""
    z1 = w1 @ x
    z2 = w2 @ between(z1)
    return w1.T @ (lower(w2.T @ (upper(w3) * (z2 > 0))) * (z1 > 0))


@exercise(
    "The guided gradient of y = w3 · ReLU(w2 ReLU(w1 x)) with respect to x, without autograd.",
    inputs=_draw_nets,
    reference=_guided_gradient_by_autograd,
    hints="""
        Go up first and keep z1 = w1 x and z2 = w2 ReLU(z1): they are the gates.
        From above, the second ReLU gets w3. Below it, a linear layer hands down its transposed weights times what it
            gets: w2.T @ g2.
        The first ReLU does with w2.T @ g2 what the second did with w3; then comes one more linear layer.
    """,
    mistakes="""
        _gradient_with(x, w1, w2, w3, upper=torch.positive, lower=torch.positive)
            That is the plain gradient: nothing stops the negative values on the way down.
        _gradient_with(x, w1, w2, w3, upper=torch.positive, lower=torch.positive).relu()
            You computed the plain gradient and cut off its negative values at the very end. The rule is applied at each
            ReLU, and what it removes at the second never reaches the first.
        guided_gradient(x, w1, w2, w3).relu()
            One ReLU too many: no activation lies below the first linear layer, so the gradient of x keeps its signs.
        w1.T @ (w2.T @ w3.relu()).relu()
            That is the deconvnet: the gates z1 > 0 and z2 > 0 are missing.
        _gradient_with(x, w1, w2, w3, lower=torch.positive)
            At the second ReLU you cut off negative gradients, at the first you did not: what comes down through w2 has
            negative values again.
        _gradient_with(x, w1, w2, w3, upper=torch.positive)
            At the second ReLU, negative values of w3 pass: the rule holds there, too, with g = w3.
        _gradient_with(x, w1, w2, w3, between=torch.positive)
            On the way up you left out the first ReLU: z2 is w2 times ReLU(z1), so some of your gates are wrong.
        guided_gradient(x, w1, w2, w3).abs()
            You took absolute values at the end. The guided gradient is signed: dark and bright are different things.
    """,
)
def guided_gradient(x, w1, w2, w3):
    z1 = w1 @ x
    z2 = w2 @ z1.relu()
    g2 = w3.relu() * (z2 > 0)  # down through the second ReLU
    g1 = (w2.T @ g2).relu() * (z1 > 0)  # through the linear layer, then the first ReLU
    return w1.T @ g1


def _enlarged_by_loop(cells, height, width):
    """Bilinear enlargement from its definition: each pixel's center between the centers of the cells."""
    cells = cells.double().numpy()
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            corners = []
            for place, size, count in ((row, height, cells.shape[0]), (column, width, cells.shape[1])):
                at = min(max((place + 0.5) * count / size - 0.5, 0), count - 1)
                first = min(int(at), max(count - 2, 0))
                corners.append((first, min(first + 1, count - 1), at - first))
            (y0, y1, v), (x0, x1, u) = corners
            upper = (1 - u) * cells[y0, x0] + u * cells[y0, x1]
            lower = (1 - u) * cells[y1, x0] + u * cells[y1, x1]
            result[row, column] = (1 - v) * upper + v * lower
    return result


def _fuse_by_loop(gradients, raw):
    heat = _enlarged_by_loop(raw.clamp(min=0), *gradients.shape[1:])
    heat = torch.tensor(heat / heat.max() if heat.max() > 0 else heat, dtype=gradients.dtype)
    return torch.stack([channel * heat for channel in gradients])


def _enlarged(cells, gradients, mode="bilinear", align_corners=False):
    return F.interpolate(cells[None, None], gradients.shape[1:], mode=mode, align_corners=align_corners)[0]


def _heat(cells):
    return cells.relu() / cells.relu().max().clamp(min=1e-30)


def _signed_heat(cells):
    return cells / cells.max() if cells.max() > 0 else torch.zeros_like(cells)


def _unguarded(cells):
    return cells.relu() / cells.relu().max()


def _draw_pairs(rng):
    cases = [
        (tensor_of(rng.normal(size=(3, 4 * h, 3 * w))), tensor_of(rng.normal(size=(h, w))))
        for h, w in [(1, 2), (2, 3), (3, 3), (4, 2)]
    ]
    cases[2][1][1, 1] = 3  # the largest cell is in the middle, where enlarging makes it smaller
    nothing_positive = (tensor_of(rng.normal(size=(3, 6, 6))), -tensor_of(rng.random((2, 2))))
    all_positive = (nothing_positive[0], 0.5 - nothing_positive[1])
    return [*cases, nothing_positive, all_positive]


@exercise(
    "Guided Grad-CAM from the guided gradient (3, H, W) and the raw map (h, w) of Grad-CAM.",
    inputs=_draw_pairs,
    reference=_fuse_by_loop,
    hints="""
        F.interpolate wants four dimensions: raw.relu()[None, None] has shape (1, 1, h, w).
        Order: ReLU on the cells, bilinear enlargement to gradients.shape[1:], division by the maximum, product.
        If the largest value is 0, return torch.zeros_like(gradients).
    """,
    mistakes="""
        gradients * _heat(_enlarged(raw.relu(), gradients, align_corners=True))
        gradients * _unguarded(_enlarged(raw.relu(), gradients, align_corners=True))
            You aligned the corners: then the border cells shrink to half their share of the image and all others are
            shifted. Use align_corners=False.
        gradients * _heat(_enlarged(raw.relu(), gradients, mode="nearest", align_corners=None))
        gradients * _unguarded(_enlarged(raw.relu(), gradients, mode="nearest", align_corners=None))
            You enlarged without interpolation: the product would have the cells' edges in it. Use mode='bilinear'.
        gradients * _heat(_enlarged(raw, gradients))
        gradients * _unguarded(_enlarged(raw, gradients))
            You enlarged the signed map and took the ReLU afterwards, so negative cells eat into their positive
            neighbors. Grad-CAM takes the ReLU on the cells, then enlarges.
        gradients * _enlarged(raw.relu(), gradients)
            The product is right, but the heat-map was not divided by its maximum.
        gradients * _signed_heat(_enlarged(raw, gradients))
        gradients * _enlarged(raw, gradients) / _enlarged(raw, gradients).max()
        gradients * _enlarged(raw, gradients) / _enlarged(raw, gradients).max().clamp(min=1e-8)
            The ReLU is missing: where a cell speaks against the class, its negative value turns the gradient's sign
            around. Take raw.relu() before you enlarge.
        gradients * _heat(_enlarged(raw.abs(), gradients))
            You took |L| instead of ReLU(L): what speaks against the class is shown as speaking for it.
        fuse(gradients.relu(), raw)
        gradients.relu() * _unguarded(_enlarged(raw.relu(), gradients))
            The ReLU belongs to the map, not to the gradient image, which keeps its sign.
        gradients * _enlarged(raw.relu(), gradients) / _enlarged(raw.relu(), gradients).max()
            Right except where no cell is positive: there you divide 0 by 0 and get NaN. Return zeros in that case.
        gradients * _enlarged(_heat(raw), gradients)
        gradients * _enlarged(_unguarded(raw), gradients)
            You divided by the largest cell and enlarged afterwards. Between cells' centers the enlarged map may stay
            below its cells, so its maximum is a little smaller: enlarge first, then divide.
        gradients * _stretched(_enlarged(raw, gradients))
            You stretched the map from its minimum to its maximum: cells that speak against the class get a positive
            factor. Take the ReLU, then divide by the maximum.
    """,
)
def fuse(gradients, raw):
    heat = F.interpolate(raw.relu()[None, None], gradients.shape[1:], mode="bilinear", align_corners=False)[0]
    return gradients * heat / heat.max() if heat.max() > 0 else torch.zeros_like(gradients)


def _picture_by_loop(v):
    sizes = sorted(abs(value) for value in v.flatten().tolist())
    place = 0.99 * (len(sizes) - 1)
    low = int(place)
    limit = sizes[low] + (place - low) * (sizes[low + 1] - sizes[low])
    shown = [min(max(0.5 + value / (2 * limit), 0.0), 1.0) for value in v.flatten().tolist()]
    return torch.tensor(shown, dtype=v.dtype).view_as(v)


def _stretched(v):
    return (v - v.min()) / (v.max() - v.min())


@exercise(
    "A gradient image as a picture in [0, 1]: zero is 0.5, one limit on both sides, the 99% quantile of |v|.",
    inputs=lambda rng: [
        (tensor_of(rng.standard_t(3, size=(3, h, w)) * scale + shift, digits=6),)
        for h, w, scale, shift in [
            (12, 12, 1.0, 0.0),
            (9, 15, 0.01, 0.005),
            (20, 8, 3.0, -1.0),
            (10, 10, 0.01, 0.05),
        ]
    ],
    reference=_picture_by_loop,
    hints="""
        Which sign should the limit not see? Take its quantile of sizes.
        Scale v so that the limit becomes 1/2 and minus the limit -1/2: then 0.5 more puts zero in the middle.
        What lies beyond the limit must be cut off at 0 and 1: .clip.
    """,
    mistakes="""
        _stretched(v)
            You stretched from the minimum to the maximum: zero lands wherever these two happen to put it, and two
            pictures cannot be compared.
        _stretched(v.clip(-v.abs().flatten().quantile(0.99), v.abs().flatten().quantile(0.99)))
            You cut off at both limits and then stretched from the minimum to the maximum: where one side does not reach
            its limit, zero moves away from 0.5.
        (0.5 + v / (2 * v.abs().max())).clip(0, 1)
            Zero is 0.5, as it should be, but the limit is the maximum: one extreme pixel leaves all others gray. Take
            the 99% quantile of |v| and cut off what lies beyond.
        (v.abs() / v.abs().flatten().quantile(0.99)).clip(0, 1)
            You dropped the sign: zero is black here, and a negative value looks like a positive one.
        (v.relu() / v.abs().flatten().quantile(0.99)).clip(0, 1)
            You cut off the negative half before drawing: negative values, half of the picture, are lost.
        (0.5 + v / (2 * v.flatten().quantile(0.99))).clip(0, 1)
            Your limit is the 99% quantile of v, which sees the positive side only. Take that of |v|.
        (0.5 + v / (2 * v.abs().flatten(1).quantile(0.99, dim=1)[:, None, None])).clip(0, 1)
            You took a limit for each color: that changes the colors' balance, and gray tones turn colored. One limit
            for all three.
        0.5 + v / (2 * v.abs().flatten().quantile(0.99))
            One value in a hundred lies beyond the limit, and so outside [0, 1]: clip it, it cannot be drawn.
        (0.5 + v / v.abs().flatten().quantile(0.99)).clip(0, 1)
            Your colors end at half the limit. From 0.5 there is only 0.5 to go: divide by twice the limit.
    """,
)
def picture(v):
    limit = v.abs().flatten().quantile(0.99)
    return (0.5 + v / (2 * limit)).clip(0, 1)
