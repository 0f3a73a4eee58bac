"""One small message of every kind that a host may send, for faults at every byte."""

from __future__ import annotations

import struct

import ismrmrd
import numpy as np
import parent
from front_end_buckets import Bucket, bucket_message
from gadgetron.types.image_array import ImageArray
from gadgetron.types.recon_data import ReconBit, ReconBuffer, ReconData, SamplingDescription

from smug_recon.gadgets.wire import writers


class _Parts(list[bytes]):
    def write(self, data: object) -> None:
        self.append(bytes(data))  # type: ignore[call-overload]


def _written(writer: object, item: object) -> bytes:
    parts = _Parts()
    writer(parts, item)  # type: ignore[operator]
    return b"".join(parts)


def _objects(header: object) -> np.ndarray:
    found = np.empty(1, dtype=object)
    found[0] = header
    return found


def _recon_data() -> bytes:
    data = np.ones((2, 1), np.complex64)
    heads = _objects(ismrmrd.AcquisitionHeader())
    buffer = ReconBuffer(data, None, None, heads, SamplingDescription())
    return _written(writers.write_recon_data, ReconData([ReconBit(buffer, None)]))


def _image_array() -> bytes:
    images = ImageArray(np.ones((2, 2), np.complex64), _objects(ismrmrd.ImageHeader()), ["<a/>"], None, None)
    return _written(writers.write_image_array, images)


def _bucket() -> bytes:
    bucket = Bucket()
    bucket.add(parent.acquisition(0, 1, 2))
    return bucket_message(bucket)


SMALL = [
    parent.acquisition(0, 1, 2, 1),
    parent.waveform(1),
    ismrmrd.Image(data=np.arange(2, dtype=np.uint16).reshape(1, 1, 1, 2), meta=ismrmrd.Meta({"a": "b"})),
]
MESSAGES: dict[str, bytes] = {
    "acquisition": parent.packed(SMALL[0]),
    "waveform": parent.packed(SMALL[1]),
    "image": parent.packed(SMALL[2]),
    "text": parent.message(5, b"a note", "I"),
    "ImageArray": _image_array(),
    "ReconData": _recon_data(),
    "bucket": _bucket(),
    "error": struct.pack("<HQ", 8, 5) + b"fault",
    "close": parent.CLOSE,
}
