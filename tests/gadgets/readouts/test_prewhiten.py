"""Prewhitening: unit variance and no correlation afterwards, whatever the covariance and the dwell times."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from small_scan import COILS, DWELL_US, LINES_Y, NOISE_DWELL_US, READOUT_X, SAMPLES_X, SmallScan, header

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.readouts.arrival import Arrival
from smug_recon.gadgets.readouts.complete_lines import assemble_slices
from smug_recon.gadgets.readouts.gather import gather
from smug_recon.gadgets.readouts.noise_scan import NoiseScan
from smug_recon.gadgets.readouts.oversampling import remove_oversampling
from smug_recon.gadgets.readouts.prewhiten import prewhiten, whiten, whiten_rows
from smug_recon.gadgets.readouts.slice_end import SliceEnd
from smug_recon.pipeline import load_pipeline

BANDWIDTH = 0.8  # of the header: the noise scan's receiver passes this share of its nominal bandwidth


def whitened(readouts: list[Any], report: Report | None = None, prewhitening: bool = True) -> list[Any]:
    head, report, arrival = header(), report or Report(), Arrival()
    plan = build_plan(head, load_pipeline().with_overrides({"prewhitening": prewhitening}))
    noise = NoiseScan(report)
    stream = remove_oversampling(noise.collect(arrival.watch(readouts)), plan, report)
    return list(
        prewhiten(
            assemble_slices(gather(stream, plan, arrival, SliceEnd.of(head, plan), report), plan, report),
            noise,
            plan,
        )
    )


def noise_only_scan(dwell_us: float = DWELL_US) -> SmallScan:
    """A scan without an object: noise of known covariance, its level set by the dwell times."""
    scan = SmallScan()
    rng = np.random.default_rng(11)
    root = rng.standard_normal((COILS, COILS)) + 1j * rng.standard_normal((COILS, COILS))
    scan.noise_root = root @ np.diag([1e-6, 3e-6, 1e-5, 2e-6])
    scan.add_noise_scan(readouts=32)
    level = np.sqrt(NOISE_DWELL_US / dwell_us / BANDWIDTH)
    for line in range(LINES_Y):
        data_cx = level * scan.noise(SAMPLES_X)
        last = 1 << (ismrmrd.ACQ_LAST_IN_SLICE - 1) if line == LINES_Y - 1 else 0
        scan.add(data_cx, last, dwell_us, kspace_encode_step_1=line)
    return scan


@pytest.mark.parametrize("dwell_us", [1.3, DWELL_US, NOISE_DWELL_US, 23.0])
def test_noise_has_unit_variance_and_no_correlation_afterwards(dwell_us: float) -> None:
    (found,) = whitened(noise_only_scan(dwell_us).readouts)
    samples_cn = found.kspace_cyx.reshape(COILS, LINES_Y * READOUT_X)
    covariance_cc = samples_cn @ samples_cn.mH / samples_cn.shape[1]
    assert torch.allclose(covariance_cc, torch.eye(COILS, dtype=torch.complex64), atol=0.09)
    assert float(covariance_cc.diagonal().real.mean()) == pytest.approx(1.0, abs=0.04)
    assert found.whitened


def test_a_late_noise_scan_counts_as_well() -> None:
    readouts = noise_only_scan().readouts
    (first,) = whitened(readouts)
    rng = np.random.default_rng(5)
    (second,) = whitened([readouts[n] for n in rng.permutation(len(readouts))])
    assert torch.equal(first.kspace_cyx, second.kspace_cyx)


def test_separate_calibration_lines_are_whitened_by_their_own_dwell_time() -> None:
    report = Report()
    noise = NoiseScan(report)
    scan = noise_only_scan()
    assert not list(noise.collect(scan.readouts[:32]))
    plan = build_plan(header(), load_pipeline())
    block = torch.ones((COILS, 4, 4), dtype=torch.complex64)
    lines = torch.ones(4, dtype=torch.bool)
    item = Slice(None, None, block, lines, lines, 5.0, block.clone(), lines, 20.0)  # type: ignore[arg-type]
    (found,) = prewhiten([item], noise, plan)
    assert torch.allclose(found.calibration_cyx, 2 * found.kspace_cyx, rtol=1e-4)


def test_noise_readouts_are_taken_out_of_the_stream() -> None:
    items = whitened([*noise_only_scan().readouts, "foreign"])
    assert items[-1] == "foreign" or items[0] == "foreign"
    assert not any(isinstance(item, ismrmrd.Acquisition) for item in items)


def test_without_a_noise_scan_nothing_changes_and_it_is_said() -> None:
    scan, report = SmallScan(), Report()
    scan.add_slice()
    (plain,) = whitened(scan.readouts, prewhitening=False)
    (found,) = whitened(scan.readouts, report)
    assert torch.equal(found.kspace_cyx, plain.kspace_cyx)
    assert not found.whitened
    assert any("no noise scan" in text for text in report.warnings)


def test_too_short_a_noise_scan_is_not_used_and_it_is_said() -> None:
    scan, report = SmallScan(), Report()
    scan.add(scan.noise(5), 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1))
    scan.add_slice()
    (found,) = whitened(scan.readouts, report)
    assert not found.whitened
    assert any("too few" in text for text in report.warnings)


def test_a_noise_scan_of_zeros_costs_no_scan_and_is_said() -> None:
    scan, report = SmallScan(), Report()
    scan.add(0 * scan.noise(64), 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1))
    scan.add_slice()
    (found,) = whitened(scan.readouts, report)
    assert not found.whitened
    assert any("nothing but zeros" in text for text in report.warnings)


def test_an_unknown_dwell_time_is_taken_as_equal_and_said() -> None:
    scan, report = noise_only_scan(NOISE_DWELL_US / BANDWIDTH), Report()  # equally noisy
    for readout in scan.readouts:
        readout.sample_time_us = 0.0
    (found,) = whitened(scan.readouts, report)
    assert float(found.kspace_cyx.abs().square().mean()) == pytest.approx(1.0, abs=0.05)
    assert any("sample_time_us" in text for text in report.warnings)


def test_a_noise_scan_of_other_coils_is_an_error() -> None:
    scan = SmallScan()
    scan.add(scan.noise(500, COILS + 1), 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1))
    scan.add_slice()
    with pytest.raises(DataError, match="5 coils and imaging lines of 4"):
        whitened(scan.readouts)


def test_rows_are_whitened_alike_whichever_others_there_are_and_the_rest_stays_zero() -> None:
    """``whiten_rows`` is ``whiten``; a row is the same bits in every mask, else no coil maps made ahead would be taken."""
    generator = torch.Generator().manual_seed(0)
    kspace_cyx = torch.randn((5, 24, 17), dtype=torch.complex64, generator=generator)
    whitening_cc = torch.randn((5, 5), dtype=torch.complex64, generator=generator)
    every, few = torch.ones(24, dtype=torch.bool), torch.zeros(24, dtype=torch.bool)
    few[[3, 4, 11]] = True
    whole_cyx, part_cyx = kspace_cyx.clone(), kspace_cyx * few[:, None]
    whiten_rows(whole_cyx, every, whitening_cc)
    whiten_rows(part_cyx, few, whitening_cc)
    assert torch.equal(part_cyx[:, few], whole_cyx[:, few]) and not bool(part_cyx[:, ~few].any())
    assert torch.allclose(whole_cyx, whiten(kspace_cyx, whitening_cc), rtol=1e-5, atol=1e-5)
