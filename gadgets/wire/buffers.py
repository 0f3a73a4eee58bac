"""What Gadgetron's C++ front end hands on, taken apart into the readouts it was made of.

    NoiseAdjust ─ AsymmetricEchoAdjustRO ─ RemoveROOversampling ─ AccumulateTrigger ─ BucketToBuffer ─▶ here
                                                          acquisition bucket (1050) ┘    ReconData (1023) ┘

A bucket holds readouts, calibration lines of an accelerated scan apart from (or besides) those of the image. A
buffer holds them sorted into arrays: data [RO, E1, E2, CHA, N, S, LOC] and the header of each line [E1, E2, N, S,
LOC], blank where no line was acquired. The headers say everything else, so from here on the chain is that of
``reconstruct``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np
from gadgetron.types.acquisition_bucket import AcquisitionBucket
from gadgetron.types.recon_data import ReconBuffer, ReconData

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import (
    CALIBRATION,
    LAST_IN_MEASUREMENT,
    LAST_IN_REPETITION,
    not_imaging,
)
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.readouts.arrival import Arrival

log = logging.getLogger(__name__)

#: flags whose meaning lies in the order of acquisition, which a front end that sorts does not keep
ORDER_FLAGS = LAST_IN_REPETITION | LAST_IN_MEASUREMENT


class MessageArrival(Arrival):
    """What has arrived, where readouts come by the message, sorted: at the end of one all of it is there.

    BucketToBuffer sends one message per average, slice, contrast ... of a bucket, averages first: a LAST_IN_SLICE
    flag of the last average is in the last message of its slice, though not at the end of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.whole = False  # the readout in hand is the last of its message

    @property
    def in_order(self) -> bool:
        """Never: lines are sorted by their place, not by their time."""
        return False

    def all_before(self, counter: int) -> bool:
        """Whether the message is complete, and with it the slice that it ends."""
        return self.whole


def unpack(items: Iterable[Any], arrival: MessageArrival, report: Report) -> Iterator[Any]:
    """Yield the readouts of every buffer and bucket, and every other item as it is.

    Raises:
        DataError: a buffer whose arrays do not belong together.
    """
    for item in items:
        if isinstance(item, AcquisitionBucket):
            yield from item.waveforms
            found = from_bucket(item)
        elif isinstance(item, ReconData):
            found = from_buffers(item, report)
        else:
            arrival.whole = True
            yield item
            continue
        found.sort(key=lambda readout: (not_imaging(readout) is None, int(readout.scan_counter)))
        for left, readout in zip(range(len(found) - 1, -1, -1), found, strict=True):
            arrival.whole = left == 0
            yield readout


def from_bucket(bucket: AcquisitionBucket) -> list[ismrmrd.Acquisition]:
    """Return the readouts of a bucket; lines that are for image and calibration lie in it twice and come once."""
    reference = [readout for readout in bucket.ref if readout.flags & CALIBRATION]
    return [_without_order(readout) for readout in [*reference, *bucket.data]]


def from_buffers(recon: ReconData, report: Report) -> list[ismrmrd.Acquisition]:
    """Return the readouts of the buffers of all encoding spaces; doubles as in a bucket."""
    found: list[ismrmrd.Acquisition] = []
    for bit in recon.bits:
        reference = lines(bit.ref) if bit.ref is not None else []
        data = lines(bit.data)
        found += [readout for readout in reference if readout.flags & CALIBRATION] + data
        strays = {
            kind for readout in data if (kind := not_imaging(readout)) not in (None, "other encoding space")
        }
        for kind in sorted(map(str, strays)):
            report.warn(
                f"{kind} readouts were sorted into a buffer and may have replaced image lines: leave BucketToBuffer "
                "out of the Gadgetron configuration, so that buckets arrive"
            )
    return found


def lines(buffer: ReconBuffer) -> list[ismrmrd.Acquisition]:
    """Return the acquired lines of a buffer as readouts; a buffer of an encoding space without data has none.

    Raises:
        DataError: data and headers of different sizes.
    """
    if buffer.data.size == 0 or buffer.headers.size == 0:
        return []
    data, headers = _with_axes(buffer.data, 7), _with_axes(buffer.headers, 5)
    expected = (data.shape[1], data.shape[2], *data.shape[4:])
    if headers.shape != expected:
        raise DataError(
            f"a buffer with data of {data.shape} and headers of {headers.shape}",
            f"data [RO, E1, E2, CHA, N, S, LOC] and headers [E1, E2, N, S, LOC], here {expected}",
            "place this node right behind BucketToBuffer",
        )
    limits = buffer.sampling.sampling_limits[0]
    found = []
    for place in np.ndindex(headers.shape):
        head = headers[place]
        if head.number_of_samples:
            of_line = (slice(None), *place[:2], slice(None), *place[2:])
            found.append(_line(head, data[of_line].T, int(limits.center)))
    return found


def _line(head: ismrmrd.AcquisitionHeader, data_cx: np.ndarray, centre_of_buffer: int) -> ismrmrd.Acquisition:
    """Return one line with the header of what lies in the buffer, which is not that of what was acquired.

    BucketToBuffer copies the valid samples (without discard_pre and discard_post) of a centred readout to their
    place, and moves those of an off-centre one so that the centre lands on the centre of the buffer.
    """
    samples, centre = int(head.number_of_samples), int(head.center_sample)
    first, valid = int(head.discard_pre), samples - int(head.discard_pre) - int(head.discard_post)
    size = data_cx.shape[1]
    if samples == size and (centre == samples // 2 or centre >= samples):
        start, centre = first, samples // 2
    else:
        start, centre = centre_of_buffer - centre, centre_of_buffer - first
    if start < 0 or start + valid > size:
        raise DataError(
            f"a line of {valid} samples from sample {start} on in a buffer of {size}",
            "a line inside its buffer",
            "place this node right behind BucketToBuffer",
        )
    made = ismrmrd.AcquisitionHeader.from_buffer_copy(head)
    made.number_of_samples, made.active_channels, made.trajectory_dimensions = size, data_cx.shape[0], 0
    made.center_sample, made.discard_pre, made.discard_post = centre, start, size - start - valid
    made.flags = head.flags & ~ORDER_FLAGS
    return ismrmrd.Acquisition(made, np.ascontiguousarray(data_cx, np.complex64))


def _without_order(readout: ismrmrd.Acquisition) -> ismrmrd.Acquisition:
    """Return a readout without the flags that speak of the order of acquisition."""
    if not readout.flags & ORDER_FLAGS:
        return readout
    head = ismrmrd.AcquisitionHeader.from_buffer_copy(readout.getHead())
    head.flags &= ~ORDER_FLAGS
    return ismrmrd.Acquisition(head, readout.data, readout.traj)


def _with_axes(array: np.ndarray, axes: int) -> np.ndarray:
    """Return the array with as many axes as Gadgetron gives it; a program between may have left out ones at the end."""
    if array.ndim > axes and array.shape[axes:] == (1,) * (array.ndim - axes):
        return array.reshape(array.shape[:axes])
    return array.reshape(array.shape + (1,) * (axes - array.ndim)) if array.ndim < axes else array
