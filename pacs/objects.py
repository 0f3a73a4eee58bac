"""Copies of the files that are to be sent: in a folder of their own, for this user alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Container
from pathlib import Path

from smug_recon.errors import DataError
from smug_recon.pacs.files import BLOCK, Instance


class Objects:
    """A folder of copies; a copy is on the disk when ``copied`` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def copied(self, found: Instance) -> str:
        """Copy a file and return the name of the copy; DataError if there is no room, or the file has changed."""
        name = f"{uuid.uuid4().hex}.dcm"
        target = self.folder / name
        digest = hashlib.sha256()
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as copy, found.path.open("rb") as source:
                while block := source.read(BLOCK):
                    digest.update(block)
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
            _flush(self.folder)
        except OSError as error:
            target.unlink(missing_ok=True)
            free = shutil.disk_usage(self.folder).free
            raise DataError(
                f"a file that cannot be copied into the queue ({error.strerror}, {free / 2**20:.0f} MiB free)",
                "a readable file and room on the disk",
                "make room, or choose another queue",
            ) from None
        if digest.hexdigest() != found.digest:
            target.unlink(missing_ok=True)
            raise DataError(
                "a file that changes while it is read", "finished files", "send it when it is whole"
            )
        return name

    def remove(self, name: str) -> None:
        """Remove a copy that nobody needs any more."""
        (self.folder / name).unlink(missing_ok=True)

    def sweep(self, needed: Container[str]) -> None:
        """Remove what an end between two steps has left."""
        for path in self.folder.iterdir():
            if path.name not in needed:
                path.unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
