"""The acquisition headers of a raw scan without its samples: enough to say what a reconstruction would do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from smug_recon.replay import wire
from smug_recon.replay.hdf5 import Hdf5Raw
from smug_recon.replay.raw import open_raw
from smug_recon.replay.source import Raw


def read_heads(path: Path | str, group: str | None = None) -> tuple[bytes, np.ndarray]:
    """The MRD header (XML) and the table of acquisition headers, fields as in ``ismrmrd.hdf5``.

    Of an HDF5 file only the headers are read; a stream is read to its end. DataError, StreamError.
    """
    with open_raw(path, group) as raw:
        heads = _from_table(raw) if isinstance(raw, Hdf5Raw) else _from_stream(raw)
        return raw.header_xml, heads


def _from_table(raw: Hdf5Raw) -> np.ndarray:
    return wire.packed(raw.heads(), acquisition_header_dtype)


def _from_stream(raw: Raw) -> np.ndarray:
    found = []
    for block in raw.blocks():
        read = wire.cursor(block.payload)
        for _ in range(block.acquisitions + block.others):
            message_id = wire.read_id(read)
            head, *_ = wire.read_body(message_id, read)
            if message_id == wire.ACQUISITION:
                found.append(head)
    return np.frombuffer(b"".join(found), acquisition_header_dtype)
