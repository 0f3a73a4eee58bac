"""The folder of all spools: what it may hold, what is removed from it, and in which order.

1. A session that failed, or that was killed while it ran, stays until a person removes its folder.
2. One that is over and well goes when it is older than ``days``, and the oldest first when room is needed: within
   ``gigabytes`` for all spools together, or because the disk is full.
3. What runs, and what is being replayed, is left alone: its ``owner`` file is locked. So is everything that is no spool.

Several processes may share a folder: they count and remove one at a time, under the lock of the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import SpoolSettings
from smug_recon.spool.record import (
    NAME,
    OWNER,
    REMOVABLE,
    STREAM,
    Record,
    open_private,
    read_record,
    take_lock,
)

LOCK = ".lock"
LOCK_S = 5.0
"""How long to wait for another process that counts, in seconds."""
MOST_OVER = 1000
"""No more spools than this are kept of sessions that are over and well, however small they are."""


@dataclass(frozen=True)
class Kept:
    """One spool as found: the bytes that it takes or has reserved, and whether its session (or a replay) holds it."""

    path: Path
    record: Record | None
    bytes: int
    held: bool

    @property
    def removable(self) -> bool:
        """Whether it may go when room is needed."""
        return not self.held and self.record is not None and self.record.state in REMOVABLE


class SpoolFolder:
    """The spools of one folder within the bounds of the settings."""

    def __init__(self, settings: SpoolSettings) -> None:
        assert settings.folder is not None
        self.path = settings.folder.expanduser()
        self.settings = settings
        self.most_bytes = int(settings.gigabytes * 1e9)
        self.most_session_bytes = int(settings.session_gigabytes * 1e9)

    def check(self) -> None:
        """Make the folder and write into it, as a session would; ConfigurationError if that fails."""
        probe = self.path / f".probe-{os.getpid()}"
        try:
            with self.locked():
                os.close(open_private(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
                probe.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"the spool folder {self.path}, which cannot be written ({error.strerror or error})",
                "a folder on a local disk that this user may write to",
                "mend its rights or choose another one",
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one of all processes that counts and removes; makes the folder (0700) if there is none. OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = open_private(self.path / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            limit = time.monotonic() + LOCK_S
            while not take_lock(descriptor):
                if time.monotonic() > limit:
                    raise TimeoutError(f"{LOCK} held by another process for {LOCK_S:g} s")
                time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

    def spools(self) -> list[Kept]:
        """All spools, the oldest first."""
        return spools(self.path)

    def reserve(self, name: str, wanted: int) -> bool:
        """Reserve ``wanted`` bytes for the spool ``name``, making room if need be; whether that succeeded. OSError."""
        with self.locked():
            others = [kept for kept in self.spools() if kept.path.name != name]
            total = wanted + sum(kept.bytes for kept in others)
            for kept in others:
                if total <= self.most_bytes:
                    break
                if kept.removable and _remove(kept.path):
                    total -= kept.bytes
            if total > self.most_bytes:
                return False
            with (self.path / name / OWNER).open("r+") as file:
                file.write(f"{wanted:020d}\n")
            return True

    def make_room(self) -> bool:
        """Remove the oldest spool that may go; whether there was one. OSError."""
        with self.locked():
            return any(kept.removable and _remove(kept.path) for kept in self.spools())

    def tidy(self) -> int:
        """Remove what is too old or too much; how many spools went. OSError."""
        limit = datetime.now(timezone.utc) - timedelta(days=self.settings.days)
        with self.locked():
            over = [kept for kept in self.spools() if kept.removable]
            surplus = {kept.path for kept in over[: max(len(over) - MOST_OVER, 0)]}
            for entry in os.scandir(self.path):
                if entry.name.startswith(".removed-"):  # a removal that was broken off
                    shutil.rmtree(entry.path, ignore_errors=True)
            return sum(_remove(kept.path) for kept in over if kept.path in surplus or _ended(kept) <= limit)


def spools(folder: Path) -> list[Kept]:
    """The spools in a folder, the oldest first; none if there is no such folder."""
    try:
        paths = sorted(Path(entry) for entry in os.scandir(folder) if NAME.fullmatch(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [kept for path in paths if not path.is_symlink() and (kept := _look(path)) is not None]


def _look(path: Path) -> Kept | None:
    """A spool as it is now; None if it has just gone."""
    try:
        size = (path / STREAM).stat().st_size
    except OSError:
        size = 0
    try:
        with (path / OWNER).open("rb") as owner:
            if held := not take_lock(owner, exclusive=False):
                size = max(size, int(owner.read(64) or b"0"))
    except FileNotFoundError:
        held = path.is_dir()  # it is just being made
        if not held:
            return None
    except (OSError, ValueError):
        held = True
    return Kept(path, read_record(path), size, held)


def _remove(path: Path) -> bool:
    """Remove a spool that nobody holds; whether it is gone. Its name goes first, so that no half of it is found."""
    hidden = path.with_name(f".removed-{path.name}")
    try:
        with (path / OWNER).open("rb") as owner:
            if not take_lock(owner):
                return False
            path.rename(hidden)
    except OSError:
        return False
    shutil.rmtree(hidden, ignore_errors=True)
    return True


def _ended(kept: Kept) -> datetime:
    """When its session ended; the beginning of time if that cannot be read."""
    try:
        found = datetime.fromisoformat(kept.record.ended) if kept.record else datetime.min
    except ValueError:
        found = datetime.min
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
