"""Readers of the messages a host may send; each takes the socket behind its message identifier.

They replace the stock readers of gadgetron 1.4.1 because those copy every readout three times
(acquisitions), lose empty Meta values and trip over int32 (images), multiply claimed dimensions in 64 bits
until they overflow (arrays), accept ASCII only (Meta of an ImageArray) and fail on every bucket with
waveforms.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable
from typing import Any

import ismrmrd
import numpy as np
from gadgetron.types import acquisition_bucket as buckets
from gadgetron.types import recon_data
from gadgetron.types.image_array import ImageArray

from smug_recon.errors import StreamError

from . import protocol
from .protocol import PIXEL_TYPES, uint32, uint64
from .receiving import ReceivingSocket
from .xml import refuse_entities

ACQUISITION_HEADER_BYTES = ctypes.sizeof(ismrmrd.AcquisitionHeader)
IMAGE_HEADER_BYTES = ctypes.sizeof(ismrmrd.ImageHeader)
WAVEFORM_HEADER_BYTES = ctypes.sizeof(ismrmrd.WaveformHeader)

MOST_DIMENSIONS = 32  # of an array; ReconData has 7
MOST_ENCODINGS = 256  # of a scan

UNREADABLE = (ValueError, TypeError, OverflowError, LookupError, MemoryError)
"""What a reader raises, besides StreamError, for bytes that are no message of its kind."""


class ReceivedImage(ismrmrd.Image):
    """An image from the host with its attribute string, so that passing it on changes no byte of it."""

    received_attributes: bytes = b""
    received_meta: dict[str, Any] = {}


def read_acquisition(source: ReceivingSocket) -> ismrmrd.Acquisition:
    """Read one readout: header (340 bytes), trajectory (float32), samples ``data_cx`` (complex64)."""
    header = ismrmrd.AcquisitionHeader.from_buffer_copy(source.read(ACQUISITION_HEADER_BYTES))
    samples, channels = header.number_of_samples, header.active_channels
    trajectory = source.read_array((samples, header.trajectory_dimensions), np.float32)
    return ismrmrd.Acquisition(header, source.read_array((channels, samples), np.complex64), trajectory)


def read_waveform(source: ReceivingSocket) -> ismrmrd.Waveform:
    """Read one waveform: header (40 bytes) and uint32 samples (channels, samples)."""
    header = ismrmrd.WaveformHeader.from_buffer_copy(source.read(WAVEFORM_HEADER_BYTES))
    return ismrmrd.Waveform(header, source.read_array((header.channels, header.number_of_samples), np.uint32))


def read_image(source: ReceivingSocket) -> ReceivedImage:
    """Read one image: header (198 bytes), uint64 length and Meta attributes, pixels (channels, z, y, x)."""
    header = ismrmrd.ImageHeader.from_buffer_copy(source.read(IMAGE_HEADER_BYTES))
    dtype = PIXEL_TYPES.get(int(header.data_type))
    if dtype is None:
        raise StreamError(
            f"an image of MRD data type {header.data_type}",
            "uint16, int16, uint32, float32, float64, complex64 or complex128 (1 to 3, 5 to 8)",
            "convert the images before this node",
        )
    attributes = read_byte_string(source, source.limits.attribute_bytes, "image attributes")
    x, y, z = header.matrix_size
    pixels: np.ndarray = source.read_array((header.channels, z, y, x), dtype)
    image = ReceivedImage(head=header, data=pixels, meta=_parse_attributes(attributes))
    image.received_attributes = attributes
    image.received_meta = copy.deepcopy(dict(image.meta))
    return image


def _parse_attributes(attributes: bytes) -> ismrmrd.Meta:
    """Meta attributes, or an empty Meta when the string is none: its bytes are passed on in any case."""
    try:
        refuse_entities(attributes, "image attributes")
        return ismrmrd.Meta.deserialize(attributes.rstrip(b"\0").decode("utf-8"))
    except (StreamError, SyntaxError, AssertionError, AttributeError, UnicodeDecodeError):
        return ismrmrd.Meta()


def read_image_array(source: ReceivingSocket) -> ImageArray:
    """Read an ImageArray: complex64 data, headers, Meta, optional waveforms and acquisition headers."""
    return ImageArray(
        data=_read_array(source, np.complex64),
        headers=_read_object_array(source, _image_header),
        meta=[
            read_byte_string(source, source.limits.attribute_bytes, "image attributes").decode(
                "utf-8", errors="surrogateescape"
            )
            for _ in range(_count(source))
        ],
        waveform=_optional(source, lambda s: [read_waveform(s) for _ in range(_count(s))]),
        acq_headers=_optional(source, lambda s: _read_object_array(s, _acquisition_header)),
    )


def read_recon_data(source: ReceivingSocket) -> recon_data.ReconData:
    """Read ReconData: per encoding space a buffer (data [RO,E1,E2,CHA,N,S,LOC]) and maybe a reference."""
    bits = [
        recon_data.ReconBit(_recon_buffer(source), _optional(source, _recon_buffer))
        for _ in range(_count(source))
    ]
    return recon_data.ReconData(bits)


def read_bucket(source: ReceivingSocket) -> buckets.AcquisitionBucket:
    """Read an acquisition bucket (data, reference, their statistics, waveforms)."""
    sizes = buckets.bucket_meta.from_buffer_copy(source.read(ctypes.sizeof(buckets.bucket_meta)))
    data, data_statistics = buckets.read_acquisitions(source, sizes.data), _statistics(source)
    reference, reference_statistics = buckets.read_acquisitions(source, sizes.reference), _statistics(source)
    headers = [
        ismrmrd.WaveformHeader.from_buffer_copy(source.read(WAVEFORM_HEADER_BYTES))
        for _ in range(sizes.waveforms.count)
    ]
    waveforms = [
        ismrmrd.Waveform(h, source.read_array((h.channels, h.number_of_samples), np.uint32)) for h in headers
    ]
    return buckets.AcquisitionBucket(data, data_statistics, reference, reference_statistics, waveforms)


def _statistics(source: ReceivingSocket) -> list[buckets.AcquisitionBucketStats]:
    """Which counters occur, for each encoding space: sets take far more memory than the bytes they are sent in."""
    count = _count(source)
    if count > MOST_ENCODINGS:
        raise StreamError(
            f"a bucket with statistics of {count} encoding spaces",
            f"at most {MOST_ENCODINGS}",
            "check the host",
        )
    kinds = len(buckets.AcquisitionBucketStats.__init__.__defaults__)
    return [
        buckets.AcquisitionBucketStats(
            *({*source.read_array((_count(source),), np.uint16).tolist()} for _ in range(kinds))
        )
        for _ in range(count)
    ]


def read_text(source: ReceivingSocket) -> str:
    """Read a TEXT message (id 5): uint32 length, UTF-8."""
    length = uint32.unpack(source.read(4))[0]
    return _bounded(source, length, source.limits.text_bytes, "a text").decode("utf-8", errors="replace")


def read_error(source: ReceivingSocket) -> str:
    """Read an ERROR message (id 8): uint64 length, UTF-8."""
    return read_byte_string(source, source.limits.text_bytes, "an error text").decode(
        "utf-8", errors="replace"
    )


def read_byte_string(source: ReceivingSocket, limit: int, what: str) -> bytes:
    """Read a uint64 length and that many bytes, at most ``limit``."""
    return _bounded(source, _count(source), limit, what)


def _bounded(source: ReceivingSocket, length: int, limit: int, what: str) -> bytes:
    if length > limit:
        raise StreamError(f"{what} of {length} bytes", f"at most {limit} bytes", "check the host")
    return source.read(length)


def _count(source: ReceivingSocket) -> int:
    return uint64.unpack(source.read(8))[0]


def _optional(source: ReceivingSocket, reader: Callable[[ReceivingSocket], Any]) -> Any:
    return reader(source) if source.read(1) != b"\0" else None


def _dimensions(source: ReceivingSocket) -> list[int]:
    count = _count(source)
    if count > MOST_DIMENSIONS:
        raise StreamError(
            f"an array of {count} dimensions", f"at most {MOST_DIMENSIONS} dimensions", "check the host"
        )
    return [int(length) for length in source.read_array((count,), np.uint64)]


def _read_array(source: ReceivingSocket, dtype: type) -> np.ndarray:
    """An array stored with its first dimension fastest; no dimensions at all mean an empty array."""
    dimensions = _dimensions(source) or [0]
    return source.read_array(tuple(reversed(dimensions)), dtype).transpose()


def _read_object_array(source: ReceivingSocket, reader: Callable[[ReceivingSocket], Any]) -> np.ndarray:
    dimensions = _dimensions(source) or [0]
    objects: list[Any] = []
    elements = 1
    for length in dimensions:
        elements *= length
    while len(objects) < elements:
        objects.append(reader(source))
    array = np.empty(len(objects), dtype=object)
    for index, item in enumerate(objects):
        array[index] = item
    return array.reshape(dimensions, order="F")


def _image_header(source: ReceivingSocket) -> ismrmrd.ImageHeader:
    return ismrmrd.ImageHeader.from_buffer_copy(source.read(IMAGE_HEADER_BYTES))


def _acquisition_header(source: ReceivingSocket) -> ismrmrd.AcquisitionHeader:
    return ismrmrd.AcquisitionHeader.from_buffer_copy(source.read(ACQUISITION_HEADER_BYTES))


def _recon_buffer(source: ReceivingSocket) -> recon_data.ReconBuffer:
    return recon_data.ReconBuffer(
        data=_read_array(source, np.complex64),
        trajectory=_optional(source, lambda s: _read_array(s, np.float32)),
        density=_optional(source, lambda s: _read_array(s, np.float32)),
        headers=_read_object_array(source, _acquisition_header),
        sampling_description=recon_data.read_sampling_description(source),
    )


READERS: dict[int, Callable[[ReceivingSocket], Any]] = {
    protocol.ACQUISITION: read_acquisition,
    protocol.WAVEFORM: read_waveform,
    protocol.IMAGE: read_image,
    protocol.IMAGE_ARRAY: read_image_array,
    protocol.RECON_DATA: read_recon_data,
    protocol.BUCKET: read_bucket,
}
"""The reader of every item by its message identifier."""
