"""The chest as lengths of path through air, lung, soft tissue and bone, with masks of lung and heart.

What the pictures are searched for is fluid that takes the place of air in a lung. A finding changes the lengths of path
and nothing else: what it adds to the soft tissue it takes from the air-filled lung. Whether it can be seen then follows
from physics, from the bones before and behind it, and from the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .patient import CANVAS, UNIT, Frame, Patient, arch
from .physics import softened

__all__ = ["VISIBLE", "Chest", "add_consolidation", "add_effusion", "bones", "build_chest", "texture"]

# Where a ray meets this much air-filled lung, the pixel counts as lung.
LUNG_PATH = 2.5
VISIBLE = 1.0
"""Centimeters of air replaced from which on a pixel of lung counts as part of the finding."""


@dataclass(eq=False)
class Chest:
    """What lies in the way of each ray; all arrays are (size, size).

    Attributes:
        lung: path through air-filled lung in cm; findings take some of it away.
        solid: path through everything else that is not air, in cm, without the bones.
        bone: path through bone in cm.
        lung_mask: healthy, air-filled lung beside the heart and above the domes.
        heart_mask: the heart's outline.
        body: pixels behind at least 5 cm of the patient.
        side: -1 on the left of the picture, 1 on the right.
        dome: v of the diaphragm's upper edge at each pixel's u.
        wall: half the width of the rib cage at each pixel's level.
    """

    lung: np.ndarray
    solid: np.ndarray
    bone: np.ndarray
    lung_mask: np.ndarray
    heart_mask: np.ndarray
    body: np.ndarray
    side: np.ndarray
    dome: np.ndarray
    wall: np.ndarray

    def paths(self) -> dict[str, np.ndarray]:
        """Return the path lengths that :func:`course_utils.xray.physics.transmission` takes."""
        return {"lung": self.lung, "soft": self.solid, "bone": self.bone}


def build_chest(patient: Patient, frame: Frame, rng: np.random.Generator) -> Chest:
    """Return the chest of a patient as a frame sees it; vessels and texture are drawn from ``rng``."""
    u, v = frame.grid
    side = np.sign(u) + (u == 0)
    wall = _wall(patient, v) * (1 + side * patient.asymmetry)
    dome = _dome(patient, u)
    lung, heart = _lungs(patient, u, v, wall, dome)
    tissue = _body(patient, u, v)
    body = tissue > 5
    grain = texture(rng, frame)
    lung_mask = (lung > LUNG_PATH) & (heart <= 0.5)
    drawn = _vessels(patient, frame, rng)
    lung = lung * np.clip(1 - 0.025 * grain, 0.5, 1.2)
    lung = np.minimum(np.maximum(lung - 3.6 * patient.vessels * drawn, 0), 0.85 * tissue)
    gas = _gas(patient, u, v)
    bone = bones(patient, frame, np.where(v > 0.0, wall, 0)) * (tissue > 0.5)
    solid = np.maximum(tissue * (1 + 0.02 * grain) - lung - np.minimum(gas, 0.6 * tissue) - bone, 0)
    return Chest(
        lung=lung, solid=solid, bone=bone, lung_mask=lung_mask, heart_mask=heart > 0.5, body=body,
        side=side, dome=dome, wall=wall,
    )  # fmt: skip


def _wall(patient: Patient, v: np.ndarray) -> np.ndarray:
    """Half the width of the chest's inside: round at the top, widest near the domes."""
    share = np.clip(v / (0.85 * patient.height), 0, 1)
    return patient.chest * (0.37 + 0.63 * (1 - (1 - share) ** 2.6) ** 0.55)


def _dome(patient: Patient, u: np.ndarray) -> np.ndarray:
    """v of the diaphragm: two vaults that fall steeply to the sides."""
    top = patient.height + patient.dome_step * (u > 0)
    a = np.abs(u) / patient.chest
    return (
        top
        + 0.115 * np.clip((a - 0.42) / 0.58, 0, 1.2) ** 2.4
        + 0.03 * np.clip((0.40 - a) / 0.4, 0, 1) ** 1.5
    )


def _lungs(
    patient: Patient, u: np.ndarray, v: np.ndarray, wall: np.ndarray, dome: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paths in cm through the lungs (heart, vessels' roots and domes taken away) and through the heart."""
    height, chest = patient.height, patient.chest
    a = np.abs(u)
    share = np.clip(v / (0.85 * height), 0, 1)
    inner = chest * (0.36 - 0.24 * (1 - (1 - share) ** 3) ** 0.7)
    t = (a - inner) / np.maximum(wall - inner, 1e-3)
    across = np.where(t < 0.3, np.sqrt(np.clip(t / 0.12, 0, 1)), arch(np.clip((t - 0.3) / 0.7, 0, 1)))
    inside = (t > 0) & (t < 1) & (v > 0)
    deep = (
        0.74
        * patient.depth
        * (0.45 + 0.55 * np.clip(v / (0.5 * height), 0, 1))
        * np.clip(v / 0.02, 0, 1) ** 0.5
    )
    lung = np.where(inside, deep * across, 0)

    # The liver and the spleen bulge up into the lungs: below the dome a ray meets less and less lung.
    below = np.maximum(v - dome, 0)
    lung -= patient.depth * np.sqrt(np.clip(below / 0.05, 0, 1)) * 0.85

    heart, bulge = _heart(patient, u, v)
    return np.maximum(lung - heart - bulge, 0), heart


def _heart(patient: Patient, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Path in cm through the heart, and through what bulges above it: aorta, pulmonary arteries, veins."""
    height, u = patient.height, u - 0.8 * patient.turn
    width = 2 * patient.heart * patient.chest  # from the right border to the left one
    cos, sin = math.cos(patient.heart_tilt), math.sin(patient.heart_tilt)
    # An egg whose point, the apex, lies down on the right of the picture; the blunt end is shorter.
    x, y = u - 0.10 * width, v - height + 0.075
    along, aside = (cos * x + sin * y) / width, (cos * y - sin * x) / width
    along = np.where(along > 0, along / 0.60, along / 0.32)
    aside = aside / (0.37 * (1 - 0.22 * np.clip(along, -1, 1)))
    ventricle = np.maximum(1 - along * along - aside * aside, 0)
    atrium = 1 - ((u + 0.03 * width) / (0.24 * width)) ** 2 - ((v - height + 0.045) / (0.46 * width)) ** 2
    # A sum of powers, not the larger of the two: no crease where one outline meets the other.
    both = (ventricle**3 + np.maximum(0.8 * atrium, 0) ** 3) ** (1 / 3)
    heart = 0.62 * patient.depth * both**0.4

    def ball(u0: float, v0: float, ru: float, rv: float, depth: float) -> np.ndarray:
        return depth * np.maximum(1 - ((u - u0) / ru) ** 2 - ((v - v0) / rv) ** 2, 0) ** 0.5

    knob = 0.030 * patient.aorta
    bulge = np.maximum.reduce(
        [
            ball(0.036 + 0.3 * knob, 0.29 * height, knob + 0.014, knob + 0.018, 6.5),
            ball(0.045, 0.50 * height, 0.058, 0.150, 5.5),  # pulmonary trunk
            ball(0.030, 0.70 * height, 0.055, 0.48 * height, 6.0),  # descending aorta
            ball(-0.012, 0.16 * height, 0.062 + 0.03 * patient.fat, 0.50 * height, 9.0),  # great vessels
            ball(-0.035, 0.56 * height, 0.062, 0.220, 6.0),
        ]
    )
    hila = ball(-0.088, 0.52 * height, 0.034, 0.066, 2.6) + ball(0.100, 0.47 * height, 0.032, 0.056, 2.4)
    return heart, bulge + hila


def _body(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Path in cm through everything inside the skin: trunk, shoulders, neck, arms, breasts."""
    a, fat = np.abs(u), patient.fat
    skin = patient.chest + 0.060 + 0.06 * fat - 0.03 * np.clip((0.45 - v) / 0.3, 0, 1)
    deep = patient.depth * (0.70 + 0.30 * np.clip(v / 0.4, 0, 1)) + (2 + 4 * fat) * np.clip(
        (v - 0.45) / 0.3, 0, 1
    )
    trunk = deep * np.sqrt(np.maximum(1 - (a / skin) ** 4, 0)) * np.clip((v + 0.08) / 0.10, 0, 1)
    # From the neck the outline of the shoulders falls to the sides, and turns down into the arms.
    away = np.maximum(a - patient.neck, 0)
    outline = (
        patient.shoulders
        - 0.17
        + 0.17 * np.sqrt(np.clip(away / 0.22, 0, 1))
        + 4.0 * np.maximum(away - 0.30, 0) ** 2
    )
    fade = np.clip((0.46 - v) / 0.36, 0, 1)
    shoulders = (14 + 4 * fat) * np.sqrt(np.clip((v - outline) / 0.16, 0, 1)) * fade * fade * (3 - 2 * fade)
    neck = 13.0 * arch(u / patient.neck) * np.clip((0.1 - v) / 0.1, 0, 1)
    top = patient.shoulders + 0.06
    radius = 0.080 + 0.03 * fat
    middle = skin + radius * (0.55 + 0.3 * patient.arms) + (0.02 + 0.28 * patient.arms) * (v - top - 0.1)
    arms = 2 * radius * UNIT * arch((a - middle) / radius) * np.clip((v - top) / 0.12, 0, 1)
    total = np.sqrt(np.sqrt(trunk**4 + shoulders**4 + arms**4)) + 0.0
    total = np.maximum(total, neck)
    if patient.breast:
        r = 0.115 + 0.05 * patient.breast
        low = v - 0.80 * patient.height - 0.02
        ball = arch(np.hypot((a - 0.55 * patient.chest - 0.02) / (1.15 * r), low / r))
        total = total + 3.6 * patient.breast * ball * np.clip(low / r + 1, 0, 1) * (trunk > 0)
    return total


def _gas(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Path in cm through the windpipe and its branches, and through the stomach's bubble."""
    height = patient.height
    run = v - 0.42 * height
    u_pipe = u - 0.25 * patient.turn - 0.004
    pipe = 1.7 * arch(u_pipe / 0.022) * np.clip(-run / 0.02, 0, 1)
    branch = np.abs(u_pipe) - np.where(u_pipe < 0, 0.9, 1.2) * run
    pipe = np.maximum(pipe, 1.1 * arch(branch / 0.022) * ((run > 0) & (run < 0.07)))
    if not patient.stomach:
        return pipe
    r = 0.045 + 0.035 * patient.stomach
    top = height + patient.dome_step + 0.022
    x, y = (u - 0.48 * patient.chest) / (1.3 * r), (v - top - 0.8 * r) / (0.8 * r)
    # Gas rises to the top of the stomach; below, what was eaten takes its place.
    full = np.clip(1 - 1.4 * (y + 0.1), 0, 1)
    return pipe + 5.5 * patient.stomach * full * arch(np.hypot(x, y)) ** 0.7


def texture(rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """Return smooth noise (size, size) of standard deviation about 1, the same at every size."""
    total = np.zeros((frame.size, frame.size), np.float32)
    for cells, weight in ((6, 0.5), (14, 0.5), (30, 0.5), (64, 0.6)):
        field = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
        total += weight * np.asarray(field.resize((frame.size, frame.size), Image.Resampling.BICUBIC))
    return total


def _vessels(patient: Patient, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Vessels that leave the hila, fork and taper: thickness in cm, (size, size)."""
    canvas = Image.new("L", (CANVAS, CANVAS), 0)
    draw = ImageDraw.Draw(canvas)
    side = np.repeat([-1.0, 1.0], 10)
    start = np.stack([side * 0.075 + 0.8 * patient.turn, np.where(side < 0, 0.52, 0.47) * patient.height], -1)
    # The way a vessel goes: 0 is outward, positive is down.
    way = np.tile(np.linspace(-1.3, 1.45, 10), 2) + rng.uniform(-0.14, 0.14, 20)
    start[:, 1] += 0.035 * way
    width, length = 0.0125 + 0.003 * rng.uniform(-1, 1, 20), 0.085 + 0.02 * rng.uniform(-1, 1, 20)
    branches = []
    for _ in range(4):
        turns = way[:, None] + np.cumsum(rng.uniform(-0.2, 0.2, (len(way), 3)), 1)
        steps = np.stack([side[:, None] * np.cos(turns), np.sin(turns)], -1) * (length / 3)[:, None, None]
        points = start[:, None] + np.concatenate([np.zeros((len(way), 1, 2)), np.cumsum(steps, 1)], 1)
        branches.append((frame.on_canvas(points).reshape(len(way), -1), width))
        fork = rng.uniform(0.2, 0.55, len(way))
        side, start = np.tile(side, 2), np.tile(points[:, -1], (2, 1))
        way = np.concatenate([turns[:, -1] + fork, turns[:, -1] - fork])
        width, length = np.tile(0.64 * width, 2), np.tile(0.85 * length, 2)
    for places, widths in reversed(branches):
        pixels = np.maximum(np.round(widths * CANVAS * frame.zoom), 1).astype(int).tolist()
        depths = np.minimum(widths / 0.02 * 255, 255).astype(int).tolist()
        for place, pixel, depth in zip(places.tolist(), pixels, depths, strict=True):
            draw.line(place, fill=depth, width=pixel)
    return 0.02 * UNIT * softened(frame.from_canvas(canvas), 0.002)


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
