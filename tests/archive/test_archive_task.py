"""One scan on a worker: whatever its file does, there is a result or a reason, and the worker lives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from archive_trees import content, state, whole, write_tree
from fake_process import SIGNATURE

from smug_recon.archive import task
from smug_recon.archive.fetch import content_hash
from smug_recon.archive.record import DONE, FAILED, Record
from smug_recon.archive.results import Results
from smug_recon.archive.task import work
from smug_recon.archive.warm import WarmPool

Jobs = Callable[..., list[dict[str, Any]]]


def record_of(out: Path | str, path: str) -> Record:
    (record,) = Results(str(out)).records([path])
    assert record is not None
    return record


def test_a_result_is_whole_and_nothing_else_is_left(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw, out = write_tree(tmp_path / "raw", sub__a="image"), tmp_path / "out"
    (job,) = jobs(raw, out)
    answer = work(job, pool)
    assert (answer["status"], answer["fallbacks"], answer["reason"]) == (DONE, 0, "")
    assert set(content(out)) == {
        "manifest/sub/a.h5.json",
        *(f"scans/sub/a.h5/{name}" for name in ("images.h5", "node.log", "dicom/1.dcm")),
    }
    whole(out, raw)
    record = record_of(out, "sub/a.h5")
    assert (record.images, record.attempts, record.sha256) == (3, 1, content_hash(raw / "sub" / "a.h5"))
    assert list((out / ".incomplete").iterdir()) == []


@pytest.mark.parametrize(
    ("what", "attempts", "says"),
    [("segv", 2, "SIGSEGV"), ("fail", 1, "a hole in a.h5"), ("hang", 1, "no end after")],
)
def test_a_failure_has_its_reason_and_the_next_scan_is_done(
    what: str, attempts: int, says: str, tmp_path: Path, pool: WarmPool, jobs: Jobs
) -> None:
    raw, out = write_tree(tmp_path / "raw", a=what, b="image"), tmp_path / "out"
    first, second = jobs(raw, out, attempts=2, time_limit_s=1.0 if what == "hang" else 60.0)
    answer = work(first, pool)
    assert answer["status"] == FAILED and says in answer["reason"]
    record = record_of(out, "a.h5")
    assert record.attempts == attempts and all(record.error.values())
    assert str(tmp_path) not in record.reason  # no path of this machine
    assert content(out / "scans") == {"a.h5/node.log": f"{what}\n".encode()}
    assert work({**second, "time_limit_s": 60.0}, pool)["status"] == DONE
    whole(out, raw)


def test_a_process_that_dies_once_is_tried_again(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw, out = write_tree(tmp_path / "raw", a="once"), tmp_path / "out"
    assert work(jobs(raw, out)[0], pool)["status"] == DONE
    assert record_of(out, "a.h5").attempts == 2


def test_a_process_is_kept_and_one_that_is_stuck_is_not(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw = write_tree(tmp_path / "raw", a="image", b="image", c="last", d="image")
    for job in jobs(raw, tmp_path / "out"):
        assert work(job, pool)["status"] == DONE
    assert pool.started == 2


def test_a_process_that_hangs_is_gone_with_its_pool(tmp_path: Path, pool: WarmPool) -> None:
    with pool.process() as process:
        pid = process.pid
    pool.teardown(None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_same_bytes_again_are_not_reconstructed(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    work(jobs(raw, out)[0], pool)
    before = state(out / "scans" / "a.h5" / "images.h5")
    known = {"sha256": record_of(out, "a.h5").sha256, "answers": True}
    os.utime(raw / "a.h5", (5, 5))
    assert work(jobs(raw, out, known)[0], pool)["status"] == DONE
    assert state(out / "scans" / "a.h5" / "images.h5") == before
    assert record_of(out, "a.h5").modified == "5.0"
    write_tree(raw, a="image 2")
    work(jobs(raw, out, known)[0], pool)
    whole(out, raw)


def test_a_failure_takes_the_place_of_an_earlier_result(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    work(jobs(raw, out)[0], pool)
    write_tree(raw, a="fail")
    work(jobs(raw, out)[0], pool)
    assert list(content(out / "scans")) == ["a.h5/node.log"]


def test_a_file_that_changes_while_it_is_read_is_no_result(
    tmp_path: Path, pool: WarmPool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    (job,) = jobs(raw, out)
    hashed = content_hash

    def then_changed(path: Path) -> str:
        found = hashed(path)
        write_tree(raw, a="image and more")
        return found

    monkeypatch.setattr(task, "content_hash", then_changed)
    assert "changed while it was read" in work(job, pool)["reason"]


def test_a_file_that_is_gone_is_a_failure(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    (job,) = jobs(raw, out)
    (raw / "a.h5").unlink()
    assert "No such file" in work(job, pool)["reason"]
    assert record_of(out, "a.h5").status == FAILED


def test_remote_files_are_read_from_a_copy_that_goes(
    tmp_path: Path, pool: WarmPool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        task.tempfile if hasattr(task, "tempfile") else __import__("tempfile"), "tempdir", str(tmp_path)
    )
    base = f"memory://{tmp_path.name}"
    for name in ("raw/x/a.h5", "raw/20261121-123522-7f3a1c/stream.mrd"):
        with fsspec.open(f"{base}/{name}", "wb") as file:
            file.write(SIGNATURE + b"image")
    found = jobs(f"{base}/raw", f"{base}/out")
    assert [job["spool"] for job in sorted(found, key=lambda job: job["path"])] == [True, False]
    for job in found:
        assert work(job, pool)["status"] == DONE
    files = fsspec.filesystem("memory")
    names = {path.removeprefix(f"/{tmp_path.name}/out/") for path in files.find(f"/{tmp_path.name}/out")}
    assert {"manifest/x/a.h5.json", "scans/x/a.h5/images.h5", "scans/x/a.h5/dicom/1.dcm"} <= names
    assert not list(tmp_path.glob("smug-recon-archive-*"))


def test_no_room_for_a_copy_is_said(
    tmp_path: Path, pool: WarmPool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"memory://{tmp_path.name}"
    with fsspec.open(f"{base}/raw/a.h5", "wb") as file:
        file.write(SIGNATURE)
    (job,) = jobs(f"{base}/raw", f"{base}/out")
    assert "no room for a copy" in work({**job, "bytes": 2**60}, pool)["reason"]


def test_the_hash_of_a_spool_is_that_of_names_and_contents(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "stream.mrd").write_bytes(b"ab")
    one = content_hash(spool)
    (spool / "owner").write_bytes(b"locked")
    assert content_hash(spool) == one
    (spool / "stream.mrd").rename(spool / "other.mrd")
    assert content_hash(spool) != one


def test_time_is_not_wasted_on_a_process_that_is_gone(tmp_path: Path, pool: WarmPool, jobs: Jobs) -> None:
    raw = write_tree(tmp_path / "raw", a="segv")
    began = time.monotonic()
    work(jobs(raw, tmp_path / "out", time_limit_s=500.0)[0], pool)
    assert time.monotonic() - began < 400
