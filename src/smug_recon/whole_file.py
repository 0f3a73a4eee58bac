"""A file has its name only when it is complete: it is written beside its place and renamed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path to write at, ``NAME.incomplete``; it becomes ``path`` at the end of the block, and goes if the block fails.

    A kill at any moment leaves the file that was there before, or none. Raises what the block and the disk raise.
    """
    unfinished = path.with_name(f"{path.name}.incomplete")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
