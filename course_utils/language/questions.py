"""Questions about drawn scenes, their answers, and the objects that they ask about.

"The hydrant" needs exactly one hydrant, a place needs a center clear of the middle lines, a relation needs centers that
are clearly apart: only questions with one clear answer are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from course_utils.arguments import whole_number
from course_utils.pictures import COLORS, SceneObject

from .captions import KINDS, MOST, holds

__all__ = [
    "ANSWERS",
    "PLACES",
    "QUESTIONS",
    "QUESTION_TYPES",
    "Question",
    "all_questions",
    "paired_questions",
    "plural",
    "sample_questions",
    "understand",
]

PLACES: tuple[str, ...] = ("top left", "top right", "bottom left", "bottom right")
ANSWERS: tuple[str, ...] = (*COLORS, *KINDS, *(str(n) for n in range(MOST + 1)), *PLACES, "yes", "no")
"""All answers, in the order of the network's logits."""
QUESTION_TYPES: tuple[str, ...] = ("color", "shape", "count", "where", "yes / no")

NEAR_MIDDLE = 0.06
"""A center nearer than this to a middle line, as a share of the side, is neither left nor right of it."""
SIDE_BY_SIDE = 0.12
"""Centers nearer to each other than this, along an axis, are not said to be left or right, above or below."""


@dataclass(frozen=True)
class Question:
    """A question about a scene, its answer, and the objects that it asks about."""

    text: str
    answer: str
    """One of ``ANSWERS``."""
    kind: str
    """One of ``QUESTION_TYPES``."""
    about: tuple[int, ...]
    """The places, in the scene's ``objects``, of those that it is about; () if there is none of them."""


def plural(kind: str) -> str:
    """Return the word for several of a kind."""
    return kind if kind == "fish" else f"{kind}s"


def _all_texts() -> list[tuple[str, str, tuple[str, ...]]]:
    """Every question that can be asked of any scene: its text, its type, and the words that it depends on."""
    texts = [("how many things are there", "count", ("",))]
    for kind in KINDS:
        texts += [
            (f"what color is the {kind}", "color", (kind,)),
            (f"how many {plural(kind)} are there", "count", (kind,)),
            (f"where is the {kind}", "where", (kind,)),
            (f"is there a {kind}", "yes / no", (kind,)),
        ]
        for color in COLORS:
            texts += [
                (f"is there a {color} {kind}", "yes / no", (color, kind)),
                (f"is the {kind} {color}", "yes / no", (kind, color)),
            ]
        for other in KINDS:
            if other != kind:
                texts += [
                    (f"is the {kind} {word} the {other}", "yes / no", (kind, word, other))
                    for word in ("left of", "above")
                ]
    for color in COLORS:
        texts += [
            (f"what is the {color} thing", "shape", (color,)),
            (f"how many {color} things are there", "count", (color,)),
        ]
    return texts


_TEXTS = {text: (kind, words) for text, kind, words in _all_texts()}
QUESTIONS: tuple[str, ...] = tuple(_TEXTS)
"""Every question that can be asked, as the network reads it."""


def understand(text: str) -> str:
    """Return a question as the network reads it: lower case, one space between words, no question mark.

    Raises:
        ValueError: not a question that can be asked; the message says which can.
    """
    plain = " ".join(text.lower().replace("?", " ").split()).replace("colour", "color")
    if plain in _TEXTS:
        return plain
    known = sorted({word for each in _TEXTS for word in each.split()})
    strange = [word for word in plain.split() if word not in known]
    problem = f"no word {strange[0]!r}" if strange else f"no question {text.strip()!r}"
    raise ValueError(
        f'There is {problem} here. Ask "what color is the hydrant?", "what is the red thing?", "how many cars are '
        'there?", "where is the star?", "is there a blue fish?", "is the boat red?" or "is the car left of (above) the '
        f'house?". Kinds: {", ".join(KINDS)}. Colors: {", ".join(COLORS)}.'
    )


def all_questions(things: Sequence[SceneObject]) -> list[Question]:
    """Return every question that has one clear answer on a scene.

    "The hydrant" needs exactly one hydrant, a place or a relation needs centers that are clearly apart.
    """
    found = []
    for text, (kind, words) in _TEXTS.items():
        answer = _answer(text, kind, words, things)
        if answer is not None:
            found.append(Question(text, answer[0], kind, answer[1]))
    return found


def _answer(
    text: str, kind: str, words: tuple[str, ...], things: Sequence[SceneObject]
) -> tuple[str, tuple[int, ...]] | None:
    fits = tuple(i for i, t in enumerate(things) if words[0] in ("", t.name, t.color))
    if kind == "count":
        return str(len(fits)), fits
    if text.startswith("is there"):
        both = tuple(i for i in fits if words[-1] in (things[i].name, things[i].color))
        return ("yes" if both else "no"), both
    if len(fits) != 1:  # "the hydrant", "the red thing"
        return None
    thing = things[fits[0]]
    if kind == "color":
        return thing.color, fits
    if kind == "shape":
        return thing.name, fits
    if kind == "where":
        x, y = thing.center
        if min(abs(x - 0.5), abs(y - 0.5)) < NEAR_MIDDLE:
            return None
        return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}", fits
    if len(words) == 2:
        return ("yes" if thing.color == words[1] else "no"), fits
    others = tuple(i for i, t in enumerate(things) if t.name == words[2])
    axis = 0 if words[1] == "left of" else 1
    if len(others) != 1 or abs(things[others[0]].center[axis] - thing.center[axis]) < SIDE_BY_SIDE:
        return None
    return ("yes" if holds(words[1], thing, things[others[0]]) else "no"), (*fits, *others)


def sample_questions(things: Sequence[SceneObject], n: int, draw: np.random.Generator) -> list[Question]:
    """Draw ``n`` questions about a scene: the type first, then the form, then the answer, then the question.

    So types come equally often (where a scene has them), and "yes" as often as "no". The same may come twice.

    Args:
        things: the scene's objects.
        n: how many, at least 1.
        draw: where the chance comes from.
    """
    tree: dict[str, dict[str, dict[str, list[Question]]]] = {}
    for question in all_questions(things):
        forms = tree.setdefault(question.kind, {})
        forms.setdefault(_form(question.text), {}).setdefault(question.answer, []).append(question)

    def pick(options: list) -> object:
        return options[draw.integers(len(options))]

    drawn = []
    for _ in range(whole_number(n, "n", 1)):
        forms = tree[pick(list(tree))]
        answers = forms[pick(list(forms))]
        drawn.append(pick(answers[pick(list(answers))]))
    return drawn


def paired_questions(things: Sequence[SceneObject], kind: str) -> tuple[Question, Question] | None:
    """Return two questions of one type and form about different objects of a scene, or None if there are none.

    Questions about nothing ("is there a boat?", where there is none) are left out.
    """
    if kind not in QUESTION_TYPES:
        raise ValueError(f"there is no type of questions {kind!r}, only {', '.join(QUESTION_TYPES)}.")
    first: dict[str, Question] = {}
    for question in all_questions(things):
        if question.kind == kind and question.about:
            before = first.setdefault(_form(question.text), question)
            if not set(before.about) & set(question.about):
                return before, question
    return None


@cache
def _form(text: str) -> str:
    """A question without its particular words."""
    form = " ".join("*" if w in KINDS or w in COLORS else w for w in text.split())
    return re.sub(r"many \S+( things)?", lambda m: "many" + (m[1] or ""), form)
