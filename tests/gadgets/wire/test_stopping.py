"""SIGTERM at a node in mid-slice: the scan ends, or its host is told; the process ends within a set time in any case."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time

import parent
import pytest
import targets

from smug_recon.gadgets.wire import stopping
from smug_recon.gadgets.wire.listen import listen
from smug_recon.gadgets.wire.stopping import EXIT_CODE, LAST_WORD_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")
WIRE = [parent.packed(parent.acquisition(line)) for line in range(3)]


def node_in_mid_scan(target: str, grace_s: float) -> parent.Process:
    """A node that has been sent two of three lines and has answered the first."""
    node = parent.Process(target, SMUG_RECON_GRACE_SECONDS=str(grace_s))
    node.host.settimeout(60)
    node.host.sendall(parent.handshake() + WIRE[0] + WIRE[1])
    answered = b""
    while len(answered) < len(WIRE[0]):
        answered += node.host.recv(len(WIRE[0]) - len(answered))
    assert answered == WIRE[0]
    return node


def test_a_scan_that_ends_in_time_is_finished():
    node = node_in_mid_scan("pass_on_as_the_environment_says", 60)
    node.process.send_signal(signal.SIGTERM)
    node.host.sendall(WIRE[2] + parent.CLOSE)
    answer = parent.read_answer(node.host, 60)
    assert (answer.error, answer.ending, answer.raw) == (None, "close", WIRE[1:])
    assert node.exit_code() == 0


@pytest.mark.parametrize("target", ["pass_on_as_the_environment_says", "compute_for_ever"])
def test_a_scan_that_does_not_is_handed_back(target: str):
    """In the second case the process is inside a library: a thread tells the host, and the process ends."""
    node = node_in_mid_scan(target, 0.5)
    began = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    answer = parent.read_answer(node.host, 60)
    assert "being stopped (SIGTERM)" in answer.error and answer.ending == "end of stream"
    assert node.exit_code() == EXIT_CODE
    assert time.monotonic() - began < 30 > 0.5 + 2 * LAST_WORD_S


def test_a_listening_node_takes_no_further_session_after_it(monkeypatch: pytest.MonkeyPatch):
    told = threading.Event()
    monkeypatch.setattr(stopping, "TOLD", told)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = threading.Thread(target=listen, args=(port, targets.pass_on), daemon=True)
    server.start()

    def talk() -> str:
        for _ in range(400):
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port)) as host,
            ):
                host.sendall(parent.handshake() + parent.CLOSE)
                return parent.read_answer(host, 60).ending
            time.sleep(0.02)
        return "no answer"

    told.set()
    assert talk() == "close"
    server.join(20)
    assert not server.is_alive()
