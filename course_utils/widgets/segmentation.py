"""Explorer: two thresholds turn a heat-map into seeds, and the upper one alone into a mask."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from course_utils.explain import grad_cam
from course_utils.localization import mask_iou
from course_utils.networks import Classifier
from course_utils.pictures import Scenes
from course_utils.segmentation import seeds_from_maps
from course_utils.show import draw_heatmap, draw_outline, draw_photo, draw_seeds, panels

from .explorer import Explorer, choice, picture_places, slider

__all__ = ["segmentation_explorer"]


def segmentation_explorer(classifiers: Mapping[str, Classifier], shown: Scenes) -> Explorer:
    """Explore masks and seeds of scenes with one object, by where the map comes from and by thresholds.

    Args:
        classifiers: where the seeds may come from, by the words in the list.
        shown: a few scenes with exact masks. All maps are made at once, in the beginning.
    """
    size = shown.images.shape[2:]
    labels = shown.labels[:, None]
    maps = {
        words: grad_cam(clf, shown.images, labels).heatmaps(size)[:, 0] for words, clf in classifiers.items()
    }
    truth = shown.masks[:, 0]

    def draw(source: str, scene: int, foreground: int, background: int) -> tuple[Figure, str]:
        if background > foreground:
            raise ValueError(
                f"The background's threshold ({background}%) lies above the object's ({foreground}%): a pixel "
                "between them would be both. Move one of them."
            )
        n = scene - 1
        heat, exact, image = maps[source][n], truth[n], shown.images[n]
        name = shown.classes[int(shown.labels[n])]
        mask = (heat >= foreground / 100) & (heat > 0)
        seeds = seeds_from_maps(heat[None, None], labels[n : n + 1], foreground / 100, background / 100)[0]
        overlap = mask_iou(mask, exact)
        figure, axes = panels(3, width=9, height=3.3, places=picture_places(9, 3.3))
        draw_photo(axes[0], image, name)
        draw_outline(axes[0], exact)
        draw_heatmap(axes[1], heat, image, f"mask: IoU {overlap:.2f}")
        draw_outline(axes[1], exact)
        draw_outline(axes[1], mask, found=True)
        draw_seeds(axes[2], image, seeds, "seeds")
        return figure, _in_words(name, heat, mask, exact, seeds)

    return Explorer(
        draw,
        source=choice("seeds from", list(maps)),
        scene=slider("scene", 1, len(shown), 1),
        foreground=slider("object from (%)", 5, 95, 50, 5),
        background=slider("background below (%)", 0, 50, 10, 5),
    )


def _in_words(
    name: str, heat: torch.Tensor, mask: torch.Tensor, exact: torch.Tensor, seeds: torch.Tensor
) -> str:
    if not mask.any():
        return f"The map for {name} is empty: no mask and no seeds."
    thresholds = range(5, 100, 5)
    ious = [mask_iou((heat >= t / 100) & (heat > 0), exact) for t in thresholds]
    best = max(range(len(ious)), key=ious.__getitem__)
    ground = seeds == 0
    blue = "blue: none"
    if ground.any():
        blue = f"blue the background (right in {(~exact[ground]).float().mean():.0%} of its pixels)"
    return (
        f"The mask of the {name} (dashed yellow) has an IoU of {mask_iou(mask, exact):.2f} with the truth (solid "
        f"white): {exact[mask].float().mean():.0%} of it is right, {mask[exact].float().mean():.0%} of the object is "
        f"in it. As seeds: orange is the object, {blue}, and "
        f"{(seeds == -1).float().mean():.0%} of the picture stays unlabeled. The best mask of this map has "
        f"{ious[best]:.2f}, at {thresholds[best]}%."
    )
