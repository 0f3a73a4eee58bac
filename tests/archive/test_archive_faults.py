"""Faults in mid-run: what is in flight is lost, no scan is blamed for it, and the next run does the rest."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from archive_trees import whole, write_tree
from distributed import Client

from smug_recon.archive import run
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Terms
from smug_recon.archive.results import Results
from smug_recon.archive.spread import spread
from smug_recon.archive.task import work
from smug_recon.archive.warm import PoolGone, WarmPool
from smug_recon.errors import StreamError

PATIENCE_S = 120.0


def until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_worker_that_ends_books_nothing_of_what_it_has_in_hand(
    tmp_path: Path, pool: WarmPool, jobs: Callable[..., list[dict[str, Any]]]
) -> None:
    raw, out = write_tree(tmp_path / "raw", a="hang"), tmp_path / "out"
    (job,) = jobs(raw, out, time_limit_s=PATIENCE_S)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(work, job, pool)
        until(lambda: any(out.glob(".incomplete/*/result/node.log")))
        pool.teardown(None)
        with pytest.raises(PoolGone):
            running.result(PATIENCE_S)
    with pytest.raises(PoolGone):
        work(job, pool)
    assert Results(str(out)).records(["a.h5"]) == [None] and not (out / "scans").exists()


def ending(job: dict[str, Any]) -> dict[str, Any]:
    if job.get("ends", 0) < 2:
        raise PoolGone("the worker ends")
    return {"path": job["path"]}


def test_what_a_worker_had_that_ended_is_given_to_another(scheduler: str) -> None:
    booked: list[Any] = []
    with Client(scheduler) as client:
        spread(
            client,
            [{"path": "a"}],
            lambda client, job: client.submit(ending, job, pure=False),
            lambda job, answer, error: booked.append((answer, error)),
        )
    assert booked == [({"path": "a"}, None)]


class Intruder(run.Watcher):
    """Begins another archive on the same workers, with a pipeline that does nothing, when the first scan is through."""

    def __init__(self, scheduler: str) -> None:
        self.scheduler, self.begun = scheduler, False

    def ended(self, answer: dict[str, Any]) -> None:
        if not self.begun:
            self.begun = True
            with Client(self.scheduler) as client:
                client.register_plugin(WarmPool("", b"", command=("false",)))


def test_two_archives_on_the_same_workers_keep_their_pipelines(
    fakes: None, scheduler: str, order: Order, tmp_path: Path
) -> None:
    raw, out = (
        write_tree(tmp_path / "raw", **{f"s{number:02d}": "slow" for number in range(12)}),
        tmp_path / "out",
    )
    intruder = Intruder(scheduler)
    outcome = run.archive(order, Terms(str(raw), str(out)), Where(scheduler), watcher=intruder)
    assert intruder.begun and (outcome.done, outcome.failed) == (12, 0)
    whole(out, raw)


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """``dask("scheduler", ...)``: a process of Dask, ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"dask{len(running)}.log").open("wb") as log:
            running.append(subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=log, stderr=log))
        return running[-1]

    yield start
    for process in running:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_that_is_killed_ends_the_run_and_the_next_one_does_the_rest(
    fakes: None,
    scheduler: str,
    order: Order,
    tmp_path: Path,
    dask: Callable[..., subprocess.Popen[bytes]],
) -> None:
    raw = write_tree(tmp_path / "raw", **{f"s{number:02d}": "slow" for number in range(40)})
    out, terms = tmp_path / "out", Terms(str(raw), str(tmp_path / "out"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    lost = dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")
    worker = dask("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")

    class Killer(run.Watcher):
        def ended(self, answer: dict[str, Any]) -> None:
            os.kill(lost.pid, signal.SIGKILL)

    with pytest.raises(StreamError, match="run the same command again"):
        run.archive(order, terms, Where(address), watcher=Killer())
    worker.wait(PATIENCE_S)  # a worker goes with its scheduler
    before = {record.path: record.status for record in Results(str(out)).all_records()}
    assert 0 < len(before) < 40 and set(before.values()) == {"done"}
    whole(out, raw)
    outcome = run.archive(order, terms, Where(scheduler))
    assert (outcome.done, outcome.failed, outcome.exit_code) == (40 - len(before), 0, 0)
    whole(out, raw)
