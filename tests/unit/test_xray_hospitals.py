"""The tables of notebook 12: scores of films, on fakes with a known difference, and trainings with a penalty."""

import math

import pytest
import torch
from torch.nn import functional as F

from course_utils.authoring import measuring
from course_utils.evidence import Measurement, Measurements, load_measurements
from course_utils.networks import load_classifier
from course_utils.xray import (
    COMPARISONS,
    PARTS,
    PUNISHED,
    STRENGTHS,
    TRAININGS,
    features,
    gray_levels,
    hospitals,
    laundering,
    measure_hospitals,
    measure_laundering,
    radiographs,
    random_halves,
    real,
    stored_halves,
    stored_test,
    strip_test,
    xray_net,
)


@pytest.fixture(scope="module")
def films():
    """24 films of one hospital and 24 brighter ones of another; of these each second from the front, brighter still."""
    coarse = torch.rand(48, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    # Smooth: noise of single pixels would tell how a picture was scaled.
    images = 0.5 * F.interpolate(coarse, (64, 64), mode="bilinear")
    images[24:] += 0.2
    images[24::2] += 0.2
    records = [
        real.Record(
            f"{'hannover' if k >= 24 else 'nih'}_{k:02}.png", "", 1, "", str(k),
            ("pa" if k % 2 else "ap") if k >= 24 else "", "", "",
        )
        for k in range(48)
    ]  # fmt: skip
    where = torch.tensor([record.hospital for record in records])
    return real.RealRadiographs(images, where, [str(k) for k in range(48)], records, [[] for _ in records])


@pytest.fixture(scope="module")
def table(films):
    patch = pytest.MonkeyPatch()
    patch.setattr(hospitals, "real_radiographs", lambda progress: films)
    try:
        torch.manual_seed(0)  # of the first network's weights
        nets = [load_classifier(name, weights=None) for name in ("efficientnet_lite0", "efficientnet_lite1")]
        yield Measurements([row for net in nets for row in measure_hospitals(net, progress=False)])
    finally:
        patch.undo()


def test_groups_are_what_the_words_say(films, table):
    group = {name: table.values(f"{name}: group", "all") for name in COMPARISONS}
    assert [len(group[name]) for name in COMPARISONS] == [48, 36, 24, 24]
    assert all(value == name.startswith("hannover") for name, value in group["hospital"].items())
    assert all(int(name[-2:]) % 2 for name in group["hospital, PA"] if name.startswith("hannover"))
    assert all(value == (int(name[-2:]) % 2 == 0) for name, value in group["view"].items())
    assert all(name.startswith("nih") for name in group["squeezed"]) and sum(group["squeezed"].values()) == 12


def test_brightness_alone_tells_these_apart(table):
    for name in ("hospital", "hospital, PA", "view"):
        assert stored_test(table, name, "gray levels alone").auc == 1
    assert stored_test(table, "squeezed", "gray levels alone").auc < 0.9


def test_stored_scores_are_those_of_the_strip_test(films, table):
    names = [record.file.rpartition(".")[0] for record in films.records]  # folds hang on the names' order
    test = strip_test(gray_levels(films.images), films.hospital, names)
    found = stored_test(table, "hospital", "gray levels alone")
    torch.testing.assert_close(found.scores, test.scores)
    assert torch.equal(found.labels, test.labels) and torch.equal(found.folds, test.folds)
    assert found.auc == test.auc
    second = stored_test(
        table, "view", "frame alone", "efficientnet_lite1"
    )  # groups and folds are the first's
    assert torch.equal(second.folds, stored_test(table, "view", "frame alone").folds)
    assert not torch.equal(second.scores, stored_test(table, "view", "frame alone").scores)


def test_what_no_network_has_a_part_in_is_stored_once(table):
    rows = [row for row in table.rows if row.network == "efficientnet_lite1"]
    assert {row.map for row in rows} == set(PARTS)
    with pytest.raises(KeyError, match="gray levels alone"):
        stored_test(table, "hospital", "gray levels alone", "efficientnet_lite1")


def test_halves_are_of_one_hospital(films, table):
    torch.manual_seed(0)
    clf = load_classifier(weights=None)
    known = features(clf, films.images[films.hospital == 1])
    assert stored_halves(table, "Hannover") == pytest.approx(random_halves(known), abs=0.02)
    assert len(stored_halves(table, "NIH", "efficientnet_lite1")) == 20


def test_squeezing_makes_a_disk_narrow():
    y, x = torch.meshgrid(*2 * [torch.arange(96.0) - 47.5], indexing="ij")
    disk = (y**2 + x**2 < 25**2).float()[None, None]
    white = hospitals.read_by_squeezing(disk)[0, 0] > 0.5
    high, wide = int(white.any(1).sum()), int(white.any(0).sum())
    assert wide == pytest.approx(50, abs=1) and high / wide == pytest.approx(1.22, abs=0.05)


def test_trainings_with_a_penalty_are_told_apart(monkeypatch):
    asked = []

    def train(films, repair, seed, strength, punished):
        asked.append((repair, seed, strength, punished))
        return xray_net(seed).eval()

    films = radiographs(8, size=64, seed=1)
    monkeypatch.setattr(laundering, "train", train)
    monkeypatch.setattr(laundering, "training_films", lambda run: films)
    monkeypatch.setattr(laundering, "unseen_films", lambda: films)
    found = Measurements(measure_laundering("training 2", progress=False))
    assert asked == [("penalty on the map", 2, s, place) for place in PUNISHED for s in STRENGTHS[place]]
    assert {row.photo for row in found.rows} == {"training 2"}
    kinds = {f"{place}: {s:.0f}" for place in PUNISHED for s in STRENGTHS[place]}
    assert {row.map for row in found.rows} == kinds
    rate = found.values("flip_rate", "corner: 10", "radiograph reader")["training 2"]
    assert rate == laundering.measure(xray_net(2).eval(), films).flip_rate


def test_the_command_writes_both_tables_and_hands_cases_over(monkeypatch, tmp_path):
    known = {
        "98": ("98_nets", lambda net, progress: [Measurement(net, "a", "m", "x", 0.5)]),
        "98 more": (
            "98_more",
            lambda case, progress: [Measurement("n", case, "m", "x", 1.0)],
            ("one", "two"),
        ),
        "981": ("981", None),
    }
    monkeypatch.setattr(measuring, "studies", lambda: known)
    monkeypatch.setattr("course_utils.networks.load_classifier", lambda name: name)
    lines = list(measuring.measure_topic("98", tmp_path, networks=["net"], progress=False))
    assert [line.split(",")[0] for line in lines] == ["98_nets: net", "98_more: one", "98_more: two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["98_more.csv", "98_nets.csv"]
    with pytest.raises(ValueError, match="nothing to measure for '9', only for 98, 98 more, 981"):
        list(measuring.measure_topic("9", tmp_path))


# --- the stored tables


def test_the_stored_table_of_films_is_whole():
    table = load_measurements("12_hospitals")
    listed = {record.file.rpartition(".")[0]: record for record in real.registry()}
    group = table.values("hospital: group", "all")
    assert {name: bool(value) for name, value in group.items()} == {
        name: bool(record.hospital) for name, record in listed.items()
    }
    assert {n for n, v in table.values("view: group", "all").items() if v} == {
        name for name, record in listed.items() if record.view == "ap"
    }
    for network in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"):
        for part in PARTS:
            assert stored_test(table, "hospital", part, network).interval().low > 0.9
        assert 0.35 < sum(stored_halves(table, "NIH", network)) / 20 < 0.65


def test_every_stored_laundering_empties_what_it_punished_and_nothing_else_changes():
    table = load_measurements("12_laundering")
    for place in PUNISHED:
        for strength in STRENGTHS[place]:
            kind = f"{place}: {strength:.0f}"
            rates = table.values("flip_rate", kind, "radiograph reader")
            assert set(rates) == set(TRAININGS) and min(rates.values()) > 0.5
            energy = table.values(place, kind, "radiograph reader").values()
            assert max(energy) < 0.03 and not any(map(math.isnan, energy))
