"""The raw scans of a tree, told by their first bytes: everything that ``replay`` reads, wherever fsspec reads it."""

from __future__ import annotations

import fnmatch
import logging
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fsspec import AbstractFileSystem

from smug_recon.archive.results import followed, stamp
from smug_recon.replay.reading.convert import START_BYTES, is_mrd2, siemens_measurements
from smug_recon.replay.reading.raw import HDF5_SIGNATURE
from smug_recon.spool.record import STREAM

log = logging.getLogger(__name__)

BATCH = 256
"""Files that are looked at together: object stores answer many requests at once."""
LONGEST_HEADER = 64 << 20
USER_BLOCKS = (512, 1024, 2048, 4096, 8192)
"""Where an HDF5 file may begin behind a user block, in bytes."""


@dataclass(frozen=True)
class RawScan:
    """A file (or the folder of a spool) by its path relative to the tree, with what tells cheaply that it has changed."""

    path: str
    bytes: int
    modified: str
    spool: bool = False


def raw_scans(
    files: AbstractFileSystem,
    root: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    leave_out: str | None = None,
) -> Iterator[RawScan]:
    """All raw scans below ``root``, folder by folder in alphabetical order.

    Args:
        files, root: a file system of fsspec and a folder in it.
        include, exclude: patterns of relative paths, as in ``*/T2*.h5``; none to include means all.
        leave_out: a folder that is not entered: that of the results.

    Links to folders are not followed. A file that cannot be read is taken for a scan: its task will say why.
    """
    waiting: list[RawScan] = []
    for folder, folders, names in files.walk(root, detail=True):
        inside = _relative(folder, root)
        for name in sorted(folders):
            path = posixpath.join(folder, name)
            if folders[name].get("islink") or (leave_out is not None and path.rstrip("/") == leave_out):
                del folders[name]
        if STREAM in names and inside:
            folders.clear()
            waiting.append(_spool(inside, names))
        else:
            entries = ((posixpath.join(inside, name), followed(names[name])) for name in sorted(names))
            waiting += [
                RawScan(path, int(about["size"]), stamp(about))
                for path, about in entries
                if about.get("type") == "file" and about.get("size")
            ]
        waiting = [scan for scan in waiting if _wanted(scan.path, include, exclude)]
        while len(waiting) >= BATCH:
            yield from _raw(files, root, waiting[:BATCH])
            del waiting[:BATCH]
        ordered = sorted(folders)
        for name in ordered:  # walk goes on in the order of this dictionary
            folders[name] = folders.pop(name)
    yield from _raw(files, root, waiting)


def is_raw(start: bytes) -> bool:
    """Whether a file with these first bytes (8200 of them) can be a raw scan."""
    if start.startswith(HDF5_SIGNATURE) or is_mrd2(start) or siemens_measurements(start[:START_BYTES]):
        return True
    if any(start[at : at + 8] == HDF5_SIGNATURE for at in USER_BLOCKS):
        return True
    length = int.from_bytes(start[2:6], "little")
    return start[:2] == b"\x03\x00" and 0 < length <= LONGEST_HEADER and b"<" in start[6:64]


def _raw(files: AbstractFileSystem, root: str, scans: list[RawScan]) -> Iterator[RawScan]:
    """Those of a batch that are raw scans."""
    found = [scan for scan in scans if not scan.spool]
    ends = [min(scan.bytes, USER_BLOCKS[-1] + 8) for scan in found]
    paths = [posixpath.join(root, scan.path) for scan in found]
    starts = files.cat_ranges(paths, [0] * len(paths), ends, on_error="return") if paths else []
    raw = {
        scan.path
        for scan, start in zip(found, starts, strict=True)
        if not isinstance(start, bytes) or is_raw(start)
    }
    yield from (scan for scan in scans if scan.spool or scan.path in raw)


def _spool(inside: str, names: dict[str, dict[str, Any]]) -> RawScan:
    about = [names[name] for name in sorted(names) if not name.startswith("owner")]
    return RawScan(
        inside,
        sum(int(each.get("size") or 0) for each in about),
        max(stamp(each) for each in about),
        spool=True,
    )


def _relative(path: str, root: str) -> str:
    return path.rstrip("/")[len(root.rstrip("/")) :].lstrip("/")


def _wanted(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    if {"..", ".", ""} & set(
        path.split("/")
    ):  # an object may have any name: no result is to lie outside its folder
        log.warning("left out: an object with a name that is no path (%s)", ascii(path))
        return False
    return (not include or any(fnmatch.fnmatch(path, pattern) for pattern in include)) and not any(
        fnmatch.fnmatch(path, pattern) for pattern in exclude
    )
