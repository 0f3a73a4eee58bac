"""The sending half of a socket: a message leaves whole or not at all, and nothing follows one that broke off."""

from __future__ import annotations

import socket
from typing import Any

from smug_recon.errors import StreamError

GATHER = hasattr(socket.socket, "sendmsg")  # not on Windows


class SendingSocket:
    """Queues the bytes of a message and sends them at once; a peer that takes none for too long is a StreamError."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.half_sent = False  # a message to the peer broke off: nothing may follow it
        self._outgoing: list[bytes] = []

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
        return self.socket.sendmsg(parts[:64]) if GATHER else self.socket.send(parts[0])
