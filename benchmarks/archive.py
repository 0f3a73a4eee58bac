"""An archive on a local Dask cluster: throughput by workers, what the scheduler costs a scan, memory of the client.

    python -m smug_recon.benchmarks.archive throughput [SCANS] [WORKERS ...]
    python -m smug_recon.benchmarks.archive empty [SCANS ...]
    python -m smug_recon.benchmarks.archive apart [SCANS ...]
    python -m smug_recon.benchmarks.archive plan [SCANS]

``throughput`` reconstructs simulated scans with 1, 2 and 4 workers. ``empty`` spreads scans that do nothing, scheduler and client
in one process as on a local cluster; ``apart`` the same with a scheduler of its own. ``plan`` measures a second run: SCANS files
and their records are held against each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smug_recon.archive.cluster import Where, connected
from smug_recon.archive.order import Outputs, order_of
from smug_recon.archive.plan import Terms, job_of, plan
from smug_recon.archive.record import DONE, Record
from smug_recon.archive.results import Results
from smug_recon.archive.run import Watcher, archive
from smug_recon.archive.scans import RawScan, raw_scans
from smug_recon.archive.spread import spread
from smug_recon.archive.summary import summarise

WINDOW = 256
"""Empty scans in flight: as on a cluster of 85 workers."""


class Clock(Watcher):
    """When the cluster was there, when each scan ended, and the processor time of everybody else on this machine."""

    def __init__(self) -> None:
        self.ended_s: list[float] = []

    def started(self, client: Any) -> None:
        self.started_s = time.perf_counter()

    def ended(self, answer: dict[str, Any]) -> None:
        assert answer["status"] == DONE, answer
        self.ended_s.append(time.perf_counter())


def throughput(scans: int = 12, *workers: int) -> None:
    """Print scans per minute, and the ratio to one worker, each with one core."""
    from smug_recon.simulation.protocol.settings import ScanSettings
    from smug_recon.simulation.writing import write_scan

    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        for number in range(scans):
            settings = ScanSettings(matrix_xy=(128, 128), coils=8, slices=2, seed=number)
            for _ in write_scan(settings, raw / f"{number:04d}.h5", None, "stream"):
                pass
        order = order_of(None, {"device": "cpu"}, Outputs())
        print(
            "| workers | wall s | scans/min | after the first of each worker: scans/min | CPU s per scan |\n|---|---|---|---|---|"
        )
        for count in workers or (1, 2, 4):
            clock, began, cpu = Clock(), time.perf_counter(), _children_s()
            archive(
                order,
                Terms(str(raw), str(Path(folder, f"out{count}"))),
                Where(None, count, 1, 0),
                watcher=clock,
            )
            wall = time.perf_counter() - began
            warm = (len(clock.ended_s) - count) / (clock.ended_s[-1] - clock.ended_s[count - 1]) * 60
            spent = (_children_s() - cpu) / scans
            print(
                f"| {count} | {wall:.1f} | {60 * scans / wall:.1f} | {warm:.1f} | {spent:.1f} |", flush=True
            )


def nothing(job: dict[str, Any]) -> dict[str, Any]:
    """A scan that does nothing."""
    return {"path": job["path"], "status": DONE, "fallbacks": 0, "reason": ""}


def empty(*counts: int) -> None:
    """Print what a scan costs the scheduler and the client, each number of scans in a process of its own."""
    if _each("empty", "| scans | wall s | ms per scan | CPU ms per scan | MB before | most MB |", counts):
        return
    with connected(Where(None, 2, 1, 0), 0, 3) as client:
        before_mb, wall, spent = _spread_nothing(client, counts[0])
    print(_row(counts[0], wall, spent, [f"{before_mb:.0f}", f"{_most_mb():.0f}"]), flush=True)


def apart(*counts: int) -> None:
    """Print the same of the client alone, and the memory of the scheduler in its own process."""
    head = "| scans | wall s | ms per scan | client: CPU ms per scan | MB before | most MB | scheduler: MB before | after |"
    if _each("apart", head, counts):
        return
    with tempfile.TemporaryDirectory(prefix="archive-") as folder, contextlib.ExitStack() as running:
        address = Path(folder, "scheduler.json")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        dask = [sys.executable, "-m", "dask"]
        where = ["--scheduler-file", str(address)]
        scheduler = _until_exit(
            running,
            [
                *dask,
                "scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--dashboard-address",
                "127.0.0.1:0",
                *where,
            ],
            quiet,
        )
        _until_exit(running, [*dask, "worker", "--nworkers", "2", "--nthreads", "1", *where], quiet)
        while not address.exists():
            time.sleep(0.1)
        with connected(Where(json.loads(address.read_text())["address"]), 0, 3) as client:
            client.wait_for_workers(2, timeout=60)
            scheduler_mb = _now_mb(scheduler)
            before_mb, wall, spent = _spread_nothing(client, counts[0])
            after_mb = _now_mb(scheduler)
    cells = [f"{value:.0f}" for value in (before_mb, _most_mb(), scheduler_mb, after_mb)]
    print(_row(counts[0], wall, spent, cells), flush=True)


def _each(what: str, head: str, counts: tuple[int, ...]) -> bool:
    """Whether several counts were asked for, which then have been measured, each in a process of its own."""
    if len(counts) == 1:
        return False
    print(f"{head}\n{'|---' * (head.count('|') - 1)}|", flush=True)
    for count in counts or (100, 1000, 10000):
        subprocess.run([sys.executable, "-m", "smug_recon.benchmarks.archive", what, str(count)], check=True)
    return True


def _spread_nothing(client: Any, count: int) -> tuple[float, float, float]:
    """MB before, seconds on the clock, seconds of this process's processor time."""
    order = order_of(None, {"device": "cpu"})
    terms = Terms("/nowhere", "/nowhere", 60.0)
    jobs = (job_of(RawScan(f"{n:06d}.h5", 1, "0"), order, terms, "0" * 64) for n in range(count))
    before_mb, began, cpu = _now_mb(), time.perf_counter(), time.process_time()
    spread(client, jobs, lambda client, job: client.submit(nothing, job, pure=False), lambda *_: None, WINDOW)
    return before_mb, time.perf_counter() - began, time.process_time() - cpu


def _row(count: int, wall_s: float, cpu_s: float, cells: list[str]) -> str:
    numbers = [
        str(count),
        f"{wall_s:.1f}",
        f"{1e3 * wall_s / count:.2f}",
        f"{1e3 * cpu_s / count:.2f}",
        *cells,
    ]
    return "| " + " | ".join(numbers) + " |"


def _until_exit(running: contextlib.ExitStack, command: list[str], streams: dict[str, int]) -> int:
    """Start a process that ends with ``running``; return its number."""
    process = subprocess.Popen(command, **streams)  # type: ignore[call-overload]
    running.callback(process.wait)
    running.callback(process.terminate)
    return int(process.pid)


def second_run(scans: int = 100000) -> None:
    """Print what it costs to find out that nothing is to be done, and to write the tables."""
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        raw, results = Path(folder, "raw"), Results(str(Path(folder, "out")))
        order, terms = order_of(None, {"device": "cpu"}), Terms(str(raw), results.root)
        for number in range(scans):
            path = raw / f"{number // 1000:03d}" / f"{number:06d}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x89HDF\r\n\x1a\n")
        began = time.perf_counter()
        for scan in raw_scans(results.files, str(raw)):
            record = Record(scan.path, DONE, scan.bytes, scan.modified, "0" * 64, order.wanted(), images=1)
            target = Path(
                results.record_place(scan.path)
            )  # without waiting for the disk, as write_record does
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(dataclasses.replace(record, version=order.version).content())
        made, before_mb = time.perf_counter(), _now_mb()
        found = plan(raw_scans(results.files, str(raw)), results, order, terms, io.StringIO())
        planned = time.perf_counter()
        assert (found.jobs, found.done) == (0, scans)
        summarise(results)
        written = time.perf_counter()
    print(
        f"{scans} scans: planned in {planned - made:.1f} s, tables in {written - planned:.1f} s, "
        f"at most {_most_mb():.0f} MB ({before_mb:.0f} before); made in {made - began:.1f} s"
    )


def _children_s() -> float:
    """Processor time of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _now_mb(process: int | str = "self") -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    what, *numbers = sys.argv[1:] or ["empty"]
    measured: dict[str, Callable[..., None]] = {
        "throughput": throughput,
        "empty": empty,
        "apart": apart,
        "plan": second_run,
    }
    measured[what](*map(int, numbers))
