"""Helper package of the course "Why did this CNN predict that?".

Every folder is a room, and its ``__init__`` the room's face: it says which notebooks lean on it and lists the names
that others may import: ``from course_utils.explain import grad_cam``. Rooms stand on floors, and import from lower
ones only (``[tool.importlinter]`` in pyproject.toml), from the ground up:

1. ``explain``, ``shapes``: the methods of notebooks 02 to 06, and output sizes; ``assets``: files and downloads
2. ``pictures``, then ``networks``: photographs and drawn worlds; real networks and small ones
3. ``show``: figures; ``localization``, ``segmentation``, ``failures``, ``attacks``, ``backgrounds``, ``xray``,
   ``language``: what one or two notebooks need
4. ``playground`` and the command ``explain``: any picture, network, class and method
5. ``widgets``, ``exercises``: the explorers and the checks
6. ``authoring``: commands for authors and lecturers

Importing ``course_utils`` alone loads no PyTorch, so that a set-up cell answers at once. It asks PyTorch, unless
the environment says otherwise, to take large tensors from huge pages of memory where the system offers them
(``THP_MEM_ALLOC_ENABLE``, read when the first tensor is made): on Linux, maps take about a third less time.
"""

import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.1.0"
