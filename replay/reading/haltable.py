"""Standard input, or a named pipe, whose wait for bytes another thread can end.

A read of a pipe cannot be interrupted from another thread. Left behind in one, a thread would hold the lock of its buffer,
and whoever closes the buffer, the interpreter at its end included, would wait for that lock for ever. So every wait here is
for two descriptors: the pipe, and a pipe of our own, into which the other thread writes. A file is always ready.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
from typing import Any, BinaryIO

from smug_recon.errors import StreamError


class HaltablePipe(io.RawIOBase):
    """The descriptor of a file, unbuffered; what the file has in its own buffer is not seen.

    Raises:
        StreamError: while reading, once it is halted.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._descriptor = file, file.fileno()
        self._hears, self._tells = os.pipe()
        for descriptor in (self._hears, self._tells):
            os.set_blocking(descriptor, False)
        self._poll = select.poll()
        for descriptor in (self._descriptor, self._hears):
            self._poll.register(descriptor, select.POLLIN)

    def halt(self, on: bool) -> None:
        """Make a wait for bytes end with a StreamError, in whatever thread it is (True), or possible again (False)."""
        with contextlib.suppress(BlockingIOError):  # full: it has been told; empty: it had not
            if on:
                os.write(self._tells, b"\0")
            else:
                while os.read(self._hears, 64):
                    pass

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: Any) -> int:
        """Wait for bytes and read what is there; 0 at the end."""
        if any(descriptor == self._hears for descriptor, _ in self._poll.poll()):
            raise StreamError("a reader that was halted", "no further message wanted", "none")
        return os.readv(self._descriptor, [target])

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            super().close()
            os.close(self._hears)
            os.close(self._tells)
            self._file.close()


def haltable(file: BinaryIO) -> HaltablePipe | None:
    """The same file, haltable; None where there is no descriptor to wait for, or no way to wait for two (Windows)."""
    if not hasattr(select, "poll"):
        return None
    try:
        return HaltablePipe(file)
    except io.UnsupportedOperation:
        return None
