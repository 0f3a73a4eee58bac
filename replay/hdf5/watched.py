"""HDF5 raw files as this package reads them: in a second process, so that a damaged file cannot hang or crash the first.

What comes out is what ``direct.open_here`` gives, byte for byte, errors included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from smug_recon.replay.hdf5.child import Child
from smug_recon.replay.messages.source import OtherScan, Raw
from smug_recon.replay.messages.wire import Block

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class WatchedRaw(Raw):
    """An ISMRMRD or fastMRI HDF5 file, open in a process of its own (``reader.py``)."""

    again = True

    def __init__(self, path: Path | str, group: str | None = None, name: str = "") -> None:
        self._child = Child(name or Path(path).name)
        try:
            note, self.header_xml = self._child.ask("open", os.fspath(path), group)
        except BaseException:
            self._child.close()
            raise
        self.acquisitions, self.others = note["acquisitions"], note["others"]
        self.halt = self._child.halt

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def blocks(self) -> Iterator[Block]:
        """All items as messages, in blocks of bounded size."""
        for note, content in self._child.pieces("blocks"):
            yield Block(content, note["acquisitions"], note["others"])

    def head_tables(self) -> Iterator[np.ndarray]:
        """The acquisition headers, piece by piece."""
        for _, content in self._child.pieces("heads"):
            yield np.frombuffer(content, acquisition_header_dtype)

    def other_scans(self) -> Iterator[OtherScan]:
        """The other raw scans of the same file."""
        for note, content in self._child.pieces("others"):
            yield OtherScan(note["name"], content, note["noise"])


def is_hdf5(path: Path) -> bool:
    """Whether the signature of HDF5 stands where it may: at the start, or behind a user block of 512, 1024, ... bytes."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + len(HDF5_SIGNATURE) <= size:
            file.seek(at)
            if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
                return True
            at = 2 * at or 512
    return False


def examine(*paths: Path | str) -> None:
    """Read HDF5 files to their end, so that what opens them next will neither hang nor crash; others are let be. DataError."""
    for path in paths:
        if not Path(path).is_file() or not is_hdf5(Path(path)):
            continue
        child = Child(Path(path).name)
        try:
            child.ask("look", os.fspath(path))
            for _ in child.pieces("values"):
                pass
        finally:
            child.close()
