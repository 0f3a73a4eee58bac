"""3-D scans against known truth: fully and partly sampled, with flags and without, of headers that are wrong."""

from __future__ import annotations

import itertools
from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from simulated import NOISE, Result, header_of, parts_of, readouts_of, reconstructed, scan

from smug_recon.errors import DataError
from smug_recon.gadgets.maps.calibration_box import calibration_box, one_phase
from smug_recon.gadgets.readouts.prewhiten import whiten, whiten_in_place
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.truth.scores import score

SLAB: dict[str, Any] = {
    "matrix_xy": (32, 48),
    "matrix_z": 16,
    "orientation": "axial",
    "thickness_mm": 8.0,
    "oversampling": 1,
}
FULL = {**SLAB, "acceleration": 1.0, "calibration": "none"}
POISSON = {**SLAB, "acceleration": 2.0, "pattern": "poisson", "acs": 10}


def run(
    raw: RawScan, model: Any, items: list[Any] | None = None, header: Any = None, **settings: Any
) -> Result:
    return reconstructed(items or readouts_of(raw), header or header_of(raw), model, **settings)


def truth_of(raw: RawScan) -> np.ndarray:
    return raw.truth.whitened_syx


def test_a_fully_sampled_slab_is_the_truth(conventional_model: Any) -> None:
    raw = scan(**FULL)
    found = run(raw, conventional_model)
    assert len(found.images) == 16
    assert found.nrmse(truth_of(raw)) < 0.05  # the noise of the scan: 0.039
    assert found.images[0].meta["SmugPartition"] == "1 of 16"


def test_partitions_leave_in_order_as_a_stack_of_slices(conventional_model: Any) -> None:
    raw = scan(**FULL)
    found = run(raw, conventional_model, **{"images.conventional": True})
    assert [image.image_series_index for image in found.images] == [1] * 16 + [2] * 16
    for series in (found.images[:16], found.images[16:]):
        assert [image.slice for image in series] == list(range(16))
        assert [image.image_index for image in series] == list(range(1, 17))
        assert {tuple(image.getHead().matrix_size) for image in series} == {(32, 48, 1)}
        steps = np.diff([image.position for image in series], axis=0)
        assert np.allclose(steps, 8.0 * np.array(series[0].slice_dir), atol=1e-3)
        middle = np.mean([image.position for image in series], axis=0)
        assert np.allclose(middle, np.array(readouts_of(raw)[-1].position), atol=1e-3)
        assert series[0].field_of_view[2] == pytest.approx(8.0)


def test_a_slab_undersampled_in_two_dimensions(conventional_model: Any) -> None:
    """Twofold in (ky, kz), eight coils, hardly any noise: a fraction of the error of zero-filling (0.04, 0.19)."""
    raw = scan(**{**POISSON, "coils": 8, "snr": 1e4})
    found = run(raw, conventional_model)
    kspace = np.zeros((16, 48, 8, 32), np.complex64)
    for line in parts_of(raw)[1]:
        kspace[line.idx.kspace_encode_step_2, line.idx.kspace_encode_step_1] = line.data
    shifted = np.fft.ifftn(np.fft.ifftshift(kspace, axes=(0, 1, 3)), axes=(0, 1, 3), norm="ortho")
    coils = np.fft.fftshift(shifted, axes=(0, 1, 3))
    plain = score(np.sqrt((np.abs(coils) ** 2).sum(2)), raw.truth.image_syx).nrmse
    assert found.nrmse(truth_of(raw)) < 0.06 < plain / 3
    assert "two-dimensional sampling in (ky, kz)" in found.comments
    assert found.report.fallbacks == 0


def test_lines_left_out_in_every_partition_are_slices(conventional_model: Any) -> None:
    """Undersampling along ky alone: each partition is a slice, as the network knows them."""
    raw = scan(**FULL)
    kept = {*range(0, 48, 2), *range(16, 32)}
    chosen = [r for r in readouts_of(raw) if r.flags & NOISE or r.idx.kspace_encode_step_1 in kept]
    found = run(raw, conventional_model, chosen)
    assert "two-dimensional" not in found.comments
    assert found.nrmse(truth_of(raw)) < 0.1


@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("settings", [FULL, POISSON], ids=["full", "poisson"])
def test_without_flags_limits_counters_and_centre(
    coils: int, settings: dict[str, Any], conventional_model: Any
) -> None:
    """What an open console writes: readouts with their two encoding steps, counted from 1, and a matrix."""
    raw = scan(**{**settings, "coils": coils})
    reference = run(raw, conventional_model, prewhitening=False)
    _, items = parts_of(raw)
    for readout in items:
        readout.clearAllFlags()
        readout.scan_counter = readout.acquisition_time_stamp = 0
        readout.center_sample = 0
        readout.idx.kspace_encode_step_1 += 1
        readout.idx.kspace_encode_step_2 += 1
        readout.idx.segment = readout.idx.average = 0
    header = header_of(raw)
    header.encoding[0].encodingLimits = ismrmrd.xsd.encodingLimitsType()
    header.encoding[0].parallelImaging = None
    found = run(raw, conventional_model, items, header, prewhitening=False)
    assert len(found.images) == 16
    assert "moved" in found.comments
    for ours, theirs in zip(found.images, reference.images, strict=True):
        scale = np.abs(theirs.data).max()
        assert np.abs(ours.data - theirs.data).max() < 0.02 * scale


def test_any_order_gives_the_same_pixels_averages_included(conventional_model: Any) -> None:
    raw = scan(**{**FULL, "averages": 3, "matrix_z": 8})
    reference = run(raw, conventional_model)
    items = readouts_of(raw)
    order = np.random.default_rng(1).permutation(len(items))
    shuffled = run(raw, conventional_model, [items[n] for n in order])
    assert reference.nrmse(truth_of(raw)) < 0.05
    for ours, theirs in zip(shuffled.images, reference.images, strict=True):
        assert np.array_equal(ours.data, theirs.data)


def test_a_last_flag_in_every_partition_does_no_harm(conventional_model: Any) -> None:
    raw = scan(**FULL)
    items = readouts_of(raw)
    for before, after in itertools.pairwise(items):
        if before.idx.kspace_encode_step_2 != after.idx.kspace_encode_step_2:
            before.setFlag(ismrmrd.ACQ_LAST_IN_SLICE)
    assert run(raw, conventional_model, items).nrmse(truth_of(raw)) < 0.05


def test_slab_oversampling_and_interpolation(conventional_model: Any) -> None:
    """Of 16 encoded partitions the middle 12 leave, as 24 of half the thickness."""
    raw = scan(**FULL)
    header = header_of(raw)
    recon = header.encoding[0].reconSpace
    recon.fieldOfView_mm.z = header.encoding[0].encodedSpace.fieldOfView_mm.z * 12 / 16
    recon.matrixSize.z = 24
    found = run(raw, conventional_model, header=header)
    assert len(found.images) == 24
    # twice the partitions about the same centre: those in the places of the acquired ones equal them
    centre = [np.abs(image.data[0, 0]) for image in found.images[::2]]
    assert score(np.stack(centre), truth_of(raw)[2:14]).nrmse < 0.1
    assert found.images[0].field_of_view[2] == pytest.approx(4.0)


def test_a_slab_of_one_acquired_partition_is_a_slice(conventional_model: Any) -> None:
    raw = scan(acceleration=1.0, calibration="none", oversampling=1)
    header = header_of(raw)
    header.encoding[0].encodedSpace.matrixSize.z = 5
    header.encoding[0].encodingLimits.kspace_encoding_step_2 = None
    found = run(raw, conventional_model, header=header)
    assert len(found.images) == 1
    assert "taken as 2-D" in found.comments
    assert found.nrmse(truth_of(raw)) < 0.05


def test_missing_partitions_at_one_end_are_said(conventional_model: Any) -> None:
    raw = scan(**FULL)
    items = [r for r in readouts_of(raw) if r.flags & NOISE or r.idx.kspace_encode_step_2 >= 3]
    assert "3 of 16 partitions not acquired, zero-filled" in run(raw, conventional_model, items).comments


def test_partitions_beyond_the_matrix_are_refused(conventional_model: Any) -> None:
    raw = scan(**FULL)
    header = header_of(raw)
    header.encoding[0].encodedSpace.matrixSize.z = header.encoding[0].reconSpace.matrixSize.z = 12
    header.encoding[0].encodingLimits.kspace_encoding_step_2 = None
    with pytest.raises(DataError, match="partitions"):
        run(raw, conventional_model, header=header)


def test_the_calibration_box_is_fully_sampled_and_as_square_as_it_can_be() -> None:
    mask_zy = torch.zeros((32, 64), dtype=torch.bool)
    mask_zy[12:20, 24:40] = True
    mask_zy[14:19] = True
    assert calibration_box(mask_zy, 24) == ((12, 20), (24, 40))
    mask_zy[15] = False
    assert calibration_box(mask_zy, 24) is None
    assert calibration_box(torch.ones((32, 64), dtype=torch.bool), 24) == ((4, 28), (20, 44))


def test_maps_in_one_phase_are_the_same_maps() -> None:
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn((3, 4, 5, 6), dtype=torch.complex64, generator=generator)
    reference_c = torch.randn(4, dtype=torch.complex64, generator=generator)
    found = one_phase(maps, reference_c)
    assert torch.allclose(found.abs(), maps.abs(), atol=1e-5)
    overlap = torch.einsum("c,xcyz->xyz", reference_c.conj(), found)
    assert float(overlap.imag.abs().max()) < 1e-4
    assert float(overlap.real.min()) > 0


def test_values_that_are_not_finite_become_cg_sense_and_are_said(conventional_model: Any) -> None:
    conventional_model.broken = True
    found = run(scan(**POISSON), conventional_model)
    assert found.report.fallbacks == 1
    assert "FALLBACK to CG-SENSE" in found.comments
    assert np.isfinite(np.stack([image.data for image in found.images])).all()


def test_a_slab_is_whitened_in_place_as_a_slice_is() -> None:
    generator = torch.Generator().manual_seed(5)
    kspace = torch.randn((3, 11, 4), dtype=torch.complex64, generator=generator)
    whitening_cc = torch.randn((3, 3), dtype=torch.complex64, generator=generator)
    expected, place = whiten(kspace, whitening_cc), kspace.data_ptr()
    whiten_in_place(kspace, whitening_cc, rows=4)
    assert kspace.data_ptr() == place
    assert torch.allclose(kspace, expected, atol=1e-6)
