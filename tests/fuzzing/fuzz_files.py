"""Fuzz targets that read a file: pipelines, streams, spools, HDF5, model files."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def pipeline() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.pipeline import load_pipeline, parse_settings

    shipped, path = load_pipeline(), _file("pipeline.yaml")

    def run(data: bytes) -> None:
        text, _, overrides = data.partition(b"\0")
        path.write_bytes(text)
        found = shipped
        with contextlib.suppress(SmugReconError):
            found = load_pipeline(path)
        with contextlib.suppress(SmugReconError):
            settings = parse_settings(overrides.decode("utf-8", errors="replace").splitlines())
            assert len(found.with_overrides(settings).sha256) == 64

    return run


def mrdstream() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.messages.wire import items
    from smug_recon.replay.reading.mrdstream import StreamRaw

    def run(data: bytes) -> None:
        for read in (lambda raw: items(raw.blocks()), lambda raw: raw.items()):
            with contextlib.suppress(SmugReconError), StreamRaw(io.BytesIO(data), "input") as raw:
                for item in read(raw):
                    item.getHead()

    return run


def spool() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.reading.spooled import SpoolRaw
    from smug_recon.spool.record import STREAM

    path = _file(STREAM)

    def run(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(SmugReconError), SpoolRaw(path.parent) as raw:
            for block in raw.blocks():
                assert block.payload

    return run


def hdf5() -> Callable[[bytes], None]:
    """First in a second process: what hangs or crashes libhdf5 has to be one error there, and is not read here."""
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.hdf5.child import VARIABLE
    from smug_recon.replay.reading.raw import open_raw

    path = _file("raw.h5")
    os.environ.setdefault(VARIABLE, "1")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            with open_raw(path) as raw:
                _read(raw)
        except SmugReconError as error:
            if any(word in error.found for word in ("round in circles", "crashes")):
                return
        _read_raw(path)

    return run


def tables() -> Callable[[bytes], None]:
    from fuzz_tables import build

    path = _file("tables.h5")

    def run(data: bytes) -> None:
        if build(path, data):
            _read_raw(path)

    return run


def _read_raw(path: Path) -> None:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.hdf5.direct import open_here

    with contextlib.suppress(SmugReconError), open_here(path) as raw:
        _read(raw)


def _read(raw: Any) -> None:
    from smug_recon.errors import SmugReconError

    for read in (raw.items, raw.head_tables, raw.other_scans):
        with contextlib.suppress(SmugReconError):
            for _ in read():
                pass


def card() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.model.file import read_card

    path = _file("model.pt")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(SmugReconError):
            read_card(path).range_text()

    return run


def _file(name: str) -> Path:
    """A file, in memory where there is such a folder, that is written anew for every input; it goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="smug-fuzz-", dir=memory())
    atexit.register(folder.cleanup)
    return Path(folder.name) / name


def memory() -> str | None:
    """A folder in memory; that of ``scripts/fuzz``, which removes it even if the process dies."""
    given = os.environ.get("SMUG_RECON_FUZZ_FOLDER")
    return given or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
