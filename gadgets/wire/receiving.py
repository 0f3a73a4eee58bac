"""The receiving half of a socket: whole messages of bounded length, a dead or stalled peer noticed, every byte heard by a tap."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable

import numpy as np

from smug_recon.errors import StreamError

from .protocol import NAMES, Limits, uint16

READ_AHEAD_BYTES = 16384
SCATTER = hasattr(socket.socket, "recvmsg_into")  # not on Windows
Tap = Callable[[memoryview], None]
"""Called with all bytes of a session in the order of their arrival, before any of them is parsed."""


def _lazy_memory(count: int) -> memoryview:
    """Writable memory that the system backs page by page as bytes arrive: a lying length costs nothing."""
    return np.empty(count, dtype=np.uint8).data


class ReceivingSocket:
    """Reads message by message; a message that is too long, breaks off or stalls is a StreamError, never a hang."""

    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        self.socket = connected
        self.set_limits(limits)
        self.messages = 0
        self.inside_message = False  # a message has been begun and not yet been read completely
        self.patient = True  # the peer may pause between two messages for as long as it likes
        self.peer_finished = False  # its close message (id 4) has been read
        self.tap: Tap | None = None
        self.at_slice_end: Callable[[], None] = lambda: None  # told when all lines of a slice have been read
        self._name = "the first message"
        self._taken = 0  # bytes of the present message read so far
        self._drain_until: float | None = None
        self._ahead = memoryview(bytearray(READ_AHEAD_BYTES))
        self._start = self._end = 0
        self._selector: selectors.BaseSelector | None = None

    def set_limits(self, limits: Limits) -> None:
        """Replace the bounds on lengths and silences."""
        self.limits = limits
        self.socket.settimeout(limits.stall_seconds)

    def begin_message(self) -> int:
        """Wait, as long as it takes, for the next message and return its identifier."""
        if not self.in_step:
            raise StreamError(f"a message left half read ({self._name})", "whole messages", "end the session")
        self._name = "the message identifier"
        identifier = uint16.unpack(self.read(2))[0]
        self.messages += 1
        self.inside_message = True
        self._name = NAMES.get(identifier, f"unknown ({identifier})")
        return identifier

    @property
    def bytes_taken(self) -> int:
        """Bytes of the message in hand that have been read."""
        return self._taken

    def due(self, seconds: float) -> bool:
        """Whether something can be read within ``seconds``; the end of the stream counts."""
        if self._end > self._start:
            return True
        if self._selector is None:  # poll holds no descriptor of its own
            self._selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
            self._selector.register(self.socket, selectors.EVENT_READ)
        return bool(self._selector.select(seconds))

    def listen_in(self, tap: Tap, at_slice_end: Callable[[], None]) -> None:
        """Let ``tap`` hear all bytes from the next message on, those included that have been received already."""
        if self._end > self._start:
            tap(self._ahead[self._start : self._end])
        self.tap, self.at_slice_end = tap, at_slice_end

    def end_message(self) -> None:
        """Say that the message in hand has been read to its last byte."""
        self.inside_message = False
        self._taken = 0

    @property
    def in_step(self) -> bool:
        """Whether the next byte begins a message."""
        return not self.inside_message and self._taken == 0

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes of the message in hand."""
        self._claim(count)
        if count <= self._end - self._start:
            self._taken += count
            self._start += count
            return bytes(self._ahead[self._start - count : self._start])
        target = memoryview(bytearray(count)) if count < READ_AHEAD_BYTES else _lazy_memory(count)
        self.fill(target)
        return bytes(target)

    def read_array(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """Return a fresh, writable array in C order, received straight into its memory."""
        kind = np.dtype(dtype)
        count = kind.itemsize
        for length in shape:
            count *= int(length)
        self._claim(count)
        target = _lazy_memory(count)
        self.fill(target)
        return np.frombuffer(target, dtype=kind).reshape(shape)

    def _claim(self, count: int) -> None:
        """Refuse, before allocating, a length that makes the message longer than the limit."""
        if count < 0 or self._taken + count > self.limits.message_bytes:
            raise StreamError(
                f"a {self._name} message that claims {self._taken + count} bytes",
                f"at most {self.limits.message_bytes} bytes",
                "check the host; for larger messages set SMUG_RECON_MESSAGE_BYTES",
            )

    def fill(self, target: memoryview) -> None:
        """Receive into ``target`` until it is full; what arrives beyond it is kept for the next call."""
        wanted = len(target)
        done = min(wanted, self._end - self._start)
        if done:
            target[:done] = self._ahead[self._start : self._start + done]
            self._start += done
            self._taken += done
        while done < wanted:
            count = self._receive(target[done:] if done else target)
            taken = min(count, wanted - done)
            done += taken
            self._taken += taken
            self._start, self._end = 0, count - taken

    def _receive(self, target: memoryview) -> int:
        """Receive once, into ``target`` and then the read-ahead; returns the number of bytes, at least 1."""
        while True:
            try:
                if self._drain_until is not None:
                    self._shorten_timeout(self._drain_until)
                return self._receive_once(target)
            except TimeoutError:
                if self.in_step and self.patient:
                    continue  # a pause between two messages: the scanner may take its time
                raise StreamError(
                    f"silence for {self.socket.gettimeout():g} s at byte {self._taken} of {self._where()}",
                    "the rest of the message",
                    "check the host; SMUG_RECON_STALL_SECONDS sets how long a message may stall",
                ) from None

    def _receive_once(self, target: memoryview) -> int:
        """Wait for bytes as long as the socket's timeout and receive what is there, at least 1; TimeoutError, StreamError."""
        try:
            if SCATTER:
                count = self.socket.recvmsg_into([target, self._ahead])[0]
            else:
                count = self.socket.recv_into(target)
        except TimeoutError:
            raise
        except OSError as error:
            raise StreamError(
                f"a connection lost ({error.strerror or error}) at byte {self._taken} of {self._where()}",
                "a close message (id 4) at the end of the scan",
                "look for the reason in the log of the host",
            ) from error
        if count == 0:
            raise StreamError(
                f"the end of the stream at byte {self._taken} of {self._where()}",
                "a close message (id 4) at the end of the scan",
                "the host died or gave up: look into its log; images sent so far may be incomplete",
            )
        if self.tap is not None:
            self.tap(target[:count])
            if count > len(target):
                self.tap(self._ahead[: count - len(target)])
        return count

    def _where(self) -> str:
        return f"{self._name} (after {self.messages} messages)"

    def start_draining(self) -> None:
        """From now on every read is bounded by the drain limits, between messages too."""
        self.patient = False
        self._drain_until = time.monotonic() + self.limits.drain_seconds

    def drain_bytes(self) -> None:
        """Read and drop bytes until the peer closes, falls silent, or the drain time is over."""
        waste = memoryview(bytearray(1 << 18))
        with contextlib.suppress(StreamError):
            while self._receive(waste):
                pass

    def _shorten_timeout(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(min(left, self.limits.drain_idle_seconds))
