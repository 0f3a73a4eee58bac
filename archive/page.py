"""The index page: all scans with thumbnails, warnings, fallbacks and failures; plain files that work without a network.

Every ``ROWS`` scans make a page (``index.html``, ``index-2.html``, ...), so that neither the browser nor this process has to
hold all of a large archive.
"""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import quote

from smug_recon.archive.record import DONE, FAILED, Record
from smug_recon.archive.results import SCANS, Results
from smug_recon.pages.document import document

INDEX = "index.html"
ROWS = 500
MOST_FAILURES = 100
"""Failed scans that are listed on top of the first page."""


class Pages:
    """Takes the records in order, a batch at a time, and writes a page whenever one is full."""

    def __init__(self, results: Results, rows: int = ROWS) -> None:
        self._results, self._size = results, rows
        self._waiting: list[Record] = []
        self._first: list[Record] = []
        self._failures: list[Record] = []
        self._written = 0
        self.counts = {"scans": 0, "images": 0, "fallbacks": 0, "failed": 0, "warned": 0}

    def add(self, records: list[Record]) -> None:
        """Count records; write the pages that are full and have another behind them."""
        for record in records:
            self.counts["scans"] += 1
            self.counts["images"] += record.images
            self.counts["fallbacks"] += record.fallbacks
            self.counts["warned"] += bool(record.warnings)
            if record.status == FAILED:
                self.counts["failed"] += 1
                if len(self._failures) < MOST_FAILURES:
                    self._failures.append(record)
        self._waiting += records
        while len(self._waiting) > self._size:
            self._page(self._waiting[: self._size], last=False)
            del self._waiting[: self._size]

    def finish(self) -> None:
        """Write the last page, then the first one, which tells of all."""
        self._page(self._waiting, last=True)
        self._render(1, self._first, last=self._written == 1)

    def _page(self, records: list[Record], last: bool) -> None:
        self._written += 1
        if self._written == 1:
            self._first = records
        else:
            self._render(self._written, records, last)

    def _render(self, number: int, records: list[Record], last: bool) -> None:
        text = rendered(
            number=number,
            size=self._size,
            rows=[shown(record) for record in records],
            failures=[shown(record) for record in self._failures] if number == 1 else [],
            counts=self.counts if number == 1 else None,
            before=name_of(number - 1) if number > 1 else None,
            after=None if last else name_of(number + 1),
        )
        self._results.write(name_of(number), text.encode())


def name_of(number: int) -> str:
    """The file of a page."""
    return INDEX if number == 1 else f"index-{number}.html"


def shown(record: Record) -> dict[str, Any]:
    """A row of the page."""
    place = quote(posixpath.join(SCANS, record.path))
    return {
        "path": record.path,
        "state": "failed" if record.status == FAILED else "fallback" if record.fallbacks else "done",
        "thumb": f"{place}/thumb.png" if record.status == DONE else None,
        "log": f"{place}/node.log",
        "images": record.images,
        "fallbacks": record.fallbacks,
        "reasons": list(record.fallback_reasons),
        "warnings": record.warnings,
        "more": record.warnings_more,
        "cut": record.cut,
        "reason": record.reason,
        "seconds": record.seconds,
    }


def rendered(**values: Any) -> str:
    """A page as text."""
    return document("smug_recon.archive", "index", values)
