"""Figures in one visual grammar, for all notebooks: photographs, heat-maps, signed maps, boxes, and drawn diagrams.

``show`` hands a figure with its caption to the notebook; ``panels`` lays axes out; ``draw_...`` fill one of them.
"""

from .figures import figure_html, show, without_axes
from .gradient_images import draw_gradient, gradient_limit, gradient_picture
from .head import draw_pooled_head
from .hooks import color_limit, draw_chain, draw_channel
from .masks import draw_outline, draw_seeds, draw_segmentation
from .plots import (
    ACTIVATIONS,
    FOUND,
    GRADIENTS,
    PALETTE,
    SIGNED_MAP,
    TRUTH,
    WEIGHTS,
    compare_maps,
    draw_box,
    draw_heatmap,
    draw_numbers,
    draw_photo,
    draw_signed,
    in_digits,
    panels,
)
from .relu_rules import draw_relu_rules
from .windows import draw_grids, draw_pyramid, draw_sliding, draw_transposed

__all__ = [
    "ACTIVATIONS",
    "FOUND",
    "GRADIENTS",
    "PALETTE",
    "SIGNED_MAP",
    "TRUTH",
    "WEIGHTS",
    "color_limit",
    "compare_maps",
    "draw_box",
    "draw_chain",
    "draw_channel",
    "draw_gradient",
    "draw_grids",
    "draw_heatmap",
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
    "show",
    "without_axes",
]
