"""Where is the evidence for a class? The methods of notebooks 02 to 07, and what they stand on.

Most are functions of (model, images, classes), and leave the model as it was; ``explain`` takes a layer and a function:

- ``cam``, ``grad_cam``, ``grad_cam_pp``, ``explain``: maps (N, K, h, w), coarse, from the activations of one layer;
  ``cam`` returns a tensor, the other three an ``Explanation``;
- ``saliency``, ``deconvnet``, ``guided_backprop``, ``guided_grad_cam``, ``integrated_gradients``, ``smooth_grad``:
  gradients (N, K, C, H, W), pixel by pixel;
- ``excitation_backprop``: excitation backprop, and the c-MWP of Grad-CAM's Table 1 (notebook 07);
- ``occlusion``, ``cover``, ``deletion_curve``, ``insertion_curve``: the score when places are covered.

Read in this order: ``hooks`` (catching activations, gradients, functions), ``maps``, ``gradients``, ``covering``,
``excitation``. What people bring is looked at in ``inputs`` (images, classes), ``scores`` (what the model returns) and
``layers`` (which layer, and whether it puts out a map): read them when you wonder why something was refused.
"""

from .covering import (
    FILLS,
    batched_logits,
    cover,
    deletion_curve,
    insertion_curve,
    occlusion,
    stand_in,
    top_share_mask,
)
from .excitation import excitation_backprop
from .gradients import (
    ActivationError,
    activations_used,
    deconvnet,
    guided_backprop,
    guided_grad_cam,
    integrated_gradients,
    relu_rule,
    saliency,
    smooth_grad,
)
from .hooks import BackwardHook, ForwardHook, Intercepted, LayerError, evaluation_mode, graph_from, hooked
from .inputs import Classes, check_images, check_model, class_matrix, image_gradient, prepare, run
from .layers import as_map, candidates, find_layer, map_size
from .maps import Explanation, cam, enlarged, explain, grad_cam, grad_cam_pp, heatmaps
from .scores import SCORES, Output, check_logits, logits_of, probabilities, row_sums_to_one, score_kind

__all__ = [
    "FILLS", "SCORES", "ActivationError", "BackwardHook", "Classes", "Explanation", "ForwardHook", "Intercepted",
    "LayerError", "Output", "activations_used", "as_map", "batched_logits", "cam", "candidates", "check_images",
    "check_logits", "check_model", "class_matrix", "cover", "deconvnet", "deletion_curve", "enlarged",
    "evaluation_mode", "excitation_backprop", "explain", "find_layer", "grad_cam", "grad_cam_pp", "graph_from",
    "guided_backprop", "guided_grad_cam", "heatmaps", "hooked", "image_gradient", "insertion_curve",
    "integrated_gradients", "logits_of", "map_size", "occlusion", "prepare", "probabilities", "relu_rule",
    "row_sums_to_one", "run", "saliency", "score_kind", "smooth_grad", "stand_in", "top_share_mask",
]  # fmt: skip
