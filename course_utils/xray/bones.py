"""Bones as lengths of path in cm: ribs, spine, collarbones, shoulder blades, arms."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .patient import CANVAS, Frame, Patient, arch
from .physics import softened

__all__ = ["bones"]


def bones(patient: Patient, frame: Frame, rib_cage: np.ndarray) -> np.ndarray:
    """Return the path through bone in cm, (size, size).

    Args:
        patient: whose bones.
        frame: the picture's frame.
        rib_cage: half the width of the rib cage at each pixel's level, 0 above its top, (size, size).
    """
    u, v = frame.grid
    paths = _ribs(patient, frame, rib_cage) + _spine(patient, frame) + _clavicles(patient, u, v)
    return patient.bone * (paths + _shoulder_blades(patient, frame) + _arm_bones(patient, u, v))


def _tube(q: np.ndarray, hollow: float = 0.72) -> np.ndarray:
    """Path through a tube with a hard shell at the distance q (in radii) from its axis, 1 at its thickest."""
    return (arch(q) - hollow * arch(q / hollow) * 0.8) / (1 - 0.8 * hollow)


def _ribs(patient: Patient, frame: Frame, rib_cage: np.ndarray) -> np.ndarray:
    """All ribs at once: a function of the place that is a whole number along the axis of each rib.

    From the spine a rib runs outward and down to the side wall, turns there, and comes forward lower and
    lower. With t the distance from the middle in widths of the cage, both halves have the form
    v = v_k + fall(t), and they meet at t = 1.
    """
    u, v = frame.grid
    wall = rib_cage + 0.006
    out = np.zeros_like(u)
    slope = patient.rib_slope
    for front in (False, True):
        across = u - patient.turn * (0.5 if front else -0.5)
        a = np.abs(across)
        t = np.clip(a / np.maximum(wall, 0.02), 0, 1)
        turn = 1 - arch(t)
        if front:
            fall = 0.13 * slope * (1 - t) + 0.045 * (2 - turn) + 0.07 * slope
        else:
            fall = 0.045 * turn + slope * (0.11 * t * t - 0.04 * t)
        height = v - fall + 0.3 * patient.asymmetry * np.sign(across)
        # Ribs lie closer at the top: the k-th at spacing * k * (1 + 0.02 k).
        k = (np.sqrt(np.maximum(1 + 0.08 * height / patient.rib_spacing, 0)) - 1) / 0.04 + patient.rib_phase
        number = np.round(k)
        dk_dv, dk_du = np.gradient(k, frame.step)
        distance = (k - number) / np.maximum(np.hypot(dk_du, dk_dv), 8)
        there = (a < wall) & (wall > 0.03) & (number >= 1) & (number <= (7 if front else 11))
        if front:
            shape = _tube(distance / 0.0175) * 0.20 * np.clip((t - 0.42) / 0.2, 0, 1)
        else:
            shape = _tube(distance / 0.0155) * 0.50 * np.clip((t - 0.10) / 0.1, 0, 1)
        out += np.where(there, shape * (1 + 0.15 * t**8), 0)
    return out


def _spine(patient: Patient, frame: Frame) -> np.ndarray:
    u, v = frame.grid
    bend = patient.scoliosis * np.sin(5 * v + 6 * patient.rib_phase) - 0.5 * patient.turn
    a = np.abs(u - bend)
    half = 0.036 + 0.012 * np.clip(v, 0, 1)
    body = np.cos((v / 0.062 + patient.rib_phase) * 2 * np.pi)  # 1 in a vertebra's middle, -1 in a disc
    column = np.clip((half * (0.95 - 0.06 * body) - a) / 0.008, 0, 1)
    solid = column * (0.70 + 0.22 * np.clip(2.5 * body + 0.8, -1, 1) + 0.25 * (a / half) ** 4)
    pedicles = np.exp(-(((a - 0.6 * half) / 0.007) ** 2)) * np.clip(1.5 * body - 0.4, 0, 1)
    spines = np.exp(-((a / 0.006) ** 2)) * np.clip(-body, 0, 1)
    processes = np.exp(-(((a - 1.25 * half) / 0.016) ** 2)) * np.clip(1.6 * body - 0.6, 0, 1)
    return solid + 0.5 * pedicles + 0.5 * spines + 0.5 * processes


def _clavicles(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across = u - 0.8 * patient.turn
    a = np.abs(across) - 0.030
    slope = patient.clavicle_slope + 2 * patient.asymmetry * np.sign(across)
    bow = np.sin(np.clip(a / 0.33, 0, 1) * 2 * np.pi)
    axis = patient.clavicle + 0.012 - slope * a - 0.014 * bow
    radius = 0.0155 + 0.008 * np.exp(-((a / 0.035) ** 2)) + 0.004 * np.clip((a - 0.2) / 0.1, 0, 1)
    tube = _tube((v - axis) / radius / (1 + slope**2) ** 0.5, hollow=0.5)
    return 0.85 * tube * np.clip(a / 0.012, 0, 1) * np.clip((0.335 - a) / 0.03, 0, 1)


def _arm_bones(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a = np.abs(u)
    top = patient.shoulders + 0.075
    middle = 0.452 + 0.02 * patient.fat + (0.03 + 0.25 * patient.arms) * (v - top)
    shaft = _tube((a - middle) / 0.027, hollow=0.66) * np.clip((v - top) / 0.05, 0, 1)
    ball = np.maximum(1 - ((a - 0.425) ** 2 + (v - top + 0.005) ** 2) / 0.052**2, 0)
    return np.maximum(0.9 * shaft, 1.1 * ball**0.8)


def _shoulder_blades(patient: Patient, frame: Frame) -> np.ndarray:
    """A thin triangle beside the upper ribs with a ridge, the socket of the joint and the hook above it."""
    canvas = Image.new("L", (CANVAS, CANVAS), 0)
    draw = ImageDraw.Draw(canvas)
    top = patient.shoulders + 0.055
    inner = 0.30 + 0.06 * patient.arms - 0.03 * patient.fat
    outline = [
        (inner, top + 0.01), (inner - 0.02, top + 0.12), (inner + 0.035, top + 0.29), (inner + 0.055, top + 0.27),
        (0.385, top + 0.075), (0.40, top + 0.03), (0.37, top - 0.01),
    ]  # fmt: skip
    lines = [
        ([(inner + 0.05, top + 0.28), (inner + 0.066, top + 0.17), (0.388, top + 0.07)], 60, 0.010),
        ([(inner + 0.01, top + 0.06), (inner + 0.06, top + 0.02), (0.41, top - 0.055)], 45, 0.014),
        ([(0.395, top + 0.055), (0.403, top + 0.015), (0.39, top - 0.02)], 80, 0.018),
        ([(0.40, top - 0.055), (0.445, top - 0.05)], 70, 0.024),
        ([(0.365, top + 0.005), (0.385, top - 0.02)], 75, 0.022),
    ]
    scale = CANVAS * frame.zoom
    for side in (-1, 1):
        mirror = np.array([side, 1.0])
        draw.polygon([tuple(p) for p in frame.on_canvas(np.array(outline) * mirror)], fill=22)
        for points, value, width in lines:
            place = [tuple(p) for p in frame.on_canvas(np.array(points) * mirror)]
            draw.line(place, fill=value, width=max(1, round(width * scale)), joint="curve")
    return 4.0 * softened(frame.from_canvas(canvas), 0.006)
