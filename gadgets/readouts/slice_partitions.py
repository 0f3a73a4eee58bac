"""Partitions of a 3-D scan that a converter counted in ``idx.slice``, with ``kspace_encode_step_2`` left at 0.

A header whose encoded matrix z is above 1, without limits of several partitions, may mean a slab or a stack of slices.
Slices of a stack have positions of their own; partitions have one in common, and nearly all signal in the middle of
k-space. Where that is certain the counters are put right, where it is certain that it is a stack nothing changes, and
what is neither is refused: a Fourier transform along slices, or none along partitions, would be a wrong image.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import NOISE, not_imaging, only_calibration
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan, build_plan
from smug_recon.gadgets.readouts.arrival import Arrival

#: energy of the brightest over the median: above the first it is k-space, below the second it is a stack of slices
CONCENTRATED, FLAT = 10.0, 5.0
SAME_MM = 1e-2
SAID = "the partitions are counted in idx.slice, at one position: taken as the {} partitions of a 3-D scan"
EXPECTED = "partitions counted in kspace_encode_step_2, or slices at positions of their own"
REMEDY = "correct the counters, the positions or encodedSpace.matrixSize.z in the converter"


def doubtful(header: ismrmrd.xsd.ismrmrdHeader) -> int:
    """Return the encoded matrix z if it is above 1 and no limits of several partitions stand beside it, else 0."""
    first = header.encoding[0]
    step = getattr(first.encodingLimits, "kspace_encoding_step_2", None)
    size_z = int(first.encodedSpace.matrixSize.z)
    return size_z if size_z > 1 and (step is None or not step.maximum) else 0


def as_slab(
    header: ismrmrd.xsd.ismrmrdHeader, plan: Plan, centre: int
) -> tuple[ismrmrd.xsd.ismrmrdHeader, Plan]:
    """Return header and plan of the same scan, with the partitions where they belong."""
    header = copy.deepcopy(header)
    first = header.encoding[0]
    size_z = int(first.encodedSpace.matrixSize.z)
    if first.encodingLimits is None:
        first.encodingLimits = ismrmrd.xsd.encodingLimitsType()
    limits, limit = first.encodingLimits, ismrmrd.xsd.limitType
    limits.kspace_encoding_step_2 = limit(minimum=0, maximum=size_z - 1, center=centre)
    limits.slice = limit(minimum=0, maximum=0, center=0)
    return header, build_plan(header, plan.pipeline)


def put_right(
    items: Iterable[Any],
    plan: Plan,
    header: ismrmrd.xsd.ismrmrdHeader,
    report: Report,
    arrival: Arrival | None = None,
) -> tuple[Iterator[Any], Plan, ismrmrd.xsd.ismrmrdHeader]:
    """Return items, plan and header, read ahead only as far as a doubtful header makes it necessary.

    Raises:
        DataError: slices at one position that are neither certainly partitions nor certainly slices; partitions that no
        counter tells apart.
    """
    size_z = doubtful(header)
    if not size_z:
        return iter(items), plan, header
    items, look = iter(items), Look()
    held: deque[tuple[Any, bool | None]] = deque()
    for item in items:
        held.append((item, getattr(arrival, "whole", None)))
        if isinstance(item, ismrmrd.Acquisition) and look.sees_a_stack_or_a_slab(item):
            break
    else:
        if look.judged(size_z):
            report.warn(SAID.format(size_z))
            header, plan = as_slab(header, plan, look.brightest)
            return _released(held, arrival, recount=True), plan, header
    return itertools.chain(_released(held, arrival), items), plan, header


def _released(
    held: deque[tuple[Any, bool | None]], arrival: Arrival | None, recount: bool = False
) -> Iterator[Any]:
    """Let the items go one by one, with what ``arrival`` said at each of them."""
    while held:
        item, whole = held.popleft()
        if whole is not None:
            arrival.whole = whole  # type: ignore[union-attr]
        if recount and isinstance(item, ismrmrd.Acquisition) and is_image_line(item):
            item.idx.kspace_encode_step_2, item.idx.slice = item.idx.slice, 0
        yield item


def is_image_line(item: ismrmrd.Acquisition) -> bool:
    """Whether a readout stands in the encoding space of the image, and is no noise."""
    return not item.flags & NOISE and not_imaging(item) is None


class Look:
    """What the readouts that have been read ahead say."""

    def __init__(self) -> None:
        self.energies: dict[int, float] = {}
        self.repeats: Counter[tuple[int, ...]] = Counter()
        self.position: np.ndarray | None = None

    def sees_a_stack_or_a_slab(self, item: ismrmrd.Acquisition) -> bool:
        """Note a readout; true as soon as it is clear that the counters are right."""
        if not is_image_line(item):
            return False
        idx, position = item.idx, np.asarray(item.position, float)
        if idx.kspace_encode_step_2:
            return True
        self.position = position if self.position is None else self.position
        if np.abs(position - self.position).max() > SAME_MM:
            return True
        energy = float(np.square(np.abs(item.data)).sum())
        self.energies[int(idx.slice)] = self.energies.get(int(idx.slice), 0.0) + energy
        if not only_calibration(item):
            counters = (idx.kspace_encode_step_1, idx.slice, idx.contrast, idx.phase, idx.repetition, idx.set)
            self.repeats[tuple(map(int, counters))] += 1
        return False

    @property
    def brightest(self) -> int:
        """The slice number with most signal."""
        return max(self.energies, key=lambda number: self.energies[number])

    def judged(self, size_z: int) -> bool:
        """Whether all that has been read is a slab; false for a slice or a stack of them."""
        if not self.energies:
            return False
        found = len(self.energies)
        if found == 1:
            repeats = max(self.repeats.values(), default=1)
            if repeats % size_z == 0:
                raise DataError(
                    f"lines acquired {repeats} times in partition 0 of an encoded matrix of z {size_z}",
                    EXPECTED,
                    REMEDY,
                )
            return False
        contrast = max(self.energies.values()) / max(float(np.median([*self.energies.values()])), 1e-30)
        central = abs(self.brightest - size_z // 2) <= 1 and max(self.energies) < size_z
        if found == size_z and central and contrast >= CONCENTRATED:
            return True
        assert self.position is not None
        if not self.position.any() and contrast < FLAT:  # a stack whose positions are not filled in
            return False
        raise DataError(
            f"{found} slices at one position beside an encoded matrix of z {size_z} (most signal in slice "
            f"{self.brightest}, {contrast:.1f} times the median)",
            EXPECTED,
            REMEDY,
        )


def of_heads(
    heads: np.ndarray, plan: Plan, header: ismrmrd.xsd.ismrmrdHeader | None
) -> tuple[np.ndarray, Plan]:
    """The same for a table of acquisition headers, as far as it can be told without samples.

    Raises:
        DataError: slices at one position, filled in, that are not as many as the encoded matrix z; partitions that no
        counter tells apart.
    """
    size_z = 0 if header is None else doubtful(header)
    image = (heads["flags"] & np.uint64(NOISE) == 0) & (heads["encoding_space_ref"] == 0)
    lines = heads[image]
    if not size_z or len(lines) == 0 or lines["idx"]["kspace_encode_step_2"].any():
        return heads, plan
    positions, slices = lines["position"], np.unique(lines["idx"]["slice"])
    if np.abs(positions - positions[0]).max() > SAME_MM or len(slices) == 1:
        return heads, plan
    if len(slices) != size_z:
        if not positions.any():
            return heads, plan
        raise DataError(
            f"{len(slices)} slices at one position beside an encoded matrix of z {size_z}", EXPECTED, REMEDY
        )
    assert header is not None
    heads = heads.copy()
    heads["idx"]["kspace_encode_step_2"][image] = lines["idx"]["slice"]
    heads["idx"]["slice"][image] = 0
    return heads, as_slab(header, plan, size_z // 2)[1]
