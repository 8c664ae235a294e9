"""Moving a heat-map while the answer stays: against a loop, and against its own promises."""

import copy

import pytest
import torch
from helpers import TinyNet, tiny_images
from torch.nn import functional as F

from course_utils.attacks import move_map, share_in
from course_utils.attacks import pixels as pixels_module
from course_utils.explain import ForwardHook, grad_cam
from course_utils.localization import energy_inside

IMAGES = tiny_images(3)
REGIONS = torch.zeros(3, 8, 8, dtype=torch.bool)
REGIONS[0, 4:, 4:] = REGIONS[1, :, :2] = REGIONS[2, 1:4, 3:6] = True


def lively():
    net = TinyNet(pooled=True, seed=3)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    return net


NET = lively()


def test_the_share_is_the_energy_cell_by_cell():
    maps = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    shares = share_in(maps, REGIONS)
    for n in range(2):  # whole cells: as energy_inside says of the map with each cell as 2 x 2 pixels
        pixels = maps[n].repeat_interleave(2, 0).repeat_interleave(2, 1)
        assert shares[n].item() == pytest.approx(energy_inside(pixels, REGIONS[n]), abs=1e-6)
    # The third covers cells in part: rows 1 to 3 are half of cell row 0 and all of row 1.
    rows, columns = torch.tensor([0.5, 1, 0, 0]), torch.tensor([0, 0.5, 1, 0])
    by_hand = (maps[2].relu() * rows[:, None] * columns).sum() / maps[2].relu().sum()
    assert shares[2].item() == pytest.approx(by_hand.item(), abs=1e-6)
    assert share_in(-torch.ones(1, 4, 4), REGIONS[:1]).tolist() == [0]


def test_it_is_the_gradient_of_the_map_with_second_derivatives_and_all():
    """The reference differentiates Grad-CAM itself, gradient of a gradient, one image at a time."""
    classes, epsilon, alpha = [1, 3, 0], 0.1, 0.04
    expected = []
    for n, c in enumerate(classes):
        x = IMAGES[[n]].clone()
        for _ in range(5):
            leaf = x.clone().requires_grad_()
            with ForwardHook(NET.features, detach=False) as hook:
                logits = NET(leaf)
            (slope,) = torch.autograd.grad(logits[0, c], hook.stored, create_graph=True)
            raw = (slope.mean((2, 3), keepdim=True) * hook.stored).sum(1)
            kept = torch.tensor([2])
            loss = -share_in(raw, REGIONS[[n]]).clamp_min(1e-6).log().sum() + 0.5 * F.cross_entropy(
                logits, kept
            )
            (gradient,) = torch.autograd.grad(loss, leaf)
            x = x - alpha * gradient.sign()
            x = torch.min(torch.max(x, IMAGES[[n]] - epsilon), IMAGES[[n]] + epsilon).clamp(0, 1)
        expected.append(x)
    found = move_map(
        NET, IMAGES, REGIONS, torch.tensor(classes)[:, None], 2, epsilon, steps=5, step_size=alpha, weight=0.5
    )
    assert (found - torch.cat(expected)).abs().max() < 1e-6
    assert (found - IMAGES).abs().max() > 0.09


def test_the_map_moves_and_the_weight_keeps_the_answer():
    before = grad_cam(NET, IMAGES)
    kept = {}
    for weight in (0.0, 20.0):
        moved = move_map(NET, IMAGES, REGIONS, epsilon=0.3, steps=20, step_size=0.03, weight=weight)
        kept[weight] = NET(moved).softmax(1).gather(1, before.classes)
        if not weight:
            after = grad_cam(NET, moved, before.classes)
            gain = share_in(after.maps[:, 0], REGIONS) - share_in(before.maps[:, 0], REGIONS)
            assert (gain > 0).all() and gain.max() > 0.1
    assert (kept[20.0] > kept[0.0]).all()


@pytest.mark.parametrize("epsilon", [0, 1 / 255, 8 / 255, 1])
def test_within_epsilon_and_nothing_changed(epsilon):
    given, state, net = IMAGES.clone(), copy.deepcopy(NET.state_dict()), lively().train()
    state = copy.deepcopy(net.state_dict())
    moved = move_map(net, IMAGES, REGIONS, epsilon=epsilon, steps=4)
    assert (moved - IMAGES).abs().max() <= epsilon + 1e-7
    assert moved.min() >= 0 and moved.max() <= 1 and not moved.requires_grad
    assert torch.equal(IMAGES, given)
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(part._forward_hooks for part in net.modules())
    with torch.inference_mode():
        assert torch.equal(move_map(net, IMAGES, REGIONS, epsilon=epsilon, steps=4), moved)


def test_a_batch_is_each_image_by_itself():
    together = move_map(NET, IMAGES, REGIONS, 1, 2, steps=5)
    for n in range(3):
        alone = move_map(NET, IMAGES[[n]], REGIONS[[n]], 1, 2, steps=5)
        assert (together[[n]] - alone).abs().max() < 1e-6


def test_a_bar_is_shown_on_long_runs_only(capsys):
    move_map(NET, IMAGES, REGIONS, steps=3)
    assert "moving" not in capsys.readouterr().err
    move_map(NET, IMAGES, REGIONS, steps=-(-pixels_module.LONG_RUN // 3))
    assert "moving" in capsys.readouterr().err
