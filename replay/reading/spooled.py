"""A spool as raw scan: the bytes that a session received, up to where they break off."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from smug_recon.errors import ConfigurationError, DataError, StreamError
from smug_recon.gadgets.wire import protocol, readers
from smug_recon.gadgets.wire.receiving import ReceivingSocket
from smug_recon.replay.messages import wire
from smug_recon.replay.reading.mrdstream import StreamRaw
from smug_recon.spool.folder import spools
from smug_recon.spool.record import PIPELINE, STREAM, is_spool, read_record, reading

FRONT_END = (protocol.RECON_DATA, protocol.IMAGE_ARRAY, protocol.BUCKET)
"""What Gadgetron's C++ front end sends; how long it is shows only while it is read."""
MOST_NAMED = 10
log = logging.getLogger(__name__)


class SpoolRaw(StreamRaw):
    """The stream of a spool; ``cut`` says, once it has been read, why it is not whole.

    A message that breaks off at the end is dropped and said. The spool is not removed while it is open.
    """

    def __init__(self, spool: Path) -> None:
        self._held = contextlib.ExitStack()
        over = self._held.enter_context(reading(spool))
        record = read_record(spool)
        self._why = "the session is still running" if not over else record.stopped if record else ""
        self.target = record.target if record else "reconstruct"
        self._left = (spool / STREAM).stat().st_size
        super().__init__((spool / STREAM).open("rb", buffering=2**20), f"spool {spool.name}")

    def close(self) -> None:
        """Close the stream; from now on the spool may be removed."""
        super().close()
        self._held.close()

    def _messages(self) -> Iterator[tuple[int, list[bytes]]]:
        try:
            while (message_id := wire.read_id(self._exactly)) != wire.CLOSE:
                if message_id in FRONT_END:
                    recorder = _Recorder(self)
                    _front_end_item(message_id, recorder)
                    yield message_id, recorder.parts
                elif not self._skipped(message_id):
                    yield message_id, wire.read_body(message_id, self._exactly)
        except StreamError as error:
            self.cut = self._why or error.found
            log.warning(
                "%s breaks off in mid-scan (%s): half a message is dropped, complete slices are reconstructed",
                self._name,
                self.cut,
            )

    def _skipped(self, message_id: int) -> bool:
        """Read over the words of the host: what they say is in ``pipeline.yaml``."""
        return wire.skip_words(message_id, self._exactly)

    def _exactly(self, count: int) -> bytes:
        if count > self._left:  # before memory is taken for it
            raise StreamError(
                f"the end of {self._name} after {self._left} of {count} bytes",
                "whole messages and an end mark (id 4)",
                "the session broke off here",
            )
        self._left -= count
        return super()._exactly(count)


class _Recorder:
    """Has the face of the socket that the readers read from, and keeps the bytes."""

    def __init__(self, source: SpoolRaw) -> None:
        self.limits = protocol.Limits()
        self.parts: list[bytes] = []
        self._source = source

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        self.parts.append(self._source._exactly(count))
        return self.parts[-1]

    def read_array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array in C order."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.read(kind.itemsize * math.prod(map(int, shape))), kind).reshape(shape)


def _front_end_item(message_id: int, recorder: _Recorder) -> None:
    """Read what Gadgetron's front end has sent, to see where it ends; StreamError."""
    try:
        readers.READERS[message_id](cast(ReceivingSocket, recorder))
    except readers.UNREADABLE as error:
        raise StreamError(
            f"a message {message_id} that cannot be read ({type(error).__name__})",
            "a message of the Gadgetron protocol",
            "the spool is damaged, or the session broke off here",
        ) from None


def open_spool(path: Path) -> SpoolRaw:
    """Open a spool; DataError, with the names of those that are there, for a folder that is none."""
    if is_spool(path):
        return SpoolRaw(path)
    names = [kept.path.name for kept in reversed(spools(path))]
    raise DataError(
        f"a folder with {len(names)} spools in it" if names else f"the folder {path}, which is no spool",
        "one spool, a folder such as 20261121-123522-7f3a1c with a stream.mrd in it",
        f"choose one: {', '.join(names[:MOST_NAMED])}" if names else "check the path",
    )


def settings_of(raw: Path | str) -> Path | None:
    """The pipeline file of a spool, None for other raw scans; ConfigurationError where the spool has none."""
    if not is_spool(raw):
        return None
    path = Path(raw) / PIPELINE
    if not path.is_file():
        raise ConfigurationError(
            "a spool without settings: its session ended before they were known",
            f"{PIPELINE} beside the stream",
            "say with -c which pipeline is to run",
        )
    return path
