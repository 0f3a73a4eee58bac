"""The process that reads HDF5: ``python -m smug_recon.replay.hdf5.reader``, started and watched by ``child.py``.

libhdf5 can go round in circles, crash, or take all memory on a damaged file. Here it may: this process has so much processor
time for each piece that it is asked for, a bounded memory, and writes no files. What it reads it gives to its parent.

    open PATH GROUP      open a raw file: its MRD header, and how many readouts there are
    look PATH            open any HDF5 file
    next WHAT NUMBER     the next piece of iteration NUMBER over WHAT: blocks, heads, others (scans) of a raw file, values
                         (of all datasets, read and not passed on) of any
    drop NUMBER          this iteration will not be asked for again
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smug_recon.errors import DataError, SmugReconError
from smug_recon.replay.hdf5.damage import DAMAGED
from smug_recon.replay.hdf5.frames import Piece, write_frame

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MEMORY_BYTES = 8 << 30
"""Address space of this process; a chunk of HDF5 has at most 4 GiB, a block of readouts 4 MiB."""


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    limit("RLIMIT_CORE", 0)
    limit("RLIMIT_FSIZE", 1 << 20)
    limit("RLIMIT_AS", MEMORY_BYTES)
    logging.basicConfig(level=logging.INFO, handlers=[_ToParent(answers)])
    logging.captureWarnings(True)
    if resource is None:
        log.warning(
            "this system sets a process no limits: on a damaged HDF5 file reading may go on without end and take all memory"
        )
    seconds = float(sys.argv[1])
    server = _Server()
    try:
        for line in sys.stdin.buffer:
            grant(seconds)
            answer = server.answer(*json.loads(line))
            grant(seconds)
            write_frame(answers, *answer)
    except BrokenPipeError:
        pass


def limit(name: str, most: float) -> None:
    """Lower a limit of this process, as far as the system knows it."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        what = getattr(resource, name)
        resource.setrlimit(what, (int(most), resource.getrlimit(what)[1]))


def grant(seconds: float) -> None:
    """So much more processor time from now on, then the kernel ends this process (SIGXCPU), whatever it does."""
    limit("RLIMIT_CPU", time.process_time() + seconds + 1)


class _Server:
    """An open file, and the iterations over it that are under way."""

    def __init__(self) -> None:
        self._raw: Any = None
        self._under_way: dict[int, Iterator[Piece]] = {}

    def answer(self, verb: str, *words: Any) -> Piece:
        """Do what a request says: every one has one answer."""
        try:
            return getattr(self, f"_{verb}")(*words)
        except SmugReconError as error:
            return _told(error)
        except Exception as error:
            traceback.print_exc()
            reason = " ".join(str(error).split())[:200]
            return _told(
                DataError(
                    f"a file that cannot be read ({type(error).__name__}: {reason})",
                    "a whole HDF5 file",
                    DAMAGED,
                )
            )

    def _open(self, path: str, group: str | None) -> Piece:
        from smug_recon.replay.hdf5.direct import open_here

        self._raw = raw = open_here(path, group)
        counts = {"acquisitions": raw.acquisitions, "others": raw.others}
        return {"kind": "answer", **counts}, raw.header_xml

    def _look(self, path: str) -> Piece:
        import h5py

        try:
            self._raw = h5py.File(path, "r")
        except (OSError, RuntimeError) as error:
            name, reason = Path(path).name, " ".join(str(error).split())[:200]
            raise DataError(f"{name}, which HDF5 cannot open ({reason})", "an HDF5 file", DAMAGED) from None
        return {"kind": "answer"}, b""

    def _next(self, what: str, number: int) -> Piece:
        if number not in self._under_way:
            self._under_way[number] = getattr(self, f"_pieces_of_{what}")()
        try:
            return next(self._under_way[number])
        except StopIteration:
            self._drop(number)
            return {"kind": "end"}, b""
        except BaseException:
            self._drop(number)
            raise

    def _drop(self, number: int) -> Piece:
        self._under_way.pop(number, None)
        return {"kind": "answer"}, b""

    def _pieces_of_blocks(self) -> Iterator[Piece]:
        for block in self._raw.blocks():
            counts = {"acquisitions": block.acquisitions, "others": block.others}
            yield {"kind": "answer", **counts}, block.payload

    def _pieces_of_heads(self) -> Iterator[Piece]:
        for table in self._raw.head_tables():
            yield {"kind": "answer"}, table.tobytes()

    def _pieces_of_others(self) -> Iterator[Piece]:
        for scan in self._raw.other_scans():
            yield {"kind": "answer", "name": scan.name, "noise": scan.noise_only}, scan.header_xml

    def _pieces_of_values(self) -> Iterator[Piece]:
        from smug_recon.replay.hdf5.damage import every_value

        for _ in every_value(self._raw):
            yield {"kind": "answer"}, b""


def _told(error: SmugReconError) -> Piece:
    words = {"found": error.found, "expected": error.expected, "remedy": error.remedy}
    return {"kind": "error", "class": type(error).__name__, **words}, b""


class _ToParent(logging.Handler):
    """Log lines go to the parent, whose log they belong to."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        note = {"kind": "log", "logger": record.name, "level": record.levelno, "text": record.getMessage()}
        write_frame(self._descriptor, note)


if __name__ == "__main__":
    main()
