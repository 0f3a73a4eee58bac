"""Loopback unless told otherwise, a warning when not, and a list of those who may."""

from __future__ import annotations

import ast
import contextlib
import inspect
import socket
import threading
from pathlib import Path

import pytest

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets.wire import listen as listening
from smug_recon.gadgets.wire.peers import Peers, is_loopback
from smug_recon.scanner.house import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.168.2.1", False), ("scanner", False), ("", False)),
    ],
)
def test_a_warning_where_other_machines_reach_the_port(host, local, caplog):
    Peers(host)
    assert is_loopback(host) is local
    assert bool(caplog.records) is not local
    if not local:
        assert "--allow" in caplog.text


@pytest.mark.parametrize(
    ("peer", "welcome"),
    [
        *(("192.168.2.7", True), ("192.168.3.7", False), ("10.0.0.1", True), ("10.0.0.2", False)),
        *(("::ffff:192.168.2.7", True), ("::1", False), ("fe80::1%eth0", True), ("127.0.0.1", False)),
    ],
)
def test_the_list_of_peers(peer, welcome, caplog):
    peers = Peers("127.0.0.1", ["192.168.2.0/24", "10.0.0.1", "fe80::/10"])
    assert peers.welcome(peer) is welcome
    assert ("not on the list" in caplog.text) is not welcome


def test_a_list_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="--allow"):
        Peers("127.0.0.1", ["scanner.hospital"])


def test_every_default_is_loopback():
    assert Settings().host == "127.0.0.1"
    assert inspect.signature(listening.listen).parameters["host"].default == "127.0.0.1"


def test_nothing_binds_all_interfaces():
    """No source file names the address of all interfaces; only the container, which has interfaces of its own, does."""
    for path in [*ROOT.glob("*/*.py"), *(ROOT / "src").rglob("*.py")]:
        if path.parent.name in ("tests",):
            continue
        texts = [
            node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
        ]
        assert not {"0.0.0.0", "::"} & {text for text in texts if isinstance(text, str)}, path


@pytest.mark.parametrize(("allow", "reached"), [("192.0.2.0/24", False), ("127.0.0.0/8", True)])
def test_the_node_that_waits_to_be_dialled_closes_who_is_not_on_the_list(allow, reached, caplog):
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    threading.Thread(
        target=listening.listen, args=(port, pytest.fail, "127.0.0.1", 1, None, [allow]), daemon=True
    ).start()
    with _dialled(port) as peer:
        answer = b""
        with contextlib.suppress(OSError):
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            while part := peer.recv(1000):
                answer += part
    assert (b"handshake" in answer) is reached  # who may connect hears what was wrong
    assert ("not on the list" in caplog.text) is not reached


def _dialled(port: int) -> socket.socket:
    """A connection, as soon as somebody listens."""
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    raise AssertionError("nobody listens")
