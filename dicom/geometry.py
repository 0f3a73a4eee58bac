"""Where the voxels of an MRD image lie in the patient, in mm of the LPS system that MRD and DICOM share."""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd
import numpy as np


@dataclass(frozen=True)
class Plane:
    """One plane of pixels: the centre of its first voxel, unit vectors, spacings.

    Voxel (row i, column j) lies at ``first_mm + j * column_mm * along_row + i * row_mm * along_column``.
    """

    first_mm: np.ndarray
    along_row: np.ndarray
    along_column: np.ndarray
    normal: np.ndarray
    row_mm: float
    column_mm: float
    thickness_mm: float

    def voxel_mm(self, row: float, column: float) -> np.ndarray:
        """Patient coordinates of the centre of a voxel."""
        return (
            self.first_mm + column * self.column_mm * self.along_row + row * self.row_mm * self.along_column
        )

    @property
    def location_mm(self) -> float:
        """Distance of the plane from the origin along its normal."""
        return float(self.first_mm @ self.normal)


def plane(image: ismrmrd.Image, partition: int = 0) -> Plane:
    """The plane of one partition of an image.

    In the plane the Fourier transform puts ``position`` at the centre of voxel N // 2, so the first voxel lies at
    -(N // 2) d; Siemens scanners write the same (docs/dicom.md). Partitions lie symmetrically about ``position``,
    the first at -(N - 1) d / 2. Columns follow the read direction and rows the phase direction, or ImageRowDir and
    ImageColumnDir of the Meta where an image has been turned.
    """
    partitions, rows, columns = image.data.shape[1:]
    width_mm, height_mm, depth_mm = (float(size) for size in image.field_of_view)
    column_mm, row_mm, thickness_mm = width_mm / columns, height_mm / rows, depth_mm / partitions
    along_row, along_column = _directions(image)
    normal = _unit(np.array(image.slice_dir, float))
    if not normal.any() or abs(normal @ np.cross(along_row, along_column)) < 0.5:
        normal = np.cross(along_row, along_column)
    first_mm = (
        np.array(image.position, float)
        - (columns // 2) * column_mm * along_row
        - (rows // 2) * row_mm * along_column
        + (partition - (partitions - 1) / 2) * thickness_mm * normal
    )
    return Plane(
        first_mm, along_row, along_column, np.cross(along_row, along_column), row_mm, column_mm, thickness_mm
    )


def display_order(along_row: np.ndarray, along_column: np.ndarray) -> tuple[bool, bool, bool]:
    """How to show a plane the usual way: (transpose, then flip rows, then flip columns).

    Axial: anterior up, the patient's right on the left. Coronal: head up, right on the left. Sagittal: head
    up, anterior on the left. Oblique planes go by their nearest main direction.
    """
    normal = int(np.argmax(np.abs(np.cross(along_row, along_column))))
    rightward, downward = {
        0: (np.array([0.0, 1, 0]), np.array([0.0, 0, -1])),  # sagittal: to posterior, to feet
        1: (np.array([1.0, 0, 0]), np.array([0.0, 0, -1])),  # coronal: to left, to feet
        2: (np.array([1.0, 0, 0]), np.array([0.0, 1, 0])),  # axial: to left, to posterior
    }[normal]
    transpose = abs(along_row @ rightward) < abs(along_column @ rightward)
    across, down = (along_column, along_row) if transpose else (along_row, along_column)
    return transpose, bool(down @ downward < 0), bool(across @ rightward < 0)


def _directions(image: ismrmrd.Image) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along rows and columns of the pixels, made exactly perpendicular."""
    along_row = _from_meta(image, "ImageRowDir", image.read_dir)
    along_column = _from_meta(image, "ImageColumnDir", image.phase_dir)
    along_column = _unit(along_column - (along_column @ along_row) * along_row)
    if not along_row.any() or not along_column.any():
        return np.array([1.0, 0, 0]), np.array([0.0, 1, 0])  # a header without directions: taken as axial
    return along_row, along_column


def _from_meta(image: ismrmrd.Image, name: str, otherwise: object) -> np.ndarray:
    try:
        found = np.array([float(value) for value in image.meta[name]])
    except (KeyError, TypeError, ValueError):
        found = np.zeros(0)
    usable = found.shape == (3,) and np.linalg.norm(found) > 0.5
    return _unit(found if usable else np.array(otherwise, float))


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.zeros(3)
