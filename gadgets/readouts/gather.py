"""Gathering: hybrid-space lines in any order and interleaving become slices, one after the other.

Averages and segments of a line are averaged, in the order of their scan counters, and slices leave in the
order in which they were completed on the scanner: the pixels are equal for any arrival order. When a slice is
complete:

* LAST_IN_SLICE (of the last average and segment; not in 3-D), LAST_IN_REPETITION or LAST_IN_MEASUREMENT, or all lines of
  the header's limits in a scan without averages: at once, if nothing acquired earlier can still be missing
  (see ``arrival.py``);
* without flags: when the same slice goes on to the next repetition, readouts having arrived in order;
* otherwise at the end of the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import (
    LAST_IN_MEASUREMENT,
    LAST_IN_REPETITION,
    LAST_IN_SLICE,
    Readout,
    SliceKey,
    only_calibration,
)
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.readouts.arrival import Arrival
from smug_recon.gadgets.readouts.assemble import Lines
from smug_recon.gadgets.readouts.calibration_lines import CalibrationLines
from smug_recon.gadgets.readouts.complete_lines import CompleteLines
from smug_recon.gadgets.readouts.last_flags import LastFlags
from smug_recon.gadgets.readouts.slice_end import SliceEnd
from smug_recon.gadgets.readouts.volume import Grid


class Onlooker(Protocol):
    """Who wants to see the lines of a slice while they come (:class:`~smug_recon.gadgets.maps.maps_ahead.MapsAhead`)."""

    def curious(self, lines: int) -> bool:
        """Whether to look at a slice of so many lines."""

    def look(self, key: SliceKey, imaging: Lines, calibration: Lines | None) -> None:
        """See the lines of a slice that have arrived so far, and change none of them."""


@dataclass
class Group:
    """The lines of one slice that have arrived."""

    imaging: Lines = field(default_factory=dict)
    last_counter: int = -1
    closed_at: int | None = None  # counter of the readout that ends it
    superseded: bool = False  # the same slice has gone on to the next repetition
    block_cnx: Tensor | None = None  # of a 3-D scan: the lines themselves, in place


def gather(
    items: Iterable[Any],
    plan: Plan,
    arrival: Arrival,
    end: SliceEnd,
    report: Report,
    onlooker: Onlooker | None = None,
) -> Iterator[Any]:
    """Collect readouts and yield the :class:`CompleteLines` of each slice as soon as they are; foreign items pass through.

    ``onlooker`` is shown the lines of every slice as they come.

    Raises:
        DataError: a line outside the encoded matrix, a change of coil or sample count, a line that comes
        after its slice.
    """
    gatherer = Gatherer(plan, arrival, end, report, onlooker)
    for item in items:
        if isinstance(item, Readout):
            gatherer.add(item)
            for key in gatherer.complete():
                yield gatherer.release(key)
        else:
            yield item
    for key in gatherer.remaining():
        yield gatherer.release(key)
    gatherer.finish()


class Gatherer:
    """The slices under way; a slice that has been released is forgotten except for its key."""

    def __init__(
        self, plan: Plan, arrival: Arrival, end: SliceEnd, report: Report, onlooker: Onlooker | None = None
    ) -> None:
        self.plan, self.arrival, self.end, self.report = plan, arrival, end, report
        self.onlooker = onlooker
        self.groups: dict[SliceKey, Group] = {}
        self.released: set[SliceKey] = set()
        self.last_flags = LastFlags(plan.lines_y, plan.acceleration_y, report)
        self._shape: tuple[int, int] | None = None
        self.grid = Grid(plan.lines_z, plan.lines_y) if plan.lines_z > 1 else None
        self._changing = max(plan.contrasts, plan.phases, plan.repetitions, plan.sets) > 1
        self.calibration = CalibrationLines(self._changing)

    def add(self, readout: Readout) -> None:
        """Put one line where it belongs."""
        head, key = readout.head, SliceKey.of(readout.head)
        row = self._row(readout, key)
        for_maps = only_calibration(head)
        if for_maps and self.plan.calibration != "embedded":
            if key in self.released and not self._changing:
                self.report.warn(
                    f"calibration lines after their slice was reconstructed ({key}) are not used"
                )
                return
            self.calibration.add(key, row, readout)
            return
        if key in self.released:
            raise DataError(
                f"line {head.idx.kspace_encode_step_1} of {key}, which is complete and reconstructed",
                "all lines of a slice before its LAST flag (or before the next repetition)",
                "correct the flags and scan counters in the converter, or leave the LAST flags out",
            )
        samples = (readout.data_cx.shape[0], int(head.number_of_samples))
        if not for_maps:
            self._shape = self._shape or samples
        if not for_maps and samples != self._shape:
            assert self._shape is not None
            raise DataError(
                f"a readout of {samples[0]} coils and {samples[1]} samples in {key}",
                f"{self._shape[0]} coils and {self._shape[1]} samples as in the readouts before it",
                "split the raw file into scans of one receive configuration",
            )
        group = self.groups.setdefault(key, Group())
        if self.grid is not None and row not in group.imaging:
            group.block_cnx = self.grid.store(group.block_cnx, row, readout)
        group.imaging.setdefault(row, []).append(readout)
        group.last_counter = max(group.last_counter, int(head.scan_counter))
        self._close(key, group, readout)
        if self.onlooker is not None and self.onlooker.curious(len(group.imaging)):
            self.onlooker.look(key, group.imaging, self.calibration.of(key))

    def complete(self) -> list[SliceKey]:
        """Return the slices that can leave now, in the order of their last lines."""
        closed = [
            (group.last_counter, key)
            for key, group in self.groups.items()
            if group.closed_at is not None
            and self.arrival.all_before(group.closed_at)
            and (len(group.imaging) == self.end.lines or self.last_flags.believed(len(group.imaging)))
            and (self.plan.calibration != "separate" or self.calibration.all_before(key, group.closed_at))
        ]
        superseded = [(group.last_counter, key) for key, group in self.groups.items() if group.superseded]
        if superseded:
            waiting = [
                g.last_counter for g in self.groups.values() if not g.superseded and g.closed_at is None
            ]
            closed += [entry for entry in superseded if not waiting or entry[0] < min(waiting)]
        return [key for _, key in sorted(set(closed))]

    def remaining(self) -> list[SliceKey]:
        """Return the slices that are left at the end of the stream, in the order of their last lines."""
        return sorted(self.groups, key=lambda key: (self.groups[key].last_counter, key))

    def release(self, key: SliceKey) -> CompleteLines:
        """Hand out the lines of a slice and forget them."""
        group = self.groups.pop(key)
        self.released.add(key)
        self.report.slices += 1
        found = CompleteLines(key, group.imaging, self.calibration.of(key), group.block_cnx, self.grid)
        self.calibration.let_go(key)
        return found

    def finish(self) -> None:
        """Account for calibration lines whose slice never came."""
        if lost := self.calibration.without({key.slice for key in self.released}):
            self.report.warn(f"calibration lines without imaging lines: slices {lost}")

    def _row(self, readout: Readout, key: SliceKey) -> int:
        line, partition = (
            int(readout.head.idx.kspace_encode_step_1),
            int(readout.head.idx.kspace_encode_step_2),
        )
        if self.grid is not None:
            z = partition - self.plan.slab.centre + self.plan.lines_z // 2
            return self.grid.row(z, line - self.plan.centre_y + self.plan.lines_y // 2)
        row = line - self.plan.centre_y + self.plan.lines_y // 2
        if not 0 <= row < self.plan.lines_y:
            low = self.plan.centre_y - self.plan.lines_y // 2
            raise DataError(
                f"phase-encode line {line} in {key}",
                f"lines {low} to {low + self.plan.lines_y - 1} (centre line {self.plan.centre_y})",
                "correct encodedSpace.matrixSize.y or the centre of kspace_encoding_step_1 in the header",
            )
        if partition != 0:
            raise DataError(
                f"partition {partition} in {key}",
                "partition 0: the header describes a 2-D scan",
                "correct encodedSpace.matrixSize.z in the header",
            )
        return row

    def _close(self, key: SliceKey, group: Group, readout: Readout) -> None:
        """Note which slices this readout ends."""
        head = readout.head
        counter, flags, final = int(head.scan_counter), head.flags, self.end.final(head)
        if only_calibration(head):  # the end of a reference scan is not the end of the slice
            return
        self.last_flags.note(head)
        if flags & LAST_IN_SLICE and final and self.grid is None:  # in 3-D it may end a partition
            group.closed_at = counter
        if flags & LAST_IN_MEASUREMENT or (flags & LAST_IN_REPETITION and final):
            for other_key, other in self.groups.items():
                if flags & LAST_IN_MEASUREMENT or other_key.repetition == key.repetition:
                    other.closed_at = counter if other.closed_at is None else other.closed_at
        if self.end.lines is not None and self.grid is None and len(group.imaging) == self.end.lines:
            group.closed_at = group.last_counter
        if self.arrival.in_order:
            for other_key, other in self.groups.items():
                if other_key.slice == key.slice and other_key.repetition < key.repetition:
                    other.superseded = True
