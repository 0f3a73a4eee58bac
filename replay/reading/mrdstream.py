"""ISMRMRD streams, as ``siemens_to_ismrmrd`` and ``ismrmrd_hdf5_to_stream`` write them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import BinaryIO

import ismrmrd
import numpy as np

from smug_recon.errors import StreamError
from smug_recon.replay.messages import wire
from smug_recon.replay.messages.source import Raw

BLOCK_BYTES = 4 * 2**20
PIECE_BYTES = 64 * 2**20
"""Read at once, at most."""
MOST_DIMENSIONS = 32
log = logging.getLogger(__name__)


class StreamRaw(Raw):
    """An ISMRMRD stream whose header has been read; how many readouts follow is unknown.

    ``halt`` is that of :class:`smug_recon.replay.messages.source.Raw`, where the source has one.
    """

    def __init__(self, source: BinaryIO, name: str, halt: Callable[[bool], None] | None = None) -> None:
        self._source, self._name, self.halt = source, name, halt
        try:
            self.header_xml = self._read_header()
        except BaseException:
            source.close()
            raise

    def close(self) -> None:
        """Close the stream."""
        self._source.close()

    def blocks(self) -> Iterator[wire.Block]:
        """All messages up to the end mark, byte by byte as they came, in blocks of bounded size."""
        parts: list[bytes] = []
        size = acquisitions = others = 0
        for message_id, body in self._messages():
            parts += [message_id.to_bytes(2, "little"), *body]
            size += 2 + sum(map(len, body))
            acquisitions += message_id == wire.ACQUISITION
            others += message_id != wire.ACQUISITION
            if size >= BLOCK_BYTES or acquisitions + others == 256:
                yield wire.Block(b"".join(parts), acquisitions, others)
                parts, size, acquisitions, others = [], 0, 0, 0
        if parts:
            yield wire.Block(b"".join(parts), acquisitions, others)

    def items(self) -> Iterator[ismrmrd.Acquisition | ismrmrd.Image | ismrmrd.Waveform]:
        """The same as ismrmrd objects, each as soon as it has arrived."""
        for message_id, body in self._messages():
            yield wire.parse(message_id, body)

    def _messages(self) -> Iterator[tuple[int, list[bytes]]]:
        while (message_id := wire.read_id(self._exactly)) != wire.CLOSE:
            if not self._skipped(message_id):
                yield message_id, wire.read_body(message_id, self._exactly)

    def _read_header(self) -> bytes:
        while True:
            message_id = wire.read_id(self._exactly)
            if message_id == wire.HEADER:
                return wire.read_text(self._exactly, "header")
            if not self._skipped(message_id):
                raise StreamError(
                    f"message id {message_id} at the start of {self._name}",
                    "an MRD header (id 3) before the data",
                    "give an ISMRMRD HDF5 file or an ISMRMRD stream",
                )

    def _skipped(self, message_id: int) -> bool:
        """Read over what is meant for another program: configurations, texts and plain arrays."""
        if message_id == wire.ARRAY:
            self._skip_array()
        elif not wire.skip_words(message_id, self._exactly):
            return False
        log.warning(
            "%s: message %d is no acquisition, image or waveform and is left out", self._name, message_id
        )
        return True

    def _skip_array(self) -> None:
        """Read over an array, piece by piece: its header may claim any size."""
        kind, _, dimensions = (int(value) for value in np.frombuffer(self._exactly(6), "<u2"))
        left = wire.ARRAY_VALUE_BYTES.get(kind, 0)
        if not left or dimensions > MOST_DIMENSIONS:
            raise StreamError(
                f"an array of data type {kind} and {dimensions} dimensions",
                f"an MRD data type (1 to 8) and at most {MOST_DIMENSIONS}",
                "the stream is damaged: write or copy it again",
            )
        for length in np.frombuffer(self._exactly(8 * dimensions), "<u8"):
            left *= int(length)
        while left:
            left -= len(self._exactly(min(left, BLOCK_BYTES)))

    def _exactly(self, count: int) -> bytes:
        data = self._source.read(min(count, PIECE_BYTES))  # a lying length costs what has arrived, no more
        while len(data) < count:
            more = self._source.read(min(count - len(data), PIECE_BYTES))
            if not more:
                raise StreamError(
                    f"the end of {self._name} after {len(data)} of {count} bytes",
                    "whole messages and an end mark (id 4)",
                    "the stream was cut: write or copy it again",
                )
            data += more
        return data
