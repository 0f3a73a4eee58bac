"""Storage commitment: reports on either association, instances that the peer has lost, a peer that does not answer."""

from __future__ import annotations

import logging
import threading

import pydicom
import pytest
from pacs_programs import PATIENCE_S, UNCLOSED, free_port

from smug_recon.pacs import Queue, deliver
from smug_recon.pacs.promises import MOST_ASKS, Promises
from smug_recon.pacs.queue import ASIDE, ASKING, COMMITTED, STORED, WAITING

pytestmark = UNCLOSED


def uid(path):
    return pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID


def test_a_report_on_the_association_of_the_request(failing, studies, destination):
    peer = failing(commitment={})
    done = deliver(studies["slices"], destination(peer.port, commitment={"hold_s": PATIENCE_S}))
    assert done.exit_code == 0 and done.counts[COMMITTED] == 3
    asked = {item.ReferencedSOPInstanceUID for item in peer.requests[0].ReferencedSOPSequence}
    assert asked == set(map(uid, studies["slices"])) and peer.commitment["answered"] == 0x0000
    objects = destination(peer.port).folder / "objects"
    assert not list(objects.iterdir())


def test_a_report_on_an_association_of_the_peer(failing, studies, destination):
    port = free_port()
    peer = failing(commitment={"port": lambda: port})
    done = deliver(studies["slices"], destination(peer.port, commitment={"listen": f"127.0.0.1:{port}"}))
    assert done.exit_code == 0 and done.counts[COMMITTED] == 3


def test_what_the_peer_has_lost_is_sent_again(failing, studies, destination):
    lost = uid(studies["slices"][1])
    peer = failing(commitment={"lost": {lost: 0x0112}})
    done = deliver(studies["slices"], destination(peer.port, commitment={"hold_s": PATIENCE_S}))
    assert done.counts[COMMITTED] == 3
    assert peer.stored == set(map(uid, studies["slices"])) and peer.received[lost] == 2


def test_what_the_peer_will_not_keep_is_set_aside(failing, studies, destination):
    peer = failing(commitment={"lost": {uid(studies["slices"][0]): 0x0119}})
    wanted = destination(peer.port, commitment={"hold_s": PATIENCE_S})
    done = deliver(studies["slices"], wanted)
    assert done.exit_code == 1 and (done.counts[COMMITTED], done.counts[ASIDE]) == (2, 1)
    queue = Queue(wanted.folder)
    (job,) = queue.troubled(wanted.to)
    assert "not committed" in job.reason and job.path.exists()
    queue.close()


def test_a_peer_without_commitment_stores(failing, studies, destination, caplog):
    peer = failing()
    with caplog.at_level(logging.WARNING, "smug_recon"):
        done = deliver(studies["slices"], destination(peer.port, commitment={}))
    assert done.exit_code == 0 and done.counts[STORED] == 3
    assert "offers no storage commitment" in caplog.text


@pytest.mark.parametrize("behaviour", [{"silent": True}, {"status": 0x0110}, {"transaction": "1.2.3"}])
def test_without_an_answer_the_files_stay_and_the_peer_is_asked_again(
    behaviour, failing, studies, destination
):
    peer = failing(commitment=dict(behaviour))
    wanted = destination(peer.port, commitment={"hold_s": 0.05, "patience_s": 600.0})
    done = deliver(studies["slices"], wanted, give_up_s=1.0)
    assert done.exit_code == 4 and done.counts[ASKING] == 3
    assert len(list((wanted.folder / "objects").iterdir())) == 3
    peer.commitment.clear()
    sooner = destination(peer.port, commitment={"hold_s": PATIENCE_S, "patience_s": 0.01})
    assert deliver([], sooner).counts[COMMITTED] == 3
    assert set(peer.received.values()) == {1}  # asked again, not sent again


def test_asking_has_an_end(studies, destination, tmp_path):
    from smug_recon.pacs.files import instance

    queue = Queue(tmp_path / "queue")
    queue.put("A@h:1", instance(studies["slices"][0]))
    queue.sent(queue.due("A@h:1", 300.0), "", ask=True)
    promises = Promises(queue, "A@h:1")
    for number in range(MOST_ASKS):
        (job,) = promises.due(latest_s=-1.0)
        promises.ask([job], f"1.2.{number}", 0.0)
    assert queue.count("A@h:1")[ASKING] == 1
    promises.ask(promises.due(latest_s=-1.0), "1.2.9", 0.0)
    assert queue.count("A@h:1")[ASIDE] == 1
    queue.close()


def test_a_report_from_a_stranger_changes_nothing(failing, studies, destination):
    """Another calling AE title is turned away; a report on another request is answered with an error."""
    port = free_port()
    peer = failing(commitment={"port": lambda: port, "calling": "STRANGER"})
    wanted = destination(peer.port, commitment={"listen": f"127.0.0.1:{port}", "hold_s": PATIENCE_S})
    stop = threading.Event()
    threading.Thread(target=lambda: (peer.reported.wait(PATIENCE_S), stop.set())).start()
    done = deliver(studies["slices"], wanted, stop=stop)
    assert peer.reported.is_set() and peer.commitment["answered"] is None
    assert done.counts[ASKING] == 3 and done.counts[WAITING] == 0
