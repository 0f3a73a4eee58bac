"""Readouts with something in every field of their headers, and the bytes that tell whether all of it arrived."""

from __future__ import annotations

import ismrmrd
import numpy as np


def bytes_of(items) -> list[bytes]:
    return [item.to_bytes() for item in items]


def readout(number: int, dimensions: int = 0) -> ismrmrd.Acquisition:
    rng = np.random.default_rng(number)
    path = rng.standard_normal((96, dimensions)).astype(np.float32)
    item = ismrmrd.Acquisition.from_array(
        rng.standard_normal((2, 192)).astype(np.float32).view(np.complex64), path
    )
    head = item.getHead()
    head.flags = (1 << 19) * (number % 2) + (1 << 7)
    head.measurement_uid, head.scan_counter, head.acquisition_time_stamp = 5, number, 1000 + number
    head.center_sample, head.discard_pre, head.discard_post = 40, 3, 2
    head.sample_time_us, head.encoding_space_ref = 2.5, 1
    head.physiology_time_stamp[:], head.channel_mask[0] = (1, 2, 3), 3
    for offset, name in enumerate(
        ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position")
    ):
        getattr(head, name)[:] = [offset + 0.25, offset + 0.5, offset]
    for offset, (name, _) in enumerate(head.idx._fields_):
        if name != "user":
            setattr(head.idx, name, number + offset)
    head.idx.user[:], head.user_int[:], head.user_float[:] = range(8), range(2, 10), range(3, 11)
    return ismrmrd.Acquisition(head, item.data, item.traj)
