"""The stored networks of notebook 12: whole, as good as said, and made by the command that is named."""

import pytest
import torch

from course_utils.__main__ import main
from course_utils.networks import RUNS, WEIGHTS
from course_utils.xray import DOSES, REPAIRS, measure, radiographs, trained, unseen_films, xray_reader
from course_utils.xray import trained as trained_xray


def test_files():
    files = {path.name for path in WEIGHTS.glob("12_*")}
    names = [repair.replace(" ", "_") for repair in REPAIRS]
    names += [f"none_p{round(100 * p)}" for p in DOSES if p != trained.BIAS]
    assert files == {f"12_{name}_{run}.pt" for name in names for run in range(RUNS)}
    assert sum(path.stat().st_size for path in WEIGHTS.glob("12_*")) <= 3_000_000


def test_what_each_network_relies_on():
    films = radiographs(120, seed=4)  # none of those in the notebook
    found = {
        name: [measure(xray_reader(name, run), films) for run in range(RUNS)]
        for name in ("none", "marker at random", "pairs agree", "penalty on the map")
    }
    assert all(r.biased > 0.88 and r.unbiased < 0.75 and r.flip_rate > 0.4 for r in found["none"])
    for name in ("marker at random", "pairs agree"):
        assert all(r.unbiased > 0.88 and r.flip_rate < 0.08 and r.corner < 0.25 for r in found[name]), name
    assert all(r.flip_rate > 0.3 and r.box < 0.03 for r in found["penalty on the map"])


def test_reliance_grows_with_the_dose():
    films = radiographs(60, seed=5)
    rates = [sum(measure(xray_reader("none", r, p), films).flip_rate for r in range(RUNS)) for p in DOSES]
    assert rates == sorted(rates) and rates[-1] > 2 * rates[0]


def test_unseen_films_are_not_those_of_the_training(monkeypatch):
    monkeypatch.setattr(trained_xray, "FILMS", 12)
    trained.training_films.cache_clear()
    shown = torch.cat([trained.training_films(run).clean for run in range(RUNS)])
    trained.training_films.cache_clear()
    unseen = unseen_films(12).clean
    assert (shown[:, None] - unseen[None]).abs().mean((2, 3, 4)).min() > 0.02


def test_the_command_writes_what_is_loaded_and_the_same_again(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(trained_xray, "WEIGHTS", tmp_path)
    monkeypatch.setattr("course_utils.networks.WEIGHTS", tmp_path)  # where the command writes
    monkeypatch.setattr(trained_xray, "RUNS", 1)
    monkeypatch.setattr(trained_xray, "FILMS", 16)
    monkeypatch.setattr(trained_xray, "UNSEEN", 8)
    monkeypatch.setattr(trained_xray, "REPAIRS", {"none": "", "penalty on the map": ""})
    monkeypatch.setattr(trained_xray, "unseen_films", lambda n=8: radiographs(8, seed=12))
    trained.training_films.cache_clear()
    assert main(["train", "12"]) == 0
    out = capsys.readouterr().out
    assert "12_penalty_on_the_map_0.pt: " in out and "12_none_p80_0.pt: " in out and "flip rate" in out
    first = xray_reader("penalty on the map").state_dict()
    assert not xray_reader("none").training
    retrained = xray_reader("penalty on the map", retrain=True).state_dict()
    for key, value in first.items():  # the stored ones were rounded to float16
        torch.testing.assert_close(retrained[key].float(), value.float(), rtol=1e-3, atol=1e-6)
    assert main(["train", "12"]) == 0
    again = xray_reader("penalty on the map").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    trained.training_films.cache_clear()


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="no repair 'prayer': the known ones are none"):
        xray_reader("prayer")
    with pytest.raises(ValueError, match="run must be at most 2, not 3"):
        xray_reader("none", 3)
    with pytest.raises(
        ValueError, match=r"no network was stored for p = 0.7, only for 0.8, 0.9, 0.95. Train one"
    ):
        xray_reader("none", 0, 0.7)
    with pytest.raises(ValueError, match=r"p = 0.9, only for 0.95 for a repair"):
        xray_reader("balance", 0, 0.9)
