"""Standard output as the mouth of the chain: whole messages, and nothing but messages."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.sending import SendingSocket
from smug_recon.gadgets.wire.writers import WRITERS
from smug_recon.replay.messages import wire

FILE_BYTES = 2**20
SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 10.0
"""How long a signal waits for a reader that has stopped in the middle of a message, in seconds."""


class MessagePipe:
    """Writes MRD messages to a file descriptor, each as a whole: a signal waits until the one in hand is out."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._piece = FILE_BYTES if regular else select.PIPE_BUF  # a pipe takes that much without blocking

    def header(self, xml: bytes) -> None:
        """Write the MRD header (id 3)."""
        self.write(wire.text_message(wire.HEADER, xml))

    def send(self, item: Any) -> None:
        """Write an acquisition, waveform or image; StreamError for what the other side could not read."""
        parts = _Parts()
        for kind, writer in WRITERS:
            if isinstance(item, kind):
                writer(cast(SendingSocket, parts), item)
                break
        else:
            raise StreamError(
                f"a {type(item).__name__} to send", "an acquisition, image or waveform", "report this"
            )
        self.write(b"".join(parts))

    def close(self) -> None:
        """Write the end mark (id 4): everything went well."""
        self.write(wire.close_message())

    def write(self, message: bytes) -> None:
        """Write one message; StreamError if the reader is gone."""
        self._wait_for_room(None)
        with _held_back() as waiting:
            view, limit = memoryview(message), time.monotonic() + GRACE_S
            while view:
                if not self._wait_for_room(0.2):
                    if waiting and time.monotonic() > limit:
                        return  # the reader has stopped, and we are told to: the signal acts on leaving
                    continue
                try:
                    view = view[os.write(self.descriptor, view[: self._piece]) :]
                except BrokenPipeError:
                    raise StreamError(
                        "a reader of standard output that is gone",
                        "a program that reads the images to the end mark (id 4)",
                        "look at the program behind the pipe",
                    ) from None
                limit = time.monotonic() + GRACE_S

    def _wait_for_room(self, seconds: float | None) -> bool:
        return bool(select.select([], [self.descriptor], [], seconds)[1])


class _Parts(list[bytes]):
    """Where the writers of the connection put a message."""

    def write(self, data: Any) -> None:
        """Keep bytes, or the bytes of a header."""
        self.append(bytes(data))


@contextlib.contextmanager
def _held_back() -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM wait, and act on them at the end; the list holds those that have come.

    By handlers, not by a mask: a signal goes to any thread of the process, and only the main one could mask it.
    """
    waiting: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return
    before = {number: signal.signal(number, lambda came, _: waiting.append(came)) for number in SIGNALS}
    try:
        yield waiting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in dict.fromkeys(waiting):
            signal.raise_signal(came)


def own_standard_output() -> MessagePipe:
    """Take standard output for messages; whatever else this process prints goes to standard error."""
    sys.stdout.flush()
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return MessagePipe(descriptor)
