"""Adversarial examples: FGSM and PGD on pixels, attacks on a map, and a study of what maps show. Notebook 10.

``python -m course_utils.attacks`` measures the study's table anew, ``python -m course_utils measure 10`` the table of
attacks shown to other networks.
"""

from . import study
from .jpeg import ThroughJPEG, jpeg, measure_jpeg
from .digits import (
    DIGIT_EPSILON,
    WAYS,
    digit_attacks,
    digit_net,
    digits,
    measure_digits,
    train_digits,
)
from .maps import move_map, share_in
from .pixels import fgsm, pgd, pgd_path, project, random_noise
from .transfer import TRANSFER, attacked_photos, measure_transfer

__all__ = [
    "TRANSFER",
    "ThroughJPEG",
    "attacked_photos",
    "fgsm",
    "jpeg",
    "measure_jpeg",
    "measure_transfer",
    "move_map",
    "pgd",
    "pgd_path",
    "project",
    "random_noise",
    "share_in",
    "study",
]
