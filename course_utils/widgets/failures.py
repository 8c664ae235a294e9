"""The explorer of notebook 09: browse a network's mistakes, by kind and by how the picture was made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from course_utils.explain import heatmaps
from course_utils.failures import KINDS, PARTS, SHOWN, Case, Mistake
from course_utils.show import PALETTE, draw_heatmap, draw_photo, in_digits, panels, wrapped

from .explorer import Explorer, choice, slider

__all__ = ["draw_mistake", "enlarged", "failure_explorer"]

ALL = "all"
LINE = 24  # letters of a name in a line
COLORS = dict(zip(PARTS, (PALETTE[2], PALETTE[3], PALETTE[0]), strict=True))
"""Of the parts of a picture, in every figure of the notebook."""
_PLACES = {
    "left": 0.01,
    "right": 0.98,
    "bottom": 0.1,
    "top": 0.8,
    "wspace": 0.12,
    "width_ratios": (1, 1, 1, 0.8),
}


def enlarged(mistake: Mistake, shown: int = 0) -> torch.Tensor:
    """Return one of a mistake's heat-maps (H, W) in [0, 1]: relu, bilinear, divided by its maximum."""
    return heatmaps(mistake.maps[shown], mistake.case.masks["object"].shape)


def outlined(case: Case) -> np.ndarray:
    """Return a picture (H, W, 3) in [0, 1] with its object outlined in white and the other object in pink."""
    from scipy import ndimage  # slow to import

    # Painted, not drawn by matplotlib, whose contours take a quarter of an explorer's answer.
    picture = np.asarray(case.image) / 255
    for part, color in (("other object", COLORS["other object"]), ("object", "white")):
        mask = case.masks[part]
        for wide, paint in ((3, "black"), (2, color)):
            ring = ndimage.binary_dilation(mask, iterations=wide) & ~mask & ~case.masks["object"]
            picture[ring] = to_rgb(paint)
    return picture


def draw_mistake(mistake: Mistake, second: int = 1) -> Figure:
    """Draw a mistake: the picture, the maps of the predicted and of a second class, and what each removal does.

    Args:
        mistake: what to draw.
        second: which of the four classes of SHOWN comes third.
    """
    figure, axes = panels(4, width=10, height=3.4, places=_PLACES)
    figure.set_dpi(85)
    draw_photo(axes[0], outlined(mistake.case), f"{mistake.case.name}\n{wrapped(mistake.case.family, LINE)}")
    for ax, shown in zip(axes[1:], (0, second), strict=False):
        title = f"{wrapped(mistake.names[shown], LINE)} {in_digits(mistake.probabilities[shown])}\n({SHOWN[shown]})"
        draw_heatmap(ax, enlarged(mistake, shown), mistake.case.image, title)
    _draw_drops(axes[3], mistake)
    return figure


def _draw_drops(ax: Axes, mistake: Mistake) -> None:
    """Bars: how far the predicted class's logit falls without each part."""
    ax.set_title("fall of its logit\nwithout the ...")
    for row, (part, drop) in enumerate(mistake.drops.items()):
        ax.barh(row, drop, 0.5, color=COLORS[part])
        ax.text(0, row - 0.3, part, ha="left", va="bottom", fontsize=11)
    ax.axvline(0, color="black", linewidth=1)
    reach = max(4.0, *(abs(drop) for drop in mistake.drops.values())) * 1.1
    ax.set(yticks=[], xlim=(-reach / 2, reach), ylim=(len(PARTS) - 0.5, -0.9))
    ax.spines["left"].set_visible(False)


def failure_explorer(mistakes: Sequence[Mistake]) -> Explorer:
    """Explore mistakes: which kind, how the picture was made, and which one of those that are left.

    Raises:
        ValueError: no mistakes.
    """
    if not mistakes:
        raise ValueError("there are no mistakes to browse.")
    outlined(mistakes[0].case)  # imports what is slow to import before the first answer
    families = sorted({mistake.case.family for mistake in mistakes})

    def chosen(kind: str, made: str) -> list[Mistake]:
        return [m for m in mistakes if kind in (ALL, m.kind) and made in (ALL, m.case.family)]

    def draw(kind: str, made: str, number: int, second: str) -> tuple[Figure, str]:
        some = chosen(kind, made)
        if not some:
            raise ValueError(
                f"No mistake of this kind ({kind}) was made on these pictures ({made}). Choose others."
            )
        place = (number - 1) % len(some)
        mistake = some[place]
        return draw_mistake(
            mistake, SHOWN.index(second)
        ), f"Mistake {place + 1} of {len(some)}. {in_words(mistake)}"

    def photos(kind: str, made: str, number: int, **_: object) -> list[Case]:
        some = chosen(kind, made)
        return [some[(number - 1) % len(some)].case]

    return Explorer(
        draw,
        photos,
        kind=choice("kind", [ALL, *KINDS]),
        made=choice("how the picture was made", [ALL, *families]),
        number=slider("number (goes round)", 1, len(mistakes), 1),
        second=choice("beside it the class that is", list(SHOWN[1:])),
    )


def in_words(mistake: Mistake) -> str:
    """Say what was taken for what, where the map lies, and what the removals did."""
    bright = ", ".join(f"the {part} {value:.1f}" for part, value in mistake.contrasts.items())
    falls = ", ".join(
        f"without the {part} {'falls' if drop >= 0 else 'rises'} by {abs(drop):.1f}"
        f" ({'another class wins' if mistake.gone[part] else 'it still wins'})"
        for part, drop in mistake.drops.items()
    )
    cause = f"the {mistake.cause}" if mistake.cause else "no part (none is worth a whole logit)"
    taken = f"{mistake.names[1]} taken for {mistake.names[0]} with probability {in_digits(mistake.probabilities[0])}"
    return (
        f"{taken}. Kind, by the map: {mistake.kind} (contrast: {bright or 'nothing to compare'}). "
        f"The logit {falls}. Costliest to lose: {cause}."
    )
