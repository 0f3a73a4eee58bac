"""The client: plan, spread, book, and the tables at the end."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import Client
from fsspec.core import url_to_fs

from smug_recon.archive import task
from smug_recon.archive.cluster import Where, connected, gpu_count
from smug_recon.archive.order import Order
from smug_recon.archive.page import INDEX
from smug_recon.archive.plan import Planned, Terms, jobs, plan, split_of
from smug_recon.archive.record import DONE, FAILED
from smug_recon.archive.results import Results
from smug_recon.archive.scans import raw_scans
from smug_recon.archive.spread import killed, spread
from smug_recon.archive.storage import reached
from smug_recon.archive.summary import summarise
from smug_recon.archive.warm import WarmPool
from smug_recon.errors import ConfigurationError, OutputError


@dataclass
class Outcome:
    """What came of a run: of all scans, and of those that it did."""

    planned: Planned
    tasks: int = 0
    done: int = 0
    same: int = 0
    failed: int = 0
    fallbacks: int = 0

    @property
    def exit_code(self) -> int:
        """1 where scans have failed, now or before; 3 where images are fallbacks; else 0."""
        if self.failed or self.planned.failed_before:
            return 1
        return 3 if self.fallbacks or self.planned.fallbacks else 0


class Watcher:
    """Is told how an archive goes on; the one here does not care."""

    def planned(self, found: Planned) -> None:
        """The tree has been held against the manifest."""

    def started(self, client: Client) -> None:
        """The cluster is there."""

    def ended(self, answer: dict[str, Any]) -> None:
        """A scan is through."""


def archive(
    order: Order,
    terms: Terms,
    where: Where = Where(),
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    watcher: Watcher = Watcher(),
) -> Outcome:
    """Reconstruct what is missing or changed, then write the tables. ConfigurationError, ModelError, OutputError, StreamError."""
    files, root = url_to_fs(terms.source, use_listings_cache=False)
    with reached(terms.source):
        there = files.isdir(root)
    if not there:
        raise ConfigurationError(f"no folder {terms.source}", "a folder with raw files", "check the path")
    results, model = Results(terms.out), order.model()
    results.sweep()
    scans = raw_scans(files, root, include=include, exclude=exclude, leave_out=results.root)
    with tempfile.TemporaryFile("w+", prefix="smug-recon-", encoding="utf-8") as listed:
        with reached(f"{terms.source} or {terms.out}"):
            outcome = Outcome(plan(scans, results, order, terms, listed))
        watcher.planned(outcome.planned)
        if outcome.planned.jobs:
            gpus = gpu_count(order.pipeline.device) if where.scheduler is None else 0
            with connected(where, gpus, terms.attempts) as client:
                watcher.started(client)
                threads = where.sizes(gpus)[1] if where.scheduler is None else where.threads
                pool = WarmPool(order.settings_yaml(), model, threads, gpus)
                client.register_plugin(pool)
                try:
                    split = split_of(outcome.planned, sum(client.nthreads().values()), terms.split_bytes)
                    given = ({**job, "pool": pool.name} for job in jobs(listed, split))
                    spread(client, given, submitted, booking(results, outcome, watcher))
                finally:
                    let_go(client, pool.name)
    with reached(terms.out):
        if outcome.tasks or not results.files.exists(results.place(INDEX)):
            summarise(results)
    return outcome


def let_go(client: Client, name: str) -> None:
    """End the warm processes of a run on all workers, if there is a scheduler that knows it."""
    if client.status == "running":
        with contextlib.suppress(OSError, ValueError):  # gone meanwhile, or another one at this address
            client.unregister_worker_plugin(name)


def submitted(client: Client, job: dict[str, Any]) -> Any:
    """The future of a scan; a large one waits for its parts."""
    name, count = uuid.uuid4().hex, job.get("parts", 1)
    parts = [
        client.submit(task.reconstruct_part, job, number, count, key=f"part-{name}-{number}", pure=False)
        for number in range(count if count > 1 else 0)
    ]
    return client.submit(task.reconstruct_scan, job, parts, key=f"scan-{name}", pure=False)


def booking(
    results: Results, outcome: Outcome, watcher: Watcher
) -> Callable[[dict[str, Any], dict[str, Any] | None, BaseException | None], None]:
    """Count what comes back; what never came back, or could not be written by its worker, is written down as failed here.

    The function raises OutputError where the place of the results takes nothing any more.
    """

    def book(job: dict[str, Any], answer: dict[str, Any] | None, error: BaseException | None) -> None:
        if answer is None or answer["status"] == task.UNWRITTEN:
            words = killed(error) if answer is None and error is not None else (answer or {})["error"]
            try:
                answer = task.said(task.failed(results, task.blank(job), words))
            except OutputError:
                raise  # what is made from here on would be lost as well
            except OSError as obstacle:  # of this scan alone: a name that is too long ...
                reason = f"{words['found']}; and no record of it: {obstacle.strerror or obstacle}"
                answer = {"path": job["path"], "status": FAILED, "fallbacks": 0, "reason": reason}
        outcome.tasks += 1
        outcome.done += answer["status"] == DONE
        outcome.same += answer["status"] == task.SAME
        outcome.failed += answer["status"] == FAILED
        outcome.fallbacks += answer["fallbacks"]
        watcher.ended(answer)

    return book
