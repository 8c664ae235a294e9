"""The stored networks of notebook 13: whole, as good as said, and made by the command that is named."""

import shutil

import numpy as np
import pytest
import torch

from course_utils.__main__ import main
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
from course_utils.language import trained as trained_language
from course_utils.language import trained as trained_module
from course_utils.networks import trained

WEIGHTS, TRUNK = trained.WEIGHTS, "07_vgg_gap_0.pt"


@pytest.fixture(scope="module")
def unseen():
    return unseen_described(150)


def test_answers_on_unseen_scenes(unseen):
    net = scene_answerer()
    assert not net.training
    asked = questions_about(unseen, 10, seed=1)
    found = ask_all(net, unseen.images, asked).argmax(2).tolist()
    right = [
        [net.answers[f] == q.answer for f, q in zip(*rows, strict=True)]
        for rows in zip(found, asked, strict=True)
    ]
    assert np.mean(right) >= 0.94


def test_captions_of_unseen_scenes(unseen):
    written = scene_captioner().write(unseen.images)
    read = [read_caption(text, things) for text, things in zip(written, unseen.objects, strict=True)]
    assert np.mean([s.true for row in read for s in row]) >= 0.88
    # Not by saying little: a captioner that names one sure object would have all its statements true.
    named = [sum(s.noun is not None for s in row) for row in read]
    assert np.mean(named) > 0.9 * np.mean([len(things) for things in unseen.objects])


def test_unseen_scenes_are_not_those_of_the_training(unseen):
    shown = captions.described_scenes(20, seed=trained_module.TRAINING_SEED)
    assert (shown.images[:, None] - unseen.images[None, :20]).abs().mean((2, 3, 4)).min() > 0.05


@pytest.fixture
def brief(monkeypatch, tmp_path):
    for name, value in {
        "SCENES": 24,
        "ANSWER_EPOCHS": 1,
        "CAPTION_EPOCHS": 1,
        "RUNS": 1,
        "WEIGHTS": tmp_path,
    }.items():
        monkeypatch.setattr(trained_language, name, value)
    monkeypatch.setattr(trained, "WEIGHTS", tmp_path)
    monkeypatch.setattr("course_utils.networks.WEIGHTS", tmp_path)  # where the command writes
    shutil.copy(WEIGHTS / TRUNK, tmp_path)  # which the networks begin with
    shutil.copy(WEIGHTS / "SHA256SUMS", tmp_path)
    monkeypatch.setattr(trained_language, "unseen_described", lambda: unseen_described(10))
    return tmp_path


def test_the_command_writes_what_is_loaded_and_the_same_again(brief, capsys):
    threads = torch.get_num_threads()
    assert main(["train", "13"]) == 0
    assert torch.get_num_threads() == threads
    out = capsys.readouterr().out
    assert out.startswith("13_answerer_0.pt: ") and "13_captioner_0.pt: " in out and "statements true" in out
    names = [TRUNK, "13_answerer_0.pt", "13_captioner_0.pt", "SHA256SUMS"]
    assert sorted(path.name for path in brief.iterdir()) == names
    first = [make().state_dict() for make in (scene_answerer, scene_captioner)]
    assert main(["train", "13"]) == 0
    for make, before in zip((scene_answerer, scene_captioner), first, strict=True):
        assert all(torch.equal(before[key], value) for key, value in make().state_dict().items())


def test_a_training_that_diverges_says_so(brief, monkeypatch):
    monkeypatch.setattr(trained_language, "RATE", 1e25)
    monkeypatch.setattr(trained_language, "ANSWER_EPOCHS", 2)
    with pytest.raises(FloatingPointError, match="not finite"):
        scene_answerer(retrain=True, progress=False)


def test_questions_are_the_same_from_the_same_seed(unseen):
    assert questions_about(unseen, 3, seed=4) == questions_about(unseen, 3, seed=4)
    assert questions_about(unseen, 3, seed=4) != questions_about(unseen, 3, seed=5)


def test_pictures_are_mirrored_where_their_words_are():
    images = torch.rand(2, 3, 4, 5)
    turned = trained_language._turn(images, torch.tensor([0, 1]))
    assert torch.equal(turned[0], images[0]) and torch.equal(turned[1], images[1].flip(2))


def test_unknown_runs_are_refused():
    for make in (scene_answerer, scene_captioner):
        with pytest.raises(ValueError, match="run"):
            make(trained_module.RUNS)


def test_the_files_are_small():
    files = sorted(path.name for path in trained_language.WEIGHTS.glob("13_*"))
    names = trained_language.LANGUAGE_NETS
    assert files == sorted(f"13_{name}_{run}.pt" for name in names for run in range(trained_module.RUNS))
    assert sum(path.stat().st_size for path in trained_language.WEIGHTS.glob("13_*")) <= 3_000_000


def test_the_captions_that_were_learned_are_true():
    for things in captions.described_scenes(30, seed=trained_module.TRAINING_SEED).objects:
        assert all(s.true for s in read_caption(caption(things), things))
