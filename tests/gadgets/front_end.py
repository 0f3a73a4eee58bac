"""Gadgetron's C++ front end in NumPy and its messages byte by byte, without the Python package gadgetron.

After NoiseAdjustGadget, AsymmetricEchoAdjustROGadget, RemoveROOversamplingGadget, AcquisitionAccumulateTriggerGadget,
BucketToBufferGadget, AcquisitionBucketWriter and BufferWriter of Gadgetron 4.7 (``gadgets/mri_core``, ``core/writers``).
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOISE, flag_bit

PHASE_CORRECTION = flag_bit(ismrmrd.ACQ_IS_PHASECORR_DATA)
COUNTERS = ("kspace_encode_step_1", "kspace_encode_step_2", "slice", "phase", "contrast", "repetition", "set")
COUNTERS += ("segment", "average")  # the order of AcquisitionBucketStats
KEY = ("average", "slice", "contrast", "phase", "repetition", "set", "segment")  # BufferKey


def copied(head: Any) -> ismrmrd.AcquisitionHeader:
    return ismrmrd.AcquisitionHeader.from_buffer_copy(bytes(head))


def transformed(data_cx: np.ndarray, inverse: bool) -> np.ndarray:
    """hoNDFFT ifft1c and fft1c: centred, orthonormal."""
    function = np.fft.ifft if inverse else np.fft.fft
    return np.fft.fftshift(function(np.fft.ifftshift(data_cx, axes=1), axis=1, norm="ortho"), axes=1)


def noise_adjust(
    readouts: list[ismrmrd.Acquisition], bandwidth: float, whiten: bool = True
) -> list[ismrmrd.Acquisition]:
    """Whiten by the inverted upper Cholesky factor, scaled to variance 1 in the real and the imaginary part each."""
    noise = [readout for readout in readouts if readout.flags & NOISE]
    others = [readout for readout in readouts if not readout.flags & NOISE]
    if not whiten or not noise:
        return others
    samples_nc = np.concatenate([readout.data.T for readout in noise]).astype(np.complex128)
    covariance_cc = samples_nc.conj().T @ samples_nc / (len(samples_nc) - 1)
    upper_cc = np.linalg.inv(np.linalg.cholesky(covariance_cc).conj().T)
    found = []
    for readout in others:
        scale = np.sqrt(2 * readout.sample_time_us / noise[0].sample_time_us * bandwidth)
        found.append(rebuilt(readout.getHead(), (readout.data.T @ upper_cc * scale).T))
    return found


def rebuilt(head: Any, data_cx: np.ndarray) -> ismrmrd.Acquisition:
    made = copied(head)
    made.active_channels, made.number_of_samples = data_cx.shape
    return ismrmrd.Acquisition(made, np.ascontiguousarray(data_cx, np.complex64))


def adjust_asymmetric_echo(readout: ismrmrd.Acquisition, encoded_x: int) -> ismrmrd.Acquisition:
    samples, centre = readout.number_of_samples, readout.center_sample
    if 2 * centre == samples or centre >= samples or samples >= encoded_x:
        return readout
    missing = encoded_x - samples
    pre, post = (missing, 0) if 2 * centre < samples else (0, missing)
    made = rebuilt(readout.getHead(), np.pad(readout.data, ((0, 0), (pre, post))))
    made.discard_pre, made.discard_post, made.center_sample = pre, post, encoded_x // 2
    return made


def remove_oversampling(readout: ismrmrd.Acquisition, ratio: float) -> ismrmrd.Acquisition:
    if ratio == 1:
        return readout
    before = readout.number_of_samples
    after = int(before / np.float32(ratio))
    start = (before - after) // 2
    image_cx = transformed(readout.data, inverse=True)[:, start : start + after]
    made = rebuilt(readout.getHead(), transformed(image_cx, inverse=False))
    made.center_sample = int(readout.center_sample / ratio)
    made.discard_pre, made.discard_post = int(readout.discard_pre / ratio), int(readout.discard_post / ratio)
    return made


@dataclass
class Bucket:
    data: list[ismrmrd.Acquisition] = field(default_factory=list)
    ref: list[ismrmrd.Acquisition] = field(default_factory=list)
    waveforms: list[ismrmrd.Waveform] = field(default_factory=list)

    def add(self, readout: ismrmrd.Acquisition) -> None:
        if readout.flags & (CALIBRATION | CALIBRATION_AND_IMAGING):
            self.ref.append(readout)
        if not readout.flags & (CALIBRATION | PHASE_CORRECTION):
            self.data.append(readout)


def accumulate(items: Iterable[Any], trigger: str = "none", sorting: str = "none") -> list[Bucket]:
    """AcquisitionAccumulateTriggerGadget; noise readouts never get through."""
    sent: list[Bucket] = []
    waveforms: list[ismrmrd.Waveform] = []
    buckets: dict[int, Bucket] = {}
    before: int | None = None

    def send() -> None:
        if waveforms and buckets:
            buckets[min(buckets)].waveforms = list(waveforms)
            waveforms.clear()
        sent.extend(buckets[number] for number in sorted(buckets))
        buckets.clear()

    for item in items:
        if isinstance(item, ismrmrd.Waveform):
            waveforms.append(item)
        elif not item.flags & NOISE:
            value = 0 if trigger == "none" else getattr(item.idx, trigger)
            if before is not None and before != value:
                send()
            before = value
            number = 0 if sorting == "none" else getattr(item.idx, sorting)
            buckets.setdefault(number, Bucket()).add(item)
    send()
    return sent


class Statistics:
    """AcquisitionBucketStats, one set a counter, per encoding space."""

    def __init__(self, readouts: list[ismrmrd.Acquisition]) -> None:
        spaces = 1 + max((readout.encoding_space_ref for readout in readouts), default=-1)
        self.spaces: list[dict[str, set[int]]] = [{name: set() for name in COUNTERS} for _ in range(spaces)]
        for readout in readouts:
            for name in COUNTERS:
                self.spaces[readout.encoding_space_ref][name].add(getattr(readout.idx, name))

    def span(self, space: int, name: str) -> int:
        values = self.spaces[space][name]
        return max(values) - min(values) + 1

    def to_bytes(self) -> bytes:
        parts = [struct.pack("<Q", len(self.spaces))]
        for space in self.spaces:
            for name in COUNTERS:
                values = sorted(space[name])
                parts.append(struct.pack(f"<Q{len(values)}H", len(values), *values))
        return b"".join(parts)


def bucket_message(bucket: Bucket) -> bytes:
    """AcquisitionBucketWriter: all sizes, then headers, trajectories, samples and statistics of both bundles."""
    bundles = []
    for readouts in (bucket.data, bucket.ref):
        heads = b"".join(bytes(readout.getHead()) for readout in readouts)
        paths = b"".join(np.ascontiguousarray(r.traj, "<f4").tobytes() for r in readouts)
        samples = b"".join(np.ascontiguousarray(readout.data, "<c8").tobytes() for readout in readouts)
        bundles.append((len(readouts), heads, samples, paths, Statistics(readouts).to_bytes()))
    heads = b"".join(bytes(waveform.getHead()) for waveform in bucket.waveforms)
    samples = b"".join(np.ascontiguousarray(w.data, "<u4").tobytes() for w in bucket.waveforms)
    sizes = [number for count, a, b, c, _ in bundles for number in (count, len(a), len(b), len(c))]
    sizes += [len(statistics) for *_, statistics in bundles] + [
        len(bucket.waveforms),
        len(heads),
        len(samples),
    ]
    body = b"".join(a + c + b + d for _, a, b, c, d in bundles)
    return struct.pack("<H", 1050) + struct.pack(f"<{len(sizes)}Q", *sizes) + body + heads + samples


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
Step = Callable[[ismrmrd.Acquisition], ismrmrd.Acquisition]


def prepared(
    items: list[Any], header: Any, bandwidth: float, whiten: bool = True, asymmetric: bool = False
) -> list:
    """Run every readout through the gadgets before the accumulation; waveforms pass."""
    space, recon = header.encoding[0].encodedSpace, header.encoding[0].reconSpace
    ratio = space.fieldOfView_mm.x / recon.fieldOfView_mm.x
    readouts = noise_adjust([i for i in items if isinstance(i, ismrmrd.Acquisition)], bandwidth, whiten)
    if asymmetric:
        readouts = [adjust_asymmetric_echo(readout, space.matrixSize.x) for readout in readouts]
    readouts = [remove_oversampling(readout, ratio) for readout in readouts]
    return [item for item in items if isinstance(item, ismrmrd.Waveform)] + readouts
