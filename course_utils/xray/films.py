"""Drawn chest radiographs: as many as one likes, each with the exact truth about itself.

No patient was X-rayed for them. A chest is put together from geometry, X-rays are sent through it, and a
detector counts them; so it is known to the pixel where lung, heart and finding lie, and every picture exists
twice, with and without the word that a technician may stamp on it.

>>> films = radiographs(1600, size=96, seed=0)
>>> images, labels, has_marker = films.biased()
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from course_utils.arguments import as_whole

from .anatomy import add_consolidation, add_effusion, build_chest
from .markers import lettering, print_over, stamp
from .patient import Frame, draw_patient
from .physics import Exposure, detect, display, transmission

__all__ = ["Radiographs", "corner", "radiographs", "stamp", "stamp_strip"]

SMALLEST, LARGEST = 64, 224


@dataclass(frozen=True, eq=False, repr=False)
class Radiographs:
    """N drawn radiographs, each with a twin that carries the stamp "PORTABLE".

    Attributes:
        clean: (N, 1, H, W) in [0, 1], without the stamp.
        stamped: (N, 1, H, W), the same pictures with it; nothing else differs.
        has_finding: (N,) bool: fluid in a lung. In each pair of pictures (0 and 1, 2 and 3, ...) one has it.
        masks: (N, H, W) bool each. "lung": air-filled lung as it would be without the finding; "heart"; "finding",
            always inside the lung, empty for normals; "marker": the pixels that the stamp changes.
        kinds: (N) names: "normal", "consolidation" or "effusion".
    """

    clean: Tensor
    stamped: Tensor
    has_finding: Tensor
    masks: dict[str, Tensor]
    kinds: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.clean)

    def __repr__(self) -> str:
        n, _, h, w = self.clean.shape
        return f"Radiographs({n} of {h} x {w}, {int(self.has_finding.sum())} with a finding)"

    @property
    def marker_box(self) -> Tensor:
        """(N, H, W) bool: the smallest box around each stamp."""
        rows, columns = self.masks["marker"].any(2), self.masks["marker"].any(1)
        return _span(rows)[:, :, None] & _span(columns)[:, None, :]

    def biased(
        self, p_marker_if_finding: float = 0.95, p_marker_if_normal: float = 0.05, seed: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return a data set in which the stamp says more or less about the finding.

        Args:
            p_marker_if_finding: share of the pictures with a finding that carry the stamp.
            p_marker_if_normal: share of the normal ones that carry it. The same as the other: no bias.
            seed: which ones carry it; picture i draws the same number whatever N.

        Returns:
            images (N, 1, H, W), labels (N,) with 1 for a finding, has_marker (N,) bool.

        Raises:
            ValueError: a probability outside [0, 1].
        """
        for name, p in (
            ("p_marker_if_finding", p_marker_if_finding),
            ("p_marker_if_normal", p_marker_if_normal),
        ):
            if not 0 <= p <= 1:
                raise ValueError(f"{name} is a probability between 0 and 1, got {p}.")
        draws = np.random.default_rng([_whole("seed", seed, 0), 4711]).uniform(size=len(self))
        share = torch.where(self.has_finding, float(p_marker_if_finding), float(p_marker_if_normal))
        has_marker = torch.from_numpy(draws) < share
        images = torch.where(has_marker[:, None, None, None], self.stamped, self.clean)
        return images, self.has_finding.long(), has_marker


def radiographs(n: int, size: int = 96, seed: int = 0) -> Radiographs:
    """Draw ``n`` chest radiographs of ``size`` x ``size`` pixels, half of them with a finding.

    Picture i of a seed is the same whatever n; another size shows the same patient, finding and stamp, with
    other noise; another seed gives other patients.

    Raises:
        TypeError: n, size or seed is not a whole number.
        ValueError: n is less than 1, size outside 64..224, seed negative.
    """
    n, size, seed = _whole("n", n, 1), _whole("size", size, SMALLEST), _whole("seed", seed, 0)
    if size > LARGEST:
        raise ValueError(
            f"size must be at most {LARGEST}, got {size}: finer detail than that is not drawn. Enlarge the pictures."
        )
    clean, stamped = np.empty((2, n, 1, size, size), np.float32)
    masks = {name: np.empty((n, size, size), bool) for name in ("lung", "heart", "finding", "marker")}
    kinds = []
    for i in range(n):
        clean[i, 0], stamped[i, 0], truth, kind = _radiograph(seed, i, size)
        kinds.append(kind)
        for name, mask in truth.items():
            masks[name][i] = mask
    return Radiographs(
        clean=torch.from_numpy(clean),
        stamped=torch.from_numpy(stamped),
        has_finding=torch.tensor([kind != "normal" for kind in kinds]),
        masks={name: torch.from_numpy(mask) for name, mask in masks.items()},
        kinds=kinds,
    )


def corner(size: int) -> Tensor:
    """Return the upper left corner as a mask (size, size): half the width, five twelfths of the height.

    The stamp lies in it, with room for a network's receptive field, which puts the peak of a map beside the
    text rather than on it. It is 0.21 of the area, which is what a map without any preference would have there.
    """
    size = _whole("size", size, 1)
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[: round(size * 5 / 12), : round(size / 2)] = True
    return mask


def stamp_strip(size: int) -> Tensor:
    """Return the strip at the upper left that holds every stamp, (size, size): half the width, a sixth of the height.

    It covers shoulder and neck and hardly any lung, so that it can be blacked out.
    """
    size = _whole("size", size, 1)
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[: -(-size // 6), : -(-size // 2)] = True
    return mask


def _whole(name: str, value: int, least: int) -> int:
    number = as_whole(value, f"{name} must be a whole number, got {value!r}.")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}.")
    return number


def _span(hit: Tensor) -> Tensor:
    """(N, L) bool: True from the first True of each row to the last."""
    return hit.long().cumsum(1).bool() & hit.flip(1).long().cumsum(1).flip(1).bool()


def _radiograph(seed: int, i: int, size: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], str]:
    """Return one picture, its stamped twin, its masks and the kind of its finding."""
    # One number decides which of the pictures 2j and 2j + 1 has the finding: exactly half have it.
    coin = int(np.random.SeedSequence([seed, i // 2, 1]).generate_state(1)[0]) >> 7
    rng = np.random.default_rng([seed, i, 0])
    patient = draw_patient(rng)
    draws, shifts = rng.uniform(size=16).tolist(), rng.normal(size=4).tolist()
    frame = Frame(size, 0.03 * shifts[0], 1.10 + 0.06 * shifts[1], 0.018 * shifts[2], 0.02 * shifts[3])
    chest = build_chest(patient, frame, rng)
    kind, finding = "normal", np.zeros((size, size), bool)
    if (coin + i) % 2:
        kind = "effusion" if draws[0] < 0.15 else "consolidation"
        add = add_effusion if kind == "effusion" else add_consolidation
        finding = add(chest, patient, frame, rng)
    exposure = _exposure(draws)
    primary = transmission({**chest.paths(), "metal": 0.2 * _lead_letter(draws, size)})
    image = display(detect(primary, exposure, rng), chest.body, exposure)
    image = image * _collimated(draws, size)
    place = (0.03 + 0.05 * draws[14], 0.02 + 0.05 * draws[15])
    twin = print_over(image, *lettering("PORTABLE", (size, size), place)).astype(np.float32)
    masks = {"lung": chest.lung_mask, "heart": chest.heart_mask, "finding": finding, "marker": twin != image}
    return image, twin, masks, kind


def _exposure(draws: list[float]) -> Exposure:
    return Exposure(
        photons=10 ** (4.8 + 0.9 * draws[1]),
        scatter=0.1 + 0.4 * draws[2],
        equalize=0.6 * draws[3],
        low=0.5 + 2 * draws[4],
        high=94 + 6 * draws[5],
        latitude=0.05 + 0.4 * draws[6],
        gamma=0.8 + 0.4 * draws[4],
        black=0.10 * draws[7] ** 2,
        white=0.7 + 0.3 * math.sqrt(draws[7]),
    )


def _lead_letter(draws: list[float], size: int) -> np.ndarray:
    """Most pictures carry an L or R in lead, some in a ring, some with initials: with and without a finding alike."""
    if draws[8] > 0.75:
        return np.zeros((size, size), np.float32)
    letter, x = ("L", 0.90 + 0.09 * draws[9]) if draws[8] < 0.5 else ("R", 0.02 + 0.08 * draws[9])
    place = (x, 0.14 + 0.22 * draws[10])
    letters = lettering(letter, (size, size), place, 0.042, circle=draws[11] < 0.3)[0]
    if draws[11] > 0.6:  # below the letter, who took the picture
        initials = "".join(chr(ord("A") + int(draws[k] * 1e6) % 26) for k in (9, 10))
        below = (place[0], place[1] + 0.055)
        letters = np.maximum(letters, lettering(initials, (size, size), below, 0.03)[0])
    return letters


def _collimated(draws: list[float], size: int) -> np.ndarray | float:
    """Some pictures have a black border where no X-rays fell."""
    if draws[12] > 0.35:
        return 1.0
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    side, width = int(draws[12] / 0.35 * 4), 0.015 + 0.04 * draws[13]
    edge = line if side % 2 else 1 - line
    shade = np.clip((edge - width) * 96, 0, 1)
    return shade[:, None] if side < 2 else shade[None, :]
