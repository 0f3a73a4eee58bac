"""The measurements themselves at their smallest size: they run, and what they say about accuracy holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import ismrmrd
import pytest
import torch

from smug_recon.benchmarks.memory import peak_of, repeated
from smug_recon.benchmarks.record import TIMES, Result
from smug_recon.benchmarks.registry import benchmark
from smug_recon.benchmarks.scene import scan_of
from smug_recon.benchmarks.sizes import SIZES

QUICK = SIZES["quick"]


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    yield
    torch.set_rng_state(state)
    torch.set_num_threads(threads)


def measured(name: str) -> Result:
    found = benchmark(name)(QUICK)
    assert found.size == "quick" and found.machine["cpu"] and (found.rows or found.curves)
    for row in found.rows:
        assert row.low <= row.value <= row.high and math.isfinite(row.value)
        assert row.unit != TIMES or (row.value > 0 and row.cpu_ratio is not None)
    return found


def accuracy(found: Result, name: str) -> list[float]:
    return [row.accuracy[name] for row in found.rows if name in row.accuracy]


def test_ours_is_the_authors_algorithm() -> None:
    found = measured("smug")
    fp32, bf16 = accuracy(found, "relative difference")
    assert fp32 < 1e-4 < bf16 < 1e-2  # the rounding of bf16 is there, and small
    (loss_db,) = accuracy(found, "PSNR loss of a trained network, dB")
    assert abs(loss_db) < 0.05
    (closer,) = [row.value for row in found.rows if row.unit == "times closer"]
    assert closer > 1


def test_the_forms_of_data_consistency_agree() -> None:
    assert max(accuracy(measured("data-consistency"), "relative difference")) < 1e-6


def test_coil_maps_agree_with_the_full_grid_and_with_the_peers() -> None:
    found = measured("espirit")
    assert max(accuracy(found, "misalignment to the full grid")) < 1e-4
    assert max(accuracy(found, "misalignment to sigpy")) < 1e-3


def test_reading_in_blocks_gives_the_same_samples() -> None:
    assert accuracy(measured("reading"), "equal samples") == [1.0]


@pytest.mark.parametrize("name", ["receiving", "latency", "floors", "gpu"])
def test_the_others_run(name: str) -> None:
    measured(name)


def test_reading_on_changes_no_pixel() -> None:
    assert accuracy(measured("overlap"), "equal pixels") == [1.0]


def test_one_thread_is_what_is_said_and_what_is_left_behind_is_as_before() -> None:
    torch.set_num_threads(2)
    assert measured("espirit").machine["threads"] == measured("receiving").machine["threads"] == 1
    assert torch.get_num_threads() == 2


def test_costs_grow_in_five_directions() -> None:
    found = measured("growth")
    assert [curve.against for curve in found.curves] == ["matrix", "coils", "slices", "copies", "steps"]
    assert all(min(curve.seconds) > 0 for curve in found.curves)


def test_the_scan_that_memory_is_measured_with() -> None:
    readouts = list(scan_of(QUICK.matrix_yx, QUICK.coils, QUICK.acs).acquisitions())
    noise = sum(readout.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT) for readout in readouts)
    lines = list(repeated(readouts, "repetitions", 3))
    assert len(lines) == noise + 3 * (len(readouts) - noise)
    assert [line.scan_counter for line in lines] == list(range(len(lines)))
    assert {line.idx.repetition for line in lines} == {0, 1, 2}


def test_a_process_of_its_own_tells_its_peak() -> None:
    assert 100 < peak_of("quick", "slices", 2, QUICK.coils) < 4000
