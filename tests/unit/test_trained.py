"""``trained``: the stored networks are whole, small, as good as said, and come out of the command that is named."""

import shutil
import subprocess

import pytest
import torch

from course_utils.__main__ import main
from course_utils.assets import AssetError
from course_utils.authoring import train_topic, training
from course_utils.networks import (
    RUNS,
    SMALL_NETS,
    WEIGHTS,
    evaluate,
    scene_classifier,
    small_net,
    trained,
    unseen_scenes,
)

NAMES = [f"07_{name}_{run}.pt" for name in SMALL_NETS for run in range(RUNS)]


@pytest.fixture(scope="module")
def unseen():
    return unseen_scenes(300)


@pytest.fixture
def brief(monkeypatch, tmp_path):
    """A training of a second: few scenes, one network, a folder of its own."""
    for name, value in {
        "SCENES": 64,
        "EPOCHS": 1,
        "UNSEEN": 40,
        "RUNS": 1,
        "SMALL_NETS": ("googlenet",),
        "WEIGHTS": tmp_path,
    }.items():
        monkeypatch.setattr(trained, name, value)
    monkeypatch.setattr("course_utils.networks.WEIGHTS", tmp_path)  # where the command writes
    return tmp_path


def test_files():
    files = sorted(path.name for path in WEIGHTS.glob("07_*"))
    assert files == sorted(NAMES)
    assert sum(path.stat().st_size for path in WEIGHTS.glob("07_*")) <= 3_000_000
    listed = [line.split() for line in (WEIGHTS / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in listed} == {path.name for path in WEIGHTS.glob("*.pt")}
    assert all(len(digits) == 64 for digits, _ in listed)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=WEIGHTS, check=True)


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("name", SMALL_NETS)
def test_accuracy_on_unseen_scenes(name, run, unseen):
    net = scene_classifier(name, run)
    assert not net.training and net.classes == list(unseen.classes)
    assert LOW <= evaluate(net, unseen.images, unseen.labels).accuracy < 1


LOW = 0.9


def test_runs_differ():
    first = [next(scene_classifier("vgg", run).parameters()) for run in range(RUNS)]
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


def test_unseen_scenes_are_not_those_of_the_training():
    shown = trained.scenes(20, seed=trained.TRAINING_SEED)
    unseen = unseen_scenes(20)
    assert (shown.images[:, None] - unseen.images[None]).abs().mean((2, 3, 4)).min() > 0.05
    assert torch.equal(unseen_scenes(5, start=15).images, unseen.images[15:])


def test_the_command_writes_what_is_loaded_and_the_same_again(brief, capsys):
    threads = torch.get_num_threads()
    assert main(["train", "07"]) == 0
    assert torch.get_num_threads() == threads
    out = capsys.readouterr().out
    assert out.startswith("07_googlenet_0.pt: ") and "of 40 unseen scenes" in out
    assert sorted(path.name for path in brief.iterdir()) == ["07_googlenet_0.pt", "SHA256SUMS"]
    first = scene_classifier("googlenet").state_dict()
    start = small_net("googlenet", trained.SHAPES).state_dict()
    assert not torch.equal(first["net.head.2.weight"], start["net.head.2.weight"])
    assert main(["train", "07"]) == 0
    again = scene_classifier("googlenet").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_what_a_run_is_trained_on(monkeypatch):
    """Scenes, first weights, order: each run has its own, none of them those that the networks are judged by."""
    told = []
    monkeypatch.setattr(trained, "standardize", lambda net, images: told.append(("standardize", images)))
    monkeypatch.setattr(trained, "SCENES", 300)

    def fit(net, images, labels, epochs, seed, progress):
        told.append(("fit", net, images, labels, epochs, seed))

    monkeypatch.setattr(trained, "fit", fit)
    nets = [scene_classifier("vgg_gap", run, retrain=True, progress=False) for run in (0, 2)]
    for run, net, (first, (kind, fitted, images, labels, epochs, seed)) in zip(
        (0, 2), nets, (told[:2], told[2:]), strict=True
    ):
        shown = trained.scenes(300, seed=1_000_000 + run)
        assert first[0] == "standardize" and torch.equal(first[1], shown.images[:256])
        assert kind == "fit" and fitted is net
        assert torch.equal(images, shown.images) and torch.equal(labels, shown.labels)
        assert (epochs, seed) == (trained.EPOCHS, run)
        start = small_net("vgg_gap", trained.SHAPES, seed=run).state_dict()
        assert all(torch.equal(value, start[key]) for key, value in net.state_dict().items())


def test_the_command_trains_every_run_on_one_thread(brief, monkeypatch):
    asked = []

    def train(net, run, progress):
        asked.append((run, torch.get_num_threads()))
        torch.nn.init.constant_(net.net.head[2].bias, run)

    monkeypatch.setattr(trained, "RUNS", 2)
    monkeypatch.setattr(trained, "_train_on_scenes", train)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert main(["train", "07"]) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert asked == [(0, 1), (1, 1)]
    assert [scene_classifier("googlenet", run).net.head[2].bias[0].item() for run in (0, 1)] == [0, 1]


def test_retraining_leaves_the_stored_file_alone(brief):
    with pytest.raises(AssetError, match="retrain=True"):
        scene_classifier("googlenet")
    scene_classifier("googlenet", retrain=True, progress=False)
    assert not list(brief.iterdir())


def test_bad_input(capsys):
    assert next(iter(training.topics())) == "07"
    with pytest.raises(ValueError, match="no small network 'resnet', only vgg"):
        scene_classifier("resnet")
    with pytest.raises(ValueError, match="run must be at most 2, not 3"):
        scene_classifier("vgg", 3)
    with pytest.raises(TypeError, match="run is a whole number, not True"):
        scene_classifier("vgg", True)
    with pytest.raises(ValueError, match="nothing to train for '04', only for 07"):
        train_topic("04")
    with pytest.raises(SystemExit) as stopped:
        main(["train", "4"])
    assert stopped.value.code == 2 and "nothing to train for '4'" in capsys.readouterr().err
