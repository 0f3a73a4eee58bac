"""Matrices and fields of view of every kind against known truth: odd and even, rectangular, oversampled, off centre."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
from simulated import header_of, parts_of, readouts_of, reconstructed, scan

FULL: dict[str, Any] = {"acceleration": 1.0, "calibration": "none"}


@pytest.mark.parametrize("matrix", [(48, 64), (47, 64), (48, 63), (33, 45), (64, 40)])
def test_even_and_odd_and_rectangular_matrices(matrix: tuple[int, int], conventional_model: Any) -> None:
    raw = scan(**FULL, matrix_xy=matrix, snr=1e3)
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert found.images[0].data.shape == (1, 1, matrix[1], matrix[0])
    error = found.nrmse(raw.truth.whitened_syx)
    assert error < 0.02  # 0.017 is that of the coil maps on the coarsest matrix
    assert found.nrmse(np.roll(raw.truth.whitened_syx, 1, 1)) > 5 * error  # a shift would be seen
    spans = [found.images[0].field_of_view[n] for n in (0, 1)]
    assert spans[0] / spans[1] == pytest.approx(matrix[0] / matrix[1], rel=1e-3)


def test_phase_oversampling_is_cropped(conventional_model: Any) -> None:
    raw = scan(**FULL, phase_oversampling=0.25, snr=1e3)
    header = header_of(raw)
    assert header.encoding[0].encodedSpace.matrixSize.y == 80
    found = reconstructed(readouts_of(raw), header, conventional_model)
    assert found.images[0].data.shape[2] == 64
    assert found.nrmse(raw.truth.whitened_syx) < 0.01


@pytest.mark.parametrize("recon", [(96, 128), (75, 101)])
def test_zero_filled_interpolation(recon: tuple[int, int], conventional_model: Any) -> None:
    raw = scan(**FULL, recon_matrix_xy=recon, snr=1e3)
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert found.images[0].data.shape == (1, 1, recon[1], recon[0])
    assert found.nrmse(raw.truth.whitened_syx) < 0.015


@pytest.mark.parametrize("shift", [-9, 5, 12])
def test_a_centre_that_is_not_in_the_middle_of_the_counters(shift: int, conventional_model: Any) -> None:
    """The lines keep their place about the centre that the header names, whatever number they carry."""
    raw = scan(**FULL)
    reference = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    noise, lines = parts_of(raw)
    header = header_of(raw)
    step = header.encoding[0].encodingLimits.kspace_encoding_step_1
    step.center += shift
    step.minimum, step.maximum = max(0, step.minimum + shift), step.maximum + shift
    kept = [line for line in lines if line.idx.kspace_encode_step_1 + shift >= 0]
    for line in kept:
        line.idx.kspace_encode_step_1 += shift
    found = reconstructed([*noise, *kept], header, conventional_model)
    if shift > 0:
        assert np.array_equal(found.images[0].data, reference.images[0].data)
    else:  # lines below 0 cannot be: that side is partial Fourier
        assert "9 of 64 lines not acquired" in found.comments
        assert found.nrmse(raw.truth.whitened_syx) < 0.05


def test_of_several_encodings_the_first_is_the_image(conventional_model: Any) -> None:
    """Lines of another encoding space are passed on, counted and said, and leave the pixels alone."""
    raw = scan(**FULL)
    reference = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    header = header_of(raw)
    header.encoding.append(header_of(raw).encoding[0])
    items = readouts_of(raw)
    others = parts_of(raw)[1][:10]
    for number, line in enumerate(others):
        line.encoding_space_ref = 1
        line.scan_counter = 5000 + number
        line.clearAllFlags()
    found = reconstructed([*items[:20], *others, *items[20:]], header, conventional_model)
    assert np.array_equal(found.images[0].data, reference.images[0].data)
    assert [item for item in found.others if isinstance(item, ismrmrd.Acquisition)] == others
    assert sum(found.report.passed.values()) == 10
    assert any("2 encodings" in text for text in found.report.warnings)
