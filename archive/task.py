"""One scan on a worker: fetch it, look whether it has changed, let a warm process reconstruct it, publish the result."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smug_recon.archive.fetch import Job, content_hash, fetched, fetched_again
from smug_recon.archive.process import told
from smug_recon.archive.record import DONE, FAILED, Record, error_of
from smug_recon.archive.results import INCOMPLETE, Results
from smug_recon.archive.storage import reached
from smug_recon.archive.warm import PoolGone, WarmPool
from smug_recon.errors import DataError, SmugReconError

log = logging.getLogger(__name__)

SAME, UNWRITTEN = "same", "unwritten"
Part = Mapping[str, str]


def reconstruct_scan(job: Job, parts: Sequence[Part] = ()) -> dict[str, Any]:
    """The task: what came of a scan, in a few words; its record lies in the manifest, unless that cannot be written."""
    try:
        return work(job, pool_here(job), parts)
    except (SmugReconError, OSError) as error:  # our errors do not travel: they have no pickle
        return {
            "path": job["path"],
            "status": UNWRITTEN,
            "fallbacks": 0,
            "reason": str(error),
            "error": error_in_words(error),
        }


def reconstruct_part(job: Job, number: int, count: int) -> Part:
    """The task for one part of a large scan: where its images lie, and the hash of what they were made of."""
    return work_on_part(job, pool_here(job), number, count)


def pool_here(job: Job) -> WarmPool:
    """The pool of the job's run on the Dask worker that runs this task; PoolGone where there is none any more."""
    from distributed import get_worker

    pool = get_worker().plugins.get(job["pool"])
    if pool is None:
        raise PoolGone("no pipeline and model on this worker")
    assert isinstance(pool, WarmPool)
    return pool


def work(job: Job, pool: WarmPool, parts: Sequence[Part] = ()) -> dict[str, Any]:
    """Reconstruct the scan of a job with the processes of a pool; OSError, OutputError where not even a failure can be written."""
    results, record = Results(job["out"]), blank(job)
    try:
        with results.scratch() as scratch, reached(f"{job['source']} or {job['out']}"):
            return said(_attempted(job, pool, results, record, scratch, parts))
    except (SmugReconError, OSError) as error:
        return said(failed(results, record, error_in_words(error)))
    finally:
        for part in parts:
            results.drop(part["place"])


def work_on_part(job: Job, pool: WarmPool, number: int, count: int) -> Part:
    """Make one part of a scan; ``place`` is empty where that failed: the scan is then reconstructed in one piece."""
    results = Results(job["out"])
    try:
        with results.scratch() as scratch, reached(f"{job['source']} or {job['out']}"):
            raw, made = fetched(job, scratch), scratch / "result"
            request = {**_request(job, pool, raw, made, scratch), "part": number, "parts": count}
            answer = _asked(request, job, pool, scratch)
            if "error" in answer:
                log.warning("part %d of %d of %s: %s", number, count, job["path"], answer["error"]["found"])
                return {"place": "", "sha256": ""}
            place = f"{INCOMPLETE}/{scratch.name}.{number}.part"
            results.keep(made / "part.npz", place)
            return {"place": place, "sha256": content_hash(raw)}
    except (SmugReconError, OSError) as error:
        log.warning("part %d of %d of %s: %s", number, count, job["path"], error)
        return {"place": "", "sha256": ""}


def blank(job: Job) -> Record:
    """The record of a scan before anything has come of it."""
    about = {
        name: job[name] for name in ("path", "bytes", "modified", "wanted", "pipeline", "model", "version")
    }
    return Record(status=FAILED, **about)


def said(record: Record, same: bool = False) -> dict[str, Any]:
    """What the client needs to know."""
    return {
        "path": record.path,
        "status": SAME if same else record.status,
        "fallbacks": record.fallbacks,
        "reason": record.reason[:400],
    }


def failed(results: Results, record: Record, error: Mapping[str, Any]) -> Record:
    """Book a failure: an earlier result of other data or settings does not stay under this name."""
    record = dataclasses.replace(record, status=FAILED, error=error_of(error))
    with results.scratch() as scratch, reached(results.url):
        made = scratch / "result"
        made.mkdir()
        (made / "node.log").write_text(record.reason + "\n", encoding="utf-8")
        results.publish(made, record)
    return record


def error_in_words(error: Exception) -> dict[str, str]:
    """Any error as plain data."""
    if isinstance(error, SmugReconError):
        return told(type(error).__name__, error.found, error.expected, error.remedy)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return told(
        type(error).__name__, text, "storage that can be read and written", "run again with --retry-failed"
    )


def _request(job: Job, pool: WarmPool, raw: Path, made: Path, scratch: Path) -> dict[str, Any]:
    """What a warm process is told of a scan."""
    return {
        "raw": str(raw),
        "out": str(made),
        "scratch": str(scratch / "temporary"),
        "pipeline": None if job["own_settings"] else str(pool.pipeline),
        "overrides": job["overrides"] if job["own_settings"] else {},
        "wanted": job["outputs"],
        "patience_s": job["time_limit_s"],
    }


def _asked(request: Mapping[str, Any], job: Job, pool: WarmPool, scratch: Path) -> dict[str, Any]:
    """The answer of a warm process, whose temporary files go."""
    (scratch / "temporary").mkdir(exist_ok=True)
    try:
        with pool.process() as process:
            answer = process.ask(request, job["time_limit_s"])
        if "error" in answer and pool.gone:  # the fault is not the scan's
            raise PoolGone("the worker ends, or its client has gone")
        return answer
    finally:
        shutil.rmtree(scratch / "temporary", ignore_errors=True)


def _joined(results: Results, parts: Sequence[Part], sha256: str, scratch: Path) -> list[str]:
    """The parts on a disk of this machine, if all of them are there and of these data; else none."""
    if not parts or any(not part["place"] or part["sha256"] != sha256 for part in parts):
        return []
    if results.local:
        return [results.place(part["place"]) for part in parts]
    copies = [str(scratch / f"{number}.npz") for number in range(len(parts))]
    for part, copy in zip(parts, copies, strict=True):
        results.files.get_file(results.place(part["place"]), copy)
    return copies


def _attempted(
    job: Job, pool: WarmPool, results: Results, record: Record, scratch: Path, parts: Sequence[Part]
) -> Record:
    raw = fetched(job, scratch)
    sha256 = content_hash(raw)
    known = job["known"]
    record = dataclasses.replace(record, sha256=sha256)
    if known is not None and known["sha256"] == sha256 and known["answers"]:
        (before,) = results.records([job["path"]])
        if before is not None:  # touched, copied anew: the same bytes
            before = dataclasses.replace(before, bytes=record.bytes, modified=record.modified)
            results.write_record(before)
            return before
    made = scratch / "result"
    joined = _joined(results, parts, sha256, scratch)
    for attempt in range(1, int(job["attempts"]) + 1):
        shutil.rmtree(made, ignore_errors=True)
        request = {**_request(job, pool, raw, made, scratch), "joined": joined}
        answer = _asked(request, job, pool, scratch)
        record = dataclasses.replace(record, attempts=attempt, parts=max(len(joined), 1))
        if "error" in answer and joined:
            joined = []  # in one piece
            continue
        if not answer.pop("died", False):
            break
    if "error" in answer:
        texts = {name: _clean(str(text), job, raw, scratch) for name, text in answer["error"].items()}
        return _published_failure(results, dataclasses.replace(record, error=error_of(texts)), made)
    if fetched_again(job) != (record.bytes, record.modified):
        error = DataError(
            "a file that changed while it was read", "a file at rest", "run again when it is complete"
        )
        return _published_failure(
            results, dataclasses.replace(record, error=error_of(error_in_words(error))), made
        )
    record = dataclasses.replace(record, status=DONE, **answer)
    results.publish(made, record)
    return record


def _published_failure(results: Results, record: Record, made: Path) -> Record:
    """Keep the log of a failure, and nothing that looks like images."""
    made.mkdir(exist_ok=True)
    for path in made.iterdir():
        if path.name != "node.log":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    results.publish(made, record)
    return record


def _clean(text: str, job: Job, raw: Path, scratch: Path) -> str:
    """A text without the paths of this machine."""
    for path, name in ((str(raw), job["path"]), (f"{scratch / 'result'}/", ""), (str(scratch), ".")):
        text = text.replace(path, name)
    return text
