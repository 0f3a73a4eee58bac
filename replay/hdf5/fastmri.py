"""fastMRI HDF5 files: the k-space of a stack of slices as one array, beside the MRD header it was cut from.

``kspace`` is (slice, coil, readout, phase encode), or without the coil axis of single-coil files; lines that were
not acquired are zero. Test files have a ``mask`` over the phase encodes. Layout: fastMRI.org; Knoll 2020,
DOI 10.1148/ryai.2020190007.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from smug_recon.errors import DataError, HeaderError
from smug_recon.replay.hdf5.damage import DAMAGED, dataset, reading
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.messages.wire import ACQUISITION, Block

log = logging.getLogger(__name__)
LAST_IN_SLICE = 1 << (ismrmrd.ACQ_LAST_IN_SLICE - 1)


def is_fastmri(file: h5py.File) -> bool:
    """Whether an HDF5 file is one of fastMRI's."""
    return "kspace" in file and "ismrmrd_header" in file


class FastMriRaw(Raw):
    """A fastMRI file, open; its lines come out as readouts, slice by slice."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = h5py.File(path, "r")
        try:
            self.header_xml = self._read_header()
            header, _ = parse_header(self.header_xml)
            self._kspace = dataset(self._file, "kspace")
            self._mask_y = self._read_mask()
            with reading(path.name):
                self._first_step = self._check(header)
        except BaseException:
            self._file.close()
            raise
        log.warning(
            "%s is a fastMRI file: it has no positions, dwell times and noise scan; the slices are taken as axial and "
            "adjacent, and the coils are not prewhitened",
            path.name,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """The acquired lines of one slice after the other, each slice a block."""
        counter = 0
        for number in range(self._kspace.shape[0]):
            slice_cxy = self._slice(number)
            acquired = self._acquired(slice_cxy, number)
            heads = self._heads(acquired, number, slice_cxy.shape, counter)
            counter += len(acquired)
            mark, parts = ACQUISITION.to_bytes(2, "little"), []
            for head, column in zip(heads, acquired, strict=True):
                parts += [mark, head.tobytes(), np.ascontiguousarray(slice_cxy[:, :, column]).tobytes()]
            yield Block(b"".join(parts), len(acquired))

    def _slice(self, number: int) -> np.ndarray:
        with reading(f"slice {number} of {self._name}"):
            values = np.asarray(self._kspace[number])
        values = values.astype("<c8", copy=False)
        return values[None] if values.ndim == 2 else values

    def _acquired(self, slice_cxy: np.ndarray, number: int) -> np.ndarray:
        """The columns with samples, inside the mask if there is one."""
        filled_y = slice_cxy.any(axis=(0, 1))
        if self._mask_y is not None:
            beyond = int((filled_y & ~self._mask_y).sum())
            if beyond:
                log.warning("slice %d: %d lines with samples outside the mask are left out", number, beyond)
            filled_y &= self._mask_y
        if not filled_y.any():
            raise DataError(
                f"no samples in slice {number} of {self._name}",
                "at least the calibration lines",
                "copy the file again, or leave the slice out",
            )
        return np.flatnonzero(filled_y)

    def _heads(
        self, columns: np.ndarray, number: int, shape_cxy: tuple[int, ...], counter: int
    ) -> np.ndarray:
        coils, samples, _ = shape_cxy
        heads = np.zeros(len(columns), acquisition_header_dtype)
        heads["version"] = 1
        heads["scan_counter"] = counter + np.arange(len(columns))
        heads["number_of_samples"], heads["center_sample"] = samples, samples // 2
        heads["available_channels"] = heads["active_channels"] = coils
        heads["position"][:, 2] = (number - (self._kspace.shape[0] - 1) / 2) * self._spacing_mm
        heads["read_dir"][:, 0] = heads["phase_dir"][:, 1] = heads["slice_dir"][:, 2] = 1.0
        steps = columns + self._first_step
        if steps.min() < 0:
            raise DataError(
                f"samples in column {columns[0]}, which is phase encode {steps.min()}",
                "phase encodes from 0 on",
                "the centre of kspace_encoding_step_1 in the header does not fit the array",
            )
        heads["idx"]["kspace_encode_step_1"], heads["idx"]["slice"] = steps, number
        heads["flags"][-1] = LAST_IN_SLICE
        return heads

    def _read_mask(self) -> np.ndarray | None:
        with reading("the mask"):
            if "mask" not in self._file:
                return None
            return np.asarray(dataset(self._file, "mask")[()]).astype(bool).ravel()

    def _read_header(self) -> bytes:
        text = dataset(self._file, "ismrmrd_header")
        with reading("ismrmrd_header"):
            value = text[()]
            if not isinstance(value, str | bytes):
                raise DataError("an ismrmrd_header that is no text", "the MRD header as XML", DAMAGED)
            return value.encode() if isinstance(value, str) else bytes(value)

    def _check(self, header: ismrmrd.xsd.ismrmrdHeader) -> int:
        """Hold the array against the header; returns the phase encode of its first column."""
        shape = self._kspace.shape
        if self._kspace.dtype.kind != "c" or len(shape) not in (3, 4):
            raise DataError(
                f"kspace of {self._kspace.dtype} {shape} in {self._name}",
                "complex (slice, coil, readout, phase encode)",
                "give a fastMRI multicoil or single-coil file",
            )
        if not header.encoding:
            raise HeaderError(
                "no encoding in ismrmrd_header", "the encoding of the scan", "the file is damaged"
            )
        encoding = header.encoding[0]
        matrix, limits = encoding.encodedSpace.matrixSize, encoding.encodingLimits.kspace_encoding_step_1
        if shape[-2:] != (matrix.x, matrix.y):
            raise DataError(
                f"kspace of {shape[-2]} x {shape[-1]} (readout x phase encode) in {self._name}",
                f"{matrix.x} x {matrix.y}, the encoded matrix of its header",
                "give the file as fastMRI distributes it, before any cropping",
            )
        if self._mask_y is not None and len(self._mask_y) != shape[-1]:
            raise DataError(
                f"a mask of {len(self._mask_y)} for {shape[-1]} phase encodes",
                "one value for each phase encode",
                "mend or remove the mask",
            )
        self._spacing_mm = float(encoding.reconSpace.fieldOfView_mm.z)
        return (matrix.y // 2 if limits is None else int(limits.center)) - matrix.y // 2
