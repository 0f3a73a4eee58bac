"""The external reference scan: calibration lines of another resolution, field of view or contrast.

Such lines stand in an encoding space of their own (``encoding_space_ref``), or in that of the image under the
calibration mode ``external``. They are taken out of the stream and never reach the image; where a slice has
fewer calibration lines of its own, they are regridded to its field of view and serve the coil maps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.calibration import calibration_lines
from smug_recon.errors import DataError, HeaderError
from smug_recon.gadgets import encoding
from smug_recon.gadgets.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOISE, Slice, SliceKey
from smug_recon.gadgets.oversampling import placed
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.regrid import Axis, image_waves, reach, regridded
from smug_recon.gadgets.timing import Report

log = logging.getLogger(__name__)

NOTE = "coil maps from an external reference scan"
#: cosine between the directions of reference and image below which they count as different
PARALLEL = 0.999


@dataclass(frozen=True)
class Space:
    """The encoding of reference lines: matrix, field of view, line of the k-space centre."""

    encoded_x: int
    lines_y: int
    fov_x_mm: float
    fov_y_mm: float
    thickness_mm: float
    centre_y: int


def spaces_of(header: ismrmrd.xsd.ismrmrdHeader, plan: Plan, report: Report) -> dict[int, Space]:
    """Return the encodings that reference lines of a 2-D scan may stand in, by ``encoding_space_ref``."""
    if plan.encoded_xyz[2] > 1:
        if plan.calibration == "external":
            report.warn(
                "the external reference scan of a 3-D scan is passed on: the maps come from the scan itself"
            )
        return {}
    own = Space(plan.encoded_xyz[0], plan.lines_y, *plan.encoded_fov_mm, plan.centre_y)
    found = {0: own} if plan.calibration == "external" else {}
    for number, other in enumerate(header.encoding[1:], start=1):
        try:
            (size_x, size_y, size_z), fov_mm = encoding.matrix_and_fov(other.encodedSpace, "encodedSpace")
            encoding.check_trajectory(other)
            centre = encoding.centre_line(other.encodingLimits, size_y, [])
        except HeaderError as error:
            log.info("encoding %d: %s", number, error)
            continue
        if size_z == 1:
            found[number] = Space(size_x, size_y, *fov_mm, centre)
        else:
            report.warn(
                f"encoding {number} is 3-D: its lines are not used for the coil maps of this 2-D scan"
            )
    return found


class ReferenceScan:
    """The reference lines of a stream by slice, and the calibration lines that slices get from them."""

    def __init__(self, header: ismrmrd.xsd.ismrmrdHeader, plan: Plan, report: Report) -> None:
        self.plan, self.report = plan, report
        self.spaces = spaces_of(header, plan, report)
        self._lines: dict[tuple[int, SliceKey], dict[int, list[ismrmrd.Acquisition]]] = {}
        self._settled = False

    def is_reference(self, head: Any) -> bool:
        """Whether a readout belongs to an external reference scan."""
        return is_reference(int(head.flags), int(head.encoding_space_ref), self.plan, self.spaces)

    def collect(self, items: Iterable[Any]) -> Iterator[Any]:
        """Take the reference lines out of the stream and pass everything else on."""
        for item in items:
            if not isinstance(item, ismrmrd.Acquisition) or not self.is_reference(item):
                yield item
            elif self._settled:
                self.report.warn("reference lines after the first complete slice are not used")
            else:
                key = (int(item.encoding_space_ref), SliceKey.of(item.getHead()))
                step = int(item.idx.kspace_encode_step_1)
                self._lines.setdefault(key, {}).setdefault(step, []).append(item)

    def attach(self, items: Iterable[Any]) -> Iterator[Any]:
        """Give every slice the regridded reference lines if they are more than its own calibration lines."""
        for item in items:
            if isinstance(item, Slice) and self._lines:
                self._settled = True
                self._serve(item)
            yield item

    def _serve(self, item: Slice) -> None:
        found = self._nearest(item)
        if found is None:
            return
        (number, _), lines = found
        made = calibration_of(lines, self.spaces[number], item, self.plan, self.report)
        if made is None or usable(made[1], self.plan) <= own_lines(item, self.plan):
            return
        item.calibration_cyx, item.calibration_mask_y = made
        item.calibration_dwell_us = float(next(iter(lines.values()))[0].sample_time_us)
        item.notes.append(NOTE)

    def _nearest(
        self, item: Slice
    ) -> tuple[tuple[int, SliceKey], dict[int, list[ismrmrd.Acquisition]]] | None:
        """Return the reference lines at the position of a slice: nearest along its normal, first counters."""

        def distance_mm(key: tuple[int, SliceKey]) -> float:
            head = next(iter(self._lines[key].values()))[0].getHead()
            return abs(float(np.dot(offset_mm(item.head, head), np.asarray(item.head.slice_dir))))

        placed_slices = any(item.head.position)  # else slices are told apart by number alone
        near = [key for key in self._lines if placed_slices or key[1].slice == item.key.slice]
        if not near:
            return None
        best = min(near, key=lambda key: (round(distance_mm(key), 2), key[1].slice != item.key.slice, key))
        within = max(self.spaces[best[0]].thickness_mm, self.plan.encoded_fov_mm[2])
        if distance_mm(best) > within:
            self.report.warn("a reference scan of other slice positions is not used")
            return None
        return best, self._lines[best]


def is_reference(flags: int, space: int, plan: Plan, spaces: dict[int, Space]) -> bool:
    """Whether a readout with these flags, in this encoding space, belongs to an external reference scan."""
    if space not in spaces or flags & NOISE:
        return False
    if space == 0:  # under the calibration mode "external" alone
        return bool(flags & CALIBRATION) and not flags & CALIBRATION_AND_IMAGING
    return bool(flags & (CALIBRATION | CALIBRATION_AND_IMAGING)) or plan.calibration == "external"


def calibration_of(
    lines: dict[int, list[ismrmrd.Acquisition]], space: Space, item: Slice, plan: Plan, report: Report
) -> tuple[Tensor, Tensor] | None:
    """Return ``(calibration_cyx, mask_y)`` of reference lines on the grid of a slice, None if they do not fit.

    Raises:
        DataError: reference lines of different numbers of samples, or samples outside their encoded matrix.
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
    shift_x = float(np.dot(shift_mm, np.asarray(head.read_dir)))
    shift_y = float(np.dot(shift_mm, np.asarray(head.phase_dir)))
    axis_x = Axis(plan.readout_x, plan.encoded_fov_mm[0] / plan.encoded_xyz[0])
    axis_y = Axis(plan.lines_y, plan.encoded_fov_mm[1] / plan.lines_y)
    if space.fov_y_mm < 0.99 * axis_y.fov_mm or space.fov_x_mm < 0.99 * axis_x.fov_mm:
        report.warn("the field of view of the reference scan is smaller than that of the image")
    rows, kspace_cyx = stacked(lines, space)
    first, last = block(rows, report)
    chosen = [at for at, row in enumerate(rows) if first <= row <= last]
    if not chosen:
        return None
    place = placed(head, space.encoded_x, space.encoded_x)
    steps_x = torch.arange(place.start, place.stop) - place.grid_x // 2
    fov_x_mm = space.fov_x_mm * place.grid_x / space.encoded_x
    waves_yj = image_waves(torch.tensor(rows)[chosen], space.fov_y_mm, axis_y, shift_y)
    waves_xi = image_waves(steps_x, fov_x_mm, axis_x, shift_x)
    return regridded(kspace_cyx[:, chosen], waves_yj, waves_xi, reach(first, last, space.fov_y_mm, axis_y))


def stacked(lines: dict[int, list[ismrmrd.Acquisition]], space: Space) -> tuple[list[int], Tensor]:
    """Return the rows (0 at the k-space centre) in order, and their samples (c, rows, x), repeats averaged."""
    steps = sorted(lines)
    centre = space.centre_y if steps[0] <= space.centre_y <= steps[-1] else _brightest(lines)
    blocks = []
    for step in steps:
        readouts = sorted(lines[step], key=lambda r: (int(r.scan_counter), np.asarray(r.data).tobytes()))
        total_cx = sum(_samples(readout, space) for readout in readouts) / len(readouts)
        blocks.append(total_cx)
    return [step - centre for step in steps], torch.from_numpy(np.stack(blocks, 1))


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


def own_lines(item: Slice, plan: Plan) -> int:
    """Return how many calibration lines a slice has of its own."""
    if item.calibration_mask_y is not None:
        return usable(item.calibration_mask_y, plan)
    return usable(item.mask_y, plan)


def usable(mask_y: Tensor, plan: Plan) -> int:
    """Return the contiguous lines about the k-space centre, as many as the coil maps use."""
    try:
        start, stop = calibration_lines(mask_y, minimum=1, maximum=plan.pipeline.coil_maps.calibration_width)
    except DataError:
        return 0
    return stop - start


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


def _brightest(lines: dict[int, list[ismrmrd.Acquisition]]) -> int:
    """Return the line with the most signal: the k-space centre where the header does not tell it."""
    return max(lines, key=lambda step: float(np.linalg.norm(np.asarray(lines[step][0].data))))
