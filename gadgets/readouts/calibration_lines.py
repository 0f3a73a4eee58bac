"""Calibration lines of a scan of their own, kept until the slices that need them have left."""

from __future__ import annotations

from collections.abc import Container

from smug_recon.gadgets.flow.items import Readout, SliceKey
from smug_recon.gadgets.readouts.assemble import Lines


class CalibrationLines:
    """Separate calibration lines by slice.

    ``changing``: the same slice comes again (contrasts, phases, repetitions, sets), and may lean on lines acquired with another.
    """

    def __init__(self, changing: bool) -> None:
        self._changing = changing
        self._lines: dict[SliceKey, Lines] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, key: SliceKey, row: int, readout: Readout) -> None:
        """Keep one line."""
        self._lines.setdefault(key, {}).setdefault(row, []).append(readout)

    def of(self, key: SliceKey) -> Lines | None:
        """Return the lines for a slice: its own, else those of the same slice acquired first."""
        if key in self._lines:
            return self._lines[key]
        same = sorted(other for other in self._lines if other.slice == key.slice)
        same.sort(key=lambda other: (other.contrast != key.contrast, other.set != key.set, other))
        return self._lines[same[0]] if same else None

    def all_before(self, key: SliceKey, counter: int) -> bool:
        """Whether there are lines for a slice, all of them acquired before the readout of that scan counter."""
        lines = self.of(key) or {}
        counters = [int(readout.head.scan_counter) for readouts in lines.values() for readout in readouts]
        return bool(counters) and max(counters) < counter

    def let_go(self, key: SliceKey) -> None:
        """Drop the lines of a slice that has left, except the first of its kind: others may lean on these."""
        if key not in self._lines:
            return
        same = [
            other
            for other in self._lines
            if (other.slice, other.contrast, other.set) == (key.slice, key.contrast, key.set)
        ]
        if not self._changing or key != min(same):
            del self._lines[key]

    def without(self, slices: Container[int]) -> list[int]:
        """Return the numbers of the slices that have lines here and are not among ``slices``."""
        return sorted({key.slice for key in self._lines if key.slice not in slices})
