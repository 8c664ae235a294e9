"""How sure is a figure, and what would a map that knows nothing of the class have scored?

Notebooks 04 to 09 and 11 lean on it. The unit of evidence is the photograph: mosaics or crops of one photograph are no
independent cases, so their values are averaged before an interval is drawn.
"""

from .blind import BLIND, blind_maps, centre_blob
from .intervals import Interval, interval

__all__ = ["BLIND", "Interval", "blind_maps", "centre_blob", "interval"]
