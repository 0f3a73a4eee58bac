"""What surrounds the measurements: turns, ratios, records, the guard, the page."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_recon.benchmarks.guard import KEPT, losses, recorded_results
from smug_recon.benchmarks.interleave import Times, cpu_seconds, interleave, ratio
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.page import BEGIN, END, renew, results_in
from smug_recon.benchmarks.record import (
    TIMES,
    Curve,
    Result,
    Row,
    markdown,
    read_result,
    speed_row,
    write_result,
)
from smug_recon.benchmarks.registry import ALL, GUARDED, benchmark
from smug_recon.benchmarks.session import without_aims
from smug_recon.errors import ConfigurationError, DataError

SECONDS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=7)


def result(cpu_ratio: float = 10.0, cpu: str = "a processor", size: str = "full") -> Result:
    row = Row(
        "ours against theirs", TIMES, 9.0, 8.0, 11.0, 12.0, accuracy={"error": 1e-5}, cpu_ratio=cpu_ratio
    )
    memory = Row("peak", "MB", 900.0, 900.0, 900.0, 1500.0, at_least=False)
    curve = Curve("cost against coils", "coils", [2.0, 4.0], [0.1, 0.2], [10.0, 20.0])
    return Result("smug", size, "about it", {**machine(), "cpu": cpu}, [row, memory], [curve])


def test_candidates_take_turns() -> None:
    order: list[str] = []
    cases = {name: lambda name=name: order.append(name) or name for name in "ab"}
    times, found = interleave(cases, rounds=3, warm_up=1)
    assert order == ["a", "b"] * 4
    assert found == {"a": "a", "b": "b"}
    assert all(len(own.wall_s) == len(own.cpu_s) == 3 for own in times.values())


@given(SECONDS, st.floats(1e-2, 1e2))
def test_a_ratio_lies_in_its_range_and_knows_a_common_factor(base: list[float], factor: float) -> None:
    found = ratio([factor * own for own in base], base)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(factor) == pytest.approx(found.low)


def test_processor_time_counts_child_processes() -> None:
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
    assert cpu_seconds() > before


def test_a_row_says_how_many_times_faster() -> None:
    times = {"slow": Times([4.0, 6.0], [8.0, 8.0]), "fast": Times([2.0, 2.0], [2.0, 2.0])}
    row = speed_row("fast against slow", times, "slow", "fast", 2.0)
    assert (row.value, row.low, row.high, row.cpu_ratio, row.met) == (2.5, 2.0, 3.0, 4.0, True)
    assert replace(row, aim=3.0).met is False
    assert without_aims(Result("x", "quick", "", {}, [row])).rows[0].met is None


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_result(result(), tmp_path)
    assert read_result(path) == result()
    text = markdown(result())
    for part in ("missed", "reached", "at least 12", "at most 1500", "error 1e-05", "a processor", "10.00"):
        assert part in text
    path.write_text("{}")
    with pytest.raises(DataError, match="bench again"):
        read_result(path)


@pytest.mark.parametrize(
    ("now", "cpu", "lost"),
    [
        (10 * KEPT + 0.1, "a processor", 0),
        (10 * KEPT - 0.1, "a processor", 1),
        (10 * KEPT - 0.1, "another", 0),
        (10 * KEPT / 2 - 0.1, "another", 1),
    ],
)
def test_the_guard_finds_a_clear_loss(now: float, cpu: str, lost: int) -> None:
    before = {("smug", "full"): result(10.0)}
    found, compared = losses([result(now, cpu)], before)
    assert (len(found), compared) == (lost, 1)
    assert all("recorded 10 times" in str(loss) for loss in found)


def test_the_guard_compares_equal_sizes_only() -> None:
    assert losses([result(0.1, size="quick")], {("smug", "full"): result()}) == ([], 0)


def test_what_is_recorded_can_be_read_and_covers_what_is_guarded() -> None:
    recorded = recorded_results()
    assert {(name, "quick") for name in GUARDED} <= set(recorded)
    for found in recorded.values():
        assert (
            any(row.unit == TIMES and row.cpu_ratio for row in found.rows) or found.benchmark not in GUARDED
        )


def test_a_page_is_renewed_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_result(result(), tmp_path)
    for _ in range(2):
        renew(page, results_in(tmp_path))
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text and text.count("ours against theirs") == 1
    page.write_text("no markers")
    with pytest.raises(DataError, match="markers"):
        renew(page, results_in(tmp_path))


def test_the_page_of_this_project_has_its_markers() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_every_name_is_a_benchmark() -> None:
    for name in ALL:
        assert callable(benchmark(name))
    with pytest.raises(ConfigurationError, match="data-consistency"):
        benchmark("nothing")
