"""Explorer: put a text on a drawn radiograph, take it off, and see prediction and map follow, or not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import nn

from course_utils.explain import grad_cam
from course_utils.localization import energy_inside
from course_utils.show import draw_heatmap, draw_outline, draw_photo, in_digits, panels
from course_utils.xray import CLASSES, POSITIONS, Radiographs, stamp

from .explorer import Explorer, check_box, choice, picture_places, slider

__all__ = ["stamp_explorer"]

TEXTS = ["PORTABLE", "AP", "R", "SUPINE", "ICU 3", "A. B."]
FINDING = 1


def stamp_explorer(models: Mapping[str, nn.Module], films: Radiographs) -> Explorer:
    """Explore how networks answer to a stamp: which text, where, how strong, on which radiograph.

    Args:
        models: networks by the words in the list; radiographs (N, 1, H, W) to two logits, normal and finding.
        films: a few radiographs, of which the clean pictures are stamped here.
    """

    def draw(
        model: str, film: int, stamped: bool, text: str, position: str, opacity: int
    ) -> tuple[Figure, str]:
        net, n = models[model], film - 1
        clean = films.clean[n : n + 1]
        printed = stamp(clean, text, position, opacity / 100)
        image = printed if stamped else clean
        explanation = grad_cam(net, image, FINDING)
        with torch.no_grad():
            without, with_stamp = net(torch.cat([clean, printed])).softmax(1)[:, FINDING].tolist()
        probability = with_stamp if stamped else without
        answer = CLASSES[int(probability > 0.5)]
        finding, heat = films.masks["finding"][n], explanation.heatmaps()[0, 0]
        figure, axes = panels(2, width=8, height=4.3, places=picture_places(8, 4.3))
        draw_photo(axes[0], image, f"truth: {CLASSES[int(films.has_finding[n])]}")
        if finding.any():
            draw_outline(axes[0], finding)
        draw_heatmap(axes[1], heat, image, f"finding {in_digits(probability)}")
        words = f"The {model} network answers {answer}: p(finding) = {in_digits(probability)}"
        words += (
            f", with the stamp {'off' if stamped else 'on'} {in_digits(without if stamped else with_stamp)}. "
        )
        if (without > 0.5) != (with_stamp > 0.5):
            words += "The stamp alone turns the answer. "
        inside = energy_inside(heat, finding) if finding.any() else None
        if explanation.empty.any():
            words += "No unit of the map speaks for a finding."
        elif inside is None:
            words += "There is no finding for the map to lie on; its brightest place only marks the most, of whatever."
        else:
            words += (
                f"{inside:.0%} of the map's energy lies in the finding (solid white), {finding.float().mean():.0%} of "
                "the picture."
            )
        return figure, words

    return Explorer(
        draw,
        model=choice("network", list(models)),
        film=slider("radiograph", 1, len(films), 1),
        stamped=check_box("stamp on", True),
        text=choice("text", TEXTS),
        position=choice("position", list(POSITIONS)),
        opacity=slider("opacity (%)", 0, 100, 100, 10),
    )
