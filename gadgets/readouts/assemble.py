"""Assembling: the lines of one slice, repeats averaged in a fixed order, become one block of hybrid space."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import (
    CALIBRATION,
    CALIBRATION_AND_IMAGING,
    Readout,
    Slice,
    SliceKey,
    only_calibration,
)
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.readouts.unusable import leave_out_unusable, said_of_doubles

#: readouts of one slice by row of the grid; several for averages and segments
Lines = dict[int, list[Readout]]


#: lines without a mirror image that variable-density sampling does not leave by chance
BEYOND = 6


def assemble(key: SliceKey, imaging: Lines, calibration: Lines | None, plan: Plan) -> Slice:
    """Return the slice in hybrid space, on a grid with the k-space centre at row ``lines_y // 2``.

    Raises:
        DataError: no line with finite samples, dwell times that change inside the slice, calibration lines of
        other coils.
    """
    imaging, apart = without_reference_scan(imaging)
    calibration = calibration or apart
    notes = said_of_doubles(imaging)
    kspace_cyx, mask_y, dwell_us = stack(key, imaging, plan.lines_y, notes=notes)
    flagged_y = flagged_rows(imaging, plan.lines_y)
    head = nearest_to_centre(imaging, plan.lines_y // 2).head
    count = sum(len(readouts) for readouts in imaging.values())
    found = Slice(key, head, kspace_cyx, mask_y, flagged_y & mask_y, dwell_us, lines=count, notes=notes)
    found.weight_y = weights(imaging, plan.lines_y, mask_y)
    if calibration:
        found.calibration_cyx, found.calibration_mask_y, found.calibration_dwell_us = stack(
            key, calibration, plan.lines_y, notes=notes
        )
        if found.calibration_cyx.shape != kspace_cyx.shape:
            raise DataError(
                f"calibration lines of {found.calibration_cyx.shape[0]} coils for {key}",
                f"{kspace_cyx.shape[0]} coils as in the imaging lines",
                "acquire both with the same coils, or remove the calibration lines",
            )
    found.partial_y = one_sided(mask_y)
    return found


def flagged_rows(lines: Lines, rows: int) -> Tensor:
    """Which rows carry a calibration flag (bool)."""
    flagged = torch.zeros(rows, dtype=torch.bool)
    for row, readouts in lines.items():
        flagged[row] = any(r.head.flags & (CALIBRATION | CALIBRATION_AND_IMAGING) for r in readouts)
    return flagged


def weights(lines: Lines, rows: int, mask_y: Tensor) -> Tensor | None:
    """Return ``w = n / max n`` for lines averaged n times (noise variance 1 / n), 0 elsewhere; None if all n are equal.

    ``mask_y`` are the rows that are used.

    As the mask of data consistency these are the weights of least squares, ``sum_k n_k |A x - y_k|^2`` (Aitken 1936).
    """
    counts = {len(readouts) for readouts in lines.values()}
    if len(counts) == 1:
        return None
    found = torch.zeros(rows)
    for row, readouts in lines.items():
        found[row] = len(readouts) / max(counts)
    return found * mask_y


def without_reference_scan(lines: Lines) -> tuple[Lines, Lines | None]:
    """Part imaging lines from calibration lines that belong to a scan of their own, whatever the header says.

    They do if they repeat lines that were also acquired for the image, or have another dwell time: averaging
    them with imaging lines would mix two contrasts. Otherwise all lines make the image, and None is returned.
    """
    imaging: Lines = {}
    calibration: Lines = {}
    for row, readouts in lines.items():
        for readout in readouts:
            part = calibration if only_calibration(readout.head) else imaging
            part.setdefault(row, []).append(readout)
    if not imaging or not calibration:
        return lines, None
    dwells = [{r.dwell_us for readouts in part.values() for r in readouts} for part in (imaging, calibration)]
    if imaging.keys() & calibration.keys() or dwells[0] != dwells[1]:
        return imaging, calibration
    return lines, None


def stack(
    key: SliceKey,
    lines: Lines,
    lines_y: int,
    block_cyx: Tensor | None = None,
    notes: list[str] | None = None,
) -> tuple[Tensor, Tensor, float]:
    """Return ``(kspace_cyx, mask_y, dwell_us)`` of some lines; repeats of a line are averaged by scan
    counter.

    ``block_cyx`` may hold the first of the lines of every row already, and becomes ``kspace_cyx``. Lines that cannot be
    used are left out of the mask, and ``notes`` gains what is to be said of them.
    """
    first = next(iter(lines.values()))[0]
    coils, samples = first.data_cx.shape
    kspace_cyx = block_cyx
    if kspace_cyx is None:
        kspace_cyx = torch.zeros((coils, lines_y, samples), dtype=torch.complex64)
    mask_y = torch.zeros(lines_y, dtype=torch.bool)
    dwells = {readout.dwell_us for readouts in lines.values() for readout in readouts}
    shapes = {tuple(readout.data_cx.shape) for readouts in lines.values() for readout in readouts}
    if len(dwells) > 1 or len(shapes) > 1:
        raise DataError(
            f"dwell times of {sorted(dwells)} us and lines of (coils, samples) {sorted(shapes)} in {key}",
            "one dwell time and one receive configuration inside a slice",
            "split the raw file into scans of one bandwidth",
        )
    for row, readouts in lines.items():
        if len(readouts) > 1:
            ordered = sorted(readouts, key=_scan_order)
            total_cx = ordered[0].data_cx.clone()
            for readout in ordered[1:]:
                total_cx += readout.data_cx
            kspace_cyx[:, row] = total_cx / len(ordered)
        elif block_cyx is None:
            kspace_cyx[:, row] = readouts[0].data_cx
        mask_y[row] = True
    if block_cyx is not None:
        block_cyx[:, ~mask_y] = 0  # rows of a reference scan, which are not part of the image
    said = leave_out_unusable(key, kspace_cyx, mask_y, lines)
    if notes is not None:
        notes += said
    return kspace_cyx, mask_y, dwells.pop()


def _scan_order(readout: Readout) -> tuple[int, int, int, int, bytes]:
    """Sort repeats of a line as they were acquired; by their bytes where a converter left all counters
    equal."""
    head = readout.head
    data = readout.data_cx.numpy().tobytes()
    return (
        int(head.scan_counter),
        int(head.acquisition_time_stamp),
        int(head.idx.average),
        int(head.idx.segment),
        data,
    )


def nearest_to_centre(lines: Lines, centre_row: int) -> Readout:
    """Return the readout whose header speaks for the slice: nearest to the k-space centre, first of its
    repeats."""
    row = min(lines, key=lambda found: (abs(found - centre_row), found))
    return min(lines[row], key=_scan_order)


def one_sided(mask_y: Tensor) -> tuple[int, int] | None:
    """Return first and last sampled row if one side of k-space was left out by far more than the sampling skips.

    That is a partial Fourier acquisition. Variable-density sampling ends at random distances, but with few lines
    out there: the longer side has to hold at least ``BEYOND`` lines that mirror nothing.
    """
    lines_y = len(mask_y)
    rows = torch.nonzero(mask_y).flatten()
    offsets = rows - lines_y // 2
    before, after = int(-offsets[0]), int(offsets[-1])
    missing = abs(after - before + (1 if lines_y % 2 == 0 else 0))
    widest_gap = int(offsets.diff().max()) if len(offsets) > 1 else lines_y
    beyond = int((offsets.abs() > min(before, after)).sum())
    if missing <= max(lines_y // 16, 3 * widest_gap) or beyond < BEYOND:
        return None
    return int(rows[0]), int(rows[-1])
