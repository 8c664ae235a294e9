"""The things that the drawn scenes show: ten outlines out of polygons, six colors, five backgrounds.

A shape is a list of polygons with a tone each, drawn one over the other in a square from -1 to 1 (x to the
right, y down). Its tones are made from one color, so that every shape comes in every color.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["BACKGROUNDS", "COLORS", "SHAPES", "Pose", "draw_background", "draw_shape"]

Color = tuple[float, float, float]

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (196, 30, 34),
    "yellow": (247, 212, 40),
    "green": (70, 168, 88),
    "blue": (38, 84, 200),
    "pink": (246, 150, 200),
    "white": (244, 244, 240),
}
"""Colors and their names, chosen so that they also differ for the color-blind."""

_INK, _PAPER = (38, 36, 42), (236, 232, 220)
_FINE = 4  # an object is drawn so many times larger, then averaged: smooth edges


# ---------------------------------------------------------------- parts of shapes
def _disc(x: float, y: float, rx: float, ry: float | None = None, turn: tuple = (0, 2)) -> list:
    """Points of an ellipse, or of the part between two angles in units of pi; 1 to 2 is the upper half."""
    angle = np.linspace(turn[0] * np.pi, turn[1] * np.pi, 25)
    return [(x + rx * np.cos(a), y + (rx if ry is None else ry) * np.sin(a)) for a in angle]


def _bar(x0: float, y0: float, x1: float, y1: float) -> list:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _star() -> list:
    angle = np.pi * (np.arange(10) / 5 - 0.5)
    radius = np.where(np.arange(10) % 2, 0.42, 1.0)
    return list(zip(radius * np.cos(angle), radius * np.sin(angle), strict=True))


def _canopy() -> list:
    """The umbrella's cloth: half an ellipse with four arches along its lower edge."""
    arches = [_disc(x, 0, 0.24, 0.16, (2, 1)) for x in (0.72, 0.24, -0.24, -0.72)]
    return _disc(0, 0, 0.96, 0.8, (1, 2)) + [point for arch in arches for point in arch]


def _hook() -> list:
    return _disc(0.17, 0.7, 0.23, 0.26, (1, 0)) + _disc(0.17, 0.7, 0.1, 0.13, (0, 1))


_PARTS: dict[str, list[tuple[str, list]]] = {
    "boat": [
        ("ink", _bar(-0.05, -0.95, 0.05, 0.4)),
        ("body", [(0.12, -0.92), (0.12, 0.26), (0.85, 0.26)]),
        ("light", [(-0.12, -0.65), (-0.12, 0.26), (-0.66, 0.26)]),
        ("body", [(-0.95, 0.38), (0.98, 0.38), (0.6, 0.85), (-0.62, 0.85)]),
        ("dark", [(-0.95, 0.38), (0.98, 0.38), (0.88, 0.5), (-0.86, 0.5)]),
    ],
    "car": [
        ("body", [(-0.62, 0.02), (-0.36, -0.5), (0.34, -0.5), (0.68, 0.02)]),
        ("body", [(-1, 0.08), (-0.9, -0.02), (0.8, -0.02), (1, 0.14), (1, 0.45), (-1, 0.45)]),
        ("paper", [(-0.46, -0.02), (-0.28, -0.38), (-0.06, -0.38), (-0.06, -0.02)]),
        ("paper", [(0.06, -0.02), (0.06, -0.38), (0.27, -0.38), (0.5, -0.02)]),
        ("dark", _bar(-1, 0.3, 1, 0.45)),
        *[("ink", _disc(x, 0.45, 0.25)) for x in (-0.52, 0.54)],
        *[("light", _disc(x, 0.45, 0.11)) for x in (-0.52, 0.54)],
    ],
    "cup": [
        ("body", _disc(0.5, 0.02, 0.42, 0.4)),
        ("hole", _disc(0.5, 0.02, 0.24, 0.22)),
        ("light", _disc(-0.08, 0.72, 0.86, 0.16)),
        ("body", [(-0.7, -0.5), (0.54, -0.5), (0.34, 0.72), (-0.5, 0.72)]),
        ("dark", [(0.24, -0.5), (0.54, -0.5), (0.34, 0.72), (0.1, 0.72)]),
        ("light", _disc(-0.08, -0.5, 0.62, 0.2)),
        ("ink", _disc(-0.08, -0.48, 0.5, 0.13)),
    ],
    "fish": [
        ("dark", [(0.36, 0), (1, -0.5), (0.84, 0), (1, 0.5)]),
        ("dark", [(-0.3, -0.3), (0.08, -0.72), (0.34, -0.22)]),
        ("dark", [(-0.1, 0.3), (0.16, 0.62), (0.26, 0.22)]),
        ("body", _disc(-0.2, 0, 0.74, 0.44)),
        ("light", _disc(-0.2, 0.08, 0.62, 0.32, (0.08, 0.92))),
        ("dark", [(-0.42, -0.3), (-0.34, -0.32), (-0.24, 0), (-0.34, 0.32), (-0.42, 0.3), (-0.32, 0)]),
        ("paper", _disc(-0.62, -0.1, 0.12)),
        ("ink", _disc(-0.63, -0.1, 0.06)),
    ],
    "house": [
        ("dark", _bar(0.36, -0.85, 0.6, -0.2)),
        ("light", _bar(-0.74, -0.1, 0.74, 0.92)),
        ("body", [(-1, 0), (0, -0.92), (1, 0)]),
        ("ink", _bar(-0.16, 0.36, 0.18, 0.92)),
        ("paper", _bar(-0.56, 0.2, -0.3, 0.48)),
        ("paper", _bar(0.34, 0.2, 0.6, 0.48)),
    ],
    "hydrant": [
        ("body", _bar(-0.6, -0.2, 0.6, 0.16)),
        *[("dark", _bar(x, -0.28, x + 0.16, 0.24)) for x in (-0.72, 0.56)],
        ("body", _bar(-0.36, -0.5, 0.36, 0.84)),
        ("dark", _bar(0.16, -0.36, 0.36, 0.84)),
        ("body", _disc(0, -0.46, 0.38, 0.4, (1, 2))),
        ("dark", _bar(-0.12, -1, 0.12, -0.82)),
        ("dark", _bar(-0.48, -0.5, 0.48, -0.36)),
        ("light", _disc(0, 0.02, 0.24)),
        ("ink", _disc(0, 0.02, 0.12)),
        ("dark", _bar(-0.52, 0.8, 0.52, 1)),
    ],
    "key": [
        ("body", _disc(-0.55, 0, 0.45)),
        ("hole", _disc(-0.58, 0, 0.22)),
        ("body", _bar(-0.16, -0.12, 1, 0.12)),
        ("dark", _bar(-0.16, 0.03, 1, 0.12)),
        ("body", _bar(0.5, 0.1, 0.66, 0.44)),
        ("body", _bar(0.8, 0.1, 0.98, 0.36)),
    ],
    "mushroom": [
        ("paper", [(-0.22, -0.1), (0.22, -0.1), (0.36, 0.92), (-0.36, 0.92)]),
        ("ink", _disc(0, 0, 0.6, 0.14)),
        ("body", [*_disc(0, 0, 0.95, 0.88, (1, 2)), (0.6, 0.1), (-0.6, 0.1)]),
        *[
            ("light", _disc(x, y, r))
            for x, y, r in ((-0.45, -0.25, 0.17), (0.1, -0.55, 0.19), (0.52, -0.16, 0.14))
        ],
    ],
    "star": [
        ("body", _star()),
        *[("light", [(0, 0), *_star()[i : i + 2]]) for i in range(0, 10, 2)],
    ],
    "umbrella": [
        ("ink", _bar(-0.06, -0.9, 0.06, 0.72)),
        ("ink", _hook()),
        ("body", _canopy()),
        ("dark", [*_disc(0, 0, 0.96, 0.8, (1.5, 2)), *_disc(0.72, 0, 0.24, 0.16, (2, 1)), (0.3, -0.5)]),
        ("light", [*_disc(0, 0, 0.96, 0.8, (1.5, 1)), *_disc(-0.72, 0, 0.24, 0.16, (1, 2)), (-0.3, -0.5)]),
    ],
}

SHAPES: tuple[str, ...] = tuple(_PARTS)
"""Names of the shapes, in alphabetical order: the classes of the scenes."""


@lru_cache(maxsize=16)
def _outline(name: str) -> tuple[list[str], np.ndarray, list[int]]:
    """Return a shape's tones, all its points (n, 2), and where the polygons begin in them."""
    tones, polygons = zip(*_PARTS[name], strict=True)
    return (
        list(tones),
        np.array([p for polygon in polygons for p in polygon]),
        [0, *np.cumsum([len(polygon) for polygon in polygons]).tolist()],
    )


@dataclass(frozen=True)
class Pose:
    """How a shape is drawn: ``side`` is its longer side in pixels, ``turn`` in radians, ``stretch`` width / height."""

    side: float
    turn: float
    stretch: float
    flipped: bool


def draw_shape(name: str, color: Color, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Draw one shape: return its colors (h, w, 3), 0..255, and its opacity (h, w), 0..1, just large enough."""
    tones, points, starts = _outline(name)
    points = points * [(-1 if pose.flipped else 1) * pose.stretch, 1]
    c, s = np.cos(pose.turn), np.sin(pose.turn)
    points = points @ np.array([[c, s], [-s, c]])
    low, high = points.min(axis=0), points.max(axis=0)
    # A pixel of room on each side, so that no edge is cut.
    points = (points - low) * (pose.side * _FINE / (high - low).max()) + _FINE + 1
    width, height = (int(np.ceil(end / _FINE)) + 1 for end in points.max(axis=0))
    tile = Image.new("RGBA", (width * _FINE, height * _FINE))
    pen = ImageDraw.Draw(tile)
    fills = _tones(color)
    flat = (points - 0.5).ravel().tolist()  # Pillow counts from the middle of the first pixel
    for tone, start, end in zip(tones, starts, starts[1:], strict=False):
        pen.polygon(flat[2 * start : 2 * end], fill=fills[tone])
    pixels = np.asarray(tile.reduce(_FINE), dtype=np.float32)
    return pixels[..., :3], pixels[..., 3] / 255


def _tones(color: Color) -> dict[str, tuple[int, int, int, int]]:
    base = np.array(color)
    mixed = {
        "body": base,
        "dark": 0.62 * base,
        "light": base + 0.45 * (255 - base),
        "ink": _INK,
        "paper": _PAPER,
    }
    if min(color) > 200:  # nothing is lighter than white: its light parts are gray instead
        mixed["light"], mixed["dark"] = 0.84 * base, 0.7 * base
    fills = {tone: (*(int(value) for value in values), 255) for tone, values in mixed.items()}
    return {**fills, "hole": (0, 0, 0, 0)}


# ---------------------------------------------------------------- backgrounds
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "sand": (196, 172, 128),
    "grass": (112, 134, 84),
    "water": (104, 142, 158),
    "wall": (156, 112, 96),
    "dusk": (92, 88, 112),
}
"""Backgrounds and their mean colors."""


def draw_background(kind: str, size: int, clutter: int, draw: np.random.Generator) -> np.ndarray:
    """Draw a textured background with ``clutter`` scraps on it; return (size, size, 3), 0..255.

    The scraps are bars, triangles, discs and arcs, in the objects' colors but paler: neither a vivid color
    nor an edge tells where the object is.
    """
    base = np.array(BACKGROUNDS[kind], dtype=np.float32) * draw.uniform(0.8, 1.15)
    image = Image.fromarray(_texture(kind, size, base, draw))
    fine = 2
    image = image.resize((size * fine, size * fine), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    palette = list(COLORS.values())
    for _ in range(clutter):
        mix = draw.uniform(0.35, 0.8)
        color = tuple(int(v) for v in mix * np.array(palette[draw.integers(len(palette))]) + (1 - mix) * base)
        _scrap(pen, draw, color, size * fine)
    return np.asarray(image.reduce(fine), dtype=np.float32)


def _texture(kind: str, size: int, base: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A base color, brighter and darker over wide regions, with the grain of its kind."""
    grain_shape = {
        "grass": (size, size // 2),
        "water": (size // 2, size // 8),
        "dusk": (size // 8, size // 8),
    }
    light = _noise(draw, (5, 5), size, 20)
    light += _noise(draw, grain_shape.get(kind, (size, size)), size, {"dusk": 12}.get(kind, 9))
    if kind == "wall":
        rows = np.arange(size) * 48 // size
        columns = (np.arange(size)[None, :] * 48 // size + 6 * (rows[:, None] // 6 % 2)) % 12
        light -= 26 * ((rows[:, None] % 6 == 0) | (columns == 0))
    return np.clip(base + light[..., None], 0, 255).astype(np.uint8)


def _noise(draw: np.random.Generator, shape: tuple[int, int], size: int, strength: float) -> np.ndarray:
    values = draw.standard_normal(shape, dtype=np.float32) * np.float32(strength)
    if shape == (size, size):
        return values
    return np.array(Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC))


def _scrap(pen: ImageDraw.ImageDraw, draw: np.random.Generator, color: tuple, size: int) -> None:
    x, y, length, width, turn = draw.random(5).tolist()
    x, y, length = x * size, y * size, (0.04 + 0.14 * length) * size
    width = (0.01 + 0.03 * width) * size
    kind = draw.integers(4)
    if kind == 0:  # bar
        dx, dy = length * np.cos(2 * np.pi * turn), length * np.sin(2 * np.pi * turn)
        pen.line((x, y, x + dx, y + dy), fill=color, width=max(1, round(width)))
    elif kind == 1:  # triangle
        angles = 2 * np.pi * (turn + np.array([0, 0.3, 0.62]))
        corners = np.stack([x + length * 0.6 * np.cos(angles), y + length * 0.6 * np.sin(angles)], axis=1)
        pen.polygon(corners.ravel().tolist(), fill=color)
    elif kind == 2:  # disc
        radius = length * 0.4
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    else:  # arc
        radius = length * 0.7
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.arc(box, 360 * turn, 360 * turn + 150, fill=color, width=max(1, round(width)))
