"""Adversarial examples: FGSM and PGD on pixels, attacks on a map, a study of what maps show, and defenses. Notebook 10.

``python -m course_utils.attacks`` measures anew the study's table and that of networks trained on attacks,
``python -m course_utils measure 10`` those of attacks shown to other networks and stored as JPEG.
"""

from . import study
from .compression import ThroughJPEG, jpeg, measure_jpeg
from .maps import move_map, share_in
from .pixels import fgsm, pgd, pgd_path, project, random_noise
from .small_digits import (
    DIGIT_EPSILON,
    WAYS,
    digit_attacks,
    digit_net,
    digits,
    measure_digits,
    train_digits,
)
from .transfer import TRANSFER, attacked_photos, measure_transfer

__all__ = [
    "DIGIT_EPSILON",
    "TRANSFER",
    "WAYS",
    "ThroughJPEG",
    "attacked_photos",
    "digit_attacks",
    "digit_net",
    "digits",
    "fgsm",
    "jpeg",
    "measure_digits",
    "measure_jpeg",
    "measure_transfer",
    "move_map",
    "pgd",
    "pgd_path",
    "project",
    "random_noise",
    "share_in",
    "study",
    "train_digits",
]
