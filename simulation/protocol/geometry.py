"""Where the slices lie: positions and directions in the patient system (left, posterior, superior), in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# read and phase direction, smallest field of view that holds the head (read, phase), centre of the stack
_STACKS = {
    "axial": ((1, 0, 0), (0, 1, 0), (186.0, 232.0), (0.0, 16.0, 25.0)),
    "coronal": ((1, 0, 0), (0, 0, -1), (206.0, 232.0), (0.0, 12.0, -4.0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (246.0, 232.0), (0.0, 10.0, -4.0)),
}
ORIENTATIONS = (*_STACKS, "oblique")
OBLIQUE_DEG = (14.0, -5.0, 8.0)  # rotation about left, posterior and superior


@dataclass(frozen=True)
class Stack:
    """A stack of parallel slices; image sample ``n // 2`` of both directions lies at ``position``."""

    read_dir: NDArray[np.float64]
    phase_dir: NDArray[np.float64]
    slice_dir: NDArray[np.float64]
    positions_mm: NDArray[np.float64]
    pixel_mm: float

    def points_mm(
        self, number: int, shape_yx: tuple[int, int], step: float, offset_mm: NDArray[np.float64] | float
    ) -> NDArray[np.float32]:
        """Return the patient coordinates (y x, 3) of a centred grid of ``step`` pixels, ``offset_mm`` off the
        slice plane.
        """
        y = (np.arange(shape_yx[0]) - shape_yx[0] // 2) * step * self.pixel_mm
        x = (np.arange(shape_yx[1]) - shape_yx[1] // 2) * step * self.pixel_mm
        points = (
            self.positions_mm[number]
            + np.asarray(offset_mm)[..., None] * self.slice_dir
            + y[:, None, None] * self.phase_dir
            + x[None, :, None] * self.read_dir
        )
        return points.reshape(-1, 3).astype(np.float32)


def _rotation() -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, degrees in enumerate(OBLIQUE_DEG):
        first, second = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = math.cos(math.radians(degrees))
        turn[first, second] = -math.sin(math.radians(degrees))
        turn[second, first] = math.sin(math.radians(degrees))
        matrix = turn @ matrix
    return matrix


def stack(
    orientation: str,
    matrix_xy: tuple[int, int],
    slices: int,
    spacing_mm: float,
    fov: float = 1.0,
    slab: bool = False,
) -> Stack:
    """Return the stack of an orientation; its square pixels are the smallest with which the head fits in,
    times ``fov``.

    A ``slab`` has partition ``slices // 2`` in its centre, a stack of slices is centred as a whole.
    """
    read, phase, smallest_mm, centre = _STACKS["axial" if orientation == "oblique" else orientation]
    turn = _rotation() if orientation == "oblique" else np.eye(3)
    read_dir, phase_dir = turn @ np.array(read, float), turn @ np.array(phase, float)
    slice_dir = np.cross(read_dir, phase_dir)
    middle = slices // 2 if slab else (slices - 1) / 2
    spread_mm = (np.arange(slices) - middle) * spacing_mm
    pixel_mm = fov * max(smallest_mm[0] / matrix_xy[0], smallest_mm[1] / matrix_xy[1])
    pixel_mm = math.ceil(pixel_mm * 1000) / 1000
    return Stack(read_dir, phase_dir, slice_dir, np.array(centre) + spread_mm[:, None] * slice_dir, pixel_mm)
