"""Laws of delivery: all of it arrives, once; whatever the server does, in any order, over any end of the process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading

import pydicom
import pytest
from failing_peer import ABORT_AFTER, ABORT_BEFORE, STORE, at_random
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pacs_programs import PATIENCE_S, UNCLOSED, free_port

from smug_recon.pacs import Queue, Sender, deliver
from smug_recon.pacs.backoff import Backoff
from smug_recon.pacs.queue import ASIDE, STORED, WAITING

pytestmark = UNCLOSED


def uids(files):
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files}


@pytest.mark.parametrize("seed", range(2))
def test_everything_arrives_once_on_a_server_that_fails_at_random(seed, failing, studies, destination):
    files = list(studies["many"])
    random.Random(seed).shuffle(files)
    peer = failing(at_random(seed))
    done = deliver(files, destination(peer.port))
    assert done.exit_code == 0 and done.counts[STORED] == len(files)
    assert peer.stored == uids(files)
    answered_once = {uid for uid, number in peer.acknowledged.items() if number == 1}
    # sent again after an answer was lost on its way, never after an answer: nothing was answered twice
    assert max(peer.acknowledged.values()) == 1
    assert all(peer.received[uid] > 1 for uid in peer.stored - answered_once)
    assert peer.calls[0] == "echo"
    before = dict(peer.received)
    assert deliver(files, destination(peer.port)).known == len(files)
    assert dict(peer.received) == before


def test_the_order_does_not_matter(failing, studies, destination, tmp_path):
    files = studies["many"]
    found = []
    for seed in (None, 1):
        chosen = list(files)
        if seed is not None:
            random.Random(seed).shuffle(chosen)
        peer = failing([STORE, 0xA700, STORE, ABORT_BEFORE] * 3)
        assert deliver(chosen, destination(peer.port, queue=tmp_path / f"{seed}")).exit_code == 0
        found.append((peer.stored, sorted(peer.acknowledged.values())))
    assert found[0] == found[1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sender_that_is_killed_sends_at_most_the_instance_in_flight_again(
    moment, failing, studies, destination
):
    """kill -9 in the middle of a C-STORE, before and after the server has stored it; then another process goes on."""
    files, reached, go_on = studies["many"], threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert go_on.wait(PATIENCE_S)
        return ABORT_AFTER if moment == "after" else ABORT_BEFORE

    peer = failing([STORE, STORE, STORE, hold])
    wanted = destination(peer.port)
    program = (
        "import sys; from pathlib import Path; from smug_recon.pacs import deliver, load_destination;"
        "deliver([Path(sys.argv[1])], load_destination(sys.argv[2], {'queue': sys.argv[3]}))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program, files[0].parent, wanted.to, wanted.folder])
    assert reached.wait(PATIENCE_S)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(PATIENCE_S)
    go_on.set()
    (in_flight,) = set(peer.received) - set(peer.acknowledged)
    opened = Queue(wanted.folder)
    assert opened.count(wanted.to)[STORED] == 3
    opened.close()
    assert deliver([], wanted).exit_code == 0
    assert peer.stored == uids(files)
    assert {uid for uid, number in peer.received.items() if number > 1} == {in_flight}
    assert set(peer.acknowledged.values()) == {1}


def test_a_server_that_is_down_at_first(failing, studies, destination):
    port = free_port()
    files, wanted = studies["slices"], destination(port)
    done = deliver(files, wanted, give_up_s=0.3)
    assert done.exit_code == 4 and done.counts[WAITING] == len(files) and "refused" in done.trouble
    queue, stop = Queue(wanted.folder), threading.Event()
    sender = Sender(wanted, queue, stop)
    thread = threading.Thread(target=sender.run)
    thread.start()
    limit = threading.Event()
    while sender.failures < 2:
        limit.wait(0.01)
    peer = failing(port=port)
    while queue.count(wanted.to)[STORED] < len(files):
        assert thread.is_alive()
        limit.wait(0.01)
    stop.set()
    sender.wake()
    thread.join(PATIENCE_S)
    queue.close()
    assert peer.stored == uids(files) and not thread.is_alive()


def test_two_senders_do_not_send_the_same(failing, studies, destination):
    """Two at once on one queue: one sends, the other one watches; both say what has come of it."""
    peer, files = failing(), studies["many"]
    outcomes = []
    threads = [
        threading.Thread(target=lambda part=part: outcomes.append(deliver(part, destination(peer.port))))
        for part in (files[:8], files[5:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(outcomes) == 2 and deliver([], destination(peer.port)).exit_code == 0
    assert peer.stored == uids(files) and set(peer.received.values()) == {1}


def test_what_the_instance_is_to_blame_for_is_set_aside_and_the_rest_goes_on(failing, studies, destination):
    files = studies["many"]
    peer = failing([0xA900, STORE, 0xC123, 0x0122, STORE, 0xB007, 0x0111])
    done = deliver(files, destination(peer.port))
    assert done.exit_code == 1
    assert (done.counts[ASIDE], done.counts[STORED]) == (3, len(files) - 3)
    again = deliver([], destination(peer.port), retry=True)
    assert again.exit_code == 0 and peer.stored == uids(files)


def test_an_instance_that_ends_every_association_is_set_aside(failing, studies, destination):
    files = studies["slices"]
    poison = pydicom.dcmread(files[0], stop_before_pixels=True).SOPInstanceUID
    peer = failing()
    peer.plan = iter(lambda: ABORT_BEFORE if peer.last == poison else STORE, None)
    done = deliver(files, destination(peer.port, attempts=4))
    assert done.counts[ASIDE] == 1 and done.counts[STORED] == 2
    assert peer.received[poison] == 4


def test_classes_that_the_peer_does_not_take_are_set_aside(failing, studies, destination):
    peer = failing(classes=["1.2.840.10008.5.1.4.1.1.4"])
    done = deliver([*studies["slices"], *studies["enhanced"]], destination(peer.port))
    assert done.counts == {"waiting": 0, "asking": 0, "stored": 3, "committed": 0, "aside": 1}
    queue = Queue(destination(peer.port).folder)
    (job,) = queue.troubled(destination(peer.port).to)
    assert job.reason == "the peer does not know this SOP class"
    assert job.path.exists()
    queue.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 10**6), st.floats(0.01, 10), st.floats(10, 1000), st.integers(0, 9))
def test_pauses_grow_to_a_limit_with_jitter(failures, first_s, longest_s, seed):
    pause = Backoff(first_s, longest_s, random.Random(seed)).pause_s(failures)
    full = min(longest_s, first_s * 2.0 ** min(failures - 1, 60))
    assert 0.5 * full <= pause < full
