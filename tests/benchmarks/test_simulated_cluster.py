"""The simulated cluster obeys the laws that every such cluster obeys: nothing is faster than its slowest station."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.benchmarks.simulated_cluster import Costs, Shared, drawn, simulate, table

FREE = Costs(scheduler_s=0.0, read_bytes=1.0, written_bytes=1.0, storage_bytes_s=1e15, line_bytes_s=1e15)


def test_with_nothing_in_the_way_workers_are_all_that_counts() -> None:
    for scans, workers in ((12, 4), (13, 4), (5, 1), (3, 100)):
        found = simulate([2.0] * scans, workers, FREE)
        assert found.seconds == pytest.approx(2.0 * math.ceil(scans / workers))
        assert found.workers == pytest.approx(scans * 2.0 / workers / found.seconds)


def test_a_slow_scheduler_sets_the_pace() -> None:
    found = simulate([0.1] * 2000, 1000, Costs(**{**vars(FREE), "scheduler_s": 0.01}))
    assert found.seconds == pytest.approx(2000 * 0.01, rel=0.02)
    assert found.scheduler == pytest.approx(1, rel=0.02)


def test_a_slow_storage_sets_the_pace() -> None:
    costs = Costs(0.0, read_bytes=9.0, written_bytes=1.0, storage_bytes_s=100.0, line_bytes_s=50.0)
    found = simulate([0.5] * 1000, 200, costs)
    assert (
        1000 * 10 / 100 <= found.seconds <= 1000 * 10 / 100 * 1.05
    )  # it idles while the first and last scans compute
    assert found.storage == pytest.approx(1000 * 10 / 100 / found.seconds)


def test_one_worker_does_one_thing_after_the_other() -> None:
    costs = Costs(0.0, read_bytes=10.0, written_bytes=5.0, storage_bytes_s=100.0, line_bytes_s=10.0)
    found = simulate([1.0, 2.0, 3.0], 1, costs)
    assert found.seconds == pytest.approx(1 + 2 + 3 + 3 * 15 / 10)


def test_transfers_share_evenly_and_none_beyond_its_line() -> None:
    storage = Shared(10.0, 8.0)
    storage.begin(0.0, 8.0, 1)
    assert storage.next_end() == pytest.approx(1.0)
    storage.begin(0.5, 8.0, 2)  # the first has moved 4 of its 8; now 5 a second for each
    assert storage.next_end() == pytest.approx(0.5 + 4 / 5)
    assert storage.end(storage.next_end()) == 1
    assert storage.next_end() == pytest.approx(1.3 + 4 / 8)


@settings(max_examples=30, deadline=None)
@given(
    workers=st.integers(1, 40),
    scans=st.integers(1, 120),
    mean=st.floats(0.01, 10),
    scheduler=st.floats(0, 0.5),
    size=st.floats(1, 1e3),
)
def test_no_run_is_faster_than_any_of_its_stations(
    workers: int, scans: int, mean: float, scheduler: float, size: float
) -> None:
    costs = Costs(scheduler, size, size / 3, storage_bytes_s=500.0, line_bytes_s=200.0)
    seconds = drawn(scans, mean, 0.5, None).tolist()
    found = simulate(seconds, workers, costs)
    bounds = (sum(seconds) / workers, scans * scheduler, scans * size * 4 / 3 / 500, max(seconds))
    assert found.seconds >= max(bounds) * (1 - 1e-9)
    assert found.seconds <= sum(seconds) + scans * (scheduler + size * 4 / 3 / 200) * (1 + 1e-9)
    for share in (found.scheduler, found.storage, found.workers):
        assert 0 <= share <= 1 + 1e-9
    assert found.scheduler * found.seconds == pytest.approx(scans * scheduler)


def test_the_table_names_what_limits(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text("status,seconds\ndone,2\nfailed,99\ndone,2\n")
    seconds = drawn(200, 0.0, 0.0, tmp_path / "scans.csv").tolist()
    assert seconds == [2.0] * 200
    few, many = table(seconds, (2, 100), Costs(**{**vars(FREE), "scheduler_s": 0.1}))[2:]
    assert few.endswith("| workers |") and many.endswith("| scheduler |")
