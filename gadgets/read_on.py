"""The next slices are received, transformed and gathered while one is being reconstructed.

    reader thread:  receive ─▶ readout ─▶ gather ─┐  at most SLICES wait, at most AHEAD_BYTES are read meanwhile
    main thread:                                  └─▶ assemble ─▶ prewhiten ─▶ ... ─▶ network ─▶ send

Order and pixels are those of one thread: what a slice depends on is settled where it leaves the reader. What the reader raises
is raised behind the slices that were complete before it. The reader computes with numpy: a second thread with OpenMP workers
would slow down the network (see ``maps/aside.py``).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.readouts.complete_lines import CompleteLines

log = logging.getLogger(__name__)

SLICES = 2
"""Complete slices that may wait."""
AHEAD_BYTES = 256 << 20
"""No more than this is read while something is being reconstructed; then the host waits."""
PASSING = 64
"""Items that are not slices (waveforms, navigators ...) that may wait beside."""
JOIN_S = 2.0
"""How long a reader that cannot be halted is waited for; then it is left behind (a daemon thread, in a read of its own)."""


class _GivenUp(BaseException):
    """Nobody wants the rest."""


class ReadOn:
    """One reader thread between two stages.

    Args:
        report: the account of the stream.
        halt: ends the wait of the reader for its next item (True), or makes waits possible again (False); then the reader is
            always waited for. Without it a source that never answers is left behind.
    """

    def __init__(self, report: Report, halt: Callable[[bool], None] | None = None) -> None:
        self._report, self._halt = report, halt
        self._changed = threading.Condition()
        self._ready: deque[Any] = deque()
        self._slices = 0
        self._wanting = False  # the consumer waits, and nothing is there for it
        self._read = 0  # bytes since it had something
        self._over = self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def watched(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items of the source, for the first stage of the reader: here it waits where enough has been read ahead."""
        for item in items:
            self._read += getattr(getattr(item, "data", None), "nbytes", 1024)
            yield item
            if self._closed:
                raise _GivenUp
            if self._read >= AHEAD_BYTES:
                with self._changed:
                    self._wait_until(lambda: self._wanting or self._read < AHEAD_BYTES)

    def items(self, stream: Iterable[Any]) -> Iterator[Any]:
        """The items of ``stream``, which is iterated in the reader thread; raises what it raises."""
        if self._halt is not None:
            self._halt(False)
        thread = threading.Thread(target=self._run, args=(stream,), name="read on", daemon=True)
        thread.start()
        self._thread = thread
        try:
            while True:
                with self._report.idle(), self._changed:
                    if self._ready:
                        self._read = 0
                    self._wanting = not self._ready
                    self._changed.notify_all()
                    while not self._ready and not self._over:
                        self._changed.wait()
                    over = not self._ready
                    item = None if over else self._ready.popleft()
                    self._slices -= isinstance(item, CompleteLines)
                    self._changed.notify_all()
                self._report.say()
                if over:
                    break
                yield item
                del item  # nothing is held while the next is waited for
        finally:
            self.close()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Nobody wants the rest: the reader ends, and nothing is read from the source any more. Safe to call again."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._halt is not None:
            self._halt(True)
            thread.join()
            self._halt(False)
        else:
            thread.join(JOIN_S)
        self._report.say()

    def _run(self, stream: Iterable[Any]) -> None:
        error: BaseException | None = None
        try:
            with self._report.beside():
                for item in stream:
                    with self._report.idle(), self._changed:
                        self._wait_until(self._room)
                        self._ready.append(item)
                        if self._wanting:  # from now on it is ahead, however late the consumer wakes up
                            self._wanting, self._read = False, 0
                        self._slices += isinstance(item, CompleteLines)
                        self._changed.notify_all()
                    del item
        except _GivenUp:
            pass
        except BaseException as found:  # raised again where the items are taken
            error = found
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
            with self._changed:
                if error is not None and self._closed:
                    log.debug("after the end nobody hears of: %s", type(error).__name__)
                self._error, self._over = error, True
                self._changed.notify_all()

    def _room(self) -> bool:
        return self._slices < SLICES and len(self._ready) < SLICES + PASSING

    def _wait_until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._closed:
                raise _GivenUp
            self._changed.wait()
        if self._closed:
            raise _GivenUp
