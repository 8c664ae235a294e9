"""Explorer: put a text on a drawn radiograph, take it off, and see prediction and map follow, or not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import nn

from course_utils.explain import enlarged, grad_cam
from course_utils.localization import energy_inside
from course_utils.show import draw_heatmap, draw_outline, draw_photo, in_digits, panels
from course_utils.xray import CLASSES, POSITIONS, Radiographs, corner, stamp

from .explorer import Explorer, check_box, choice, picture_places, slider

__all__ = ["stamp_explorer"]

TEXTS = ["PORTABLE", "AP", "R", "SUPINE", "ICU 3", "A. B."]
FINDING = 1
SCORES = ["finding", "finding - normal"]


def stamp_explorer(models: Mapping[str, nn.Module], films: Radiographs) -> Explorer:
    """Explore how networks answer to a stamp: which text, where, how strong, on which radiograph.

    Args:
        models: networks by the words in the list; radiographs (N, 1, H, W) to two logits, normal and finding.
        films: a few radiographs, of which the clean pictures are stamped here.
    """

    def draw(
        model: str, film: int, stamped: bool, text: str, position: str, opacity: int, score: str
    ) -> tuple[Figure, str]:
        net, n = models[model], film - 1
        clean = films.clean[n : n + 1]
        printed = stamp(clean, text, position, opacity / 100)
        image = printed if stamped else clean
        normal, raw = grad_cam(net, image, [0, FINDING]).maps[0]
        raw = (
            raw - normal if score == SCORES[1] else raw
        )  # the map of a difference is the difference of the maps
        heat = enlarged(raw.relu(), image.shape[-1])
        with torch.no_grad():
            without, with_stamp = net(torch.cat([clean, printed])).softmax(1)[:, FINDING].tolist()
        probability = with_stamp if stamped else without
        answer = CLASSES[int(probability > 0.5)]
        finding = films.masks["finding"][n]
        figure, axes = panels(2, width=8, height=4.3, places=picture_places(8, 4.3))
        draw_photo(axes[0], image, f"truth: {CLASSES[int(films.has_finding[n])]}")
        if finding.any():
            draw_outline(axes[0], finding)
        draw_heatmap(axes[1], heat / heat.max().clamp(min=1e-12), image, f"finding {in_digits(probability)}")
        words = f"The {model} network answers {answer}: p(finding) = {in_digits(probability)}"
        words += (
            f", with the stamp {'off' if stamped else 'on'} {in_digits(without if stamped else with_stamp)}. "
        )
        if (without > 0.5) != (with_stamp > 0.5):
            words += "The stamp alone turns the answer. "
        if not heat.any():
            return figure, words + "No unit of the map speaks for a finding."
        places = {"the corner": corner(image.shape[-1]), "the finding (solid white)": finding}
        words += "Of the map's energy lie " + " and ".join(
            f"{energy_inside(heat, place):.0%} in {name}, {place.float().mean():.0%} of the picture"
            for name, place in places.items()
            if place.any()
        )
        words += "." if finding.any() else ". There is no finding for it to lie on."
        return figure, words

    return Explorer(
        draw,
        model=choice("network", list(models)),
        film=slider("radiograph", 1, len(films), 1),
        stamped=check_box("stamp on", True),
        text=choice("text", TEXTS),
        position=choice("position", list(POSITIONS)),
        opacity=slider("opacity (%)", 0, 100, 100, 10),
        score=choice("map of", SCORES),
    )
