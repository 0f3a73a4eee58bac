"""SIGTERM at a node: the scan in hand may end within a time of grace; then its host is told, and the process ends.

    SIGTERM ──grace──▶ the error goes to the host (id 8) ──LAST_WORD_S──▶ the process ends, whatever it is in

A computation in a library cannot be interrupted: where it holds the process beyond the time of grace, a thread tells the host.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.sockets import GuardedSocket

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

    A thread hears of the signal (``set_wakeup_fd``): the main one may be inside a library, where no handler of Python runs.

    Raises:
        Stopped: the scan was not over in time.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
        yield  # signals go to the main thread: who runs sessions in others stops them himself
        return

    def end(number: int, frame: object) -> None:
        if wire.half_sent:  # a message is on its way: first to its end
            signal.setitimer(signal.ITIMER_REAL, LOOK_S)
        else:
            raise Stopped

    hears, tells = socket.socketpair()
    tells.setblocking(False)
    over = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGALRM, end)
    waking = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, args=(hears, wire, grace_s, over), name="stop", daemon=True)
    watcher.start()
    try:
        yield
        over.set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # one may still be under way
        signal.signal(signal.SIGTERM, before)
        tells.close()
        if over.is_set() or not TOLD.is_set():
            watcher.join(
                LAST_WORD_S
            )  # a thread that wakes up while the interpreter is being taken down can abort it


def watch(hears: socket.socket, wire: GuardedSocket, grace_s: float, over: threading.Event) -> None:
    """Wait for SIGTERM, then for the end of the scan, then for the last word to the host; then end the process."""
    with hears:
        while signal.SIGTERM not in (heard := hears.recv(64)):
            if not heard:
                return
    TOLD.set()
    log.warning("told to stop (SIGTERM): the scan has %g s to end", grace_s)
    if over.wait(grace_s):
        return
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
    if not over.wait(LAST_WORD_S):
        leave(wire)


def leave(wire: GuardedSocket) -> None:
    """End the process now; a host that has not been told why is told first."""
    log.error("the node is stopped in the middle of a slice: the time of grace is over")
    if not wire.closed and not wire.failed:
        words = threading.Thread(target=wire.fail, args=(f"smug-recon: {Stopped().reason}",), daemon=True)
        words.start()
        words.join(LAST_WORD_S)
    logging.shutdown()
    os._exit(EXIT_CODE)
