"""The raw file of a job on a disk of the worker: where it lies or copied there, its hash, whether it has changed meanwhile."""

from __future__ import annotations

import hashlib
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from smug_recon.archive.results import followed, stamp
from smug_recon.errors import OutputError

BLOCK_BYTES = 1 << 20
RESERVE_BYTES = 64 << 20
"""Kept free on a disk that a remote file is copied to."""
Job = Mapping[str, Any]


def fetched(job: Job, scratch: Path) -> Path:
    """The raw file on a disk of this machine: where it lies, or a copy that goes with the scratch folder. OSError, OutputError."""
    files, place = place_of(job)
    if isinstance(files, LocalFileSystem):
        return Path(place)
    if shutil.disk_usage(scratch).free < job["bytes"] + RESERVE_BYTES:
        raise OutputError(
            f"no room for a copy of {job['path']} ({job['bytes']} bytes)",
            "room on the worker's disk for TMPDIR",
            "make room, or let fewer scans run side by side",
        )
    copy = scratch / "raw" / posixpath.basename(job["path"])
    copy.parent.mkdir()
    files.get(place, str(copy), recursive=bool(job["spool"]))
    return copy


def place_of(job: Job) -> tuple[Any, str]:
    """The file system of the raw file, and its path there."""
    files, root = url_to_fs(job["source"], use_listings_cache=False)
    return files, posixpath.join(root, job["path"])


def fetched_again(job: Job) -> tuple[int, str]:
    """Size and stamp of the raw file now; of a copy and of a spool those of the job."""
    files, place = place_of(job)
    if job["spool"] or not isinstance(files, LocalFileSystem):
        return job["bytes"], job["modified"]
    about = followed(files.info(place))
    return int(about["size"]), stamp(about)


def content_hash(raw: Path) -> str:
    """SHA-256 of a file, or of the names and contents of what lies in a folder (its lock left out)."""
    digest = hashlib.sha256()
    for path in sorted(raw.iterdir()) if raw.is_dir() else [raw]:
        if raw.is_dir():
            if path.name.startswith("owner") or not path.is_file():
                continue
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
