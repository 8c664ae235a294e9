"""The networks that put drawn scenes into words, and how they were trained.

``python -m course_utils train 13`` trains what notebook 13 uses and writes it to ``data/weights/``. It needs the
classifiers of ``train 07``, whose trunks the networks begin with: a captioner begins with a trained classifier, as in
the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.arguments import whole_number
from course_utils.networks import (
    WEIGHTS,
    descend,
    load_or_train,
    one_cycle,
    scene_classifier,
    train_and_store,
)
from course_utils.pictures import Scenes

from .captions import caption, caption_words, described_scenes, mirrored, read_caption
from .nets import PAD, Answerer, Captioner, Vocabulary
from .questions import ANSWERS, QUESTIONS, Question, sample_questions

__all__ = [
    "LANGUAGE_NETS",
    "ask_all",
    "questions_about",
    "scene_answerer",
    "scene_captioner",
    "train_language",
    "unseen_described",
]

TRAINING_SEED, UNSEEN_SEED = 3_000_000, 9_000_000
SCENES, QUESTIONS_EACH = 8000, 8
ANSWER_EPOCHS, ANSWER_BATCH = 7, 16
CAPTION_EPOCHS, CAPTION_BATCH = 10, 32
RATE = 2e-3
BATCH_OF_QUESTIONS = 500
CHOOSING = 300
"""So many of :func:`unseen_described` are for choosing: what notebook 13 reports, it measures on others."""
RUNS = 1
"""Trainings of each network."""


def unseen_described(n: int = 300, start: int = 0) -> Scenes:
    """Return scenes of two or three objects that no network was trained on."""
    return described_scenes(n, seed=UNSEEN_SEED, start=start)


def questions_about(shown: Scenes, each: int, seed: int = 0) -> list[list[Question]]:
    """Return ``each`` questions about every scene, drawn from a seed, see ``questions.sample_questions``."""
    draw = np.random.default_rng(whole_number(seed, "seed", 0))
    return [sample_questions(things, each, draw) for things in shown.objects]


@torch.no_grad()
def ask_all(net: Answerer, images: Tensor, asked: Sequence[Sequence[Question]]) -> Tensor:
    """Return the logits (n, Q, answers) for Q questions about each of n images."""
    each = len(asked[0])
    codes = net.vocabulary.encode([question.text for row in asked for question in row])
    size = max(1, BATCH_OF_QUESTIONS // each)
    parts = zip(images.split(size), codes.split(size * each), strict=True)
    return torch.cat([net(some, words) for some, words in parts]).unflatten(0, (-1, each))


def scene_answerer(run: int = 0, retrain: bool = False, progress: bool = True) -> Answerer:
    """Return a small network that answers questions about drawn scenes (``captions.described_scenes``).

    It was trained with questions and answers alone: no box and no mask.

    Args:
        run: which of the trainings, 0 to ``RUNS`` - 1: other scenes, another classifier's trunk, another order.
        retrain: train it now, some minutes, instead of loading the stored weights.
        progress: show a progress bar while training.

    Raises:
        TypeError, ValueError: unknown run.
        AssetError: the stored weights are missing or damaged.
    """
    run = whole_number(run, "run", 0, RUNS - 1)
    return load_or_train(
        WEIGHTS / f"13_answerer_{run}.pt",
        lambda: _seeded(run, lambda: Answerer(_trunk(run), Vocabulary(QUESTIONS), ANSWERS)),
        lambda net: _train_answerer(net, run, progress),
        retrain,
    )


def scene_captioner(run: int = 0, retrain: bool = False, progress: bool = True) -> Captioner:
    """Return a small network that writes captions of drawn scenes; arguments as for :func:`scene_answerer`.

    It was trained with captions alone: no box and no mask.
    """
    run = whole_number(run, "run", 0, RUNS - 1)
    return load_or_train(
        WEIGHTS / f"13_captioner_{run}.pt",
        lambda: _seeded(run, lambda: Captioner(_trunk(run), Vocabulary(caption_words()))),
        lambda net: _train_captioner(net, run, progress),
        retrain,
    )


def _trunk(run: int) -> nn.Module:
    return scene_classifier("vgg_gap", run).net.features


def _seeded(run: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Draw the first weights from the run's number, and leave torch's own random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run)
        return make().eval()


def _train_answerer(net: Answerer, run: int, progress: bool) -> None:
    shown = described_scenes(SCENES, seed=TRAINING_SEED + run)
    number = {answer: place for place, answer in enumerate(ANSWERS)}
    codes, answers = [], []
    draw = np.random.default_rng(TRAINING_SEED + run)
    for turn in (list, mirrored):  # as they are, and mirrored
        asked = [sample_questions(turn(things), QUESTIONS_EACH, draw) for things in shown.objects]
        codes.append(net.vocabulary.encode([q.text for row in asked for q in row]))
        answers.append(torch.tensor([number[q.answer] for row in asked for q in row]))
    codes, answers = (torch.stack(both).unflatten(1, (SCENES, QUESTIONS_EACH)) for both in (codes, answers))

    def loss(chosen: Tensor, turned: Tensor) -> Tensor:
        logits = net(_turn(shown.images[chosen], turned), codes[turned, chosen].flatten(0, 1))
        return F.cross_entropy(logits, answers[turned, chosen].flatten())

    _descend(net, loss, ANSWER_EPOCHS, ANSWER_BATCH, run, progress)


def _train_captioner(net: Captioner, run: int, progress: bool) -> None:
    shown = described_scenes(SCENES, seed=TRAINING_SEED + run)
    captions = [caption(turn(things)) for turn in (list, mirrored) for things in shown.objects]
    codes = net.vocabulary.encode(captions, end=True).unflatten(0, (2, SCENES))

    def loss(chosen: Tensor, turned: Tensor) -> Tensor:
        words = codes[turned, chosen]
        logs = net(_turn(shown.images[chosen], turned), words)
        return F.nll_loss(logs.flatten(0, 1), words.flatten(), ignore_index=PAD)

    _descend(net, loss, CAPTION_EPOCHS, CAPTION_BATCH, run, progress)


def _turn(images: Tensor, turned: Tensor) -> Tensor:
    """Mirror some images; channels last, with which convolutions are faster on a CPU."""
    images = torch.where(turned.bool()[:, None, None, None], images.flip(3), images)
    return images.to(memory_format=torch.channels_last)


def _descend(
    net: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    epochs: int,
    batch: int,
    seed: int,
    progress: bool,
) -> None:
    """Train in place: AdamW over batches of scenes, half of them mirrored, the learning rate in one cycle."""
    descent = torch.optim.AdamW(net.parameters(), RATE)
    total = epochs * -(-SCENES // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: one_cycle(step, total))
    draw = torch.Generator().manual_seed(seed)

    def losses() -> Iterator[tuple[Tensor, int]]:
        for chosen in torch.randperm(SCENES, generator=draw).split(batch):
            yield loss_of(chosen, torch.randint(2, chosen.shape, generator=draw)), len(chosen)

    net.train()
    try:
        descend(descent, schedule, losses, epochs, total, progress)
    finally:
        net.eval()


LANGUAGE_NETS: dict[str, Callable[..., nn.Module]] = {
    "answerer": scene_answerer,
    "captioner": scene_captioner,
}


def train_language(folder: Path, progress: bool = True) -> Iterator[str]:
    """Train both networks ``RUNS`` times, write them into ``folder``, and yield a line about each."""
    trainings = (
        (f"13_{name}_{run}.pt", partial(make, run, True, progress), _describe)
        for name, make in LANGUAGE_NETS.items()
        for run in range(RUNS)
    )
    yield from train_and_store(folder, trainings)


def _describe(net: nn.Module, seconds: float) -> str:
    return f"{seconds:.0f} s, {_score(net)} on {CHOOSING} scenes for choosing"


def _score(net: nn.Module) -> str:
    unseen = unseen_described(CHOOSING)
    if isinstance(net, Answerer):
        asked = questions_about(unseen, 10)
        found = ask_all(net, unseen.images, asked).argmax(2)
        right = [
            net.answers[f] == q.answer for row, some in zip(found.tolist(), asked, strict=True)
            for f, q in zip(row, some, strict=True)
        ]  # fmt: skip
        return f"{np.mean(right):.1%} of the answers right"
    statements = [
        s.true for text, things in zip(net.write(unseen.images), unseen.objects, strict=True)
        for s in read_caption(text, things)
    ]  # fmt: skip
    return f"{np.mean(statements):.1%} of the statements true"
