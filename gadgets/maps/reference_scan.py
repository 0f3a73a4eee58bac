"""The external reference scan: calibration lines of another resolution, field of view or contrast.

Such lines stand in an encoding space of their own (``encoding_space_ref``), or in that of the image under the
calibration mode ``external``. They are taken out of the stream and never reach the image; where a slice has
fewer calibration lines of its own, they are regridded to its field of view and serve the coil maps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np
from torch import Tensor

from smug_recon.calibration import calibration_lines
from smug_recon.errors import DataError, HeaderError
from smug_recon.gadgets.flow.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOISE, Slice, SliceKey, Volume
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header import encoding
from smug_recon.gadgets.header.partitions import partitions
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.calibration_box import calibration_box, sides
from smug_recon.gadgets.maps.reference_lines import (
    ReferenceLines,
    Space,
    calibration_of_slice,
    grid_of,
    offset_mm,
)
from smug_recon.gadgets.maps.reference_slab import calibration_of_slab

log = logging.getLogger(__name__)

NOTE = "coil maps from an external reference scan"


def spaces_of(header: ismrmrd.xsd.ismrmrdHeader, plan: Plan, report: Report) -> dict[int, Space]:
    """Return the encodings that reference lines of a scan may stand in, by ``encoding_space_ref``.

    The reference scan of a 3-D scan is 3-D, that of a 2-D scan 2-D; another one is passed on, which is said.
    """
    own = Space(
        plan.encoded_xyz[0], plan.lines_y, *plan.encoded_fov_mm, plan.centre_y, plan.lines_z, plan.slab.centre
    )
    found = {0: own} if plan.calibration == "external" else {}
    for number, other in enumerate(header.encoding[1:], start=1):
        try:
            (size_x, size_y, size_z), fov_mm = encoding.matrix_and_fov(other.encodedSpace, "encodedSpace")
            encoding.check_trajectory(other)
            centre = encoding.centre_line(other.encodingLimits, size_y, [])
            space = ((size_x, size_y, size_z), fov_mm)
            slab = partitions(space, space, other.encodingLimits, [])
        except HeaderError as error:
            log.info("encoding %d: %s", number, error)
            continue
        if (slab.encoded > 1) == (plan.lines_z > 1):
            found[number] = Space(size_x, size_y, *fov_mm, centre, slab.encoded, slab.centre)
        else:
            kinds = ("2-D", "3-D") if slab.encoded == 1 else ("3-D", "2-D")
            report.warn(
                f"encoding {number} is {kinds[0]}: its lines are not used for the coil maps of this {kinds[1]} scan"
            )
    return found


class ReferenceScan:
    """The reference lines of a stream by slice, and the calibration lines that slices get from them."""

    def __init__(self, header: ismrmrd.xsd.ismrmrdHeader, plan: Plan, report: Report) -> None:
        self.plan, self.report = plan, report
        self.spaces = spaces_of(header, plan, report)
        self._lines: dict[tuple[int, SliceKey], ReferenceLines] = {}
        self._settled = False
        self._before: set[SliceKey] = set()  # slices that were complete before the first reference line

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
                key, idx = (int(item.encoding_space_ref), SliceKey.of(item.getHead())), item.idx
                partition = int(idx.kspace_encode_step_2) if self.spaces[key[0]].lines_z > 1 else 0
                step = partition, int(idx.kspace_encode_step_1)
                self._lines.setdefault(key, {}).setdefault(step, []).append(item)

    def settle(self, key: SliceKey) -> None:
        """A slice is complete: it gets the reference lines that have arrived, later ones come too late."""
        if self._lines:
            self._settled = True
        else:
            self._before.add(key)

    def attach(self, items: Iterable[Any]) -> Iterator[Any]:
        """Give every slice the regridded reference lines if they are more than its own calibration lines."""
        for item in items:
            if isinstance(item, Slice) and item.key not in self._before and self._lines:
                self._settled = True
                self._serve(item)
            yield item

    def _serve(self, item: Slice) -> None:
        found = self._nearest(item)
        if found is None:
            return
        if isinstance(item, Volume) != (self.plan.lines_z > 1):
            self.report.warn("the reference scan of a slab is not used for one partition of it")
            return
        (number, _), lines = found
        space = self.spaces[number]
        grid = grid_of(lines, space, item, self.plan, self.report)
        if grid is None:
            return
        make = calibration_of_slab if isinstance(item, Volume) else calibration_of_slice
        made = make(lines, space, grid, self.report)
        if made is None or usable(made[1], self.plan, isinstance(item, Volume)) <= own_lines(item, self.plan):
            return
        item.calibration_cyx, item.calibration_mask_y = made
        item.calibration_dwell_us = float(next(iter(lines.values()))[0].sample_time_us)
        item.notes.append(NOTE)

    def _nearest(self, item: Slice) -> tuple[tuple[int, SliceKey], ReferenceLines] | None:
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


def own_lines(item: Slice, plan: Plan) -> int:
    """Return how many calibration lines a slice has of its own."""
    mask_y = item.mask_y if item.calibration_mask_y is None else item.calibration_mask_y
    return usable(mask_y, plan, isinstance(item, Volume))


def usable(mask_y: Tensor, plan: Plan, slab: bool) -> int:
    """Return the contiguous lines about the k-space centre, as many as the coil maps use; the shorter side of the box
    in a slab.
    """
    widest = plan.pipeline.coil_maps.calibration_width
    if slab:
        box = calibration_box(mask_y.reshape(plan.lines_z, plan.lines_y), widest)
        return 0 if box is None else min(sides(box))
    try:
        start, stop = calibration_lines(mask_y, minimum=1, maximum=widest)
    except DataError:
        return 0
    return stop - start
