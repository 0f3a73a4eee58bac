"""Sensitivities of receive arrays: loops around the object, each seen as a magnetic dipole."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def dipole_sensitivity(
    position_3: NDArray[np.float64],
    normal_3: NDArray[np.float64],
    radius: float,
    points_3n: NDArray[np.float64],
) -> NDArray[np.complex64]:
    """Return the receive sensitivity ``B_x - i B_y`` of a small loop at ``position_3`` with the given normal.

    Reciprocity (Hoult and Richards 1976, DOI 10.1016/0022-2364(76)90233-X): the sensitivity is the transverse field of unit
    current in the loop, here that of a magnetic dipole ``(3 (m.r) r / d^2 - m) / d^3`` with ``d^2 = |r|^2 + radius^2``, which is
    finite near the loop. B0 is along z. Positions in units of the field of view.
    """
    r_3n = points_3n - position_3.reshape(3, *([1] * (points_3n.ndim - 1)))
    square = (r_3n**2).sum(0) + radius**2
    along = np.tensordot(normal_3, r_3n, axes=1)
    field_3n = (3 * along / square * r_3n - normal_3.reshape(3, *([1] * (points_3n.ndim - 1)))) / square**1.5
    return (field_3n[0] - 1j * field_3n[1]).astype(np.complex64)


def head_array(
    points_3n: NDArray[np.float64],
    coils: int,
    rng: np.random.Generator,
    distance: float = 0.65,
    radius: float = 0.25,
    rings: int | None = None,
) -> NDArray[np.complex64]:
    """Return the sensitivities ``(coils, ...)`` of an array of loops around the z axis, facing it.

    Args:
        points_3n: coordinates (x, y, z) in units of the field of view, shape (3, ...), origin in the isocentre.
        coils: number of loops, on one ring up to 8, on two or more above, or on ``rings``.
        distance: of the loops from the axis. radius: of a loop (same units). rng: jitter of place, tilt and gain.
    """
    if rings is None:
        rings = 1 if coils <= 8 else 2 if coils <= 20 else 3
    turn = rng.uniform(0, 2 * math.pi)
    maps = []
    for coil in range(coils):
        ring = coil % rings
        angle = turn + 2 * math.pi * (coil + 0.5 * ring) / coils + rng.normal(0, 0.05)
        height = (ring - (rings - 1) / 2) * 0.35 + rng.normal(0, 0.04)
        away = distance * (1 + rng.normal(0, 0.06))
        position_3 = np.array([away * math.cos(angle), away * math.sin(angle), height])
        normal_3 = -position_3 / np.linalg.norm(position_3) + rng.normal(0, 0.1, 3)
        normal_3 /= np.linalg.norm(normal_3)
        gain = (1 + rng.normal(0, 0.1)) * np.exp(1j * rng.uniform(0, 2 * math.pi))
        maps.append(
            gain * dipole_sensitivity(position_3, normal_3, radius * (1 + rng.normal(0, 0.1)), points_3n)
        )
    return np.stack(maps).astype(np.complex64)


def unit_norm(maps: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Split sensitivities (coil first) into maps of unit norm over the coils and the root-sum-of-squares they shade with."""
    rss = np.sqrt((np.abs(maps) ** 2).sum(0)).astype(np.float32)
    return (maps / np.maximum(rss, 1e-12)).astype(np.complex64), rss
