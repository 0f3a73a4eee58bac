"""Writers of the messages we may send; each queues one whole message in the guarded socket.

They replace the stock writers of gadgetron 1.4.1 where those break the stream: images whose pixels
Gadgetron cannot take, arrays that need a cast (an error under numpy 2), waveforms inside an ImageArray
(each preceded by a message identifier that its reader does not expect).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ismrmrd
import numpy as np
from gadgetron.types.image_array import ImageArray
from gadgetron.types.recon_data import ReconBuffer, ReconData

from smug_recon.errors import StreamError

from .protocol import (
    ACQUISITION,
    IMAGE,
    IMAGE_ARRAY,
    PIXEL_TYPES,
    RECON_DATA,
    SENDABLE_PIXELS,
    WAVEFORM,
    uint16,
    uint64,
)
from .readers import ReceivedImage
from .sending import SendingSocket


def write_acquisition(destination: SendingSocket, acquisition: ismrmrd.Acquisition) -> None:
    """Write one readout; arrays that are not complex64 and float32 of the header's size are refused."""
    header = acquisition.getHead()
    expected = (header.active_channels, header.number_of_samples)
    trajectory = (header.number_of_samples, header.trajectory_dimensions)
    _check("an acquisition", acquisition.data, expected, np.complex64)
    _check("a trajectory", acquisition.traj, trajectory, np.float32)
    destination.write(uint16.pack(ACQUISITION))
    acquisition.serialize_into(destination.write)


def write_waveform(destination: SendingSocket, waveform: ismrmrd.Waveform) -> None:
    """Write one waveform."""
    destination.write(uint16.pack(WAVEFORM))
    waveform.serialize_into(destination.write)


def write_image(destination: SendingSocket, image: ismrmrd.Image) -> None:
    """Write one image of uint16, uint32, float32/64 or complex64/128; any other is a StreamError."""
    header = image.getHead()
    pixels = image.data
    if pixels.dtype not in SENDABLE_PIXELS:
        raise StreamError(
            f"an image of {pixels.dtype} pixels to send",
            ", ".join(str(dtype) for dtype in SENDABLE_PIXELS),
            "Gadgetron takes no other: set images.type to uint16, float32 or complex64",
        )
    x, y, z = header.matrix_size
    _check("an image", pixels, (header.channels, z, y, x), PIXEL_TYPES.get(header.data_type))
    if isinstance(image, ReceivedImage) and image.meta == image.received_meta:
        attributes = image.received_attributes
    else:
        attributes = image.attribute_string.encode("utf-8")
    header.attribute_string_len = len(attributes)
    destination.write(uint16.pack(IMAGE))
    destination.write(header)
    _write_byte_string(destination, attributes)
    destination.write(pixels.tobytes())


def write_image_array(destination: SendingSocket, images: ImageArray) -> None:
    """Write an ImageArray; the data are cast to complex64."""
    destination.write(uint16.pack(IMAGE_ARRAY))
    _write_array(destination, images.data, np.complex64)
    _write_object_array(destination, images.headers)
    destination.write(uint64.pack(len(images.meta)))
    for attributes in images.meta:
        _write_byte_string(destination, attributes.encode("utf-8", errors="surrogateescape"))
    _optional(destination, images.waveform, _write_waveforms)
    _optional(destination, images.acq_headers, _write_object_array)


def write_recon_data(destination: SendingSocket, recon: ReconData) -> None:
    """Write ReconData; data are cast to complex64, trajectories and densities to float32."""
    destination.write(uint16.pack(RECON_DATA))
    destination.write(uint64.pack(len(recon.bits)))
    for bit in recon.bits:
        _write_buffer(destination, bit.data)
        _optional(destination, bit.ref, _write_buffer)


def _check(what: str, array: np.ndarray, shape: tuple[int, ...], dtype: Any) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise StreamError(
            f"{what} of {array.dtype} {array.shape} under a header that says {dtype} {shape}",
            "data as the header describes them",
            "the receiver would lose its place in the stream: build the item with from_array",
        )


def _write_byte_string(destination: SendingSocket, text: bytes) -> None:
    destination.write(uint64.pack(len(text)))
    destination.write(text)


def _optional(destination: SendingSocket, item: Any, writer: Callable[[SendingSocket, Any], None]) -> None:
    destination.write(b"\0" if item is None else b"\1")
    if item is not None:
        writer(destination, item)


def _write_dimensions(destination: SendingSocket, shape: tuple[int, ...]) -> None:
    destination.write(np.asarray([len(shape), *shape], dtype="<u8").tobytes())


def _write_array(destination: SendingSocket, array: Any, dtype: type) -> None:
    values: np.ndarray = np.asarray(array).astype(dtype, copy=False)
    _write_dimensions(destination, values.shape)
    destination.write(values.tobytes(order="F"))


def _write_float_array(destination: SendingSocket, array: Any) -> None:
    _write_array(destination, array, np.float32)


def _write_object_array(destination: SendingSocket, headers: np.ndarray) -> None:
    _write_dimensions(destination, headers.shape)
    for header in headers.ravel(order="F"):
        destination.write(header)


def _write_waveforms(destination: SendingSocket, waveforms: list[ismrmrd.Waveform]) -> None:
    destination.write(uint64.pack(len(waveforms)))
    for waveform in waveforms:
        waveform.serialize_into(destination.write)


def _write_buffer(destination: SendingSocket, buffer: ReconBuffer) -> None:
    _write_array(destination, buffer.data, np.complex64)
    _optional(destination, buffer.trajectory, _write_float_array)
    _optional(destination, buffer.density, _write_float_array)
    _write_object_array(destination, buffer.headers)
    destination.write(buffer.sampling)


WRITERS: list[tuple[type, Callable[[SendingSocket, Any], None]]] = [
    (ReconData, write_recon_data),
    (ImageArray, write_image_array),
    (ismrmrd.Image, write_image),
    (ismrmrd.Waveform, write_waveform),
    (ismrmrd.Acquisition, write_acquisition),
]
"""The writer of every kind of item that can be sent."""
