"""The socket of one served session: stops when the server stops, bounds every silence, lets a spool listen.

Two threads use it, one that reads and one that sends: every wait is cut into ticks, so that neither waits for long for what the
other one, or the server, has to say. The timeout of the socket is the tick, and nobody changes it while both are at work.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.protocol import TEXT, Limits, uint16, uint32
from smug_recon.gadgets.wire.receiving import Tap
from smug_recon.gadgets.wire.sockets import GuardedSocket

TICK_S = 0.25
"""How soon a waiting session notices that the server stops, in seconds."""
FINISH_S = 1.0
"""How long a reader that is halted in the middle of a message may go on to its end, in seconds."""
QUICK_S = 2.0
"""How long a host may take no byte of ours once its session has failed, in seconds."""


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
        self._halted_since: float | None = None
        self.at_work: Callable[[], bool] = lambda: False  # we are, and the host may wait for what we make
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
            self._check_halted()
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

    def halt(self, on: bool) -> None:
        """Make a wait for the peer end with a StreamError, in whatever thread it is (True), or possible again (False).

        Between two messages at once; within one the peer has a moment to send the rest, so that the stream stays in step.
        """
        self._halted_since = time.monotonic() if on else None

    def _check_halted(self) -> None:
        since = self._halted_since
        if since is not None and (self.in_step or time.monotonic() - since > FINISH_S):
            raise StreamError("a reader that was halted", "no further message wanted", "none")

    def _check_silence(self) -> None:
        """StreamError when the peer has been silent for longer than it may be at this place."""
        now = time.monotonic()
        if self.in_step and self.patient and self.at_work():
            self._heard = now  # it may have said everything, and wait for its images
            return
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

    @property
    def taken_within_s(self) -> float:
        """How long the peer may take no byte of ours."""
        return QUICK_S if self._quick_end else self.limits.stall_seconds

    def _send_once(self, parts: list[memoryview]) -> int:
        limit = time.monotonic() + self.taken_within_s
        while True:
            try:
                return super()._send_once(parts)
            except TimeoutError:
                if time.monotonic() >= limit:
                    raise

    def hurry(self) -> None:
        """The session has failed: a peer that does not read is not waited for."""
        self._quick_end = True

    def fail(self, text: str) -> None:
        """Tell the peer about the error, in the way its kind reads; the socket stays open."""
        self.hurry()
        super().fail(text)
        with contextlib.suppress(OSError):
            self.socket.settimeout(TICK_S)

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
