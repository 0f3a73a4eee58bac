"""Writing a raw scan as ISMRMRD HDF5, in large blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import h5py
import ismrmrd
import ismrmrd.hdf5
import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.truth.truth import Truth

GROUP = "dataset"
BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class RawScan:
    """A raw scan in memory: header XML, acquisition headers (structured array), samples (coil, sample) of
    each, and the truth.
    """

    xml: str
    heads: NDArray[np.void]
    samples: list[NDArray[np.complex64]]
    truth: Truth

    def acquisitions(self) -> Iterator[ismrmrd.Acquisition]:
        """Yield the readouts as a connection or file delivers them."""
        for head, samples in zip(self.heads, self.samples, strict=True):
            acquisition = ismrmrd.Acquisition(ismrmrd.AcquisitionHeader.from_buffer_copy(head.tobytes()))
            acquisition.data[:] = samples
            yield acquisition


class RawFile:
    """An ISMRMRD file with a group ``xml`` and ``data`` for each header, written while a scan goes on.

    Equal scans give equal bytes. A scan that fails leaves no file.
    """

    def __init__(self, path: Path, **headers: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._incomplete = path.with_name(f"{path.name}.incomplete")
        self._file = h5py.File(self._incomplete, "w")
        self._tables = {name: _Table(self._file.create_group(name), xml) for name, xml in headers.items()}

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for table in self._tables.values():
                table.flush()
        self._file.close()
        if kind is None:
            self._incomplete.replace(self.path)
        else:
            self._incomplete.unlink()

    def append(self, head: NDArray[np.void], samples: NDArray[np.complex64], group: str = GROUP) -> None:
        """Add one readout to a group."""
        self._tables[group].append(head, samples)


class _Table:
    """The readouts of one group, written in blocks."""

    def __init__(self, group: h5py.Group, xml: str) -> None:
        self._group = group
        group.create_dataset("xml", shape=(1,), dtype=h5py.special_dtype(vlen=bytes))[0] = xml.encode()
        self._rows: list[tuple[NDArray[np.void], NDArray[np.float32]]] = []
        self._bytes = 0

    def append(self, head: NDArray[np.void], samples: NDArray[np.complex64]) -> None:
        """Add one readout."""
        values = np.ascontiguousarray(samples).view(np.float32).reshape(-1)
        self._rows.append((head, values))
        self._bytes += values.nbytes + head.nbytes
        if self._bytes > BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has been added."""
        if not self._rows:
            return
        rows = np.empty(len(self._rows), dtype=ismrmrd.hdf5.acquisition_dtype)
        nothing = np.zeros(0, np.float32)
        for number, (head, values) in enumerate(self._rows):
            rows["head"][number] = head
            rows["traj"][number], rows["data"][number] = nothing, values
        if "data" in self._group:
            table = self._group["data"]
            table.resize((table.shape[0] + len(rows),))
            table[-len(rows) :] = rows
        else:
            self._group.create_dataset("data", data=rows, maxshape=(None,), chunks=(1,))
        self._rows, self._bytes = [], 0


def write_raw(scan: RawScan, path: Path) -> None:
    """Write a scan as an ISMRMRD file; the same scan gives the same bytes."""
    with RawFile(path, **{GROUP: scan.xml}) as file:
        for head, samples in zip(scan.heads, scan.samples, strict=True):
            file.append(head, samples)
