"""Radiographs with a shortcut: drawn films, a network that reads the label's text, repairs, real films. Notebook 12.

Drawing goes from ``patient`` by way of ``anatomy``, ``bones``, ``findings`` and ``physics`` to ``films``; ``markers``
prints letters over them; ``study`` trains and measures; ``files``, ``real`` and ``strips`` are for
films of real people.
"""

from .drawings import draw_answer, draw_doses, draw_repairs, draw_twins
from .files import read_folder
from .films import Radiographs, corner, radiographs
from .markers import POSITIONS, stamp
from .net import CLASSES, XrayNet, xray_net
from .real import HOSPITALS, real_radiographs
from .strips import PARTS, features, fit_head, folds_by_patient, lungs, strip_test, with_head
from .study import REPAIRS, measure, soft_map, without_corner
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
    "with_head",
    "without_corner",
    "xray_net",
    "xray_reader",
]
