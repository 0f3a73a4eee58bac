"""The byte layout of MRD messages: a 2-byte id, a packed little-endian header, then the data.

Sources: ISMRMRD `serialization.h` (ids, order of the fields) and Gadgetron `MessageID.h` (id 8, ERROR).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype, waveform_header_dtype

from smug_recon.errors import DataError, StreamError

CONFIG_FILE, CONFIG, HEADER, CLOSE, TEXT, ERROR = 1, 2, 3, 4, 5, 8
ACQUISITION, IMAGE, WAVEFORM, ARRAY = 1008, 1022, 1026, 1030

CONFIG_FILE_BYTES = 1024
ACQUISITION_BYTES, IMAGE_BYTES, WAVEFORM_BYTES = 340, 198, 40
LONGEST_TEXT = 64 * 2**20
"""No configuration, header, meta or error text is longer, in bytes; a longer one is a broken stream."""

IMAGE_VALUE_BYTES = {1: 2, 3: 4, 5: 4, 6: 8, 7: 8, 8: 16}
"""Bytes per value of the image types that arrive safely: uint16, uint32, float32/64, complex64/128."""

ARRAY_VALUE_BYTES = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 8: 16}
"""Bytes per value of every MRD data type, for arrays that are only read over."""

ReadExactly = Callable[[int], bytes]
"""Read this many bytes or raise StreamError."""

_ID = struct.Struct("<H")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Block:
    """Consecutive messages as they travel: their bytes, and how many acquisitions and others they hold."""

    payload: bytes
    acquisitions: int = 0
    others: int = 0


def close_message() -> bytes:
    """Id 4, the end of a stream."""
    return _ID.pack(CLOSE)


def text_message(message_id: int, text: bytes) -> bytes:
    """A configuration (2), a header (3) or a text (5): id, uint32 length, bytes."""
    return _ID.pack(message_id) + _U32.pack(len(text)) + text


def acquisition_rows(rows: np.ndarray) -> Block:
    """Rows of an ISMRMRD HDF5 table (``head``, ``traj``, ``data``) as messages 1008; DataError on a clash."""
    heads = packed(rows["head"], acquisition_header_dtype)
    samples = heads["number_of_samples"].astype(np.int64)
    _check_lengths("data", rows["data"], 2 * samples * heads["active_channels"])
    _check_lengths("traj", rows["traj"], samples * heads["trajectory_dimensions"])
    return Block(
        _join(ACQUISITION, heads.tobytes(), ACQUISITION_BYTES, "<f4", rows["traj"], rows["data"]), len(rows)
    )


def waveform_rows(rows: np.ndarray) -> Block:
    """Rows of an ISMRMRD HDF5 waveform table (``head``, ``data``) as messages 1026; DataError on a clash."""
    heads = packed(rows["head"], waveform_header_dtype)
    _check_lengths("data", rows["data"], heads["number_of_samples"].astype(np.int64) * heads["channels"])
    return Block(_join(WAVEFORM, heads.tobytes(), WAVEFORM_BYTES, "<u4", rows["data"]), 0, len(rows))


def packed(heads: np.ndarray, layout: np.dtype) -> np.ndarray:
    """Copy a table of headers into the wire layout, field by name; DataError if a field is missing."""
    if heads.dtype == layout and not layout.isalignedstruct:  # padding is never read: it holds chance
        return np.ascontiguousarray(heads)
    names = set(heads.dtype.names or ())
    if missing := [name for name in layout.names or () if name not in names]:
        raise DataError(
            f"acquisition headers without {', '.join(missing)}",
            "the ISMRMRD 1.x header",
            "convert the raw file again with a current converter",
        )
    out = np.zeros(len(heads), layout)  # zeros: the padding bytes travel as well
    for name in layout.names or ():
        inner = layout[name]
        out[name] = packed(heads[name], inner) if inner.names else heads[name]
    return out


def _check_lengths(field: str, values: np.ndarray, expected: np.ndarray) -> None:
    found = np.fromiter((len(value) for value in values), np.int64, len(values))
    if (found != expected).any():
        row = int(np.argmax(found != expected))
        raise DataError(
            f"{found[row]} values in field {field} of a row",
            f"{expected[row]}, as its header says",
            "the raw file is damaged: copy or convert it again",
        )


def _join(message_id: int, heads: bytes, size: int, value_type: str, *columns: np.ndarray) -> bytes:
    mark = _ID.pack(message_id)
    parts: list[bytes] = []
    for row, values in enumerate(zip(*columns, strict=True)):
        parts.append(mark)
        parts.append(heads[row * size : (row + 1) * size])
        parts.extend(np.asarray(value, value_type).tobytes() for value in values)
    return b"".join(parts)


def read_id(read: ReadExactly) -> int:
    """The id of the next message."""
    return int(_ID.unpack(read(2))[0])


def read_text(read: ReadExactly, what: str, length_bytes: int = 4) -> bytes:
    """A text with its length before it; StreamError if the length is beyond reason."""
    length = int((_U32 if length_bytes == 4 else _U64).unpack(read(length_bytes))[0])
    if length > LONGEST_TEXT:
        raise StreamError(
            f"a {what} of {length} bytes",
            f"at most {LONGEST_TEXT}",
            "the stream is damaged or is no MRD stream",
        )
    return read(length)


def skip_words(message_id: int, read: ReadExactly) -> bool:
    """Read over a configuration or a text; False, and nothing is read, for another message. StreamError."""
    if message_id == CONFIG_FILE:
        read(CONFIG_FILE_BYTES)
    elif message_id in (CONFIG, TEXT):
        read_text(read, "text")
    else:
        return False
    return True


def read_body(message_id: int, read: ReadExactly) -> list[bytes]:
    """What follows the id of an acquisition, an image or a waveform, unparsed; StreamError for another id."""
    if message_id == ACQUISITION:
        head = read(ACQUISITION_BYTES)
        samples, channels, dimensions = (_U16.unpack_from(head, at)[0] for at in (34, 38, 176))
        return [head, read(samples * (4 * dimensions + 8 * channels))]
    if message_id == WAVEFORM:
        head = read(WAVEFORM_BYTES)
        samples, channels = _U16.unpack_from(head, 28)[0], _U16.unpack_from(head, 30)[0]
        return [head, read(4 * samples * channels)]
    if message_id == IMAGE:
        head = read(IMAGE_BYTES)
        image_type, width, height, depth = (_U16.unpack_from(head, at)[0] for at in (2, 16, 18, 20))
        channels = _U16.unpack_from(head, 34)[0]
        if image_type not in IMAGE_VALUE_BYTES:
            raise StreamError(
                f"an image of data type {image_type}",
                f"one of {sorted(IMAGE_VALUE_BYTES)} (no signed integers)",
                "send uint16, float32 or complex64",
            )
        meta = read_text(read, "image attribute text", 8)
        values = width * height * depth * channels
        return [head, _U64.pack(len(meta)), meta, read(values * IMAGE_VALUE_BYTES[image_type])]
    raise StreamError(
        f"message id {message_id}", "acquisitions (1008), images (1022), waveforms (1026) or the end (4)",
        "the stream is damaged, or was written for another program",
    )  # fmt: skip


def parse(message_id: int, body: list[bytes]) -> ismrmrd.Acquisition | ismrmrd.Image | ismrmrd.Waveform:
    """The ismrmrd item of a body read by ``read_body``; StreamError if its attributes are no Meta XML."""
    kind = {ACQUISITION: ismrmrd.Acquisition, IMAGE: ismrmrd.Image, WAVEFORM: ismrmrd.Waveform}[message_id]
    try:
        return kind.from_bytes(b"".join(body))
    except (ValueError, SyntaxError, AssertionError) as error:  # ElementTree's ParseError is a SyntaxError
        raise StreamError(
            f"a message {message_id} that ismrmrd cannot read ({error})",
            "an image whose attribute text is ismrmrdMeta XML in UTF-8",
            "mend the program that wrote it",
        ) from None


def items(blocks: Iterator[Block]) -> Iterator[ismrmrd.Acquisition | ismrmrd.Image | ismrmrd.Waveform]:
    """The ismrmrd items in a row of blocks."""
    for block in blocks:
        read = cursor(block.payload)
        remaining = block.acquisitions + block.others
        for _ in range(remaining):
            message_id = read_id(read)
            yield parse(message_id, read_body(message_id, read))


def cursor(payload: bytes) -> ReadExactly:
    """Read exactly from bytes in memory."""
    view, at = memoryview(payload), 0

    def read(count: int) -> bytes:
        nonlocal at
        if at + count > len(view):
            raise StreamError(
                f"{len(view) - at} bytes", f"{count} more bytes of a message", "send the whole stream"
            )
        at += count
        return bytes(view[at - count : at])

    return read
