"""One spool on disk: a folder named by date, time and chance, with four files in it.

20261121-123522-7f3a1c/   0700
    stream.mrd            the bytes of the host as they came, the handshake included (0600, as all of them)
    pipeline.yaml         the settings as they held, overrides included
    session.json          when, how long, how it ended; nothing of the patient
    owner                 locked as long as the session runs; how many bytes are reserved for it
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

STREAM, PIPELINE, RECORD, OWNER = "stream.mrd", "pipeline.yaml", "session.json", "owner"
NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
LONGEST_RECORD = 1 << 20
"""In bytes; no session.json is longer."""

RUNNING, DONE, FALLBACK, EMPTY, FAILED = "running", "done", "fallback", "empty", "failed"
REMOVABLE = (DONE, FALLBACK, EMPTY)
"""What may be removed by age and size; a session that failed, or that was killed while running, stays."""


@dataclass
class Record:
    """What ``session.json`` says: times in UTC, ``bytes`` of the stream, ``stopped`` why no more were kept."""

    state: str = RUNNING
    began: str = ""
    ended: str = ""
    bytes: int = 0
    host: str = ""
    target: str = "reconstruct"
    stopped: str = ""
    error: str = ""
    software: str = ""

    def write(self, spool: Path) -> None:
        """Write ``session.json`` in one step; OSError."""
        write_private(spool / RECORD, json.dumps(asdict(self), indent=1).encode() + b"\n")


def read_record(spool: Path) -> Record | None:
    """The record of a spool, None where there is none or it cannot be read."""
    try:
        with (spool / RECORD).open("rb") as file:
            found = json.loads(file.read(LONGEST_RECORD))
        known = {field.name: type(field.default) for field in fields(Record)}
        return Record(**{name: found[name] for name, kind in known.items() if type(found.get(name)) is kind})
    except (OSError, ValueError, AttributeError):
        return None


def new_name() -> str:
    """Date and time (UTC) and six hexadecimal digits of chance: nothing of the scan."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def now() -> str:
    """The time, UTC, as ``session.json`` writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def is_spool(path: Path | str) -> bool:
    """Whether a path is a spool: a folder with a stream in it."""
    return (Path(path) / STREAM).is_file()


def open_private(path: Path, flags: int) -> int:
    """Open a file that its owner alone may read; OSError."""
    safe = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)  # not on Windows
    return os.open(path, flags | safe, 0o600)


def write_private(path: Path, content: bytes) -> None:
    """Write a file of 0600 in one step: the old one or the new one is there, never half of it; OSError."""
    unfinished = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def take_lock(file: int | IO[bytes], exclusive: bool = True) -> bool:
    """Lock an open file without waiting; False if another one holds it. The lock ends with the file or the process.

    Raises:
        OSError: the disk, or the system (Windows), knows no locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOTSUP, "no locks on files on this system") from None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def reading(spool: Path) -> Iterator[bool]:
    """Keep a spool from being removed while it is read; yields whether its session is over."""
    with contextlib.ExitStack() as held:
        over = True
        with contextlib.suppress(OSError):  # a copy on a disk that knows no locks can be read as well
            over = take_lock(held.enter_context((spool / OWNER).open("rb")), exclusive=False)
        yield over
