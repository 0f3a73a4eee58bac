"""The brain inside its coats: cortex, white matter, callosum, nuclei, cisterns, cerebellum, vessels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy import deep
from smug_recon.simulation.anatomy.canvas import Canvas, Place
from smug_recon.simulation.anatomy.cortex import Folds
from smug_recon.simulation.anatomy.fields import RandomField
from smug_recon.simulation.anatomy.shapes import ellipsoid, smooth_max, smooth_min, smooth_step, tube

Array = NDArray[np.floating]

# x or |x|, anterior, superior, radius in mm
STRAIGHT_SINUS = ((0, -44, 3, 1.4), (0, -58, 2, 1.5), (0, -82, 2, 2.0))
BASILAR = ((0, -3, -42, 2.0), (0, -6, -28, 2.0), (0, -4, -16, 1.8))
CAROTID = ((8, 6, -34, 2.6), (8, 6, -18, 2.2), (24, 4, -14, 1.5), (40, 4, -8, 1.2), (42, -12, 4, 1.0))
PERICALLOSAL = ((0, 8, -14, 1.0), (0, 30, -6, 1.2), (0, 38, 8, 1.2), (0, 28, 27, 1.0), (0, 4, 31, 0.9))


class Brain:
    """The brain of one individual."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.ventricle_mm = float(rng.uniform(-1.0, 1.0))
        self.cortex_mm = float(rng.uniform(2.6, 3.0))
        self.midline = RandomField(rng, 45, waves=16)
        self.thickness = RandomField(rng, 40, waves=24)
        self.folds = Folds(rng)
        self.folia_bend = RandomField(rng, 22, waves=24)
        self.vessels = [RandomField(rng, 26, waves=32) for _ in range(2)]

    def paint(self, canvas: Canvas, place: Place, cerebrum: Array, cavity: Array) -> None:
        """Paint all of it; ``cerebrum`` and ``cavity`` are distances to the hulls of cerebrum and whole
        brain.
        """
        x, m, a, s = place.x, place.m, place.a, place.s
        midline = x + 0.7 * self.midline.value(place.points_n3)
        # what the corpus callosum encloses, in the median plane; genu and splenium open outwards
        bow = np.where(a > -4, -0.035, 0.035) * np.minimum(m, 13) ** 2
        envelope = ellipsoid(0 * x, a + bow, s, (0, -4, 0), (1, 37, 27), 2.3)
        small, stem = deep.cerebellum(x, m, a, s), deep.brainstem(x, a, s)
        tent = np.minimum(small - 3.0, np.where(s < 0, stem - 3.0, 1e3))
        pial = self._pial(place, cerebrum, midline, envelope, tent)
        thick = self.cortex_mm + 0.3 * self.thickness.value(place.points_n3)
        canvas.paint("grey matter", np.maximum(-pial, cerebrum))
        canvas.paint("white matter", np.maximum(thick - pial, cerebrum), 0.9)
        self._paint_deep(canvas, place, envelope)
        self._paint_below(canvas, place, small, stem)
        canvas.paint("csf", deep.ventricles(x, m, a, s, self.ventricle_mm), 0.8)
        canvas.paint("mucosa", deep.choroid(m, a, s), 1.0, 0.7)
        self._paint_vessels(canvas, place, cerebrum, cavity, midline, envelope)

    def _pial(self, place: Place, cerebrum: Array, midline: Array, envelope: Array, tent: Array) -> Array:
        """Return the depth below the pial surface of the cerebrum, folds and fissures included."""
        m, a, s = place.m, place.a, place.s
        opening = 0.6 + 0.9 * smooth_step(cerebrum, -12, 0)
        medial = np.hypot(np.maximum(np.abs(midline) - opening, 0), np.maximum(-2.0 * envelope, 0))
        medial = np.where(envelope > 0, np.abs(midline) - opening, medial)
        surface = smooth_min(smooth_min(-cerebrum, medial, 2.0), tent, 3.0).astype(np.float32)
        pial, opened = self.folds.pial_distance(place.schematic_n3, surface)
        # Sylvian fissure: a cleft from the side, and the fossa over the insula
        rise = s - (-1.0 - 0.36 * a + 0.004 * (m - 41) ** 2)
        outside = np.maximum(np.maximum(41.5 - m, np.abs(a + 9) - 30), 0)
        cleft = np.hypot(rise, outside) - 0.5 - 0.8 * opened * smooth_step(a, -35, 15)
        bulge = m - 40.5 + 0.010 * (a + 2) ** 2 + 1.2 * self.folds.width.value(place.points_n3)
        rim = np.maximum(np.hypot((a + 2) / 23, (s - 3) / 17) - 1, 0) * 18
        fossa = np.hypot(bulge, rim) - 0.5 - 0.5 * opened
        pial = np.minimum(pial, smooth_min(cleft, fossa, 2.0))
        # no cortex among the nuclei and in the callosum
        core = smooth_max(ellipsoid(m, a, s, (0, -4, 4), (36, 35, 22), 2.0), -7 - s, 4.0)
        return np.maximum(pial, -core)

    @staticmethod
    def _paint_deep(canvas: Canvas, place: Place, envelope: Array) -> None:
        x, m, a, s = place.x, place.m, place.a, place.s
        canvas.paint("csf", ellipsoid(x, a, s, (0, -37, -3), (9, 7, 9)))
        canvas.paint("csf", ellipsoid(x, a, s, (0, 1, -20), (13, 11, 8)))
        canvas.paint("grey matter", ellipsoid(x, a, s, (0, -3, -7), (6, 8, 6)))
        canvas.paint("striatum", deep.striatum(m, a, s), 1.2)
        canvas.paint("pallidum", deep.pallidum(m, a, s), 1.4)
        canvas.paint("thalamus", deep.thalamus(m, a, s), 1.6)
        canvas.paint("grey matter", deep.claustrum(m, a, s), 1.0, 0.8)
        canvas.paint("grey matter", deep.hippocampus(m, a, s), 1.2)
        reach = np.maximum(m - 13, -(s + 0.20 * np.abs(a + 4)) - 2)
        canvas.paint("white matter", smooth_max(np.abs(envelope + 3.2) - 3.0, reach, 4.0), 1.5)

    def _paint_below(self, canvas: Canvas, place: Place, small: Array, stem: Array) -> None:
        """Brainstem, and the cerebellum with its folia: sheets a few mm apart around the fourth ventricle."""
        x, m, a, s = place.x, place.m, place.a, place.s
        canvas.paint("white matter", stem, 1.0)
        canvas.paint("thalamus", ellipsoid(m, a, s, (4, -22, -10), (3, 3, 5)), 2.0, 0.7)
        canvas.paint("grey matter", tube(x, a, s, ((0, -27, 2, 2.2), (0, -31, 0, 2.0))), 1.0)
        canvas.paint("grey matter", small, 0.8)
        height = s + 34 + 0.25 * (a + 55) + 2.5 * self.folia_bend.value(place.points_n3)
        turn = np.hypot(height, 0.45 * (a + 34)) + 0.06 * m
        folia = np.abs(np.mod(turn, 3.2) - 1.6)
        canvas.paint("csf", np.maximum(small + 0.3, np.maximum(1.05 - folia, -(small + 11))), 0.6, 0.5)
        blades = folia - 0.45 - 0.07 * np.maximum(-small - 2, 0)
        canvas.paint("white matter", np.maximum(small + 2.2, blades), 0.8, 0.9)
        canvas.paint("white matter", smooth_max(small + 9, np.abs(m - 12) - 14, 3), 2.5)

    def _paint_vessels(
        self, canvas: Canvas, place: Place, cerebrum: Array, cavity: Array, midline: Array, envelope: Array
    ) -> None:
        """Falx, venous sinuses, arteries at the base, and thin vessels on the surface of the brain."""
        x, m, a, s = place.x, place.m, place.a, place.s
        deepest = np.where(a > -4, 26.0, 14.0)
        falx = smooth_max(np.abs(midline) - 0.45, np.maximum(deepest - envelope * 1.6, cavity - 1.0), 0.4)
        canvas.paint("dura", np.where(s > -12, falx, 1e3), 0.6)
        sinus = smooth_max(np.hypot(x, 0.9 * (cavity - 1.5)) - 3.0, np.maximum(-s - 5, cavity - 2.8), 1.0)
        canvas.paint("blood", np.where(np.abs(a + 16) + np.maximum(s, 0) > 30, sinus, 1e3), 0.8)
        for nodes, across in ((STRAIGHT_SINUS, x), (BASILAR, x), (CAROTID, m), (PERICALLOSAL, x)):
            canvas.paint("blood", tube(across, a, s, nodes), 0.8)
        pair = [field.value_and_gradient(place.points_n3) for field in self.vessels]
        apart = np.hypot(*(value / (np.linalg.norm(slope, axis=1) + 0.02) for value, slope in pair))
        canvas.paint("blood", np.maximum(apart - 0.9, np.abs(cerebrum - 0.2) - 1.6), 0.8)
