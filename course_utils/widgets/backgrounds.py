"""Explorer of a correlation: how strongly class and background go together, what each group gets, and the maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils.backgrounds import (
    CLASSES,
    GROUNDS,
    REPAIRS,
    TESTED,
    biased_head,
    group_accuracy,
    head_maps,
    labels_of,
    pictures,
    scene,
)
from course_utils.explain import heatmaps
from course_utils.networks import RUNS
from course_utils.show import PALETTE, draw_heatmap, in_digits, panels

from .explorer import Explorer, choice, picture_places

__all__ = ["background_explorer"]

STRENGTHS = (50, 60, 70, 80, 90, 95, 100)
SHOWN = 12
COIN = "ground by coin"
_PLACES = picture_places(10, 3.9, left=0.05, bottom=0.17)


def background_explorer(maps: Tensor) -> Explorer:
    """Explore how strongly class and ground must go together until heads answer by the ground.

    All heads are trained when the explorer is made, three for each strength and repair; moving a control only looks
    them up.

    Args:
        maps: (n, 2, 1280, 7, 7), the network's last maps of the first n ``TESTED`` on both ``GROUNDS``; at least
            12 scenes, of which the first 12 are shown.

    Raises:
        ValueError: maps of another shape, of fewer scenes, or of more than there are.
        AssetError: the stored features of the training scenes are missing or damaged.
    """
    if maps.ndim != 5 or maps.shape[1] != len(GROUNDS) or not SHOWN <= len(maps) <= len(TESTED):
        raise ValueError(
            f"maps must have shape (n, {len(GROUNDS)}, C, h, w) with n of at least {SHOWN} and at most "
            f"{len(TESTED)}, got {tuple(maps.shape)}."
        )
    pooled, labels = maps.mean((3, 4)), labels_of(TESTED[: len(maps)])
    by_coin = [biased_head(run, repair=COIN) for run in range(RUNS)]  # whatever the strength was before
    heads: Mapping[tuple[int, str], list[nn.Linear]] = {
        (strength, repair): by_coin
        if repair == COIN
        else [biased_head(run, strength / 100, repair) for run in range(RUNS)]
        for strength in STRENGTHS
        for repair in REPAIRS
    }
    accuracies = {
        key: torch.stack([_groups(head, pooled, labels) for head in three]) for key, three in heads.items()
    }
    names = {f"{n + 1}: {scene(TESTED[n], 'plain', 'test').objects[0].name}": n for n in range(SHOWN)}

    def draw(strength: int, repair: str, picture: str) -> tuple[Figure, str]:
        n, key = names[picture], (strength, repair)
        c, head = int(labels[n]), heads[key][0]
        figure, axes = panels(3, width=10, height=3.9, places=_PLACES)
        _bars(axes[0], accuracies[key])
        probabilities, shares = [], []
        for ground, ax in enumerate(axes[1:]):
            raw = head_maps(head, maps[n, ground][None], labels[n : n + 1])
            heat = heatmaps(raw, 224)[0]
            p = head(pooled[n, ground]).softmax(0)[c].item()
            image = pictures([TESTED[n]], GROUNDS[ground], "test")
            draw_heatmap(ax, heat, image, f"{GROUNDS[ground]}: {CLASSES[c]} {in_digits(p)}")
            probabilities.append(f"{in_digits(p)} on {GROUNDS[ground]}")
            shares.append(_share(heat, TESTED[n], GROUNDS[ground]))
        return figure, _words(strength, repair, accuracies[key].mean(0), CLASSES[c], probabilities, shares)

    return Explorer(
        draw,
        lambda picture, **_: [picture.split(": ")[1], *GROUNDS],
        strength=choice("on its usual ground (%)", STRENGTHS, 95),
        repair=choice("repair", list(REPAIRS)),
        picture=choice("test scene", list(names)),
    )


def _groups(head: nn.Linear, pooled: Tensor, labels: Tensor) -> Tensor:
    """Return the accuracies (2, 2), class x ground, on all scenes on both grounds."""
    right = head(pooled).argmax(2) == labels[:, None]  # (n, 2)
    both = labels[:, None].expand_as(right)
    grounds = torch.arange(len(GROUNDS)).expand_as(right)
    return group_accuracy(right.flatten(), both.flatten(), grounds.flatten())


def _bars(ax: Axes, tables: Tensor) -> None:
    means = tables.mean(0).tolist()
    for c, name in enumerate(CLASSES):
        for ground, under in enumerate(GROUNDS):
            place = 2.4 * c + ground
            ax.bar(place, means[c][ground], color=PALETTE[0 if ground == c else 4], width=0.9)
            ax.plot([place] * len(tables), tables[:, c, ground].tolist(), "o", color="black", markersize=4)
            ax.text(place, -0.04, under, ha="center", va="top")
        ax.text(2.4 * c + 0.5, -0.16, name, ha="center", va="top", weight="bold")
    ax.set(xticks=[], ylim=(0, 1.05), title="accuracy of the groups")


def _share(heat: Tensor, number: int, ground: str) -> str:
    mask = torch.as_tensor(scene(number, ground, "test").objects[0].mask.copy())
    area = f"{mask.float().mean():.1%} of the picture"
    if heat.max() == 0:
        return f"on {ground} the map is empty"
    return f"on {ground} {(heat * mask).sum() / heat.sum():.1%} of the map's energy lies in the object's mask ({area})"


def _words(
    strength: int, repair: str, means: Tensor, name: str, probabilities: list[str], shares: list[str]
) -> str:
    groups = ", ".join(
        f"{CLASSES[c]} on {GROUNDS[g]} {means[c, g]:.2f}" for c in (0, 1) for g in range(len(GROUNDS))
    )
    return (
        f"{strength}% of the training pictures of a class on its usual ground; repair: {repair}. Accuracy (bars: mean, "
        f"dots: three trainings; blue: the usual ground): {groups}; the worst group has {means.min():.2f}. Maps of the "
        f"first training for {name}, the scene's own class, whose probability is {' and '.join(probabilities)}: "
        f"{'; '.join(shares)}."
    )
