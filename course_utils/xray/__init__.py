"""Radiographs with a shortcut: drawn films, a network that reads the stamp instead of the lung, repairs, real films.

Notebook 12. ``patient`` draws a healthy build, ``anatomy`` the chest and what is put into its lung (the finding),
``physics`` the rays; ``films`` decides who has a finding; ``markers`` prints letters over the films;
``study`` has the network, trains and measures it, and ``trained`` what is stored of that; ``real`` and ``strips`` are
for films of real people.
"""

from .drawings import draw_answer, draw_doses, draw_repairs, draw_twins
from .films import Radiographs, corner, radiographs
from .markers import POSITIONS, stamp
from .real import HOSPITALS, read_folder, real_radiographs
from .strips import PARTS, features, fit_head, folds_by_patient, lungs, strip_test
from .study import CLASSES, REPAIRS, XrayNet, measure, soft_map, without_corner, xray_net
from .trained import DOSES, train_readers, unseen_films, xray_reader

__all__ = [
    "CLASSES",
    "DOSES",
    "HOSPITALS",
    "PARTS",
    "POSITIONS",
    "REPAIRS",
    "Radiographs",
    "XrayNet",
    "corner",
    "draw_answer",
    "draw_doses",
    "draw_repairs",
    "draw_twins",
    "features",
    "fit_head",
    "folds_by_patient",
    "lungs",
    "measure",
    "radiographs",
    "read_folder",
    "real_radiographs",
    "soft_map",
    "stamp",
    "strip_test",
    "train_readers",
    "unseen_films",
    "without_corner",
    "xray_net",
    "xray_reader",
]
