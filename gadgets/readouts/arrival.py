"""When is a slice complete? What the scan counters say about lines that may still be under way.

A LAST flag says that no later line belongs to a slice; it does not say that all earlier lines have arrived.
Two facts do:

* the counters from 0 up to the flagged line have all arrived (true for any arrival order), or
* the readouts have arrived in strictly increasing order so far (a scanner; eight in order by chance are 1 in
  40320).

Where neither holds (shuffled and incomplete counters, or no counters at all) slices wait for the end of the
stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd

from smug_recon.gadgets.flow.items import NOISE

#: readouts that must have arrived in order before the order is believed
ENOUGH = 8


class Arrival:
    """Keeps account of the scan counters that have arrived."""

    def __init__(self) -> None:
        self._next_missing = 0
        self._ahead: set[int] = set()
        self._repeated = False
        self._in_order = True
        self._count = 0
        self._highest = -1

    def watch(self, items: Iterable[Any]) -> Iterator[Any]:
        """Pass all items on, noting the counters of the readouts among them."""
        for item in items:
            if isinstance(item, ismrmrd.Acquisition):
                self.note(int(item.scan_counter), noise=bool(item.flags & NOISE))
            yield item

    def note(self, counter: int, noise: bool = False) -> None:
        """Note one readout; a noise scan may have counters of its own and does not disturb the order."""
        if counter < self._next_missing or counter in self._ahead:
            self._repeated = True
        self._ahead.add(counter)
        while self._next_missing in self._ahead:
            self._ahead.discard(self._next_missing)
            self._next_missing += 1
        if not noise:
            self._in_order = self._in_order and counter > self._highest
            self._highest = max(self._highest, counter)
            self._count += 1

    @property
    def in_order(self) -> bool:
        """Whether the readouts have arrived in strictly increasing order, enough of them to believe it."""
        return self._in_order and self._count >= ENOUGH

    def all_before(self, counter: int) -> bool:
        """Whether nothing that was acquired up to ``counter`` can still be missing."""
        return self.in_order or (not self._repeated and counter < self._next_missing)
