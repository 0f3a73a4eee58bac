"""Ventricles, deep grey nuclei, brainstem and cerebellum: solids in mm around the anterior commissure.

Coordinates are (x, a, s): left, anterior, superior. ``m`` is |x|: these parts are mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.shapes import ellipsoid, smooth_max, smooth_min, tube

Array = NDArray[np.floating]

LATERAL_VENTRICLE = (
    (13, 29, 2, 1.2),
    (9.5, 22, 7, 3.6),
    (6.5, 12, 14, 4.6),
    (6.5, -4, 20, 4.6),
    (10, -18, 21, 4.6),
    (17, -32, 15, 5.6),
    (22, -40, 6, 5.6),
)
OCCIPITAL_HORN = ((22, -40, 6, 5.2), (24, -54, 4, 3.2), (21, -68, 3, 0.8))
TEMPORAL_HORN = ((23, -40, 4, 5.0), (30, -30, -8, 3.0), (32, -14, -16, 2.2), (30, -2, -20, 1.5))
CHOROID = ((10, -16, 19, 1.0), (17, -33, 12, 2.2), (24, -37, 0, 2.0), (29, -30, -7, 1.0))
CAUDATE_TAIL = ((14, 12, 13, 5), (15, 0, 19, 3.6), (17, -14, 22, 2.4), (23, -28, 19, 1.6))
BRAINSTEM = (
    (0, -21, -9, 10),
    (0, -22, -16, 12),
    (0, -20, -27, 14),
    (0, -24, -38, 11),
    (0, -31, -52, 8),
    (0, -38, -66, 6),
)
CORD = ((0, -38, -66, 6), (0, -46, -90, 5.5), (0, -48, -160, 5.5))


def ventricles(x: Array, m: Array, a: Array, s: Array, size: float) -> Array:
    """Return the distance to lateral, third and fourth ventricles; ``size`` (mm) is added to their radii."""
    stretch = (1.15, 1.0, 0.85)
    lateral = tube(m, a, s, LATERAL_VENTRICLE, stretch) - size
    lateral = np.minimum(lateral, tube(m, a, s, OCCIPITAL_HORN, (0.9, 1.0, 0.75)) - 0.6 * size)
    lateral = smooth_min(lateral, tube(m, a, s, TEMPORAL_HORN, (0.9, 1.0, 1.3)) - 0.4 * size, 2.0)
    lateral = smooth_min(lateral, ellipsoid(m, a, s, (3.5, 6, 15), (4.5 + 0.7 * size, 22, 7)), 2.0)
    lateral = smooth_max(lateral, 0.5 - m, 0.3)  # septum pellucidum
    third = ellipsoid(x, a, s, (0, -12, 0), (1.9 + 0.4 * size, 16, 10), 2.5)
    aqueduct = tube(x, a, s, ((0, -26, -2, 1.0), (0, -31, -14, 0.9), (0, -35, -22, 1.2)))
    fourth = ellipsoid(x, a, s, (0, -37, -30), (6.5, 4.0, 11))
    return np.minimum(np.minimum(lateral, third), np.minimum(aqueduct, fourth))


def choroid(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to the choroid plexus of the lateral ventricles."""
    return tube(m, a, s, CHOROID)


def striatum(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to caudate nucleus and putamen."""
    head = ellipsoid(m - 0.18 * (a - 18), a, s, (13.5, 18, 7), (5.0, 11, 10))
    caudate = smooth_min(head, tube(m, a, s, CAUDATE_TAIL), 2.0)
    putamen = ellipsoid(m + 0.22 * (a - 2), a, s, (27.0, 2, 3), (5.2, 17, 11), 2.2)
    return np.minimum(caudate, putamen)


def pallidum(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to the globus pallidus."""
    return ellipsoid(m + 0.30 * (a + 1), a, s, (19.5, -1, 1), (4.6, 10.5, 7.5))


def thalamus(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to the thalamus."""
    return ellipsoid(m + 0.30 * (a + 14), a, s, (10.5, -15, 6), (8.5, 15, 9), 2.2)


def claustrum(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to the claustrum, a thin sheet outside the putamen."""
    sheet = np.abs(m - 34.2 + 0.012 * (a - 2) ** 2 + 0.008 * (s - 3) ** 2) - 0.55
    return smooth_max(sheet, ellipsoid(m, a, s, (33, 2, 3), (9, 17, 13)), 0.5)


def hippocampus(m: Array, a: Array, s: Array) -> Array:
    """Return the distance to hippocampus and amygdala."""
    chain = tube(
        m, a, s, ((22, 0, -21, 6.5), (25, -10, -20, 5), (27, -22, -13, 4), (25, -32, -4, 3)), (1, 1, 1.2)
    )
    return chain


def brainstem(x: Array, a: Array, s: Array) -> Array:
    """Return the distance to midbrain, pons and medulla."""
    peduncles = ellipsoid(np.abs(x), a, s, (12, -16, -12), (7, 9, 10))
    return smooth_min(tube(x, a, s, BRAINSTEM, (0.85, 1.05, 1.0)), peduncles, 4.0)


def cord(x: Array, a: Array, s: Array) -> Array:
    """Return the distance to the spinal cord."""
    return tube(x, a, s, CORD, (0.8, 1.2, 1.0))


def cerebellum(x: Array, m: Array, a: Array, s: Array) -> Array:
    """Return the distance to the cerebellum: two hemispheres, the vermis between them, a notch behind."""
    hemisphere = ellipsoid(m, a, s, (25, -57, -36), (27, 31, 22), 2.3)
    vermis = ellipsoid(x, a, s, (0, -52, -30), (9, 23, 21))
    return smooth_min(hemisphere, vermis, 5.0)
