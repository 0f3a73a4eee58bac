"""A host that stalls, stops reading or never stops sending cannot hold a session."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace

import ismrmrd
import numpy as np
import parent
import pytest
import targets
from tiny_session import WIRE

from smug_recon.errors import DataError, StreamError
from smug_recon.gadgets.wire.sockets import GuardedSocket


def test_a_stall_inside_a_message_is_an_error_and_a_pause_between_two_is_not():
    node = parent.Node(targets.pass_on_hastily)
    node.host.sendall(parent.handshake() + WIRE[0])
    time.sleep(1.5 * targets.HASTY.stall_seconds)  # a pause: the scanner may take its time
    node.host.sendall(WIRE[1])
    for byte in WIRE[2][:8]:  # slow, yet never silent for the stall time
        node.host.sendall(bytes([byte]))
        time.sleep(targets.HASTY.stall_seconds / 8)
    start = time.monotonic()
    answer = parent.read_answer(node.host)  # and now silence
    node.finish()
    node.host.close()
    assert answer.raw == WIRE[:2] and "silence for 0.6 s at byte 8 of image (after" in answer.error.replace(
        "the image", "image"
    )
    assert time.monotonic() - start < 5


def test_a_stall_inside_a_message_identifier_is_an_error():
    node = parent.Node(targets.pass_on_hastily)
    node.host.sendall(parent.handshake() + b"\x04")
    answer = parent.read_answer(node.host)
    node.finish()
    node.host.close()
    assert "silence for 0.6 s at byte 1 of" in answer.error


def test_a_host_that_stops_reading_ends_the_session():
    large = parent.packed(ismrmrd.Image(data=np.zeros((1, 1, 1024, 1024), np.float32)))
    node = parent.Node(targets.pass_on_hastily)
    sender = threading.Thread(target=node.host.sendall, args=(parent.handshake() + large + parent.CLOSE,))
    sender.start()
    start = time.monotonic()
    node.finish()
    sender.join()
    assert time.monotonic() - start < 5 and "took no byte for 0.6 s" in str(node.error)
    answer = parent.read_answer(node.host)
    node.host.close()
    assert answer.ending == "cut" and answer.error is None  # a broken image must not be followed by anything


def test_nothing_follows_a_message_that_broke_off():
    host, far = socket.socketpair()
    with host, far:
        wire = GuardedSocket(far, targets.HASTY)
        wire.write(bytes(4 << 20))
        with pytest.raises(StreamError, match="took no byte"):
            wire.flush()
        host.settimeout(0.1)
        with pytest.raises(TimeoutError):
            while host.recv(1 << 20):
                pass
        wire.fail("this would be read as pixels")
        with pytest.raises(TimeoutError):
            host.recv(1)


def test_a_host_that_never_stops_sending_cannot_hold_a_failed_node():
    node = parent.Node(lambda c: targets.stumble(c, replace(targets.HASTY, drain_seconds=1.0)))
    line, stop = parent.packed(parent.acquisition()), threading.Event()

    def flood():
        try:
            node.host.sendall(parent.handshake())
            while not stop.is_set():
                node.host.sendall(line)
        except OSError:
            pass

    sender = threading.Thread(target=flood)
    sender.start()
    node.finish(10)
    stop.set()
    sender.join(10)
    node.host.close()
    assert isinstance(node.error, DataError) and not sender.is_alive()


def test_a_host_that_falls_silent_cannot_hold_a_failed_node():
    node = parent.Node(lambda connection: targets.stumble(connection, targets.HASTY))
    node.host.sendall(parent.handshake() + WIRE[0])
    answer = parent.read_answer(node.host)
    node.finish(10)
    node.host.close()
    assert "no calibration lines" in answer.error and answer.ending == "end of stream"
