"""ISMRMRD HDF5 files, read in bulk: whole tables of readouts at once instead of line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from smug_recon.errors import ConfigurationError, DataError
from smug_recon.replay.hdf5.damage import DAMAGED, dataset, reading, table
from smug_recon.replay.messages.source import OtherScan, Raw
from smug_recon.replay.messages.wire import Block, acquisition_rows, packed, waveform_rows

BLOCK_BYTES = 4 * 2**20
"""Memory that one block of readouts may take, in bytes."""
MOST_ROWS = 4096
NOISE = 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)


class Hdf5Raw(Raw):
    """An ISMRMRD HDF5 file, open in this very process: ``raw.open_raw`` opens it in one that may fail."""

    def __init__(self, path: Path, group: str | None = None) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise DataError(
                f"{path.name}, which HDF5 cannot open ({error})", "an ISMRMRD HDF5 file", DAMAGED
            ) from None
        try:
            with reading(path.name):
                self._group = _choose(self._file, path, group)
                self.header_xml = _header_text(self._group)
                self._data = table(self._group, "data", "<f4")
                self._waveforms = (
                    table(self._group, "waveforms", "<u4") if "waveforms" in self._group else None
                )
            self.acquisitions = int(self._data.size)
            self.others = int(self._waveforms.size) if self._waveforms is not None else 0
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """All readouts in the order of the file, then the waveforms, in blocks of bounded size."""
        for rows in _tables(self._data):
            yield acquisition_rows(rows)
        if self._waveforms is not None:
            for rows in _tables(self._waveforms):
                yield waveform_rows(rows)

    def head_tables(self) -> Iterator[np.ndarray]:
        """The acquisition headers of all readouts, without their samples."""
        for heads in _heads(self._data):
            yield packed(heads, acquisition_header_dtype)

    def other_scans(self) -> Iterator[OtherScan]:
        """The raw scans in the other groups of the file, in alphabetical order."""
        own = self._group.name
        for name in scans(self._file):
            if (group := self._file[name]).name == own:
                continue
            try:
                xml = _header_text(group)
            except DataError:
                xml = b""
            yield OtherScan(name, xml, noise_only(group))


def _tables(rows_of: h5py.Dataset) -> Iterator[np.ndarray]:
    """Consecutive rows of a table of variable-length readouts, about BLOCK_BYTES at a time."""
    start, count, total = 0, 16, int(rows_of.size)
    while start < total:
        with reading(f"rows {start} to {min(start + count, total)} of {total}"):
            rows = rows_of[start : start + count]
            largest = max(int(value.nbytes) for value in rows["data"]) + rows_of.dtype.itemsize
        yield rows
        start += len(rows)
        count = min(max(BLOCK_BYTES // largest, 1), MOST_ROWS)


def _choose(file: h5py.File, path: Path, wanted: str | None) -> h5py.Group:
    """The group with header and readouts: the one wanted, else ``dataset``, else the first with imaging lines."""
    found = scans(file)
    if wanted is not None:
        wanted = wanted.strip("/")
        if wanted not in found:
            raise ConfigurationError(
                f"no ISMRMRD group {wanted!r} in {path.name}",
                f"one of {found}" if found else "a file with a group that holds xml and data",
                "choose the group with -G" if found else "give an ISMRMRD raw file",
            )
        return file[wanted]
    if not found and any("xml" in item for _, item in _groups(file)):
        raise DataError(
            f"no acquisitions in {path.name}, only a header",
            "a group that holds xml (the MRD header) and data (the readouts)",
            "convert or record the scan again",
        )
    if not found and (part := next((name for name in ("kspace", "ismrmrd_header") if name in file), None)):
        raise DataError(
            f"{part} alone in {path.name}",
            "kspace and ismrmrd_header beside each other, as in the raw files of fastMRI",
            "take the file as it was published, or convert the scan to ISMRMRD",
        )
    if not found:
        raise DataError(
            f"an HDF5 file with {sorted(file) or 'nothing'} in it",
            "a group that holds xml (the MRD header) and data (the readouts)",
            "convert the scan to ISMRMRD, e.g. with siemens_to_ismrmrd",
        )
    if "dataset" in found or len(found) == 1:
        return file["dataset" if "dataset" in found else found[0]]
    return file[next((name for name in found if not noise_only(file[name])), found[0])]


def scans(file: h5py.File) -> list[str]:
    """The names of all groups that hold a raw scan, in alphabetical order."""
    return [name for name, item in _groups(file) if "xml" in item and "data" in item]


def noise_only(group: h5py.Group) -> bool:
    """Whether every readout of a scan is flagged as noise: such a scan holds no image."""
    try:
        rows = table(group, "data", "<f4")
        with reading("data"):
            quiet = all(bool((heads["flags"] & np.uint64(NOISE) != 0).all()) for heads in _heads(rows))
    except DataError:
        return False  # the reader will say what is wrong with it
    return bool(rows.size) and quiet


def _heads(rows_of: h5py.Dataset) -> Iterator[np.ndarray]:
    """The column of headers of a table, a bounded number at a time.

    They are read with their samples: asked for that one column, libhdf5 2.0 keeps all samples it passes in memory.
    """
    for rows in _tables(rows_of):
        yield rows["head"].copy()


def _groups(file: h5py.File) -> list[tuple[str, h5py.Group]]:
    found: list[tuple[str, h5py.Group]] = []
    file.visititems(lambda name, item: found.append((name, item)) if isinstance(item, h5py.Group) else None)
    return found


def _header_text(group: h5py.Group) -> bytes:
    """The MRD header: one text, alone or as the first of an array."""
    with reading("the MRD header"):
        values = np.ravel(dataset(group, "xml")[()])
        text = values[0] if values.size else b""
        if not isinstance(text, str | bytes):
            raise DataError(f"a header of the type {type(text).__name__}", "the MRD header as XML", DAMAGED)
        return text.encode() if isinstance(text, str) else bytes(text)
