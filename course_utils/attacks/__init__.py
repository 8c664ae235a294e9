"""Adversarial examples: FGSM and PGD on pixels, attacks on a map, and a study of what maps show. Notebook 10.

``python -m course_utils.attacks`` measures the study's table anew.
"""

from . import study
from .maps import move_map, share_in
from .pixels import fgsm, pgd, pgd_path, project, random_noise

__all__ = [
    "fgsm",
    "move_map",
    "pgd",
    "pgd_path",
    "project",
    "random_noise",
    "share_in",
    "study",
]
