"""The explorer of mistakes and the blind game: every value of every control, and what they say."""

from __future__ import annotations

import html
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import TinyNet

from course_utils.failures import KINDS, SHOWN, composite_cases, explain_mistakes, photo_cases
from course_utils.networks import Classifier, imagenet_classes
from course_utils.widgets import BlindGame, blind_game, chance_of, failure_explorer, failures


@pytest.fixture(scope="module")
def mistakes():
    net = TinyNet(n_classes=1000)
    net.head[-1].weight.data.abs_()  # every cell speaks for every class: no map is empty
    classifier = Classifier(net, imagenet_classes(), target_layer="features.5").eval()
    cases = composite_cases(12, seed=2) + photo_cases()[:1]
    with torch.no_grad():
        logits = torch.cat([classifier(case.tensor()) for case in cases])
    return explain_mistakes(classifier, cases, logits)


@pytest.fixture(scope="module")
def explorer(mistakes):
    return failure_explorer(mistakes)


def said(explorer, **setting):
    figure, words = explorer.draw(**{**explorer.values, **setting})
    plt.close(figure)
    return words


def test_every_kind_and_family_shows_the_mistakes_it_names(explorer, mistakes):
    kinds, families = (explorer.controls[name].options for name in ("kind", "made"))
    assert kinds == ("all", *KINDS) and set(families) == {"all", *(m.case.family for m in mistakes)}
    # Drawing takes long: each value of either control at least once, together with those that follow it.
    pairs = [(kind, families[n % len(families)]) for n, kind in enumerate(kinds)]
    pairs += [("all", made) for made in families] + [(kind, "all") for kind in kinds]
    for kind, made in pairs:
        fitting = [m for m in mistakes if kind in ("all", m.kind) and made in ("all", m.case.family)]
        if not fitting:
            with pytest.raises(ValueError, match="Choose others"):
                said(explorer, kind=kind, made=made)
            continue
        last = said(explorer, kind=kind, made=made, number=len(fitting))
        assert f"Mistake {len(fitting)} of {len(fitting)}. {fitting[-1].names[1]} taken for" in last
        assert kind in last or kind == "all"


def test_every_number_goes_round(explorer, mistakes):
    control = explorer.controls["number"]
    assert (control.min, control.max) == (1, len(mistakes))
    for number, m in enumerate(mistakes, 1):
        words = said(explorer, number=number)
        assert f"{m.names[1]} taken for {m.names[0]} with" in words
        for part, drop in m.drops.items():
            told = re.search(rf"without the {part} (falls|rises) by (\S+) \((another|it still)", words)
            assert float(told[2]) == pytest.approx(abs(drop), abs=0.051) and (told[1] == "falls") == (
                drop >= 0
            )
            assert (told[3] == "another") == m.gone[part]
        assert words.endswith(
            f"to lose: the {m.cause}." if m.cause else "to lose: no part (none is worth a whole logit)."
        )
        assert f"Kind, by the map: {m.kind} (contrast: " in words
    once = mistakes[0].case.family
    fitting = [m for m in mistakes if m.case.family == once]
    assert said(explorer, made=once, number=1 + len(fitting)).startswith(f"Mistake 1 of {len(fitting)}.")


def test_the_second_map_is_that_of_the_class_chosen(explorer, mistakes):
    for second in SHOWN[1:]:
        figure, _ = explorer.draw(**{**explorer.values, "second": second})
        k = SHOWN.index(second)
        title = figure.axes[2].get_title().replace("\n", " ")
        assert mistakes[0].names[k] in title and title.endswith(f"({second})")
        plt.close(figure)


def test_nothing_chosen_is_told_in_the_explorer(explorer, mistakes):
    missing = next(kind for kind in KINDS if all(m.kind != kind for m in mistakes))
    explorer.set(kind=missing)
    assert "No mistake of this kind" in explorer.html and "<img" not in explorer.html
    explorer.set(kind="all")
    assert "<img" in explorer.html


def test_outlines_and_enlarged_maps(mistakes):
    case = next(m.case for m in mistakes if m.case.masks["other object"].any())
    changed = (failures.outlined(case) != np.asarray(case.image) / 255).any(2)
    assert changed.any() and not (changed & case.masks["object"]).any()
    heat = failures.enlarged(mistakes[0], 2)
    assert heat.shape == (224, 224) and heat.min() >= 0 and heat.max() == 1


def test_no_mistakes():
    with pytest.raises(ValueError, match="no mistakes to browse"):
        failure_explorer([])


# --- the game


def test_chance_is_a_binomial_tail():
    assert chance_of(0, 12) == pytest.approx(1) and chance_of(12, 12) == pytest.approx(3.0**-12)
    drawn = np.random.default_rng(0).binomial(12, 1 / 3, 200_000)
    assert chance_of(6, 12) == pytest.approx((drawn >= 6).mean(), abs=0.005)


def test_each_class_is_the_answer_equally_often_and_no_mistake_comes_twice(mistakes):
    game = BlindGame(mistakes, rounds=12, seed=4)
    answers = [game.answer(number) for number in range(1, 13)]
    assert all(answers.count(choice) == 4 for choice in blind_game.CHOICES)
    assert len(set(map(id, game.mistakes))) == 12
    again = BlindGame(mistakes, rounds=12, seed=4)
    assert [again.answer(n) for n in range(1, 13)] == answers and again.mistakes == game.mistakes
    assert [BlindGame(mistakes, 12, seed=5).answer(n) for n in range(1, 13)] != answers


def test_players(mistakes):
    game = BlindGame(mistakes, rounds=12)
    assert [game.play(lambda m, heat, c=c: c) for c in blind_game.CHOICES] == [4, 4, 4]
    assert (
        game.play(
            lambda m, heat: next(
                c for k, c in enumerate(blind_game.CHOICES) if torch.equal(heat, failures.enlarged(m, k))
            )
        )
        >= 10
    )


def test_a_game_played_with_the_controls(mistakes):
    game = BlindGame(mistakes, rounds=3, seed=1)
    play = game.explorer()
    assert "0 of 3 rounds played" in play.html
    hits = 0
    for number in range(1, 4):
        play.set(number=number)
        assert play.values["answer"] == blind_game.NO_GUESS and number not in game.guesses
        assert f"{number - 1} of 3 rounds played" in play.html
        guess = blind_game.CHOICES[number % 3]
        play.set(answer=guess)
        hits += guess == game.answer(number)
        words = html.unescape(play.html)
        assert ("Yes: " if guess == game.answer(number) else "No: ") in words
        assert (
            f"So far {hits} of {number} right" in words
            and f"probability {chance_of(hits, number):.2f}" in words
        )
        play.set(answer=blind_game.CHOICES[(number + 1) % 3])  # too late: the first guess counts
        assert game.guesses[number] == guess and game.score == (hits, number)
    play.set(number=2)
    assert f"it is that of the {game.answer(2)} class" in html.unescape(play.html)


def test_the_answer_is_hidden_before_the_guess_and_drawing_changes_nothing(mistakes):
    game = BlindGame(mistakes, rounds=6)
    figure, words = game._draw(3, "right")
    assert figure.axes[1].get_title() == "whose map?" and "it is that" not in words and not game.guesses
    plt.close(figure)
    game.guess(3, "right")
    figure, words = game._draw(3, blind_game.NO_GUESS)
    assert figure.axes[1].get_title().endswith(f"({game.answer(3)})")
    plt.close(figure)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: BlindGame(m, rounds=4), "multiple of three, got 4"),
        (lambda m: BlindGame(m, rounds=300), "300 rounds need as many mistakes"),
        (lambda m: BlindGame(m, 6).guess(1, "cat"), "not 'cat'"),
        (lambda m: BlindGame(m, 6).guess(7, "right"), "rounds 1 to 6, not 7"),
    ],
)
def test_bad_moves(mistakes, call, words):
    with pytest.raises(ValueError, match=words):
        call(mistakes)
    game = BlindGame(mistakes, 6)
    game.guess(1, "right")
    with pytest.raises(ValueError, match="round 1 has been played"):
        game.guess(1, "right")
