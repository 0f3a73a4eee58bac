"""Every encoding that can be asked for is written so that header, counters and samples lead back to the truth."""

from __future__ import annotations

import math
from dataclasses import replace

import encoded
import ismrmrd
import numpy as np
import pytest
import torch
from encoded import QUIET, coil_images, combined, error, flagged, header_of, kspace_of, rows_of

from smug_recon.errors import ConfigurationError
from smug_recon.physics import fft_centred, ifft_centred
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.scan import simulate_scan


@pytest.fixture(scope="module")
def full() -> RawScan:
    return simulate_scan(QUIET)


@pytest.mark.parametrize("share", [0.75, 5 / 8])
def test_partial_fourier_leaves_out_the_first_lines_and_says_where_the_centre_is(
    full: RawScan, share: float
) -> None:
    scan = simulate_scan(replace(QUIET, partial_fourier=share))
    left_out = 36 - math.ceil(36 * share)
    assert len(scan.samples) == 36 - left_out
    limits = header_of(scan).encoding[0].encodingLimits.kspace_encoding_step_1
    assert (limits.minimum, limits.maximum, limits.center) == (0, 35 - left_out, 18 - left_out)
    found, wanted = kspace_of(scan), kspace_of(full)
    assert not found[:, :, :left_out].any()
    np.testing.assert_array_equal(found[:, :, left_out:], wanted[:, :, left_out:])
    assert scan.truth.mask_y.tolist() == [False] * left_out + [True] * (36 - left_out)
    np.testing.assert_array_equal(scan.truth.image_syx, full.truth.image_syx)


def test_partial_fourier_keeps_acceleration_and_calibration_lines() -> None:
    scan = simulate_scan(replace(QUIET, partial_fourier=0.75, acceleration=2))
    assert len(scan.samples) == round(27 / 2)
    assert scan.truth.mask_y[14:22].all() and not scan.truth.mask_y[:9].any()


@pytest.mark.parametrize("oversampling", [1, 2])
def test_asymmetric_echo_leaves_out_samples_before_the_echo(full: RawScan, oversampling: int) -> None:
    scan = simulate_scan(replace(QUIET, asymmetric_echo=0.25, oversampling=oversampling))
    width = 32 * oversampling
    assert set(scan.heads["number_of_samples"].tolist()) == {width * 3 // 4}
    assert set(scan.heads["center_sample"].tolist()) == {width // 4}
    assert header_of(scan).encoding[0].encodedSpace.matrixSize.x == width
    if oversampling == 2:
        found, wanted = kspace_of(scan), kspace_of(full)
        assert not found[..., :16].any()
        np.testing.assert_array_equal(found[..., 16:], wanted[..., 16:])


def test_every_contrast_phase_repetition_and_set_has_a_truth_of_its_own() -> None:
    settings = replace(QUIET, contrasts=2, phases=3, repetitions=2, sets=2)
    scan, truth = (found := simulate_scan(settings)), found.truth
    assert len(truth.image_syx) == 24
    names = ("contrast", "phase", "repetition", "set")
    for number, wanted_yx in enumerate(truth.image_syx):
        counters = {name: int(getattr(truth, f"{name}_s")[number]) for name in names}
        assert error(combined(scan, 32, **counters)[0], wanted_yx) < 1e-5
    flat = np.abs(truth.image_syx).reshape(24, -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert (flat @ flat.T - np.eye(24)).max() < 0.9995  # apart by more than 3 % even if scaled to fit
    header = header_of(scan)
    assert header.sequenceParameters.TE == [3, 23]
    limits = header.encoding[0].encodingLimits
    assert [getattr(limits, name).maximum for name in names] == [1, 2, 1, 1]


def test_flags_end_every_image_once_and_the_measurement_last() -> None:
    settings = replace(
        QUIET, slices=2, phases=2, repetitions=2, averages=2, segments=3, acceleration=3, acs=4
    )
    scan = simulate_scan(settings)
    heads = scan.heads
    assert heads["scan_counter"].tolist() == list(range(1, len(heads) + 1))
    for name, last in (("FIRST", False), ("LAST", True)):
        ends = flagged(heads, getattr(ismrmrd, f"ACQ_{name}_IN_SLICE"))
        assert ends.sum() == 2 * 2 * 2
        for number in np.flatnonzero(ends):
            index = heads["idx"][number]
            counters = {key: int(index[key]) for key in ("slice", "phase", "repetition")}
            rows = rows_of(scan, **counters)
            assert number == rows[-1 if last else 0]
            assert int(index["average"]) == int(last) and int(index["segment"]) == 2 * int(last)
    ends = flagged(heads, ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    assert np.flatnonzero(ends).tolist() == [len(heads) - 1]
    assert sorted(set(heads["idx"]["segment"].tolist())) == [0, 1, 2]


def test_averages_differ_in_their_noise_only() -> None:
    settings = replace(QUIET, averages=2, snr=10.0)
    scan = simulate_scan(settings)
    first, second = (kspace_of(scan, average=number).reshape(3, -1) for number in range(2))
    difference = first - second
    covariance = difference @ difference.conj().T / difference.shape[1]
    scale = np.sqrt(np.outer(*[np.diag(scan.truth.covariance_cc).real] * 2))
    bound = 12 / math.sqrt(difference.shape[1])
    assert np.abs((covariance - 2 * scan.truth.covariance_cc) / scale).max() < bound
    assert len(scan.truth.image_syx) == 1


@pytest.mark.parametrize("matrix_z", [6, 7])
def test_a_volume_reconstructs_to_its_truth(matrix_z: int) -> None:
    settings = replace(QUIET, matrix_xy=(24, 26), matrix_z=matrix_z, thickness_mm=9.0)
    scan = simulate_scan(settings)
    assert len(scan.samples) == 26 * matrix_z
    assert scan.truth.partition_s.tolist() == list(range(matrix_z))
    assert error(combined(scan, 24), scan.truth.image_syx) < 1e-5
    space = header_of(scan).encoding[0].encodedSpace
    assert (space.matrixSize.z, space.fieldOfView_mm.z) == (matrix_z, 9 * matrix_z)
    power = (np.abs(scan.truth.image_syx) ** 2).mean((1, 2))
    assert power[0] < 0.5 * power[matrix_z // 2]  # the slab is excited with soft edges


def test_partitions_and_lines_are_undersampled_together() -> None:
    settings = replace(QUIET, matrix_xy=(24, 26), matrix_z=8, acceleration=3, acs=4, pattern="poisson")
    scan = simulate_scan(settings)
    steps = scan.heads["idx"]["kspace_encode_step_2"], scan.heads["idx"]["kspace_encode_step_1"]
    mask = np.zeros((8, 26), bool)
    mask[steps] = True
    np.testing.assert_array_equal(mask, scan.truth.mask_zy)
    assert mask.sum() == len(scan.samples) == round(8 * 26 / 3) and mask[2:6, 11:15].all()
    block = flagged(scan.heads, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    assert block.sum() == 16
    assert len({tuple(place) for place in scan.heads["position"].tolist()}) == 1


@pytest.mark.parametrize("matrix_z", [1, 6])
def test_an_external_reference_scan_shows_the_same_coils_in_another_contrast(matrix_z: int) -> None:
    settings = replace(
        QUIET, acceleration=2, acs=16, calibration="external", matrix_z=matrix_z, thickness_mm=12.0
    )
    scan = simulate_scan(settings)
    header = header_of(scan)
    reference = scan.heads["encoding_space_ref"] == 1
    assert reference[:16].all() and reference.sum() == 16 * matrix_z
    np.testing.assert_array_equal(reference, flagged(scan.heads, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION))
    first, second = (encoding.encodedSpace for encoding in header.encoding)
    assert (second.matrixSize.x, second.matrixSize.y) == (32, 16)
    assert second.fieldOfView_mm == first.fieldOfView_mm
    assert header.encoding[0].parallelImaging.calibrationMode.value == "external"
    assert set(scan.heads["sample_time_us"].tolist()) == {2.5, 5.0}
    small_czyx = coil_images(kspace_of(scan, encoding=1), 16)
    sized = ifft_centred(_padded(fft_centred(torch.from_numpy(small_czyx), [2, 3]), (36, 32)), [2, 3]).numpy()
    middle = matrix_z // 2
    share = np.abs((scan.truth.maps_scyx[middle].conj() * sized[:, middle]).sum(0))
    share /= np.sqrt((np.abs(sized[:, middle]) ** 2).sum(0))
    assert np.median(share[scan.truth.inside_syx[middle] > 0.9]) > 0.97
    seen = np.sqrt((np.abs(sized[:, middle]) ** 2).sum(0)).ravel()
    assert np.corrcoef(seen, np.abs(scan.truth.image_syx[middle]).ravel())[0, 1] < 0.9


def _padded(kspace: torch.Tensor, size_yx: tuple[int, int]) -> torch.Tensor:
    y, x = (whole // 2 - part // 2 for whole, part in zip(size_yx, kspace.shape[-2:], strict=True))
    out = torch.zeros((*kspace.shape[:-2], *size_yx), dtype=kspace.dtype)
    out[..., y : y + kspace.shape[-2], x : x + kspace.shape[-1]] = kspace
    return out


def test_readouts_without_image_line_stand_beside_an_unchanged_scan(full: RawScan) -> None:
    names = ("dummy", "navigator", "phase-correction", "surface-coil", "feedback")
    scan = simulate_scan(replace(QUIET, extra_lines=names))
    kinds = ("DUMMYSCAN_DATA", "NAVIGATION_DATA", "PHASECORR_DATA", "SURFACECOILCORRECTIONSCAN_DATA")
    flags = [getattr(ismrmrd, f"ACQ_IS_{kind}") for kind in (*kinds, "RTFEEDBACK_DATA")]
    extra = np.stack([flagged(scan.heads, flag) for flag in flags])
    assert extra.sum(1).tolist() == [4, 5, 3, 4, 5] and extra.sum(0).max() == 1
    kept = np.flatnonzero(~extra.any(0))
    assert len(kept) == len(full.samples)
    for row, wanted in zip(kept, full.samples, strict=True):
        np.testing.assert_array_equal(scan.samples[row], wanted)
    assert np.abs(np.concatenate([scan.samples[row] for row in np.flatnonzero(extra.any(0))], 1)).max() > (
        2 * max(np.abs(samples).max() for samples in full.samples)
    )


def test_reversed_readouts_and_samples_to_discard_lead_back_to_the_same_lines(full: RawScan) -> None:
    scan = simulate_scan(replace(QUIET, reversed_lines=True, discard=(5, 2), asymmetric_echo=0.25))
    backwards = flagged(scan.heads, ismrmrd.ACQ_IS_REVERSE)
    assert backwards.tolist() == [False, True] * 18
    assert set(scan.heads["number_of_samples"].tolist()) == {48 + 7}
    np.testing.assert_array_equal(kspace_of(scan)[..., 16:], kspace_of(full)[..., 16:])


def test_phase_oversampling_and_recon_matrix_describe_one_image() -> None:
    settings = replace(QUIET, phase_oversampling=0.25, recon_matrix_xy=(48, 54))
    scan = simulate_scan(settings)
    space = header_of(scan).encoding[0]
    assert (space.encodedSpace.matrixSize.y, space.reconSpace.matrixSize.y) == (45, 54)
    ratio = space.encodedSpace.fieldOfView_mm.y / space.reconSpace.fieldOfView_mm.y
    assert ratio == pytest.approx(1.25)
    image_yx = combined(scan, 32)[0][45 // 2 - 18 : 45 // 2 + 18]
    wide = _padded(fft_centred(torch.from_numpy(np.ascontiguousarray(image_yx)), [0, 1]), (54, 48))
    wide_yx = ifft_centred(wide, [0, 1]).numpy() * math.sqrt(54 * 48 / (36 * 32))
    assert error(wide_yx, scan.truth.image_syx[0]) < 1e-5


def test_a_head_larger_than_the_field_of_view_folds() -> None:
    scan = simulate_scan(replace(QUIET, fov=0.7, orientation="axial"))
    images_cyx = coil_images(kspace_of(scan), 32)[:, 0]
    rss_yx = np.sqrt((np.abs(images_cyx) ** 2).sum(0))
    assert error(rss_yx, np.abs(scan.truth.image_syx[0])) < 1e-5
    one_set = np.abs((scan.truth.maps_scyx[0].conj() * images_cyx).sum(0))
    missing = 1 - one_set**2 / np.maximum(rss_yx**2, 1e-12)
    assert missing[:4].max() > 0.3 > missing[15:21].max()  # two places in one pixel at the edge only


def test_a_dead_coil_records_nothing_and_the_others_what_they_did() -> None:
    settings = replace(QUIET, snr=20.0, noise_scan=True)
    scan = simulate_scan(replace(settings, dead_coils=(1,)))
    assert all(not samples[1].any() and samples[0].any() for samples in scan.samples)
    assert not scan.truth.covariance_cc[1].any() and scan.truth.covariance_cc[0, 2] != 0
    assert not scan.truth.maps_scyx[:, 1].any()
    quiet = simulate_scan(replace(QUIET, dead_coils=(1,)))
    assert error(combined(quiet, 32)[0], quiet.truth.image_syx[0]) < 1e-5


@pytest.mark.parametrize(
    "wrong",
    [
        {"partial_fourier": 0.5},
        {"asymmetric_echo": 0.5},
        {"repetitions": 0},
        {"matrix_z": 8, "slices": 2},
        {"extra_lines": ("spiral",)},
        {"dead_coils": (3,)},
        {"dead_coils": (0, 1, 2)},
        {"recon_matrix_xy": (16, 16)},
        {"calibration": "external", "acs": 4},
        {"pattern": "poisson", "acceleration": 6},
        {"fov": 0.2},
    ],
)
def test_what_no_scanner_does_is_refused(wrong: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"found .*; expected .*; "):
        replace(QUIET, **wrong)


def test_coils_from_one_to_many_and_odd_sizes() -> None:
    for coils, matrix_xy in ((1, (17, 19)), (64, (16, 17))):
        settings = ScanSettings(
            matrix_xy=matrix_xy, coils=coils, slices=1, acs=4, acceleration=1, snr=math.inf, noise_scan=False
        )
        scan = simulate_scan(settings)
        assert error(combined(scan, matrix_xy[0])[0], scan.truth.image_syx[0]) < 1e-5
        assert encoded.flagged(scan.heads, ismrmrd.ACQ_LAST_IN_SLICE).sum() == 1
