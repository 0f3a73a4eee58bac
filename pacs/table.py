"""The table on disk: one row for every instance and destination, changed in whole transactions by any number of processes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from smug_recon.errors import DataError

LOCKED_S = 60.0
"""How long a queue is waited for that another process is just changing."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS instances(
 number INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL, uid TEXT NOT NULL, sop_class TEXT NOT NULL,
 syntax TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, object TEXT NOT NULL,
 state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
 reason TEXT NOT NULL DEFAULT '', changed REAL NOT NULL, ask TEXT, asks INTEGER NOT NULL DEFAULT 0,
 UNIQUE(peer, uid));
CREATE INDEX IF NOT EXISTS by_state ON instances(peer, state, due);
PRAGMA user_version = 1;
"""


def _write_ahead(base: sqlite3.Connection) -> None:
    """Make a new queue one with a write-ahead log; SQLite does not wait by itself while another process does the same."""
    limit = time.monotonic() + LOCKED_S
    while True:
        try:
            base.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > limit:
                raise
            time.sleep(0.01)


class Table:
    """The rows of a file; safe to use from several threads and processes.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._base = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        self._base.row_factory = sqlite3.Row
        _write_ahead(self._base)
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._base.close()

    def rows(self, query: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """The rows that a query finds."""
        with self._lock:
            return self._base.execute(query, values).fetchall()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, of which no other thread or process sees half; DataError if the disk does not take it."""
        with self._lock:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                try:
                    yield self._base
                except BaseException:
                    self._base.execute("ROLLBACK")
                    raise
                self._base.execute("COMMIT")
            except sqlite3.Error as error:
                raise DataError(
                    f"a queue that cannot be written ({error})", "room on the disk", "make room"
                ) from None
