"""Helper package of the course "Why did this CNN predict that?".

Every folder is a room, and its ``__init__`` the room's face: it says what the room is for and lists the names
that others may import: ``from course_utils.explain import grad_cam``. The README lists the rooms; they stand on floors
and import from lower ones only, which are written down in ``[tool.importlinter]`` in pyproject.toml.

Importing ``course_utils`` alone loads no PyTorch, so that a set-up cell answers at once. It asks PyTorch, unless
the environment says otherwise, to take large tensors from huge pages of memory where the system offers them
(``THP_MEM_ALLOC_ENABLE``, read when the first tensor is made): on Linux, maps take about a third less time.
"""

import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.1.0"
