"""Work done aside, in a thread that ends as soon as there is nothing left to do.

OpenMP keeps workers for every thread that ever computed in parallel, until that thread ends. As soon as there are more of them
than cores its barriers sleep instead of spinning (libgomp, ``GOMP_SPINCOUNT``), and everything that computes in short loops, as
data consistency does, slows down: a thread that only waits for its next work is not free.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Aside:
    """Runs one piece of work after the other; ``name`` is that of the thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._busy = False

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Let ``work`` be done, and return the future of what it gives or raises."""
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, work))
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name=self._name).start()
        return future

    def close(self) -> None:
        """Drop what has not been begun; what has been goes on to its end."""
        with self._lock:
            for future, _ in self._waiting:
                future.cancel()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                future, work = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                found = work()
            except BaseException as error:  # raised again where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(found)
            del future, work  # nothing is held while the next is waited for
