"""The manifest: a record is whole or is none, a result without a record does not count, what is wanted is told by hashes."""

from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path
from typing import Any

import pytest
from archive_trees import content, write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.archive import results as results_module
from smug_recon.archive.order import Order, Outputs, order_of
from smug_recon.archive.plan import Planned, Terms, jobs, plan
from smug_recon.archive.record import DONE, FAILED, Record, read_record
from smug_recon.archive.results import Results
from smug_recon.archive.scans import raw_scans
from smug_recon.errors import ModelError, OutputError

RECORD = Record(
    "a/b.h5", DONE, 7, "1.5", "0" * 64, "1" * 64, images=2, series={"images_1": 2}, warnings=["ä <b>"]
)
texts = st.text(max_size=20)


@given(
    st.builds(
        Record,
        path=texts,
        status=st.sampled_from([DONE, FAILED]),
        bytes=st.integers(0, 2**60),
        warnings=st.lists(texts, max_size=3),
        error=st.dictionaries(texts, texts, max_size=2),
        seconds=st.floats(0, 1e6),
    )
)
@settings(max_examples=50)
def test_a_record_reads_back(record: Record) -> None:
    assert read_record(record.content()) == record


def test_a_record_cut_short_at_any_byte_is_none() -> None:
    whole = RECORD.content()
    assert read_record(whole) == RECORD
    for length in range(len(whole) - 1):  # the last byte is the end of the line
        assert read_record(whole[:length]) is None, length


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        FileNotFoundError(),
        None,
        RECORD.content() + b"{}",
    ],
)
def test_what_is_no_record_is_none(other: Any) -> None:
    assert read_record(other) is None


@pytest.mark.parametrize(
    "change", [{"status": "running"}, {"format": 2}, {"images": "2"}, {"images": True}, {"more": 1}]
)
def test_a_record_of_another_kind_is_none(change: dict[str, Any]) -> None:
    import json

    assert read_record(json.dumps({**json.loads(RECORD.content()), **change}).encode()) is None


class Killed(BaseException):
    """The process ends here."""


def made_result(folder: Path, text: str) -> Path:
    made = folder / "result"
    (made / "dicom").mkdir(parents=True)
    (made / "images.h5").write_text(text)
    (made / "dicom" / "1.dcm").write_text(text)
    return made


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_a_kill_at_any_step_leaves_no_half_result(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that touch the disk (or the store) are cut off one after the other; the old result is there before."""
    out = str(tmp_path / "out") if place == "disk" else f"memory://{tmp_path.name}/out"
    old, new = RECORD, dataclasses.replace(RECORD, sha256="2" * 64)
    steps, stop_at = [0], [0]

    def cut(function: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            steps[0] += 1
            if steps[0] == stop_at[0]:
                raise Killed
            return function(*arguments, **options)

        return step

    def state() -> tuple[Record | None, set[str]]:
        results = Results(out)
        (record,) = results.records([RECORD.path])
        top = results.place("scans", RECORD.path)
        files = results.files.find(top) if results.files.exists(top) else []
        return record, {results.files.cat_file(path).decode() for path in files}

    seen = []
    for last in range(1, 60):
        with Results(out).scratch() as scratch:
            Results(out).publish(made_result(scratch, "old"), old)
        assert state() == (old, {"old"})
        results = Results(out)
        with monkeypatch.context() as patch, results.scratch() as scratch:
            made = made_result(scratch, "new")
            patch.setattr(Path, "rename", cut(Path.rename))
            patch.setattr(Path, "replace", cut(Path.replace))
            patch.setattr(Path, "write_bytes", cut(Path.write_bytes))
            patch.setattr(os, "fsync", cut(os.fsync))
            for name in ("rm_file", "rm", "pipe_file", "put_file"):
                patch.setattr(results.files, name, cut(getattr(results.files, name)))
            steps[0], stop_at[0] = 0, last
            try:
                results.publish(made, new)
                killed = False
            except Killed:
                killed = True
        record, found = state()
        assert record in (None, old, new)
        if record is not None:
            assert found == {"old" if record == old else "new"}
        seen.append(record)
        if not killed:
            break
    else:
        pytest.fail("publish has no end")
    assert seen[-1] == new and None in seen and len(seen) > 4


def test_what_a_kill_left_under_way_is_swept_and_what_runs_is_not(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    with results.scratch() as running:
        (tmp_path / ".incomplete" / "left").mkdir()
        (tmp_path / ".incomplete" / "left" / "owner").write_bytes(b"")
        (tmp_path / ".incomplete" / "young.part").write_bytes(b"")
        assert results.sweep() == 1
        assert running.is_dir() and not (tmp_path / ".incomplete" / "left").exists()
        assert (tmp_path / ".incomplete" / "young.part").exists()


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results_module.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        Results(str(tmp_path)).write_record(RECORD)
    assert Results(str(tmp_path)).records([RECORD.path]) == [None]
    assert not list((tmp_path / ".incomplete").iterdir())


def planned(tree: Path, out: Path, order: Order, **terms: Any) -> tuple[Planned, list[dict[str, Any]]]:
    listed = io.StringIO()
    results = Results(str(out))
    found = plan(
        raw_scans(results.files, str(tree)), results, order, Terms(str(tree), str(out), **terms), listed
    )
    return found, list(jobs(listed))


def test_only_what_is_missing_or_changed_is_planned(tmp_path: Path, order: Order) -> None:
    tree, out = write_tree(tmp_path / "raw", a="image", b__c="image", d="image"), tmp_path / "out"
    found, todo = planned(tree, out, order)
    assert (found.scans, found.jobs, found.done) == (3, 3, 0)
    assert sorted(job["path"] for job in todo) == ["a.h5", "b/c.h5", "d.h5"]
    done = {
        job["path"]: Record(
            job["path"],
            DONE,
            job["bytes"],
            job["modified"],
            "0" * 64,
            job["wanted"],
            version=order.version,
            fallbacks=1,
        )
        for job in todo
    }
    results = Results(str(out))
    for record in done.values():
        results.write_record(record)
    found, todo = planned(tree, out, order)
    assert (found.scans, found.jobs, found.done, found.fallbacks) == (3, 0, 3, 3) and todo == []

    os.utime(tree / "a.h5", (1, 1))
    write_tree(tree, b__c="another image")
    _, todo = planned(tree, out, order)
    assert {job["path"]: job["known"]["answers"] for job in todo} == {"a.h5": True, "b/c.h5": True}
    results.write_record(dataclasses.replace(done["d.h5"], status=FAILED))
    assert [job["path"] for job in planned(tree, out, order)[1]] == ["a.h5", "b/c.h5"]
    assert planned(tree, out, order)[0].failed_before == 1
    assert len(planned(tree, out, order, retry_failed=True)[1]) == 3
    results.write_record(dataclasses.replace(done["d.h5"], version="0.0.0"))
    assert len(planned(tree, out, order)[1]) == 2
    assert len(planned(tree, out, order, same_version=True)[1]) == 3
    record_of_a = Path(results.record_place("a.h5"))
    record_of_a.write_bytes(record_of_a.read_bytes()[:-9])
    assert {job["path"]: job["known"] for job in planned(tree, out, order)[1]}["a.h5"] is None


@pytest.mark.parametrize(
    "other",
    [
        order_of(None, {"device": "cpu", "seed": "1"}),
        order_of(None, {"device": "cpu"}, Outputs(dicom=False)),
        order_of(None, {"device": "cpu", "model.sha256": "a" * 64}),
    ],
    ids=["pipeline", "outputs", "model"],
)
def test_another_order_is_another_hash(other: Order, order: Order) -> None:
    assert other.wanted() != order.wanted()


def test_the_device_and_the_place_of_the_model_are_no_other_order(order: Order, tmp_path: Path) -> None:
    assert order_of(None, {"device": "auto"}).wanted() == order.wanted()
    model = tmp_path / "copy.pt"
    model.write_bytes(order.pipeline.model_path.read_bytes())
    assert order_of(None, {"model.file": str(model)}).wanted() == order.wanted()
    assert order.model() == model.read_bytes()


def test_spools_have_their_own_settings_unless_a_pipeline_is_given(order: Order) -> None:
    assert order.wanted(spool=True) != order.wanted()
    given_one = order_of("smug-cartesian", {"device": "cpu"})
    assert given_one.wanted(spool=True) == given_one.wanted() == order.wanted()


def test_a_model_of_another_hash_is_refused_before_anything_starts(order: Order, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="as the pipeline says"):
        order_of(None, {"model.sha256": "a" * 64}).model()


def test_the_settings_of_a_worker_are_those_of_the_client(order: Order, tmp_path: Path) -> None:
    from smug_recon.pipeline import load_pipeline

    (tmp_path / "pipeline.yaml").write_text(order.settings_yaml())
    found = load_pipeline(tmp_path / "pipeline.yaml")
    assert found.sha256 == order.pipeline.sha256 and found.device == "cpu"
    assert found.model_path == tmp_path / "model.pt"


def test_a_written_file_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    for text in (b"one", b"two"):
        results.write("index.html", text)
    assert content(tmp_path) == {"index.html": b"two"}
