"""The study of the stamp: the small network, its repairs, and measures checked on networks whose answer is known."""

import re

import pytest
import torch
from torch import nn

from course_utils.explain import cam, grad_cam
from course_utils.xray import (
    PUNISHED,
    REPAIRS,
    Radiographs,
    XrayNet,
    corner,
    corner_of_decision,
    measure,
    radiographs,
    soft_map,
    study,
    without_strip,
    xray_net,
)
from course_utils.xray import films as films_module


@pytest.fixture(scope="module")
def films() -> Radiographs:
    return radiographs(32, size=64, seed=5)


class StampReader(nn.Module):
    """Answers "finding" where the stamp has changed the strip's brightness; its map is the picture."""

    def __init__(self, films: Radiographs) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.layer.weight)
        strip = films_module.stamp_strip(films.clean.shape[-1]).float()
        self.register_buffer("strip", strip / strip.sum())
        # As many sums as there are pictures: each has its own brightness without the stamp.
        before, after = ((x[:, 0] * self.strip).sum((1, 2)) for x in (films.clean, films.stamped))
        self.threshold, self.way = (before + after) / 2, (after - before).sign()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = (self.layer(x)[:, 0] * self.strip).sum((1, 2))
        if len(seen) < len(self.way):  # some of the pictures, of which only the map is asked for
            return torch.stack([torch.zeros_like(seen), seen], 1)
        return torch.stack([torch.zeros_like(seen), (seen - self.threshold) * self.way], 1)


# --- the network


def test_the_network_is_small_and_its_map_has_one_unit_for_8_pixels():
    net = xray_net()
    assert sum(p.numel() for p in net.parameters()) == 26_466
    assert net.features(torch.zeros(1, 1, 96, 96)).shape == (1, 48, 12, 12)
    assert net(torch.rand(2, 1, 64, 64)).shape == (2, 2)


def test_a_unit_of_the_map_sees_43_pixels():
    net = xray_net().eval()
    image = torch.rand(1, 1, 96, 96, requires_grad=True)
    net.features(image)[0, :, 6, 6].sum().backward()
    rows = image.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.max() - rows.min() + 1 <= 43
    assert rows.max() - rows.min() + 1 > 36  # ReLUs may silence the border


def test_weights_follow_from_the_seed_and_leave_the_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two, other = xray_net(3), xray_net(3), xray_net(4)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.head.weight, two.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_the_exposure_matters_little():
    net, images = xray_net().eval(), torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(net(images), net(0.3 + 0.5 * images), atol=1e-4, rtol=1e-4)
    assert net(torch.zeros(1, 1, 64, 64)).isfinite().all()


def test_classes_have_names():
    assert xray_net().class_index("finding") == 1
    assert grad_cam(xray_net(), torch.rand(1, 1, 64, 64), "finding").names == [["finding"]]


# --- measures on a network that reads the stamp and nothing else


def test_a_reader_of_the_stamp_is_found_out(films):
    result = measure(StampReader(films), films)
    assert result.biased == pytest.approx(0.95)
    assert result.unbiased == pytest.approx(0.5)
    assert result.flipped == pytest.approx(0.05)
    assert result.worst_group == 0
    assert result.flip_rate == 1
    assert result.empty == 0


def test_logit_change_and_energies_by_hand(films):
    net = StampReader(films)
    result = measure(net, films)
    change = ((films.stamped - films.clean)[:, 0] * net.strip).sum((1, 2)).abs().mean()
    assert result.logit_change == pytest.approx(change.item(), rel=1e-4)
    shown = films.stamped[films.has_finding, 0]  # a map as large as the picture: its values are the picture's
    for name, mask in (
        ("box", films.marker_box[films.has_finding]),
        ("corner", corner(64).expand(len(shown), -1, -1)),
    ):
        share = (shown * mask).sum((1, 2)) / shown.sum((1, 2))
        assert getattr(result, name) == pytest.approx(share.mean().item(), rel=1e-4)
        assert getattr(result, f"{name}_area") == pytest.approx(mask.float().mean().item())


def test_a_constant_answer_never_flips_and_has_no_map(films):
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nothing = 0 * self.layer(x).mean((1, 2, 3))
            return torch.stack([nothing, nothing - 1], 1)

    result = measure(Constant(), films)
    assert (result.flip_rate, result.unbiased, result.worst_group, result.empty) == (0, 0.5, 0, 1)


def test_finding_is_widened_by_four_pixels(films):
    found = films.masks["finding"][films.has_finding]
    wide = measure(StampReader(films), films).finding_area
    rows, columns = found[0].nonzero(as_tuple=True)
    assert wide > found.float().mean().item()
    grown = torch.zeros(64, 64, dtype=torch.bool)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        grown[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5] = True
    one = Radiographs(
        films.clean[films.has_finding][:1],
        films.stamped[films.has_finding][:1],
        torch.tensor([True]),
        {name: mask[films.has_finding][:1] for name, mask in films.masks.items()},
    )
    assert measure(xray_net(), one).finding_area == pytest.approx(grown.float().mean().item())


def test_measuring_leaves_the_network_as_it_was(films):
    net = xray_net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measure(net, films)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_masked_strip_makes_the_twins_equal(films):
    assert torch.equal(without_strip(films.clean), without_strip(films.stamped))
    assert measure(xray_net(), films, masked=True).flip_rate == 0
    assert (films.masks["marker"] <= films_module.stamp_strip(64)).all()


# --- the map to learn through, and the repairs


def test_the_map_to_learn_through_is_grad_cam(films):
    net = xray_net().eval()
    logits, maps = soft_map(net, films.clean[:3])
    torch.testing.assert_close(maps[:, None], grad_cam(net, films.clean[:3], 1).maps)
    torch.testing.assert_close(64 * maps[:, None], cam(net, films.clean[:3], 1))  # Z = 8 x 8
    torch.testing.assert_close(logits, net(films.clean[:3]))


def test_the_map_of_the_answer_is_the_difference_of_two(films):
    net = xray_net().eval()
    _, maps = soft_map(net, films.clean[:3], decision=True)
    both = grad_cam(net, films.clean[:3], [0, 1]).maps
    torch.testing.assert_close(maps, both[:, 1] - both[:, 0])


def test_what_the_stamp_changes_lies_where_the_net_reads_it(films):
    everything = corner_of_decision(StampReader(films), films)[1]
    found = films.has_finding
    change = (films.stamped - films.clean)[found, 0]  # this net's map is the picture
    assert everything == pytest.approx(float(change[:, corner(64)].sum() / change.sum()), rel=1e-4)
    net = xray_net(2).eval()
    share, inside = corner_of_decision(net, films)
    maps = {
        name: grad_cam(net, images[found], [0, 1]).maps.diff(dim=1)[:, 0]
        for name, images in (("clean", films.clean), ("stamped", films.stamped))
    }
    with torch.no_grad():  # the whole change of d, from the answers: sum_ij L^d_ij = d - bias
        d = {
            on: net(x[found]).diff(dim=1).sum()
            for on, x in (("clean", films.clean), ("stamped", films.stamped))
        }
    units = corner(8)
    by_hand = (maps["stamped"] - maps["clean"])[:, units].sum() / (d["stamped"] - d["clean"])
    assert inside == pytest.approx(float(by_hand), rel=1e-2)
    energy = maps["stamped"].relu()
    assert share == pytest.approx(float((energy[:, units].sum(1) / energy.sum((1, 2))).nanmean()), rel=1e-4)


@pytest.mark.parametrize("punished", PUNISHED)
def test_the_penalty_empties_what_it_punishes(films, punished):
    one, two = (
        study.train(films, "penalty on the map", seed=1, epochs=6, strength=strength, punished=punished)
        for strength in (0.0, 100.0)
    )

    def share(net):
        if punished == "corner, map of d":
            return corner_of_decision(net, films)[0]
        return getattr(measure(net, films), punished)

    assert not torch.equal(one.head.weight, two.head.weight)
    assert share(two) < 0.5 * share(one)


def test_a_loss_on_the_map_reaches_the_weights(films):
    net = xray_net().eval()
    _, maps = soft_map(net, films.clean[:3])
    maps.relu().sum().backward()
    assert net.features[0].weight.grad.abs().sum() > 0
    assert net.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("repair", REPAIRS)
def test_each_repair_trains_and_repeats(films, repair, capsys):
    one = study.train(films, repair, seed=1, epochs=1, progress=True)
    shown = capsys.readouterr().err
    two = study.train(films, repair, seed=1, epochs=1)
    assert isinstance(one, XrayNet)
    assert not one.training
    assert not torch.equal(one.head.weight, xray_net(1).head.weight)
    torch.testing.assert_close(one.head.weight, two.head.weight)
    losses = re.findall(r"epoch (\d+), loss (\d+\.\d+)", shown)
    assert {epoch for epoch, _ in losses} == {"1"}
    assert float(losses[-1][1]) > 0
    assert not capsys.readouterr().err  # the second training was not asked to show anything


def test_repairs_differ_from_doing_nothing(films):
    plain = study.train(films, "none", seed=1, epochs=1).head.weight
    for repair in REPAIRS:
        if repair != "none":
            assert not torch.equal(study.train(films, repair, seed=1, epochs=1).head.weight, plain), repair


def test_training_leaves_films_and_generator_alone(films):
    before = films.clean.clone(), films.stamped.clone()
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    study.train(films, "marker at random", epochs=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(films.clean, before[0])
    assert torch.equal(films.stamped, before[1])
