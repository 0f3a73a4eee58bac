"""The socket under a connection: both halves, and an ending that the peer cannot mistake for another.

It takes the place of ``gadgetron.external.Connection.SocketWrapper`` (same ``read``, ``write`` and
``close``), whose ``read`` spins for ever once the peer is gone and whose ``close`` reports success whatever
happened.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable

from smug_recon.errors import StreamError

from .protocol import CLOSE, ERROR, Limits, uint16, uint64
from .receiving import ReceivingSocket
from .sending import SendingSocket

log = logging.getLogger(__name__)


class GuardedSocket(ReceivingSocket, SendingSocket):
    """One stream socket; it ends with ``finish``, or with ``fail`` and ``close``, and no other way."""

    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        ReceivingSocket.__init__(self, connected, limits)
        SendingSocket.__init__(self, connected)
        self.failed = False  # the peer has been told of an error
        self.closed = False
        self.footnote: Callable[[], str] = lambda: ""  # what every error text ends with

    def finish(self) -> None:
        """Send the close message (id 4): this session succeeded."""
        self.discard()
        self.write(uint16.pack(CLOSE))
        self.flush()
        self.hang_up()

    def fail(self, text: str) -> None:
        """Send the error text (id 8), unless a message broke off half sent; the socket stays open."""
        self.discard()
        if self.half_sent or self.closed:
            log.warning("the host cannot be told about the error: a message to it broke off")
            return
        encoded = (text + self.footnote()).encode("utf-8", errors="replace")[: self.limits.text_bytes]
        encoded = encoded.decode("utf-8", errors="ignore").encode("utf-8")  # no half character at the cut
        self.failed = True
        self.write(self.error_message(encoded))
        try:
            self.socket.settimeout(min(self.limits.stall_seconds, self.limits.drain_idle_seconds))
            self.flush()
        except StreamError as error:
            log.warning("the host cannot be told about the error: %s", error)

    def error_message(self, text: bytes) -> bytes:
        """The message that tells this kind of host of an error: ERROR (id 8), uint64 length, UTF-8."""
        return uint16.pack(ERROR) + uint64.pack(len(text)) + text

    def close(self) -> None:
        """Close, for ``Connection.__exit__``; without ``finish`` before, the host gets an error."""
        if not self.closed:
            self.fail("smug-recon: the session ended before it was finished")
            if not self.peer_finished:
                self.start_draining()
                self.drain_bytes()
            self.hang_up()

    def hang_up(self) -> None:
        """Close the socket without another word."""
        self.closed, self._selector = True, None
        with contextlib.suppress(OSError):  # unread bytes would make the close a reset
            self.socket.setblocking(False)
            while self.socket.recv(1 << 16):
                pass
        self.socket.close()
