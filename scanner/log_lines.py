"""The lines that the log gains during a session, kept until they can travel as TEXT between two messages."""

from __future__ import annotations

import logging
from collections import deque
from types import TracebackType

LEVELS = {10: "DEBUG   ", 20: "INFO    ", 30: "WARNING ", 40: "ERROR   ", 50: "CRITICAL"}
"""As python-ismrmrd-server writes them."""
MOST_LINES, MOST_LETTERS = 500, 1000


class LogLines(logging.Handler):
    """Collects what one thread says under ``smug_recon``, from INFO on; the oldest lines go when nobody takes them."""

    def __init__(self, thread: int | None) -> None:
        super().__init__(logging.INFO)
        self._thread = thread
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    @classmethod
    def none(cls) -> LogLines:
        """For hosts that take no TEXT."""
        return cls(None)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the thread in question."""
        if record.thread == self._thread:
            text = " ".join(record.getMessage().split())[:MOST_LETTERS]
            self._lines.append(f"{LEVELS.get(record.levelno, 'INFO    ')} {text}")

    def taken(self) -> list[str]:
        """The lines so far, which are then forgotten."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def __enter__(self) -> LogLines:
        if self._thread is not None:
            logging.getLogger("smug_recon").addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("smug_recon").removeHandler(self)
