"""SIGTERM at a node: the scan in hand may end within a time of grace; then its host is told, and the process ends.

    SIGTERM ──grace──▶ the error goes to the host (id 8) ──LAST_WORD_S──▶ the process ends, whatever it is in

A computation in a library cannot be interrupted: where it holds the process beyond the time of grace, a thread tells the host.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire import GuardedSocket

log = logging.getLogger(__name__)

LAST_WORD_S = 5.0
"""For telling the host, behind the time of grace; then the process ends."""
EXIT_CODE = 128 + signal.SIGTERM
LOOK_S = 0.05
TOLD = threading.Event()
"""Set by the first SIGTERM: no further session is begun."""


class Stopped(SystemExit):
    """The time of grace is over; ``reason`` is for the host. No fallback takes it for a failure of its own."""

    def __init__(self) -> None:
        self.reason = StreamError(
            "a node that is being stopped (SIGTERM)", "the whole scan before that", "send the scan again"
        )
        super().__init__(EXIT_CODE)


@contextmanager
def stoppable(wire: GuardedSocket, grace_s: float) -> Iterator[None]:
    """Within, SIGTERM waits for the end of the scan, ``grace_s`` at most; the process ends after it in any case.

    Raises:
        Stopped: the scan was not over in time.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield  # signals go to the main thread: who runs sessions in others stops them himself
        return

    def begin(number: int, frame: object) -> None:
        if not TOLD.is_set():
            TOLD.set()
            log.warning("told to stop (SIGTERM): the scan has %g s to end", grace_s)
            signal.setitimer(signal.ITIMER_REAL, grace_s)
            last = threading.Timer(grace_s + LAST_WORD_S, leave, (wire,))
            last.daemon = True
            last.start()

    def end(number: int, frame: object) -> None:
        if wire.half_sent:  # a message is on its way: first to its end
            signal.setitimer(signal.ITIMER_REAL, LOOK_S)
        else:
            raise Stopped

    before = [
        (name, signal.signal(name, do)) for name, do in ((signal.SIGTERM, begin), (signal.SIGALRM, end))
    ]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for name, handler in before:
            signal.signal(name, handler)


def leave(wire: GuardedSocket) -> None:
    """End the process now; a host that has not been told why is told first."""
    log.error("the node is stopped in the middle of a slice: the time of grace is over")
    if not wire.closed and not wire.failed:
        words = threading.Thread(target=wire.fail, args=(f"smug-recon: {Stopped().reason}",), daemon=True)
        words.start()
        words.join(LAST_WORD_S)
    logging.shutdown()
    os._exit(EXIT_CODE)
