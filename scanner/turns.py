"""The device, shared fairly: one slice at a time, sessions in the order in which they asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from smug_recon.errors import ModelError, StreamError

if TYPE_CHECKING:
    from smug_recon.gadgets.model.file import Model


class Ticket:
    """A place in the queue, and the session that holds it."""

    def __init__(self, session: int) -> None:
        self.session = session


class Turns:
    """A queue before the device; no longer than ``most``, and first come is first served.

    A session asks for one slice at a time and then goes to the end of the queue, so that sessions with slices to
    do take turns, whatever their number of slices.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self.waited_s = 0.0

    @property
    def waiting(self) -> int:
        """How many wait, the one that has its turn left out."""
        return max(len(self._queue) - 1, 0)

    @property
    def order(self) -> list[int]:
        """The sessions in the queue, the one that has the device first."""
        with self._changed:
            return [ticket.session for ticket in self._queue]

    @contextmanager
    def turn(self, stopping: Callable[[], bool] = lambda: False, session: int = 0) -> Iterator[None]:
        """Have the device to oneself; StreamError if the queue is full or the server stops while waiting."""
        ticket, began = Ticket(session), time.monotonic()
        with self._changed:
            if len(self._queue) > self._most:
                raise StreamError(
                    f"{len(self._queue)} slices before the device",
                    f"at most {self._most}",
                    "allow fewer sessions",
                )
            self._queue.append(ticket)
        try:
            with self._changed:
                while self._queue[0] is not ticket:
                    if stopping():
                        raise StreamError(
                            "a server that is being stopped", "a turn on the device", "send the scan again"
                        )
                    self._changed.wait(0.25)
                self.waited_s += time.monotonic() - began
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()


@dataclass(frozen=True)
class SharedModel:
    """A model whose every run waits for its turn; it has the face of :class:`smug_recon.gadgets.model.file.Model`."""

    model: Model
    turns: Turns
    stopping: Callable[[], bool]
    lost: Callable[[str], None] = lambda reason: None
    """Told when the device is gone and a session goes on without it."""
    session: int = 0
    spare: Turns | None = None
    """The queue before the CPU, for a session that has left the GPU: the one before the GPU may never move again."""
    gone: Callable[[], str] = lambda: ""
    """Why the GPU is lost, once another session has found that out; who waits for it waits no longer."""
    waited: Callable[[float], None] = lambda seconds: None
    """Told how long each slice has waited for its turn."""

    def on_cpu(self, reason: str) -> SharedModel:
        """The same model on the CPU, behind a queue of its own; the server hears that the device is lost."""
        self.lost(reason)
        moved = self.model.on_cpu(reason)  # type: ignore[attr-defined]
        return replace(self, model=moved, turns=self.spare or self.turns, gone=lambda: "")

    def _stopping(self) -> bool:
        if self.model.device.type != "cpu" and (reason := self.gone()):
            raise ModelError(f"CUDA error: {reason}", "a GPU that answers", "start the server anew")
        return self.stopping()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, *arguments: Any) -> Any:
        """Run the network on one slice when the turn has come."""
        self._stopping()
        began = time.monotonic()
        with self.turns.turn(self._stopping, self.session):
            self.waited(time.monotonic() - began)
            return self.model.forward(*arguments)

    def warm_up(self, *arguments: int) -> float:
        """Warm up when the turn has come."""
        self._stopping()
        with self.turns.turn(self._stopping, self.session):
            return self.model.warm_up(*arguments)
