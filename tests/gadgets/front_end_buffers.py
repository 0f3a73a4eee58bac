"""ReconData as Gadgetron's C++ front end fills and writes it, byte by byte, without the Python package gadgetron.

After BucketToBufferGadget and BufferWriter of Gadgetron 4.7 (``gadgets/mri_core``, ``core/writers``).
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any

import ismrmrd
import numpy as np
from front_end_buckets import Bucket, Statistics
from front_end_gadgets import copied

KEY = ("average", "slice", "contrast", "phase", "repetition", "set", "segment")  # BufferKey


@dataclass
class Buffer:
    data: np.ndarray  # [RO, E1, E2, CHA, N, S, LOC]
    heads: np.ndarray  # [E1, E2, N, S, LOC]
    sampling: bytes
    centre: int

    def to_bytes(self) -> bytes:
        def array(values: np.ndarray, body: bytes) -> bytes:
            return struct.pack(f"<Q{values.ndim}Q", values.ndim, *values.shape) + body

        heads = b"".join(bytes(head) for head in self.heads.ravel(order="F"))
        body = self.data.astype("<c8").tobytes(order="F")
        return array(self.data, body) + b"\0\0" + array(self.heads, heads) + self.sampling


#: a buffer that was resized for a higher encoding space and never filled: no dimensions at all
EMPTY_BUFFER = struct.pack("<Q", 0) + b"\0\0" + struct.pack("<Q", 0) + bytes(56)


class BucketToBuffer:
    """BucketToBufferGadget for Cartesian scans."""

    def __init__(self, header: Any, n: str = "none", s: str = "none", **switches: bool) -> None:
        self.header, self.n, self.s = header, n, s
        self.split_slices = switches.get("split_slices", False)
        self.ignore_segment = switches.get("ignore_segment", False)

    def messages(self, bucket: Bucket) -> list[bytes]:
        """One ReconData message per key, in the order of the keys."""
        found: dict[tuple[int, ...], list[list[Buffer | None]]] = {}
        for reference, readouts in ((True, bucket.ref), (False, bucket.data)):
            statistics = Statistics(readouts)
            for readout in readouts:
                space = readout.encoding_space_ref
                bits = found.setdefault(self._key(readout), [])
                while len(bits) < space + 1:
                    bits.append([None, None])
                buffer = bits[space][reference]
                if buffer is None:
                    buffer = bits[space][reference] = self._make(readout, statistics, reference)
                self._fill(buffer, readout, statistics, reference)
        return [self._message(found[key]) for key in sorted(found)]

    def _message(self, bits: list[list[Buffer | None]]) -> bytes:
        parts = [struct.pack("<HQ", 1023, len(bits))]
        for data, reference in bits:
            parts.append(data.to_bytes() if data else EMPTY_BUFFER)
            parts.append(b"\1" + reference.to_bytes() if reference else b"\0")
        return b"".join(parts)

    def _key(self, readout: ismrmrd.Acquisition) -> tuple[int, ...]:
        left_out = {self.n, self.s} - {"slice"}
        left_out |= set() if self.split_slices else {"slice"}
        left_out |= {"segment"} if self.ignore_segment else set()
        return tuple(0 if name in left_out else int(getattr(readout.idx, name)) for name in KEY)

    def _mode(self, space: int) -> str | None:
        parallel = self.header.encoding[space].parallelImaging
        return parallel.calibrationMode.value if parallel else None

    def _apart(self, space: int, reference: bool) -> bool:
        return reference and self._mode(space) in ("separate", "external")

    def _offset(self, space: int) -> int:
        encoding = self.header.encoding[space]
        return encoding.encodedSpace.matrixSize.y // 2 - encoding.encodingLimits.kspace_encoding_step_1.center

    def _make(self, readout: ismrmrd.Acquisition, statistics: Statistics, reference: bool) -> Buffer:
        space = readout.encoding_space_ref
        encoding = self.header.encoding[space]
        limits, matrix = encoding.encodingLimits, encoding.encodedSpace.matrixSize
        samples, step = readout.number_of_samples, limits.kspace_encoding_step_1
        lines = matrix.y
        if encoding.parallelImaging is None:
            samples -= readout.discard_pre + readout.discard_post
            lines = step.maximum - step.minimum + 1
        elif self._apart(space, reference):
            lines = statistics.span(space, "kspace_encode_step_1")
        slices = 1
        if not self.split_slices and limits.slice is not None:
            slices = min(limits.slice.maximum - limits.slice.minimum + 1, statistics.span(space, "slice"))
        n, s = (1 if name in ("none", "slice") else statistics.span(space, name) for name in (self.n, self.s))
        blank = ismrmrd.AcquisitionHeader()  # ISMRMRD's C++ header as its constructor leaves it
        blank.version, blank.available_channels, blank.active_channels = 1, 1, 1
        heads = np.empty((lines, 1, n, s, slices), object)
        for place in np.ndindex(heads.shape):
            heads[place] = copied(blank)
        data = np.zeros((samples, lines, 1, readout.active_channels, n, s, slices), np.complex64)
        centre = readout.number_of_samples // 2
        return Buffer(data, heads, self._sampling(readout, centre), centre)

    def _sampling(self, readout: ismrmrd.Acquisition, centre: int) -> bytes:
        encoding = self.header.encoding[readout.encoding_space_ref]
        spaces = encoding.encodedSpace, encoding.reconSpace
        fov = [[space.fieldOfView_mm.x, space.fieldOfView_mm.y, space.fieldOfView_mm.z] for space in spaces]
        size = [[space.matrixSize.x, space.matrixSize.y, space.matrixSize.z] for space in spaces]
        fov[0][0], size[0][0] = fov[1][0], size[1][0]  # "assume that any oversampling has been removed"
        step, offset = (
            encoding.encodingLimits.kspace_encoding_step_1,
            self._offset(readout.encoding_space_ref),
        )
        limits = [readout.discard_pre, centre, readout.number_of_samples - readout.discard_post - 1]
        limits += [step.minimum + offset, size[0][1] // 2, step.maximum + offset, 0, 0, 0]
        return struct.pack("<6f6H9H", *fov[0], *fov[1], *size[0], *size[1], *limits) + bytes(
            2
        )  # padded to whole floats

    def _fill(
        self, buffer: Buffer, readout: ismrmrd.Acquisition, statistics: Statistics, reference: bool
    ) -> None:
        space, samples, centre = readout.encoding_space_ref, readout.number_of_samples, readout.center_sample
        valid = samples - readout.discard_pre - readout.discard_post
        if samples == buffer.data.shape[0] and (centre == samples // 2 or centre >= samples):
            offset = readout.discard_pre
        else:
            offset = buffer.centre - centre
        if offset < 0 or buffer.data.shape[0] - valid - offset < 0:
            raise RuntimeError("Acquired reference data does not fit into the reference data buffer.")
        line = readout.idx.kspace_encode_step_1
        if self._apart(space, reference):
            line -= min(statistics.spaces[space]["kspace_encode_step_1"])
        elif not reference or self._mode(space) == "embedded":
            line += self._offset(space)
        if not 0 <= line < buffer.data.shape[1]:
            return
        n, s = (0 if name in ("none", "slice") else getattr(readout.idx, name) for name in (self.n, self.s))
        n, s = min(n, buffer.data.shape[4] - 1), min(s, buffer.data.shape[5] - 1)
        slot = 0 if self.split_slices or buffer.data.shape[6] == 1 else readout.idx.slice
        copied_cx = readout.data[:, readout.discard_pre : readout.discard_pre + valid]
        buffer.data[offset : offset + valid, line, 0, :, n, s, slot] = copied_cx.T
        buffer.heads[line, 0, n, s, slot] = copied(readout.getHead())


assert ctypes.sizeof(ismrmrd.AcquisitionHeader) == 340
