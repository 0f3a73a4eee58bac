"""Sessions read on while slices are reconstructed: pixels, order, bounds and endings are those of one thread, and nothing hangs.

What has to happen first is waited for as an event; no law here depends on a clock.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import hosts
import numpy as np
import pytest
from small_scan import SmallScan, header

from smug_recon.errors import StreamError
from smug_recon.gadgets import read_on, run, stream
from smug_recon.gadgets.read_on import ReadOn
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.sockets import READ_AHEAD_BYTES
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner import session, wire
from smug_recon.scanner.wire import SessionSocket

LONG_S = 40
PATIENT = Limits(stall_seconds=1000.0, drain_seconds=5.0, drain_idle_seconds=0.5, message_bytes=1 << 24)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read on"]


class Heard:
    """A tap: ``all`` is set once a server has received so many bytes of a session."""

    def __init__(self, expected: int) -> None:
        self.expected, self.count, self.all = expected, 0, threading.Event()

    def __call__(self, part: memoryview) -> None:
        self.count += len(part)
        if self.count >= self.expected:
            self.all.set()


def first_waits_for(event: threading.Event, waited: list[bool]) -> Callable[[], None]:
    """The network does not begin with its first slice before the event."""

    def before() -> None:
        waited.append(event.wait(LONG_S))

    return before


@pytest.fixture
def reading_on(monkeypatch: Any) -> Callable[[], None]:
    """Waits until a session, or one more of them, reads on; before, while its model is being loaded, its own thread reads."""
    begun, usual = threading.Semaphore(0), session.Host.halt

    def noted(host: session.Host, on: bool) -> None:
        usual(host, on)
        begun.release()

    def wait() -> None:
        assert begun.acquire(timeout=LONG_S), "no session reads on"

    monkeypatch.setattr(session.Host, "halt", noted)
    return wait


def ended(server: Any, outcome: str, kind: str = "FIRE") -> None:
    """All sessions are over, so many as one, with this outcome; no reader is left."""
    assert server._wait(LONG_S), "a session hangs"
    assert server.house.metrics.ended == {(kind, outcome): 1}
    assert readers() == []


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


@pytest.mark.parametrize("cut", [0, 1, 200], ids=["between two messages", "in an identifier", "in a readout"])
def test_a_host_that_dies_is_an_error_behind_the_complete_slices(
    start: Any, model: Any, reading_on: Callable[[], None], cut: int
) -> None:
    """It dies while the network waits with the first slice; both images leave, then the error."""
    lines = hosts.scan(3)
    begin, rest = hosts.fire(slices=3) + lines[0], b"".join(lines[1:-1]) + lines[-1][:cut]
    heard, waited = Heard(len(begin + rest)), []
    model.before = first_waits_for(heard.all, waited)
    server = start(tap=lambda number: heard)
    host = hosts.HostEnd(server.port)
    host.send(begin)
    reading_on()
    host.send(rest)
    host.socket.shutdown(socket.SHUT_WR)
    found = host.listen()
    assert waited == [True, True] and len(found.images) == 2
    assert "the end of the stream" in found.complaint and found.ending == "end"
    assert len([line for line in found.texts if line.startswith("ERROR")]) == 1
    ended(server, "failed")


def test_a_host_that_is_gone_when_its_image_leaves_ends_its_session(start: Any, model: Any) -> None:
    """The connection is reset while the first slice is computed and the reader waits for the second."""
    lines, gone, inside = hosts.scan(2), threading.Event(), threading.Event()

    def before() -> None:
        inside.set()
        gone.wait(LONG_S)

    server = start()
    model.before = before
    host = hosts.HostEnd(server.port)
    host.send(hosts.fire(slices=2), *lines[:-3])
    assert inside.wait(LONG_S)
    host.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    host.socket.close()
    gone.set()
    ended(server, "failed")


@pytest.mark.parametrize(("cut", "where"), [(0, "between two messages"), (200, "at byte")])
def test_a_host_that_falls_silent_is_told_behind_the_complete_slices(
    start: Any, cut: int, where: str
) -> None:
    lines = hosts.scan(2)
    limits = Limits(stall_seconds=0.6, drain_seconds=2.0, drain_idle_seconds=0.5)
    server = start(limits=limits, idle_s=0.6)
    assert server.house.ready.wait(LONG_S)
    host = hosts.HostEnd(server.port)
    host.send(hosts.fire(slices=2), *lines[:-1], lines[-1][:cut])
    found = host.listen()
    assert len(found.images) == 1 and found.ending == "end"
    assert "silence for 0.6 s" in found.complaint and where in found.complaint
    ended(server, "failed")


@pytest.mark.parametrize("cut", [0, 200], ids=["between two messages", "in a readout"])
def test_an_error_of_the_chain_is_told_though_the_host_is_silent(
    start: Any, reading_on: Callable[[], None], monkeypatch: Any, cut: int
) -> None:
    """The reader waits, patiently, for the host; what fails in the other thread ends that wait."""
    lines = hosts.scan(2)
    begin, rest = hosts.fire(slices=2) + lines[0], b"".join(lines[1:-1]) + lines[-1][:cut]
    heard = Heard(len(begin + rest))

    def broken(items: Any, *_: Any, **__: Any) -> Iterator[Any]:
        next(items)
        assert heard.all.wait(LONG_S)
        raise StreamError("a stage that breaks", "none that does", "look")
        yield

    monkeypatch.setattr(stream, "through_the_network", broken)
    server = start(tap=lambda number: heard, limits=PATIENT, idle_s=1000.0)
    host = hosts.HostEnd(server.port)
    host.send(begin)
    reading_on()
    host.send(rest)
    found = host.listen()
    assert "a stage that breaks" in found.complaint and found.images == [] and found.ending == "end"
    ended(server, "failed")


def test_a_host_may_wait_for_its_images_for_as_long_as_they_take(
    start: Any, model: Any, monkeypatch: Any
) -> None:
    """It sends its end when it has them. Silence counts while nothing is computed, however many ticks that takes."""
    monkeypatch.setattr(wire, "TICK_S", 0.02)
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


@pytest.mark.parametrize("computes", [False, True], ids=["both threads wait", "one computes"])
def test_a_server_that_stops_hands_a_session_back_while_its_reader_waits(
    start: Any, model: Any, computes: bool
) -> None:
    """After the time of grace the wait for the host ends, and so does the session; in a slice as soon as that is through."""
    lines, inside = hosts.scan(2), threading.Event()
    server = start(grace_s=0.2, limits=PATIENT, idle_s=1000.0)
    assert server.house.ready.wait(LONG_S)

    def before() -> None:
        inside.set()
        if computes:
            server.house.stopping.wait(LONG_S)

    model.before = before
    host = hosts.HostEnd(server.port)
    host.send(hosts.connect(slices=2), *lines[:-3])
    assert inside.wait(LONG_S)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    found = host.listen()
    stopper.join(LONG_S)
    assert "a server that is being stopped" in found.complaint and found.ending == "end"
    assert len(found.images) <= (0 if computes else 1)
    ended(server, "failed", "Gadgetron connect")


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


def test_what_the_reader_warns_of_is_told_before_the_error(
    start: Any, reading_on: Callable[[], None]
) -> None:
    """A FIRE host gets the lines of the log in the order of the session's own thread, the error last."""
    scan = SmallScan()
    scan.add_noise_scan()
    scan.add_slice(0)
    scan.add_noise_scan()
    lines = [struct.pack("<H", 1008) + item.to_bytes() for item in scan.readouts]
    server = start()
    host = hosts.HostEnd(server.port)
    host.send(hosts.fire(slices=2), lines[0])
    reading_on()
    host.send(*lines[1:])
    host.socket.shutdown(socket.SHUT_WR)
    found = host.listen()
    said = [line for line in found.texts if "noise readouts after the first complete slice" in line]
    assert len(found.images) == 1 and len(said) == 1 and said[0].startswith("WARNING")
    assert found.texts[-1].startswith("ERROR") and "the end of the stream" in found.texts[-1]
    ended(server, "failed")


def test_silence_is_counted_from_the_last_moment_of_work_and_never_excused_within_a_message(
    monkeypatch: Any,
) -> None:
    now = [0.0]
    monkeypatch.setattr(wire.time, "monotonic", lambda: now[0])
    near, far = socket.socketpair()
    with near, far:
        held = SessionSocket(near, Limits(stall_seconds=5.0), 10.0, threading.Event())
        held.at_work = lambda: True
        now[0] = 100.0
        held._check_silence()
        held.at_work = lambda: False
        now[0] = 109.0
        held._check_silence()
        now[0] = 111.0
        with pytest.raises(StreamError, match="silence for 10 s between two messages"):
            held._check_silence()
        held.at_work, held._taken = lambda: True, 1
        with pytest.raises(StreamError, match="silence for 5 s at byte 1"):
            held._check_silence()


def test_a_reader_that_is_halted_within_a_message_may_end_it_in_a_moment(monkeypatch: Any) -> None:
    """Then the stream is still in step and can be read to its end; a host that trickles is not waited for."""
    now = [0.0]
    monkeypatch.setattr(wire.time, "monotonic", lambda: now[0])
    near, far = socket.socketpair()
    with near, far:
        held = SessionSocket(near, PATIENT, 10.0, threading.Event())
        far.sendall(struct.pack("<H", 1008))
        assert held.begin_message() == 1008
        held.halt(True)
        far.sendall(b"12")
        assert held.read(2) == b"12"
        now[0] = 2 * wire.FINISH_S
        far.sendall(b"34")
        with pytest.raises(StreamError, match="halted"):
            held.read(2)
        held.halt(False)
        assert held.read(2) == b"34"
        held.end_message()
        held.halt(True)
        far.sendall(struct.pack("<H", 1008))
        with pytest.raises(StreamError, match="halted"):
            held.begin_message()
        assert held.in_step


def test_a_large_image_is_taken_slowly_and_ticks_do_not_cut_it(monkeypatch: Any) -> None:
    """Sending ticks as reading does; only a host that takes no byte for the stall time is given up."""
    monkeypatch.setattr(wire, "TICK_S", 0.01)
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        held = SessionSocket(near, Limits(stall_seconds=1000.0), 10.0, threading.Event())
        timeouts, usual = [], wire.GuardedSocket._send_once

        def noted(self: Any, parts: Any) -> int:
            try:
                return usual(self, parts)
            except TimeoutError:
                timeouts.append(len(parts))
                taking.set()
                raise

        monkeypatch.setattr(wire.GuardedSocket, "_send_once", noted)
        taking, found = threading.Event(), bytearray()

        def take() -> None:
            assert taking.wait(LONG_S)
            while len(found) < 1 << 20:
                found.extend(far.recv(1 << 16))

        taker = threading.Thread(target=take)
        taker.start()
        held.write(bytes(1 << 20))
        held.flush()
        taker.join(LONG_S)
        assert timeouts and len(found) == 1 << 20 and near.gettimeout() == wire.TICK_S
        held.hurry()
        monkeypatch.setattr(wire, "QUICK_S", 0.05)
        held.write(bytes(1 << 22))
        with pytest.raises(StreamError, match=r"took no byte for 0\.05 s"):
            held.flush()
        assert held.half_sent
