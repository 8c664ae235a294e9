"""How sure is a figure, and what would a map that knows nothing of the class have scored?

Notebooks 03 to 09 and 11 lean on it. The unit of evidence is the photograph: mosaics or crops of one photograph are no
independent cases, so their values are averaged before an interval is drawn. What takes long is measured by a command,
``python -m course_utils measure NN``, and read from ``data/measurements/``.
"""

from .blind import BLIND, blind_maps, centre_blob
from .intervals import Interval, interval
from .measurements import (
    NETWORKS,
    Measurement,
    Measurements,
    load_measurements,
    network_name,
    save_measurements,
)
from .rivals import FALL, fall_of_difference, label_and_rival, rival_maps, rival_study

__all__ = [
    "BLIND",
    "FALL",
    "NETWORKS",
    "Interval",
    "Measurement",
    "Measurements",
    "blind_maps",
    "centre_blob",
    "fall_of_difference",
    "interval",
    "label_and_rival",
    "load_measurements",
    "network_name",
    "rival_maps",
    "rival_study",
    "save_measurements",
]
