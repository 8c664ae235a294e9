"""Radiographs with a shortcut: drawn films, a network that reads the stamp instead of the lung, repairs, real films.

Notebook 12. ``patient`` draws a healthy build, ``anatomy`` the chest and what is put into its lung (the finding),
``physics`` the rays; ``films`` decides who has a finding; ``markers`` prints letters over the films;
``study`` has the network, trains and measures it, ``trained`` what is stored of that, and ``laundering`` trains with a
penalty on the map; ``real``, ``strips`` and ``hospitals`` are for films of real people.
"""

from .drawings import draw_answer, draw_doses, draw_repairs, draw_twins
from .films import Radiographs, corner, radiographs
from .hospitals import COMPARISONS, measure_hospitals, stored_halves, stored_test
from .laundering import STRENGTHS, TRAININGS, measure_laundering
from .markers import POSITIONS, stamp
from .real import HOSPITALS, SQUARES, read_folder, real_radiographs
from .strips import (
    PARTS,
    StripTest,
    features,
    fit_head,
    folds_by_patient,
    gray_levels,
    lungs,
    random_halves,
    strip_test,
)
from .study import (
    CLASSES,
    PUNISHED,
    REPAIRS,
    XrayNet,
    corner_of_decision,
    measure,
    soft_map,
    without_strip,
    xray_net,
)
from .trained import DOSES, choosing_films, train_readers, unseen_films, xray_reader

__all__ = [
    "CLASSES",
    "COMPARISONS",
    "DOSES",
    "HOSPITALS",
    "PARTS",
    "POSITIONS",
    "PUNISHED",
    "REPAIRS",
    "SQUARES",
    "STRENGTHS",
    "TRAININGS",
    "Radiographs",
    "StripTest",
    "XrayNet",
    "choosing_films",
    "corner",
    "corner_of_decision",
    "draw_answer",
    "draw_doses",
    "draw_repairs",
    "draw_twins",
    "features",
    "fit_head",
    "folds_by_patient",
    "gray_levels",
    "lungs",
    "measure",
    "measure_hospitals",
    "measure_laundering",
    "radiographs",
    "random_halves",
    "read_folder",
    "real_radiographs",
    "soft_map",
    "stamp",
    "stored_halves",
    "stored_test",
    "strip_test",
    "train_readers",
    "unseen_films",
    "without_strip",
    "xray_net",
    "xray_reader",
]
