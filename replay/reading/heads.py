"""The acquisition headers of a raw scan without its samples: enough to say what a reconstruction would do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smug_recon.replay.reading.raw import open_raw


def read_heads(path: Path | str, group: str | None = None) -> tuple[bytes, np.ndarray]:
    """The MRD header (XML) and the table of acquisition headers, fields as in ``ismrmrd.hdf5``.

    Of an HDF5 file only the headers are read; a stream is read to its end. DataError, StreamError.
    """
    with open_raw(path, group) as raw:
        return raw.header_xml, raw.heads()
