"""How sure is a figure, and what would a map that knows nothing of the class have scored?

Notebooks 03 to 09 and 11 lean on it. The unit of evidence is the photograph: mosaics or crops of one photograph are no
independent cases, so their values are averaged before an interval is drawn. What takes long is measured by a command,
``python -m course_utils measure NN``, and read from ``data/measurements/``.
"""

from .blind import BLIND, blind_maps, centre_blob
from .covers import mosaic_orders, study_covers
from .intervals import Interval, interval
from .measurements import NETWORKS, Measurement, Measurements, load_measurements, save_measurements
from .quarters import ENERGY, MAXIMUM, energy_in, maximum_in, quarter_mosaics, quarters_study, weighted_maps
from .ranks import rank_correlation
from .rivals import FALL, fall_of_difference, label_and_rival, rival_maps, rival_study
from .sanity import (
    SHUFFLED,
    averaged_study,
    guided_study,
    sanity_maps,
    sanity_study,
    shuffle_weights,
)

__all__ = [
    "BLIND",
    "ENERGY",
    "FALL",
    "MAXIMUM",
    "NETWORKS",
    "SHUFFLED",
    "Interval",
    "Measurement",
    "Measurements",
    "averaged_study",
    "blind_maps",
    "centre_blob",
    "energy_in",
    "fall_of_difference",
    "guided_study",
    "interval",
    "label_and_rival",
    "load_measurements",
    "maximum_in",
    "mosaic_orders",
    "quarter_mosaics",
    "quarters_study",
    "rank_correlation",
    "rival_maps",
    "rival_study",
    "sanity_maps",
    "sanity_study",
    "save_measurements",
    "shuffle_weights",
    "study_covers",
    "weighted_maps",
]
