"""Sessions read on while slices are reconstructed: pixels, order and bounds are those of one thread.

What has to happen first is waited for as an event; no law here depends on a clock.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import hosts
import numpy as np
from reading_on import LONG_S, Heard, ended, first_waits_for, readers
from small_scan import SmallScan, header

from smug_recon.gadgets import read_on, run
from smug_recon.gadgets.read_on import ReadOn
from smug_recon.gadgets.wire.receiving import READ_AHEAD_BYTES
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner import session_socket
from smug_recon.scanner.session_socket import SessionSocket


def test_the_images_are_those_of_one_thread_bit_for_bit(start: Any, model: Any, monkeypatch: Any) -> None:
    scan, truth = SmallScan(), []
    scan.add_noise_scan()
    for number in range(3):
        scan.add_slice(number)
    run(scan.readouts, truth.append, header(slices=3), load_pipeline(), model)
    made: list[ReadOn] = []

    class Noted(ReadOn):
        def __init__(self, *arguments: Any) -> None:
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(read_on, "ReadOn", Noted)
    server = start()
    heard = hosts.session(server.port, hosts.fire(slices=3), slices=3)
    assert heard.ending == "close" and len(heard.images) == len(truth) == 3
    for found, expected in zip(heard.images, truth, strict=True):
        np.testing.assert_array_equal(found.data, expected.data)
        assert bytes(found.getHead())[:-4] == bytes(expected.getHead())[:-4]  # then the length of the Meta
    assert len(made) == 1, "the session did not read on"
    ended(server, "done")


def test_the_next_slice_is_in_memory_before_an_image_leaves(
    start: Any, model: Any, reading_on: Callable[[], None]
) -> None:
    """The network waits, with its first slice, for the last byte of the second one; the host has heard of no image by then."""
    begin, lines = hosts.fire(slices=2), hosts.scan(2)
    heard, waited = Heard(len(begin) + sum(map(len, lines))), []
    model.before = first_waits_for(heard.all, waited)
    server = start(tap=lambda number: heard)
    host = hosts.HostEnd(server.port)
    host.send(begin, lines[0])
    reading_on()
    found = host.talk(*lines[1:], hosts.CLOSE)
    assert waited == [True, True] and found.ending == "close" and len(found.images) == 2
    ended(server, "done")


def test_no_more_is_read_ahead_than_so_many_bytes(
    start: Any, model: Any, reading_on: Callable[[], None], monkeypatch: Any
) -> None:
    """While the network is busy with the first slice; then the rest is read, and nothing is lost."""
    begin, lines, first, line = hosts.fire(slices=4), hosts.scan(4), hosts.scan(1), hosts.scan(1)[-1]
    monkeypatch.setattr(read_on, "AHEAD_BYTES", 10 * (len(line) - 342))
    usual, held, waited, counts = ReadOn._wait_until, threading.Event(), [], []

    def noted(reading: ReadOn, true: Any) -> None:
        if true != reading._room and not true():
            held.set()
        usual(reading, true)

    monkeypatch.setattr(ReadOn, "_wait_until", noted)
    heard = Heard(10**9)

    def before() -> None:
        waited.append(held.wait(LONG_S))
        counts.append(heard.count)

    server = start(tap=lambda number: heard)
    model.before = before
    host = hosts.HostEnd(server.port)
    host.send(begin, lines[0])
    reading_on()
    found = host.talk(*lines[1:], hosts.CLOSE)
    assert waited == [True] * 4 and found.ending == "close" and len(found.images) == 4
    ahead = counts[0] - len(begin) - sum(map(len, first))
    assert 9 * len(line) < ahead < 11 * len(line) + 2 * READ_AHEAD_BYTES < sum(map(len, first))


def test_a_host_may_wait_for_its_images_for_as_long_as_they_take(
    start: Any, model: Any, monkeypatch: Any
) -> None:
    """It sends its end when it has them. Silence counts while nothing is computed, however many ticks that takes."""
    monkeypatch.setattr(session_socket, "TICK_S", 0.02)
    ticks, looked = [], threading.Event()
    usual = SessionSocket._check_silence

    def noted(self: SessionSocket) -> None:
        usual(self)
        ticks.append(time.monotonic())
        if inside.is_set() and ticks[-1] - ticks[0] > 0.6:  # longer than the host may be silent
            looked.set()

    monkeypatch.setattr(SessionSocket, "_check_silence", noted)
    inside, waited = threading.Event(), []

    def before() -> None:
        inside.set()
        ticks.clear()
        waited.append(looked.wait(LONG_S))

    server = start(idle_s=0.3)
    assert server.house.ready.wait(LONG_S)
    model.before = before
    host = hosts.HostEnd(server.port)
    host.send(hosts.client(), *hosts.scan())
    assert host.read_message() == 1022
    host.send(hosts.CLOSE)
    assert host.listen().ending == "close" and waited == [True]
    ended(server, "done", "gadgetron_ismrmrd_client")


def test_sessions_read_on_while_they_wait_for_the_device(
    start: Any, model: Any, reading_on: Callable[[], None]
) -> None:
    """One computes, two wait for their turn; by then all three scans are in memory. One of the hosts is gone: the others have
    their images."""
    begin, lines = hosts.fire(slices=2), hosts.scan(2)
    size = len(begin) + sum(map(len, lines))
    taps = [Heard(size), Heard(size), Heard(size)]
    released = threading.Event()
    server = start(tap=lambda number: taps[number - 1], sessions=3)
    assert server.house.ready.wait(LONG_S)
    model.before = lambda: released.wait(LONG_S)
    ends = [hosts.HostEnd(server.port) for _ in range(3)]
    for end in ends:
        end.send(begin, lines[0])
        reading_on()
    for end in ends:
        end.send(*lines[1:])
    assert all(tap.all.wait(LONG_S) for tap in taps)
    moment = threading.Event()
    for _ in range(100 * LONG_S):
        if server.house.turns.waiting == 2:
            break
        moment.wait(0.01)
    assert len(server.house.turns.order) == 3
    ends[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ends[0].socket.close()
    released.set()
    found = [end.talk(hosts.CLOSE) for end in ends[1:]]
    assert [(heard.ending, len(heard.images)) for heard in found] == [("close", 2)] * 2
    assert server._wait(LONG_S) and readers() == []
    assert server.house.metrics.ended == {("FIRE", "done"): 2, ("FIRE", "failed"): 1}
    assert server.house.turns.order == []
