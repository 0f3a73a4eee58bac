"""What surrounds the brain: scalp, skull, face, neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy import deep
from smug_recon.simulation.anatomy.canvas import Canvas, Place
from smug_recon.simulation.anatomy.shapes import ellipsoid, smooth_max, smooth_min, smooth_step, tube

Array = NDArray[np.floating]
BRAIN_CENTRE, BRAIN_RADII = (0.0, -16.0, 4.0), (65.0, 84.0, 70.0)
DURA_MM = 0.8


def hulls(x: Array, a: Array, s: Array) -> tuple[Array, Array]:
    """Return the distance to the smooth hull of the cerebrum and to that of the whole brain."""
    along = (a - BRAIN_CENTRE[1]) / BRAIN_RADII[1]
    slim = x * (1 + 0.09 * along + 0.05 * along**2)
    dome = ellipsoid(slim, a, s, BRAIN_CENTRE, BRAIN_RADII, 2.25)
    frontal, temporal = smooth_step(a, 14, 34), smooth_step(np.abs(x), 12, 24)
    floor = -12.0 - 22.0 * temporal * (1 - frontal) + frontal * (0.25 * (a - 40) - 4.0)
    cerebrum = smooth_max(dome, floor - s, 8.0)
    small = deep.cerebellum(x, np.abs(x), a, s) - 3.0
    stem = deep.brainstem(x, a, s) - 4.0
    return cerebrum, smooth_min(smooth_min(cerebrum, small, 8.0), stem, 6.0)


def outline(x: Array, a: Array, s: Array, cavity: Array, layer: Array) -> Array:
    """Return the distance to the skin; ``cavity`` is the distance to the hull of the whole brain."""
    vault = cavity - (12.5 + 0.7 * layer + 3.0 * smooth_step(-a, 75, 100))
    face = ellipsoid(x, a, s, (0, 38, -58), (56, 46, 58), 2.4)
    nose = tube(x, a, s, ((0, 84, -30, 5), (0, 98, -54, 8), (0, 90, -59, 11)))
    jaw = tube(np.abs(x), a, s, ((8, 66, -104, 14), (38, 30, -90, 14), (48, 4, -64, 16)))
    neck = tube(x, a, s, ((0, -42, -70, 52), (0, -44, -180, 60)), (1.0, 0.95, 1.0))
    lower = smooth_min(smooth_min(face, jaw, 12), smooth_min(nose, neck, 10), 10)
    return smooth_min(vault, lower, 9)


def paint_scalp(canvas: Canvas, place: Place, skin: Array, soft: Array, fat_mm: float) -> None:
    """Paint skin, fat, and the soft tissue below; ``skin`` is the distance to the outline, ``soft`` a random
    field.
    """
    canvas.paint("skin", skin)
    canvas.paint("fat", skin + 1.6)
    fat = fat_mm * np.exp(0.25 * place.layers[1]) + 1.5 * smooth_step(-place.s, 20, 60)
    canvas.paint("muscle", skin + 1.6 + fat)
    septa = np.abs(soft) * 7 - 1.0 - 1.2 * np.maximum(place.layers[2], -0.5)
    canvas.paint("fat", smooth_max(septa, 44 + place.s, 6), 2.5, 0.75)


def paint_skull(canvas: Canvas, place: Place, cavity: Array) -> None:
    """Paint outer table, diploe, inner table, dura and the subarachnoid space around the whole brain."""
    layers = place.layers
    outer, inner = 1.7 + 0.25 * layers[2], 1.6 + 0.2 * layers[3]
    behind = 1.2 * smooth_step(-place.a, 60, 95)
    diploe = np.clip(2.4 + 0.9 * layers[1] + behind, 0.3, 6) * smooth_step(place.s, -30, 0)
    fluid = 1.6 + 0.6 * layers[2] + 0.8 * smooth_step(place.a, 30, 70)
    inside = fluid + DURA_MM + inner
    canvas.paint("compact bone", cavity - (inside + diploe + outer))
    canvas.paint("marrow", smooth_max(cavity - (inside + diploe), inside - cavity, 0.5))
    canvas.paint("dura", cavity - (fluid + DURA_MM))
    canvas.paint("csf", cavity - fluid)


def paint_face(canvas: Canvas, place: Place, soft: Array) -> None:
    """Paint facial skeleton, sinuses, airway, jaw, tongue, petrous bone and orbits."""
    x, m, a, s = place.x, place.m, place.a, place.s
    canvas.paint("marrow", ellipsoid(x, a, s, (0, 40, -62), (40, 30, 26), 2.5) + 2.5 * soft, 3.0, 0.7)
    for centre, radii in (
        ((17, 45, -54), (12, 16, 14)),
        ((5, 58, -46), (2.2, 22, 14)),
        ((9, 10, -42), (8, 9, 8)),
    ):
        canvas.paint("mucosa", ellipsoid(m, a, s, centre, [radius + 1.4 for radius in radii]) + 0.8 * soft)
        canvas.paint("air", ellipsoid(m, a, s, centre, radii) + 0.8 * soft)
    canvas.paint("air", ellipsoid(m, a, s, (8, 70, -12), (7, 3.0, 6)))
    canvas.paint("compact bone", tube(m, a, s, ((6, 62, -104, 6), (34, 30, -92, 5), (46, 2, -62, 4))))
    canvas.paint("marrow", tube(m, a, s, ((6, 62, -104, 4), (34, 30, -92, 3), (46, 2, -62, 2))))
    canvas.paint("muscle", ellipsoid(x, a, s, (0, 42, -88), (19, 26, 15)))
    airway = ((0, 10, -52, 6), (0, 2, -80, 6), (0, 2, -112, 7), (0, 4, -170, 8))
    canvas.paint("air", tube(x, a, s, airway, (0.7, 1.3, 1)))
    canvas.paint("compact bone", ellipsoid(m, a, s, (46, -22, -40), (12, 14, 10)) + soft)
    cells = smooth_max(ellipsoid(m, a, s, (48, -28, -42), (9, 10, 10)), 0.5 - np.abs(soft), 0.5)
    canvas.paint("air", cells)
    inward = m - 0.25 * (a - 50)
    canvas.paint("fat", ellipsoid(inward, a, s, (29, 50, -32), (17, 28, 16)))
    canvas.paint("muscle", np.abs(ellipsoid(inward, a, s, (28, 46, -32), (11, 24, 11))) - 1.4, most=0.8)
    canvas.paint("white matter", tube(m, a, s, ((14, 20, -28, 2), (30, 50, -32, 2))))
    globe = ellipsoid(m, a, s, (32, 62, -32), (12.2, 12.2, 12.2))
    canvas.paint("dura", globe - 0.9)
    canvas.paint("vitreous", globe)
    canvas.paint("lens", ellipsoid(m, a, s, (32, 71.5, -32), (4.6, 2.0, 4.6)))


def paint_neck(canvas: Canvas, place: Place) -> None:
    """Paint spinal cord and canal, vertebrae with discs, carotid and jugular vessels."""
    x, m, a, s = place.x, place.m, place.a, place.s
    cord, below = deep.cord(x, a, s), s + 56
    canvas.paint("compact bone", smooth_max(cord - 5.5, below + 10, 3))
    canvas.paint("csf", smooth_max(cord - 3.5, below, 3))
    canvas.paint("white matter", smooth_max(cord, below, 3))
    column = tube(x, a, s, ((0, -22, -78, 9), (0, -28, -180, 10)))
    phase = np.abs(np.mod(s + 6, 18) - 9)
    canvas.paint("compact bone", column - 1.0)
    canvas.paint("marrow", smooth_max(column, phase - 6.5, 1.0))
    canvas.paint("mucosa", smooth_max(column, 7.6 - phase, 1.0), most=0.5)
    for side, front, radius in ((26, -6, 3.2), (31, -12, 4.6)):
        vessel = tube(m, a, s, ((side, front, -60, radius), (side - 2, front - 2, -180, radius)))
        canvas.paint("blood", vessel)
