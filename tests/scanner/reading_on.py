"""Sessions that read on: who reads, what a server has heard, and how sessions end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from smug_recon.gadgets.wire.protocol import Limits

LONG_S = 40
PATIENT = Limits(stall_seconds=1000.0, drain_seconds=5.0, drain_idle_seconds=0.5, message_bytes=1 << 24)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read on"]


class Heard:
    """A tap: ``all`` is set once a server has received so many bytes of a session."""

    def __init__(self, expected: int) -> None:
        self.expected, self.count, self.all = expected, 0, threading.Event()

    def __call__(self, part: memoryview) -> None:
        self.count += len(part)
        if self.count >= self.expected:
            self.all.set()


def first_waits_for(event: threading.Event, waited: list[bool]) -> Callable[[], None]:
    """The network does not begin with its first slice before the event."""

    def before() -> None:
        waited.append(event.wait(LONG_S))

    return before


def ended(server: Any, outcome: str, kind: str = "FIRE") -> None:
    """All sessions are over, so many as one, with this outcome; no reader is left."""
    assert server._wait(LONG_S), "a session hangs"
    assert server.house.metrics.ended == {(kind, outcome): 1}
    assert readers() == []
