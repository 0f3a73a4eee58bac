"""An external reference scan serves the coil maps on the grid of the image, and never gets into the image."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from simulated import NOISE, header_of, parts_of, readouts_of, reconstructed, scan

from smug_recon.gadgets.flow.items import CALIBRATION
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.maps.reference_scan import NOTE, ReferenceScan
from smug_recon.gadgets.maps.regrid import Axis, image_waves, reach, regridded
from smug_recon.gadgets.survey.heads import survey
from smug_recon.physics import fft_centred, ifft_centred
from smug_recon.pipeline import load_pipeline

PIXEL_MM = 248.0 / 64


def plain() -> Any:
    """Every second line and nothing else: no calibration lines."""
    return scan(calibration="none", snr=100.0)


def reference_of(
    raw: Any, lines_y: int, samples_x: int, fov_y_mm: float, fov_x_mm: float, shift_mm: tuple[float, float]
) -> list[ismrmrd.Acquisition]:
    """Sample the true coil images in another contrast by the Fourier sum, in steps of another field of view."""
    image_yx, maps_cyx = raw.truth.image_syx[0], raw.truth.maps_scyx[0]
    other_yx = np.sqrt(np.abs(image_yx)) * np.exp(0.7j)  # flatter, another phase
    sizes = image_yx.shape
    places = [
        (np.arange(size) - size // 2) * PIXEL_MM - shift for size, shift in zip(sizes, shift_mm, strict=True)
    ]
    waves_ky = np.exp(-2j * np.pi * np.outer(np.arange(lines_y) - lines_y // 2, places[0] / fov_y_mm))
    waves_kx = np.exp(-2j * np.pi * np.outer(np.arange(samples_x) - samples_x // 2, places[1] / fov_x_mm))
    kspace = np.einsum("cyx,ky,lx->ckl", maps_cyx * other_yx, waves_ky, waves_kx)
    template = next(r for r in readouts_of(raw) if not r.flags & NOISE).getHead()
    made = []
    for line in range(lines_y):
        readout = ismrmrd.Acquisition.from_array(np.ascontiguousarray(kspace[:, line], np.complex64))
        readout.scan_counter, readout.sample_time_us = 40_000 + line, 7.0
        readout.center_sample = samples_x // 2
        directions = {
            name: np.asarray(getattr(template, name)) for name in ("read_dir", "phase_dir", "slice_dir")
        }
        for name, vector in directions.items():
            setattr(readout, name, tuple(vector))
        place = np.asarray(template.position) + shift_mm[0] * directions["phase_dir"]
        readout.position = tuple(place + shift_mm[1] * directions["read_dir"])
        readout.encoding_space_ref = 1
        readout.idx.kspace_encode_step_1 = line
        readout.setFlag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
        made.append(readout)
    return made


def with_space(raw: Any, lines_y: int, samples_x: int, fov_y_mm: float, fov_x_mm: float) -> Any:
    """The header of a scan with a second encoding."""
    header = header_of(raw)
    other = header_of(raw).encoding[0]
    space = other.encodedSpace
    space.matrixSize.x, space.matrixSize.y = samples_x, lines_y
    space.fieldOfView_mm.x, space.fieldOfView_mm.y = fov_x_mm, fov_y_mm
    step = other.encodingLimits.kspace_encoding_step_1
    step.minimum, step.maximum, step.center = 0, lines_y - 1, lines_y // 2
    header.encoding.append(other)
    return header


def test_the_simulated_external_reference_scan_is_used_and_not_mixed_in(conventional_model: Any) -> None:
    raw = scan(calibration="external", snr=100.0)
    header = header_of(raw)
    found = reconstructed(readouts_of(raw), header, conventional_model)
    assert NOTE in found.comments and not found.others
    assert found.images[0].meta["SmugLines"] == "32 of 64"
    assert found.report.fallbacks == 0
    assert found.nrmse(raw.truth.whitened_syx) < 0.12
    counted = survey(raw.heads, build_plan(header, load_pipeline()), header)
    assert (counted.reference_readouts, counted.lines, counted.calibration) == (16, (32, 32), (16, 16))


@pytest.mark.parametrize(
    ("lines_y", "samples_x", "fov_y_mm", "fov_x_mm", "shift_mm"),
    [
        (24, 64, 248.0, 372.0, (0.0, 0.0)),
        (31, 75, 310.0, 400.0, (0.0, 0.0)),
        (32, 60, 300.0, 250.0, (17.0, -9.0)),
    ],
    ids=["half resolution", "wider, odd", "shifted, not oversampled"],
)
def test_other_resolutions_fields_of_view_and_contrasts_are_regridded(
    lines_y: int,
    samples_x: int,
    fov_y_mm: float,
    fov_x_mm: float,
    shift_mm: tuple[float, float],
    conventional_model: Any,
) -> None:
    raw = plain()
    noise, imaging = parts_of(raw)
    reference = reference_of(raw, lines_y, samples_x, fov_y_mm, fov_x_mm, shift_mm)
    header = with_space(raw, lines_y, samples_x, fov_y_mm, fov_x_mm)
    found = reconstructed([*noise, *reference, *imaging], header, conventional_model)
    assert NOTE in found.comments
    assert found.nrmse(raw.truth.whitened_syx) < 0.12
    shuffled = [*noise, *reference, *imaging]
    order = np.random.default_rng(0).permutation(len(shuffled))
    again = reconstructed([shuffled[n] for n in order], header, conventional_model)
    np.testing.assert_array_equal(found.images[0].data, again.images[0].data)


def test_in_the_encoding_of_the_image_the_mode_external_tells_it(conventional_model: Any) -> None:
    raw = plain()
    noise, imaging = parts_of(raw)
    reference = reference_of(raw, 24, 48, 248.0, 372.0, (0.0, 0.0))
    header = header_of(raw)
    header.encoding[0].parallelImaging.calibrationMode = ismrmrd.xsd.calibrationModeType.EXTERNAL
    for readout in reference:
        readout.encoding_space_ref = 0  # its lines count from 0: the centre is the line with most signal
    found = reconstructed([*noise, *reference, *imaging], header, conventional_model)
    assert NOTE in found.comments
    assert found.nrmse(raw.truth.whitened_syx) < 0.12


def test_lines_of_the_same_grid_stay_as_they_are() -> None:
    kspace_cyx = torch.randn(3, 20, 32, dtype=torch.complex64)
    axis_y, axis_x = Axis(20, 2.0), Axis(32, 1.5)
    waves_y = image_waves(torch.arange(4, 15) - 10, 40.0, axis_y)
    waves_x = image_waves(torch.arange(32) - 16, 48.0, axis_x)
    hybrid_cyx, mask_y = regridded(kspace_cyx[:, 4:15], waves_y, waves_x, reach(-6, 4, 40.0, axis_y))
    assert torch.nonzero(mask_y).flatten().tolist() == list(range(4, 15))
    expected = ifft_centred(kspace_cyx, [2]) * mask_y[:, None]
    assert torch.allclose(hybrid_cyx, expected, atol=1e-5)


@pytest.mark.parametrize("fov_mm", [40.0, 52.0, 37.0])
def test_white_noise_keeps_its_variance_where_the_data_reach(fov_mm: float) -> None:
    noise = torch.randn(400, 40, 64, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    axis_y, axis_x = Axis(48, 40.0 / 48), Axis(32, 1.5)
    waves_y = image_waves(torch.arange(40) - 20, fov_mm, axis_y)
    waves_x = image_waves(torch.arange(64) - 32, 96.0, axis_x)
    hybrid_cyx, mask_y = regridded(noise, waves_y, waves_x, reach(-20, 19, fov_mm, axis_y))
    kspace = fft_centred(hybrid_cyx, [2])[:, mask_y]
    inner = kspace[:, 2:-2]
    assert float(inner.abs().square().mean()) == pytest.approx(min(1.0, fov_mm / 40.0), rel=0.05)


def test_a_scan_with_enough_calibration_lines_keeps_its_own(conventional_model: Any) -> None:
    raw = scan(snr=100.0)
    noise, imaging = parts_of(raw)
    reference = reference_of(raw, 12, 48, 248.0, 372.0, (0.0, 0.0))
    header = with_space(raw, 12, 48, 248.0, 372.0)
    found = reconstructed([*noise, *reference, *imaging], header, conventional_model)
    own = reconstructed([*noise, *imaging], header_of(raw), conventional_model)
    assert NOTE not in found.comments
    np.testing.assert_array_equal(found.images[0].data, own.images[0].data)


@pytest.mark.parametrize("fault", ["coils", "orientation", "position"])
def test_a_reference_scan_that_does_not_fit_is_not_used_and_said(fault: str, conventional_model: Any) -> None:
    raw = scan(snr=100.0)
    noise, imaging = parts_of(raw)
    reference = reference_of(raw, 32, 48, 248.0, 372.0, (0.0, 0.0))
    for number, readout in enumerate(reference):
        if fault == "orientation":
            readout.read_dir, readout.phase_dir = tuple(readout.phase_dir), tuple(readout.read_dir)
        elif fault == "position":
            readout.position = tuple(np.asarray(readout.position) + 40.0 * np.asarray(readout.slice_dir))
        else:
            head = readout.getHead()
            head.active_channels = 2
            reference[number] = ismrmrd.Acquisition(head, np.ascontiguousarray(readout.data[:2]))
    header = with_space(raw, 32, 48, 248.0, 372.0)
    found = reconstructed([*noise, *reference, *imaging], header, conventional_model)
    own = reconstructed([*noise, *imaging], header_of(raw), conventional_model)
    np.testing.assert_array_equal(found.images[0].data, own.images[0].data)
    assert any("reference scan of" in text for text in found.report.warnings)


def test_unflagged_lines_of_another_encoding_are_passed_on_unless_the_mode_is_external() -> None:
    raw = plain()
    header = with_space(raw, 24, 48, 248.0, 372.0)
    (line, *_) = reference_of(raw, 24, 48, 248.0, 372.0, (0.0, 0.0))
    line.clearAllFlags()
    plan = build_plan(header, load_pipeline())
    assert not ReferenceScan(header, plan, Report()).is_reference(line)
    header.encoding[0].parallelImaging.calibrationMode = ismrmrd.xsd.calibrationModeType.EXTERNAL
    plan = build_plan(header, load_pipeline())
    assert ReferenceScan(header, plan, Report()).is_reference(line)
    assert CALIBRATION & line.flags == 0


def test_a_flat_reference_scan_of_a_slab_is_passed_on_and_said() -> None:
    raw = plain()
    header = with_space(raw, 24, 48, 248.0, 372.0)
    line = reference_of(raw, 24, 48, 248.0, 372.0, (0.0, 0.0))[0]
    first = header.encoding[0]
    first.encodedSpace.matrixSize.z = first.reconSpace.matrixSize.z = 8
    first.encodingLimits.kspace_encoding_step_2.maximum = 7
    report = Report()
    assert not ReferenceScan(header, build_plan(header, load_pipeline()), report).is_reference(line)
    assert "encoding 1 is 2-D: its lines are not used for the coil maps of this 3-D scan" in report.warnings
