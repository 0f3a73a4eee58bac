"""Whether the images of a scan have as many lines as each other: a scan that ends in mid-slice leaves one that has not."""

from __future__ import annotations

from smug_recon.gadgets.flow.items import Slice, SliceKey
from smug_recon.gadgets.flow.timing import Report

NOTICED = 0.9
"""Share of the lines of the fullest image below which an image is called incomplete."""


class Completeness:
    """Keeps the number of sampled lines of every image that has left; says which have too few."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lines: dict[SliceKey, int] = {}
        self._said: set[SliceKey] = set()

    def look(self, item: Slice) -> None:
        """Put a warning on an image that has fewer lines than one before it."""
        lines = int(item.mask_y.sum())
        most = max(self._lines.values(), default=0)
        self._lines[item.key] = lines
        if lines < NOTICED * most:
            self._said.add(item.key)
            item.notes.append(f"WARNING: incomplete: {lines} lines, other images of this scan have {most}")

    def finish(self) -> None:
        """Name the images that have left already and turned out to have fewer lines than those after them."""
        most = max(self._lines.values(), default=0)
        for key, lines in self._lines.items():
            if lines < NOTICED * most and key not in self._said:
                self._report.warn(f"incomplete: {key}: {lines} lines, other images of this scan have {most}")
