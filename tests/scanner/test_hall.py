"""Two real servers behind a real HAProxy with the shipped configuration: how sessions spread, break, and stay away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hosts
import pytest

DEPLOY = Path(__file__).parents[2] / "scanner" / "deploy"


@dataclass
class Instance:
    """A server in a process of its own, with a spool of its own."""

    process: subprocess.Popen[bytes]
    spool: Path
    port: int
    status: int

    def ready(self) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status}/ready", timeout=30) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def sessions(self) -> list[str]:
        """How every session ended that came here, or ``running``."""
        return [json.loads(path.read_text())["state"] for path in sorted(self.spool.glob("*/session.json"))]

    def kept(self) -> list[int]:
        """How many bytes of every session are on disk."""
        return [path.stat().st_size for path in self.spool.glob("*/stream.mrd")]


@dataclass
class Hall:
    port: int
    instances: list[Instance]


def until(holds: Callable[[], bool], seconds: float = 100) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)


def instance(spool: Path) -> Instance:
    command = [sys.executable, "-m", "smug_recon", "serve", "--port", "0", "--status-port", "0"]
    process = subprocess.Popen(
        [*command, "--grace", "100", "--spool", str(spool)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    status = port = 0
    for line in process.stderr:
        if b"status on http" in line:
            status = int(line.rsplit(b":", 1)[1].partition(b"/")[0])
        if b"waiting on" in line:
            port = int(line.rsplit(b" ", 1)[1])
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return Instance(process, spool, port, status)


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("needs HAProxy: apt-get install haproxy")
    listener = socket.create_server(("127.0.0.1", 0))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        instances = []
        for name in ("one", "two"):
            instances.append(instance(tmp_path / name))
            processes.append(instances[-1].process)
        until(lambda: all(one.ready()[0] == 200 for one in instances))
        settings = {"HALL_BIND": f"fd@{listener.fileno()}", "HALL_ALLOW": "127.0.0.0/8 192.0.2.0/24"}
        for name, one in zip(("HALL_ONE", "HALL_TWO"), instances, strict=True):
            settings |= {name: f"127.0.0.1:{one.port}", f"{name}_STATUS": str(one.status)}
        processes.append(
            subprocess.Popen(
                [program, "-db", "-f", str(DEPLOY / "haproxy.cfg")],
                env={**os.environ, **settings},
                pass_fds=[listener.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        yield Hall(listener.getsockname()[1], instances)
    finally:
        listener.close()
        for process in processes:
            process.kill()
            process.wait(30)
            if process.stderr is not None:
                process.stderr.close()


def test_sessions_spread_break_alone_and_stay_away_from_an_instance_that_stops(hall: Hall) -> None:
    one, two = hall.instances
    lines = hosts.scan(2)
    half = len(lines) * 2 // 3  # the first slice is complete

    def begin() -> hosts.HostEnd:
        host = hosts.HostEnd(hall.port, timeout=100)
        host.send(hosts.fire(slices=2), *lines[:half])
        return host

    # Four sessions at once: two here, two there.
    open_hosts = [begin() for _ in range(4)]
    until(lambda: one.sessions() == two.sessions() == ["running"] * 2)

    until(lambda: all(size > 0 for each in hall.instances for size in each.kept()))

    # An instance dies in mid-session: its hosts hear of it at once, the other's sessions end well.
    one.process.kill()
    heard: list[hosts.Heard] = []
    threads = [
        threading.Thread(target=lambda host=host: heard.append(host.talk(*lines[half:], hosts.CLOSE)))
        for host in open_hosts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert sorted(found.ending == "close" for found in heard) == [False, False, True, True]
    for found in heard:
        assert (len(found.images) == 2) == (found.ending == "close"), found.ending
    assert one.sessions() == ["running"] * 2  # what they have sent lies where it was received
    assert len(one.kept()) == 2 and all(one.kept())

    # The next sessions go to the other, whether or not the balancer has noticed.
    for opening in (hosts.fire(slices=2), hosts.connect(slices=2)):  # Gadgetron's <connect> as well
        assert len(hosts.HostEnd(hall.port).talk(opening, *lines, hosts.CLOSE).images) == 2
    until(lambda: "running" not in two.sessions())
    assert len(two.sessions()) == 4

    # An instance that is being stopped finishes what it has and gets nothing new.
    last = begin()
    until(lambda: two.sessions().count("running") == 1)
    two.process.send_signal(signal.SIGTERM)
    until(lambda: two.ready() == (503, "the server is being stopped\n"))

    def turned_away() -> bool:
        host = hosts.HostEnd(hall.port)
        try:
            return host.talk(hosts.fire()).ending in ("end", "reset")
        except OSError:
            return True

    until(lambda: not listens(two.port))
    assert turned_away()  # at once, and nothing of it reaches the instance
    assert len(two.sessions()) == 5
    found = last.talk(*lines[half:], hosts.CLOSE)
    assert (found.ending, len(found.images)) == ("close", 2)
    assert two.process.wait(100) == 0
    assert "running" not in two.sessions()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True
