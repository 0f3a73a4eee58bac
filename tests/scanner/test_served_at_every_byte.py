"""A host of the server that dies or stalls at any byte of a short scan: told why, left, and the account says how it ended."""

from __future__ import annotations

import io
import logging
import socket
import threading
from typing import Any

import hosts
import ismrmrd
import parent
import pytest
from every_kind import MESSAGES

from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.scanner import catalogue, opening, session, session_socket
from smug_recon.scanner.catalogue import Catalogue
from smug_recon.scanner.house import House, Settings
from smug_recon.scanner.session import DONE, EMPTY, FAILED, Account, converse
from smug_recon.scanner.session_socket import SessionSocket

MOMENT_S = 1e-4
HASTY = Limits(stall_seconds=MOMENT_S, drain_seconds=5.0, drain_idle_seconds=MOMENT_S)
CONFIG = parent.message(2, b"<configuration/>", "I")
HEADER = parent.message(3, parent.HEADER_XML, "I")
PARAMETERS = hosts.text(5, b'{"parameters": {}}', nul=True)
ITEMS = [MESSAGES[name] for name in ("acquisition", "waveform", "image", "ReconData", "bucket")]
SCANS = {
    "FIRE": (hosts.name("smug-cartesian") + HEADER + PARAMETERS, ITEMS[:1]),
    "connect": (CONFIG + HEADER, ITEMS),
}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    """A server without a chain: items are counted. The header is parsed once, silences last a moment."""
    header = ismrmrd.xsd.CreateFromDocument(parent.HEADER_XML)
    monkeypatch.setattr(opening, "_parsed", lambda text: header)
    monkeypatch.setattr(catalogue, "settable", list)
    monkeypatch.setattr(session_socket, "TICK_S", MOMENT_S)

    def take_all(host: Any, opened: Any, house: House, account: Account) -> None:
        account.received = sum(1 for _ in host)

    monkeypatch.setattr(session, "_reconstruct", take_all)
    logging.disable()
    yield House(Settings(limits=HASTY, idle_s=MOMENT_S), Catalogue())
    logging.disable(logging.NOTSET)


def served(house: House, data: bytes, dies: bool) -> tuple[Account, str, str]:
    """Send, and die or fall silent, before the session begins in this thread; account, complaint, how it ended."""
    host, far = socket.socketpair()
    account = Account(1)
    with host:
        host.sendall(data)
        if dies:
            host.shutdown(socket.SHUT_WR)
        converse(SessionSocket(far, HASTY, MOMENT_S, threading.Event()), house, account)
        host.settimeout(10)
        answer = io.BytesIO()
        while part := host.recv(65536):
            answer.write(part)
    heard = hosts.HostEnd.__new__(hosts.HostEnd)
    heard.heard, heard.socket, size = hosts.Heard(), Replayed(answer.getvalue()), len(answer.getvalue())
    while heard.socket.at < size:
        heard.read_message()
    last = answer.getvalue()[-2:] == hosts.CLOSE
    return account, heard.heard.complaint, "close" if last else "end"


class Replayed:
    """The answer of a session, read again."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def recv(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "stalls"])
@pytest.mark.parametrize("kind", list(SCANS))
def test_at_every_byte_of_a_short_scan(house: House, kind: str, dies: bool) -> None:
    start, items = SCANS[kind]
    data = start + b"".join(items)
    said = "the end of the stream" if dies else "silence for"
    for cut in range(1, len(data) + 1):
        account, complaint, ending = served(house, data[:cut], dies)
        assert account.outcome == FAILED and account.error.startswith("StreamError"), (cut, account.error)
        assert said in complaint and ending == "end", (cut, complaint)
    account, complaint, ending = served(house, data + hosts.CLOSE, dies)
    assert (account.outcome, complaint, ending, account.received) == (DONE, "", "close", len(items))
    assert served(house, b"", dies)[0].outcome == EMPTY
