"""The table of methods that explain any one picture, for the playground and for ``python -m course_utils explain``.

It needs no PyTorch, and so names functions instead of holding them: the command answers a typing error at once.
Other choices are no copies of it: ``localization.evaluation`` has guesses with maps for a batch, and the explorer of
notebook 05 rules at a ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """A method on offer.

    Attributes:
        title: its name in titles.
        function: its name in :mod:`course_utils.explain`.
        takes_layer: whether a layer can be chosen.
        pixels: whether it makes gradient images.
        sign: -1 where what is marked speaks against the class, so that covering it should raise the score.
    """

    title: str
    function: str
    takes_layer: bool = True
    pixels: bool = False
    sign: int = 1


METHODS = {
    "grad-cam": Method("Grad-CAM", "grad_cam"),
    "grad-cam++": Method("Grad-CAM++", "grad_cam_pp"),
    "cam": Method("CAM", "cam", takes_layer=False),
    "counterfactual": Method("counterfactual", "grad_cam", sign=-1),
    "guided-backprop": Method("guided backprop", "guided_backprop", takes_layer=False, pixels=True),
    "guided-grad-cam": Method("Guided Grad-CAM", "guided_grad_cam", pixels=True),
}
"""By the names that people type."""
