"""A host that dies or stalls at any byte of any kind of message: one error that names the place, and never a hang."""

from __future__ import annotations

import socket

import ismrmrd
import parent
import pytest
from every_kind import MESSAGES
from gadgetron.external import Connection

from smug_recon.errors import HeaderError, StreamError
from smug_recon.gadgets.wire.connection import session
from smug_recon.gadgets.wire.listen import GuardedHandshake
from smug_recon.gadgets.wire.protocol import Limits

AT_ONCE = Limits(stall_seconds=1e-3, drain_seconds=5.0, drain_idle_seconds=1e-3)
NAMES = {"ImageArray": "ImageArray", "bucket": "acquisition bucket"}
CARRIED = [name for name in MESSAGES if name not in ("close", "error")]


@pytest.fixture(autouse=True)
def known_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the MRD header once: hundreds of connections are opened."""
    header = ismrmrd.xsd.CreateFromDocument(parent.HEADER_XML)
    monkeypatch.setattr(ismrmrd.xsd, "CreateFromDocument", lambda document: header)


def count(connection: Connection) -> int:
    """Take all items, send none: the position of a fault is a matter of reading alone."""
    with session(connection, AT_ONCE) as host:
        return sum(1 for _ in host)


def fault(data: bytes, dies: bool, kind: type = Connection) -> tuple[BaseException | None, parent.Answer]:
    """Send ``data`` and die, or fall silent, before the node begins; it runs in this very thread."""
    host, far = socket.socketpair()
    error = None
    with host:
        host.sendall(data)
        if dies:
            host.shutdown(socket.SHUT_WR)
        try:
            with (
                GuardedHandshake(far, AT_ONCE) if kind is GuardedHandshake else Connection(far)
            ) as connection:
                count(connection)
        except (StreamError, HeaderError) as caught:
            error = caught
        return error, parent.read_answer(host)


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "stalls"])
@pytest.mark.parametrize("name", list(MESSAGES))
def test_at_every_byte_of_every_kind_of_message(name: str, dies: bool) -> None:
    before, message = parent.handshake() + MESSAGES["waveform"], MESSAGES[name]
    said = "the end of the stream" if dies else "silence for 0.001 s"
    for cut in range(1, len(message)):
        error, answer = fault(before + message[:cut], dies)
        assert isinstance(error, StreamError) and str(error) in answer.error, cut
        assert said in answer.error and f"at byte {cut} of " in answer.error, (cut, answer.error)
        assert cut < 2 or NAMES.get(name, name) in answer.error
        assert answer.ending == "end of stream" and not answer.items


@pytest.mark.parametrize("name", CARRIED)
def test_whole_messages_are_no_fault(name: str) -> None:
    error, answer = fault(parent.handshake() + MESSAGES[name] * 2 + parent.CLOSE, dies=True)
    assert (error, answer.error, answer.ending) == (None, None, "close")


def test_at_every_byte_of_the_handshake() -> None:
    opening = parent.handshake()
    for cut in range(len(opening)):
        error, answer = fault(opening[:cut], False, GuardedHandshake)
        assert isinstance(error, StreamError) and "silence for 0.001 s" in answer.error, cut
        assert answer.ending == "end of stream"
