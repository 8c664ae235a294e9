"""The explorer of notebook 06: cover what a map marks, and see two classes' scores move."""

from __future__ import annotations

from functools import lru_cache

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.explain import FILLS, batched_logits, cover, grad_cam, top_share_mask
from course_utils.networks import Classifier
from course_utils.show import PALETTE, draw_photo, draw_signed, panels, wrapped, written

from .explorer import Explorer, Progress, Steps, choice, slider, typed

__all__ = ["counterfactual_explorer"]

AGAINST, FOR, RATHER = "against the first class", "for the first class", "for the first, not the second"
DRAWS = 3  # covers of random cells to compare with: rough, but more of them would take too long
_PLACES = {
    "left": 0.01,
    "right": 0.99,
    "bottom": 0.09,
    "top": 0.82,
    "wspace": 0.22,
    "width_ratios": (1, 1, 0.9),
}
COLORS = PALETTE[3], PALETTE[5]  # of the two classes
LINE = 18  # letters of a class's name in a line


def counterfactual_explorer(classifier: Classifier, image: Tensor, first: str, second: str) -> Explorer:
    """Explore an intervention: two classes, which cells to cover, how many, and with what.

    Args:
        classifier: the network.
        image: (1, 3, H, W) in [0, 1].
        first: the class whose map ranks the cells, at the start.
        second: the class to watch beside it.
    """
    if len(image) != 1:
        raise ValueError(f"the explorer takes one image (1, 3, H, W), got {tuple(image.shape)}.")
    before = batched_logits(classifier, image)[0].cpu()

    @lru_cache(maxsize=256)
    def raw_map(index: int) -> Tensor:
        return grad_cam(classifier, image, index).maps[0, 0].cpu()

    h, w = raw_map(int(before.argmax())).shape
    drawn = torch.rand(DRAWS, h, w, generator=torch.Generator().manual_seed(0))

    def covered_logits(masks: Tensor, fill: str) -> tuple[Tensor, Tensor]:
        pictures = cover(image, masks, fill)
        return pictures[:1], batched_logits(classifier, pictures).cpu()

    by_chance: dict[tuple[int, str], Tensor] = {}  # the mean logits after random covers, one for each setting

    def draw(first: str, second: str, which: str, cells: int, fill: str) -> Steps:
        if not (first.strip() and second.strip()):
            raise ValueError("a field for a class is empty: type the name of a class.")
        pair = [classifier.class_index(name) for name in (first, second)]
        if pair[0] == pair[1]:
            raise ValueError("the two classes are the same: type another name into one of the fields.")
        raw = raw_map(pair[0]) - (raw_map(pair[1]) if which == RATHER else 0)
        mask = top_share_mask(-raw if which == AGAINST else raw, cells / (h * w))
        picture, after = covered_logits(mask[None], fill)
        after = after[0]
        if (cells, fill) not in by_chance:
            yield drawn_with(pair, which, cells, fill, raw, picture, after, None)
            masks = top_share_mask(drawn, cells / (h * w))
            logits = []
            for mask in masks:
                logits.append(covered_logits(mask[None], fill)[1])
                yield Progress(f"random covers: {len(logits)} of {DRAWS}", len(logits) / DRAWS)
            by_chance[cells, fill] = torch.cat(logits).mean(0)
        return drawn_with(pair, which, cells, fill, raw, picture, after, by_chance[cells, fill])

    def drawn_with(
        pair: list[int], which: str, cells: int, fill: str, raw: Tensor, picture: Tensor, after: Tensor,
        random: Tensor | None,
    ) -> tuple[Figure, str]:  # fmt: skip
        """The figure; without the random covers, while these are being computed."""
        names = [classifier.classes[index] for index in pair]
        figure, axes = panels(3, width=10, height=3.9, places=_PLACES)
        lines = [wrapped(name, LINE) for name in names]
        title = f"{lines[0]}\n- {lines[1]}" if which == RATHER else lines[0]
        draw_signed(axes[0], raw, f"raw map\n{title}", bar=False)
        draw_photo(axes[1], picture, f"{cells} cells covered\n{fill}")
        changes = [(logits - before)[pair] for logits in (after, random) if logits is not None]
        _draw_changes(axes[2], changes, names)
        against = "below" if which == AGAINST else "above"
        count = int((raw < 0).sum() if which == AGAINST else (raw > 0).sum())
        words = [f"Of {h * w} cells, {count} are {against} zero; {_covered(cells, count, which, against)}."]
        p, q = classifier.probabilities(before), classifier.probabilities(after)
        for name, i in zip(names, pair, strict=True):
            beside = "being computed"
            if random is not None:
                beside = (
                    f"the logit changes by {_signed(random[i] - before[i])} (mean of {DRAWS} draws: rough)"
                )
            words += [
                f"{name}: logit {before[i]:.2f} to {after[i]:.2f}, probability {p[i]:.3f} to {q[i]:.3f}; with as many "
                f"cells at random {beside}."
            ]
        words += [f"Prediction: {classifier.classes[p.argmax()]} to {classifier.classes[q.argmax()]}."]
        return figure, " ".join(words)

    everything = sorted(set(classifier.classes))
    return Explorer(
        draw,
        first=typed("first class", everything, first),
        second=typed("second class", everything, second),
        which=choice("cells that speak", [AGAINST, FOR, RATHER]),
        cells=slider("how many cells", 0, min(24, h * w), min(5, h * w)),
        fill=choice("cover with", FILLS),
    )


def _covered(cells: int, count: int, which: str, side: str) -> str:
    """Say which cells are covered, and how many of them the map does not mean (not above, or not below, zero)."""
    kind = "lowest" if which == AGAINST else "highest"
    if cells < 2:
        words = f"the {kind} cell is covered" if cells else "no cell is covered"
    else:
        words = f"the {cells} {kind} cells are covered"
    return words + (f", {cells - count} of them not {side} zero" if cells > count else "")


def _signed(value: Tensor) -> str:
    """Two decimals with a sign, and never a negative zero."""
    return f"{round(float(value), 2) + 0:+.2f}"


def _draw_changes(ax: Axes, changes: list[Tensor], names: list[str]) -> None:
    """Bars: how far both logits moved, by the map (full color) and by random cells (pale), once they are known."""
    for k, name in enumerate(names):
        for offset, change, alpha in zip((-0.2, 0.2), changes, (1.0, 0.4), strict=False):
            ax.bar(k + offset, float(change[k]), 0.4, color=COLORS[k], alpha=alpha, edgecolor="black")
        place = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        written(ax.text(k, 1.02, wrapped(name, LINE), **place))
    ax.axhline(0, color="black", linewidth=1)
    # Small changes are to look small: the axis spans at least two units.
    reach = max(1.0, *(float(change.abs().max()) for change in changes)) * 1.1
    ax.set(xticks=[], xlim=(-0.6, 1.6), ylim=(-reach, reach), xlabel="change of logit (pale: random)")
