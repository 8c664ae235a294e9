"""Explorers of notebook 13: a question and the map of its answer; a caption and the map of each of its words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import Explanation, explain
from course_utils.language import (
    ANSWERS,
    QUESTIONS,
    Answerer,
    Captioner,
    Question,
    all_questions,
    caption_scores,
    draw_answers,
    read_caption,
    understand,
)
from course_utils.localization import energy_inside
from course_utils.pictures import Scenes
from course_utils.show import draw_heatmap, draw_outline, draw_photo, in_digits, panels, wrapped

from .explorer import Explorer, buttons, choice, picture_places, slider, typed

__all__ = ["caption_explorer", "question_explorer"]

GIVEN = "the answer given"
WHOLE = "the whole caption"
LAYERS = {"after the question": "conditioned", "before the question": "features"}
HEIGHT = 3.4
_PLACES = picture_places(9, HEIGHT, lines=2, bottom=0.17, right=0.965, wspace=0.38)


def question_explorer(net: Answerer, shown: Scenes, question: str = "what color is the hydrant?") -> Explorer:
    """Explore questions: pick a scene, type or pick a question, see the answer and the map of any answer.

    Args:
        net: answers questions.
        shown: a few scenes with exact masks.
        question: the first one asked.
    """

    @lru_cache(maxsize=256)
    def answered(n: int, text: str) -> torch.Tensor:
        with torch.no_grad():
            return net.ask(shown.images[n : n + 1], [text])[0]

    def draw(scene: int, question: str, answer: str, layer: str) -> tuple[Figure, str]:
        text, n = understand(question), scene - 1
        image, things = shown.images[n], shown.objects[n]
        logits = answered(n, text)
        given = net.answers[int(logits.argmax())]
        wanted = given if answer == GIVEN else answer
        index = net.answers.index(wanted)
        e = explain(net.get_submodule(LAYERS[layer]), lambda: net.ask(image[None], [text])[:, [index]])
        heat = e.heatmaps(image.shape[1:])[0, 0]
        asked = next((q for q in all_questions(things) if q.text == text), None)

        figure, axes = panels(3, width=9, height=HEIGHT, places=_PLACES)
        draw_photo(axes[0], image, wrapped(f"{text}?", 26))
        draw_heatmap(axes[1], heat, image, f'map of "{wanted}"\n{layer}')
        if asked and asked.about:
            mask = shown.masks[n, list(asked.about)].any(0)
            for ax in axes[:2]:
                draw_outline(ax, mask)
        draw_answers(axes[2], logits, net.answers, wanted)
        return figure, _about_answer(text, logits, net.answers, wanted, asked, heat, shown, n)

    return Explorer(
        draw,
        scene=slider("scene", 1, len(shown), 1),
        question=typed("question", [f"{text}?" for text in QUESTIONS], question),
        answer=choice("map of", [GIVEN, *ANSWERS]),
        layer=choice("map taken", list(LAYERS)),
    )


def _about_answer(
    text: str,
    logits: Tensor,
    answers: Sequence[str],
    wanted: str,
    asked: Question | None,
    heat: Tensor,
    shown: Scenes,
    n: int,
) -> str:
    p = logits.softmax(0)
    given = answers[int(p.argmax())]
    words = f'Asked "{text}?", the network answers "{given}" (probability {p.max():.2f}). '
    if asked is None:
        words += "On this scene the question has no clear answer: what it names is missing, there twice, or too near. "
    else:
        words += f'The truth is "{asked.answer}". '
    if wanted != given:
        words += f'The map is that of "{wanted}" ({in_digits(float(p[answers.index(wanted)]))}). '
    if asked and asked.about:
        mask = shown.masks[n, list(asked.about)].any(0)
        share = energy_inside(heat, mask)
        words += "The map is empty: nothing speaks for it." if share is None else (
            f"{share:.0%} of the map's energy lies in the objects asked about (white outline), which cover "
            f"{mask.float().mean():.0%} of the picture."
        )  # fmt: skip
    return words.strip()


def caption_explorer(net: Captioner, shown: Scenes) -> Explorer:
    """Explore captions: pick a scene, then a word of its caption, and see what speaks for that word.

    Args:
        net: writes captions.
        shown: a few scenes with exact masks.
    """
    captions = net.write(shown.images)

    def options(scene: int) -> list[str]:
        return [WHOLE, *(f"{at}. {word}" for at, word in enumerate(captions[scene - 1].split(), 1))]

    @lru_cache(maxsize=len(shown))
    def explained(n: int) -> Explanation:
        codes = net.vocabulary.encode(captions[n : n + 1], end=True)
        image = shown.images[n : n + 1]
        return explain(net.features, lambda: _with_sum(caption_scores(net, image, codes)))

    def draw(scene: int, word: str) -> tuple[Figure, str]:
        n = scene - 1
        if word not in options(scene):
            raise ValueError(f"the caption of scene {scene} has no word {word!r}: it reads {captions[n]!r}.")
        at = options(scene).index(word) - 1  # the whole caption's score stands last, at -1
        e = explained(n)
        heat, score = e.heatmaps(shown.images.shape[2:])[0, at], float(e.scores[0, at])
        name = word if word == WHOLE else word.split(". ", 1)[1]
        nouns = [s for s in read_caption(captions[n], shown.objects[n]) if s.noun is not None]
        statement = next((s for s in nouns if s.noun - 2 <= at <= s.noun), None)
        figure, axes = panels(2, width=7.5, height=4.5, places=picture_places(7.5, 4.5, lines=2))
        draw_photo(axes[0], shown.images[n], wrapped(captions[n], 36))
        draw_heatmap(axes[1], heat, shown.images[n], f"{name}\nlog-probability {score:.2g}")
        words = f'The caption: "{captions[n]}". The map of {name!r}, whose log-probability is {score:.2g}.'
        if statement is not None and at >= 0:
            if statement.true:
                mask = shown.masks[n, list(statement.about)].any(0)
                draw_outline(axes[1], mask)
                share = energy_inside(heat, mask)
                words += (
                    f" {share:.0%} of its energy lies in {statement.text!r} (white outline), which covers "
                    f"{mask.float().mean():.0%} of the picture."
                    if share is not None
                    else " The map is empty."
                )
            else:
                words += f" There is no such object: {statement.text!r} is wrong."
        return figure, words

    scene = slider("scene", 1, len(shown), 1)
    word = buttons("word", options(1))

    def follow(change: dict) -> None:
        word.options = options(change["new"])  # the first of them stays chosen: no second redraw

    scene.observe(follow, names="value")  # before the explorer's own: it must find the new words
    return Explorer(draw, scene=scene, word=word)


def _with_sum(scores: torch.Tensor) -> torch.Tensor:
    """The words' scores, and behind them their sum, the caption's."""
    return torch.cat([scores, scores.sum(1, keepdim=True)], 1)
