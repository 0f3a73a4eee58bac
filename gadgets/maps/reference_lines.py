"""The lines of an external reference scan: where they lie, whether they fit a slice, and what they become on its grid."""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.regrid import Axis, image_waves, reach, regridded
from smug_recon.gadgets.readouts.oversampling import placed

#: cosine between the directions of reference and image below which they count as different
PARALLEL = 0.999
DIRECTIONS = ("slice_dir", "phase_dir", "read_dir")
#: readouts by (partition, line), as the scan counts them; several for averages
ReferenceLines = dict[tuple[int, int], list[ismrmrd.Acquisition]]


@dataclass(frozen=True)
class Space:
    """The encoding of reference lines: matrix, field of view, line and partition of the k-space centre."""

    encoded_x: int
    lines_y: int
    fov_x_mm: float
    fov_y_mm: float
    thickness_mm: float
    """Of the slice, or of the slab."""
    centre_y: int
    lines_z: int = 1
    centre_z: int = 0


@dataclass(frozen=True)
class Grid:
    """Where reference lines are needed: the axes of the image and how far its middle lies from theirs, in mm."""

    axes_zyx: tuple[Axis, Axis, Axis]
    shift_zyx_mm: tuple[float, float, float]


def grid_of(lines: ReferenceLines, space: Space, item: Slice, plan: Plan, report: Report) -> Grid | None:
    """Return where a slice or slab needs reference lines, None if these do not fit it, which is said.

    Raises:
        DataError: reference lines of different numbers of samples.
    """
    every = [readout for readouts in lines.values() for readout in readouts]
    head = every[0].getHead()
    shapes = {(int(r.active_channels), int(r.number_of_samples)) for r in every}
    if len(shapes) > 1:
        raise DataError(
            f"reference lines of (coils, samples) {sorted(shapes)}",
            "one number of coils and samples in the reference scan",
            "split the raw file into scans of one receive configuration",
        )
    coils = int(head.active_channels)
    if coils != item.kspace_cyx.shape[0]:
        report.warn(
            f"a reference scan of {coils} coils is not used: the image has {item.kspace_cyx.shape[0]}"
        )
        return None
    if not same_orientation(head, item.head):
        report.warn("a reference scan of another orientation is not used for the coil maps")
        return None
    shift_mm = offset_mm(item.head, head)
    shifts = [float(np.dot(shift_mm, np.asarray(getattr(head, name)))) for name in DIRECTIONS]
    fov_x_mm, fov_y_mm, fov_z_mm = plan.encoded_fov_mm
    axes = (
        Axis(plan.lines_z, fov_z_mm / plan.lines_z),
        Axis(plan.lines_y, fov_y_mm / plan.lines_y),
        Axis(plan.readout_x, fov_x_mm / plan.encoded_xyz[0]),
    )
    found = [(space.fov_y_mm, axes[1]), (space.fov_x_mm, axes[2])]
    if space.lines_z > 1:
        found.append((space.thickness_mm - 2 * abs(shifts[0]), axes[0]))
    if any(fov_mm < 0.99 * axis.fov_mm for fov_mm, axis in found):
        report.warn("the field of view of the reference scan is smaller than that of the image")
    return Grid(axes, (shifts[0], shifts[1], shifts[2]))


def calibration_of_slice(
    lines: ReferenceLines, space: Space, grid: Grid, report: Report
) -> tuple[Tensor, Tensor] | None:
    """Return ``(calibration_cyx, mask_y)`` of reference lines on the grid of a slice, None if they do not reach it.

    Raises:
        DataError: samples outside their encoded matrix.
    """
    (_, axis_y, axis_x), (_, shift_y, shift_x) = grid.axes_zyx, grid.shift_zyx_mm
    places, kspace_cnx = stacked(lines, space)
    rows = [y for _, y in places]
    first, last = block(rows, report)
    chosen = [at for at, row in enumerate(rows) if first <= row <= last]
    if not chosen:
        return None
    waves_yj = image_waves(torch.tensor(rows)[chosen], space.fov_y_mm, axis_y, shift_y)
    waves_xi = readout_waves(lines, space, axis_x, shift_x)
    return regridded(kspace_cnx[:, chosen], waves_yj, waves_xi, reach(first, last, space.fov_y_mm, axis_y))


def readout_waves(lines: ReferenceLines, space: Space, axis_x: Axis, shift_mm: float) -> Tensor:
    """Return the matrix (sample, pixel) of the readouts of a reference scan."""
    place = placed(next(iter(lines.values()))[0].getHead(), space.encoded_x, space.encoded_x)
    steps_x = torch.arange(place.start, place.stop) - place.grid_x // 2
    return image_waves(steps_x, space.fov_x_mm * place.grid_x / space.encoded_x, axis_x, shift_mm)


def stacked(lines: ReferenceLines, space: Space) -> tuple[list[tuple[int, int]], Tensor]:
    """Return the places (partition, line) about the k-space centre, in order, and their samples (c, place, x).

    Repeats are averaged. Where the header's centre is none of the lines the brightest one is taken.
    """
    steps = sorted(lines)
    centre = (space.centre_z, space.centre_y)
    ranges = [(min(values), max(values)) for values in zip(*steps, strict=True)]
    if not all(low <= at <= high for at, (low, high) in zip(centre, ranges, strict=True)):
        centre = _brightest(lines)
    blocks = []
    for step in steps:
        readouts = sorted(lines[step], key=lambda r: (int(r.scan_counter), np.asarray(r.data).tobytes()))
        total_cx = sum(_samples(readout, space) for readout in readouts) / len(readouts)
        blocks.append(total_cx)
    places = [(z - centre[0], y - centre[1]) for z, y in steps]
    return places, torch.from_numpy(np.stack(blocks, 1))


def block(rows: list[int], report: Report) -> tuple[int, int]:
    """Return the first and last row of the contiguous lines about the k-space centre; (1, 0) if there is none."""
    if 0 not in rows:
        report.warn("a reference scan without the k-space centre is not used")
        return 1, 0
    found, first, last = set(rows), 0, 0
    while first - 1 in found:
        first -= 1
    while last + 1 in found:
        last += 1
    return first, last


def same_orientation(one: ismrmrd.AcquisitionHeader, two: ismrmrd.AcquisitionHeader) -> bool:
    """Whether readout and phase-encode directions agree, or are not filled in."""
    for name in ("read_dir", "phase_dir"):
        a, b = np.asarray(getattr(one, name), float), np.asarray(getattr(two, name), float)
        if np.linalg.norm(a) > 0.5 and np.linalg.norm(b) > 0.5 and float(a @ b) < PARALLEL:
            return False
    return True


def offset_mm(image: ismrmrd.AcquisitionHeader, reference: ismrmrd.AcquisitionHeader) -> np.ndarray:
    """Return the way from the middle of the reference to the middle of the image."""
    return np.asarray(image.position, float) - np.asarray(reference.position, float)


def _samples(readout: ismrmrd.Acquisition, space: Space) -> np.ndarray:
    place = placed(readout.getHead(), space.encoded_x, space.encoded_x)
    return np.asarray(readout.data, np.complex64)[:, place.samples]


def _brightest(lines: ReferenceLines) -> tuple[int, int]:
    """Return the line with the most signal: the k-space centre where the header does not tell it."""
    return max(lines, key=lambda step: float(np.linalg.norm(np.asarray(lines[step][0].data))))
