"""The connection to the host: items in, items out, and an ending that the host cannot mistake.

``gadgetron.external.Connection`` stays in place (handshake, header, configuration) with its socket, readers
and writers replaced, because the stock one spins when the host dies, ends silently on an unknown message
identifier, and closes as if all were well after an exception. Two things stay out of reach under ``python
-m gadgetron``, which builds the stock connection and imports the target before any code of ours runs: a
host that dies during the handshake, and a target that cannot be imported.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import Element

import ismrmrd
from gadgetron.external import Connection
from gadgetron.types.acquisition_bucket import AcquisitionBucket
from gadgetron.types.recon_data import ReconData

from smug_recon.errors import SmugReconError, StreamError
from smug_recon.gadgets.flow.items import LAST_IN_MEASUREMENT, LAST_IN_REPETITION, LAST_IN_SLICE

from . import protocol, readers, writers
from .protocol import Limits
from .receiving import Tap
from .sockets import GuardedSocket
from .stopping import Stopped, stoppable

log = logging.getLogger(__name__)

LOOK_S = 0.05
"""How often a wait for the next item looks whether it was halted, in seconds."""
LAST = LAST_IN_SLICE | LAST_IN_REPETITION | LAST_IN_MEASUREMENT


class GuardedConnection:
    """Iterate it for the items of the host, ``send`` items to the host; use it inside ``session``.

    Iteration ends at the host's close message (id 4) and nowhere else: a dead host, an unknown message
    identifier, an over-long field, an ERROR from the host are a StreamError each.
    """

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self._sending = threading.Lock()
        self._can_halt = self._halted = False
        held = connection.socket
        self._wire = held if isinstance(held, GuardedSocket) else GuardedSocket(held.socket, limits)
        connection.socket = self._wire
        for identifier, reader in readers.READERS.items():
            connection.add_reader(identifier, reader)
        # Not add_writer: what gadgetron 1.4.1 registers there takes one argument and is called with two.
        connection.writers[:0] = [(_accepts(kind), writer) for kind, writer in writers.WRITERS]

    @property
    def wire(self) -> GuardedSocket:
        """The socket under the connection."""
        return self._wire

    def set_limits(self, limits: Limits) -> None:
        """Replace the bounds on lengths and silences."""
        self._wire.set_limits(limits)

    def listen_in(self, tap: Tap, at_slice_end: Callable[[], None], footnote: Callable[[], str]) -> None:
        """Let ``tap`` hear all bytes behind the handshake; ``footnote`` is added to an error that the host is told."""
        self._wire.listen_in(tap, at_slice_end)
        self._wire.footnote = footnote

    @property
    def handshake(self) -> bytes:
        """Configuration (id 2) and MRD header (id 3) as they came, for the spool."""
        raw = self.connection.raw_bytes
        return b"".join(
            protocol.uint16.pack(identifier) + protocol.uint32.pack(len(text)) + bytes(text)
            for identifier, text in ((protocol.CONFIG, raw.config), (protocol.HEADER, raw.header))
        )

    @property
    def header(self) -> ismrmrd.xsd.ismrmrdHeader:
        """The MRD header of the scan."""
        return self.connection.header

    @property
    def config(self) -> Element | None:
        """The ``<configuration>`` element of this node, None when the host sent none."""
        return self.connection.config

    def __iter__(self) -> Iterator[Any]:
        """Yield acquisitions, waveforms, images, arrays and buckets in the order of arrival."""
        while not self._wire.peer_finished:
            self._until_due()
            identifier = self._wire.begin_message()
            if identifier in self.connection.readers and identifier != protocol.CLOSE:
                item = self._read(identifier)
                if all(accepts(item) for accepts in self.connection.filters):
                    yield item
                else:
                    self.send(item)
            else:
                self._control(identifier)

    def halt(self, on: bool) -> None:
        """Make a wait for the next item end with a StreamError, in whatever thread it is (True), or possible again (False)."""
        self._can_halt, self._halted = True, on

    def _until_due(self) -> None:
        while self._can_halt and not self._wire.due(LOOK_S):
            if self._halted:
                raise StreamError("a reader that was halted", "no further message wanted", "none")

    def due(self, seconds: float) -> bool:
        """Whether the next item, or the end, can be read without waiting longer than ``seconds`` for its start."""
        return self._wire.peer_finished or self._wire.due(seconds)

    def _read(self, identifier: int) -> Any:
        try:
            item = self.connection.readers[identifier](self._wire)
        except readers.UNREADABLE as error:
            raise StreamError(
                f"a {protocol.NAMES.get(identifier, identifier)} message that cannot be read ({error!r})",
                "a message of the Gadgetron protocol",
                "check the host and its version",
            ) from error
        self._wire.end_message()
        if ends_slice(item):
            self._wire.at_slice_end()
        return item

    def _control(self, identifier: int) -> None:
        """Handle close, text and error; anything else has no known length and ends the session."""
        if identifier == protocol.CLOSE:
            self._wire.peer_finished = True
        elif identifier == protocol.TEXT:
            text = readers.read_text(self._wire)
            log.info("the host sent a text of %d characters, which no stage reads", len(text))
        elif identifier == protocol.ERROR:
            text = readers.read_error(self._wire)
            self._wire.end_message()
            raise StreamError(f"an error of the host: {text}", "a scan", "look into the log of the host")
        else:
            raise StreamError(
                f"message identifier {identifier} ({protocol.NAMES.get(identifier, 'unknown')})",
                "one of " + ", ".join(str(known) for known in sorted([4, 5, 8, *self.connection.readers])),
                "check the readers of this node in the Gadgetron configuration",
            )
        self._wire.end_message()

    def send(self, item: Any) -> None:
        """Send one item as one whole message; raises StreamError for what a host could not read."""
        with self._sending:
            self._send(item)

    def _send(self, item: Any) -> None:
        try:
            self.connection.send(item)
        except TypeError as error:
            self._wire.discard()
            raise StreamError(
                f"a {type(item).__name__} to send ({error})",
                "an acquisition, waveform, image, ImageArray or ReconData",
                "place this node where such items do not pass (buckets can be read, not written)",
            ) from error
        except BaseException:
            self._wire.discard()
            raise
        self._wire.flush()

    def finish(self) -> None:
        """End well: send the close message. StreamError when the host is not done yet: data were lost."""
        if self._wire.closed:
            return
        if not self._wire.peer_finished:
            raise StreamError(
                "a chain that ended before the host did",
                "every item read up to the close message (id 4)",
                "a stage stopped reading: report this",
            )
        self._wire.finish()

    def fail(self, error: BaseException) -> None:
        """End badly: tell the host why (id 8), read on so that it can take that in, send no close message."""
        if self._wire.closed:
            return
        name = "" if isinstance(error, SmugReconError) else f"{type(error).__name__}: "
        self._wire.fail(f"smug-recon: {name}{error}")
        self._wire.start_draining()
        try:
            self._skip_to_close()
        except Exception as obstacle:
            log.debug("after the error the rest of the stream is dropped unread: %s", obstacle)
            self._wire.drain_bytes()
        finally:
            self._wire.hang_up()

    def _skip_to_close(self) -> None:
        while not self._wire.peer_finished:
            identifier = self._wire.begin_message()
            if identifier in readers.READERS:
                self._read(identifier)
            else:
                self._control(identifier)


def ends_slice(item: Any) -> bool:
    """Whether the host says that a slice is complete: a LAST flag, or an array or bucket of the C++ front end."""
    if isinstance(item, ismrmrd.Acquisition):
        return bool(item.flags & LAST)
    return isinstance(item, AcquisitionBucket | ReconData)


def _accepts(kind: type) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, kind)


def guard(connection: Connection, limits: Limits | None = None) -> GuardedConnection:
    """Guard a stock connection (in place); ``limits`` are those of the environment unless given."""
    return GuardedConnection(connection, limits or Limits.from_environment())


@contextmanager
def session(connection: Connection, limits: Limits | None = None) -> Iterator[GuardedConnection]:
    """One scan: the close message at its end, or the error sent to the host and raised again here.

    ``with session(connection) as host: ...`` must surround everything a target does, heavy imports
    included, so that the host hears of every failure.
    """
    guarded = guard(connection, limits or Limits())
    try:
        if limits is None:
            guarded.set_limits(Limits.from_environment())
        with stoppable(guarded.wire, guarded.wire.limits.grace_seconds):
            yield guarded
            guarded.finish()
    except BaseException as error:
        guarded.fail(error.reason if isinstance(error, Stopped) else error)
        raise
