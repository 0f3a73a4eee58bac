"""The socket of one served session: stops when the server stops, bounds every silence, lets a spool listen."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.protocol import TEXT, Limits, uint16, uint32
from smug_recon.gadgets.wire.sockets import GuardedSocket, Tap

TICK_S = 0.25
"""How soon a waiting session notices that the server stops, in seconds."""


class SessionSocket(GuardedSocket):
    """A guarded socket with a longest pause between messages, a tap, and a held-back message identifier.

    ``texts``: the peer is told of errors by TEXT (FIRE, gadgetron_ismrmrd_client), not by ERROR (Gadgetron).
    """

    def __init__(
        self,
        connected: socket.socket,
        limits: Limits,
        idle_seconds: float,
        stopping: threading.Event,
        tap: Tap | None = None,
    ) -> None:
        self.idle_seconds = idle_seconds
        self.texts = False
        self._stopping = stopping
        self._quick_end = False
        self._held: int | None = None
        self._heard = time.monotonic()
        super().__init__(connected, limits)
        self.tap = tap

    def set_limits(self, limits: Limits) -> None:
        """Replace the bounds on lengths and silences."""
        self.limits = limits
        self.socket.settimeout(TICK_S)

    def peek_message(self) -> int:
        """The identifier of the next message, which ``begin_message`` will return once more."""
        self._held = self.begin_message()
        return self._held

    def begin_message(self) -> int:
        """Wait for the next message, at most ``idle_seconds``, and return its identifier."""
        if self._held is not None:
            identifier, self._held = self._held, None
            return identifier
        return super().begin_message()

    def _receive(self, target: memoryview) -> int:
        while True:
            if self._stopping.is_set() and self._drain_until is None:
                raise StreamError(
                    "a server that is being stopped", "the whole scan before that", "send the scan again"
                )
            try:
                count = self._receive_once(target)
            except TimeoutError:
                self._check_silence()
                continue
            self._heard = time.monotonic()
            if self._drain_until is not None and self._heard > self._drain_until:
                raise StreamError(
                    "a host that goes on sending after an error", "its close", "end the session"
                )
            return count

    def _check_silence(self) -> None:
        """StreamError when the peer has been silent for longer than it may be at this place."""
        now = time.monotonic()
        if self._drain_until is not None:
            allowed = self.limits.drain_idle_seconds
            if self._stopping.is_set():
                allowed = min(allowed, 1.0)
            over = now > self._drain_until
        else:
            allowed = self.idle_seconds if self.in_step and self.patient else self.limits.stall_seconds
            over = False
        if over or now - self._heard > allowed:
            between = "between two messages" if self.in_step else f"at byte {self._taken} of {self._where()}"
            raise StreamError(
                f"silence for {allowed:g} s {between}",
                "the rest of the scan",
                "check the host; --idle and --stall of smug-recon serve set how long it may pause",
            )

    def pause_is_ours(self) -> None:
        """Start the clock of the peer's silence anew: it was this side that did not read."""
        self._heard = time.monotonic()

    def due(self, seconds: float) -> bool:
        """Whether something can be read within ``seconds``; the end of the stream counts."""
        if self._stopping.is_set():
            return True  # reading says so
        return self._held is not None or super().due(seconds)

    def flush(self) -> None:
        """Send what is queued; a peer that takes no byte for the stall time is an error."""
        self.socket.settimeout(2.0 if self._quick_end else self.limits.stall_seconds)
        try:
            super().flush()
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(TICK_S)

    def fail(self, text: str) -> None:
        """Tell the peer about the error, in the way its kind reads; the socket stays open."""
        self._quick_end = True
        super().fail(text)

    def refuse(self, text: str) -> None:
        """Tell a peer whose stream is not understood why it is left, and end the session."""
        self.fail(text)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)  # the peer reads the text, then the end, and closes
        self.start_draining()
        self.drain_bytes()
        self.hang_up()

    def error_message(self, text: bytes) -> bytes:
        """ERROR (id 8) for Gadgetron, else TEXT (id 5) of the level ERROR, which FIRE and the client print."""
        return text_message(b"ERROR    " + text) if self.texts else super().error_message(text)

    def start_draining(self) -> None:
        """From now on every read is bounded by the drain limits."""
        super().start_draining()
        self.pause_is_ours()
        if self._stopping.is_set():
            self._drain_until = time.monotonic() + 2.0


def text_message(text: bytes) -> bytes:
    """TEXT (id 5): uint32 length, UTF-8, NUL."""
    return uint16.pack(TEXT) + uint32.pack(len(text) + 1) + text + b"\0"
