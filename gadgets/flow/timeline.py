"""When what ran: seconds per stage, and counts of events, in equal intervals of the session; bounded however long it is."""

from __future__ import annotations

import threading
from typing import Any

BINS = 240
"""Intervals that are kept; they double in length when the session outgrows them."""
FIRST_WIDTH_S = 0.005


class Timeline:
    """Intervals of ``width_s`` from ``origin_s`` on, in seconds of one clock."""

    def __init__(self, origin_s: float, bins: int = BINS, width_s: float = FIRST_WIDTH_S) -> None:
        self.origin_s, self.bins, self.width_s = origin_s, bins, width_s
        self.end_s = 0.0
        self._lock = threading.Lock()
        self.seconds: dict[str, list[float]] = {}
        self.events: dict[str, list[float]] = {}

    def add(self, name: str, began: float, ended: float) -> None:
        """Something ran: its seconds are shared out to the intervals that it touched."""
        start, stop = max(began - self.origin_s, 0.0), ended - self.origin_s
        if stop > start:
            with self._lock:
                self._share_out(name, start, stop)

    def _share_out(self, name: str, start: float, stop: float) -> None:
        self._reach(stop)
        row = self.seconds.get(name)
        if row is None:
            row = self.seconds[name] = [0.0] * self.bins
        first, last = int(start / self.width_s), min(int(stop / self.width_s), self.bins - 1)
        if first >= last:
            row[last] += stop - start
            return
        row[first] += (first + 1) * self.width_s - start
        for number in range(first + 1, last):
            row[number] += self.width_s
        row[last] += stop - last * self.width_s

    def count(self, name: str, at: float, number: int = 1) -> None:
        """Something happened, so many times."""
        after = max(at - self.origin_s, 0.0)
        with self._lock:
            self._reach(after)
            row = self.events.setdefault(name, [0.0] * self.bins)
            row[min(int(after / self.width_s), self.bins - 1)] += number

    def as_dict(self) -> dict[str, Any]:
        """Return the intervals as plain data, those after the end left out."""
        used = min(self.bins, int(self.end_s / self.width_s) + 1)
        return {
            "width_s": self.width_s,
            "end_s": round(self.end_s, 6),
            "seconds": {name: [round(v, 6) for v in row[:used]] for name, row in self.seconds.items()},
            "events": {name: [int(v) for v in row[:used]] for name, row in self.events.items()},
        }

    def _reach(self, after_s: float) -> None:
        self.end_s = max(self.end_s, after_s)
        while after_s > self.bins * self.width_s:
            self.width_s *= 2
            for rows in (self.seconds, self.events):
                for name, row in rows.items():
                    halves = [a + b for a, b in zip(row[::2], row[1::2], strict=True)]
                    rows[name] = halves + [0.0] * (self.bins - len(halves))
