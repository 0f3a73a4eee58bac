"""What fails in the node is told to the host, whatever it is, and is never taken for success."""

from __future__ import annotations

import time
from dataclasses import replace

import ismrmrd
import numpy as np
import parent
import pytest
import targets
from tiny_session import SESSION, TINY, WIRE

from smug_recon.gadgets.wire.connection import session


@pytest.mark.parametrize("lie", [b"", parent.message(777)], ids=["in step", "after an unknown message"])
def test_an_exception_reaches_a_host_that_reads_only_after_a_long_scan(lie):
    node = parent.Node(lambda c: targets.stumble(c, replace(targets.PATIENT, drain_idle_seconds=2.0)))
    line = parent.packed(parent.acquisition(0, 32, 512))
    node.host.settimeout(30)
    node.host.sendall(parent.handshake() + lie)
    for _ in range(400):  # 52 MB, many times what the socket buffers hold
        node.host.sendall(line)
    node.host.sendall(parent.CLOSE)
    answer = parent.read_answer(node.host)
    node.host.close()
    node.finish()
    assert answer.error == f"smug-recon: {node.error}"
    assert answer.ending == "end of stream"


def test_any_exception_is_told_with_its_type_and_at_any_length():
    for error in (ValueError("ü" * 3_000_000), KeyboardInterrupt(), SystemExit(3), MemoryError("\ud800")):

        def target(connection, error=error):
            with session(connection, targets.PATIENT) as host:
                next(iter(host))
                raise error

        node = parent.Node(target)
        answer = node.talk(parent.handshake() + SESSION + parent.CLOSE)
        assert node.error is error
        assert answer.error.startswith(f"smug-recon: {type(error).__name__}: ")
        assert len(answer.error.encode()) <= targets.PATIENT.text_bytes


def test_an_exception_after_the_last_item_is_no_success():
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            list(host)
            raise RuntimeError("the last slice failed")

    answer = parent.Node(target).talk(parent.handshake() + SESSION + parent.CLOSE, half_close=False)
    assert "the last slice failed" in answer.error and answer.ending == "end of stream"


def test_a_chain_that_stops_reading_is_no_success():
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            next(iter(host))

    answer = parent.Node(target).talk(parent.handshake() + SESSION + parent.CLOSE)
    assert "a chain that ended before the host did" in answer.error


def test_a_guard_without_a_session_never_reports_success():
    from smug_recon.gadgets.wire.connection import guard

    answer = parent.Node(lambda connection: list(guard(connection, targets.PATIENT))).talk(
        parent.handshake() + SESSION + parent.CLOSE
    )
    assert "before it was finished" in answer.error and answer.ending == "end of stream"


def test_a_message_that_fails_while_it_is_built_leaves_no_trace():
    class Broken(ismrmrd.Image):
        @property
        def attribute_string(self):
            raise RuntimeError("no attributes")

    broken = Broken(data=np.zeros((1, 1, 2, 2), np.float32))

    def target(connection):
        with session(connection, targets.PATIENT) as host:
            host.send(TINY[2])
            try:
                host.send(broken)
            except RuntimeError:
                host.send(TINY[2])
            list(host)

    answer = parent.Node(target).talk(parent.handshake() + parent.CLOSE)
    assert answer.raw == [WIRE[2]] * 2 and answer.ending == "close"


def test_bytes_after_the_close_message_do_not_lose_our_images():
    image = parent.packed(ismrmrd.Image(data=np.zeros((1, 1, 100, 100), np.float32)))

    def target(connection):
        with session(connection, targets.PATIENT) as host:
            items = list(host)
            time.sleep(0.2)  # the surplus bytes are in the socket by now
            for item in items:
                host.send(item)

    answer = parent.Node(target).talk(parent.handshake() + image * 3 + parent.CLOSE + bytes(50_000))
    assert answer.raw == [image] * 3 and answer.ending == "close"
