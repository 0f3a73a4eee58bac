"""The process that reads HDF5 in our place: started, asked, and never waited for without end.

Three things end it: too much processor time for one piece (the kernel sees to that, even if we are gone), a silence beyond
all patience (a disk that does not answer), and ``close``. The first two are one DataError that names the file.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

from smug_recon import errors
from smug_recon.errors import ConfigurationError, DataError
from smug_recon.replay.hdf5.damage import DAMAGED
from smug_recon.replay.hdf5.frames import Piece, read_frame, write_request

PIECE_S, VARIABLE = 60.0, "SMUG_RECON_READ_SECONDS"
"""Processor time for one piece of a file, in seconds: a block of 4 MiB, or a slice of a fastMRI file."""
MOST_PIECE_S = 1e6
SILENCE_S = 600
"""Longest wait for a disk, in seconds."""
PIPE_BYTES = 1 << 20
"""As much as Linux lets anyone have in a pipe."""
ENDED_S = 5.0
WHOLE = "a whole HDF5 file"


class _Ticket:
    """What has been asked for, and the answer once it is there."""

    piece: Piece | None = None


class Child:
    """``python -m smug_recon.replay.hdf5.reader`` for one file, whose name stands in the errors.

    One thread asks; another may close.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seconds = allowed_s()
        self._over: DataError | None = None
        self._lock = threading.Lock()
        self._asked: deque[_Ticket] = deque()
        self._numbers = itertools.count()
        self._said = tempfile.TemporaryFile(prefix="smug-recon-")  # noqa: SIM115 (closed by close)
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smug_recon.replay.hdf5.reader", str(self._seconds)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **one_thread, "PYTHONSAFEPATH": "1"},
            start_new_session=True,  # Ctrl-C reaches us alone; we then close
        )
        self._requests, self._pipe = (
            cast(io.FileIO, self._process.stdin),
            cast(io.FileIO, self._process.stdout),
        )
        with contextlib.suppress(ImportError, OSError, AttributeError):  # a small pipe is slower, no more
            import fcntl

            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._patient = _Patient(self._pipe.fileno(), name)
        self._answers = io.BufferedReader(self._patient)

    def ask(self, *words: Any) -> Piece:
        """Ask, and wait for the answer. Any error of ``errors.py``."""
        return self._wait(self._send(*words))

    def pieces(self, what: str) -> Iterator[Piece]:
        """The pieces of ``what``, each read while the one before is worked on. Any error of ``errors.py``."""
        number = next(self._numbers)
        ticket = self._send("next", what, number)
        try:
            while (piece := self._wait(ticket))[0]["kind"] != "end":
                ticket = self._send("next", what, number)
                yield piece
        finally:
            with contextlib.suppress(DataError):  # it is over anyway
                self._send("drop", number)

    def halt(self, on: bool) -> None:
        """Make a wait for an answer end within a second, for good, in whatever thread it is (True); a later one may be (False)."""
        self._patient.halted = on

    def close(self) -> None:
        """End the process, whatever it does."""
        self._over = self._over or DataError(
            f"{self._name}, which is closed", "an open file", "open it again"
        )
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # hung in a disk, it ends when that answers
            self._process.wait(ENDED_S)
        if self._lock.acquire(timeout=ENDED_S):  # whoever waits for an answer sees the end of the pipe
            for pipe in (self._requests, self._pipe, self._said):
                pipe.close()
            self._lock.release()

    def _send(self, *words: Any) -> _Ticket:
        if self._over is not None:
            raise self._over
        ticket = _Ticket()
        try:
            write_request(self._requests.fileno(), *words)
        except (OSError, ValueError):
            raise self._ended() from None
        self._asked.append(ticket)
        return ticket

    def _wait(self, ticket: _Ticket) -> Piece:
        """Read on to this answer: they come in the order of the requests."""
        while ticket.piece is None:
            with self._lock:
                if self._over is not None:
                    raise self._over
                try:
                    frame = read_frame(self._answers)
                except DataError as error:
                    self._over = error
                    raise
            if frame is None:
                raise self._ended()
            if frame[0]["kind"] == "log":
                logging.getLogger(frame[0]["logger"]).log(frame[0]["level"], "%s", frame[0]["text"])
            else:
                self._asked.popleft().piece = frame
        note, _ = ticket.piece
        if note["kind"] == "error":
            raise getattr(errors, note["class"])(note["found"], note["expected"], note["remedy"])
        return ticket.piece

    def _ended(self) -> DataError:
        """The error that says how the process ended."""
        if self._over is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDED_S)
            self._over = self._obituary(self._process.poll())
        return self._over

    def _obituary(self, code: int | None) -> DataError:
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if name == "SIGXCPU":
                found = f"{self._name}, in which HDF5 goes round in circles ({self._seconds:g} s of processor time for one piece)"
                return DataError(found, WHOLE, f"{DAMAGED}; {VARIABLE} allows more time")
            return DataError(f"{self._name}, on which HDF5 crashes ({name})", WHOLE, DAMAGED)
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")[-5:]
        how = f"a reader of {self._name} that ended with exit code {code}"
        return DataError(
            how, "its contents", f"report this: {' | '.join(line.strip() for line in lines if line)}"
        )


def allowed_s() -> float:
    """Processor time for one piece: that of the environment, else the usual one. ConfigurationError."""
    given = os.environ.get(VARIABLE) or str(PIECE_S)
    try:
        if 0 < (seconds := float(given)) <= MOST_PIECE_S:
            return seconds
    except ValueError:
        pass
    raise ConfigurationError(
        f"{VARIABLE}={given}", f"seconds, above 0 and at most {MOST_PIECE_S:g}", "mend or unset the variable"
    )


class _Patient(io.RawIOBase):
    """A pipe that is read from with patience, but not without end; DataError.

    Windows cannot wait for a pipe: there it is read from without a limit, and the reader says so (``reader.py``).
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name, self.halted = descriptor, name, False
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if self._poll is None:
            part = os.read(self._descriptor, len(target))
            target[: len(part)] = part
            return len(part)
        for _ in range(SILENCE_S):  # second by second: time in which the machine sleeps does not count
            if self._poll.poll(1000):
                return os.readv(self._descriptor, [target])
            if self.halted:
                raise DataError(f"a reader of {self._name} that was halted", "nothing further wanted", "none")
        raise DataError(
            f"{self._name}, of which nothing came for {SILENCE_S} s",
            "a disk that answers",
            "look at the disk or the network share",
        )
