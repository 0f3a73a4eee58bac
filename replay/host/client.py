"""The host's side of a node: configuration, header and readouts go out while images come back."""

from __future__ import annotations

import contextlib
import logging
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

import ismrmrd

from smug_recon.errors import StreamError
from smug_recon.replay.host.node import Node
from smug_recon.replay.messages import wire

PATIENCE_S = 900.0
"""Longest silence, in seconds, with nothing sent and nothing received, before the node counts as hung."""
PIECE_BYTES = 256 * 1024
BROKEN_OFF = "the end of the stream at byte 0 of the message identifier"
"""What the node says of a stream that ends without its end mark, between two messages."""

Item: TypeAlias = ismrmrd.Acquisition | ismrmrd.Image | ismrmrd.Waveform
log = logging.getLogger(__name__)


def play(
    node: Node,
    configuration: bytes,
    header_xml: bytes,
    blocks: Iterable[wire.Block],
    receive: Callable[[Item], None],
    progress: Callable[[int], None] = lambda acquisitions: None,
    patience_s: float = PATIENCE_S,
    whole: Callable[[], bool] = lambda: True,
) -> int:
    """Send id 2, id 3, all blocks and id 4, hand each item that comes back to ``receive``; readouts sent.

    A second thread sends, so that neither side waits for ever when both buffers are full. StreamError with
    the node's own text (id 8), with its way of dying, or after ``patience_s`` seconds of silence.

    ``whole`` is asked behind the last block: if it was not the last of the scan, the stream ends without id 4, as it
    did at the scanner. The node then sends the slices that are complete and says that the stream broke off.
    """
    sender = _Sender(node.socket, configuration, header_xml, blocks, whole)
    reader = _Reader(node, sender, progress, patience_s)
    sender.thread.start()
    try:
        while (message_id := wire.read_id(reader.read)) != wire.CLOSE:
            if message_id == wire.ERROR:
                text = wire.read_text(reader.read, "error text", 8)
                if sender.broke_off and BROKEN_OFF.encode() in text:
                    node.wait(30.0)
                    return sender.acquisitions
                raise _reported(node, text, sender)
            if message_id not in (wire.ACQUISITION, wire.IMAGE, wire.WAVEFORM):
                raise StreamError(
                    f"message id {message_id} from the node",
                    "images (1022), items passed through (1008, 1026), an error (8) or the end (4)",
                    node.hint(),
                )
            receive(wire.parse(message_id, wire.read_body(message_id, reader.read)))
        sender.thread.join(5.0)
        progress(sender.acquisitions)
        if sender.error is not None and not isinstance(sender.error, OSError):
            raise sender.error
        if sender.thread.is_alive() or sender.error is not None:
            raise node.death("before it had read the whole scan")
        node.socket.shutdown(socket.SHUT_WR)
        if node.wait(30.0) != 0:
            raise node.death("after its last image")
        return sender.acquisitions
    finally:
        sender.stop.set()
        with contextlib.suppress(OSError):
            node.socket.shutdown(socket.SHUT_RDWR)  # wakes the sender if it waits for a full buffer


def _reported(node: Node, text: bytes, sender: _Sender) -> StreamError:
    """What the node reported; it reads on to our end mark, so that mark is sent before the node is left."""
    sender.stop.set()
    sender.thread.join(5.0)
    node.wait(5.0)
    return StreamError(
        f"an error reported by the node: {text.rstrip(bytes(1)).decode(errors='replace')}",
        "images",
        f"read {node.log}",
    )


class _Sender:
    """Everything that goes to the node, in a thread of its own."""

    def __init__(
        self,
        connection: socket.socket,
        configuration: bytes,
        header_xml: bytes,
        blocks: Iterable[wire.Block],
        whole: Callable[[], bool],
    ) -> None:
        self._socket, self._blocks, self._whole = connection, blocks, whole
        self._start = wire.text_message(wire.CONFIG, configuration) + wire.text_message(
            wire.HEADER, header_xml
        )
        self.acquisitions = 0
        self.broke_off = False
        self.moved = time.monotonic()
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="send readouts", daemon=True)

    def _run(self) -> None:
        try:
            self._send(self._start)
            blocks = iter(self._blocks)
            while not self.stop.is_set():
                self.moved = (
                    math.inf
                )  # a slow source, say a pipe from a running scan, is not the node's silence
                block = next(blocks, None)
                self.moved = time.monotonic()
                if block is None:
                    break
                self._send(block.payload)
                self.acquisitions += block.acquisitions
            if self.stop.is_set() or self._whole():
                self._send(wire.close_message())
            else:
                self.broke_off = True
                self._socket.shutdown(socket.SHUT_WR)
        except BaseException as error:  # handed to the receiving side, which raises it
            self.error = error
            if not isinstance(error, OSError):
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # the scan cannot be completed: wake the receiver

    def _send(self, payload: bytes) -> None:
        view = memoryview(payload)
        for start in range(0, len(view), PIECE_BYTES):
            self._socket.sendall(view[start : start + PIECE_BYTES])
            self.moved = time.monotonic()


class _Reader:
    """Exact reads from the node, bounded in time."""

    def __init__(
        self, node: Node, sender: _Sender, progress: Callable[[int], None], patience_s: float
    ) -> None:
        self._node, self._sender, self._progress, self._patience_s = node, sender, progress, patience_s
        self._moved = time.monotonic()

    def remaining_s(self) -> float:
        """Seconds of patience left."""
        return max(max(self._moved, self._sender.moved) + self._patience_s - time.monotonic(), 0.0)

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes; StreamError when the node dies or stays silent."""
        data = bytearray(count)
        view, at = memoryview(data), 0
        while at < count:
            self._progress(self._sender.acquisitions)
            if not select.select([self._node.socket], [], [], min(0.2, self.remaining_s()))[0]:
                if self.remaining_s() == 0.0:
                    raise StreamError(
                        f"{self._patience_s:.0f} s of silence after {self._sender.acquisitions} readouts",
                        "images",
                        f"allow more time with --patience, or {self._node.hint()}",
                    )
                continue
            try:
                received = self._node.socket.recv_into(view[at:])
            except ConnectionError:
                received = 0
            if received == 0:
                if self._sender.error is not None and not isinstance(self._sender.error, OSError):
                    raise self._sender.error
                raise self._node.death("in the middle of a message" if at else "before the end mark (id 4)")
            at += received
            self._moved = time.monotonic()
        return bytes(data)
