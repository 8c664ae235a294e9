"""A blind game: a heat-map without its label, and three classes it may belong to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from matplotlib.figure import Figure

from course_utils.failures import SHOWN, Mistake
from course_utils.show import draw_heatmap, draw_photo, panels

from .explorer import REMEMBERS, Explorer, choice, picture_places, slider
from .failures import enlarged

__all__ = ["BlindGame", "chance_of"]

CHOICES = SHOWN[:3]  # predicted, right, plausible
NO_GUESS = "no guess yet"


def chance_of(hits: int, rounds: int, chance: float = 1 / 3) -> float:
    """Return the probability that blind guessing gets at least ``hits`` of ``rounds`` right: a binomial tail."""
    return sum(
        math.comb(rounds, k) * chance**k * (1 - chance) ** (rounds - k) for k in range(hits, rounds + 1)
    )


class BlindGame:
    """Rounds, each with one map of a mistake whose class is hidden; the first guess of a round counts.

    Args:
        mistakes: from which the rounds are drawn, without repeats.
        rounds: how many; a multiple of three, so that each class is the answer equally often.
        seed: draws mistakes and answers.

    Raises:
        ValueError: a number of rounds that is no multiple of three, or too few mistakes with three maps to show.
    """

    def __init__(self, mistakes: Sequence[Mistake], rounds: int = 12, seed: int = 0) -> None:
        usable = [m for m in mistakes if (m.maps[:3].flatten(1).max(1).values > 0).all()]
        if rounds < 3 or rounds % 3:
            raise ValueError(f"the number of rounds must be a multiple of three, got {rounds}.")
        if rounds > len(usable):
            raise ValueError(
                f"{rounds} rounds need as many mistakes without an empty map, but there are {len(usable)}."
            )
        draw = torch.Generator().manual_seed(seed)
        self.mistakes = [usable[i] for i in torch.randperm(len(usable), generator=draw)[:rounds].tolist()]
        self._answers = [i % 3 for i in torch.randperm(rounds, generator=draw).tolist()]
        self.guesses: dict[int, str] = {}

    def guess(self, number: int, answer: str) -> bool:
        """Give the answer of a round (from 1), one of "predicted", "right", "plausible"; return whether it is right.

        Raises:
            ValueError: another answer, a round that there is not or that has been played.
        """
        if answer not in CHOICES:
            raise ValueError(f"answer one of {', '.join(map(repr, CHOICES))}, not {answer!r}.")
        if not 1 <= number <= len(self.mistakes):
            raise ValueError(f"there are rounds 1 to {len(self.mistakes)}, not {number}.")
        if number in self.guesses:
            raise ValueError(f"round {number} has been played: the first guess counts.")
        self.guesses[number] = answer
        return answer == self.answer(number)

    def answer(self, number: int) -> str:
        """Return whose map a round (from 1) shows."""
        return CHOICES[self._answers[number - 1]]

    def play(self, player: Callable[[Mistake, torch.Tensor], str]) -> int:
        """Let a function play: it sees each mistake's picture and the heat-map (H, W). Returns the rounds it wins."""
        return sum(
            player(mistake, enlarged(mistake, answer)) == CHOICES[answer]
            for mistake, answer in zip(self.mistakes, self._answers, strict=True)
        )

    @property
    def score(self) -> tuple[int, int]:
        """Right guesses, and guesses."""
        return sum(guess == self.answer(number) for number, guess in self.guesses.items()), len(self.guesses)

    def explorer(self) -> Explorer:
        """Return the game to play: choose the round, then the answer."""
        number = slider("round", 1, len(self.mistakes), 1)
        answer = choice("this is the map of the class that is", [NO_GUESS, *CHOICES])
        answer.style.description_width, answer.layout.width = "17em", "30em"

        def record(change: dict) -> None:
            if change["new"] != NO_GUESS and number.value not in self.guesses:
                self.guess(number.value, change["new"])

        # Before the explorer watches: the guess must be noted, or taken back, when it draws.
        answer.observe(record, names="value")
        number.observe(lambda change: setattr(answer, "value", NO_GUESS), names="value")
        explorer = Explorer(
            self._draw,
            lambda number, **_: [self.mistakes[number - 1].case],
            number=number,
            answer=answer,
        )
        explorer.box.add_class(REMEMBERS)
        return explorer

    def _draw(self, number: int, answer: str) -> tuple[Figure, str]:
        mistake, shown = self.mistakes[number - 1], self._answers[number - 1]
        played = number in self.guesses
        figure, axes = panels(2, width=6.4, height=3.5, places=picture_places(6.4, 3.5))
        draw_photo(axes[0], mistake.case.image, f"right: {mistake.names[1]}")
        title = f"{mistake.names[shown]} ({SHOWN[shown]})" if played else "whose map?"
        draw_heatmap(axes[1], enlarged(mistake, shown), mistake.case.image, title)
        words = f"The network says {mistake.names[0]} (predicted); right is {mistake.names[1]}; "
        words += f"{mistake.names[2]} is plausible: drawn from its twenty most probable classes. "
        return figure, words + self._told(number, shown)

    def _told(self, number: int, shown: int) -> str:
        if number not in self.guesses:
            return f"Whose map is this? {len(self.guesses)} of {len(self.mistakes)} rounds played."
        hits, rounds = self.score
        verdict = "Yes" if self.guesses[number] == CHOICES[shown] else "No"
        return (
            f"{verdict}: it is that of the {SHOWN[shown]} class. So far {hits} of {rounds} right; blind guessing gets "
            f"as many or more with probability {chance_of(hits, rounds):.2f}."
        )
