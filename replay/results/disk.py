"""A disk that is full, read-only or not ours: one clear error, and nothing half written is left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from smug_recon.errors import OutputError

OF_THE_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
}
RESERVE_BYTES = 4 * 2**20
"""Kept free beyond the image at hand: HDF5 writes its own tables when the file is closed."""
IN_HDF5 = re.compile(r"errno = (\d+)")
"""HDF5 tells the error of the system in its text alone, and not always as an OSError."""


@contextlib.contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into an OutputError; what is under way (``*.incomplete``) is removed."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = number_of(error)
        if number not in OF_THE_DISK:
            raise
        with contextlib.suppress(OSError):
            for part in (*folder.glob("*.incomplete*"), *folder.glob("*/*.incomplete")):
                part.unlink(missing_ok=True)
        raise OutputError(
            f"{folder}, which cannot be written ({os.strerror(number)})",
            "a folder with room for the images",
            "make room or choose another folder; the raw scan is untouched: run it again",
        ) from error


def check_room(folder: Path, size: int) -> None:
    """OSError where the disk has no room for ``size`` bytes and what HDF5 holds back.

    Before, not after: HDF5 writes when it likes, h5py swallows what fails in doing so, and a process that goes on with such
    a file ends in a segmentation fault (HDF5 1.14, on a full tmpfs).
    """
    if shutil.disk_usage(folder).free < size + RESERVE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def number_of(error: BaseException) -> int:
    """The error number of the system behind an error; 0 where there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = IN_HDF5.search(str(error))
    return int(found[1]) if found else 0


@contextlib.contextmanager
def all_or_none(folder: Path, pattern: str) -> Iterator[None]:
    """Remove the files of an earlier run, and those of this one if it fails."""
    clear(folder, pattern)
    try:
        yield
    except BaseException:
        clear(folder, pattern)
        raise


def clear(folder: Path, pattern: str) -> None:
    """Remove files of an earlier run; nothing else in the folder is touched."""
    for path in folder.glob(pattern):
        path.unlink()
