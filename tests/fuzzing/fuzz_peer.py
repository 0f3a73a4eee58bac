"""A socket that is none: gives out the bytes of one input in pieces, takes whatever is written, never waits."""

from __future__ import annotations

from typing import Any


class Peer:
    """The far end of a connection that sends ``data`` in pieces of at most ``piece`` bytes and is then gone."""

    def __init__(self, data: bytes, piece: int = 1 << 16) -> None:
        self._data, self._at, self._piece = data, 0, piece
        self.heard = 0

    def recv(self, count: int) -> bytes:
        part = self._data[self._at : self._at + min(count, self._piece)]
        self._at += len(part)
        return part

    def recv_into(self, target: memoryview) -> int:
        part = self.recv(len(target))
        target[: len(part)] = part
        return len(part)

    def recvmsg_into(self, targets: list[memoryview]) -> tuple[int, list[Any], int, None]:
        part = self.recv(sum(len(target) for target in targets))
        left = part
        for target in targets:
            taken = left[: len(target)]
            target[: len(taken)] = taken
            left = left[len(taken) :]
        return len(part), [], 0, None

    def sendmsg(self, parts: list[memoryview]) -> int:
        sent = sum(len(part) for part in parts)
        self.heard += sent
        return sent

    def send(self, part: memoryview) -> int:
        return self.sendmsg([part])

    def settimeout(self, seconds: float | None) -> None: ...

    def setblocking(self, flag: bool) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...

    def gettimeout(self) -> float:
        return 1.0
