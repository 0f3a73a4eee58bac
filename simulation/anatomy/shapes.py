"""Signed distances of simple solids, in mm, negative inside, and their smooth unions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def ellipsoid(
    x: Array, a: Array, s: Array, centre: Sequence[float], radii: Sequence[float], power: float = 2.0
) -> Array:
    """Return the first-order distance ``(|q|_p - 1) / |grad |q|_p|`` to a (super)ellipsoid, ``q = (point -
    centre) / radii``.
    """
    q = [np.abs(v - c) / r for v, c, r in zip((x, a, s), centre, radii, strict=True)]
    norm = np.maximum(q[0] ** power + q[1] ** power + q[2] ** power, 1e-12) ** (1 / power)
    steep = sum(((v / norm) ** (power - 1) / r) ** 2 for v, r in zip(q, radii, strict=True))
    return ((norm - 1) / np.sqrt(np.maximum(steep, 1e-12))).astype(np.float32)


def tube(
    x: Array, a: Array, s: Array, nodes: Sequence[Sequence[float]], stretch: Sequence[float] = (1, 1, 1)
) -> Array:
    """Return the distance to a chain of round cones through ``nodes`` (x, a, s, radius), seen in stretched
    coordinates.
    """
    point = np.stack([v * k for v, k in zip((x, a, s), stretch, strict=True)], -1)
    node = np.asarray(nodes, np.float32)
    node[:, :3] *= np.asarray(stretch, np.float32)
    distance = np.full(x.shape, 1e6, np.float32)
    for first, second in pairwise(node):
        axis = second[:3] - first[:3]
        along = np.clip((point - first[:3]) @ axis / max(float(axis @ axis), 1e-6), 0, 1)
        away = np.linalg.norm(point - first[:3] - along[:, None] * axis, axis=-1)
        distance = np.minimum(distance, away - (first[3] + along * (second[3] - first[3])))
    return distance


def smooth_min(first: Array, second: Array, blend: float) -> Array:
    """Return the union of two solids with edges rounded over ``blend`` mm (polynomial smooth minimum)."""
    h = np.clip(0.5 + 0.5 * (second - first) / blend, 0, 1)
    return second + (first - second) * h - blend * h * (1 - h)


def smooth_max(first: Array, second: Array, blend: float) -> Array:
    """Return the intersection of two solids with edges rounded over ``blend`` mm."""
    return -smooth_min(-first, -second, blend)


def smooth_step(value: Array, low: float, high: float) -> Array:
    """Return 0 below ``low``, 1 above ``high`` and a cubic in between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
