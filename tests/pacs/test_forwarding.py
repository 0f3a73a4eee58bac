"""``serve --send``: a session's images go to the PACS once the host has them, and the host waits for nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from types import SimpleNamespace

import hosts
import pytest
from dicom_scans import header, scan
from pacs_programs import PATIENCE_S, UNCLOSED, free_port

from smug_recon.pacs import Queue
from smug_recon.pacs.queue import STORED, WAITING
from smug_recon.scanner.forwarding import Forwarder
from smug_recon.scanner.onlookers import Onlookers
from smug_recon.scanner.session import DONE, FAILED

pytestmark = UNCLOSED


@pytest.fixture
def forwarding():
    made = []

    def start(destination, **options):
        made.append(Forwarder(destination, **options))
        onlookers = Onlookers()
        onlookers.add(made[-1])
        return made[-1], onlookers

    yield start
    for each in made:
        each.close(PATIENCE_S)


def session(onlookers, number, images, outcome=DONE):
    account = SimpleNamespace(number=number, outcome=outcome)
    onlookers.began(account)
    onlookers.opened(account, header(), None)
    for image in images:
        onlookers.sent(account, image)
    onlookers.ended(account)


def wait(until):
    tick = threading.Event()
    for _ in range(int(PATIENCE_S / 0.02)):
        if until():
            return
        tick.wait(0.02)
    raise AssertionError("it does not come")


def fetched(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return answer.read().decode()


def ours(**options):
    return scan(SmugReconVersion="0.1", **options)


def test_sessions_that_ended_well_are_sent(forwarding, failing, destination):
    peer = failing()
    forwarder, onlookers = forwarding(destination(peer.port, anonymise=True))
    session(onlookers, 1, ours(slices=2))
    session(onlookers, 2, ours(slices=3, index=2), FAILED)  # the host will repeat it
    session(onlookers, 3, scan(slices=1))  # not made by this chain: passed on
    session(onlookers, 4, ours(slices=1, index=3))
    wait(lambda: forwarder.queue.count(forwarder.destination.to)[STORED] == 3)
    assert len(peer.stored) == 3 and forwarder.lost == 0 and not forwarder._held and forwarder._size == 0
    families = {family.name: family for family in forwarder.families()}
    states = {s.labels["state"]: s.value for s in families["smug_recon_pacs_instances"].samples}
    assert states["stored"] == 3 and families["smug_recon_pacs_reached"].samples[0].value == 1
    assert not [path for path in forwarder.queue.folder.iterdir() if path.is_dir() and path.name != "objects"]


def test_without_the_pacs_sessions_end_as_ever_and_the_next_start_sends(forwarding, failing, destination):
    port = free_port()
    wanted = destination(port)
    forwarder, onlookers = forwarding(wanted)
    session(onlookers, 1, ours(slices=2))
    wait(lambda: forwarder.sender.failures and forwarder.queue.count(wanted.to)[WAITING] == 2)
    assert {f.name: f for f in forwarder.families()}["smug_recon_pacs_reached"].samples[0].value == 0
    forwarder.close(PATIENCE_S)
    peer = failing(port=port)
    again, _ = forwarding(wanted)
    wait(lambda: again.queue.count(wanted.to)[STORED] == 2)
    assert len(peer.stored) == 2


def test_what_is_held_is_bounded_and_the_loss_is_counted(forwarding, failing, destination, caplog):
    forwarder, onlookers = forwarding(destination(failing().port), most_bytes=1000)
    session(onlookers, 1, ours(slices=5))  # 384 bytes an image
    assert forwarder.lost == 1 and forwarder._size == 0 and "is not sent to the PACS" in caplog.text


def test_a_full_queue_is_a_loss_that_is_told(forwarding, destination, caplog):
    forwarder, onlookers = forwarding(destination(free_port(), most_instances=1))
    session(onlookers, 1, ours(slices=2))
    wait(lambda: forwarder.lost == 1)
    assert "full queue" in caplog.text


def test_what_a_killed_process_has_left_is_removed(forwarding, failing, destination):
    wanted = destination(failing().port)
    Queue(wanted.folder).close()
    left = wanted.folder / "session-99999999-x"
    left.mkdir()
    (left / "image.dcm").write_bytes(b"patient")
    forwarding(wanted)
    assert not left.exists()


def test_serve_sends_what_a_host_got(failing, tmp_path):
    """The command itself: a FIRE session over sockets, Prometheus numbers, the PACS; then SIGTERM."""
    peer, port, status, said = failing(), free_port(), free_port(), tmp_path / "log"
    server = subprocess.Popen(
        [sys.executable, "-m", "smug_recon", "serve", "--port", str(port), "--status-port", str(status),
         "--send", f"ORTHANC@127.0.0.1:{peer.port}", "--grace", "5"],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stderr=said.open("wb"),
    )  # fmt: skip
    try:
        wait(lambda: "waiting on" in said.read_text() or server.poll() is not None)
        assert server.poll() is None, "the server does not start"
        parameters = {"images.conventional": True, "samples": 0}
        heard = hosts.session(port, hosts.fire(parameters=parameters))
        assert heard.ending == "close", heard.complaint
        wait(lambda: len(peer.stored) == len(heard.images))
        booked = f'smug_recon_pacs_instances{{state="stored"}} {float(len(heard.images))}'
        wait(lambda: booked in fetched(status))
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
    finally:
        server.kill()
        server.wait()
        print(said.read_text())  # shown if the test fails
    assert (tmp_path / "smug-recon" / "queue" / "queue.sqlite").exists()
    assert len(heard.images) == 2
