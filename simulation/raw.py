"""Writing a raw scan as ISMRMRD HDF5 in one stroke."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import ismrmrd.hdf5
import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.truth import Truth


@dataclass(frozen=True)
class RawScan:
    """A raw scan in memory: header XML, acquisition headers (structured array), samples (coil, sample) of
    each, and the truth.
    """

    xml: str
    heads: NDArray[np.void]
    samples: list[NDArray[np.complex64]]
    truth: Truth


def write_raw(scan: RawScan, path: Path) -> None:
    """Write the scan as ``/dataset/xml`` and ``/dataset/data`` of an ISMRMRD file; the same scan gives the
    same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.empty(len(scan.heads), dtype=ismrmrd.hdf5.acquisition_dtype)
    rows["head"] = scan.heads
    nothing = np.zeros(0, np.float32)
    for number, samples in enumerate(scan.samples):
        rows["traj"][number] = nothing
        rows["data"][number] = np.ascontiguousarray(samples).view(np.float32).reshape(-1)
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", shape=(1,), dtype=h5py.special_dtype(vlen=bytes))[0] = scan.xml.encode()
        group.create_dataset("data", data=rows, maxshape=(None,), chunks=(1,))
