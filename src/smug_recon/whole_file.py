"""A file has its name only when it is complete: it is written beside its place and renamed."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path, shared: bool = False) -> Iterator[Path]:
    """Give the path to write at, ``NAME.incomplete``; it becomes ``path`` at the end of the block, and goes if the block fails.

    ``shared``: others may write the same file at the same time; the path has machine and process in its name.

    A kill at any moment leaves the file that was there before, or none. Raises what the block and the disk raise.
    """
    writer = f".{socket.gethostname()}-{os.getpid()}" if shared else ""
    unfinished = path.with_name(f"{path.name}{writer}.incomplete")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
