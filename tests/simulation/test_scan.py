"""Laws of the simulated scan: a consistent raw data set whose noise-free reconstruction is its truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import torch

from smug_recon.errors import ConfigurationError
from smug_recon.physics import fft_centred, ifft_centred
from smug_recon.simulation.protocol.dwell import DWELL_US, NOISE_DWELL_US
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan, write_raw
from smug_recon.simulation.raw.header import BANDWIDTH
from smug_recon.simulation.scan import simulate_scan
from smug_recon.simulation.truth.truth import read_truth, write_truth

SMALL = ScanSettings(matrix_xy=(40, 48), coils=4, acs=8, slices=2, snr=20.0, spacing_mm=20.0, seed=3)


@pytest.fixture(scope="module")
def small() -> RawScan:
    return simulate_scan(SMALL)


def flagged(heads: np.ndarray, flag: int) -> np.ndarray:
    return (heads["flags"] & np.uint64(1 << (flag - 1))) != 0


def kspace_of(scan: RawScan, settings: ScanSettings) -> np.ndarray:
    lines, width = settings.matrix_xy[1], settings.matrix_xy[0] * settings.oversampling
    kspace_scyx = np.zeros((settings.slices, settings.coils, lines, width), np.complex64)
    for head, samples in zip(scan.heads, scan.samples, strict=True):
        if not head["flags"] & np.uint64(1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)):
            kspace_scyx[head["idx"]["slice"], :, head["idx"]["kspace_encode_step_1"]] = samples
    return kspace_scyx


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("matrix_xy", [(40, 48), (33, 41)])
def test_full_noise_free_scan_reconstructs_to_the_truth(
    oversampling: int, matrix_xy: tuple[int, int]
) -> None:
    settings = replace(
        SMALL,
        matrix_xy=matrix_xy,
        acceleration=1,
        snr=math.inf,
        oversampling=oversampling,
        noise_scan=False,
        slices=1,
    )
    scan = simulate_scan(settings)
    coil_scyx = ifft_centred(torch.from_numpy(kspace_of(scan, settings)), [2, 3]).numpy()
    start = coil_scyx.shape[3] // 2 - matrix_xy[0] // 2
    coil_scyx = coil_scyx[..., start : start + matrix_xy[0]]
    combined_syx = (scan.truth.maps_scyx.conj() * coil_scyx).sum(1)
    assert np.abs(combined_syx - scan.truth.image_syx).max() < 1e-5 * np.abs(scan.truth.image_syx).max()
    np.testing.assert_allclose((np.abs(scan.truth.maps_scyx) ** 2).sum(1), 1, atol=1e-5)


def test_oversampling_only_adds_field_of_view() -> None:
    wide, narrow = (
        simulate_scan(
            replace(SMALL, acceleration=1, snr=math.inf, oversampling=times, noise_scan=False, slices=1)
        )
        for times in (2, 1)
    )
    hybrid = ifft_centred(torch.from_numpy(kspace_of(wide, replace(SMALL, slices=1))), [3])[..., 20:60]
    back = fft_centred(hybrid, [3]).numpy()
    expected = kspace_of(narrow, replace(SMALL, slices=1, oversampling=1))
    assert np.abs(back - expected).max() < 1e-4 * np.abs(expected).max()


def test_noise_scan_has_the_covariance_that_was_asked_for(small: RawScan) -> None:
    noise = flagged(small.heads, ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    assert 0 < noise.sum() == noise[: noise.sum()].sum()
    samples_cn = np.concatenate([small.samples[row] for row in np.flatnonzero(noise)], axis=1)
    covariance_cc = samples_cn @ samples_cn.conj().T / samples_cn.shape[1]
    expected_cc = small.truth.noise_scan_covariance_cc
    scale = np.sqrt(np.outer(np.diag(expected_cc), np.diag(expected_cc)).real)
    assert np.abs((covariance_cc - expected_cc) / scale).max() < 6 / math.sqrt(samples_cn.shape[1])
    assert np.abs(samples_cn @ samples_cn.T / samples_cn.shape[1] / scale).max() < 6 / math.sqrt(
        samples_cn.shape[1]
    )
    assert (np.abs(expected_cc / scale) - np.eye(4)).max() > 0.05  # correlated
    ratio = DWELL_US / NOISE_DWELL_US * BANDWIDTH
    np.testing.assert_allclose(expected_cc, small.truth.covariance_cc * ratio)
    assert np.all(small.heads["sample_time_us"][noise] == np.float32(NOISE_DWELL_US))


def test_imaging_noise_and_snr_are_as_asked() -> None:
    settings = replace(SMALL, acceleration=1, slices=1, noise_scan=False)
    noisy, clean = simulate_scan(settings), simulate_scan(replace(settings, snr=math.inf))
    difference_cn = (kspace_of(noisy, settings) - kspace_of(clean, settings))[0].reshape(4, -1)
    covariance_cc = difference_cn @ difference_cn.conj().T / difference_cn.shape[1]
    expected_cc = noisy.truth.covariance_cc
    scale = np.sqrt(np.outer(np.diag(expected_cc), np.diag(expected_cc)).real)
    assert np.abs((covariance_cc - expected_cc) / scale).max() < 6 / math.sqrt(difference_cn.shape[1])
    coil_cyx = noisy.truth.maps_scyx[0] * noisy.truth.image_syx[0]
    signal_cn = coil_cyx[:, noisy.truth.inside_syx[0] > 0.5]
    square_n = (signal_cn.conj() * np.linalg.solve(expected_cc, signal_cn)).sum(0).real
    assert np.sqrt(2 * square_n).mean() == pytest.approx(settings.snr, rel=1e-3)


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
def test_geometry_is_a_right_handed_orthonormal_frame_and_slices_are_evenly_spaced(orientation: str) -> None:
    settings = replace(SMALL, matrix_xy=(20, 20), acs=4, coils=1, slices=3, orientation=orientation)
    heads = simulate_scan(settings).heads
    frame = np.stack([heads[name][-1] for name in ("read_dir", "phase_dir", "slice_dir")]).astype(np.float64)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(frame) == pytest.approx(1, abs=1e-6)
    assert (orientation == "oblique") == bool((np.abs(frame).max(1) < 0.9999).all())
    place = [heads["position"][heads["idx"]["slice"] == number][-1].astype(np.float64) for number in range(3)]
    for near, far in pairwise(place):
        np.testing.assert_allclose(far - near, settings.spacing_mm * frame[2], atol=1e-4)


@pytest.mark.parametrize("interleaved", [True, False])
def test_flags_counters_and_header_agree(interleaved: bool) -> None:
    settings = replace(SMALL, slices=3, interleaved=interleaved)
    scan = simulate_scan(settings)
    heads = scan.heads
    assert heads["scan_counter"].tolist() == list(range(1, len(heads) + 1))
    assert np.all(np.diff(heads["acquisition_time_stamp"].astype(np.int64)) >= 0)
    imaging = heads[~flagged(heads, ismrmrd.ACQ_IS_NOISE_MEASUREMENT)]
    assert (np.diff(imaging["idx"]["slice"].astype(int)) != 0).sum() > 3 or not interleaved
    for number in range(3):
        rows = imaging[imaging["idx"]["slice"] == number]
        for flag, where in ((ismrmrd.ACQ_FIRST_IN_SLICE, 0), (ismrmrd.ACQ_LAST_IN_SLICE, len(rows) - 1)):
            assert np.flatnonzero(flagged(rows, flag)).tolist() == [where]
        assert sorted(rows["idx"]["kspace_encode_step_1"]) == np.flatnonzero(scan.truth.mask_y).tolist()
        calibration = rows[flagged(rows, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)]
        assert sorted(calibration["idx"]["kspace_encode_step_1"]) == list(range(20, 28))
    assert flagged(heads, ismrmrd.ACQ_LAST_IN_MEASUREMENT).nonzero()[0].tolist() == [len(heads) - 1]
    header = ismrmrd.xsd.CreateFromDocument(scan.xml.encode())
    encoding = header.encoding[0]
    assert imaging["number_of_samples"][0] == encoding.encodedSpace.matrixSize.x == 80
    assert imaging["center_sample"][0] == 40
    assert encoding.reconSpace.matrixSize.x == 40
    assert encoding.encodedSpace.fieldOfView_mm.x == pytest.approx(2 * encoding.reconSpace.fieldOfView_mm.x)
    assert encoding.encodingLimits.slice.maximum == 2
    assert encoding.encodingLimits.kspace_encoding_step_1.center == 24


@pytest.mark.parametrize("acceleration", [1, 2, 3.2, 4])
def test_as_many_lines_are_sampled_as_asked(acceleration: float) -> None:
    scan = simulate_scan(replace(SMALL, slices=1, coils=1, acceleration=acceleration))
    assert scan.truth.mask_y.sum() == round(48 / acceleration)
    assert scan.truth.mask_y[20:28].all()


def test_ways_to_calibrate() -> None:
    def count(calibration: str, flag: int) -> tuple[int, RawScan]:
        scan = simulate_scan(replace(SMALL, slices=1, calibration=calibration, pattern="regular"))
        return int(flagged(scan.heads, flag).sum()), scan

    assert count("separate", ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)[0] == 8
    found, scan = count("unflagged", ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    assert found == 0 and scan.truth.mask_y[20:28].all()
    found, scan = count("none", ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    assert found == 0 and scan.truth.mask_y.sum() == 12


def test_file_is_read_back_by_ismrmrd_and_equal_seeds_give_equal_bytes(
    small: RawScan, tmp_path: Path
) -> None:
    write_raw(small, tmp_path / "a.h5")
    write_raw(simulate_scan(SMALL), tmp_path / "b.h5")
    write_raw(simulate_scan(replace(SMALL, seed=4)), tmp_path / "c.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert (tmp_path / "a.h5").read_bytes() != (tmp_path / "c.h5").read_bytes()
    with ismrmrd.Dataset(str(tmp_path / "a.h5"), create_if_needed=False) as dataset:
        assert dataset.number_of_acquisitions() == len(small.samples)
        ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        for row in (0, len(small.samples) - 1):
            acquisition = dataset.read_acquisition(row)
            np.testing.assert_array_equal(acquisition.data, small.samples[row])
            assert acquisition.scan_counter == row + 1
            assert acquisition.active_channels == 4


def test_whitened_truth_is_the_combination_of_whitened_coil_images(small: RawScan) -> None:
    truth = small.truth
    coil_cn = (truth.maps_scyx * truth.image_syx[:, None]).swapaxes(0, 1).reshape(4, -1)
    white_cn = np.linalg.solve(np.linalg.cholesky(truth.covariance_cc), coil_cn)
    combined, expected = np.linalg.norm(white_cn, axis=0), np.abs(truth.whitened_syx).ravel()
    scale = (combined @ expected) / (expected @ expected)
    np.testing.assert_allclose(combined, scale * expected, atol=1e-4 * combined.max())


def test_truth_survives_the_file(small: RawScan, tmp_path: Path) -> None:
    write_truth(small.truth, tmp_path / "truth.h5")
    for name, value in vars(read_truth(tmp_path / "truth.h5")).items():
        np.testing.assert_array_equal(value, getattr(small.truth, name))


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": "spiral"},
        {"acs": 40},
        {"coils": 0},
        {"snr": 0.0},
        {"oversampling": 3},
        {"contrast": "dwi"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"found .*; expected .*; "):
        replace(SMALL, **wrong)
