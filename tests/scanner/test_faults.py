"""Hosts that die, stall, lie and flood: every session ends in a bounded time, and the next one is served."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import hosts
import pytest
from small_scan import header_xml

from smug_recon.gadgets import read_on
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.xml import refuse_entities
from smug_recon.scanner import server as server_module

HASTY = Limits(stall_seconds=0.6, drain_seconds=2.0, drain_idle_seconds=0.5, message_bytes=1 << 24)
BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'


def idle(server, ended=1, seconds=15.0):
    """Wait until as many sessions have ended and none is left; it must come to that."""
    limit = time.monotonic() + seconds
    while server.active or sum(server.house.metrics.ended.values()) < ended:
        assert time.monotonic() < limit, "a session hangs"
        time.sleep(0.01)


def cuts():
    """Places inside and between the messages of a session: (name, bytes before the break)."""
    for kind, start in (("FIRE", hosts.fire(parameters={"parameters": {}})), ("connect", hosts.connect())):
        whole = start + hosts.scan()[0] + hosts.scan()[20]
        first = struct.unpack_from("<H", start)[0]
        config = 1026 if first == 1 else 6 + struct.unpack_from("<I", start, 2)[0]
        header = config + 6 + struct.unpack_from("<I", start, config + 2)[0]
        readout = len(start)
        for place in (1, 2, 5, 500, config, config + 1, config + 4, config + 300, header, header + 1,
                      readout, readout + 1, readout + 2, readout + 200, readout + 342, readout + 1000, len(whole)):  # fmt: skip
            if place <= len(whole):
                yield pytest.param(whole[:place], id=f"{kind}-{place}")


@pytest.mark.parametrize("sent", list(cuts()))
def test_a_host_that_dies_ends_its_session_and_the_next_is_served(start, sent):
    server = start(limits=HASTY, idle_s=0.6)
    host = hosts.HostEnd(server.port)
    host.send(sent)
    host.socket.close()
    idle(server)
    assert server.house.metrics.sums["images"] == 0
    assert sum(server.house.metrics.ended.values()) == 1
    assert ("FIRE", "done") not in server.house.metrics.ended


@pytest.mark.parametrize(
    "sent", [p for p in cuts() if p.id.split("-")[1] in {"1", "500", "1026", "1027", "1326"}]
)
def test_a_host_that_stalls_is_told_and_left(start, sent):
    server = start(limits=HASTY, idle_s=0.6)
    host = hosts.HostEnd(server.port)
    host.send(sent)
    began = time.monotonic()
    heard = host.listen()
    assert "silence for 0.6 s" in heard.complaint and heard.ending == "end"
    assert time.monotonic() - began < 8
    idle(server)


def test_a_host_that_never_says_anything_is_left(start):
    server = start(limits=HASTY, idle_s=0.6)
    assert hosts.HostEnd(server.port).listen().ending == "end"
    idle(server)


def test_a_pause_between_messages_is_longer_than_one_within(start):
    server = start(limits=HASTY, idle_s=5.0)
    host, lines = hosts.HostEnd(server.port), hosts.scan()
    host.send(hosts.fire(), *lines[:20])
    time.sleep(1.2)
    assert host.talk(*lines[20:], hosts.CLOSE).ending == "close"


def test_a_host_that_sends_nothing_but_its_end_or_closes_at_once(start):
    server = start(limits=HASTY)
    hosts.HostEnd(server.port).socket.close()
    assert "identifier 4" in hosts.HostEnd(server.port).talk(hosts.CLOSE).complaint
    idle(server, 2)
    assert server.house.metrics.ended[("unknown", "empty")] == 1


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (struct.pack("<HI", 2, 2**32 - 1), "a configuration of 4294967295 bytes"),
        (hosts.name("smug-cartesian") + struct.pack("<HI", 3, 2**31), "an MRD header of 2147483648 bytes"),
        (hosts.fire()[:-1] + b"\0" + struct.pack("<HI", 5, 2**32 - 1), "a text of 4294967295 bytes"),
        (hosts.fire() + struct.pack("<H", 1008) + b"\xff" * 340, "at most 16777216 bytes"),
        (hosts.fire() + struct.pack("<H", 1022) + b"\x01\0" * 99 + struct.pack("<Q", 2**63), "bytes"),
        (hosts.fire() + struct.pack("<H", 1026) + b"\xff" * 40, "at most 16777216 bytes"),
        (hosts.fire() + struct.pack("<H", 999), "message identifier 999"),
        (hosts.fire() + hosts.fire(), "message identifier 1 "),
        (hosts.fire() + hosts.text(3, header_xml().encode()), "message identifier 3 "),
        (hosts.scan()[0], "message identifier 1008 at the beginning"),
        (hosts.name("smug-cartesian") + hosts.scan()[0], "message identifier 1008 after the configuration"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "at the beginning of a session"),
        (hosts.text(2, b"<configuration><a></configuration>"), "no XML"),
        (hosts.text(2, b'<?xml version="1.0"?>' + BOMB + b"<configuration>&c;</configuration>"), "entities"),
        (hosts.name("smug-cartesian") + hosts.text(3, BOMB + header_xml().encode()), "entities"),
        (hosts.name("smug-cartesian") + hosts.text(3, header_xml()[22:].encode("utf-16")), "header"),
        (hosts.name("smug-cartesian") + hosts.text(3, b"<a>" * 100000), "deep"),
        (hosts.name("smug-cartesian") + hosts.text(3, b"\xff\xfe\x00<\xd8"), "header"),
        (hosts.fire() + hosts.text(5, b"{" * 100000), "no JSON object"),
    ],
)
def test_what_is_no_session_is_answered_with_the_reason(start, sent, complaint):
    server = start(limits=HASTY)
    heard = hosts.HostEnd(server.port).talk(sent, hosts.CLOSE)
    assert complaint in heard.complaint and not heard.images and heard.ending != "close"
    idle(server)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_entities_are_refused_in_every_encoding(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + BOMB.decode() + "<a>&c;</a>"
    raw = text.encode(encoding)
    with pytest.raises(Exception, match="entities"):
        refuse_entities(raw, "a text")


def test_a_host_that_does_not_read_does_not_fill_the_memory(start, model):
    server = start(limits=HASTY, idle_s=5.0)
    host = hosts.HostEnd(server.port)
    host.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wave = struct.pack("<H", 1026) + struct.pack("<H6xQIIIHHfH", 1, 0, 0, 0, 0, 60000, 4, 1.0, 0).ljust(
        40, b"\0"
    )
    wave += bytes(60000 * 4 * 4)  # passes through the chain: 1 MB each, back to a host that takes none
    host.socket.settimeout(1.0)
    sent = 0
    with pytest.raises(OSError):
        host.send(hosts.connect())
        for _ in range(200):
            host.send(wave)
            sent += 1
    assert sent < read_on.PASSING + 40  # those that may wait, and what the sockets hold
    idle(server)
    host.socket.close()


def test_many_sessions_leave_nothing_behind(start):
    """Of thousands, measured by hand, the same holds; see docs/reliability.md."""
    server = start(limits=HASTY)

    def counts() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    def one(number: int) -> None:
        host = hosts.HostEnd(server.port)
        if number % 4 == 0:
            host.socket.close()
        elif number % 4 == 1:
            host.talk(hosts.name("unknown"), hosts.text(3, header_xml().encode()), hosts.CLOSE)
        elif number % 4 == 2:
            host.talk(hosts.connect(), hosts.CLOSE)
        else:
            host.send(hosts.fire()[:700])
            host.socket.close()

    logging.disable()  # pytest keeps every line
    for number in range(12):
        one(number)
    idle(server, 12)
    before, objects = counts(), len(gc.get_objects())
    for number in range(240):
        one(number)
    idle(server, 252, 60.0)
    logging.disable(logging.NOTSET)
    assert counts() == before
    assert len(gc.get_objects()) - objects < 2000
    assert server.house.metrics.active == 0 and not server.house.metrics._seen


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("grace", [0.3, 20.0], ids=["handed back", "finished"])
def test_stopping_in_mid_slice_finishes_or_hands_back_in_time(start, grace):
    server = start(grace_s=grace)
    host, lines = hosts.HostEnd(server.port), hosts.scan()
    host.send(hosts.connect(), *lines[:25])
    while not server.active:
        time.sleep(0.01)
    began, done = time.monotonic(), []
    stopper = threading.Thread(target=lambda: done.append(server.stop()))
    stopper.start()
    time.sleep(0.2)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=0.5)
    heard = host.listen() if grace < 1 else host.talk(*lines[25:], hosts.CLOSE)
    stopper.join(10)
    assert time.monotonic() - began < 8 and done == [grace > 1]
    if grace < 1:
        assert "a server that is being stopped" in heard.complaint and not heard.images
    else:
        assert heard.ending == "close" and len(heard.images) == 1


def test_a_host_whose_slice_is_being_computed_is_told_before_the_process_ends(start, model, monkeypatch):
    """A computation cannot be interrupted; what is written meanwhile is the last word to its host."""
    monkeypatch.setattr(server_module, "HAND_BACK_S", 0.3)
    inside, released = threading.Event(), threading.Event()

    def computes() -> None:
        inside.set()
        released.wait(60)

    server = start(grace_s=0.3)
    server.house.ready.wait(20)
    model.before = computes
    host, heard = hosts.HostEnd(server.port), []
    listener = threading.Thread(
        target=lambda: heard.append(host.talk(hosts.connect(), *hosts.scan(), hosts.CLOSE))
    )
    listener.start()
    assert inside.wait(30) and not server.stop()
    released.set()
    listener.join(30)
    assert "a server that is being stopped" in heard[0].complaint and not heard[0].images
    idle(server)


def test_the_command_answers_while_the_model_is_loaded_and_stops_on_sigterm():
    command = [sys.executable, "-m", "smug_recon", "serve", "--port", "0", "--grace", "100"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        port = next(int(line.rsplit(b" ", 1)[1]) for line in process.stderr if b" port " in line)
        host, lines = hosts.HostEnd(port, timeout=100), hosts.scan()
        host.send(hosts.fire(parameters={"samples": 0}), *lines[:30])
        process.send_signal(signal.SIGTERM)
        heard = host.talk(*lines[30:], hosts.CLOSE)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert heard.ending == "close" and len(heard.images) == 1, (heard.complaint, rest)
