"""Explorer of writing over a photograph: which classes rise, and where the map of one of them lies."""

from __future__ import annotations

from functools import lru_cache

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.backgrounds import CHANGES, SCRIPTS, stamp, watermark
from course_utils.explain import grad_cam, heatmaps
from course_utils.networks import Classifier
from course_utils.pictures import list_photos, load_photo
from course_utils.show import PALETTE, draw_heatmap, draw_photo, in_digits, panels

from .explorer import Explorer, choice, picture_places, slider, typed

__all__ = ["watermark_explorer"]

RISERS = 6
_PLACES = picture_places(10, 3.9, left=0.02, right=0.99)


def watermark_explorer(classifier: Classifier) -> Explorer:
    """Explore what white writing does to the answers about a photograph, and to the map of any class."""

    @lru_cache(maxsize=4)
    def clean(name: str) -> tuple[Tensor, Tensor]:
        image = load_photo(name).tensor(classifier.size)
        with torch.no_grad():
            return image, classifier(image)[0].cpu()

    def draw(
        photo: str, script: str, change: str, name: str, opacity: int, height: int, down: int
    ) -> tuple[Figure, str]:
        index = classifier.class_index(name)
        image, before = clean(photo)
        ink = watermark(script, classifier.size, height / 100, (0.5, down / 100), change)
        stamped = stamp(image, ink, opacity / 100)
        e = grad_cam(classifier, stamped, index)
        with torch.no_grad():
            after = classifier(stamped)[0].cpu()
        rise = after - before
        figure, axes = panels(3, width=10, height=3.9, places=_PLACES)
        draw_photo(axes[0], stamped, photo)
        heat = heatmaps(e.maps[0, 0].cpu(), stamped.shape[2:])
        draw_heatmap(axes[1], heat, stamped, f"{classifier.classes[index]} {rise[index]:+.1f}")
        first = rise.argsort(descending=True)[:RISERS].tolist()
        _bars(axes[2], [classifier.classes[i] for i in first], rise[first].tolist())
        ranks = [int((logits > logits[index]).sum()) + 1 for logits in (before, after)]
        p = classifier.probabilities(after[None])[0]
        answers = ", ".join(f"{classifier.classes[i]} {in_digits(p[i])}" for i in p.topk(3).indices.tolist())
        rising = ", ".join(f"{classifier.classes[i]} {rise[i]:+.1f}" for i in first if rise[i] > 0) or "none"
        return figure, (
            f"Over {photo}: {SCRIPTS[script]}, {change}; {ink.mean():.1%} ink at {opacity}% opacity. "
            f"{classifier.classes[index]}: logit {rise[index]:+.2f}, rank {ranks[0]} without and {ranks[1]} with it. "
            f"Rise most: {rising}. First answers now: {answers}."
        )

    return Explorer(
        draw,
        photos=lambda photo, **_: [photo],
        photo=choice("photograph", list_photos(), "palace"),
        script=choice("writing", list(SCRIPTS)),
        change=choice("changed", list(CHANGES)),
        name=typed("map of class", sorted(set(classifier.classes)), "carton"),
        opacity=slider("opacity (%)", 0, 100, 50, 10),
        height=slider("height of a character (%)", 4, 32, 16, 4),
        down=slider("how far down (%)", 0, 100, 40, 10),
    )


def _bars(ax: Axes, names: list[str], rises: list[float]) -> None:
    places = range(len(names))[::-1]
    ax.barh(places, rises, color=PALETTE[0], height=0.5)
    for place, name in zip(places, names, strict=True):
        ax.text(0, place + 0.3, name, va="bottom")
    ax.set(yticks=[], ylim=(-0.6, len(names)), title="rise of the logits, the largest first")
    ax.set_aspect("auto")
