"""Helper package of the course "Why did this CNN predict that?".

The modules stand on floors; each imports only from lower ones:

1. ``shapes``, ``hooks``, ``assets``: arithmetic, PyTorch's hooks, files and downloads
2. ``models``, ``photos``, ``scenes``, ``xray``, ``training``: networks and pictures with known truth
3. ``cam``, ``attacks``, ``perturbation``, ``segmentation``, and what loads the course's small networks
4. ``backprop``, ``failures``, ``background_bias``, ``xray_study``: what takes the maps of ``cam``
5. ``plots``, ``localization``
6. ``playground``: any picture, network, class and method behind one call
7. ``widgets``, ``exercises``
8. ``authoring``, ``publishing``, ``slides``: commands for authors

Importing ``course_utils`` alone loads no PyTorch, so that a set-up cell answers at once. It asks PyTorch, unless
the environment says otherwise, to take large tensors from huge pages of memory where the system offers them
(``THP_MEM_ALLOC_ENABLE``, read when the first tensor is made): on Linux, maps take about a third less time.
"""

import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.1.0"
