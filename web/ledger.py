"""The book of sessions that the page shows: those that run, and the last ones that are over."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from smug_recon.scanner.onlookers import Onlooker
from smug_recon.scanner.session import EMPTY
from smug_recon.web.pictures import Pictures
from smug_recon.web.record import Queues, Record, report_file

if TYPE_CHECKING:
    import ismrmrd

    from smug_recon.pipeline import Pipeline
    from smug_recon.scanner.session import Account

PAST = 50
"""Sessions that are over and still listed; what was longer ago is forgotten."""


class Ledger(Onlooker):
    """Keeps a record per session, running and past; without ``pictures`` no image is ever looked at."""

    def __init__(self, pictures: Pictures | None, past: int = PAST) -> None:
        self.pictures = pictures
        self._most = past
        self._lock = threading.Lock()
        self._running: dict[int, Record] = {}
        self._past: OrderedDict[int, Record] = OrderedDict()

    def began(self, account: Account) -> None:
        with self._lock:
            self._running[account.number] = Record(account)

    def opened(self, account: Account, header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> None:
        self._running[account.number].understand(header, pipeline)

    def sent(self, account: Account, image: ismrmrd.Image) -> None:
        if self.pictures is not None:
            self.pictures.offer(account.number, image)

    def ended(self, account: Account) -> None:
        with self._lock:
            record = self._running.pop(account.number)
            if account.outcome == EMPTY:  # a port that was knocked at
                return
            record.freeze()
            self._past[account.number] = record
            gone = self._past.popitem(last=False)[0] if len(self._past) > self._most else None
        if gone is not None and self.pictures is not None:
            self.pictures.forget(gone)

    def running(self) -> list[Record]:
        """Sessions now, by their numbers."""
        with self._lock:
            return sorted(self._running.values(), key=lambda record: record.number)

    def past(self) -> list[Record]:
        """Sessions that are over, the last one first."""
        with self._lock:
            return list(reversed(self._past.values()))

    def find(self, number: int) -> Record | None:
        """A session by its number."""
        with self._lock:
            return self._running.get(number) or self._past.get(number)

    def shown(self, record: Record, queues: Queues) -> dict[str, Any]:
        """A session with its pictures."""
        held = self.pictures.of(record.number) if self.pictures is not None else []
        left_out = self.pictures.left_out(record.number) if self.pictures is not None else 0
        report = self.pictures is not None and report_file(record.account) is not None
        return {**record.data(queues), "pictures": held, "not_pictured": left_out, "report": report}
