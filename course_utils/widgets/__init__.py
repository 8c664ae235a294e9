"""Interactive explorers: a few controls, one picture, and words that say what the picture shows."""

from course_utils.widgets.attacks import attack_explorer
from course_utils.widgets.backgrounds import background_explorer
from course_utils.widgets.blind_game import BlindGame
from course_utils.widgets.channels import channel_explorer
from course_utils.widgets.counterfactual import counterfactual_explorer
from course_utils.widgets.explorer import Explorer, buttons, check_box, choice, slider, typed
from course_utils.widgets.failures import failure_explorer
from course_utils.widgets.guided import guided_explorer
from course_utils.widgets.heatmaps import any_class_explorer, layer_explorer
from course_utils.widgets.language import caption_explorer, question_explorer
from course_utils.widgets.localization import threshold_explorer
from course_utils.widgets.output_size import output_size_explorer
from course_utils.widgets.playground import playground_explorer
from course_utils.widgets.segmentation import segmentation_explorer
from course_utils.widgets.toy_cam import toy_cam_explorer
from course_utils.widgets.xray_stamp import stamp_explorer

__all__ = [
    "BlindGame",
    "Explorer",
    "any_class_explorer",
    "attack_explorer",
    "background_explorer",
    "buttons",
    "caption_explorer",
    "channel_explorer",
    "check_box",
    "choice",
    "counterfactual_explorer",
    "failure_explorer",
    "guided_explorer",
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
]
