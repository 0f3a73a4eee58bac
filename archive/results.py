"""Where results go: a folder or a bucket, each scan whole or not at all.

OUT/
    index.html  scans.csv  scans.parquet
    scans/PATH/          images.h5 and what else ``replay`` writes, thumb.png, node.log
    manifest/PATH.json   the record of a scan, last: a result without a record is not there yet
    .incomplete/         what is under way on this disk; what was left by a kill is removed at the next start

On a disk a result is made on the same file system and renamed, its bytes on the disk before the record is. In a bucket the
objects come first and the record last. Before an earlier result is touched, its record goes.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from smug_recon.archive.record import Record, read_record
from smug_recon.errors import OutputError
from smug_recon.replay.results.disk import OF_THE_DISK, number_of
from smug_recon.spool.record import take_lock

SCANS, MANIFEST, INCOMPLETE = "scans", "manifest", ".incomplete"
OWNER = "owner"
MOMENT_S = 3600.0
"""Left alone for so long, in seconds, where no lock tells whether somebody is at it."""


class Results:
    """The results of an archive at a URL of fsspec; a plain path is a folder of this machine."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files, self.root = url_to_fs(url, use_listings_cache=False)
        self.local = isinstance(self.files, LocalFileSystem)

    def place(self, *parts: str) -> str:
        """The path of something in it."""
        return posixpath.join(self.root, *parts)

    def record_place(self, path: str) -> str:
        """Where the record of a scan lies."""
        return self.place(MANIFEST, f"{path}.json")

    def records(self, paths: list[str]) -> list[Record | None]:
        """The records of scans, None where there is none."""
        found = (
            self.files.cat([self.record_place(path) for path in paths], on_error="return") if paths else {}
        )
        return [read_record(found.get(self.record_place(path))) for path in paths]

    def all_records(self, batch: int = 256) -> Iterator[Record]:
        """All records, folder by folder in alphabetical order."""
        top = self.place(MANIFEST)
        if not self.files.exists(top):
            return
        for folder, folders, names in self.files.walk(top, detail=True):
            for name in sorted(folders):
                folders[name] = folders.pop(name)
            paths = [posixpath.join(folder, name) for name in sorted(names) if name.endswith(".json")]
            for start in range(0, len(paths), batch):
                found = self.files.cat(paths[start : start + batch], on_error="return")
                for path in paths[start : start + batch]:
                    if (record := read_record(found.get(path))) is not None:
                        yield record

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for what is under way, on the disk of the results where they lie on one; OutputError."""
        if not self.local:
            with tempfile.TemporaryDirectory(prefix="smug-recon-archive-") as temporary:
                yield Path(temporary)
            return
        with written(self.root):
            folder = Path(self.place(INCOMPLETE, secrets.token_hex(8)))
            folder.mkdir(parents=True)
            owner = (folder / OWNER).open("wb")
        try:
            take_lock(owner)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            owner.close()

    def sweep(self) -> int:
        """Remove what killed workers have left under way; how much that was."""
        swept = 0
        for left in Path(self.place(INCOMPLETE)).glob("*") if self.local else ():
            with contextlib.suppress(OSError):
                if (left / OWNER).is_file():
                    with (left / OWNER).open("rb") as owner:
                        if not take_lock(owner):
                            continue
                elif time.time() - left.stat().st_mtime < MOMENT_S:
                    continue
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()
                swept += 1
        return swept

    def publish(self, made: Path, record: Record) -> None:
        """Put a finished result in its place, in the place of an earlier one, then its record; OSError, OutputError."""
        self.forget(record.path)
        target = self.place(SCANS, record.path)
        if self.local:
            with written(self.root):
                _renamed(made, Path(target))
        else:
            before = set(self.files.find(target)) if self.files.exists(target) else set()
            made_files = sorted(path for path in made.rglob("*") if path.is_file())
            remote = [posixpath.join(target, path.relative_to(made).as_posix()) for path in made_files]
            if remote:
                self.files.put([str(path) for path in made_files], remote)
            if stale := sorted(before - set(remote)):
                self.files.rm(stale)
        self.write_record(record)

    def forget(self, path: str) -> None:
        """Remove the record of a scan: what lies in its place does not count any more."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm_file(self.record_place(path))

    def write_record(self, record: Record) -> None:
        """Write a record in one step; OSError, OutputError."""
        self.write(posixpath.join(MANIFEST, f"{record.path}.json"), record.content())

    def write(self, name: str, content: bytes) -> None:
        """Write a small file in one step, on the disk when this returns; OSError, OutputError."""
        if not self.local:
            self.files.pipe_file(self.place(name), content)
            return
        with written(self.root), self._beside(name) as unfinished:
            unfinished.write_bytes(content)

    def keep(self, made: Path, name: str) -> None:
        """Put a finished file of any length in its place in one step; OSError, OutputError."""
        if not self.local:
            self.files.put_file(str(made), self.place(name))
            return
        with written(self.root), self._beside(name) as unfinished:
            shutil.copyfile(made, unfinished)

    def drop(self, name: str) -> None:
        """Remove a file that is not wanted any more; one that is not there is no error."""
        if name:
            with contextlib.suppress(OSError):
                self.files.rm_file(self.place(name))

    @contextlib.contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        target = Path(self.place(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(self.place(INCOMPLETE, f"{secrets.token_hex(8)}.part"))
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            on_disk([unfinished])
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)


def absolute(url: str) -> str:
    """The same place for a process with another working directory."""
    files, root = url_to_fs(url)
    return root if isinstance(files, LocalFileSystem) else str(files.unstrip_protocol(root))


def _renamed(made: Path, target: Path) -> None:
    """Rename a folder to its place, with its bytes on the disk; what was there before goes."""
    on_disk(path for path in made.rglob("*") if path.is_file())
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target.rename(made.with_name(f"{made.name}.before"))
    elif target.exists():
        raise OutputError(f"the file {target}", "a folder for a result", "remove it")
    made.rename(target)


def followed(about: dict[str, Any]) -> dict[str, Any]:
    """What a file system says of a file; of a link to a file what it says of that file."""
    if not about.get("islink"):
        return about
    with contextlib.suppress(OSError):
        found = Path(about["name"]).stat()
        if stat.S_ISREG(found.st_mode):
            return {**about, "type": "file", "size": found.st_size, "mtime": found.st_mtime}
    return about


def stamp(about: dict[str, Any]) -> str:
    """What changes when a file changes: the ETag of an object, else the time of the last change."""
    return str(about.get("ETag") or about.get("mtime") or about.get("LastModified") or about.get("created"))


@contextlib.contextmanager
def written(folder: str) -> Iterator[None]:
    """Turn what the disk refuses into an OutputError."""
    try:
        yield
    except OSError as error:
        if number_of(error) not in OF_THE_DISK:
            raise
        raise OutputError(
            f"{folder}, which cannot be written ({os.strerror(number_of(error))})",
            "a folder with room for the results",
            "make room or choose another folder, then run the same command again",
        ) from error


def on_disk(paths: Iterable[Path]) -> None:
    """Wait until the bytes of files are on the disk, not only with the system."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
