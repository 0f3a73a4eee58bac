"""Open a raw scan: an ISMRMRD HDF5 file or stream, a fastMRI file, a spool, or what can be converted to one of them."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import ismrmrd

from smug_recon.errors import DataError
from smug_recon.replay.hdf5.watched import HDF5_SIGNATURE, WatchedRaw, is_hdf5
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.reading.convert import START_BYTES, as_ismrmrd, is_mrd2
from smug_recon.replay.reading.haltable import haltable
from smug_recon.replay.reading.mrdstream import StreamRaw
from smug_recon.replay.reading.spooled import open_spool

PIPE_BYTES = 1 << 16
"""Asked for at once; what is there is taken."""


def open_raw(path: Path | str, group: str | None = None) -> Raw:
    """Open a raw scan by its content, not by its name; ``-`` is standard input. DataError, StreamError."""
    if str(path) == "-":
        return _open_pipe(sys.stdin.buffer, group)
    path = Path(path)
    if path.is_dir():
        return open_spool(path)
    if not path.is_file() and not path.is_fifo():
        raise DataError(f"no file {path}", "an ISMRMRD HDF5 file or stream", "check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(
            f"an empty file {path.name}", "an ISMRMRD HDF5 file or stream", "write or copy it again"
        )
    if path.is_fifo():
        return _open_pipe(path.open("rb"), group)
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    converted = as_ismrmrd(path, start)
    if converted != path:
        return open_raw(converted, group)
    if is_hdf5(path):
        return WatchedRaw(path, group)
    return StreamRaw(path.open("rb", buffering=2**20), path.name)


def read_items(
    path: Path | str, group: str | None = None
) -> Iterator[ismrmrd.Acquisition | ismrmrd.Waveform | ismrmrd.Image]:
    """All items of a raw scan as ismrmrd objects."""
    with open_raw(path, group) as raw:
        yield from raw.items()


def _open_pipe(pipe: BinaryIO, group: str | None) -> Raw:
    raw = haltable(pipe)
    source = io.BufferedReader(raw, PIPE_BYTES) if raw is not None else _buffered(pipe)
    start = source.peek(len(HDF5_SIGNATURE))[: len(HDF5_SIGNATURE)]
    if is_mrd2(start):
        return _converted_pipe(source)
    if start != HDF5_SIGNATURE[: len(start)] or not start:
        return StreamRaw(source, "standard input", raw.halt if raw is not None else None)
    with tempfile.NamedTemporaryFile(prefix="smug-recon-", suffix=".h5") as spool:
        shutil.copyfileobj(source, spool)
        spool.flush()
        return WatchedRaw(
            spool.name, group, "standard input"
        )  # stays readable: HDF5 holds it open after the name is gone


def _buffered(pipe: BinaryIO) -> io.BufferedReader:
    return pipe if isinstance(pipe, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, pipe))


def _converted_pipe(source: BinaryIO) -> StreamRaw:
    """An MRD 2 stream on a pipe, converted to its end before anything else."""
    from smug_recon.replay.reading.mrd2 import to_ismrmrd_stream

    spool = tempfile.TemporaryFile(prefix="smug-recon-")  # noqa: SIM115 (StreamRaw closes it)
    try:
        to_ismrmrd_stream(source, spool)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return StreamRaw(spool, "standard input", _at_once)


def _at_once(on: bool) -> None:
    """A file of our own on disk is not waited for."""
