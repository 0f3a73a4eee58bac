"""Laws of the queue on disk: bounded, one state for each instance, a copy as long as it is needed, over any end of the process."""

from __future__ import annotations

import threading
import time

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pacs_programs import PATIENCE_S

from smug_recon.errors import DataError
from smug_recon.pacs import Queue
from smug_recon.pacs.files import instance
from smug_recon.pacs.queue import ASIDE, DONE


def test_a_new_queue_is_opened_by_many_at_once(tmp_path):
    for turn in range(20):
        together, opened = threading.Barrier(6), []

        def open_it(folder=tmp_path / str(turn), together=together, opened=opened):
            together.wait(PATIENCE_S)
            queue = Queue(folder)
            opened.append(queue.next_s("anyone"))
            queue.close()

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert opened == [None] * 6


def test_the_queue_is_bounded_and_says_so(studies, destination, tmp_path):
    queue = Queue(tmp_path / "small", most_instances=2)
    first, second, third = (instance(path) for path in studies["slices"])
    assert queue.put("A@h:1", first) and queue.put("A@h:1", second)
    assert not queue.put("A@h:1", first)
    with pytest.raises(DataError, match="full queue"):
        queue.put("A@h:1", third)
    queue.close()
    assert len(list((tmp_path / "small" / "objects").iterdir())) == 2
    large = Queue(tmp_path / "large", most_bytes=first.size + 1)
    large.put("A@h:1", first)
    with pytest.raises(DataError, match="full queue"):
        large.put("A@h:1", second)
    large.close()


def test_another_object_under_the_same_uid_is_refused(studies, tmp_path):
    queue = Queue(tmp_path / "queue")
    queue.put("A@h:1", instance(studies["slices"][0]))
    changed = pydicom.dcmread(studies["slices"][0])
    changed.SeriesDescription = "other"
    changed.save_as(tmp_path / "changed.dcm")
    with pytest.raises(DataError, match="another object"):
        queue.put("A@h:1", instance(tmp_path / "changed.dcm"))
    assert queue.put("B@h:1", instance(tmp_path / "changed.dcm"))  # another destination has its own account
    queue.close()


def test_copies_outlive_the_files_and_orphans_are_swept(studies, tmp_path):
    source = tmp_path / "source.dcm"
    source.write_bytes(studies["slices"][0].read_bytes())
    queue = Queue(tmp_path / "queue")
    queue.put("A@h:1", instance(source))
    source.unlink()
    queue.close()
    (tmp_path / "queue" / "objects" / "orphan.dcm").write_bytes(b"left by a kill")
    queue = Queue(tmp_path / "queue")
    job = queue.due("A@h:1", 300.0)
    assert job.path.read_bytes() == studies["slices"][0].read_bytes()
    assert [path.name for path in job.path.parent.iterdir()] == [job.path.name]
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0 and job.path.stat().st_mode & 0o077 == 0
    queue.sent(job, "", ask=False)
    assert not job.path.exists()
    queue.close()


def test_a_clock_that_was_set_back_keeps_nothing_waiting(studies, tmp_path, monkeypatch):
    queue = Queue(tmp_path / "queue")
    queue.put("A@h:1", instance(studies["slices"][0]))
    queue.put_off(queue.due("A@h:1", 300.0), "busy", 60.0, 20)
    assert queue.due("A@h:1", 300.0) is None
    now = time.time()
    monkeypatch.setattr("smug_recon.pacs.queue.time.time", lambda: now - 86400)
    assert queue.due("A@h:1", 300.0) is not None
    queue.close()


OUTCOMES = ("stored", "asked", "later", "never", "again", "reopened")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12))
def test_whatever_happens_each_instance_has_one_state_and_its_copy_while_it_is_needed(
    steps, studies, tmp_path_factory
):
    folder, peer = tmp_path_factory.mktemp("queue"), "A@h:1"
    given_ = [instance(path) for path in studies["slices"]]
    queue = Queue(folder)
    for each in given_:
        queue.put(peer, each)
    for step in steps:
        if step == "reopened":
            queue.close()
            queue = Queue(folder)
        elif step == "again":
            (before,) = queue.jobs("uid=?", (given_[0].uid,))
            assert queue.put(peer, given_[0], again=True) == (before.state in (*DONE, ASIDE))
        elif (job := queue.due(peer, -1.0)) is not None:  # whatever waits, its pause over or not
            if step in ("stored", "asked"):
                queue.sent(job, "", ask=step == "asked")
            elif step == "later":
                queue.put_off(job, "busy", 60.0, 3)
            else:
                queue.set_aside(job, "no")
        counts = queue.count(peer)
        assert sum(counts.values()) == len(given_)
        kept = sum(number for state, number in counts.items() if state not in DONE)
        assert len(list((folder / "objects").iterdir())) == kept
        assert all(job.path.exists() for job in queue.jobs("state NOT IN (?,?)", DONE))
    queue.close()
