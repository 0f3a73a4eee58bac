"""The guard behind the real ``python -m gadgetron`` and dialled by ``<connect>``, over real sockets."""

from __future__ import annotations

import sys
import threading

import parent
import pytest
import targets

from smug_recon.gadgets.wire import listen as listening

WIRE = [
    parent.packed(item)
    for item in (parent.acquisition(0), parent.waveform(1), parent.image(2), parent.acquisition(3))
]
SESSION = parent.handshake() + b"".join(WIRE)


def test_execute_passes_a_scan_on_and_exits_with_0():
    node = parent.Process("pass_on")
    node.host.sendall(SESSION + parent.CLOSE)
    answer = parent.read_answer(node.host)
    assert (answer.ending, answer.error, answer.raw) == ("close", None, WIRE)
    assert node.exit_code() == 0


def test_execute_tells_the_host_about_an_exception_and_exits_with_1():
    node = parent.Process("stumble")
    line = parent.packed(parent.acquisition(0, 32, 512))
    node.host.sendall(parent.handshake() + parent.packed(parent.waveform(9)) + line * 200 + parent.CLOSE)
    answer = parent.read_answer(node.host)  # the host reads only now, after 26 MB
    assert [item.waveform_id for item in answer.items] == [9]
    assert answer.error.startswith("smug-recon: found no calibration lines in slice 3 (März)")
    assert answer.ending == "end of stream" and node.exit_code() == 1


@pytest.mark.parametrize("cut", [0, 500], ids=["between messages", "in a message"])
def test_execute_ends_when_the_host_dies(cut):
    node = parent.Process("pass_on")
    node.host.sendall(SESSION[: len(SESSION) - len(WIRE[-1]) + cut])
    node.host.close()
    assert node.exit_code(20) == 1
    assert "StreamError" in node.log and "close message" in node.log


def test_connect_serves_one_session_after_the_other_whatever_the_last_one_did():
    port = parent.free_port()
    server = threading.Thread(
        target=listening.listen,
        args=(port, targets.pass_on_hastily),
        kwargs={"sessions": 4, "limits": targets.HASTY},
    )
    server.start()

    def talk(data: bytes) -> parent.Answer:
        with parent.dialled(port) as host:
            host.sendall(data)
            return parent.read_answer(host)

    assert talk(SESSION + parent.CLOSE).raw == WIRE
    assert "silence for 0.6 s" in talk(b"").error  # somebody who dials and says nothing cannot block the port
    assert "message identifier 17735 in the handshake" in talk(b"GET / HTTP/1.1\r\n\r\n").error
    answer = talk(SESSION + parent.CLOSE)
    assert (answer.raw, answer.ending) == (WIRE, "close")
    server.join(10)
    assert not server.is_alive()


def test_connect_runs_the_reconstruction_on_loopback(monkeypatch):
    import smug_recon.gadgets

    called = []
    monkeypatch.setattr(listening, "listen", lambda *given, **named: called.append((given, named)))
    monkeypatch.setattr(sys, "argv", ["listen", "18000"])
    listening.main()
    assert called == [((18000, smug_recon.gadgets.reconstruct, "127.0.0.1"), {"allow": []})]
