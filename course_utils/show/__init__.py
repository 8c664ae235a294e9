"""Figures in one visual grammar, for all notebooks: photographs, heat-maps, signed maps, boxes, and drawn diagrams.

``panels`` and ``canvas`` lay axes out; most of ``draw_...`` fill one of them, others return a whole diagram; ``show``
hands a figure with its caption to the notebook, and ends the caption with the credits of the photographs in it.
``letters`` has names in figures drawn as they are written.
"""

from .diagrams import draw_chain, draw_course, draw_pooled_head, draw_relu_rules
from .figures import STORING, canvas, figure_html, panels, show, without_axes
from .letters import plain, written
from .plots import (
    ACTIVATIONS,
    FOUND,
    GRADIENTS,
    PALETTE,
    SIGNED_MAP,
    TRUTH,
    WEIGHTS,
    color_limit,
    compare_maps,
    draw_box,
    draw_channel,
    draw_gradient,
    draw_heatmap,
    draw_marked,
    draw_numbers,
    draw_outline,
    draw_photo,
    draw_seeds,
    draw_segmentation,
    draw_signed,
    gradient_limit,
    gradient_picture,
    in_digits,
    wrapped,
)
from .windows import draw_grids, draw_pyramid, draw_sliding, draw_transposed

__all__ = [
    "ACTIVATIONS",
    "FOUND",
    "GRADIENTS",
    "PALETTE",
    "SIGNED_MAP",
    "STORING",
    "TRUTH",
    "WEIGHTS",
    "canvas",
    "color_limit",
    "compare_maps",
    "draw_box",
    "draw_chain",
    "draw_channel",
    "draw_course",
    "draw_gradient",
    "draw_grids",
    "draw_heatmap",
    "draw_marked",
    "draw_numbers",
    "draw_outline",
    "draw_photo",
    "draw_pooled_head",
    "draw_pyramid",
    "draw_relu_rules",
    "draw_seeds",
    "draw_segmentation",
    "draw_signed",
    "draw_sliding",
    "draw_transposed",
    "figure_html",
    "gradient_limit",
    "gradient_picture",
    "in_digits",
    "panels",
    "plain",
    "show",
    "without_axes",
    "wrapped",
    "written",
]
