"""The explorer of notebook 10: attack a picture, and see the probabilities and the maps before and after."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from torch import Tensor

from course_utils.attacks import pgd_path, random_noise
from course_utils.explain import batched_logits, grad_cam
from course_utils.networks import Classifier
from course_utils.show import PALETTE, draw_heatmap, draw_photo, in_digits, panels

from .explorer import Explorer, Progress, Steps, choice, slider, typed

__all__ = ["attack_explorer"]

ATTACK, NOISE = "toward the target (PGD)", "at random, each value by epsilon"
KEPT = 32
_PLACES = {
    "left": 0.005,
    "right": 0.96,
    "bottom": 0.14,
    "top": 0.8,
    "wspace": 0.06,
    "width_ratios": (1, 1, 1, 1, 1.15),
}


def attack_explorer(classifier: Classifier, image: Tensor, label: str, target: str) -> Explorer:
    """Explore targeted attacks on one picture: how large, how many steps, toward which class; and noise instead.

    Shown are the changed picture, Grad-CAM of the label before and after and of the target after, and the
    probabilities of both classes. Each heat-map is divided by its own maximum.

    Args:
        classifier: the network.
        image: (1, 3, H, W) in [0, 1].
        label: the class of the picture whose map to follow.
        target: the class to reach, at the start.

    Raises:
        ValueError: not one image, or an unknown class.
    """
    if len(image) != 1:
        raise ValueError(f"the explorer takes one image (1, 3, H, W), got {tuple(image.shape)}.")
    own = classifier.class_index(label)
    before = classifier.probabilities(batched_logits(classifier, image))[0].cpu()
    map_before = grad_cam(classifier, image, own).heatmaps()[0, 0].cpu()

    found: dict[tuple, tuple[Tensor, Tensor, Tensor]] = {}  # the last pictures, their probabilities and maps

    def draw(target: str, epsilon: int, steps: int, how: str) -> Steps:
        if not target.strip():
            raise ValueError("the field for the target is empty: type the name of a class.")
        goal = classifier.class_index(target)
        if goal == own:
            raise ValueError(f"{label!r} is the class to get away from: type another target.")
        key = (goal, epsilon, steps, how)
        if key not in found:
            picture = image
            if epsilon and how == NOISE:
                picture = random_noise(image, epsilon / 255, full_size=True)
            elif epsilon:
                yield Progress(f"step 1 of {steps}")
                for done, changed in enumerate(pgd_path(classifier, image, goal, epsilon / 255, steps)):
                    picture = changed
                    if done < steps:
                        yield Progress(f"step {done + 1} of {steps}", done / (steps + 1))
            yield Progress("what the network makes of it", steps / (steps + 1))
            after = classifier.probabilities(batched_logits(classifier, picture))[0].cpu()
            maps = grad_cam(classifier, picture, [own, goal]).heatmaps()[0].cpu()
            found[key] = picture, after, maps
            if len(found) > KEPT:
                del found[next(iter(found))]
            yield Progress("drawing", 1.0)
        else:
            picture, after, maps = found[key]
        name = classifier.classes[goal]

        figure, axes = panels(5, width=11, height=2.9, places=_PLACES)
        draw_photo(axes[0], picture, f"changed by at\nmost {epsilon}/255")
        draw_heatmap(axes[1], map_before, image, f"before\n{_shortened(label)} {in_digits(before[own])}")
        draw_heatmap(axes[2], maps[0], picture, f"{_shortened(label)} {in_digits(after[own])}")
        draw_heatmap(axes[3], maps[1], picture, f"{_shortened(name)} {in_digits(after[goal])}")
        _draw_chances(axes[4], [(before[own], after[own]), (before[goal], after[goal])])
        largest = (picture - image).abs().max() * 255
        way = "random noise" if how == NOISE else f"{steps} steps toward {name}"
        words = (
            f"{way[0].upper()}{way[1:]}, epsilon {epsilon}/255; largest change of a value {largest:.1f}/255. "
            f"Probability before and after: {label} {before[own]:.2g} and {after[own]:.2g}, {name} {before[goal]:.2g} "
            f"and {after[goal]:.2g}. Prediction: {classifier.classes[int(before.argmax())]} before, "
            f"{classifier.classes[int(after.argmax())]} after. Each heat-map has a scale of its own."
        )
        return figure, words

    return Explorer(
        draw,
        target=typed("target class", sorted(set(classifier.classes)), target),
        epsilon=slider("epsilon, in 1/255", 0, 16, 8),
        steps=slider("steps", 1, 24, 12),
        how=choice("change the picture", [ATTACK, NOISE]),
    )


def _shortened(name: str) -> str:
    return textwrap.shorten(name, 18, placeholder="...") if len(name) > 18 else name


def _draw_chances(ax: Axes, pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Bars: the probability of the label and of the target, before (pale) and after (full color)."""
    for k, (was, now) in enumerate(pairs):
        color = PALETTE[(0, 4)[k]]
        for offset, value, alpha in ((-0.2, was, 0.35), (0.2, now, 1.0)):
            ax.bar(k + offset, float(value), 0.4, color=color, alpha=alpha, edgecolor="black")
    ax.set(xticks=[0, 1], xticklabels=["label", "target"], ylim=(0, 1.02), yticks=[0, 0.5, 1])
    ax.set_title("probability\n(pale: before)")
    ax.yaxis.tick_right()
    ax.spines[["left"]].set_visible(False)
    ax.spines[["right"]].set_visible(True)
