"""Raw files in a bucket, results in a bucket: objects first, the record last, everything by the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from archive_trees import write_tree
from fake_process import SIGNATURE

from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Terms
from smug_recon.archive.record import DONE
from smug_recon.archive.results import Results
from smug_recon.archive.run import Outcome, Watcher, archive, booking, plan
from smug_recon.archive.scans import raw_scans
from smug_recon.archive.summary import summarise
from smug_recon.archive.task import work
from smug_recon.archive.warm import WarmPool
from smug_recon.errors import OutputError

server = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]'")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on the loopback interface."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """``s3://...`` of an empty bucket, found as a worker finds it: by the settings of fsspec."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint})
    name = "scans"
    files = fsspec.filesystem("s3", use_listings_cache=False)
    if files.exists(name):
        files.rm(name, recursive=True)
    files.mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


def put(url: str, what: str) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(SIGNATURE + what.encode())


def run(bucket: str, order: Order, pool: WarmPool) -> Outcome:
    """An archive from bucket to bucket, its tasks in this process."""
    import io
    import json

    terms, results, listed = (
        Terms(f"{bucket}/raw", f"{bucket}/out", 60.0),
        Results(f"{bucket}/out"),
        io.StringIO(),
    )
    found = raw_scans(results.files, f"{bucket}/raw".removeprefix("s3://"), leave_out=results.root)
    outcome = Outcome(plan(found, results, order, terms, listed))
    book = booking(results, outcome, type("Silent", (), {"ended": lambda self, answer: None})())
    for line in listed.getvalue().splitlines():
        book(json.loads(line), work(json.loads(line), pool), None)
    summarise(results)
    return outcome


def test_from_bucket_to_bucket(
    bucket: str, order: Order, pool: WarmPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    put(f"{bucket}/raw/a.h5", "image 1")
    put(f"{bucket}/raw/sub/b.h5", "fail")
    put(f"{bucket}/raw/20261121-123522-7f3a1c/stream.mrd", "image 2")
    outcome = run(bucket, order, pool)
    assert (outcome.tasks, outcome.done, outcome.failed) == (3, 2, 1)
    files = fsspec.filesystem("s3", use_listings_cache=False)
    assert files.cat_file("scans/out/scans/a.h5/images.h5") == b"images of " + SIGNATURE + b"image 1"
    names = {path.removeprefix("scans/out/") for path in files.find("scans/out")}
    assert names == {
        *("index.html", "scans.csv", "scans.parquet"),
        *(f"manifest/{name}.json" for name in ("a.h5", "sub/b.h5", "20261121-123522-7f3a1c")),
        *(f"scans/a.h5/{name}" for name in ("images.h5", "node.log", "dicom/1.dcm")),
        *(f"scans/20261121-123522-7f3a1c/{name}" for name in ("images.h5", "node.log", "dicom/1.dcm")),
        "scans/sub/b.h5/node.log",
    }
    assert list(tmp_path.glob("smug-recon-archive-*")) == []
    assert run(bucket, order, pool).tasks == 0
    put(f"{bucket}/raw/a.h5", "fail")  # what it leaves behind is removed
    assert run(bucket, order, pool).tasks == 1
    assert [path.rsplit("/", 1)[1] for path in files.find("scans/out/scans/a.h5")] == ["node.log"]


def test_a_storage_error_fails_one_scan_and_is_retried_on_demand(
    bucket: str, order: Order, pool: WarmPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{bucket}/raw/a.h5", "image")
    put(f"{bucket}/raw/b.h5", "image")
    files = Results(bucket).files
    get: Callable[..., Any] = files.get

    def unreachable(place: str, *arguments: Any, **options: Any) -> Any:
        if place.endswith("a.h5"):
            raise OSError("the storage does not answer")
        return get(place, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(files, "get", unreachable)
        outcome = run(bucket, order, pool)
    assert (outcome.done, outcome.failed) == (1, 1)
    first, second = Results(f"{bucket}/out").records(["a.h5", "b.h5"])
    assert first is not None and "the storage does not answer" in first.reason
    assert second is not None and second.status == DONE


def test_a_storage_that_goes_in_mid_run_is_said_and_the_next_run_does_the_rest(
    fakes: None, scheduler: str, order: Order, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are refused: botocore has an error of its own for them, which is no OSError."""
    raw = write_tree(tmp_path / "raw", **{f"s{number}": "slow" for number in range(9)})
    passing = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    passing.start()  # a second door to the same objects
    host, port = passing.get_host_and_port()
    settings = {"endpoint_url": f"http://{host}:{port}", "config_kwargs": {"retries": {"max_attempts": 0}}}
    terms = Terms(str(raw), f"{bucket}/out")

    class Closing(Watcher):
        def ended(self, answer: dict[str, Any]) -> None:
            passing.stop()

    with monkeypatch.context() as patch:
        patch.setitem(fsspec.config.conf, "s3", settings)
        s3fs.S3FileSystem.clear_instance_cache()
        with pytest.raises(OutputError, match=r"out, which cannot be reached \(.*run the same command again"):
            archive(order, terms, Where(scheduler), watcher=Closing())
        with pytest.raises(OutputError, match="cannot be reached"):
            archive(order, terms, Where(scheduler))
    s3fs.S3FileSystem.clear_instance_cache()
    before = [record.status for record in Results(terms.out).all_records()]
    assert 0 < len(before) < 9 and set(before) == {DONE}
    outcome = archive(order, terms, Where(scheduler))
    assert (outcome.done, outcome.failed) == (9 - len(before), 0)
    assert len(list(Results(terms.out).all_records())) == 9


def test_a_kill_between_objects_and_record_leaves_no_result(
    bucket: str, order: Order, pool: WarmPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    put(f"{bucket}/raw/a.h5", "image 1")
    with monkeypatch.context() as patch:
        patch.setattr(Results, "write_record", killed)
        with pytest.raises(Killed):
            run(bucket, order, pool)
    assert Results(f"{bucket}/out").records(["a.h5"]) == [None]
    assert run(bucket, order, pool).done == 1
    put(f"{bucket}/raw/a.h5", "image 2")
    with monkeypatch.context() as patch:
        patch.setattr(Results(bucket).files, "put", killed)
        with pytest.raises(Killed):
            run(bucket, order, pool)
    assert Results(f"{bucket}/out").records(["a.h5"]) == [None]  # before the old objects are touched
    assert run(bucket, order, pool).done == 1
