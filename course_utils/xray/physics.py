"""From lengths of path through tissue to the gray values of a radiograph.

A ray that crosses materials m on paths of length L_m arrives with the share

    P = exp(-sum_m mu_m L_m)                                    (Beer-Lambert)

of its photons. Scattered photons S, which arrive from all sides, lay a veil over it. The detector counts
N ~ Poisson(N_0 (P + S)); the picture shows -ln(N / N_0), so that bone is white and air is black, and a
window maps a range of it to [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["ATTENUATION", "Exposure", "detect", "display", "softened", "transmission"]

# Linear attenuation coefficients in 1/cm near 60 keV, rounded: the mean energy of a 120 kV beam. Lung is
# soft tissue at a quarter of its density.
ATTENUATION = {"air": 0.0, "lung": 0.054, "soft": 0.21, "bone": 0.60, "metal": 25.0}


@dataclass(frozen=True)
class Exposure:
    """How one picture was taken and processed.

    Attributes:
        photons: N_0, photons that an unattenuated pixel of a 96-pixel picture counts.
        scatter: strength of the veil; 0 is a perfect grid.
        equalize: share of the coarse brightness that processing takes out, in [0, 1].
        low, high: percentiles of the body's values between which the window is laid.
        latitude: how far the window reaches below them, as a share of their distance: more is flatter.
        gamma: exponent after the window; below 1 is brighter.
        black, white: gray values of the window's ends, in [0, 1].
    """

    photons: float = 5e4
    scatter: float = 0.3
    equalize: float = 0.0
    low: float = 1.0
    high: float = 99.0
    latitude: float = 0.0
    gamma: float = 1.0
    black: float = 0.0
    white: float = 1.0


def transmission(paths: Mapping[str, np.ndarray | float]) -> np.ndarray:
    """Return the share of photons that pass, exp(-sum mu L), in [0, 1].

    Args:
        paths: for each material of ``ATTENUATION``, the path length in cm, (H, W) or a number.

    Raises:
        ValueError: unknown material, or a path that is negative or not a number.
    """
    total: np.ndarray | float = 0.0
    for material, length in paths.items():
        if material not in ATTENUATION:
            raise ValueError(
                f"there is no material {material!r}: the known ones are {', '.join(ATTENUATION)}."
            )
        lowest = np.min(length, initial=np.inf)
        if not lowest >= 0:  # also false for NaN
            raise ValueError(
                f"paths must not be negative, but that through {material} goes down to {lowest:.3g} cm. "
                "Where one material replaces another, take its path away from the other's and clip at 0."
            )
        if ATTENUATION[material]:
            total = total + ATTENUATION[material] * np.asarray(length)
    return np.exp(-np.asarray(total))


def softened(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image (H, W) blurred by a Gaussian; ``sigma`` is in widths of the image.

    Beyond the border the image is taken to go on as it ends.
    """
    down, across = (_kernel(side, sigma * image.shape[1]) for side in image.shape)
    return down @ image @ across.T


@lru_cache(maxsize=64)
def _kernel(side: int, sigma: float) -> np.ndarray:
    """Return the Gaussian as a matrix (side, side): two products blur a whole image, however wide it is."""
    reach = math.ceil(5 * sigma)
    offsets = np.arange(side)[:, None] - np.arange(-reach, side + reach)[None]
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
    inside = np.zeros((side, side))
    source = np.clip(np.arange(-reach, side + reach), 0, side - 1)
    np.add.at(inside.T, source, weights.T)
    return (inside / weights.sum(1, keepdims=True)).astype(np.float32)


def detect(primary: np.ndarray, exposure: Exposure, rng: np.random.Generator) -> np.ndarray:
    """Return -ln(N / N_0) for photons that pass with the share ``primary``, (H, W) in [0, 1].

    The scatter that a ray gives off is taken as P ln(1/P), photons times interactions on the way, and
    spreads over a Gaussian of an eighth of the picture's width. Smaller pixels count fewer photons.
    """
    scattered = exposure.scatter * softened(primary * -np.log(np.maximum(primary, 1e-6)), 0.12)
    photons = exposure.photons * (96 / primary.shape[1]) ** 2
    counts = rng.poisson(photons * (primary + scattered))
    return -np.log(np.maximum(counts, 0.5) / photons).astype(np.float32)


def display(values: np.ndarray, body: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Return a detector's values (H, W) as gray values in [0, 1], windowed for the pixels in ``body``.

    First ``exposure.equalize`` of the coarse brightness is taken out, as the processing in many hospitals
    does; then the window is laid between two percentiles of the body's values.

    Raises:
        ValueError: ``body`` is empty.
    """
    if not body.any():
        raise ValueError(
            "the window is laid for the pixels in body, but there are none. Mark the pixels the patient covers."
        )
    if exposure.equalize:
        values = values - exposure.equalize * (softened(values, 0.12) - values[body].mean())
    low, high = np.percentile(values[body], (exposure.low, exposure.high))
    low -= exposure.latitude * (high - low)
    share = np.clip((values - low) / max(high - low, 1e-6), 0, 1) ** exposure.gamma
    return (exposure.black + (exposure.white - exposure.black) * share).astype(np.float32)
