"""A patient as a handful of numbers, and the frame in which the picture sees them.

Lengths are in units of 40 cm, about the width of a detector. In the patient's own frame u runs across
from the middle of the chest (left on the picture is the patient's right side) and v runs down from the
tops of the lungs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

__all__ = ["CANVAS", "UNIT", "Frame", "Patient", "arch", "draw_patient"]

UNIT = 40.0
"""Centimeters in one unit of length."""
MIDDLE = 0.36
"""v at the middle of a picture that is centered on the chest."""
CANVAS = 256
"""Pixels across what is drawn line by line (vessels, shoulder blades), whatever the picture's size."""


@dataclass(frozen=True)
class Patient:
    """Build, breath and pose. Left and right are those of the picture."""

    chest: float
    """Half the width of the rib cage."""
    height: float
    """From the tops of the lungs to the top of the right dome: small when little was breathed in."""
    depth: float
    """Front to back, in cm, at the level of the heart."""
    fat: float
    """Soft tissue outside the ribs, 0 (lean) to 1."""
    breast: float
    """Size of the breast shadows, 0 for none."""
    turn: float
    """Rotation about the long axis: the front shifts by this much against the back."""
    heart: float
    """Width of the heart as a share of the chest's (cardiothoracic ratio)."""
    heart_tilt: float
    dome_step: float
    """How much higher the right dome stands than the left."""
    asymmetry: float
    """Difference in width between the halves of the chest."""
    scoliosis: float
    rib_spacing: float
    rib_phase: float
    rib_slope: float
    bone: float
    """Density of the bones, about 1."""
    clavicle: float
    """Height of the inner ends of the collarbones."""
    clavicle_slope: float
    shoulders: float
    """Height of the shoulders."""
    arms: float
    """How far the arms stand off."""
    neck: float
    aorta: float
    stomach: float
    """Size of the gas bubble below the left dome, 0 for none."""
    vessels: float


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a patient; each call takes the same amount from ``rng``."""
    # Python's own numbers: NumPy's would turn every array they meet into double precision.
    a, g = rng.uniform(size=24).tolist(), rng.normal(size=8).tolist()
    inspiration, fat = a[0] ** 0.6, a[1] ** 1.7
    return Patient(
        chest=0.350 + 0.018 * g[0] + 0.012 * fat,
        height=0.46 + 0.15 * inspiration + 0.015 * g[1],
        depth=19.0 + 5.0 * fat + 1.2 * g[2],
        fat=fat,
        breast=0.0 if a[2] < 0.5 else 0.35 + 0.65 * a[3] * (0.5 + 0.5 * fat),
        turn=0.012 * g[3],
        heart=0.42 + 0.09 * a[4] + 0.05 * (1 - inspiration),
        heart_tilt=0.55 + 0.35 * a[5] - 0.30 * (1 - inspiration),
        dome_step=0.012 + 0.03 * a[6],
        asymmetry=0.012 * g[4],
        scoliosis=0.012 * g[5],
        rib_spacing=0.050 + 0.008 * a[7],
        rib_phase=a[8],
        rib_slope=0.75 + 0.5 * a[9],
        bone=0.75 + 0.5 * a[10],
        clavicle=0.055 + 0.05 * a[11],
        clavicle_slope=0.12 + 0.32 * a[12],
        shoulders=-0.06 + 0.06 * a[13],
        arms=a[14],
        neck=0.105 + 0.03 * a[15] + 0.015 * fat,
        aorta=0.7 + 0.6 * a[16],
        stomach=0.0 if a[17] < 0.3 else 0.4 + 0.6 * a[18],
        vessels=0.7 + 0.6 * a[19],
    )


@dataclass(frozen=True)
class Frame:
    """Where the detector stood: how the picture's pixels lie in the patient's frame."""

    size: int
    angle: float = 0.0
    zoom: float = 1.0
    across: float = 0.0
    down: float = 0.0

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """u and v of each pixel's center, (size, size) each."""
        line = ((np.arange(self.size, dtype=np.float32) + 0.5) / self.size - 0.5).astype(np.float32)
        x, y = (line[None, :] - self.across) / self.zoom, (line[:, None] - self.down) / self.zoom
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return cos * x + sin * y, cos * y - sin * x + MIDDLE

    @property
    def step(self) -> float:
        """Side of a pixel in the patient's frame."""
        return 1 / (self.size * self.zoom)

    def on_canvas(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 2) of the patient's frame as pixels of the canvas, (..., 2)."""
        u, v = points[..., 0], points[..., 1] - MIDDLE
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x = self.zoom * (cos * u - sin * v) + self.across + 0.5
        y = self.zoom * (sin * u + cos * v) + self.down + 0.5
        return np.stack([x, y], -1) * CANVAS

    def from_canvas(self, canvas: Image.Image) -> np.ndarray:
        """Return what was drawn on a canvas of bytes at the picture's size, (size, size) in [0, 1]."""
        small = canvas.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(small, np.float32) / 255


def arch(x: np.ndarray) -> np.ndarray:
    """Return sqrt(1 - x^2) inside [-1, 1] and 0 outside: the share of a ball's width that a ray meets."""
    return np.sqrt(np.maximum(1 - x * x, 0))
