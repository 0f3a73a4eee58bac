"""Acquisition buckets as Gadgetron's C++ front end fills and writes them, byte by byte, without the Python package gadgetron.

After AcquisitionAccumulateTriggerGadget and AcquisitionBucketWriter of Gadgetron 4.7 (``gadgets/mri_core``, ``core/writers``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOISE, flag_bit

PHASE_CORRECTION = flag_bit(ismrmrd.ACQ_IS_PHASECORR_DATA)
COUNTERS = ("kspace_encode_step_1", "kspace_encode_step_2", "slice", "phase", "contrast", "repetition", "set")
COUNTERS += ("segment", "average")  # the order of AcquisitionBucketStats


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
