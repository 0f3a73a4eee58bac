"""Jobs on a Dask cluster: workers write the same files that one process would, the client only says which job is next.

Nothing of a result travels through the scheduler but its number and, where it failed, the reason. Slices, weights and the folder of
the results must lie on a file system that all workers see under the same paths; a worker that does not see them ends the
evaluation at once instead of failing its jobs one by one.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.attacked import perturbation_of
from smug_recon.robustness.running.doing import Done, Study, said
from smug_recon.robustness.running.worker import Answer, Place, cpu, perform, software
from smug_recon.scheduler import client_of

log = logging.getLogger(__name__)

IN_FLIGHT = 1024
"""Jobs that the scheduler knows at a time: enough for as many workers, and the client's memory does not grow with the plan."""
KEPT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
KEPT_BYTES = 2**30
"""Freed memory that a worker keeps for its next tensors. With Dask's 64 KiB half of an attack's time goes into page faults."""
CONNECT_S = 30
LOOK_S = 10.0
"""How long to wait for the end of a job before looking whether there are workers."""
PATIENCE_S = 180.0
"""How long a local cluster may be without any worker: they are started anew when they die, but not for ever."""


@contextmanager
def connected(workers: int, scheduler: str | None) -> Iterator[Any]:
    """Connect to a scheduler, or start one with ``workers`` processes of one thread each on the loopback interface.

    Raises:
        ConfigurationError: Dask is not installed, or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigurationError(
            "no dask.distributed", "it, for --workers and --scheduler", "pip install smug-recon[archive]"
        ) from None
    if scheduler is None:
        with (
            dask.config.set(
                {
                    "distributed.scheduler.worker-saturation": 1.0,  # a lost worker blames no job that only waited
                    **{f"distributed.nanny.pre-spawn-environ.{name}": KEPT_BYTES for name in KEPT},
                }
            ),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    with client_of(scheduler, CONNECT_S, set_as_default=False) as client:
        yield client


def leaders(jobs: Sequence[Job], numbers: Sequence[int]) -> dict[int, int]:
    """Return, for jobs that need a perturbation that another open job finds, the number of that job.

    It is the attack on the method that the perturbation is made for; where that is done or not planned, the first that needs it.
    """
    groups: dict[str, list[int]] = {}
    for number in numbers:
        if jobs[number].probe.kind in ("attack", "transfer"):
            groups.setdefault(perturbation_of(jobs[number]), []).append(number)
    found: dict[int, int] = {}
    for group in groups.values():
        attacks = [number for number in group if jobs[number].probe.kind == "attack"]
        first = (attacks or group)[0]
        found |= {number: first for number in group if number != first}
    return found


def spread(
    client: Any, study: Study, jobs: Sequence[Job], numbers: Sequence[int], patience_s: float | None = None
) -> Iterator[Done]:
    """Do the jobs on the workers of a cluster and yield each as it ends. A worker that dies costs only the job in its hands.

    Args:
        patience_s: how long to wait for a worker where there is none; None waits for ever, as for a queue of Slurm.

    Raises:
        ConfigurationError: a worker sees other files or other software. OutputError: the scheduler is gone, or all workers.
    """
    token = f".shared-{secrets.token_hex(8)}"
    (study.folder / token).touch()
    try:
        yield from _in_turn(client, study, jobs, numbers, Place(token, software()), patience_s)
    finally:
        (study.folder / token).unlink(missing_ok=True)


def _in_turn(
    client: Any,
    study: Study,
    jobs: Sequence[Job],
    numbers: Sequence[int],
    place: Place,
    patience_s: float | None,
) -> Iterator[Done]:
    leading = leaders(jobs, numbers)
    ready = deque(number for number in numbers if number not in leading)
    held: dict[int, list[int]] = {}
    for number, leader in leading.items():
        held.setdefault(leader, []).append(number)
    given: dict[str, tuple[int, Any]] = {}
    ended: SimpleQueue[Any] = SimpleQueue()
    asked = itertools.count()

    def fill() -> None:
        while ready and len(given) < IN_FLIGHT:
            number = ready.popleft()
            name = f"evaluate-{number}-{next(asked)}{place.token}"
            future = client.submit(
                perform, study, number, jobs[number].key, place, key=name, priority=-number
            )
            given[name] = (number, future)
            future.add_done_callback(ended.put)

    fill()
    heed = _cpu_watch()
    while given:
        future = next_end(ended, client, patience_s)
        number, _ = given.pop(future.key)
        told = _told(future, number, heed)
        if told is None:
            ready.appendleft(number)
        else:
            yield told
            ready.extendleft(reversed(held.pop(number, [])))
        fill()


def next_end(ended: SimpleQueue[Any], client: Any, patience_s: float | None) -> Any:
    """Return the next job that has ended; say so while there is no worker, and give up after ``patience_s`` without any."""
    alone_since: float | None = None
    while True:
        try:
            return ended.get(timeout=LOOK_S)
        except Empty:
            pass
        try:
            workers = len(client.nthreads())
        except OSError:  # the scheduler is gone: its jobs end as dropped
            continue
        if workers:
            alone_since = None
        elif alone_since is None:
            alone_since = time.monotonic()
            log.warning("the cluster has no worker; waiting for one")
        elif patience_s is not None and time.monotonic() - alone_since > patience_s:
            raise OutputError(
                f"no worker for {patience_s:.0f} s: all have died",
                "workers that live",
                "memory may have run out: use fewer --workers and call again; what is done is not done again",
            )


def _told(future: Any, number: int, heed: Callable[[str], None]) -> Done | None:
    """Return how a job ended, from what Dask knows of it; None where its worker died before it could say so: ask another."""
    from distributed import CancelledError
    from distributed import TimeoutError as TimedOut

    try:
        if future.status == "finished":
            answer: Answer = future.result(timeout=LOOK_S)
            if answer.misfit is not None:
                found, expected, remedy = answer.misfit
                raise ConfigurationError(f"on a worker {found}", expected, remedy)
            heed(answer.cpu)
            return answer.done
        if future.status == "error":
            return Done(number, said(future.exception(timeout=LOOK_S)))
    except TimedOut:
        return None
    except CancelledError:
        pass
    if future.status in ("lost", "pending"):
        return None
    raise OutputError(
        f"a job that the scheduler has dropped ({future.status})",
        "a scheduler that lives as long as the evaluation",
        "start it again and call again: what is done is not done again",
    )


def _cpu_watch() -> Callable[[str], None]:
    """Say once of every kind of CPU that is not the client's that numbers may differ by rounding."""
    seen = {cpu()}

    def heed(kind: str) -> None:
        if kind not in seen:
            seen.add(kind)
            log.warning("a worker computes with %s, this process with %s: rounding may differ", kind, cpu())

    return heed
