"""What is said about drawn scenes: captions, and the statements in them, which are true or false.

The language is small on purpose. Every sentence is made from the objects' records, so each comes with its truth and
with the objects that it is about, whose masks are known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from course_utils.pictures import COLORS, SceneObject, Scenes, scenes

__all__ = [
    "KINDS",
    "MOST",
    "Statement",
    "caption",
    "caption_words",
    "described_scenes",
    "holds",
    "mirrored",
    "read_caption",
]

KINDS: tuple[str, ...] = ("boat", "car", "fish", "house", "hydrant", "mushroom", "star", "umbrella")
"""The kinds of objects that are spoken of: eight of the ten of ``SHAPES``."""
MOST = 3
"""Largest number of objects on a scene."""


@dataclass(frozen=True)
class Statement:
    """One claim that a caption makes: that there is such an object, or how two of them lie."""

    text: str
    true: bool
    noun: int | None = None
    """Where in the caption's words the noun stands; None for a relation."""
    about: tuple[int, ...] = ()
    """The scene's objects that it fits."""


def described_scenes(n: int, seed: int = 0, start: int = 0) -> Scenes:
    """Return scenes as they are spoken of here: two or three objects of eight ``KINDS`` in six colors, 64 x 64."""
    return scenes(
        n, seed=seed, objects=(2, MOST), scale=(0.3, 0.44), shapes=KINDS, clutter=(2, 6), start=start
    )


def mirrored(things: Sequence[SceneObject]) -> list[SceneObject]:
    """Return the objects as they lie in the mirrored picture; their masks and boxes are left as they were."""
    return [replace(thing, center=(1 - thing.center[0], thing.center[1])) for thing in things]


def _relation(a: SceneObject, b: SceneObject) -> str:
    """How ``a`` lies to ``b``: along the axis on which their centers are farther apart."""
    across, down = b.center[0] - a.center[0], b.center[1] - a.center[1]
    if abs(across) >= abs(down):
        return "left of" if across > 0 else "right of"
    return "above" if down > 0 else "below"


def caption(things: Sequence[SceneObject]) -> str:
    """Return the caption of a scene: its objects from left to right, and how each lies to the next.

    >>> caption(scene.objects[0])
    'a red hydrant left of a blue car above a pink star'
    """
    ordered = sorted(things, key=lambda thing: thing.center[0])
    words = []
    for before, thing in zip([None, *ordered], ordered, strict=False):
        words += [_relation(before, thing)] if before else []
        words.append(f"a {thing.color} {thing.name}")
    return " ".join(words)


def caption_words() -> list[str]:
    """Return all words of captions, so that a vocabulary needs no scenes."""
    return ["a", *COLORS, *KINDS, "left of", "right of", "above", "below"]


def read_caption(words: str | Sequence[str], things: Sequence[SceneObject]) -> list[Statement]:
    """Take a caption apart into its statements, and look up in the scene whether each is true.

    A color and a noun state that there is such an object. A relation between two of them is true if it holds for some
    pair of objects that fit them; its noun's statement is judged by itself. What cannot be read ("a red left") counts
    as one false statement.

    Args:
        words: the caption, as text or as a list of words.
        things: the scene's objects.
    """
    words = words.split() if isinstance(words, str) else list(words)
    found, at = [], 0
    before: tuple[int, ...] | None = None
    while at < len(words):
        relation = ""
        if before is not None:
            match = re.match(r"left of|right of|above|below", " ".join(words[at:]))
            if not match:
                return [*found, Statement(" ".join(words[at:]), False)]
            relation = match[0]
            at += len(relation.split())
        part = words[at : at + 3]
        if len(part) < 3 or part[0] != "a" or part[1] not in COLORS or part[2] not in KINDS:
            return [*found, Statement(" ".join(words[at:]) or relation, False)]
        fits = tuple(i for i, t in enumerate(things) if (t.color, t.name) == (part[1], part[2]))
        found.append(Statement(" ".join(part), bool(fits), at + 2, fits))
        if relation:
            pairs = [(i, j) for i in before or () for j in fits if i != j]
            true = any(holds(relation, things[i], things[j]) for i, j in pairs)
            found.append(Statement(relation, true))
        before, at = fits, at + 3
    return found


def holds(relation: str, a: SceneObject, b: SceneObject) -> bool:
    """Whether ``a`` lies so to ``b``: "left of", "right of", "above" or "below", by their centers."""
    axis = 0 if relation in ("left of", "right of") else 1
    difference = b.center[axis] - a.center[axis]
    return difference > 0 if relation in ("left of", "above") else difference < 0
