"""The socket under a connection: bounds lengths, notices a dead or stalled peer, sends whole messages.

It takes the place of ``gadgetron.external.Connection.SocketWrapper`` (same ``read``, ``write`` and
``close``), whose ``read`` spins for ever once the peer is gone and whose ``close`` reports success whatever
happened.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from smug_recon.errors import StreamError

from .protocol import CLOSE, ERROR, NAMES, Limits, uint16, uint64

log = logging.getLogger(__name__)

READ_AHEAD_BYTES = 16384
Tap = Callable[[memoryview], None]
"""Called with all bytes of a session in the order of their arrival, before any of them is parsed."""
SCATTER = hasattr(socket.socket, "recvmsg_into")  # not on Windows


def _lazy_memory(count: int) -> memoryview:
    """Writable memory that the system backs page by page as bytes arrive: a lying length costs nothing."""
    return np.empty(count, dtype=np.uint8).data


class GuardedSocket:
    """One stream socket, read message by message; a failure is a StreamError, never a hang."""

    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        self.socket = connected
        self.set_limits(limits)
        self.messages = 0
        self.inside_message = False  # a message has been begun and not yet been read completely
        self.patient = True  # the peer may pause between two messages for as long as it likes
        self.peer_finished = False  # its close message (id 4) has been read
        self.half_sent = False  # a message to the peer broke off: nothing may follow it
        self.failed = False  # the peer has been told of an error
        self.closed = False
        self._name = "the first message"
        self._taken = 0  # bytes of the present message read so far
        self._drain_until: float | None = None
        self.tap: Tap | None = None
        self.at_slice_end: Callable[[], None] = lambda: None  # told when all lines of a slice have been read
        self.footnote: Callable[[], str] = lambda: ""  # what every error text ends with
        self._ahead = memoryview(bytearray(READ_AHEAD_BYTES))
        self._start = self._end = 0
        self._outgoing: list[bytes] = []
        self._selector: selectors.BaseSelector | None = None

    def set_limits(self, limits: Limits) -> None:
        """Replace the bounds on lengths and silences."""
        self.limits = limits
        self.socket.settimeout(limits.stall_seconds)

    # -- reading

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

    # -- writing

    def write(self, data: Any) -> None:
        """Queue bytes of the message being built; nothing leaves before ``flush``."""
        self._outgoing.append(data if isinstance(data, bytes) else bytes(data))

    def discard(self) -> None:
        """Forget the message being built."""
        self._outgoing.clear()

    def flush(self) -> None:
        """Send what is queued as one message; a peer that takes no byte for the stall time is an error."""
        parts, self._outgoing = [memoryview(part) for part in self._outgoing if part], []
        begun = False
        while parts:
            try:
                self.half_sent = True
                count = self._send_once(parts)
                begun = True
            except OSError as error:
                self.half_sent = begun
                silence = f"took no byte for {self.taken_within_s:g} s"
                raise StreamError(
                    f"a host that {silence if isinstance(error, TimeoutError) else f'is gone ({error})'}",
                    "a host that reads what it is sent",
                    "check the host; SMUG_RECON_STALL_SECONDS sets how long it may pause",
                ) from error
            while parts and count >= len(parts[0]):
                count -= len(parts.pop(0))
            if parts and count:
                parts[0] = parts[0][count:]
        self.half_sent = False

    @property
    def taken_within_s(self) -> float:
        """How long the peer may take no byte of ours."""
        return self.socket.gettimeout() or 0.0

    def _send_once(self, parts: list[memoryview]) -> int:
        """Send what the peer takes at once, at least one byte; TimeoutError, OSError."""
        return self.socket.sendmsg(parts[:64]) if SCATTER else self.socket.send(parts[0])

    # -- the end

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
