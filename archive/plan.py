"""What is to be done: the scans of the tree held against the manifest. It is written to a file, not kept in memory."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any

from smug_recon.archive.order import Order
from smug_recon.archive.record import DONE, FAILED, Record
from smug_recon.archive.results import Results
from smug_recon.archive.scans import BATCH, RawScan

MOST_PARTS = 16


@dataclass
class Planned:
    """How many scans there are, how many of them are done or have failed before, and what is left."""

    scans: int = 0
    done: int = 0
    failed_before: int = 0
    fallbacks: int = 0
    jobs: int = 0
    bytes: int = 0
    largest: int = 0


@dataclass(frozen=True)
class Terms:
    """How a scan is tried; ``retry_failed`` includes those that failed with the same data and settings."""

    source: str
    out: str
    time_limit_s: float = 3600.0
    attempts: int = 3
    retry_failed: bool = False
    same_version: bool = False
    split_bytes: int | None = 32 << 20
    """Scans smaller than this are never split; None: no scan is."""


def plan(scans: Iterable[RawScan], results: Results, order: Order, terms: Terms, target: IO[str]) -> Planned:
    """Write a job a line for every scan that is missing or changed, and count."""
    found, scans = Planned(), iter(scans)
    wanted = {spool: order.wanted(spool) for spool in (False, True)}
    while batch := list(itertools.islice(scans, BATCH)):
        records = results.records([scan.path for scan in batch])
        for scan, record in zip(batch, records, strict=True):
            found.scans += 1
            answers = record is not None and answered(record, wanted[scan.spool], order, terms)
            same = record is not None and (record.bytes, record.modified) == (scan.bytes, scan.modified)
            if answers and same and record is not None:
                found.done += record.status == DONE
                found.failed_before += record.status == FAILED
                found.fallbacks += record.fallbacks
                continue
            found.jobs += 1
            found.bytes += scan.bytes
            found.largest = max(found.largest, scan.bytes)
            known = None if record is None else {"sha256": record.sha256, "answers": answers}
            target.write(json.dumps(job_of(scan, order, terms, wanted[scan.spool], known)) + "\n")
    target.flush()
    return found


def answered(record: Record, wanted: str, order: Order, terms: Terms) -> bool:
    """Whether a record is of this order, whatever its data."""
    if record.wanted != wanted or (terms.same_version and record.version != order.version):
        return False
    return record.status == DONE or not terms.retry_failed


def job_of(
    scan: RawScan, order: Order, terms: Terms, wanted: str, known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that a worker needs to know about a scan, as plain data."""
    own = scan.spool and order.own_settings
    return {
        **asdict(scan),
        "source": terms.source,
        "out": terms.out,
        "wanted": wanted,
        "known": known,
        "own_settings": own,
        "overrides": dict(order.overrides) if own else {},
        "outputs": asdict(order.outputs),
        "time_limit_s": terms.time_limit_s,
        "attempts": terms.attempts,
        "pipeline": "session" if own else order.pipeline.sha256,
        "model": "session" if own else order.pipeline.model.sha256,
        "version": order.version,
    }


def jobs(source: IO[str], parts: Callable[[int], int] = lambda size: 1) -> Iterator[dict[str, Any]]:
    """The jobs of a file that ``plan`` has written, one at a time, those that are split (``parts`` above 1) first."""
    for split in (True, False):
        source.seek(0)
        for line in source:
            job = json.loads(line)
            job["parts"] = parts(job["bytes"]) if not job["spool"] else 1
            if (job["parts"] > 1) == split:
                yield job


def split_of(found: Planned, workers: int, least: int | None) -> Callable[[int], int]:
    """Into how many parts a scan of so many bytes is split: none is to take longer than half of what a worker has to do.

    parts = ceil(bytes / (total / workers / 2)), at most one for each worker
    """
    share = max(found.bytes / max(workers, 1) / 2, 1.0)

    def parts(size: int) -> int:
        if least is None or size < max(least, 1) or workers < 2:
            return 1
        return min(math.ceil(size / share), workers, MOST_PARTS)

    return parts
