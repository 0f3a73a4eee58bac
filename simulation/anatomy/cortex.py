"""Folded cortex: sulci are sheets that hang from the surface of a hemisphere into the white matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.fields import RandomField
from smug_recon.simulation.anatomy.shapes import smooth_min

Array = NDArray[np.floating]
SKELETON_MM = (
    27.0,
    -52.0,
    22.0,
    8.0,
)  # |x|, posterior end, anterior end, height of the line that the folds turn around
REFERENCE_MM = 45.0  # distance from that line at which the folds have their nominal wavelength


class Folds:
    """Sulci as the zero sets of random fields that are constant (up to a wriggle) along lines running
    inwards.

    Near its zero set a field ``f`` has the distance ``2 |f| / (g + sqrt(g^2 + 2 c |f|))``, ``g = |grad f|``,
    ``c`` the typical curvature. Every sheet ends at a random depth, so that deep primary and shallow
    secondary sulci alternate.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.wriggle = [RandomField(rng, 32, waves=24) for _ in range(3)]
        self.primary = RandomField(rng, 29, spread=0.25, waves=56)
        self.secondary = RandomField(rng, 21, spread=0.25, waves=56)
        self.depth = RandomField(rng, 38, waves=32)
        self.width = RandomField(rng, 20, waves=32)

    def _outward(self, points_n3: Array) -> tuple[Array, Array, Array]:
        """Return the unit vector from the skeleton, the distance from it, and the point on the reference
        surface.
        """
        side_x, back, front, height = SKELETON_MM
        foot_n3 = np.stack(
            [
                np.where(points_n3[:, 0] < 0, -side_x, side_x),
                np.clip(points_n3[:, 1], back, front),
                np.full(len(points_n3), height),
            ],
            -1,
        ).astype(np.float32)
        ray_n3 = points_n3 - foot_n3
        radius_n = np.maximum(np.linalg.norm(ray_n3, axis=1), 1.0)
        direction_n3 = ray_n3 / radius_n[:, None]
        return direction_n3, radius_n, foot_n3 + REFERENCE_MM * direction_n3

    @staticmethod
    def _sheet(
        field: RandomField, at_n3: Array, direction_n3: Array, scale_n: Array, curvature: float
    ) -> Array:
        value_n, gradient_n3 = field.value_and_gradient(at_n3)
        gradient_n3 -= (gradient_n3 * direction_n3).sum(1, keepdims=True) * direction_n3
        slope_n = np.linalg.norm(gradient_n3, axis=1) * scale_n
        value_n = np.abs(value_n)
        return 2 * value_n / (slope_n + np.sqrt(slope_n**2 + 2 * curvature * value_n) + 1e-6)

    def pial_distance(self, points_n3: Array, surface_n: Array) -> tuple[Array, Array]:
        """Return the distance to the pial surface (mm, positive inside the tissue) and the sulcal width
        field.

        Args:
            points_n3: (x, anterior, superior) in mm. surface_n: depth below the smooth hull of the
                hemisphere, mm.
        """
        direction_n3, radius_n, at_n3 = self._outward(points_n3)
        wriggle_n3 = np.stack([field.value(points_n3) for field in self.wriggle], -1)
        at_n3 = (at_n3 + 2.6 * wriggle_n3).astype(np.float32)
        scale_n = REFERENCE_MM / radius_n
        depth_n = self.depth.value(at_n3)
        open_n = np.clip(0.30 + 0.35 * self.width.value(points_n3), 0.0, 1.2)
        gap_n = open_n * np.exp(-np.maximum(surface_n, 0) / 12) + 0.10
        primary_n = self._sheet(self.primary, at_n3, direction_n3, scale_n, 0.05)
        gap_n += (0.2 + 0.5 * open_n) * np.exp(-np.maximum(surface_n, 0) / 2.5)
        deepest_n = 0.56 * (radius_n + np.maximum(surface_n, 0))
        end_n = np.minimum(np.clip(18 + 6 * depth_n, 6, 28), deepest_n)
        primary_n = np.hypot(primary_n, np.maximum(surface_n - end_n, 0)) - gap_n
        secondary_n = self._sheet(self.secondary, at_n3, direction_n3, scale_n, 0.08)
        secondary_n = (
            np.hypot(secondary_n, np.maximum(surface_n - np.clip(5 - 6 * depth_n, -3, 11), 0)) - 0.7 * gap_n
        )
        folded_n = np.minimum(primary_n, secondary_n)
        return smooth_min(surface_n, folded_n.astype(np.float32), 3.0).astype(np.float32), open_n
