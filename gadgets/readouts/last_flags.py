"""Whether LAST flags can be believed: some consoles set them on every line of the last slice or repetition.

A flag is one of many if it comes twice for the same slice, average and segment. A slice that would end with
far fewer lines than its acceleration leaves has not ended. From then on the flags of this scan are not
followed; its slices wait for the next repetition or for the end of the stream.
"""

from __future__ import annotations

from collections.abc import Hashable

import ismrmrd

from smug_recon.gadgets.flow.items import LAST_IN_REPETITION, LAST_IN_SLICE, SliceKey
from smug_recon.gadgets.flow.timing import Report

#: a slice has at least this share of the lines that its acceleration leaves (partial Fourier, random sampling)
FEWEST = 0.4


class LastFlags:
    """Keeps account of the LAST flags of a stream."""

    def __init__(self, rows: int, acceleration: float, report: Report) -> None:
        self._fewest = FEWEST * rows / max(acceleration, 1.0)
        self._seen: set[Hashable] = set()
        self._report = report
        self.doubtful = False

    def note(self, head: ismrmrd.AcquisitionHeader) -> None:
        """Note the flags of an imaging line."""
        key, turn = SliceKey.of(head), (int(head.idx.average), int(head.idx.segment))
        for bit, of in ((LAST_IN_SLICE, key), (LAST_IN_REPETITION, key.repetition)):
            if head.flags & bit:
                if (bit, of, turn) in self._seen:
                    self._doubt("on several lines of it")
                self._seen.add((bit, of, turn))

    def believed(self, lines: int) -> bool:
        """Whether a slice with so many lines may have ended."""
        if lines < self._fewest:
            self._doubt(f"after {lines} lines")
        return not self.doubtful

    def _doubt(self, why: str) -> None:
        if not self.doubtful:
            self._report.warn(f"LAST flags end a slice {why}: they are not followed in this scan")
        self.doubtful = True
