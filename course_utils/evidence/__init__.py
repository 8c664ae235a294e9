"""How sure is a figure, and what would a map that knows nothing of the class have scored?

Notebooks 04 to 09 and 11 lean on it. The unit of evidence is the photograph: mosaics or crops of one photograph are no
independent cases, so their values are averaged before an interval is drawn. What takes long is measured by a command,
``python -m course_utils measure NN``, and read from ``data/measurements/``.
"""

from .blind import BLIND, blind_maps, centre_blob
from .covers import mosaic_orders, study_covers
from .intervals import Interval, interval
from .measurements import NETWORKS, Measurement, Measurements, load_measurements, save_measurements

__all__ = [
    "BLIND",
    "NETWORKS",
    "Interval",
    "Measurement",
    "Measurements",
    "blind_maps",
    "centre_blob",
    "interval",
    "load_measurements",
    "mosaic_orders",
    "save_measurements",
    "study_covers",
]
