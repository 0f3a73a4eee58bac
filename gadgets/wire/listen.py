"""The other direction: wait to be dialled by ``<external><connect address="127.0.0.1" port="18000"/>``.

``gadgetron.external.listen`` does the same on every network interface and for one session; this one binds
loopback unless told otherwise, serves one session after the other, and guards the handshake too.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import socket
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import ismrmrd
from gadgetron.external import Connection

from smug_recon.errors import HeaderError, StreamError

from . import protocol, stopping
from .peers import Peers
from .protocol import Limits
from .sockets import GuardedSocket
from .xml import parse, refuse_entities

log = logging.getLogger(__name__)

LONGEST_CONFIG = 1 << 20
LONGEST_HEADER = 8 << 20
"""In bytes; longer ones are refused before they are read."""


class GuardedHandshake(Connection):
    """The stock connection, guarded from the first byte on; the host hears of a bad handshake."""

    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        self._guarded = GuardedSocket(connected, limits)
        self._expected = protocol.CONFIG
        try:
            self._guarded.patient = False
            super().__init__(connected)
            self._guarded.patient = True
        except BaseException as error:
            self._guarded.fail(f"smug-recon: {error}")
            self._guarded.start_draining()
            self._guarded.drain_bytes()
            self._guarded.hang_up()
            raise

    def _read_message_identifier(self) -> int:
        identifier = self.socket.begin_message()
        if identifier != self._expected:
            raise StreamError(
                f"message identifier {identifier} in the handshake",
                f"{self._expected} ({protocol.NAMES[self._expected]})",
                "dial this port from a Gadgetron <external><connect>",
            )
        return identifier

    def _read_config(self) -> tuple[Any, bytes]:
        self.socket = self._guarded  # the stock constructor has just put its own wrapper here ...
        self._guarded.set_limits(self._guarded.limits)  # ... which takes the timeout off
        raw = self._text(LONGEST_CONFIG, "a configuration")
        text = raw.strip(b"\0 \r\n\t")
        empty = not text or (text.startswith(b"<?xml") and text.endswith(b"?>"))  # Gadgetron's word for none
        return (None if empty else parse(text, "a configuration")), raw

    def _text(self, limit: int, what: str) -> bytes:
        """The message with the expected identifier: uint32 length and as many bytes, at most ``limit``."""
        self._read_message_identifier()
        length = protocol.uint32.unpack(self.socket.read(4))[0]
        if length > limit:
            raise StreamError(f"{what} of {length} bytes", f"at most {limit} bytes", "check the host")
        raw: bytes = self.socket.read(length)
        self.socket.end_message()
        return raw

    def _read_header(self) -> tuple[Any, bytes]:
        self._expected = protocol.HEADER
        raw = self._text(LONGEST_HEADER, "an MRD header")
        refuse_entities(raw, "an MRD header")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # they quote values of the header: those of the patient, perhaps
                return ismrmrd.xsd.CreateFromDocument(raw), raw
        except Exception as error:
            raise HeaderError.unparsed(error) from None


def serve(
    connected: socket.socket, target: Callable[[Connection], Any], limits: Limits | None = None
) -> None:
    """Run ``target`` on one dialled socket and close it; a failure is logged and told to the host."""
    try:
        with GuardedHandshake(connected, limits or Limits.from_environment()) as connection:
            target(connection)
    except Exception as error:
        log.error("the session failed: %s", error)


def listen(
    port: int,
    target: Callable[[Connection], Any],
    host: str = "127.0.0.1",
    sessions: int | None = None,
    limits: Limits | None = None,
    allow: Iterable[str] = (),
) -> None:
    """Serve ``sessions`` sessions (None: for ever), one after the other, on ``host:port``; ``allow`` lists the peers."""
    peers = Peers(host, allow)
    with socket.create_server((host, port)) as server:
        log.info("waiting on %s port %d", *server.getsockname()[:2])
        while sessions is None or sessions > 0:
            connected, address = server.accept()
            if not peers.welcome(str(address[0])):
                connected.close()
                continue
            serve(connected, target, limits)
            if stopping.TOLD.is_set():
                log.info("stopped")
                return
            sessions = None if sessions is None else sessions - 1


def main() -> None:
    """``python -m smug_recon.gadgets.wire.listen PORT``: the reconstruction behind a Gadgetron ``<connect>``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument(
        "--allow", action="append", default=[], help="address or network that may connect; several times"
    )
    parser.add_argument(
        "--target",
        default="reconstruct",
        choices=["reconstruct", "reconstruct_buffers"],
        help="reconstruct_buffers behind Gadgetron's C++ front end (buckets, buffers)",
    )
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    target = getattr(importlib.import_module("smug_recon.gadgets"), given.target)
    listen(given.port, target, given.host, allow=given.allow)


if __name__ == "__main__":
    main()
