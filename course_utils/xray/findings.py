"""What the pictures are searched for: fluid that takes the place of air in a lung.

A finding changes the lengths of path and nothing else: what it adds to the soft tissue it takes from the
air-filled lung. Whether it can be seen then follows from physics, from the bones before and behind it, and
from the noise.
"""

from __future__ import annotations

import numpy as np

from .anatomy import Chest, texture
from .patient import Frame, Patient

__all__ = ["VISIBLE", "add_consolidation", "add_effusion"]

VISIBLE = 1.0
"""Centimeters of air replaced from which on a pixel of lung counts as part of the finding."""


def add_consolidation(chest: Chest, patient: Patient, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Fill a soft-edged cloud of lung with fluid, as pneumonia does; return its mask (size, size).

    ``chest`` is changed: path is moved from ``lung`` to ``solid``.
    """
    u, v = frame.grid
    height = patient.height
    side = -1 if rng.uniform() < 0.5 else 1
    level = rng.uniform(0.22, 0.84)
    inner = 0.115 if side < 0 or level < 0.45 else 0.12 + 0.10 * (level - 0.45) / 0.4
    wall = patient.chest * (0.62 + 0.36 * min(level / 0.6, 1))
    a = inner + (wall - inner) * rng.uniform(0.12, 0.72)
    radius, amount = rng.uniform(0.052, 0.078), rng.uniform(10.0, 15.0)
    cloud = np.zeros_like(u)
    for _ in range(4):
        du, dv = rng.normal(0, 0.45 * radius, 2).tolist()
        ru, rv = (radius * rng.uniform(0.6, 1.0, 2)).tolist()
        x, y = (u - side * a - du) / ru, (v - level * height - dv) / rv
        cloud = np.maximum(cloud, np.exp(-0.5 * (x * x + y * y)))
    # Air sacs are filled or not: a plateau with a soft border, and patches of air left in it.
    cloud = cloud * np.clip(1 + 0.25 * texture(rng, frame), 0.3, 1.8)
    cloud = 1 - np.exp(-2.0 * cloud * cloud)
    return _fill(chest, float(amount) * cloud)


def add_effusion(chest: Chest, patient: Patient, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Fill the angle between rib cage and diaphragm with fluid; return its mask (size, size).

    The upper edge is a meniscus: it climbs toward the side wall. ``chest`` is changed as by
    :func:`add_consolidation`.
    """
    u, v = frame.grid
    side = -1 if rng.uniform() < 0.5 else 1
    top, steep = rng.uniform(0.13, 0.25), rng.uniform(0.09, 0.14)
    inward = np.maximum(1 - side * u / np.maximum(chest.wall, 1e-3), 0)
    surface = patient.height - float(top) + float(steep) * (1 - np.exp(-inward / 0.22)) * 1.6
    depth = np.clip((v - surface) / 0.04, 0, 1) * (side * u > 0)
    return _fill(chest, 0.85 * depth * chest.lung)


def _fill(chest: Chest, fluid: np.ndarray) -> np.ndarray:
    fluid = np.minimum(fluid, 0.9 * chest.lung)
    chest.lung = chest.lung - fluid
    chest.solid = chest.solid + fluid
    return (fluid >= VISIBLE) & chest.lung_mask
