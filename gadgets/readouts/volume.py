"""A 3-D slab: every line goes straight to its place in one block of hybrid space, which is held once.

Row ``(z mod lines_z) * lines_y + (y mod lines_y)`` of a line is free for any origin of the counters, so lines are
stored before it is known where the k-space centre lies; :func:`assemble_volume` turns the block where the limits of a
header do not fit its lines. Repeats of a line (averages) are kept beside the block until then.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Readout, Slice, SliceKey, Volume
from smug_recon.gadgets.readouts.assemble import (
    Lines,
    flagged_rows,
    nearest_to_centre,
    stack,
    weights,
    without_reference_scan,
)
from smug_recon.gadgets.readouts.unusable import said_of_doubles

NAMES = ("partitions (kspace_encode_step_2)", "phase-encode lines")


class Grid:
    """The grid (kz, ky) of a 3-D scan, and the range of it that the lines have filled so far."""

    def __init__(self, lines_z: int, lines_y: int) -> None:
        self.size = (lines_z, lines_y)
        self.low = [2**31, 2**31]
        self.high = [-(2**31), -(2**31)]

    def row(self, z: int, y: int) -> int:
        """Return the row of a line in the block; DataError if the lines reach further than the encoded matrix."""
        for axis, value in enumerate((z, y)):
            self.low[axis] = min(self.low[axis], value)
            self.high[axis] = max(self.high[axis], value)
            if self.high[axis] - self.low[axis] >= self.size[axis]:
                raise DataError(
                    f"{NAMES[axis]} over a range of {self.high[axis] - self.low[axis] + 1}",
                    f"at most the {self.size[axis]} of encodedSpace.matrixSize.{'zy'[axis]}",
                    "correct the matrix size in the header, or the counters in the converter",
                )
        return z % self.size[0] * self.size[1] + y % self.size[1]

    @property
    def shift(self) -> tuple[int, int]:
        """By how many rows (z, y) the lines have to move to lie inside the matrix: 0 where the header's limits fit."""
        found = [
            -low if low < 0 else min(0, size - 1 - high)
            for low, high, size in zip(self.low, self.high, self.size, strict=True)
        ]
        return found[0], found[1]

    def moved(self, lines: Lines) -> Lines:
        """Return lines with their rows after the shift."""
        (size_z, size_y), (by_z, by_y) = self.size, self.shift
        return {
            (row // size_y + by_z) % size_z * size_y + (row % size_y + by_y) % size_y: readouts
            for row, readouts in lines.items()
        }

    def store(self, block_cnx: Tensor | None, row: int, readout: Readout) -> Tensor:
        """Write a line to its row of the block (made for the first line) and make its ``data_cx`` a view of it."""
        coils, samples = readout.data_cx.shape
        if block_cnx is None:  # the system hands out the pages as lines arrive
            block_cnx = torch.from_numpy(
                np.zeros((coils, self.size[0] * self.size[1], samples), np.complex64)
            )
        block_cnx[:, row] = readout.data_cx
        readout.data_cx = block_cnx[:, row]
        return block_cnx


def assemble_volume(
    key: SliceKey, imaging: Lines, calibration: Lines | None, block_cnx: Tensor, grid: Grid
) -> Slice:
    """Return the slab with its k-space centre at ``(lines_z // 2, lines_y // 2)``; a 2-D slice if it has one partition.

    Raises:
        DataError: as :func:`smug_recon.gadgets.readouts.assemble.assemble`.
    """
    (lines_z, lines_y), notes = grid.size, []
    if any(grid.shift):
        notes.append(turn(block_cnx, imaging, grid))
        imaging = grid.moved(imaging)
        calibration = None if calibration is None else grid.moved(calibration)
    imaging, apart = without_reference_scan(imaging)
    calibration = calibration or apart
    notes += said_of_doubles(imaging)
    reference = (
        stack(key, calibration, lines_z * lines_y, notes=notes) if calibration else None
    )  # before its rows are cleared
    kspace_cnx, mask_n, dwell_us = stack(key, imaging, lines_z * lines_y, block_cnx, notes)
    head = nearest_to_centre(imaging, lines_z // 2 * lines_y + lines_y // 2).head
    found = Volume(
        key,
        head,
        kspace_cnx,
        mask_n,
        flagged_rows(imaging, len(mask_n)) & mask_n,
        dwell_us,
        notes=notes,
        lines_z=lines_z,
    )
    found.lines = sum(len(readouts) for readouts in imaging.values())
    found.weight_y = weights(imaging, len(mask_n), mask_n)
    if reference is not None:
        found.calibration_cyx, found.calibration_mask_y, found.calibration_dwell_us = reference
    acquired = torch.nonzero(mask_n.reshape(lines_z, lines_y).any(1)).flatten().tolist()
    return only_partition(found, acquired[0], lines_y) if len(acquired) == 1 else found


def turn(block_cnx: Tensor, imaging: Lines, grid: Grid) -> str:
    """Move the lines inside the block, coil by coil, and say so; a shift of k-space is a phase in the image."""
    inside = {
        row: [r.data_cx.data_ptr() == block_cnx[:, row].data_ptr() for r in imaging[row]] for row in imaging
    }
    for coil_nx in block_cnx:
        coil_zyx = coil_nx.reshape(*grid.size, -1)
        coil_zyx.copy_(torch.roll(coil_zyx, grid.shift, (0, 1)))
    rows = dict(zip(imaging, grid.moved(imaging), strict=True))
    for row, readouts in imaging.items():
        for readout, stored in zip(readouts, inside[row], strict=True):
            if stored:
                readout.data_cx = block_cnx[:, rows[row]]
    moved = [f"{name} by {by}" for name, by in zip(NAMES, grid.shift, strict=True) if by]
    return f"the k-space centre of the header puts lines outside the matrix: moved {', '.join(moved)}"


def only_partition(volume: Volume, z: int, lines_y: int) -> Slice:
    """The one partition of a slab that was acquired: a 2-D slice, whatever matrix z the header has."""
    rows = slice(z * lines_y, (z + 1) * lines_y)
    found = Slice(
        volume.key,
        volume.head,
        volume.kspace_cyx[:, rows].clone(),
        volume.mask_y[rows],
        volume.flagged_y[rows],
        volume.dwell_us,
        lines=volume.lines,
        weight_y=None if volume.weight_y is None else volume.weight_y[rows],
        notes=[*volume.notes, f"one partition of {volume.lines_z} was acquired: taken as 2-D"],
    )
    mask_n = volume.calibration_mask_y
    if volume.calibration_cyx is not None and mask_n is not None and bool(mask_n[rows].any()):
        found.calibration_cyx, found.calibration_mask_y = (
            volume.calibration_cyx[:, rows].clone(),
            mask_n[rows],
        )
        found.calibration_dwell_us = volume.calibration_dwell_us
    return found
