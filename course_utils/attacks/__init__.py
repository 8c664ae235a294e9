"""Adversarial examples: FGSM and PGD on pixels, attacks on a map, and a study of what maps show. Notebook 10.

``python -m course_utils.attacks`` measures the study's table anew, ``python -m course_utils measure 10`` the table of
attacks shown to other networks.
"""

from . import study
from .maps import move_map, share_in
from .pixels import fgsm, pgd, pgd_path, project, random_noise
from .transfer import TRANSFER, attacked_photos, measure_transfer

__all__ = [
    "TRANSFER",
    "attacked_photos",
    "fgsm",
    "measure_transfer",
    "move_map",
    "pgd",
    "pgd_path",
    "project",
    "random_noise",
    "share_in",
    "study",
]
