"""Archives on a cluster: laws of order and resumption, killed workers, killed clients, bounded clients."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from archive_trees import FAKE, content, state, whole, write_tree
from distributed import Client, LocalCluster
from distributed.security import Security

from smug_recon.archive import cluster as cluster_module
from smug_recon.archive import run, task
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Planned, Terms
from smug_recon.archive.results import Results
from smug_recon.archive.spread import spread
from smug_recon.archive.warm import WarmPool
from smug_recon.errors import ConfigurationError, OutputError, StreamError


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two workers in this process."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        protocol="tcp",
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WarmPool", partial(WarmPool, command=FAKE))


def archive(order: Order, raw: Path, out: Path, scheduler: str, **terms: Any) -> run.Outcome:
    return run.archive(order, Terms(str(raw), str(out), **terms), Where(scheduler))


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


def nothing(job: dict[str, Any]) -> dict[str, Any]:
    return {"path": job["path"]}


def test_a_thousand_scans_are_never_in_flight_together(scheduler: str) -> None:
    scans, window = 1000, 32
    taken, booked, most = [0], [], [0]

    def jobs() -> Iterator[dict[str, Any]]:
        for number in range(scans):
            taken[0] += 1
            assert taken[0] - len(booked) <= window
            yield {"path": str(number)}

    with Client(scheduler) as client:

        def book(job: dict[str, Any], answer: Any, error: BaseException | None) -> None:
            assert error is None and answer == job
            booked.append(job["path"])
            most[0] = max(most[0], len(client.futures))

        spread(client, jobs(), lambda client, job: client.submit(nothing, job, pure=False), book, window)
    assert sorted(booked, key=int) == [str(number) for number in range(scans)]
    assert most[0] < 10 * window  # Dask lets go of what is done a little later


def broken(job: dict[str, Any]) -> dict[str, Any]:
    if job["path"] == "1":
        raise RuntimeError("a bug")
    return job


def test_a_bug_in_a_task_is_booked(scheduler: str) -> None:
    found = {}
    with Client(scheduler) as client:
        spread(
            client,
            ({"path": str(number)} for number in range(3)),
            lambda client, job: client.submit(broken, job, pure=False),
            lambda job, answer, error: found.update({job["path"]: answer or str(error)}),
        )
    assert found == {"0": {"path": "0"}, "1": "a bug", "2": {"path": "2"}}


def test_a_scheduler_that_forgets_is_said(scheduler: str) -> None:
    with Client(scheduler) as client, pytest.raises(StreamError, match="run the same command again"):

        def submit(client: Client, job: dict[str, Any]) -> Any:
            future = client.submit(time.sleep, 1, pure=False)
            client.cancel(future)
            return future

        spread(client, iter([{"path": "a"}]), submit, lambda *_: None)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_scheduler_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, order: Order, tmp_path: Path
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_S", 1)
    raw = write_tree(tmp_path / "raw", a="image")
    with pytest.raises(ConfigurationError, match="no Dask scheduler"):
        archive(order, raw, tmp_path / "out", "tcp://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="no folder"):
        archive(order, tmp_path / "nowhere", tmp_path / "out", "tcp://127.0.0.1:9")
    gc.collect()


def test_workers_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert Where().sizes(0) == (4, 4)
    assert Where(threads=2).sizes(0) == (8, 2)
    assert Where(workers=1).sizes(0) == (1, 16)
    assert Where().sizes(2) == (2, 8)
    assert Where(workers=32).sizes(0) == (32, 1)


def test_workers_of_a_machine_share_its_gpus() -> None:
    from types import SimpleNamespace

    from smug_recon.archive.warm import environment

    devices = [environment(SimpleNamespace(name=n), 2, 2)["CUDA_VISIBLE_DEVICES"] for n in range(4)]
    assert devices == ["0", "1", "0", "1"]
    assert environment(SimpleNamespace(name=3), 2, 1) == {"OMP_NUM_THREADS": "2"}


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
    monkeypatch.setattr(task, "pool_here", lambda: None)
    monkeypatch.setattr(task, "work", full)
    answer = task.reconstruct_scan(job)
    assert answer["status"] == task.UNWRITTEN and answer["error"]["kind"] == "OutputError"


def certificates(security: Security, folder: Path) -> tuple[str, str, str]:
    """Authority, certificate and key of a client as files."""
    paths = [folder / name for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")]
    for path in paths:
        path.write_text(getattr(security, path.name))
    return str(paths[0]), str(paths[1]), str(paths[2])


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_behind_tls(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "cryptography", reason="needs cryptography, for certificates: pip install cryptography"
    )
    monkeypatch.setattr(cluster_module, "CONNECT_S", 2)
    security = Security.temporary()
    tls = certificates(security, tmp_path)
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    settings = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": "127.0.0.1:0",
    }
    with LocalCluster(host="tls://127.0.0.1", protocol="tls", security=security, **settings) as cluster:
        address, terms = cluster.scheduler_address, Terms(str(raw), str(out))
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(ConfigurationError, match="--tls"):
            run.archive(order, terms, Where(address))
        assert run.archive(order, terms, Where(address, tls=tls)).done == 1
    gc.collect()  # what Dask leaves open of a connection that was refused goes here, not in another test
    whole(out, raw)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_without_tls_is_refused_where_tls_is_wanted(
    scheduler: str, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "cryptography", reason="needs cryptography, for certificates: pip install cryptography"
    )
    monkeypatch.setattr(cluster_module, "CONNECT_S", 2)
    tls = certificates(Security.temporary(), tmp_path)
    raw = write_tree(tmp_path / "raw", a="image")
    with pytest.raises(ConfigurationError):
        run.archive(
            order,
            Terms(str(raw), str(tmp_path / "out")),
            Where(scheduler, tls=tls),
        )


def test_an_answer_that_went_down_with_its_worker_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The future of an answer that is gone is pending again: that is no scheduler that has lost it."""
    from types import SimpleNamespace

    from smug_recon.archive import spread as spread_module

    waiting: list[Any] = []

    class Completed:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        add = staticmethod(waiting.append)

        def __iter__(self) -> Iterator[Any]:
            while waiting:
                future = waiting.pop(0)
                yield future, future.answer

    monkeypatch.setattr(spread_module, "as_completed", Completed)
    tries = iter([("pending", None), ("pending", {"path": "a"})])

    def submit(client: Any, job: dict[str, Any]) -> Any:
        status, answer = next(tries)
        return SimpleNamespace(key=str(id(answer)), status=status, answer=answer)

    booked: list[Any] = []
    spread(None, [{"path": "a"}], submit, lambda *found: booked.append(found), 1)  # type: ignore[arg-type]
    assert booked == [({"path": "a"}, {"path": "a"}, None)]
