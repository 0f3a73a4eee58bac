"""Archives on a cluster: laws of order and resumption, killed workers, killed clients, records that cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from archive_trees import archive, content, state, whole, write_tree
from distributed import Client

from smug_recon.archive import run, task
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Planned, Terms
from smug_recon.archive.results import Results
from smug_recon.errors import OutputError

pytestmark = pytest.mark.usefixtures("fakes")


def test_a_second_run_does_nothing_and_a_change_redoes_only_that(
    scheduler: str, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = {"a": "image", "b__c": "slow", "b__d": "fallback", "e": "fail", "f": "segv"}
    raw, out = write_tree(tmp_path / "raw", **scans), tmp_path / "out"
    outcome = archive(order, raw, out, scheduler, attempts=2)
    assert (outcome.tasks, outcome.done, outcome.failed, outcome.fallbacks) == (5, 3, 2, 1)
    assert outcome.exit_code == 1
    whole(out, raw)
    before = {path: state(path) for path in out.rglob("*")}

    with monkeypatch.context() as patch:
        patch.setattr(run, "connected", None)  # no cluster for nothing
        outcome = archive(order, raw, out, scheduler)
    assert (outcome.tasks, outcome.planned.jobs, outcome.exit_code) == (0, 0, 1)
    assert {path: state(path) for path in out.rglob("*")} == before

    write_tree(raw, a="another image", e="image")
    outcome = archive(order, raw, out, scheduler)
    assert (outcome.tasks, outcome.done) == (2, 2)
    untouched = [out / "scans" / "b" / name / "images.h5" for name in ("c.h5", "d.h5")]
    assert all(state(path) == before[path] for path in untouched)
    outcome = archive(order, raw, out, scheduler, retry_failed=True)
    assert (outcome.tasks, outcome.failed) == (1, 1)
    whole(out, raw)


def test_the_results_are_the_same_for_any_number_of_workers_and_any_order(
    scheduler: str, order: Order, tmp_path: Path
) -> None:
    raw = write_tree(tmp_path / "raw", **{f"s{n:02d}": f"image {n}" for n in range(12)})
    archive(order, raw, tmp_path / "many", scheduler)
    last = write_tree(tmp_path / "half", **{f"s{n:02d}": f"image {n}" for n in range(6, 12)})
    archive(order, last, tmp_path / "turns", scheduler)
    write_tree(last, **{f"s{n:02d}": f"image {n}" for n in range(6)})
    archive(order, last, tmp_path / "turns", scheduler)
    scans = [content(tmp_path / out / "scans") for out in ("many", "turns")]
    assert scans[0] == scans[1] and len(scans[0]) == 36


class Loopback(run.Watcher):
    """Asserts that a local cluster is to be reached from this machine alone."""

    links: list[str]

    def started(self, client: Client) -> None:
        self.links = [client.dashboard_link, client.scheduler.address, *client.nthreads()]


def test_a_file_that_kills_its_worker_is_booked_and_the_rest_is_done(order: Order, tmp_path: Path) -> None:
    scans = {f"s{n}": "slow" for n in range(6)}
    raw, out = write_tree(tmp_path / "raw", **scans, poison="worker"), tmp_path / "out"
    watcher = Loopback()
    terms = Terms(str(raw), str(out), attempts=2)
    outcome = run.archive(order, terms, Where(None, 2, 1, 0), watcher=watcher)
    assert (outcome.done, outcome.failed) == (6, 1)
    (record,) = Results(str(out)).records(["poison.h5"])
    assert record is not None and "2 workers that died over this scan" in record.reason
    whole(out, raw)
    assert len(watcher.links) == 4 and all("127.0.0.1:" in link for link in watcher.links)


def test_a_killed_client_loses_what_is_in_flight_and_leaves_no_half_result(
    order: Order, tmp_path: Path
) -> None:
    raw, out = write_tree(tmp_path / "raw", **{f"s{n:02d}": "slow" for n in range(24)}), tmp_path / "out"
    program = Path(__file__).with_name("run_archive.py")
    words = [sys.executable, str(program), str(raw), str(out)]
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    manifest, limit = out / "manifest", time.monotonic() + 120
    while len(list(manifest.glob("*.json"))) < 4:
        assert time.monotonic() < limit and first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = {path.name: state(path) for path in manifest.glob("*.json")}
    whole(out, raw)
    assert len(done) < 24
    second = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    assert int(second.stdout) <= 24 - len(done)
    assert len(list(manifest.glob("*.json"))) == 24
    assert all(state(manifest / name) == before for name, before in done.items())
    whole(out, raw)


def test_a_record_that_cannot_be_written_fails_one_scan_and_a_full_disk_ends_the_run(
    tmp_path: Path, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = jobs(write_tree(tmp_path / "raw", a="image"), tmp_path / "out")
    outcome = run.Outcome(Planned())
    book = run.booking(Results(str(tmp_path / "out")), outcome, run.Watcher())
    unwritten = {"status": task.UNWRITTEN, "error": task.error_in_words(OSError("a pity"))}
    book(job, unwritten, None)
    assert outcome.failed == 1 and "a pity" in next(Results(str(tmp_path / "out")).all_records()).reason

    def refuse(number: int) -> Any:
        def write(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        return write

    monkeypatch.setattr(os, "fsync", refuse(errno.ENAMETOOLONG))
    book(job, unwritten, None)
    assert outcome.failed == 2
    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    with pytest.raises(OutputError, match="No space"):
        book(job, unwritten, None)


def test_a_worker_that_cannot_write_says_so(
    tmp_path: Path, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutputError("no room", "room", "make room")

    (job,) = jobs(write_tree(tmp_path / "raw", a="image"), tmp_path / "out")
    monkeypatch.setattr(task, "pool_here", lambda job: None)
    monkeypatch.setattr(task, "work", full)
    answer = task.reconstruct_scan(job)
    assert answer["status"] == task.UNWRITTEN and answer["error"]["kind"] == "OutputError"
