"""Scaling: one factor for a series, clipped voxels counted, plain values on request; the recon matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_scan import LINES_Y, READOUT_X, header

from smug_recon.gadgets.flow.items import Reconstruction, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.images.matrix import crop_or_pad, interpolate, to_recon_matrix
from smug_recon.gadgets.images.scale import scale
from smug_recon.pipeline import load_pipeline


def image(level: float, role: str = "SMUG") -> Reconstruction:
    phase = torch.exp(1j * torch.linspace(0, 3, 64 * 64)).reshape(64, 64)
    ramp = torch.linspace(0, level, 64 * 64).reshape(64, 64)
    return Reconstruction(
        SliceKey(0, 0, 0, 0, 0), None, role, (ramp * phase).to(torch.complex64), 4, 10, 10, True
    )


def scaled(images: list[Any], report: Report | None = None, **overrides: Any) -> list[Any]:
    plan = build_plan(header(), load_pipeline().with_overrides(overrides))
    return list(scale(images, plan, report or Report()))


@pytest.mark.parametrize("level", [1e-9, 1.0, 3e7])
def test_one_factor_for_the_whole_series_whatever_the_level(level: float) -> None:
    first, second, other = scaled([image(level), image(1.7 * level), image(level, "CG-SENSE")])
    assert first.scale == second.scale == pytest.approx(4095 / 2 / level, rel=2e-3)
    assert first.pixels_yx.dtype == np.uint16
    assert second.pixels_yx.max() == pytest.approx(1.7 * first.pixels_yx.max(), rel=2e-3)
    assert other.scale == first.scale


def test_series_have_factors_of_their_own() -> None:
    smug, conventional = scaled([image(1.0), image(2.0, "CG-SENSE")])
    assert smug.scale == pytest.approx(2 * conventional.scale)


def test_clipped_voxels_are_counted_and_reported() -> None:
    report = Report()
    first, second = scaled([image(1.0), image(4.0)], report)
    assert first.saturated == 0
    assert second.saturated == pytest.approx(0.5 * 64 * 64, rel=0.01)
    assert second.pixels_yx.max() == 4095
    assert report.saturated == second.saturated
    assert any("clipped" in note for note in second.notes)
    assert any("clipped" in text for text in report.warnings)


def test_an_empty_first_image_does_not_fix_the_factor() -> None:
    empty, first = scaled([image(0.0), image(1.0)])
    assert empty.pixels_yx.max() == 0
    assert first.pixels_yx.max() == pytest.approx(4095 / 2, rel=2e-3)


def test_values_leave_as_they_are_on_request() -> None:
    (complex_,) = scaled([image(5.0)], **{"images.type": "complex64"})
    (real,) = scaled([image(5.0)], **{"images.type": "float32"})
    assert complex_.pixels_yx.dtype == np.complex64
    assert real.pixels_yx.dtype == np.float32
    assert complex_.scale == real.scale == 1.0
    assert np.allclose(np.abs(complex_.pixels_yx), real.pixels_yx)
    assert np.array_equal(complex_.pixels_yx, image(5.0).image_yx.numpy())


def test_phase_oversampling_is_cropped_and_the_recon_matrix_filled() -> None:
    plan = build_plan(header(recon_yx=(64, 96), recon_fov_yx_mm=(128.0, 192.0)), load_pipeline())
    y, x = torch.meshgrid(
        torch.arange(LINES_Y) - LINES_Y // 2, torch.arange(READOUT_X) - READOUT_X // 2, indexing="ij"
    )
    blob = torch.exp(-((y - 4.0) ** 2 / 18 + (x + 6.0) ** 2 / 18)).to(torch.complex64)
    found = image(1.0)
    found.image_yx = blob
    (result,) = to_recon_matrix([found], plan)
    assert result.image_yx.shape == (64, 96)
    peak = np.unravel_index(int(result.image_yx.abs().argmax()), (64, 96))
    assert peak == (32 + 2 * 4, 48 - 2 * 6)  # 32 of 48 lines on 64 rows: twice as fine
    assert float(result.image_yx.abs().max()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("size", "found"), [(7, 12), (12, 7), (8, 13), (13, 8), (9, 9)])
def test_crop_and_pad_keep_the_centre(size: int, found: int) -> None:
    start = torch.zeros(3, found)
    start[:, found // 2] = 1
    assert float(crop_or_pad(start, size, 1)[0, size // 2]) == 1
    assert torch.equal(interpolate(start.to(torch.complex64), found, 1), start.to(torch.complex64))
