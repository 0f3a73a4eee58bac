"""The book of storage commitment: what the peer was asked to keep, and what it answered."""

from __future__ import annotations

import time
from collections.abc import Sequence

from smug_recon.pacs.queue import ASIDE, ASKING, COMMITTED, STORED, WAITING, Job, Queue

MOST_ASKS = 5
MISSING = 0x0112
NO_MEANS = (0x0110, 0x0131, 0x0213)
"""Failure reasons of PS3.4 J.3.2.2: no such instance; processing failure, duplicate transaction, resource limitation."""


class Promises:
    """Requests for commitment to one peer, kept in the queue so that they outlive the process."""

    def __init__(self, queue: Queue, peer: str) -> None:
        self._queue, self._peer = queue, peer

    def due(self, latest_s: float, most: int = 500) -> list[Job]:
        """What is to be asked for now: stored, and no request is out or none was answered in time."""
        now = time.time()
        return self._queue.jobs(
            "peer=? AND state=? AND (due<=? OR due>?) ORDER BY number LIMIT ?",
            (self._peer, ASKING, now, now + latest_s, most),
        )

    def ask(self, jobs: Sequence[Job], transaction: str, patience_s: float) -> None:
        """A request goes out; what was asked for five times in vain is set aside."""
        now = time.time()
        with self._queue.change() as base:
            for job in jobs:
                base.execute(
                    "UPDATE instances SET asks=asks+1, due=?, changed=?, ask=?,"
                    " state=CASE WHEN asks>=? THEN ? ELSE state END,"
                    " reason=CASE WHEN asks>=? THEN 'stored, but the peer does not commit itself' ELSE reason END"
                    " WHERE number=? AND state=?",
                    (now + patience_s, now, transaction, MOST_ASKS, ASIDE, MOST_ASKS, job.number, ASKING),
                )

    def outstanding(self, transaction: str) -> int:
        """How many instances of a request are without an answer."""
        return len(self._queue.jobs("ask=? AND state=?", (transaction, ASKING)))

    def kept(self, transaction: str, uids: Sequence[str]) -> int:
        """The peer keeps these; how many of them belong to the request."""
        return sum(self._answer(transaction, uid, COMMITTED, "") for uid in uids)

    def not_kept(self, transaction: str, uid: str, failure: int) -> None:
        """The peer does not keep this one: sent again if it is not there, asked again if it had no means, else set aside."""
        state = WAITING if failure == MISSING else ASKING if failure in NO_MEANS else ASIDE
        self._answer(transaction, uid, state, f"0x{failure:04X}: not committed")

    def settle_all(self, reason: str) -> None:
        """There will be no commitment: stored is what can be had."""
        for job in self._queue.jobs("peer=? AND state=?", (self._peer, ASKING)):
            self._queue.settle(job, STORED, reason)

    def _answer(self, transaction: str, uid: str, state: str, reason: str) -> int:
        (*found,) = self._queue.jobs(
            "peer=? AND ask=? AND state=? AND uid=?", (self._peer, transaction, ASKING, uid)
        )
        for job in found:
            again = state == WAITING
            due = None if state == ASKING else 0.0  # asked again when its time is over
            self._queue.settle(job, state, reason, due, job.attempts + again)
        return len(found)
