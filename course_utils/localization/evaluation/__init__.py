"""Classification and localization errors of a network over a folder in ImageNet's layout. Notebook 07.

``folders`` reads and writes the layout, ``loading`` prepares its pictures, ``methods`` makes maps, ``runner`` counts,
``results`` keeps what was counted, so that an interrupted run goes on.
"""

from .folders import DataError, IlsvrcFolder, read_ilsvrc, write_composites, write_ilsvrc, write_scenes
from .loading import to_original
from .methods import METHODS
from .runner import evaluate

__all__ = [
    "METHODS",
    "DataError",
    "IlsvrcFolder",
    "evaluate",
    "read_ilsvrc",
    "to_original",
    "write_composites",
    "write_ilsvrc",
    "write_scenes",
]
