"""The segmentation network and its training: finer cells of the same trunk, and what a few steps must do."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.networks import small_net
from course_utils.pictures import SHAPES, scenes
from course_utils.segmentation import (
    class_ious,
    color_affinity,
    constraint_loss,
    expansion_loss,
    fit_segmentation,
    seeding_loss,
    segment,
    segmentation_net,
)


@pytest.fixture(scope="module")
def shown():
    return scenes(24, seed=11, shapes=SHAPES[:2])


def present(shown):
    return F.one_hot(shown.labels, len(SHAPES)).bool()


@pytest.mark.parametrize("name", ["vgg", "vgg_gap"])
def test_every_second_cell_is_the_classifiers(name, shown):
    clf = small_net(name, SHAPES)
    before = copy.deepcopy(clf.state_dict())
    net = segmentation_net(clf)
    normal = (shown.images - clf.mean) / clf.std
    coarse, fine = clf.net.features(normal), net.net.features(normal)
    assert coarse.shape[2:] == (8, 8) and fine.shape[2:] == (16, 16)
    torch.testing.assert_close(fine[:, :, ::2, ::2], coarse, rtol=1e-4, atol=1e-5)
    assert net(shown.images).eq(0).all()
    assert net.classes == ["background", *SHAPES]
    fit_segmentation(
        net, shown.images, shown.segmentation[:, ::4, ::4], present(shown), epochs=1, progress=False
    )
    assert all(torch.equal(value, before[key]) for key, value in clf.state_dict().items())


def test_it_learns_two_shapes_from_masks(shown):
    net = segmentation_net(small_net("vgg", SHAPES))
    before = fit_segmentation(
        net,
        shown.images,
        shown.segmentation[:, ::4, ::4],
        present(shown),
        ["seed"],
        12,
        8,
        4e-3,
        progress=False,
    )
    assert before[-1] < 0.5 * before[0]
    found = segment(net, shown.images)
    assert found.shape == shown.segmentation.shape
    assert class_ious(found, shown.segmentation, len(SHAPES))[0] > 0.8


def test_the_same_seed_gives_the_same_weights(shown):
    nets = [segmentation_net(small_net("vgg", SHAPES)) for _ in range(3)]
    state = torch.get_rng_state()
    for net, seed in zip(nets, (3, 3, 4), strict=True):
        fit_segmentation(
            net,
            shown.images,
            shown.segmentation[:, ::4, ::4],
            present(shown),
            epochs=1,
            seed=seed,
            progress=False,
        )
    a, b, c = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), state)


class Recorder(nn.Module):
    """Writes down what it is shown."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Conv2d(3, 3, 1), []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return self.layer(images)


def test_seeds_are_mirrored_with_their_images(monkeypatch):
    # Each pixel's class is written in its color: were only one of the two mirrored, they would not fit any more.
    seeds = torch.randint(0, 3, (10, 4, 4), generator=torch.Generator().manual_seed(0))
    images = (seeds.float() / 2)[:, None].expand(-1, 3, -1, -1).contiguous()
    pairs = []
    monkeypatch.setattr(
        "course_utils.segmentation.nets.seeding_loss",
        lambda logits, marked: pairs.append(marked) or logits.square().mean(),
    )
    net = Recorder()
    fit_segmentation(net, images, seeds, torch.ones(10, 2).bool(), ["seed"], 2, 5, progress=False)
    for image, marked in zip(net.seen, pairs, strict=True):
        assert torch.equal((image[:, 0] * 2).long(), marked)
    shown = torch.cat(net.seen[:2])
    mirrored = sum(any(torch.equal(one, image.flip(2)) for image in images) for one in shown)
    assert 0 < mirrored < 10


def test_the_losses_that_are_named_are_added_up(shown):
    net = segmentation_net(small_net("vgg_gap", SHAPES))
    torch.nn.init.normal_(net.net.head.weight, generator=torch.Generator().manual_seed(0))
    seeds, there = shown.segmentation[:4, ::4, ::4], present(shown)[:4]
    same = torch.cat([shown.images[:4], shown.images[:4].flip(3)]).mean(0, keepdim=True).expand(4, -1, -1, -1)
    same = (same + same.flip(3)) / 2  # its own mirror image, as the seeds below: mirroring changes nothing
    seeds = torch.where(seeds == seeds.flip(2), seeds, -1)
    with torch.no_grad():
        logits = net(same)
        parts = {
            "seed": seeding_loss(logits, seeds),
            "expand": expansion_loss(logits, there),
            "constrain": constraint_loss(logits, color_affinity(same, 16)),
        }
    assert all(part > 0.01 for part in parts.values())
    for losses in (
        ["seed"],
        ["expand"],
        ["constrain"],
        ["constrain", "seed"],
        ["seed", "expand", "constrain"],
    ):
        (found,) = fit_segmentation(
            copy.deepcopy(net), same, seeds, there, losses, epochs=1, batch=4, progress=False
        )
        assert found == pytest.approx(sum(parts[loss] for loss in losses).item(), rel=1e-4)
