"""One session from its first byte to its last: opening, the chain of ``gadgets.scan.run``, an honest ending.

Two threads work for a session: its own, which reconstructs and is the only one that sends, and, once the model is there, one that
reads on meanwhile (``gadgets/read_on.py``). Whatever ends the first halts the second.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gadgetron.external import Connection

from smug_recon.errors import SmugReconError, StreamError
from smug_recon.gadgets.early import load_and_warm_up, prepare_while_reading
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.wire.connection import GuardedConnection
from smug_recon.gadgets.wire.receiving import Tap
from smug_recon.scanner.log_lines import LogLines
from smug_recon.scanner.onlookers import Onlooker
from smug_recon.scanner.opening import FIRE, Opening, read_opening
from smug_recon.scanner.session_socket import SessionSocket, text_message
from smug_recon.spool.keeping import Keeping

if TYPE_CHECKING:
    from smug_recon.scanner.house import House

log = logging.getLogger(__name__)

DONE, FALLBACK, FAILED, EMPTY, REFUSED = "done", "fallback", "failed", "empty", "refused"


@dataclass
class Account:
    """What is known of a session: number, kind of host, the chain's report, items received, images sent, how it ended."""

    number: int
    kind: str = "unknown"
    report: Report = field(default_factory=Report)
    received: int = 0
    images: int = 0
    outcome: str = ""
    error: str = ""
    keeping: Keeping = field(default_factory=Keeping)
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    """When the host last sent an item."""
    waited_s: float = 0.0
    """Part of the network's seconds that was spent in the queue for the device."""

    def wait(self, seconds: float) -> None:
        """Book the wait of one slice."""
        self.waited_s += seconds

    @property
    def spool(self) -> str:
        """The name of the spool that keeps the raw data; empty without one."""
        return self.keeping.name


class ServedConnection(Connection):
    """The stock connection with a handshake that has been made already."""

    def __init__(self, wire: SessionSocket, opening: Opening) -> None:
        self.socket = wire
        self.readers = Connection._default_readers()
        self.writers = Connection._default_writers()
        self.raw_bytes = Connection.Struct(config=None, header=None)
        self.config, self.header = opening.script, opening.header
        self.filters: list[Any] = []


class Host:
    """The host as the chain sees it: items in, items out, and for FIRE the lines of the log as TEXT.

    Made and sent to by the thread of the session; another one may read.
    """

    def __init__(
        self,
        connection: GuardedConnection,
        wire: SessionSocket,
        lines: LogLines,
        account: Account,
        onlooker: Onlooker,
    ) -> None:
        self._connection, self._wire, self._lines, self._account = connection, wire, lines, account
        self._onlooker = onlooker
        self._session = threading.get_ident()
        self.header = connection.header
        wire.at_work = self._at_work

    def __iter__(self) -> Iterator[Any]:
        items = iter(self._connection)
        while True:
            if threading.get_ident() == self._session:
                self.tell()
            self._wire.pause_is_ours()
            try:
                item = next(items)
            except StopIteration:
                return
            self._account.received += 1
            self._account.heard = time.monotonic()
            yield item

    def due(self, seconds: float) -> bool:
        """Whether the next item can be read without waiting longer than ``seconds``."""
        return self._connection.due(seconds)

    def halt(self, on: bool) -> None:
        """Make a wait of the thread that reads end (True), or possible again (False)."""
        self._wire.halt(on)

    def _at_work(self) -> bool:
        """Whether another thread reads than that of the session, which does not wait for it."""
        return threading.get_ident() != self._session and not self._account.report.waiting

    def send(self, item: Any) -> None:
        """Send an item, and the lines of the log since the last one."""
        import ismrmrd

        self._connection.send(item)
        if isinstance(item, ismrmrd.Image):
            self._account.images += 1
            self._onlooker.sent(self._account, item)
        self.tell()

    def tell(self) -> None:
        """Send the lines of the log that wait, whole messages between whole messages."""
        for line in self._lines.taken():
            self._wire.write(text_message(line.encode("utf-8", errors="replace")))
            self._wire.flush()

    def tell_the_rest(self) -> None:
        """The session has failed: the lines that wait go before the error, if the host takes them at once."""
        wire = self._wire
        if not (wire.failed or wire.half_sent or wire.closed):
            wire.discard()
            wire.hurry()
            with contextlib.suppress(StreamError):
                self.tell()


def converse(wire: SessionSocket, house: House, account: Account) -> None:
    """Serve one session to its end. Never raises: the host and the log hear of every failure."""
    guarded: GuardedConnection | None = None
    keeping = account.keeping
    wire.listen_in(_both(wire.tap, keeping.hear), keeping.slice_ended)
    wire.footnote = keeping.footnote
    try:
        opening = read_opening(wire)
        account.kind = opening.kind
        keeping.begin(opening.kind)
        guarded = GuardedConnection(ServedConnection(wire, opening), wire.limits)
        with LogLines(threading.get_ident()) if opening.kind == FIRE else LogLines.none() as lines:
            host = Host(guarded, wire, lines, account, house.onlookers)
            try:
                _reconstruct(host, opening, house, account)
            except BaseException:
                host.tell_the_rest()
                raise
            host.tell()
        guarded.finish()
        account.outcome = FALLBACK if account.report.fallbacks else DONE
        log.info("session %d: %d images, %s", account.number, account.images, account.outcome)
    except BaseException as error:
        if wire.messages == 0 and not wire.bytes_taken:
            account.outcome = EMPTY
            log.debug("session %d: nothing arrived", account.number)
            wire.hang_up()
            return
        account.outcome, account.error = FAILED, f"{type(error).__name__}: {error}"
        level = logging.ERROR if isinstance(error, SmugReconError) else logging.CRITICAL
        trace = None if isinstance(error, SmugReconError) else error  # for whoever mends it
        name = type(error).__name__
        where = keeping.footnote()
        log.log(level, "session %d failed: %s: %s%s", account.number, name, error, where, exc_info=trace)
        _say(wire, guarded, error)
    finally:
        keeping.end(account.outcome, account.error)
        try:
            house.metrics.follow(account)
        except Exception:
            log.exception("session %d is not in the metrics", account.number)


def _reconstruct(host: Host, opening: Opening, house: House, account: Account) -> None:
    """Run the chain that every other spring of this project runs."""
    from smug_recon.gadgets.scan import run

    pipeline = opening.pipeline(house.catalogue)
    log.info("session %d: %s, pipeline %s", account.number, opening.kind, pipeline.name)
    account.keeping.settled(pipeline, account.report.announce)
    house.onlookers.opened(account, host.header, pipeline)

    def load(*_: Any) -> Any:
        return house.shared(house.models.get(pipeline), account.number, account.wait)

    report, ready = account.report, partial(load_and_warm_up, cast(Any, host), pipeline, load)
    model, items = report.call("prepare", prepare_while_reading, host, pipeline, ready)

    def send(item: Any) -> None:
        house.check()  # the host may have been told already that its scan is handed back
        host.send(item)
        house.metrics.follow(account)

    host.tell()
    run(_stopped(items, house), send, host.header, pipeline, model, report, halt=host.halt)


def _stopped(items: Iterable[Any], house: House) -> Iterator[Any]:
    """The items; the chain ends with an error at the next one when the time to finish is over."""
    for item in items:
        house.check()
        yield item


def _both(first: Tap | None, second: Tap) -> Tap:
    if first is None:
        return second

    def tap(part: memoryview) -> None:
        first(part)
        second(part)

    return tap


def _say(wire: SessionSocket, guarded: GuardedConnection | None, error: BaseException) -> None:
    """Tell the host why, read on so that it can take that in, send no close message."""
    if guarded is not None:
        guarded.fail(error)
        return
    name = "" if isinstance(error, SmugReconError) else f"{type(error).__name__}: "
    wire.refuse(f"smug-recon: {name}{error}")
