"""Interactive explorers: a few controls, one picture, and words that say what the picture shows."""

from .attacks import attack_explorer
from .backgrounds import background_explorer
from .blind_game import BlindGame, chance_of
from .channels import channel_explorer
from .counterfactual import counterfactual_explorer
from .explorer import Explorer, Progress, buttons, check_box, choice, slider, typed
from .failures import draw_mistake, failure_explorer, in_words
from .guided import guided_explorer
from .heatmaps import any_class_explorer, layer_explorer
from .language import caption_explorer, question_explorer
from .localization import threshold_explorer
from .output_size import output_size_explorer
from .playground import playground_explorer
from .segmentation import segmentation_explorer
from .toy_cam import toy_cam_explorer
from .watermarks import watermark_explorer
from .xray_stamp import stamp_explorer

__all__ = [
    "BlindGame",
    "Explorer",
    "Progress",
    "any_class_explorer",
    "attack_explorer",
    "background_explorer",
    "buttons",
    "caption_explorer",
    "chance_of",
    "channel_explorer",
    "check_box",
    "choice",
    "counterfactual_explorer",
    "draw_mistake",
    "failure_explorer",
    "guided_explorer",
    "in_words",
    "layer_explorer",
    "output_size_explorer",
    "playground_explorer",
    "question_explorer",
    "segmentation_explorer",
    "slider",
    "stamp_explorer",
    "threshold_explorer",
    "toy_cam_explorer",
    "typed",
    "watermark_explorer",
]
