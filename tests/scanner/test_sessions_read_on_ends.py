"""However a session ends while its reader waits, it ends: one clear error behind the complete slices, no thread left.

What has to happen first is waited for as an event; no law here depends on a clock.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hosts
import pytest
from reading_on import LONG_S, PATIENT, Heard, ended, first_waits_for
from small_scan import SmallScan

from smug_recon.errors import StreamError
from smug_recon.gadgets import stream
from smug_recon.gadgets.wire.protocol import Limits


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
