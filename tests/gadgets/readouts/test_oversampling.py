"""Readout transform: equal to the 2-D reference, asymmetric echoes in place, other lines untouched."""

from __future__ import annotations

import threading
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import torch
from small_scan import COILS, LINES_Y, READOUT_X, SAMPLES_X, SmallScan, centred_fft, coil_images, header

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Readout, header_of
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.readouts.oversampling import hybrid_line, remove_oversampling
from smug_recon.physics import ifft_centred
from smug_recon.pipeline import load_pipeline


def line(data_cx: np.ndarray, **fields: int) -> ismrmrd.Acquisition:
    found = SmallScan().add(data_cx)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def hybrid(acquisition: ismrmrd.Acquisition, report: Report | None = None) -> torch.Tensor:
    return hybrid_line(acquisition, SAMPLES_X, READOUT_X, report or Report())


def test_lines_and_phase_transform_equal_the_two_dimensional_reference() -> None:
    images_cyx = coil_images()
    kspace_cyx = centred_fft(images_cyx, (1, 2))
    lines = torch.stack([hybrid(line(kspace_cyx[:, y])) for y in range(LINES_Y)], 1)
    found = ifft_centred(lines, [1])
    crop = slice(SAMPLES_X // 2 - READOUT_X // 2, SAMPLES_X // 2 + READOUT_X // 2)
    assert torch.allclose(found, torch.from_numpy(images_cyx[:, :, crop]), atol=1e-5)


def test_white_noise_keeps_its_variance() -> None:
    noise = SmallScan().noise(SAMPLES_X * 200).reshape(COILS, 200, SAMPLES_X)
    lines = torch.stack([hybrid(line(noise[:, n])) for n in range(200)], 1)
    assert float(lines.abs().square().mean()) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("cut", [1, 10, 32])
def test_asymmetric_echo_is_zero_filled_in_its_place(cut: int) -> None:
    full = SmallScan().noise(SAMPLES_X)
    zeroed = full.copy()
    zeroed[:, :cut] = 0
    short = line(full[:, cut:], center_sample=SAMPLES_X // 2 - cut)
    discarded = line(full, discard_pre=cut)
    assert torch.equal(hybrid(short), hybrid(line(zeroed)))
    assert torch.equal(hybrid(discarded), hybrid(line(zeroed)))


def test_late_samples_are_discarded() -> None:
    full = SmallScan().noise(SAMPLES_X)
    zeroed = full.copy()
    zeroed[:, -7:] = 0
    assert torch.equal(hybrid(line(full, discard_post=7)), hybrid(line(zeroed)))


def test_reversed_readout_is_turned_about_the_centre() -> None:
    full = SmallScan().noise(SAMPLES_X)
    reverse = line(full[:, ::-1], center_sample=SAMPLES_X - 1 - SAMPLES_X // 2)
    reverse.setFlag(ismrmrd.ACQ_IS_REVERSE)
    assert torch.equal(hybrid(reverse), hybrid(line(full)))


def test_missing_center_sample_is_taken_as_the_middle_and_said() -> None:
    full, report = SmallScan().noise(SAMPLES_X), Report()
    assert torch.equal(hybrid(line(full, center_sample=0), report), hybrid(line(full)))
    assert any("center_sample" in text for text in report.warnings)


def test_oversampling_removed_upstream_is_noticed() -> None:
    data, report = SmallScan().noise(READOUT_X), Report()
    found = hybrid(line(data), report)
    assert torch.allclose(found, ifft_centred(torch.from_numpy(data.astype(np.complex64)), [1]), atol=1e-6)
    assert any("oversampling" in text for text in report.warnings)


@pytest.mark.parametrize("fields", [{"center_sample": 90}, {"discard_pre": 60, "discard_post": 60}])
def test_samples_that_do_not_fit_are_an_error(fields: dict[str, int]) -> None:
    with pytest.raises(DataError, match="center_sample"):
        hybrid(line(SmallScan().noise(SAMPLES_X), **fields))


def test_more_samples_than_the_matrix_are_an_error() -> None:
    with pytest.raises(DataError, match="encoded matrix"):
        hybrid(line(SmallScan().noise(2 * SAMPLES_X)))


@pytest.mark.parametrize(
    "flag",
    [
        ismrmrd.ACQ_IS_NAVIGATION_DATA,
        ismrmrd.ACQ_IS_PHASECORR_DATA,
        ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
        ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
        ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
        ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ],
)
def test_lines_that_carry_no_image_pass_unchanged_and_are_counted(flag: int) -> None:
    scan, report = SmallScan(), Report()
    foreign = scan.add(scan.noise(10), 1 << (flag - 1))
    ours = scan.add(scan.noise(SAMPLES_X))
    plan = build_plan(header(), load_pipeline())
    first, second = remove_oversampling([foreign, ours], plan, report)
    assert first is foreign
    assert isinstance(second, Readout)
    assert second.data_cx.shape == (COILS, READOUT_X)
    assert sum(report.passed.values()) == 1
    assert report.lines == 1


def test_the_copy_of_a_header_is_that_of_get_head_and_a_copy() -> None:
    acquisition = ismrmrd.Acquisition.from_array(np.ones((2, 8), np.complex64))
    acquisition.idx.slice, acquisition.scan_counter, acquisition.position[1] = 3, 77, 2.5
    head = header_of(acquisition)
    assert bytes(head) == bytes(acquisition.getHead())
    head.idx.slice = 9
    assert acquisition.idx.slice == 3


def test_the_thread_that_receives_gets_no_workers_of_openmp() -> None:
    """They would stay as long as it does, and slow down every parallel loop of the network (``gadgets/maps/aside.py``)."""
    tasks, threads = Path("/proc/self/task"), torch.get_num_threads()
    if not tasks.is_dir():
        pytest.skip("threads are counted in /proc")
    acquisition = ismrmrd.Acquisition.from_array(np.ones((32, 1024), np.complex64))
    acquisition.center_sample = 512
    found: list[int] = []

    def receive() -> None:
        before = len(list(tasks.iterdir()))
        hybrid_line(acquisition, 1024, 512, Report())
        found.append(len(list(tasks.iterdir())) - before)

    torch.set_num_threads(2)
    try:
        receiving = threading.Thread(target=receive)
        receiving.start()
        receiving.join()
    finally:
        torch.set_num_threads(threads)
    assert found == [0]
