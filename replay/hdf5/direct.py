"""HDF5 raw files read in this very process, which a damaged one may hang or crash: see ``watched.py``."""

from __future__ import annotations

from pathlib import Path

import h5py

from smug_recon.replay.hdf5.fastmri import FastMriRaw, is_fastmri
from smug_recon.replay.hdf5.tables import Hdf5Raw


def open_here(path: Path | str, group: str | None = None) -> Hdf5Raw | FastMriRaw:
    """Open an HDF5 file: one of fastMRI's, else one of ISMRMRD's, which says what is wrong with any other."""
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            fastmri = is_fastmri(file)
    except (OSError, RuntimeError):  # h5py has both for a damaged file; the reader says what is wrong with it
        fastmri = False
    return FastMriRaw(path) if fastmri else Hdf5Raw(path, group)
