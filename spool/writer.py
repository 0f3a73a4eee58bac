"""One session's bytes on their way to disk: a thread of their own, so that no disk can hold a scan up.

The session hands over pieces; the thread writes them and, at the end of slices, has them synced. The session waits for
the disk in two places, both bounded: when much is waiting to be written, and at the end of a slice until all of it
is written (not synced). So a slice that is reconstructed is in the spool, even if the process is killed at once.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from smug_recon.spool.folder import SpoolFolder
from smug_recon.spool.record import OWNER, STREAM, Record, new_name, now, open_private, take_lock

Result = TypeVar("Result")

log = logging.getLogger(__name__)

PIECE_BYTES = 256 << 10
"""Handed over at once, unless a slice ends before."""
MOST_WAITING_BYTES = 64 << 20
STEP_BYTES = 64 << 20
"""Reserved at once in the folder that several processes share."""
PATIENCE_S = 10.0
"""A disk that takes no byte for so long is given up, in seconds."""
REST = 20.0
"""The pause after a sync is this many times as long as the sync: a slow disk costs a twentieth of the time at most."""

synchronise = getattr(os, "fdatasync", os.fsync)


class Spool:
    """The spool of one session. Nothing here raises: ``trouble`` says why no more is kept."""

    def __init__(self, folder: SpoolFolder, record: Record) -> None:
        self.name = new_name()
        self.path = folder.path / self.name
        self.trouble = ""
        self.written = 0
        self.syncs = 0
        self._folder, self._record = folder, record
        self._step = min(STEP_BYTES, max(folder.most_bytes // 8, 1))
        self._piece = bytearray()
        self._waiting: deque[bytes | bytearray | Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._handed = self._reserved = 0
        self._sync_wanted = self._closing = False
        self._next_sync = 0.0
        self._stream = self._owner = -1
        self._thread = threading.Thread(target=self._run, name=f"spool {self.name}", daemon=True)
        self._thread.start()

    # -- called by the session

    def write(self, part: bytes | bytearray | memoryview) -> None:
        """Keep these bytes."""
        if self.trouble:
            return
        self._piece += part
        if len(self._piece) >= PIECE_BYTES:
            self._hand_over()

    def slice_ended(self) -> None:
        """Have all bytes so far written before this returns, and synced soon."""
        self._hand_over()
        with self._changed:
            self._sync_wanted = True
            self._changed.notify_all()
            self._wait(lambda: self.written >= self._handed)

    def put_beside(self, write: Callable[[], None]) -> None:
        """Have a file beside the stream written, by the thread that may wait for the disk."""
        with self._changed:
            if not self.trouble:
                self._waiting.append(write)
                self._changed.notify_all()

    def close(self, state: str, error: str = "") -> None:
        """Write and sync the rest, and say how the session ended; returns within the time of patience."""
        self._hand_over()
        self._record.state, self._record.error = state, error
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self._give_up(f"a disk that does not answer for {PATIENCE_S:g} s")

    def _hand_over(self) -> None:
        if self.trouble or not self._piece:
            return
        piece, self._piece = self._piece, bytearray()
        with self._changed:
            self._wait(lambda: self._handed - self.written < MOST_WAITING_BYTES)
            if not self.trouble:
                self._waiting.append(piece)
                self._handed += len(piece)
                self._changed.notify_all()

    def _wait(self, enough: Callable[[], bool]) -> None:
        """Wait until the disk has caught up, as long as it moves at all."""
        seen = -1
        while not self.trouble and not enough() and seen != self.written:
            seen = self.written
            self._changed.wait_for(lambda: self.trouble or enough(), PATIENCE_S)
        if not self.trouble and not enough():
            self._give_up(f"a disk that took no byte for {PATIENCE_S:g} s")

    def _give_up(self, reason: str) -> None:
        with self._changed:
            self.trouble = self.trouble or reason
            self._waiting.clear()
            self._piece = bytearray()
            self._changed.notify_all()

    # -- the thread

    def _run(self) -> None:
        try:
            self._begin()
            while self._work():
                pass
            self._sync()
        except OSError as error:
            self._give_up(error.strerror or str(error))
        except Exception as error:
            log.exception("the spool %s failed", self.name)
            self._give_up(f"{type(error).__name__}: {error}")
        try:
            self._end()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _begin(self) -> None:
        with self._folder.locked():
            self.path.mkdir(mode=0o700)
            self._owner = open_private(self.path / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            while not take_lock(self._owner):  # one who lists the folder looks at it just now
                time.sleep(0.01)
        with contextlib.suppress(OSError):
            self._folder.tidy()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._stream = open_private(self.path / STREAM, flags)
        self._record.began = now()
        self._with_room(lambda: self._record.write(self.path))
        for folder in (self.path, self._folder.path):
            _sync_folder(folder)

    def _work(self) -> bool:
        """Write what waits, sync when it is time; False when the session is over and all is written."""
        with self._changed:
            if not self._waiting and not self._closing:
                pause = max(self._next_sync - time.monotonic(), 0.0) if self._sync_wanted else None
                if pause is None or pause > 0:
                    self._changed.wait(pause)
            piece = self._waiting.popleft() if self._waiting else None
            over = self._closing and piece is None
        if callable(piece):
            self._with_room(piece)
        elif piece is not None:
            self._put(piece)
        if self._sync_wanted and time.monotonic() >= self._next_sync:
            self._sync()
        return not over and not self.trouble

    def _put(self, piece: bytes | bytearray) -> None:
        self._reserve(self.written + len(piece))
        rest = memoryview(piece)
        while rest:
            count = self._with_room(partial(os.write, self._stream, rest))
            rest = rest[count:]
            with self._changed:
                self.written += count
                self._changed.notify_all()

    def _with_room(self, write: Callable[[], Result]) -> Result:
        """Write; where the disk is full, remove what may go, the oldest first, and write again. OSError."""
        while True:
            try:
                return write()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._folder.make_room():
                    raise

    def _reserve(self, needed: int) -> None:
        """Stay within the bounds of session and folder; OSError with the bound that does not allow it."""
        if needed <= self._reserved:
            return
        most = self._folder.most_session_bytes
        if needed > most:
            raise OSError(f"more than {most / 1e9:g} GB of one session (spool.session_gigabytes)")
        for wanted in (min(needed + self._step, most), needed):
            if self._folder.reserve(self.name, wanted):
                self._reserved = wanted
                return
        raise OSError(
            f"{self._folder.most_bytes / 1e9:g} GB of spools (spool.gigabytes) that may not be removed: "
            "failed sessions stay until their folders are removed by hand"
        )

    def _sync(self) -> None:
        self._sync_wanted = False
        began = time.monotonic()
        synchronise(self._stream)
        self.syncs += 1
        ended = time.monotonic()
        self._next_sync = ended + REST * (ended - began)

    def _end(self) -> None:
        """Wait for the session to be over, then write down how it went and let the folder go."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing)
        try:
            if self._stream >= 0:
                self._record.bytes, self._record.stopped = self.written, self.trouble
                self._record.ended = now()
                self._record.write(self.path)
        finally:
            for descriptor in (self._stream, self._owner):
                if descriptor >= 0:
                    os.close(descriptor)
        self._folder.tidy()


def _sync_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
