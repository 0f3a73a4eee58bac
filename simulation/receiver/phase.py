"""Smooth background phase, as B0 inhomogeneity, eddy currents and the transmit field leave it in an image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def smooth_field(shape_yx: tuple[int, int], rng: np.random.Generator, order: int = 4) -> NDArray[np.float32]:
    """Return a smooth random field of about unit standard deviation: random cosines of up to ``order / 2`` cycles a side."""
    y = np.linspace(0, math.pi, shape_yx[0])
    x = np.linspace(0, math.pi, shape_yx[1])
    weights = rng.normal(size=(order, order)) / (1 + np.add.outer(np.arange(order), np.arange(order))) ** 1.5
    weights[0, 0] = 0
    field = np.cos(np.outer(y, np.arange(order))) @ weights @ np.cos(np.outer(x, np.arange(order))).T
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def smooth_phase(
    shape_yx: tuple[int, int], rng: np.random.Generator, spread_rad: float = 0.8
) -> NDArray[np.float32]:
    """Return a phase map in radians: constant offset, linear ramp, and a smooth field of the given standard deviation."""
    y = np.linspace(-1, 1, shape_yx[0])[:, None]
    x = np.linspace(-1, 1, shape_yx[1])[None]
    offset, slope_y, slope_x = (
        rng.uniform(-math.pi, math.pi),
        rng.normal(0, spread_rad),
        rng.normal(0, spread_rad),
    )
    return (offset + slope_y * y + slope_x * x + spread_rad * smooth_field(shape_yx, rng)).astype(np.float32)
