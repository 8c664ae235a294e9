"""The stored segmentation networks: whole, as good as said, and made by the command that is named."""

import pytest
import torch

from course_utils.__main__ import main
from course_utils.explain import cam, grad_cam
from course_utils.networks import RUNS, WEIGHTS, scene_classifier, trained, unseen_scenes
from course_utils.pictures import SHAPES
from course_utils.segmentation import SEGMENTERS, class_ious, scene_segmenter, seeds_from_maps, segment, sow
from course_utils.segmentation import trained as trained_segmentation


@pytest.fixture(scope="module")
def unseen():
    return unseen_scenes(120)


def test_files():
    files = sorted(path.name for path in WEIGHTS.glob("08_*"))
    assert files == sorted(f"08_{name}_{run}.pt" for name in SEGMENTERS for run in range(RUNS))
    assert sum(path.stat().st_size for path in WEIGHTS.glob("08_*")) <= 3_000_000


def test_mean_iou_on_unseen_scenes(unseen):
    def score(name, run):
        net = scene_segmenter(name, run)
        return class_ious(segment(net, unseen.images), unseen.segmentation, len(SHAPES)).nanmean().item()

    means = {name: sum(score(name, run) for run in range(RUNS)) / RUNS for name in SEGMENTERS}
    assert means["masks"] > means["cam"] > means["seed"] > 0.3, means
    assert means["expand"] > means["seed"], means


def test_seeds_on_a_pooling_network_are_those_of_cam(unseen):
    clf, labels = scene_classifier("vgg_gap"), unseen.labels
    maps = cam(clf, unseen.images, labels[:, None]).relu()
    heat = torch.nn.functional.interpolate(maps, (16, 16), mode="bilinear")
    expected = seeds_from_maps(heat, labels[:, None], 0.5, 0.1)
    # At a threshold the last digit decides.
    assert (sow(clf, unseen.images, labels) != expected).float().mean() < 1e-3


def test_the_command_writes_what_is_loaded_and_the_same_again(monkeypatch, tmp_path, capsys):
    for module in (trained, trained_segmentation):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path)
        monkeypatch.setattr(module, "RUNS", 1)
        monkeypatch.setattr(module, "SCENES", 40)
        monkeypatch.setattr(module, "EPOCHS", 1)
    monkeypatch.setattr("course_utils.networks.WEIGHTS", tmp_path)  # where the command writes
    monkeypatch.setattr(trained, "SMALL_NETS", ("vgg_gap",))
    monkeypatch.setattr(trained, "UNSEEN", 40)
    monkeypatch.setattr(
        trained_segmentation, "SEGMENTERS", {name: SEGMENTERS[name] for name in ("masks", "cam")}
    )
    assert main(["train", "07"]) == 0
    assert main(["train", "08"]) == 0
    assert "08_cam_0.pt: " in capsys.readouterr().out
    first = scene_segmenter("cam", progress=False).state_dict()
    assert main(["train", "08"]) == 0
    again = scene_segmenter("cam", progress=False).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["net.head.weight"], scene_segmenter("masks").state_dict()["net.head.weight"])


TOLD = {  # the classifier that the seeds come from, None for exact masks; the losses
    "masks": (None, ("seed",)),
    "seed": ("vgg_gap", ("seed",)),
    "expand": ("vgg_gap", ("seed", "expand")),
    "cam": ("vgg_gap", ("seed", "expand", "constrain")),
    "grad_cam": ("vgg", ("seed", "expand", "constrain")),
}


@pytest.mark.parametrize("name", SEGMENTERS)
def test_what_each_network_is_told(name, monkeypatch):
    told = []
    monkeypatch.setattr(trained_segmentation, "SCENES", 12)
    monkeypatch.setattr(
        trained_segmentation, "fit_segmentation", lambda *given, **options: told.append((given, options))
    )
    run = 1
    net = scene_segmenter(name, run, retrain=True, progress=False)
    ((fitted, images, seeds, present, losses, epochs), options) = told[0]
    shown = trained.scenes(12, seed=1_000_000 + run)
    classifier, expected_losses = TOLD[name]
    assert fitted is net and torch.equal(images, shown.images) and tuple(losses) == expected_losses
    assert epochs == trained_segmentation.EPOCHS and options["seed"] == run
    assert present.sum(1).eq(1).all() and torch.equal(present.int().argmax(1), shown.labels)
    if classifier is None:  # of each 4 x 4 pixels the one behind the middle
        assert torch.equal(seeds, shown.segmentation[:, 2::4, 2::4])
    else:
        labels = shown.labels[:, None]
        maps = grad_cam(scene_classifier(classifier, run), shown.images, labels).maps.relu()
        heat = torch.nn.functional.interpolate(maps, (16, 16), mode="bilinear")
        assert torch.equal(seeds, seeds_from_maps(heat / heat.amax((2, 3), keepdim=True), labels, 0.5, 0.1))
        assert (seeds > 0).any() and (seeds == 0).any() and (seeds == -1).any()
    trunk = scene_classifier("vgg_gap", run).net.features[0].weight
    assert torch.equal(net.net.features[0].weight, trunk)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="masks"):
        scene_segmenter("mask")
    with pytest.raises(ValueError, match="run"):
        scene_segmenter("masks", RUNS)
