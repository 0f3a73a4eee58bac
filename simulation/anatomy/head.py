"""A synthetic head: which tissue lies where, for any point in space, and what an MR sequence makes of it.

The head is not a picture but a function of (left, anterior, superior) in mm around the anterior commissure,
so slices of any orientation, thickness and matrix cut the same object. The anatomy is schematic (round
numbers of an average adult) and every individual, drawn from a seed, differs in size, asymmetry, folding,
ventricles, fat, skull and vessels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy import coats
from smug_recon.simulation.anatomy.brain import Brain
from smug_recon.simulation.anatomy.canvas import Canvas, Place
from smug_recon.simulation.anatomy.fields import RandomField
from smug_recon.simulation.anatomy.shapes import smooth_step
from smug_recon.simulation.anatomy.tissue import TISSUES, Contrast

Array = NDArray[np.floating]


class Head:
    """One individual; ``Head(seed)`` is deterministic."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, 0x48454144])
        self.size_3 = rng.normal(1.0, 0.02, 3).clip(0.95, 1.05)
        self.fat_mm = float(rng.uniform(2.5, 4.5))
        self.bend = [RandomField(rng, 110, waves=16) for _ in range(3)]
        self.layers = [RandomField(rng, 75, waves=24) for _ in range(4)]
        self.soft = RandomField(rng, 14, waves=32)
        self.brain = Brain(rng)
        self.texture = [RandomField(rng, wavelength, spread=0.5, waves=64) for wavelength in (3.2, 10, 45)]
        self.transmit = RandomField(rng, 190, waves=12)

    def _place(self, points_n3: Array) -> Place:
        """Bend and scale space so that the schematic anatomy becomes an individual one."""
        bent_n3 = points_n3 / self.size_3
        bent_n3 = bent_n3 + 1.1 * np.stack([field.value(points_n3) for field in self.bend], -1)
        x, a, s = (np.ascontiguousarray(bent_n3[:, axis], np.float32) for axis in range(3))
        return Place(points_n3, x, a, s, tuple(field.value(points_n3) for field in self.layers))

    def near(self, points_n3: Array) -> NDArray[np.bool_]:
        """Return which points may hold more than air."""
        place = self._place(points_n3)
        cavity = coats.hulls(place.x, place.a, place.s)[1]
        return coats.outline(place.x, place.a, place.s, cavity, place.layers[0]) < 6.0

    def tissues(self, points_n3: Array, edge_mm: float = 0.5) -> Array:
        """Return the share of every tissue of the table at each point, shape (tissues, n), sum 1.

        Args:
            points_n3: (left, anterior, superior) in mm.
            edge_mm: width over which one tissue passes into the next, about the spacing of the points.
        """
        place, canvas = self._place(points_n3), Canvas(len(points_n3), edge_mm)
        cerebrum, cavity = coats.hulls(place.x, place.a, place.s)
        skin = coats.outline(place.x, place.a, place.s, cavity, place.layers[0])
        soft = self.soft.value(np.stack([place.x, place.a, 0.5 * place.s], -1))
        coats.paint_scalp(canvas, place, skin, soft, self.fat_mm)
        coats.paint_face(canvas, place, soft)
        coats.paint_skull(canvas, place, cavity)
        coats.paint_neck(canvas, place)
        self.brain.paint(canvas, place, cerebrum, cavity)
        canvas.paint("air", -skin)
        return canvas.share

    def signal(
        self, points_n3: Array, contrast: Contrast, edge_mm: float = 0.5
    ) -> tuple[Array, Array, Array]:
        """Return the signal of water, of fat (3.4 ppm off) and the share that is not air, each (n,)."""
        water_kn, fat_kn, inside = self.signals(points_n3, [contrast.signals()], edge_mm)
        return water_kn[0], fat_kn[0], inside

    def signals(
        self, points_n3: Array, levels: Sequence[Array], edge_mm: float = 0.5
    ) -> tuple[Array, Array, Array]:
        """Return water (k, n), fat (k, n) and the share that is not air (n,) for ``k`` lists of tissue
        signals.
        """
        share = self.tissues(points_n3, edge_mm)
        fine, mid, low = (field.value(points_n3) for field in self.texture)
        reach = smooth_step(points_n3[:, 2], -125, -98)  # of the transmit coil, into the neck
        transmit = (1 + 0.07 * self.transmit.value(points_n3)) * reach
        water = np.zeros((len(levels), len(points_n3)), np.float32)
        fat = np.zeros_like(water)
        for number, tissue in enumerate(TISSUES):
            rough = 1 + tissue.fine * fine + tissue.mid * mid + tissue.low * low
            kind = fat if tissue.name in ("fat", "marrow") else water
            for index, level in enumerate(levels):
                kind[index] += level[number] * share[number] * np.maximum(rough, 0.1)
        return water * transmit, fat * transmit, (1 - share[0]) * reach
