"""Interactive explorers: a few controls, one picture, and words that say what the picture shows."""

from course_utils.widgets.attacks import attack_explorer
from course_utils.widgets.channels import channel_explorer
from course_utils.widgets.counterfactual import counterfactual_explorer
from course_utils.widgets.explorer import Explorer, check_box, choice, slider, typed
from course_utils.widgets.guided import guided_explorer
from course_utils.widgets.heatmaps import any_class_explorer, layer_explorer
from course_utils.widgets.localization import threshold_explorer
from course_utils.widgets.output_size import output_size_explorer
from course_utils.widgets.segmentation import segmentation_explorer
from course_utils.widgets.toy_cam import toy_cam_explorer

__all__ = [
    "Explorer",
    "any_class_explorer",
    "attack_explorer",
    "channel_explorer",
    "check_box",
    "choice",
    "counterfactual_explorer",
    "guided_explorer",
    "layer_explorer",
    "output_size_explorer",
    "segmentation_explorer",
    "slider",
    "threshold_explorer",
    "toy_cam_explorer",
    "typed",
]
