"""Works off the queue of one destination: visits the peer, waits longer after every failure, sets aside what cannot be sent."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterator

from smug_recon.errors import SmugReconError
from smug_recon.pacs.association import Peer, PeerTrouble, unreachable
from smug_recon.pacs.backoff import Backoff
from smug_recon.pacs.commitment import Keeping
from smug_recon.pacs.destination import Destination
from smug_recon.pacs.files import quiet
from smug_recon.pacs.promises import Promises
from smug_recon.pacs.queue import Job, Queue
from smug_recon.pacs.verdict import Fate

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often an idle sender looks whether another process has put something into the queue."""


class Sender:
    """Sends what a queue holds for one destination, in one thread; ``stop`` ends it between two instances."""

    def __init__(
        self,
        destination: Destination,
        queue: Queue,
        stop: threading.Event | None = None,
        rng: random.Random | None = None,
    ) -> None:
        quiet()
        self.destination, self.queue = destination, queue
        self.stop = stop or threading.Event()
        self.trouble: PeerTrouble | None = None
        self.failures = 0
        self._in_a_row = 0
        self._news = threading.Event()
        self._backoff = Backoff(
            destination.first_pause_s, destination.longest_pause_s, rng or random.Random()
        )
        self._keeping: Keeping | None = None

    def wake(self) -> None:
        """There is something new: look at once."""
        self._news.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take reports on storage commitment meanwhile; ConfigurationError if the port cannot be opened."""
        with contextlib.ExitStack() as stack:
            if self.destination.commitment is not None:
                self._keeping = stack.enter_context(Keeping(self.destination, self.queue, self.wake))
            else:  # asked for before, by another setting
                Promises(self.queue, self.destination.to).settle_all("commitment is no longer asked for")
            yield
        self._keeping = None

    def run(self) -> None:
        """Send until ``stop``; whatever fails is told in the log and tried again."""
        while not self.stop.is_set():
            pause = LOOK_S
            try:
                with self.queue.turn(self.destination.to) as ours, self.listening():
                    while ours and not self.stop.is_set():
                        self.rest(self.visit())
            except Exception as error:  # the scanner goes on, whatever this is
                self.failures += 1
                log.error("PACS %s: %s", self.destination.to, told(error))
                pause = self.destination.longest_pause_s
            self.stop.wait(pause)

    def rest(self, pause_s: float | None) -> None:
        """Wait: for the time of a failure to the end, else at most until there is something new."""
        if self.trouble is not None:
            self.stop.wait(pause_s or 0.0)
        else:
            self._news.wait(min(LOOK_S, LOOK_S if pause_s is None else pause_s))
        self._news.clear()

    def visit(self) -> float | None:
        """One association, as long as there is something to do; seconds until the next, None if nothing is left."""
        peer_s = self.queue.next_s(self.destination.to)
        if peer_s is None or (peer_s > 0 and not self._due() and not (self._keeping and self._keeping.due)):
            return peer_s
        handlers = self._keeping.handlers if self._keeping else ()
        try:
            if self.trouble is not None and (still := unreachable(self.destination)) is not None:
                return self._troubled(still)
            with Peer(self.destination, self.queue.kinds(self.destination.to), handlers) as peer:
                peer.echo()
                self._send(peer)
                if self._keeping is not None:
                    self._keeping.ask(peer, self.stop)
        except PeerTrouble as trouble:
            return self._troubled(trouble)
        if self.trouble is not None:
            log.info("PACS %s: reached again", self.destination.to)
        self.trouble, self._in_a_row = None, 0
        return self.queue.next_s(self.destination.to)

    def _due(self) -> Job | None:
        return self.queue.due(self.destination.to, self.destination.longest_pause_s)

    def _send(self, peer: Peer) -> None:
        """Give the peer what is due and was proposed; PeerTrouble when the association ends before its time."""
        number, began = 0, time.monotonic()
        try:
            while not self.stop.is_set() and (job := self._due()) is not None:
                if (job.sop_class, job.syntax) not in peer.proposed:
                    return
                if not self._one(peer, job):
                    raise PeerTrouble("the association ended while an instance was sent")
                number += 1
                self._in_a_row = 0
        finally:
            if number:
                log.info(
                    "PACS %s: %d instances dealt with in %.1f s",
                    self.destination.to,
                    number,
                    time.monotonic() - began,
                )

    def _one(self, peer: Peer, job: Job) -> bool:
        """Send one instance and book what became of it; False if the association ended over it."""
        found = peer.store(job)
        if found.fate is Fate.STORED:
            self.queue.sent(job, found.reason, ask=self._keeping is not None)
            return True
        self.failures += 1
        if found.fate is Fate.NEVER:
            self.queue.set_aside(job, found.reason)
            again = False
        else:
            pause_s = self._backoff.pause_s(job.attempts + 1)
            again = self.queue.put_off(job, found.reason, pause_s, self.destination.attempts)
        log.log(
            logging.WARNING if again else logging.ERROR,
            "PACS %s: instance %d %s: %s",
            self.destination.to,
            job.number,
            "will be sent again" if again else "set aside",
            found.reason,
        )
        return found.fate is not Fate.BROKEN

    def _troubled(self, trouble: PeerTrouble) -> float:
        self.failures += 1
        self._in_a_row += 1
        pause_s = self._backoff.pause_s(self._in_a_row)
        if self.trouble is None or self.trouble.reason != trouble.reason:
            log.warning("PACS %s: %s; next attempt in %.1f s", self.destination.to, trouble.reason, pause_s)
        self.trouble = trouble
        return pause_s


def told(error: Exception) -> str:
    """An error in one line; of those that others raise only the kind, for their text may quote a data set."""
    return str(error) if isinstance(error, SmugReconError) else type(error).__name__
