"""The study of 60 pictures: what is measured, how it is stored, and that the stored table is complete."""

import math

import pytest
import torch
from helpers import TinyNet

from course_utils.assets import AssetError
from course_utils.attacks import __main__, study
from course_utils.explain import grad_cam
from course_utils.localization import energy_inside, pointing_game
from course_utils.networks import Classifier

NAMES = ["ant", "bee", "airliner", "dog", "eel"]


@pytest.fixture(scope="module")
def small():
    net = TinyNet(seed=2)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    return Classifier(net, NAMES, target_layer="features.5").eval()


@pytest.fixture(scope="module")
def case():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:4, 2:6] = True
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    return study.Case("a picture", "photograph", image, "bee", mask)


@pytest.fixture(scope="module")
def rows(small, case):
    return study.measure(small, [case], progress=False)


def test_sixty_pictures_each_with_an_object_of_its_class():
    cases = study.cases()
    assert len(cases) >= 60 and len({case.name for case in cases}) == len(cases)
    assert {case.kind for case in cases} == {"photograph", "mosaic", "composite"}
    for case in cases:
        assert case.image.shape == (1, 3, 224, 224) and case.mask.shape == (224, 224)
        assert 0 < case.mask.float().mean() < 1


@pytest.mark.parametrize("name", study.ATTACKS)
def test_the_numbers_are_those_of_the_measures(name, small, case, rows):
    (row,) = (row for row in rows if row.attack == name)
    image = study.attacked(small, case, study.ATTACKS[name])
    assert (image - case.image).abs().max() <= study.ATTACKS[name].epsilon / 255 + 1e-6
    explanation, p = grad_cam(small, image, ["bee", "airliner"]), small(image).softmax(1)[0]
    heat = explanation.heatmaps()[0]
    assert (row.p_label, row.p_target) == pytest.approx((p[1].item(), p[2].item()), abs=1e-6)
    assert row.predicted == NAMES[p.argmax()]
    for found, one in ((row.energy, heat[0]), (row.target_energy, heat[1])):
        expected = energy_inside(one, case.mask)
        assert math.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-5)
    expected = pointing_game(heat[0], case.mask)
    assert math.isnan(row.hit) if expected is None else row.hit == expected
    clean = grad_cam(small, case.image, "bee").maps.flatten()
    cosine = torch.nn.functional.cosine_similarity(clean, explanation.maps[0, 0].flatten(), dim=0)
    assert row.cosine == pytest.approx(cosine.item(), abs=1e-5)
    assert row.area == 16 / 64


def test_the_attacks_do_what_they_are_called(small, case):
    eps = 60  # large enough for a network of random weights
    away = study.attacked(small, case, study.Attack("map, right", eps, 20))
    both = study.attacked(small, case, study.Attack("map, target", eps, 20))
    toward = study.attacked(small, case, study.Attack("pgd", eps, 20))
    assert small(toward).argmax() == small(both).argmax() == 2 and small(away).argmax() == 1
    before, after = (
        energy_inside(grad_cam(small, x, "bee").heatmaps()[0, 0], case.mask) or 0 for x in (case.image, away)
    )
    assert after < before


def test_an_empty_map_is_no_number(small, case):
    dark = Classifier(TinyNet(seed=2), NAMES, target_layer="features.5").eval()
    with torch.no_grad():
        dark.net.head[-1].weight.copy_(-dark.net.head[-1].weight.abs())
    (row,) = study.measure(dark, [case], ["none"], progress=False)
    assert math.isnan(row.energy) and math.isnan(row.hit)


def test_stored_and_read_again(rows, tmp_path):
    path = tmp_path / "new" / "table.csv"
    study.save(rows, path)
    again = study.load(path)
    assert len(again) == len(rows) == len(study.ATTACKS)
    for old, new in zip(rows, again, strict=True):
        assert (old.picture, old.attack, old.predicted) == (new.picture, new.attack, new.predicted)
        for name in ("area", "p_label", "p_target", "energy", "hit", "target_energy", "cosine"):
            assert getattr(new, name) == pytest.approx(getattr(old, name), rel=1e-4, nan_ok=True)
    assert study.column(again, "noise 8", "cosine").shape == (1,)


def test_the_command_writes_a_table_that_was_not_there(rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(__main__, "DATA", tmp_path)
    monkeypatch.setattr(study, "measure", lambda classifier, cases: rows)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(__main__, "measure_digits", list)
    monkeypatch.setattr(__main__, "save_measurements", lambda rows, path: None)
    __main__.main()
    assert study.load(tmp_path / study.FILE)[0].picture == "a picture"
    lines, digits = capsys.readouterr().out.splitlines()
    assert digits == "10_digits.csv: networks for digits"
    assert lines == f"10_adversarial_examples.csv: {len(rows)} lines"


def test_the_stored_table_is_complete():
    try:
        rows = study.load()
    except AssetError as error:
        pytest.fail(str(error))
    cases = study.cases()
    expected = [(case.name, case.kind, case.label, attack) for case in cases for attack in study.ATTACKS]
    assert [(row.picture, row.kind, row.label, row.attack) for row in rows] == expected
    for row, case in zip(rows[:: len(study.ATTACKS)], cases, strict=True):
        assert row.area == pytest.approx(case.mask.float().mean().item(), rel=1e-4)
        assert row.cosine == pytest.approx(1, abs=1e-4)
