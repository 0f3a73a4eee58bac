"""Jobs spread over a cluster, a bounded number of them at a time: the client's memory does not grow with the archive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from distributed import Client, as_completed
from distributed.scheduler import KilledWorker

from smug_recon.archive.warm import PoolGone
from smug_recon.errors import StreamError

PER_WORKER = 3
"""Tasks in flight for every scan that can run at once: one that runs and two that wait for it."""
FEWEST, MOST = 8, 4096
MOST_ENDS = 20
"""How often a scan is given to another worker because the one that had it was ending."""
Job = dict[str, Any]


def in_flight(client: Client) -> int:
    """How many tasks are given to the cluster at a time."""
    threads = sum(client.nthreads().values())
    return min(max(PER_WORKER * threads, FEWEST), MOST)


def spread(
    client: Client,
    jobs: Iterable[Job],
    submit: Callable[[Client, Job], Any],
    book: Callable[[Job, dict[str, Any] | None, BaseException | None], None],
    window: int | None = None,
) -> None:
    """Submit jobs as others end, and book each as it ends: its answer, or the error that came instead.

    A job whose workers died is tried again at the end, alone: another one may have taken them down.

    Raises:
        StreamError: the scheduler is gone, and with it the tasks.
    """
    alone: list[Job] = []

    def book_or_keep(job: Job, answer: dict[str, Any] | None, error: BaseException | None) -> None:
        if isinstance(error, KilledWorker) and len(alone) < MOST:
            alone.append(job)
        else:
            book(job, answer, error)

    _spread(client, jobs, submit, book_or_keep, window or in_flight(client))
    for job in alone:
        _spread(client, [job], submit, book, 1)


def _spread(
    client: Client,
    jobs: Iterable[Job],
    submit: Callable[[Client, Job], Any],
    book: Callable[[Job, dict[str, Any] | None, BaseException | None], None],
    window: int,
) -> None:
    waiting = iter(jobs)
    flying: dict[str, Job] = {}
    running = as_completed([], with_results=True, raise_errors=False)

    def launch(jobs: Iterable[Job]) -> None:
        for job in jobs:
            future = submit(client, job)
            flying[future.key] = job
            running.add(future)

    launch(itertools.islice(waiting, window))
    for future, answer in running:
        job = flying.pop(future.key)
        if isinstance(answer, dict):
            book(job, answer, None)
        elif future.status == "error":
            error, ends = future.exception(), job.get("ends", 0)
            if isinstance(error, PoolGone) and ends < MOST_ENDS:
                launch([{**job, "ends": ends + 1}])
                continue
            book(job, None, error)
        elif future.status in ("cancelled", "lost"):
            raise StreamError(
                f"a scheduler that has lost {len(flying) + 1} tasks ({future.status})",
                "a scheduler that runs to the end",
                "run the same command again: what is done stays done",
            )
        else:  # the worker died before its answer was fetched
            launch([job])
            continue
        del future
        launch(itertools.islice(waiting, 1))


def killed(error: BaseException) -> dict[str, str]:
    """What is said of a task whose error did not come from this package."""
    if isinstance(error, KilledWorker):
        return {
            "kind": "KilledWorker",
            "found": f"{error.allowed_failures + 1} workers that died over this scan, also when it ran alone",
            "expected": "a worker that lives",
            "remedy": "memory may have run out: try it alone with smug-recon replay, then --retry-failed",
        }
    return {
        "kind": type(error).__name__,
        "found": f"{type(error).__name__}: {error}"[:400],
        "expected": "an answer of the worker",
        "remedy": "check that the workers have the same version of smug-recon and can reach the storage",
    }
