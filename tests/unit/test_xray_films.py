"""Drawn radiographs: physics by hand, twins, masks, and the same picture for the same seed."""

import math

import numpy as np
import pytest
import torch

from course_utils.xray import (
    POSITIONS,
    Radiographs,
    anatomy,
    corner,
    markers,
    patient,
    physics,
    radiographs,
    stamp,
)

N = 60


@pytest.fixture(scope="module")
def films() -> Radiographs:
    return radiographs(N, size=96, seed=3)


# --- physics


def test_a_slab_attenuates_as_computed_by_hand():
    # 10 cm of soft tissue, 12 of lung and 1 of bone: exp(-(2.1 + 0.648 + 0.6)) = exp(-3.348) = 0.035155
    slab = physics.transmission({"soft": np.full((2, 3), 10.0), "lung": 12.0, "bone": 1.0, "air": 50.0})
    np.testing.assert_allclose(slab, np.full((2, 3), 0.035155), rtol=1e-4)


def test_two_slabs_multiply_and_none_lets_all_pass():
    one, two = physics.transmission({"soft": 3.0}), physics.transmission({"bone": 1.5})
    np.testing.assert_allclose(physics.transmission({"soft": 3.0, "bone": 1.5}), one * two)
    assert physics.transmission({"soft": 0.0}) == 1
    assert physics.transmission({"air": 100.0}) == 1


def test_denser_materials_attenuate_more():
    order = ["air", "lung", "soft", "bone", "metal"]
    passed = [float(physics.transmission({material: 1.0})) for material in order]
    assert passed == sorted(passed, reverse=True)
    assert list(physics.ATTENUATION) == order


def test_the_detector_gives_back_the_path_without_scatter():
    primary = np.full((40, 40), math.exp(-2.0), np.float32)
    values = physics.detect(primary, physics.Exposure(photons=1e7, scatter=0), np.random.default_rng(0))
    assert abs(values.mean() - 2.0) < 1e-3


def test_noise_follows_from_the_number_of_photons():
    # N counts scatter by sqrt(N); their logarithm by 1 / sqrt(N). 40 pixels across instead of 96 are larger.
    for photons in (1e4, 1e6):
        values = physics.detect(
            np.full((40, 40), 0.1, np.float32), physics.Exposure(photons, scatter=0), np.random.default_rng(1)
        )
        assert values.std() == pytest.approx(1 / math.sqrt(0.1 * photons * (96 / 40) ** 2), rel=0.1)


def test_scatter_lays_a_veil_over_the_dense_half():
    primary = np.full((48, 48), 0.3, np.float32)
    primary[:, 24:] = 0.01
    without, with_it = (
        physics.detect(primary, physics.Exposure(1e8, scatter=s), np.random.default_rng(0)) for s in (0, 0.3)
    )
    contrast = [values[:, 24:].mean() - values[:, :24].mean() for values in (without, with_it)]
    assert contrast[0] == pytest.approx(math.log(30), rel=1e-3)
    assert contrast[1] < 0.8 * contrast[0]


def test_blurring_equals_scipys():
    from scipy.ndimage import gaussian_filter

    image = np.random.default_rng(0).normal(size=(31, 47)).astype(np.float32)
    expected = gaussian_filter(image, 0.05 * 47, mode="nearest", truncate=6)
    np.testing.assert_allclose(physics.softened(image, 0.05), expected, atol=1e-4)


def test_the_window_maps_the_bodys_percentiles_to_black_and_white():
    values = np.linspace(0, 1, 101, dtype=np.float32)[None].repeat(4, 0)
    shown = physics.display(values, values >= 0, physics.Exposure(low=10, high=90))
    np.testing.assert_allclose(shown[0, [0, 10, 50, 90, 100]], [0, 0, 0.5, 1, 1], atol=1e-5)


# --- the same picture for the same seed


def test_picture_i_is_the_same_whatever_n(films):
    few = radiographs(5, size=96, seed=3)
    assert torch.equal(few.clean, films.clean[:5])
    assert torch.equal(few.stamped, films.stamped[:5])
    assert all(torch.equal(few.masks[name], films.masks[name][:5]) for name in few.masks)
    assert few.kinds == films.kinds[:5]


def test_other_seeds_and_other_numbers_give_other_pictures(films):
    other = radiographs(2, size=96, seed=4)
    assert not torch.equal(other.clean, films.clean[:2])
    assert len({image.numpy().tobytes() for image in films.clean}) == N


@pytest.mark.parametrize("size", [64, 160, 224])
def test_another_size_shows_the_same_anatomy(films, size):
    other = radiographs(6, size=size, seed=3)
    assert other.clean.shape == (6, 1, size, size)
    assert other.kinds == films.kinds[:6]
    for name in ("lung", "heart", "finding"):
        resized = torch.nn.functional.interpolate(other.masks[name][:, None].float(), (96, 96), mode="area")[
            :, 0
        ]
        difference = (resized - films.masks[name][:6].float()).abs().mean((1, 2))
        assert (difference < 0.02).all(), name
    small = torch.nn.functional.interpolate(other.clean, (96, 96), mode="area")
    for one, two in zip(small, films.clean, strict=False):
        assert torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1] > 0.95


def test_nothing_touches_the_global_generators():
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    radiographs(2, size=64).biased()
    assert (torch.rand(1), np.random.rand()) == expected


# --- what a set of pictures promises


def test_shapes_types_and_ranges(films):
    for images in (films.clean, films.stamped):
        assert images.shape == (N, 1, 96, 96)
        assert images.dtype == torch.float32
        assert images.min() >= 0
        assert images.max() <= 1
    assert films.has_finding.shape == (N,)
    assert {name: (mask.shape, mask.dtype) for name, mask in films.masks.items()} == dict.fromkeys(
        ["lung", "heart", "finding", "marker"], ((N, 96, 96), torch.bool)
    )
    assert repr(films) == "Radiographs(60 of 96 x 96, 30 with a finding)"


def test_each_pair_has_one_finding(films):
    pairs = films.has_finding.view(-1, 2)
    assert (pairs.sum(1) == 1).all()
    assert 5 < pairs[:, 0].sum() < 25  # which of the two is drawn


def test_both_kinds_of_finding_occur(films):
    assert {"normal", "consolidation", "effusion"} == set(films.kinds)
    assert [kind != "normal" for kind in films.kinds] == films.has_finding.tolist()


def test_the_twins_differ_exactly_at_the_marker(films):
    assert torch.equal((films.clean != films.stamped)[:, 0], films.masks["marker"])
    areas = films.masks["marker"].float().mean((1, 2))
    assert ((areas > 0.01) & (areas < 0.06)).all()


def test_the_marker_lies_in_the_corner_and_moves_a_little(films):
    assert (films.masks["marker"] <= corner(96)).all()
    assert (films.masks["marker"] <= films.marker_box).all()
    assert len({mask.numpy().tobytes() for mask in films.masks["marker"]}) > 5


def test_the_box_is_the_smallest_around_the_marker(films):
    rows, columns = np.nonzero(films.masks["marker"][7].numpy())
    box = np.zeros((96, 96), bool)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    np.testing.assert_array_equal(films.marker_box[7].numpy(), box)


def test_findings_lie_in_the_lung(films):
    finding, lung = films.masks["finding"], films.masks["lung"]
    assert (finding <= lung).all()
    areas = finding.float().mean((1, 2))
    assert (areas[films.has_finding] > 0.004).all()
    assert (areas[~films.has_finding] == 0).all()


def test_lungs_and_heart_are_where_they_belong(films):
    columns = torch.arange(96.0)
    assert not (films.masks["lung"] & films.masks["heart"]).any()
    areas = {name: films.masks[name].float().mean((1, 2)) for name in ("lung", "heart")}
    assert ((areas["lung"] > 0.15) & (areas["lung"] < 0.6)).all()
    assert ((areas["heart"] > 0.03) & (areas["heart"] < 0.25)).all()
    heart = (films.masks["heart"].float().sum(1) * columns).sum(1) / films.masks["heart"].float().sum((1, 2))
    assert (heart > 48).float().mean() > 0.9  # the patient's left is on the right of the picture


def test_lungs_are_darker_than_the_heart_and_findings_brighter_than_the_rest_of_the_lung(films):
    def mean(mask: torch.Tensor) -> torch.Tensor:
        return (films.clean[:, 0] * mask).sum((1, 2)) / mask.sum((1, 2))

    lung, finding = films.masks["lung"], films.masks["finding"]
    assert (mean(lung) < mean(films.masks["heart"])).all()
    there = films.has_finding
    brighter = mean(finding)[there] > mean(lung & ~finding)[there]
    assert brighter.float().mean() > 0.7  # some lie where the lung is dark anyway


@pytest.mark.parametrize("add", [anatomy.add_consolidation, anatomy.add_effusion])
def test_a_finding_moves_path_from_lung_to_soft_tissue(add):
    rng = np.random.default_rng(2)
    person, frame = patient.draw_patient(rng), patient.Frame(96)
    chest = anatomy.build_chest(person, frame, rng)
    before, mask = dict(chest.paths()), chest.lung_mask.copy()
    finding = add(chest, person, frame, rng)
    after = chest.paths()
    fluid = before["lung"] - after["lung"]
    np.testing.assert_allclose(after["soft"] - before["soft"], fluid, atol=1e-4)
    assert fluid.min() >= 0
    assert (after["lung"] >= 0).all()
    np.testing.assert_array_equal(finding, (fluid >= 1 - 1e-5) & mask)
    assert (
        physics.transmission(after)[finding] < physics.transmission(before)[finding] * math.exp(-0.15)
    ).all()


def test_nothing_but_the_finding_tells_the_labels_apart():
    # Means over the picture outside the lung, and the letters in lead, must not know the label.
    films = radiographs(160, size=64, seed=11)
    outside = (films.clean[:, 0] * ~films.masks["lung"]).mean((1, 2))
    one, two = outside[films.has_finding], outside[~films.has_finding]
    error = math.sqrt((one.var() + two.var()) / 80)
    assert abs(one.mean() - two.mean()) < 3.5 * error


# --- the biased set


def test_biased_takes_the_right_twin_and_the_right_shares():
    films = radiographs(200, size=64, seed=1)
    images, labels, has_marker = films.biased()
    assert torch.equal(labels, films.has_finding.long())
    assert torch.equal(images[has_marker], films.stamped[has_marker])
    assert torch.equal(images[~has_marker], films.clean[~has_marker])
    assert has_marker[labels == 1].float().mean() == pytest.approx(0.95, abs=0.06)
    assert has_marker[labels == 0].float().mean() == pytest.approx(0.05, abs=0.06)


def test_biased_at_the_ends_and_for_other_seeds(films):
    images, _, has_marker = films.biased(1, 0)
    assert torch.equal(has_marker, films.has_finding)
    assert torch.equal(films.biased(0, 0)[0], films.clean)
    assert torch.equal(films.biased(1, 1)[0], films.stamped)
    assert not torch.equal(films.biased(0.5, 0.5)[2], films.biased(0.5, 0.5, seed=1)[2])
    assert torch.equal(radiographs(9, seed=3).biased(0.5, 0.5)[2], films.biased(0.5, 0.5)[2][:9])
    images[:] = 0
    assert films.clean.max() > 0  # the caller's own copy


def test_the_corners_area():
    assert corner(96).float().mean() == pytest.approx(0.2083, abs=1e-4)
    assert corner(96)[0, 0]
    assert not corner(96)[0, 48]
    assert not corner(96)[40, 0]


# --- stamps


def test_stamping_covers_the_named_corner_only(films):
    for name, (x, y) in POSITIONS.items():
        before = films.clean[:2]
        after = stamp(before, "AP", name)
        rows, columns = np.nonzero((after != before)[:, 0].any(0).numpy())
        assert abs(columns.mean() / 95 - x) < 0.15, name
        assert abs(rows.mean() / 95 - y) < 0.15, name
        assert after.max() <= 1
        assert after.min() >= 0


def test_opacity_fades_the_stamp_out(films):
    before = films.clean[:3]
    kept = before.clone()
    changes = [(stamp(before, opacity=o) - before).abs().sum().item() for o in (0, 0.3, 0.6, 1)]
    assert changes[0] == 0
    assert changes == sorted(changes)
    assert torch.equal(before, kept)


def test_no_text_changes_nothing(films):
    assert torch.equal(stamp(films.clean[:2], ""), films.clean[:2])


def test_longer_texts_are_wider_and_higher_ones_higher():
    short, long = (markers.lettering(text, (96, 96), (0, 0))[0] for text in ("R", "PORTABLE"))
    assert (short.any(0).sum()) < long.any(0).sum() / 3
    tall = markers.lettering("R", (96, 96), (0, 0), height=0.2)[0]
    assert tall.any(1).sum() > 2 * short.any(1).sum()
    assert (
        markers.lettering("L", (96, 96), (0.5, 0.5), circle=True)[0].sum()
        > markers.lettering("L", (96, 96), (0.5, 0.5))[0].sum()
    )


# --- patients


def test_a_patient_takes_the_same_draws_and_varies():
    one, two = np.random.default_rng(0), np.random.default_rng(0)
    patient.draw_patient(one)
    two.uniform(size=24), two.normal(size=8)
    assert one.uniform() == two.uniform()
    rng = np.random.default_rng(1)
    chests = [patient.draw_patient(rng) for _ in range(50)]
    assert all(isinstance(value, float) for value in vars(chests[0]).values())
    assert np.std([p.height for p in chests]) > 0.02
    assert 0.3 < np.mean([p.breast > 0 for p in chests]) < 0.7


def test_the_frames_two_directions_agree():
    frame = patient.Frame(64, angle=0.1, zoom=1.2, across=0.05, down=-0.03)
    u, v = frame.grid
    back = frame.on_canvas(np.stack([u, v], -1)) / 256 * 64
    np.testing.assert_allclose(back[..., 0], np.broadcast_to(np.arange(64) + 0.5, (64, 64)), atol=1e-3)
    np.testing.assert_allclose(back[..., 1].T, np.broadcast_to(np.arange(64) + 0.5, (64, 64)), atol=1e-3)
