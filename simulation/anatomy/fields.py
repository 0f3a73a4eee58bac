"""Smooth random fields in space, the raw material of folds, vessels and texture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
BLOCK = 32768  # points a block: the phases of one block of 64 waves stay in the cache


class RandomField:
    """A stationary Gaussian field of unit variance: plane waves of random direction and phase within one
    octave band.

    ``f(p) = sqrt(2 / K) sum_k cos(2 pi d_k . p / l_k + a_k)`` with directions ``d_k`` uniform on the sphere
    and wavelengths ``l_k`` within ``wavelength_mm * (1 -+ spread)``. It is defined everywhere in space, so
    any slice cuts the same object.
    """

    def __init__(
        self, rng: np.random.Generator, wavelength_mm: float, spread: float = 0.3, waves: int = 48
    ) -> None:
        direction_k3 = rng.normal(size=(waves, 3))
        direction_k3 /= np.linalg.norm(direction_k3, axis=1, keepdims=True)
        wavelength_k = wavelength_mm * rng.uniform(1 - spread, 1 + spread, waves)
        self.wave_3k = (2 * math.pi * direction_k3.T / wavelength_k).astype(np.float32)
        self.phase_k = rng.uniform(0, 2 * math.pi, waves).astype(np.float32)
        self.amplitude = np.float32(math.sqrt(2 / waves))

    def value(self, points_n3: Array) -> Array:
        """Return the field at points in mm, shape (n,)."""
        out_n = np.empty(len(points_n3), np.float32)
        for start in range(0, len(points_n3), BLOCK):
            block = slice(start, start + BLOCK)
            out_n[block] = np.cos(points_n3[block] @ self.wave_3k + self.phase_k).sum(1)
        return self.amplitude * out_n

    def value_and_gradient(self, points_n3: Array) -> tuple[Array, Array]:
        """Return the field (n,) and its gradient (n, 3) per mm."""
        out_n, gradient_n3 = np.empty(len(points_n3), np.float32), np.empty((len(points_n3), 3), np.float32)
        for start in range(0, len(points_n3), BLOCK):
            block = slice(start, start + BLOCK)
            angle_nk = points_n3[block] @ self.wave_3k + self.phase_k
            out_n[block] = np.cos(angle_nk).sum(1)
            gradient_n3[block] = -np.sin(angle_nk) @ self.wave_3k.T
        return self.amplitude * out_n, self.amplitude * gradient_n3
