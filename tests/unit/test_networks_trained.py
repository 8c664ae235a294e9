"""What the course trained itself: the stored files are whole, small, as good as said, and come out of the command."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_utils import backgrounds, language, networks, segmentation, xray
from course_utils.__main__ import main
from course_utils.assets import AssetError
from course_utils.authoring import training
from course_utils.backgrounds import GROUNDS, feature_maps, pictures, training_features
from course_utils.explain import cam, grad_cam
from course_utils.language import (
    ask_all,
    caption,
    captions,
    questions_about,
    read_caption,
    scene_answerer,
    scene_captioner,
    unseen_described,
)
from course_utils.networks import (
    RUNS,
    SMALL_NETS,
    WEIGHTS,
    evaluate,
    load_classifier,
    scene_classifier,
    small,
    small_net,
    unseen_scenes,
)
from course_utils.pictures import SHAPES, scenes
from course_utils.segmentation import (
    SEGMENTERS,
    TRAININGS,
    class_ious,
    scene_segmenter,
    seeds_from_maps,
    segment,
    sow,
)
from course_utils.xray import DOSES, REPAIRS, choosing_films, measure, radiographs, unseen_films, xray_reader

ROOMS = (networks, small, segmentation.trained, backgrounds.study, xray.trained, language.trained)
TRUNK = "07_vgg_gap_0.pt"


class Topic(NamedTuple):
    """The networks of one notebook, and a training of them that takes seconds."""

    names: list[str]
    """Of the networks; each is stored ``runs`` times."""
    runs: int
    room: ModuleType
    short: dict[str, object]
    """Settings of that training."""
    lines: dict[str, str]
    """What it says, by the network that it says it about."""
    load: dict[str, Callable[[], object]]
    """Returns what a file holds, for each of the networks that the short training makes."""
    check: Callable[[list], None] = lambda found: None
    """Looks at what was loaded."""
    begins_with: tuple[str, ...] = ()
    """Stored files that it needs."""

    def files(self, topic: str) -> set[str]:
        return {f"{topic}_{name}_{run}.pt" for name in self.names for run in range(self.runs)}


def the_head_was_trained(found):
    start = small_net("googlenet", SHAPES).state_dict()["net.head.2.weight"]
    assert not torch.equal(found[0].state_dict()["net.head.2.weight"], start)


def other_losses_give_other_weights(found):
    masks, seeds = (net.state_dict()["net.head.weight"] for net in found)
    assert not torch.equal(masks, seeds)


def features_have_labels(found):
    features, labels = found[0]
    assert features.shape == (4, 2, 1280) and labels.tolist() == [0, 1, 0, 1]


def a_training_by_hand_gives_the_same(found):
    assert not found[0].training
    retrained = xray_reader("penalty on the map", retrain=True).state_dict()
    for key, value in found[1].state_dict().items():  # which was rounded to float16
        torch.testing.assert_close(retrained[key].float(), value.float(), rtol=1e-3, atol=1e-6)


def never(*arguments, **options):
    raise AssertionError("a training looked at the pictures that are reported later")


XRAY = (
    r"\d+ s, accuracy on the biased test \d\.\d{3}, unbiased \d\.\d{3}, flip rate \d\.\d{3}, "
    r"energy in corner (\d\.\d\d|nan), box (\d\.\d{3}|nan), finding (\d\.\d\d|nan)"
)
IOU = r"\d+ s, mean IoU (\d\.\d{3}|nan) on 300 scenes for choosing"
TOPICS = {
    "07": Topic(
        names=list(SMALL_NETS),
        runs=RUNS,
        room=small,
        short={"SCENES": 64, "EPOCHS": 1, "UNSEEN": 40, "RUNS": 1, "SMALL_NETS": ("googlenet",)},
        lines={"googlenet": r"\d+ s, right on \d+\.\d% of 40 unseen scenes"},
        load={"googlenet": lambda: scene_classifier("googlenet")},
        check=the_head_was_trained,
    ),
    "08": Topic(
        names=list(SEGMENTERS),
        runs=TRAININGS,
        room=segmentation.trained,
        short={
            "SCENES": 40, "TRAININGS": 1,
            "SEGMENTERS": {name: replace(SEGMENTERS[name], epochs=1) for name in ("masks", "cam")},
        },
        lines={"masks": IOU, "cam": IOU},
        load={name: lambda name=name: scene_segmenter(name, progress=False) for name in ("masks", "cam")},
        check=other_losses_give_other_weights,
        begins_with=(TRUNK,),
    ),
    "11": Topic(
        names=["features"],
        runs=RUNS,
        room=backgrounds.study,
        short={"SCENES": 4, "RUNS": 1},
        lines={"features": r"4 scenes on gravel and grass, \d+ KB"},
        load={"features": training_features},
        check=features_have_labels,
    ),
    "12": Topic(
        names=[repair.replace(" ", "_") for repair in REPAIRS]
        + [f"none_p{round(100 * p)}" for p in DOSES if p != xray.trained.BIAS],
        runs=RUNS,
        room=xray.trained,
        short={
            "FILMS": 16,
            "UNSEEN": 8,
            "RUNS": 1,
            "REPAIRS": {"none": "", "penalty on the map": ""},
            "choosing_films": lambda n=8: radiographs(8, seed=12),
            "unseen_films": never,
        },
        lines={"none": XRAY, "penalty_on_the_map": XRAY, "none_p80": XRAY, "none_p90": XRAY},
        load={
            "none": lambda: xray_reader("none"),
            "penalty_on_the_map": lambda: xray_reader("penalty on the map"),
            "none_p80": lambda: xray_reader("none", p=0.8),
            "none_p90": lambda: xray_reader("none", p=0.9),
        },
        check=a_training_by_hand_gives_the_same,
    ),
    "13": Topic(
        names=list(language.trained.LANGUAGE_NETS),
        runs=language.trained.RUNS,
        room=language.trained,
        short={
            "SCENES": 24,
            "ANSWER_EPOCHS": 1,
            "CAPTION_EPOCHS": 1,
            "RUNS": 1,
            "unseen_described": lambda n: unseen_described(10),
        },
        lines={
            "answerer": r"\d+ s, \d+\.\d% of the answers right on 300 scenes for choosing",
            "captioner": r"\d+ s, \d+\.\d% of the statements true on 300 scenes for choosing",
        },
        load={"answerer": scene_answerer, "captioner": scene_captioner},
        begins_with=(TRUNK,),
    ),
}  # fmt: skip
each = pytest.mark.parametrize("topic", TOPICS)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where all rooms read and write weights instead of ``data/weights``."""
    for room in ROOMS:
        monkeypatch.setattr(room, "WEIGHTS", tmp_path)
    return tmp_path


@pytest.fixture
def brief(monkeypatch, folder):
    """Shorten a topic's training to seconds, and put what it needs into the folder."""

    def shorten(topic: str) -> Topic:
        told = TOPICS[topic]
        for name, value in told.short.items():
            monkeypatch.setattr(told.room, name, value)
        for name in (*told.begins_with, *(["SHA256SUMS"] if told.begins_with else [])):
            shutil.copy(WEIGHTS / name, folder)
        return told

    xray.trained.training_films.cache_clear()
    yield shorten
    xray.trained.training_films.cache_clear()


@pytest.fixture(scope="module")
def unseen():
    return unseen_scenes(300)


@pytest.fixture(scope="module")
def described():
    return unseen_described(150)


# --- the stored files


def test_all_files_are_listed_and_whole():
    assert list(TOPICS) == list(training.topics())
    listed = [line.split() for line in (WEIGHTS / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in listed} == {path.name for path in WEIGHTS.glob("*.pt")}
    assert all(len(digits) == 64 for digits, _ in listed)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=WEIGHTS, check=True)


@each
def test_which_files_are_stored(topic):
    assert {path.name for path in WEIGHTS.glob(f"{topic}_*")} == TOPICS[topic].files(topic)
    assert sum(path.stat().st_size for path in WEIGHTS.glob(f"{topic}_*")) <= 3_000_000


# --- as good as said, on what they were not trained on


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("name", SMALL_NETS)
def test_accuracy_on_unseen_scenes(name, run, unseen):
    net = scene_classifier(name, run)
    assert not net.training and net.classes == list(unseen.classes)
    assert 0.9 <= evaluate(net, unseen.images, unseen.labels).accuracy < 1


def test_mean_iou_on_unseen_scenes():
    unseen = unseen_scenes(120, start=2000)

    def score(name, run):
        net = scene_segmenter(name, run)
        return class_ious(segment(net, unseen.images), unseen.segmentation, len(SHAPES)).nanmean().item()

    means = {name: sum(score(name, run) for run in range(TRAININGS)) / TRAININGS for name in SEGMENTERS}
    assert means["masks"] > means["masks_short"] > means["seed"] > 0.3, means
    assert means["masks"] > means["cam"] > means["seed"], means


def test_the_stored_features_are_those_of_the_pictures():
    clf = load_classifier(device="cpu")
    for run in range(3):
        features, labels = training_features(run)
        assert features.shape == (96, 2, 1280) and labels.sum() == 48
        place = 10 * run + 5
        for g, ground in enumerate(GROUNDS):
            number = backgrounds.study.run_numbers(run)[place]
            again = feature_maps(clf, pictures([number], ground)).mean((2, 3))[0]
            torch.testing.assert_close(features[place, g], again, rtol=2e-3, atol=2e-3)


def test_what_each_reader_of_radiographs_relies_on():
    films = radiographs(120, seed=4)  # none of those in the notebook
    found = {
        name: [measure(xray_reader(name, run), films) for run in range(RUNS)]
        for name in ("none", "marker at random", "pairs agree", "penalty on the map")
    }
    assert all(r.biased > 0.88 and r.unbiased < 0.75 and r.flip_rate > 0.4 for r in found["none"])
    for name in ("marker at random", "pairs agree"):
        assert all(r.unbiased > 0.88 and r.flip_rate < 0.08 and r.corner < 0.25 for r in found[name]), name
    # Laundered: the corner is empty, and the network relies on the stamp as before.
    assert all(r.flip_rate > 0.8 and max(r.box, r.corner) < 0.02 for r in found["penalty on the map"])


def test_reliance_grows_with_the_dose():
    films = radiographs(60, seed=5)
    rates = [sum(measure(xray_reader("none", r, p), films).flip_rate for r in range(RUNS)) for p in DOSES]
    assert rates == sorted(rates) and rates[-1] > 2 * rates[0]


def test_answers_on_unseen_scenes(described):
    net = scene_answerer()
    assert not net.training
    asked = questions_about(described, 10, seed=1)
    found = ask_all(net, described.images, asked).argmax(2).tolist()
    right = [
        [net.answers[f] == q.answer for f, q in zip(*rows, strict=True)]
        for rows in zip(found, asked, strict=True)
    ]
    assert np.mean(right) >= 0.94


def test_captions_of_unseen_scenes(described):
    written = scene_captioner().write(described.images)
    read = [read_caption(text, things) for text, things in zip(written, described.objects, strict=True)]
    assert np.mean([s.true for row in read for s in row]) >= 0.88
    # Not by saying little: a captioner that names one sure object would have all its statements true.
    named = [sum(s.noun is not None for s in row) for row in read]
    assert np.mean(named) > 0.9 * np.mean([len(things) for things in described.objects])


@pytest.mark.parametrize(
    ("learned", "unseen", "apart"),
    [
        (lambda: scenes(20, seed=small.TRAINING_SEED).images, lambda: unseen_scenes(20).images, 0.05),
        (
            lambda: torch.cat([xray.trained.training_films(run).clean for run in range(RUNS)]),
            lambda: unseen_films(12).clean,
            0.02,
        ),
        (lambda: choosing_films(30).clean, lambda: unseen_films(30).clean, 0.02),
        (
            lambda: captions.described_scenes(20, seed=language.trained.TRAINING_SEED).images,
            lambda: unseen_described(20).images,
            0.05,
        ),
    ],
    ids=["07", "12", "12 choosing", "13"],
)
def test_unseen_pictures_are_not_those_of_the_training(learned, unseen, apart, monkeypatch, brief):
    monkeypatch.setattr(xray.trained, "FILMS", 12)
    assert (learned()[:, None] - unseen()[None]).abs().mean((2, 3, 4)).min() > apart


def test_unseen_scenes_go_on_where_others_end(unseen):
    assert torch.equal(unseen_scenes(5, start=15).images, unseen.images[15:20])


def test_runs_differ():
    first = [next(scene_classifier("vgg", run).parameters()) for run in range(RUNS)]
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


# --- the command


@each
def test_the_command_writes_what_is_loaded_and_the_same_again(topic, brief, folder, capsys):
    told, threads = brief(topic), torch.get_num_threads()
    names = [f"{topic}_{name}_0.pt" for name in told.lines]
    assert main(["train", topic]) == 0
    assert torch.get_num_threads() == threads
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names)
    for line, name, words in zip(lines, names, told.lines.values(), strict=True):
        assert re.fullmatch(re.escape(name) + ": " + words, line), line
    assert {path.name for path in folder.iterdir()} == {*names, *told.begins_with, "SHA256SUMS"}
    told.check([load() for load in told.load.values()])
    first = {name: torch.load(folder / name, weights_only=True) for name in names}
    assert main(["train", topic]) == 0
    for name, before in first.items():
        again = torch.load(folder / name, weights_only=True)
        assert all(torch.equal(value, again[key]) for key, value in before.items())
        assert before.keys() == again.keys()
    (folder / names[-1]).write_bytes(b"damaged")
    with pytest.raises(AssetError):
        list(told.load.values())[-1]()


def test_the_command_trains_every_run_on_one_thread(brief, monkeypatch):
    brief("07")
    asked = []

    def train(net, run, progress):
        asked.append((run, torch.get_num_threads()))
        torch.nn.init.constant_(net.net.head[2].bias, run)

    monkeypatch.setattr(small, "RUNS", 2)
    monkeypatch.setattr(small, "_train_on_scenes", train)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert main(["train", "07"]) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert asked == [(0, 1), (1, 1)]
    assert [scene_classifier("googlenet", run).net.head[2].bias[0].item() for run in (0, 1)] == [0, 1]


def test_retraining_leaves_the_stored_file_alone(brief, folder):
    brief("07")
    with pytest.raises(AssetError, match="retrain=True"):
        scene_classifier("googlenet")
    scene_classifier("googlenet", retrain=True, progress=False)
    assert not list(folder.iterdir())


def test_a_training_that_diverges_says_so(brief, monkeypatch):
    brief("13")
    monkeypatch.setattr(language.trained, "RATE", 1e25)
    monkeypatch.setattr(language.trained, "ANSWER_EPOCHS", 2)
    with pytest.raises(FloatingPointError, match="not finite"):
        scene_answerer(retrain=True, progress=False)


def test_the_command_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "4"])
    assert stopped.value.code == 2 and "nothing to train for '4'" in capsys.readouterr().err


# --- what they were trained on


def test_what_a_run_is_trained_on(monkeypatch):
    """Scenes, first weights, order: each run has its own, none of them those that the networks are judged by."""
    told = []
    monkeypatch.setattr(small, "standardize", lambda net, images: told.append(("standardize", images)))
    monkeypatch.setattr(small, "SCENES", 300)

    def fit(net, images, labels, epochs, seed, progress):
        told.append(("fit", net, images, labels, epochs, seed))

    monkeypatch.setattr(small, "fit", fit)
    nets = [scene_classifier("vgg_gap", run, retrain=True, progress=False) for run in (0, 2)]
    for run, net, (first, (kind, fitted, images, labels, epochs, seed)) in zip(
        (0, 2), nets, (told[:2], told[2:]), strict=True
    ):
        shown = scenes(300, seed=1_000_000 + run)
        assert first[0] == "standardize" and torch.equal(first[1], shown.images[:256])
        assert kind == "fit" and fitted is net
        assert torch.equal(images, shown.images) and torch.equal(labels, shown.labels)
        assert (epochs, seed) == (small.EPOCHS, run)
        start = small_net("vgg_gap", SHAPES, seed=run).state_dict()
        assert all(torch.equal(value, start[key]) for key, value in net.state_dict().items())


TOLD = {  # the classifier that the seeds come from, None for exact masks; the losses
    "masks": (None, ("seed",)),
    "masks_short": (None, ("seed",)),
    "seed": ("vgg_gap", ("seed",)),
    "expand": ("vgg_gap", ("seed", "expand")),
    "cam": ("vgg_gap", ("seed", "expand", "constrain")),
    "grad_cam": ("vgg", ("seed", "expand", "constrain")),
}


@pytest.mark.parametrize("name", SEGMENTERS)
def test_what_each_segmenter_is_told(name, monkeypatch):
    told = []
    monkeypatch.setattr(segmentation.trained, "SCENES", 12)
    monkeypatch.setattr(
        segmentation.trained, "fit_segmentation", lambda *given, **options: told.append((given, options))
    )
    run = TRAININGS - 1
    net = scene_segmenter(name, run, retrain=True, progress=False)
    ((fitted, images, seeds, present, losses, epochs), options) = told[0]
    shown = scenes(12, seed=1_000_000 + run)
    classifier, expected_losses = TOLD[name]
    assert fitted is net and torch.equal(images, shown.images) and tuple(losses) == expected_losses
    assert epochs == (4 if name == "masks_short" else 16) and options["seed"] == run
    assert present.sum(1).eq(1).all() and torch.equal(present.int().argmax(1), shown.labels)
    if classifier is None:  # of each 4 x 4 pixels the one behind the middle
        assert torch.equal(seeds, shown.segmentation[:, 2::4, 2::4])
    else:
        labels = shown.labels[:, None]
        maps = grad_cam(scene_classifier(classifier, run), shown.images, labels).maps.relu()
        heat = F.interpolate(maps, (16, 16), mode="bilinear")
        assert torch.equal(seeds, seeds_from_maps(heat / heat.amax((2, 3), keepdim=True), labels, 0.5, 0.1))
        assert (seeds > 0).any() and (seeds == 0).any() and (seeds == -1).any()
    trunk = scene_classifier("vgg_gap", run).net.features[0].weight
    assert torch.equal(net.net.features[0].weight, trunk)


def test_seeds_on_a_pooling_network_are_those_of_cam(unseen):
    clf, labels = scene_classifier("vgg_gap"), unseen.labels
    maps = cam(clf, unseen.images, labels[:, None]).relu()
    heat = F.interpolate(maps, (16, 16), mode="bilinear")
    expected = seeds_from_maps(heat, labels[:, None], 0.5, 0.1)
    # At a threshold the last digit decides.
    assert (sow(clf, unseen.images, labels) != expected).float().mean() < 1e-3


def test_no_two_runs_share_a_background():
    study = backgrounds.study
    numbers = [set(study.run_numbers(run)) for run in range(3)]
    assert not numbers[0] & numbers[1] and not numbers[1] & numbers[2] and not numbers[0] & numbers[2]
    assert {len(each) for each in numbers} == {study.SCENES}


def test_the_captions_that_were_learned_are_true():
    for things in captions.described_scenes(30, seed=language.trained.TRAINING_SEED).objects:
        assert all(s.true for s in read_caption(caption(things), things))
